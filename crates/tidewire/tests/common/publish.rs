//! Publishes messages, and records those that were acknowledged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::websockets::{Socket, websocket};
use super::{Raw, Rng, seq, soon};

/// A message to publish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Post {
    pub payload: Vec<u8>,
    pub event: Option<&'static str>,
    pub content_type: Option<&'static str>,
}

impl Post {
    pub fn new(payload: impl Into<Vec<u8>>) -> Self {
        Post { payload: payload.into(), ..Post::default() }
    }

    pub fn event(mut self, event: &'static str) -> Self {
        self.event = Some(event);
        self
    }

    pub fn content_type(mut self, content_type: &'static str) -> Self {
        self.content_type = Some(content_type);
        self
    }

    /// Publishes it on a new connection. Returns the cursor.
    pub fn to(&self, address: &str, channel: &str) -> String {
        self.on(&mut Raw::connect(address), channel)
    }

    /// Publishes it on this connection. Returns the cursor.
    pub fn on(&self, raw: &mut Raw, channel: &str) -> String {
        let query = self.event.map(|event| format!("?event={event}")).unwrap_or_default();
        let content_type =
            self.content_type.map(|value| format!("Content-Type: {value}\r\n")).unwrap_or_default();
        let head = format!(
            "POST /c/{channel}{query} HTTP/1.1\r\nHost: x\r\n{content_type}Content-Length: {}\r\n\r\n",
            self.payload.len()
        );
        let response = raw.send([head.as_bytes(), &self.payload].concat()).response();
        assert_eq!(response.status, 201, "{response:?}");
        cursor_of(response.text())
    }
}

/// Closes a channel, with a last message or without. Returns the cursor of the end.
pub fn close(address: &str, channel: &str, last: Option<&str>) -> String {
    let body = last.unwrap_or_default();
    let head =
        format!("POST /c/{channel}?close=1 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    let response = Raw::connect(address).send(head + body).response();
    assert_eq!(response.status, if last.is_some() { 201 } else { 200 }, "{response:?}");
    let answer: Value = serde_json::from_str(response.text()).unwrap();
    assert_eq!(answer["closed"], true, "{answer}");
    answer["end"].as_str().expect("a closed channel has an end").to_owned()
}

/// Deletes a channel.
pub fn delete(address: &str, channel: &str) {
    let request = format!("DELETE /c/{channel} HTTP/1.1\r\nHost: x\r\n\r\n");
    let response = Raw::connect(address).send(request).response();
    assert_eq!(response.status, 204, "{response:?}");
}

fn cursor_of(json: &str) -> String {
    let json: Value = serde_json::from_str(json).unwrap();
    json["cursor"].as_str().expect("an acknowledgement has a cursor").to_owned()
}

/// The acknowledged messages: the payload of each sequence number.
#[derive(Clone, Default)]
pub struct Published(Arc<Mutex<BTreeMap<u64, Vec<u8>>>>);

impl Published {
    fn note(&self, cursor: &str, payload: Vec<u8>) {
        let before = self.0.lock().unwrap().insert(seq(cursor), payload);
        assert_eq!(before, None, "two messages at {cursor}");
    }

    /// Returns the payloads of all messages, which must be numbered from 1 without a hole.
    pub fn payloads(&self) -> Vec<Vec<u8>> {
        let published = self.0.lock().unwrap();
        let last = published.last_key_value().map_or(0, |(&seq, _)| seq);
        assert_eq!(last, published.len() as u64, "sequence numbers are dense");
        published.values().cloned().collect()
    }
}

/// Publishes `each` messages from each of three threads: with POST and a length, with POST in
/// chunks, and over `tidewire.v1`. Pauses up to `pause_us` microseconds between messages. Returns
/// the threads. When they have ended, `published` is complete.
pub fn from_threads(
    address: &str,
    channel: &str,
    each: usize,
    pause_us: usize,
    published: &Published,
    seed: u64,
) -> Vec<JoinHandle<()>> {
    (0..3)
        .map(|thread| {
            let (address, channel, published) = (address.to_owned(), channel.to_owned(), published.clone());
            let mut rng = Rng::new(seed ^ (thread + 1));
            std::thread::spawn(move || {
                let messages = (0..each).map(move |n| {
                    std::thread::sleep(Duration::from_micros(rng.below(pause_us + 1) as u64));
                    message(thread, n, &mut rng)
                });
                match thread {
                    0 => with_length(&address, &channel, messages, &published),
                    1 => in_chunks(&address, &channel, messages, &published),
                    _ => over_websocket(&address, &channel, messages, &published),
                }
            })
        })
        .collect()
}

/// Returns a payload that names its thread and number. Some are long, have several lines, or are
/// not text.
fn message(thread: u64, n: usize, rng: &mut Rng) -> Vec<u8> {
    let mut payload = format!("{thread}/{n}").into_bytes();
    match rng.below(16) {
        0 => payload.extend(std::iter::repeat_n(b'.', rng.below(5_000))),
        1 => payload.extend(b"\nsecond line\n\ndata: fourth"),
        2 => payload.extend(b"\r\nwith a return\r"),
        3 => payload.extend(rng.bytes(20)),
        _ => {}
    }
    payload
}

fn with_length(address: &str, channel: &str, messages: impl Iterator<Item = Vec<u8>>, published: &Published) {
    let mut raw = Raw::connect(address);
    for payload in messages {
        let cursor = Post::new(payload.clone()).on(&mut raw, channel);
        published.note(&cursor, payload);
    }
}

fn in_chunks(address: &str, channel: &str, messages: impl Iterator<Item = Vec<u8>>, published: &Published) {
    let mut raw = Raw::connect(address);
    for payload in messages {
        raw.send(format!("POST /c/{channel} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
        for piece in payload.chunks(1_000) {
            raw.send(format!("{:x}\r\n", piece.len())).send(piece).send("\r\n");
        }
        let response = raw.send("0\r\n\r\n").response();
        assert_eq!(response.status, 201, "{response:?}");
        published.note(&cursor_of(response.text()), payload);
    }
}

fn over_websocket(
    address: &str,
    channel: &str,
    messages: impl Iterator<Item = Vec<u8>>,
    published: &Published,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // Subscribed to another channel, so that only acknowledgements arrive.
        let mut socket = websocket(address, "elsewhere", Some("now"), true).await.unwrap();
        for (id, payload) in messages.enumerate() {
            let mut command = json!({"type": "publish", "id": id, "channel": channel});
            match std::str::from_utf8(&payload) {
                Ok(text) => command["data"] = text.into(),
                Err(_) => command["data_b64"] = base64_of(&payload).into(),
            }
            socket.send(Message::text(command.to_string())).await.unwrap();
            let object = soon("an acknowledgement", answer(&mut socket)).await;
            assert_eq!((&object["type"], &object["id"]), (&json!("ack"), &json!(id)), "{object}");
            published.note(object["cursor"].as_str().unwrap(), payload);
        }
    });
}

/// Returns the next object that answers a command.
async fn answer(socket: &mut Socket) -> Value {
    loop {
        let Message::Text(text) = socket.next().await.unwrap().unwrap() else { continue };
        let object: Value = serde_json::from_str(&text).unwrap();
        if object["type"] != "hello" && object["type"] != "heartbeat" {
            return object;
        }
    }
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
