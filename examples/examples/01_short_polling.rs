//! Short polling: the client asks, the server answers at once, and the client asks again later.
//!
//! ```text
//!   client                                                  server
//!     │ ── GET /c/demo?since=earliest HTTP/1.1 ──────────────► │
//!     │ ◄── HTTP/1.1 200 OK ────────────────────────────────── │
//!     │ ◄── {"messages":[…],"cursor":"A",…} ────────────────── │   A: the position after these messages
//!     │ ── GET /c/demo?since=A HTTP/1.1 ─────────────────────► │
//!     │ ◄── HTTP/1.1 200 OK ────────────────────────────────── │
//!     │ ◄── {"messages":[…],"cursor":"B",…} ────────────────── │
//!     │ ── GET /c/demo?since=B HTTP/1.1 ─────────────────────► │
//!     │ ── If-None-Match: "B" ───────────────────────────────► │
//!     │ ◄── HTTP/1.1 304 Not Modified ──────────────────────── │   nothing new
//!     │                       (a pause)                        │
//!     │ ── GET /c/demo?since=B HTTP/1.1 ─────────────────────► │   and so on
//! ```
//!
//! It works everywhere, and a cache may answer for the server. Messages are late by up to one
//! pause, and most answers are empty.
//!
//! Run `cargo run -p tidewire-examples --example 01_short_polling`. The reader gets two messages
//! and closes the connection. A third message is published meanwhile and a fourth later. The reader
//! resumes at its cursor and gets both. The five technique examples differ only in the function
//! `read`.

use std::error::Error;
use std::thread;
use std::time::Duration;

use tidewire_examples::{OnWaiting, Wire, read_cut_and_resume, remark};

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
    while messages.len() < count {
        wire.send(&format!(
            "GET /c/demo?since={cursor} HTTP/1.1\r\nHost: {address}\r\nIf-None-Match: \"{cursor}\"\r\n\r\n"
        ))?;
        let head = wire.head()?;
        if head.status == 304 {
            remark(
                "nothing new: the cursor is the ETag, and a 304 without a body says that it is still current",
            );
            on_waiting()?;
            thread::sleep(PAUSE);
            continue;
        }
        let answer: serde_json::Value = serde_json::from_slice(&wire.body(head.length())?)?;
        for message in answer["messages"].as_array().ok_or("no messages")? {
            messages.push(message["data"].as_str().ok_or("not text")?.to_owned());
        }
        cursor = answer["cursor"].as_str().ok_or("no cursor")?.to_owned();
    }
    Ok((messages, cursor))
}

/// A shorter pause means more work for the server. A longer pause means later messages.
const PAUSE: Duration = Duration::from_millis(100);

fn main() -> Result<(), Box<dyn Error>> {
    // Starts a server, publishes to /c/demo, and calls `read` twice.
    read_cut_and_resume(read)
}
