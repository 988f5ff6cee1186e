//! Resumable Server-Sent Events in somebody else's server: an axum application with `tidewire-channel` and `tidewire-sse`.
//!
//! ```text
//! cargo run -p tidewire-examples --example axum_resume          # then, elsewhere:
//! curl -N http://127.0.0.1:8080/events
//! curl -d 'high water' http://127.0.0.1:8080/publish
//! ```
//!
//! Stop the first `curl`, publish, and come back with `-H 'Last-Event-ID: …'`: what was missed is there. A browser's `EventSource` does
//! that by itself. The glue is [`next`] and what it needs.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use futures_util::stream;
use tidewire_channel::{Budget, Continuity, Cursor, Epoch, Log, Retention, Since};
use tidewire_sse::{Event, HEARTBEAT};
use tokio::sync::Notify;

/// The log, and a bell for those who have read it to its end.
struct App {
    log: Mutex<Log<String>>,
    news: Notify,
    /// A clock that never steps back, which still tells the time of day.
    started: (Instant, u64),
}

/// What there is to say to a reader, and where it is afterwards.
async fn next(
    app: Arc<App>,
    mut since: Since,
) -> Option<(Result<Vec<u8>, std::io::Error>, (Arc<App>, Since))> {
    loop {
        // Before the read: a message that comes after it rings this bell.
        let news = app.news.notified();
        let (mut wire, read_to) = write(&app.log.lock().expect("no thread panics with it"), since);
        if wire.is_empty() && tokio::time::timeout(Duration::from_secs(15), news).await.is_ok() {
            since = Since::After(read_to);
            continue;
        }
        if wire.is_empty() {
            wire.extend_from_slice(HEARTBEAT);
        }
        return Some((Ok(wire), (app.clone(), Since::After(read_to))));
    }
}

/// Reads on from `since` and writes it as events, each with the cursor to come back with as its id.
fn write(log: &Log<String>, since: Since) -> (Vec<u8>, Cursor) {
    let read = log.read(since, Budget::bytes(64 << 10));
    let mut wire = Vec::new();
    let mut put = |id: Cursor, event: Option<&str>, data: Option<&str>| {
        let id = id.to_string();
        let event = Event { id: Some(&id), event, data, ..Event::default() };
        event.encode_to(&mut wire).expect("a cursor has no line end");
    };
    match read.continuity() {
        Continuity::Resumed => {}
        // An id without data: the reader has a place to come back to before the first message.
        Continuity::Fresh => put(read.start(), None, None),
        Continuity::Gap { missed, to, .. } => put(to, Some("gap"), Some(&missed.to_string())),
        Continuity::Reset { reason, to } => put(to, Some("reset"), Some(reason.as_str())),
    }
    for entry in &read {
        put(entry.cursor, None, Some(entry.value));
    }
    (wire, read.cursor())
}

async fn events(State(app): State<Arc<App>>, headers: HeaderMap) -> impl IntoResponse {
    let last = headers.get("last-event-id").and_then(|id| Since::parse(id.as_bytes()).ok());
    let stream = stream::unfold((app, last.unwrap_or(Since::Earliest)), |(app, since)| next(app, since));
    ([("content-type", "text/event-stream"), ("cache-control", "no-store")], Body::from_stream(stream))
}

async fn publish(State(app): State<Arc<App>>, message: String) -> String {
    let now_ms = app.started.1 + app.started.0.elapsed().as_millis() as u64;
    let cursor = app.log.lock().expect("no thread panics with it").append(now_ms, message.len(), message);
    app.news.notify_waiters();
    format!("{cursor}\n")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let epoch = Epoch::new(getrandom::u64()?);
    let retention = Retention { max_messages: 100, ..Retention::default() };
    let unix_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as u64;
    let app = Arc::new(App {
        log: Mutex::new(Log::new(epoch, retention)),
        news: Notify::new(),
        started: (Instant::now(), unix_ms),
    });
    let router = Router::new().route("/events", get(events)).route("/publish", post(publish)).with_state(app);
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}
