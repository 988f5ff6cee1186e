//! WebSocket: ask once to change the protocol; then both sides send messages whenever they like.
//!
//! ```text
//!   client                    server
//!     │ ── GET, Upgrade ───────► │
//!     │ ◄── 101 ──────────────── │   no HTTP from here on
//!     │ ◄── 81 2c {"cursor":B… ─ │   a frame: 2 bytes of header, then the message
//!     │ ◄── 81 2c {"cursor":C… ─ │
//!     │ ── 88 82 ………… ─────────► │   a client's frames are masked
//! ```
//!
//! For traffic both ways with the least bytes a message. Resuming is the application's part: here
//! the subprotocol `tidewire.v1`, whose messages are JSON objects with a cursor.
//!
//! Run `cargo run -p tidewire-examples --example 04_websocket`. Two messages are read, the
//! connection is cut, a third is published meanwhile and a fourth later; the reader resumes at its
//! cursor and gets both. The other four examples differ in `read` alone.

use std::error::Error;

use tidewire_examples::{OnWaiting, Wire, read_cut_and_resume, remark, show_bytes};
use tidewire_ws::frame::Header;
use tidewire_ws::handshake::client;
use tidewire_ws::{Client, Connection, Event, Limits};

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
    // The nonce comes back hashed: the proof that the other side speaks WebSocket and that no cache
    // answers.
    let handshake = client::Request::new(random(), &["tidewire.v1"]);
    let fields: String = handshake.fields().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    wire.send(&format!("GET /c/demo?since={since} HTTP/1.1\r\nHost: {address}\r\n{fields}\r\n"))?;
    let head = wire.head()?;
    handshake
        .verify(head.status, head.fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))?;

    // From here on it is no HTTP any more: frames both ways.
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
                remark(json);
                let object: serde_json::Value = serde_json::from_str(json)?;
                if object["type"] == "message" {
                    messages.push(object["data"].as_str().ok_or("not text")?.to_owned());
                }
                // All but a heartbeat have one.
                if let Some(position) = object["cursor"].as_str() {
                    cursor = position.to_owned();
                }
            }
            Some(_) => {} // a ping, or the server's close; what answers it is in the output
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

/// Nonces and masking keys have to be unpredictable: a page must not choose the bytes that a proxy
/// sees.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    bytes
}

fn main() -> Result<(), Box<dyn Error>> {
    // Starts a server, publishes to /c/demo, and has `read` read twice.
    read_cut_and_resume(read)
}
