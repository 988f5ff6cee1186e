//! Server-Sent Events: ask once, and the answer never ends.
//!
//! ```text
//!   client                    server
//!     │ ── GET since=A ────────► │
//!     │ ◄── 200 ──────────────── │
//!     │ ◄── id: B  data: one ─── │
//!     │ ◄── id: C  data: two ─── │   … as they are published
//!     ✕                          │   cut
//!     │ ── Last-Event-ID: C ───► │   a browser does this by itself
//! ```
//!
//! What a browser's `EventSource` speaks: text, one way, resumes by itself. The id of each event is
//! the cursor.
//!
//! Run `cargo run -p tidewire-examples --example 03_sse`. Two messages are read, the connection is
//! cut, a third is published meanwhile and a fourth later; the reader resumes at its cursor and
//! gets both. The other four examples differ in `read` alone.

use std::error::Error;

use tidewire_examples::{OnWaiting, Wire, read_cut_and_resume};
use tidewire_sse::{Decoder, Event, Limits};

/// Reads `count` messages after the cursor `since`, and says at which cursor to go on. `on_waiting`
/// is called when only the last one is missing and is not there yet.
fn read(
    address: &str,
    since: &str,
    count: usize,
    on_waiting: OnWaiting<'_>,
) -> Result<(Vec<String>, String), Box<dyn Error>> {
    let (mut messages, mut cursor) = (Vec::new(), since.to_owned());
    let mut wire = Wire::connect(address)?;
    // An EventSource keeps its URL when it comes back; the field says more than the query then.
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
        // Where chunks begin and end means nothing: an event may lie across two, and two in one.
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
    // Starts a server, publishes to /c/demo, and has `read` read twice.
    read_cut_and_resume(read)
}
