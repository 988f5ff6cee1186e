//! Server-Sent Events in axum with `tidewire-sse`: three lines for a stream, and a broadcast.
//!
//! ```text
//! cargo run -p tidewire-examples --example sse_axum          # then, in other terminals:
//! curl -N http://127.0.0.1:8080/count
//! curl -N http://127.0.0.1:8080/chat
//! curl -d 'high water' http://127.0.0.1:8080/chat
//! curl -N http://127.0.0.1:8080/forged
//! ```
//!
//! axum's own `Sse` panics when an id has a line feed. Here `/forged` sends the events before that
//! id. Then it cuts the connection, and the last line that curl prints says why.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use futures_util::stream;
use http_body_util::BodyExt;
use tidewire_sse::{EventBody, HEARTBEAT_PERIOD, OutgoingEvent, PreparedEvent};
use tokio::sync::broadcast;

async fn count() -> impl IntoResponse {
    let events = (1..=3).map(|n| OutgoingEvent::data(format!("tick {n}")).with_id(n.to_string()));
    EventBody::new(stream::iter(events)).with_heartbeat(HEARTBEAT_PERIOD).into_response()
}

/// Each event is encoded once, and all readers share its bytes. A reader that is 64 events behind
/// is cut: its stream ends, and a browser reconnects.
async fn chat(State(chat): State<broadcast::Sender<PreparedEvent>>) -> impl IntoResponse {
    let events = stream::unfold(chat.subscribe(), async |mut chat| Some((chat.recv().await.ok()?, chat)));
    EventBody::new(events).with_heartbeat(HEARTBEAT_PERIOD).into_response()
}

/// Encodes the event before anybody gets it, so the publisher learns what is wrong with it.
async fn publish(
    State(chat): State<broadcast::Sender<PreparedEvent>>,
    text: String,
) -> Result<String, (StatusCode, String)> {
    let event = OutgoingEvent::data(text).with_event_type("chat").prepare();
    let event = event.map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n")))?;
    Ok(format!("{} readers\n", chat.send(event).unwrap_or(0)))
}

async fn forged() -> impl IntoResponse {
    let ids = ["1", "2\ndata: forged", "3"];
    let events = stream::iter(ids.map(|id| OutgoingEvent::data("real").with_id(id)));
    EventBody::new(events).into_response().map(|body| {
        body.map_err(|error| {
            eprintln!("/forged: {error}"); // axum itself does not log errors of a body
            error
        })
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let router = Router::new()
        .route("/count", get(count))
        .route("/chat", get(chat).post(publish))
        .route("/forged", get(forged))
        .with_state(broadcast::Sender::new(64));
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}
