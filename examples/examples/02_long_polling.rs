//! Long polling: the client asks, and the server answers when there is a message.
//!
//! ```text
//!   client                                                  server
//!     │ ── GET /c/demo?since=earliest&wait=25 HTTP/1.1 ──────► │
//!     │ ◄── HTTP/1.1 200 OK ────────────────────────────────── │   at once: there were messages already
//!     │ ◄── {"messages":[…],"cursor":"A",…} ────────────────── │   A: the position after these messages
//!     │ ── GET /c/demo?since=A&wait=25 HTTP/1.1 ─────────────► │
//!     │ ◄── HTTP/1.1 200 OK ────────────────────────────────── │
//!     │ ◄── {"messages":[…],"cursor":"B",…} ────────────────── │
//!     │ ── GET /c/demo?since=B&wait=25 HTTP/1.1 ─────────────► │
//!     │                                                        │   held, up to 25 s
//!     │ ◄── HTTP/1.1 200 OK ────────────────────────────────── │   as soon as a message is published
//!     │ ◄── {"messages":[…],"cursor":"C",…} ────────────────── │
//! ```
//!
//! It works everywhere, and messages come at once. An idle reader costs one request in 25 seconds.
//! Each message costs a request.
//!
//! Run `cargo run -p tidewire-examples --example 02_long_polling`. The reader gets two messages and
//! closes the connection. A third message is published meanwhile and a fourth later. The reader
//! resumes at its cursor and gets both. The five technique examples differ only in the function
//! `read`.

use std::error::Error;

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
        // The answer to a poll that timed out has no messages, but it has a cursor.
        cursor = answer["cursor"].as_str().ok_or("no cursor")?.to_owned();
    }
    Ok((messages, cursor))
}

fn main() -> Result<(), Box<dyn Error>> {
    // Starts a server, publishes to /c/demo, and calls `read` twice.
    read_cut_and_resume(read)
}
