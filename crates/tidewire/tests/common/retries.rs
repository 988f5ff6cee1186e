//! Publishers that repeat what fails, and know what they were told.

use futures_util::{SinkExt, StreamExt};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::feeds::{client, json as parsed, place};
use super::soon;
use super::websockets::{Socket, websocket};

/// What a publisher was told.
#[derive(Debug)]
pub enum Told {
    Kept {
        cursor: String,
        duplicate: bool,
    },
    /// Nothing was appended.
    Failed,
    Unknown,
    /// The store has lost messages of the producer.
    Lost {
        expected: usize,
    },
}

/// How a publisher sends, and how it makes sure that each message is appended once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// With an idempotency key.
    Key,
    /// As a producer, with numbers.
    Producer,
    /// With a key, over `tidewire.v1`.
    Socket,
    /// Without any of them: it does not repeat a message whose fate is unknown.
    Plain,
}

/// A publisher of numbered messages.
pub struct Publisher {
    address: String,
    pub channel: String,
    id: String,
    pub way: Way,
    socket: Option<Socket>,
}

impl Publisher {
    pub fn new(address: &str, channel: &str, id: &str, way: Way) -> Self {
        let (address, channel, id) = (address.to_owned(), channel.to_owned(), id.to_owned());
        Publisher { address, channel, id, way, socket: None }
    }

    /// Message `n`, which names its publisher.
    pub fn payload(&self, n: usize) -> String {
        format!("{}/{}/{n}", self.channel, self.id)
    }

    /// Publishes messages until each is acknowledged. Returns the cursors that it was told, and how
    /// often it was told of a failure.
    pub async fn run(mut self, count: usize) -> (Vec<(String, String)>, usize) {
        let mut told = vec![(String::new(), false); count];
        let (mut n, mut failures) = (0, 0);
        while n < count {
            match soon("an answer", self.send(n)).await {
                Told::Kept { cursor, duplicate } => {
                    assert!(!duplicate || told[n].1, "{}: a clean failure has appended it", self.payload(n));
                    told[n].0 = cursor;
                    n += 1;
                }
                Told::Failed => failures += 1,
                Told::Unknown => {
                    failures += 1;
                    told[n].1 = true;
                }
                Told::Lost { expected } => {
                    assert!(self.way == Way::Producer && expected < n, "{expected} in place of {n}");
                    n = expected;
                }
            }
        }
        let told = told.into_iter().enumerate().map(|(n, (cursor, _))| (self.payload(n), cursor));
        (told.collect(), failures)
    }

    /// Sends message `n` once.
    pub async fn send(&mut self, n: usize) -> Told {
        let payload = self.payload(n);
        let request = client().post(format!("http://{}/c/{}", self.address, self.channel));
        let request = match self.way {
            Way::Key => request.header("Idempotency-Key", &payload),
            Way::Producer => {
                request.header("Producer-Id", &self.id).header("Producer-Epoch", 0).header("Producer-Seq", n)
            }
            Way::Socket => return self.send_over_socket(payload).await.unwrap_or(Told::Unknown),
            Way::Plain => request,
        };
        answered(request.body(payload)).await
    }

    /// `None` if the connection ends before the answer.
    async fn send_over_socket(&mut self, payload: String) -> Option<Told> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => websocket(&self.address, "elsewhere", Some("now"), true).await.ok()?,
        };
        let command =
            json!({"type": "publish", "id": 1, "channel": self.channel, "key": payload, "data": payload});
        let socket = self.socket.insert(socket);
        let answer = async {
            socket.send(Message::text(command.to_string())).await.ok()?;
            loop {
                let Message::Text(text) = socket.next().await?.ok()? else { continue };
                let object: Value = serde_json::from_str(&text).unwrap();
                if object["id"] == 1 {
                    return Some(object);
                }
            }
        };
        let answer = answer.await;
        match answer {
            None => self.socket = None,
            Some(object) if object["type"] == "ack" => return Some(kept(&object)),
            Some(object) => return Some(refused(&object)),
        }
        None
    }
}

/// Sends a request that publishes or closes.
pub async fn answered(request: reqwest::RequestBuilder) -> Told {
    let Ok(response) = request.send().await else { return Told::Unknown };
    let status = response.status();
    let Ok(body) = response.bytes().await else { return Told::Unknown };
    let object = parsed(&body);
    if status.is_success() { kept(&object) } else { refused(&object) }
}

fn kept(object: &Value) -> Told {
    let cursor = object["cursor"].as_str().unwrap().to_owned();
    Told::Kept { cursor, duplicate: object["duplicate"] == true }
}

fn refused(problem: &Value) -> Told {
    match (problem["status"].as_u64(), problem["outcome"].as_str(), problem["reason"].as_str()) {
        (Some(503), Some("unknown"), _) => Told::Unknown,
        // The last one: the server is stopping.
        (Some(503), Some("failed") | None, _) => Told::Failed,
        (Some(409), None, Some("producer-gap")) => {
            Told::Lost { expected: problem["expected"].as_u64().unwrap() as usize }
        }
        // It has lost all of them.
        (Some(400), None, Some("producer-start")) => Told::Lost { expected: 0 },
        _ => panic!("{problem}"),
    }
}

/// The position before the first message of a channel.
pub async fn start_of(address: &str, channel: &str) -> String {
    let url = format!("http://{address}/c/{channel}");
    loop {
        if let Ok(cursor) = place(&url, "now").await {
            return cursor;
        }
    }
}

/// Closes a channel with a last message, as often as it fails. Returns the cursor of the message.
pub async fn close_with_last(address: &str, channel: &str) -> String {
    loop {
        let request = client().post(format!("http://{address}/c/{channel}?close=1")).body("last");
        if let Told::Kept { cursor, .. } = answered(request.header("Idempotency-Key", "last")).await {
            return cursor;
        }
    }
}

/// Deletes a channel, as often as it fails.
pub async fn delete(address: &str, channel: &str) {
    let mut is_unknown = false;
    loop {
        match client().delete(format!("http://{address}/c/{channel}")).send().await.map(|one| one.status()) {
            Ok(StatusCode::NO_CONTENT) => return,
            Ok(StatusCode::NOT_FOUND) => return assert!(is_unknown, "nobody has deleted it"),
            Ok(StatusCode::SERVICE_UNAVAILABLE) | Err(_) => is_unknown = true,
            Ok(status) => panic!("{status}"),
        }
    }
}
