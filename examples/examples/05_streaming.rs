//! HTTP streaming: ask once, and read the answer line by line.
//!
//! ```text
//!   client                    server
//!     │ ── GET feed=stream ────► │
//!     │ ◄── 200 ──────────────── │
//!     │ ◄── {"cursor":B,…} ───── │   newline-delimited JSON, one message a line,
//!     │ ◄── {"cursor":C,…} ───── │   one line or more a chunk
//! ```
//!
//! What programs like best: any HTTP client can read lines. In a browser `fetch` gives the bytes as
//! they arrive.
//!
//! Run `cargo run -p tidewire-examples --example 05_streaming`. Two messages are read, the
//! connection is cut, a third is published meanwhile and a fourth later; the reader resumes at its
//! cursor and gets both. The other four examples differ in `read` alone.

use std::error::Error;

use tidewire_examples::{OnWaiting, Wire, read_cut_and_resume};

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
    wire.send(&format!("GET /c/demo?feed=stream&since={since} HTTP/1.1\r\nHost: {address}\r\n\r\n"))?;
    wire.head()?;
    let mut unread = Vec::new();
    while messages.len() < count {
        if messages.len() + 1 == count {
            on_waiting()?;
        }
        // Where chunks begin and end means nothing: a line may lie across two, and two in one.
        unread.extend(wire.chunk()?);
        while let Some(end) = unread.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = unread.drain(..=end).collect();
            if line == b"\n" {
                continue; // a heartbeat
            }
            let object: serde_json::Value = serde_json::from_slice(&line)?;
            if object["type"] == "message" {
                messages.push(object["data"].as_str().ok_or("not text")?.to_owned());
            }
            cursor = object["cursor"].as_str().ok_or("no cursor")?.to_owned();
        }
    }
    Ok((messages, cursor))
}

fn main() -> Result<(), Box<dyn Error>> {
    // Starts a server, publishes to /c/demo, and has `read` read twice.
    read_cut_and_resume(read)
}
