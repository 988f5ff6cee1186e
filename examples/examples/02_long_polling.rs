//! Long polling: ask, and be answered when there is something to say.
//!
//! ```text
//!   client                    server
//!     │ ── GET since=A&wait ───► │
//!     │ ◄── 200 messages, B ──── │   there was something already
//!     │ ── GET since=B&wait ───► │
//!     │                          │   held, up to 25 s
//!     │ ◄── 200 messages, C ──── │   the moment that one is published
//! ```
//!
//! Works everywhere, news come at once, and an idle reader costs one request in 25 seconds. Each
//! message costs a request.
//!
//! Run `cargo run -p tidewire-examples --example 02_long_polling`. Two messages are read, the
//! connection is cut, a third is published meanwhile and a fourth later; the reader resumes at its
//! cursor and gets both. The other four examples differ in `read` alone.

use std::error::Error;

use tidewire_examples::{OnWaiting, Wire, read_cut_and_resume, remark};

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
    while messages.len() < count {
        wire.send(&format!("GET /c/demo?since={cursor}&wait=25 HTTP/1.1\r\nHost: {address}\r\n\r\n"))?;
        remark("waiting for the answer");
        if messages.len() + 1 == count {
            on_waiting()?;
        }
        let head = wire.head()?;
        let answer: serde_json::Value = serde_json::from_slice(&wire.body(head.length())?)?;
        for message in answer["messages"].as_array().ok_or("no messages")? {
            messages.push(message["data"].as_str().ok_or("not text")?.to_owned());
        }
        // A poll whose time is over has no messages, but a cursor.
        cursor = answer["cursor"].as_str().ok_or("no cursor")?.to_owned();
    }
    Ok((messages, cursor))
}

fn main() -> Result<(), Box<dyn Error>> {
    // Starts a server, publishes to /c/demo, and has `read` read twice.
    read_cut_and_resume(read)
}
