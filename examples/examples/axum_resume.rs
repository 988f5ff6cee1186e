//! Resumable Server-Sent Events in an axum application, with `tidewire-channel` and `tidewire-sse`.
//!
//! ```text
//! cargo run -p tidewire-examples --example axum_resume          # then, in other terminals:
//! curl -N http://127.0.0.1:8080/events
//! curl -d 'high water' http://127.0.0.1:8080/publish
//! ```
//!
//! Stop the first `curl`, publish, and run it again with `-H 'Last-Event-ID: …'`: it gets the
//! messages that it missed. A browser's `EventSource` does this by itself. The glue is the twenty
//! lines of [`next`] and [`write`]. The log is in a `tokio::sync::watch`: one lock for readers and
//! publishers. It wakes the readers, and no reader sleeps while there is a message.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use futures_util::stream;
use tidewire_channel::{Budget, Continuity, Cursor, Epoch, Log, Read, Retention, Since};
use tidewire_sse::{EventFields, HEARTBEAT};
use tokio::sync::watch;
use tokio::time::timeout;

struct App {
    log: watch::Sender<Log<String>>,
    /// The start on a clock that never steps back, and the time of day at that moment.
    started: (Instant, u64),
}

/// Waits for something to send to a reader. Returns it, and the reader's position afterwards.
async fn next(log: &mut watch::Receiver<Log<String>>, since: Since) -> Option<(Vec<u8>, Since)> {
    let news = log.wait_for(|log| log.read(since, Budget::UNLIMITED).is_news());
    match timeout(Duration::from_secs(15), news).await {
        Ok(log) => Some(write(&log.ok()?.read(since, Budget::bytes(64 << 10)))),
        Err(_) => Some((HEARTBEAT.to_vec(), since)),
    }
}

/// Encodes a read as events. The id of each event is the cursor after it.
fn write(read: &Read<'_, String>) -> (Vec<u8>, Since) {
    let mut wire = Vec::new();
    let mut put = |cursor: Cursor, event: Option<&str>, data: Option<&str>| {
        let event = EventFields { id: Some(&cursor.to_string()), event, data, ..EventFields::default() };
        event.encode_to(&mut wire).expect("a cursor has no line end");
    };
    match read.continuity() {
        Continuity::Resumed => {}
        // An id without data: the reader gets its cursor before the first message.
        Continuity::Fresh => put(read.start(), None, None),
        Continuity::Gap { missed, to, .. } => put(to, Some("gap"), Some(&missed.to_string())),
        Continuity::Reset { reason, to } => put(to, Some("reset"), Some(reason.as_str())),
    }
    read.iter().for_each(|entry| put(entry.cursor, None, Some(entry.value)));
    (wire, read.cursor().into())
}

async fn events(State(app): State<Arc<App>>, headers: HeaderMap) -> impl IntoResponse {
    // An id of another server is answered with a reset. A refusal would stop an `EventSource` for
    // ever.
    let last = headers.get("last-event-id");
    let last = last.map(|id| Since::parse(id.as_bytes()).unwrap_or(Cursor::FOREIGN.into()));
    let reader = (app.log.subscribe(), last.unwrap_or(Since::Earliest));
    let stream = stream::unfold(reader, async |(mut log, since)| {
        let (wire, since) = next(&mut log, since).await?;
        Some((Ok::<_, Infallible>(wire), (log, since)))
    });
    ([("content-type", "text/event-stream"), ("cache-control", "no-store")], Body::from_stream(stream))
}

async fn publish(State(app): State<Arc<App>>, message: String) -> String {
    let now_ms = app.started.1 + app.started.0.elapsed().as_millis() as u64;
    let mut answer = String::new();
    app.log.send_modify(|log| {
        answer = match log.append(now_ms, message.len(), message) {
            Ok(cursor) => format!("{cursor}\n"),
            Err(refused) => format!("{refused}\n"), // nobody closes this log
        };
    });
    answer
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let epoch = Epoch::new(getrandom::u64()?.max(1));
    let retention = Retention::DEFAULT.with_max_messages(100);
    let unix_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as u64;
    let app = App { log: watch::Sender::new(Log::new(epoch, retention)), started: (Instant::now(), unix_ms) };
    let router = Router::new().route("/events", get(events)).route("/publish", post(publish));
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, router.with_state(Arc::new(app))).await?;
    Ok(())
}
