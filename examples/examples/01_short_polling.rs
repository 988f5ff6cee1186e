//! Short polling: ask, be answered at once, ask again.
//!
//! ```text
//!   client                    server
//!     │ ── GET since=A ────────► │
//!     │ ◄── 200 messages, B ──── │
//!     │       (a pause)          │
//!     │ ── GET since=B ────────► │
//!     │ ◄── 304 ──────────────── │   nothing new
//! ```
//!
//! Works everywhere, and a cache in the middle may help. News are late by up to one pause, and most
//! answers are empty.
//!
//! Run `cargo run -p tidewire-examples --example 01_short_polling`. Two messages are read, the
//! connection is cut, a third is published meanwhile and a fourth later; the reader resumes at its
//! cursor and gets both. The other four examples differ in `read` alone.

use std::error::Error;
use std::thread;
use std::time::Duration;

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
        wire.send(&format!(
            "GET /c/demo?since={cursor} HTTP/1.1\r\nHost: {address}\r\nIf-None-Match: \"{cursor}\"\r\n\r\n"
        ))?;
        let head = wire.head()?;
        if head.status == 304 {
            remark(
                "nothing new: the cursor is the ETag, and an answer without body says that it still holds",
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

/// Shorter, and the server has more to do; longer, and the news are later.
const PAUSE: Duration = Duration::from_millis(100);

fn main() -> Result<(), Box<dyn Error>> {
    // Starts a server, publishes to /c/demo, and has `read` read twice.
    read_cut_and_resume(read)
}
