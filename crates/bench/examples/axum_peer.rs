//! A fan-out server as people write it with axum: a tokio broadcast channel for each name, and a
//! task for each subscriber. `cargo xtask bench` compares it with Tidewire.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use futures_util::{Stream, StreamExt as _, stream};
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::sync::broadcast::{self, error::RecvError};

/// The number of messages that a channel keeps, and that a subscriber may be behind.
const KEPT: usize = 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8081".into());
    let app = Router::new()
        .route("/pub/{name}", post(publish))
        .route("/ws/{name}", get(websocket))
        .route("/sse/{name}", get(events))
        .route("/stream/{name}", get(lines))
        .route("/longpoll/{name}", get(poll))
        .route("/last/{name}", get(last))
        .with_state(Channels::default());
    let socket = TcpSocket::new_v4()?;
    socket.bind(address.parse().map_err(std::io::Error::other)?)?;
    let listener = socket.listen(4096)?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, app).await
}

#[derive(Clone, Default)]
struct Channels(Arc<Mutex<HashMap<String, Arc<Channel>>>>);

struct Channel {
    new: broadcast::Sender<Post>,
    kept: Mutex<(u64, VecDeque<Post>)>,
}

#[derive(Clone)]
struct Post {
    id: u64,
    text: Utf8Bytes,
}

impl Channels {
    fn get(&self, name: &str) -> Arc<Channel> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(Channel { new: broadcast::channel(KEPT).0, kept: Mutex::default() });
        all.entry(name.to_owned()).or_insert_with(make).clone()
    }
}

impl Channel {
    fn publish(&self, text: Utf8Bytes) -> u64 {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0 += 1;
        let post = Post { id: kept.0, text };
        if kept.1.len() == KEPT {
            kept.1.pop_front();
        }
        kept.1.push_back(post.clone());
        let _ = self.new.send(post);
        kept.0
    }

    /// Returns the kept messages after this one, and a receiver of all later messages.
    fn join(&self, after: Option<u64>) -> (Vec<Post>, broadcast::Receiver<Post>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let old = after.map(|after| kept.1.iter().filter(|post| post.id > after).cloned().collect());
        (old.unwrap_or_default(), self.new.subscribe())
    }

    fn follow(&self, after: Option<u64>) -> impl Stream<Item = Post> + use<> {
        let (old, new) = self.join(after);
        stream::iter(old).chain(stream::unfold(new, |mut new| async move {
            loop {
                match new.recv().await {
                    Ok(post) => return Some((post, new)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        }))
    }
}

async fn publish(State(all): State<Channels>, Path(name): Path<String>, body: Bytes) -> Response {
    match Utf8Bytes::try_from(body) {
        Ok(text) => all.get(&name).publish(text).to_string().into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn events(
    State(all): State<Channels>,
    Path(name): Path<String>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let posts = all.get(&name).follow(None);
    Sse::new(posts.map(|post| Ok(Event::default().id(post.id.to_string()).data(post.text.as_str()))))
}

async fn lines(State(all): State<Channels>, Path(name): Path<String>) -> Response {
    let posts = all.get(&name).follow(None);
    let lines = posts.map(|post| Ok::<_, Infallible>(Bytes::from(format!("{}\t{}\n", post.id, post.text))));
    ([(header::CONTENT_TYPE, "text/plain")], Body::from_stream(lines)).into_response()
}

/// Buffers of 4 KiB: tungstenite's default of 128 KiB costs twice the time and twenty times the
/// memory.
async fn websocket(
    State(all): State<Channels>,
    Path(name): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let upgrade = upgrade.read_buffer_size(4096).write_buffer_size(4096);
    upgrade.on_upgrade(move |mut socket: WebSocket| async move {
        let (_, mut new) = all.get(&name).join(None);
        loop {
            tokio::select! {
                post = new.recv() => match post {
                    Ok(post) => if socket.send(Message::Text(post.text)).await.is_err() { return },
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
                message = socket.recv() => match message {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                },
            }
        }
    })
}

async fn poll(
    State(all): State<Channels>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let after = query.get("after").and_then(|after| after.parse().ok());
    let (old, mut new) = all.get(&name).join(after);
    if !old.is_empty() {
        return batch(&old);
    }
    loop {
        match tokio::time::timeout(Duration::from_secs(25), new.recv()).await {
            Ok(Ok(post)) => return batch(&[post]),
            Ok(Err(RecvError::Lagged(_))) => {}
            _ => return StatusCode::NO_CONTENT.into_response(),
        }
    }
}

fn batch(posts: &[Post]) -> Response {
    let cursor = posts.last().map_or(0, |post| post.id);
    let text: String = posts.iter().flat_map(|post| [post.text.as_str(), "\n"]).collect();
    ([("x-cursor", cursor.to_string())], text).into_response()
}

async fn last(State(all): State<Channels>, Path(name): Path<String>) -> Response {
    let channel = all.get(&name);
    let kept = channel.kept.lock().unwrap_or_else(PoisonError::into_inner);
    match kept.1.back() {
        Some(post) => post.text.to_string().into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}
