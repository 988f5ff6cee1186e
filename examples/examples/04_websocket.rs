//! WebSocket: the client asks once to change the protocol. Then both sides send messages at any
//! time.
//!
//! ```text
//!   client                                                  server
//!     │ ── GET /c/demo?since=earliest HTTP/1.1 ──────────────► │
//!     │ ── Upgrade: websocket ───────────────────────────────► │
//!     │ ◄── HTTP/1.1 101 Switching Protocols ───────────────── │   no HTTP from here on
//!     │ ◄── 81 2… ──────────────────────────────────────────── │   a header of 2 bytes: a whole text, its length
//!     │ ◄── {"type":"hello","cursor":"A"} ──────────────────── │   the payload
//!     │ ◄── 81 4… ──────────────────────────────────────────── │
//!     │ ◄── {"type":"message","cursor":"B",…} ──────────────── │
//!     │ ◄── 81 4… ──────────────────────────────────────────── │
//!     │ ◄── {"type":"message","cursor":"C",…} ──────────────── │
//!     │ ── 88 82 … ──────────────────────────────────────────► │   close; a client's frames are masked
//!     │ ◄── 88 02 … ────────────────────────────────────────── │   close, from the server
//! ```
//!
//! It is for traffic both ways, with the fewest bytes per message. The application must resume by
//! itself: here with the subprotocol `tidewire.v1`, whose messages are JSON objects with a cursor.
//!
//! Run `cargo run -p tidewire-examples --example 04_websocket`. The reader gets two messages and
//! closes the connection. A third message is published meanwhile and a fourth later. The reader
//! resumes at its cursor and gets both. The five technique examples differ only in the function
//! `read`.

use std::error::Error;

use tidewire_examples::{OnWaiting, Wire, read_cut_and_resume, show_bytes, show_text};
use tidewire_ws::frame::Header;
use tidewire_ws::handshake::client;
use tidewire_ws::{Client, Connection, Event, Limits};

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
    // The server answers with a hash of the nonce. This proves that it speaks WebSocket and that
    // the answer does not come from a cache.
    let handshake = client::Request::new(random(), &["tidewire.v1"]);
    let fields: String = handshake.fields().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    wire.send(&format!("GET /c/demo?since={since} HTTP/1.1\r\nHost: {address}\r\n{fields}\r\n"))?;
    let head = wire.head()?;
    handshake
        .verify(head.status, head.fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))?;

    // From here on, the connection carries frames both ways, not HTTP.
    let mut websocket = Connection::<Client>::new(Limits::DEFAULT);
    let (mut input, mut output) = (Vec::new(), Vec::new());
    while !websocket.is_closed() {
        if !websocket.message_unfinished()
            && let Some((header, length)) = Header::parse(&input)?
        {
            show_bytes('<', &input[..length], &format!("{:?}, {} bytes:", header.opcode, header.len));
        }
        let (used, event) = websocket.decode(&mut input)?;
        match event {
            Some(Event::Text(json)) => {
                show_text('<', json);
                let object: serde_json::Value = serde_json::from_str(json)?;
                if object["type"] == "message" {
                    messages.push(object["data"].as_str().ok_or("not text")?.to_owned());
                }
                // Every object has a cursor, except a heartbeat.
                if let Some(position) = object["cursor"].as_str() {
                    cursor = position.to_owned();
                }
            }
            Some(_) => {} // a ping or the server's close: the reply is in the output
            None if used == 0 => {
                if messages.len() + 1 == count {
                    on_waiting()?;
                }
                wire.receive(&mut input)?;
            }
            None => {}
        }
        input.drain(..used);
        websocket.take_output(random, &mut output);
        if websocket.is_open() && messages.len() >= count {
            websocket.send_close(Some(1000), "", random(), &mut output)?;
        }
        if !output.is_empty() {
            wire.send_bytes(&output, "2 bytes of header, 4 of key, and the payload XORed with the key")?;
            output.clear();
        }
    }
    Ok((messages, cursor))
}

/// Nonces and masking keys must be unpredictable. Otherwise a page could choose the bytes that a
/// proxy sees.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    bytes
}

fn main() -> Result<(), Box<dyn Error>> {
    // Starts a server, publishes to /c/demo, and calls `read` twice.
    read_cut_and_resume(read)
}
