//! Server-Sent Events: the client asks once, and the answer never ends.
//!
//! ```text
//!   client                                                  server
//!     │ ── GET /c/demo?since=earliest HTTP/1.1 ──────────────► │
//!     │ ◄── HTTP/1.1 200 OK ────────────────────────────────── │   an answer that does not end
//!     │ ◄── id: A ──────────────────────────────────────────── │   A: the position before the first message
//!     │ ◄── retry: … ───────────────────────────────────────── │   milliseconds until a client reconnects
//!     │ ◄── id: B ──────────────────────────────────────────── │
//!     │ ◄── data: one ──────────────────────────────────────── │
//!     │ ◄── id: C ──────────────────────────────────────────── │
//!     │ ◄── data: two ──────────────────────────────────────── │   … as they are published
//!     ✕                                                        │   the connection is cut
//!     │ ── GET /c/demo?since=earliest HTTP/1.1 ──────────────► │   a browser repeats its request by itself
//!     │ ── Last-Event-ID: C ─────────────────────────────────► │   and says what it has
//!     │ ◄── HTTP/1.1 200 OK ────────────────────────────────── │
//!     │ ◄── id: D ──────────────────────────────────────────── │
//!     │ ◄── data: three ────────────────────────────────────── │
//! ```
//!
//! A browser's `EventSource` uses it: text, one way, and it resumes by itself. The id of each event
//! is the cursor.
//!
//! Run `cargo run -p tidewire-examples --example 03_sse`. The reader gets two messages and closes
//! the connection. A third message is published meanwhile and a fourth later. The reader resumes at
//! its cursor and gets both. The five technique examples differ only in the function `read`.

use std::error::Error;

use tidewire_examples::{OnWaiting, Wire, read_cut_and_resume};
use tidewire_sse::{Decoder, Event, Limits};

/// Reads `count` messages after the cursor `since`. Returns them, and the cursor to continue at.
/// Calls `on_waiting` when it waits for the last message.
fn read(
    address: &str,
    since: &str,
    count: usize,
    on_waiting: OnWaiting<'_>,
) -> Result<(Vec<String>, String), Box<dyn Error>> {
    let (mut messages, mut cursor) = (Vec::new(), since.to_owned());
    let mut wire = Wire::connect(address)?;
    // An EventSource that reconnects uses its old URL. The server then prefers the field to the
    // query.
    let resume = if since == "earliest" { String::new() } else { format!("Last-Event-ID: {since}\r\n") };
    wire.send(&format!(
        "GET /c/demo?since=earliest HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n{resume}\r\n"
    ))?;
    wire.head()?;
    let mut events = Decoder::new(Limits::default());
    while messages.len() < count {
        if messages.len() + 1 == count {
            on_waiting()?;
        }
        // The limits of chunks have no meaning: an event may be in two chunks, or two events in
        // one.
        let chunk = wire.chunk()?;
        let mut rest = &chunk[..];
        while let (used, Some(received)) = events.decode(rest)? {
            rest = &rest[used..];
            if let Event::Message { data, .. } = received {
                messages.push(data.to_owned());
            }
        }
        cursor = events.last_event_id().to_owned();
    }
    Ok((messages, cursor))
}

fn main() -> Result<(), Box<dyn Error>> {
    // Starts a server, publishes to /c/demo, and calls `read` twice.
    read_cut_and_resume(read)
}
