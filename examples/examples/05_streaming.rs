//! HTTP streaming: the client asks once, and reads the answer line by line.
//!
//! ```text
//!   client                                                  server
//!     │ ── GET /c/demo?feed=stream&since=earliest HTTP/1.1 ──► │
//!     │ ◄── HTTP/1.1 200 OK ────────────────────────────────── │   an answer that does not end
//!     │ ◄── Transfer-Encoding: chunked ─────────────────────── │
//!     │ ◄── 2… ─────────────────────────────────────────────── │   the size of a chunk, in hexadecimal
//!     │ ◄── {"type":"hello","cursor":"A"} ──────────────────── │   a line of JSON in this chunk
//!     │ ◄── {"type":"message","cursor":"B",…,"data":"one"} ─── │   one message per line,
//!     │ ◄── {"type":"message","cursor":"C",…,"data":"two"} ─── │   one or more lines per chunk
//! ```
//!
//! It is the easiest for programs: any HTTP client can read lines. In a browser, `fetch` gives the
//! bytes as they arrive.
//!
//! Run `cargo run -p tidewire-examples --example 05_streaming`. The reader gets two messages and
//! closes the connection. A third message is published meanwhile and a fourth later. The reader
//! resumes at its cursor and gets both. The five technique examples differ only in the function
//! `read`.

use std::error::Error;

use tidewire_examples::{OnWaiting, Wire, read_cut_and_resume};

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
    wire.send(&format!("GET /c/demo?feed=stream&since={since} HTTP/1.1\r\nHost: {address}\r\n\r\n"))?;
    wire.head()?;
    let mut unread = Vec::new();
    while messages.len() < count {
        if messages.len() + 1 == count {
            on_waiting()?;
        }
        // The limits of chunks have no meaning: a line may be in two chunks, or two lines in one.
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
    // Starts a server, publishes to /c/demo, and calls `read` twice.
    read_cut_and_resume(read)
}
