//! One server that sends to many readers. A message is encoded once for all. A reader that is too
//! slow is closed with 1013, and the others do not wait for it.
//!
//! ```sh
//! cargo run -p tidewire-examples --example ws_broadcast
//! ```

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::any;
use tidewire_ws::tokio::{WhenFull, Writer};
use tidewire_ws::upgrade::{Upgraded, WebSocketUpgrade};
use tidewire_ws::{Message, PreparedMessage, Server, connect};
use tokio::net::TcpListener;

#[derive(Clone, Default)]
struct Room(Arc<Mutex<Vec<Writer<Upgraded, Server>>>>);

impl Room {
    fn join(&self, writer: Writer<Upgraded, Server>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(writer);
    }

    /// Queues a message for all, without waiting. Returns how many readers there are. A reader
    /// leaves when its connection ends, or when more than 256 KiB wait for it: `WhenFull::Close`.
    /// With `WhenFull::Refuse` it would only miss this message.
    fn send(&self, message: &PreparedMessage) -> usize {
        let mut writers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writers
            .retain(|writer| writer.try_reserve().and_then(|permit| permit.send_prepared(message)).is_ok());
        writers.len()
    }
}

/// The reader answers pings and closes, and writes what the room has queued.
async fn join(State(room): State<Room>, upgrade: WebSocketUpgrade) -> impl IntoResponse {
    upgrade.with_write_limit(256 * 1024, WhenFull::Close).on_upgrade(|socket| async move {
        let (mut reader, writer) = socket.split();
        room.join(writer);
        while let Some(Ok(_)) = reader.next().await {}
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let room = Room::default();
    let router = Router::new().route("/", any(join)).with_state(room.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });

    let mut fast = [connect(&url).await?, connect(&url).await?, connect(&url).await?];
    let mut slow = connect(&url).await?;
    let message = PreparedMessage::binary(&[7; 64 * 1024]);
    while room.send(&message) < 4 {
        tokio::task::yield_now().await; // until all have joined
    }
    let mut readers = 4;
    let mut sent = 0;
    while readers == 4 {
        readers = room.send(&message);
        sent += 1;
        // The slow one does not read. The fast ones get each message at once.
        for socket in &mut fast {
            socket.next().await.ok_or("a fast reader was closed")??;
        }
    }
    println!("after {sent} messages, {readers} readers are left");

    let mut read = 0;
    while let Some(message) = slow.next().await {
        match message? {
            Message::Close { code, reason } => println!("slow: {read} messages, then {code:?} {reason:?}"),
            _ => read += 1,
        }
    }
    Ok(())
}
