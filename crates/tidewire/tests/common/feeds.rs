//! A reader for each feed, behind one trait. The readers use client libraries of others. Where
//! there is none, a file beside this one has a reader that is written by hand, as `comet.rs` has
//! for old feeds.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use eventsource_stream::{Event, Eventsource};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use serde_json::Value;
use tokio_tungstenite::tungstenite;

use super::polls::Polls;
use super::websockets::{Bare, Socket, V1, websocket};
use super::{Server, comet};

/// Returns the names of all feeds of the server (`crates/hub/src/feeds/catalogue.rs`), from the
/// refusal of an unknown one. A WebSocket has no name: an `Upgrade` asks for it.
pub fn catalogue(server: &Server) -> Vec<String> {
    let response = server.raw().send("GET /c/a?feed=? HTTP/1.1\r\nHost: x\r\n\r\n").response();
    let problem: Value = serde_json::from_slice(&response.body).unwrap();
    let detail = problem["detail"].as_str().unwrap();
    let names = detail.strip_prefix("Feed is one of ").and_then(|rest| rest.split_once(';'));
    let names: Vec<_> = names.expect(detail).0.split(", ").map(str::to_owned).collect();
    assert!(names.len() >= 10, "{names:?}");
    names
}

macro_rules! feeds {
    ($($feed:ident)*) => {
        /// A way to read a channel.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Feed {
            $($feed,)*
        }

        impl Feed {
            /// All feeds that carry cursors. The last two need a server with `--comet`.
            pub const ALL: [Feed; [$(stringify!($feed)),*].len()] = [$(Feed::$feed),*];
        }
    };
}

feeds! { Poll LongPoll Sse Stream WsV1 WsBare Xhr Mixed Replace Iframe Jsonp }

impl Feed {
    /// The value of `feed=`. `None` for a WebSocket, which an `Upgrade` asks for.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Feed::Poll => "poll",
            Feed::LongPoll => "longpoll",
            Feed::Sse => "sse",
            Feed::Stream => "stream",
            Feed::Xhr => "xhr",
            Feed::Mixed => "multipart",
            Feed::Replace => "replace",
            Feed::Iframe => "iframe",
            Feed::Jsonp => "jsonp",
            Feed::WsV1 | Feed::WsBare => return None,
        })
    }

    /// Whether the feed is a stream, which goes on. The others give one answer.
    fn is_stream(self) -> bool {
        match self {
            Feed::Poll | Feed::LongPoll | Feed::Jsonp => false,
            Feed::Sse | Feed::Stream | Feed::Xhr | Feed::Mixed | Feed::Replace | Feed::Iframe => true,
            Feed::WsV1 | Feed::WsBare => true,
        }
    }

    /// All streams. Tests about every stream take this list, so that they get new feeds.
    pub fn streams() -> Vec<Feed> {
        Feed::ALL.into_iter().filter(|feed| feed.is_stream()).collect()
    }

    /// All streams that are the body of an HTTP response, with the values of `feed=`.
    pub fn http_streams() -> Vec<(Feed, &'static str)> {
        Feed::streams().into_iter().filter_map(|feed| Some((feed, feed.name()?))).collect()
    }

    /// Whether the feed sends the event name of a message.
    pub fn names_events(self) -> bool {
        match self {
            Feed::WsBare | Feed::Replace => false,
            Feed::Poll | Feed::LongPoll | Feed::Jsonp | Feed::Sse | Feed::Stream => true,
            Feed::WsV1 | Feed::Xhr | Feed::Mixed | Feed::Iframe => true,
        }
    }

    /// Whether the feed sends the media type of a message with this payload.
    pub fn names_type_of(self, payload: &[u8]) -> bool {
        match self {
            Feed::WsBare | Feed::Replace => false,
            // Only in an envelope.
            Feed::Sse => std::str::from_utf8(payload).is_err(),
            Feed::Poll | Feed::LongPoll | Feed::Jsonp | Feed::Stream => true,
            Feed::WsV1 | Feed::Xhr | Feed::Mixed | Feed::Iframe => true,
        }
    }

    /// Returns a payload as the feed delivers it. An event stream has lines and does not keep the
    /// kind of their ends.
    pub fn carries(self, payload: &[u8]) -> Vec<u8> {
        match std::str::from_utf8(payload) {
            Ok(text) if self == Feed::Sse => text.replace("\r\n", "\n").replace('\r', "\n").into_bytes(),
            _ => payload.to_vec(),
        }
    }
}

/// A message, as a client received it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    pub cursor: String,
    pub payload: Vec<u8>,
    pub event: Option<String>,
    pub content_type: Option<String>,
    pub channel: Option<String>,
}

/// What a feed delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedEvent {
    Message(Received),
    /// `missed` messages are lost. The next message comes after `cursor`.
    Gap {
        missed: u64,
        cursor: String,
    },
    /// The log does not have the cursor. The next message comes after `cursor`.
    Reset {
        reason: String,
        cursor: String,
    },
    /// The channel has ended, or all channels if there are several and none is named.
    End {
        cursor: String,
        channel: Option<String>,
    },
    /// A channel was deleted.
    Deleted {
        channel: Option<String>,
    },
}

impl FeedEvent {
    /// The position after the event.
    pub fn cursor(&self) -> Option<&str> {
        match self {
            FeedEvent::Message(Received { cursor, .. })
            | FeedEvent::Gap { cursor, .. }
            | FeedEvent::Reset { cursor, .. }
            | FeedEvent::End { cursor, .. } => Some(cursor),
            FeedEvent::Deleted { .. } => None,
        }
    }
}

/// Why there is nothing more to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The server ended it normally.
    Well,
    /// The connection broke.
    Cut(String),
}

impl Ended {
    pub fn cut(error: impl std::fmt::Debug) -> Self {
        Ended::Cut(format!("{error:?}"))
    }
}

/// A subscription.
pub trait Reader: Send {
    /// Returns what the feed delivers next, or why it ended.
    fn next(&mut self) -> BoxFuture<'_, Result<FeedEvent, Ended>>;
}

/// What came in place of a feed.
pub struct Only(pub Option<FeedEvent>);

impl Reader for Only {
    fn next(&mut self) -> BoxFuture<'_, Result<FeedEvent, Ended>> {
        std::future::ready(self.0.take().ok_or(Ended::Well)).boxed()
    }
}

/// Opens a feed of `channel` at `address` after `since`. If the channel was deleted, the reader
/// says so.
pub async fn open(feed: Feed, address: &str, channel: &str, since: &str) -> Result<Box<dyn Reader>, Ended> {
    open_where(feed, address, channel, since, false).await
}

/// The same. If the server may crash, a reader without cursors asks for them.
pub async fn open_where(
    feed: Feed,
    address: &str,
    channel: &str,
    since: &str,
    asks: bool,
) -> Result<Box<dyn Reader>, Ended> {
    let url = format!("http://{address}/c/{channel}");
    Ok(match feed {
        Feed::Poll => Box::new(Polls::new(format!("{url}?feed=poll"), since)),
        Feed::LongPoll => Box::new(Polls::new(format!("{url}?wait=5"), since)),
        Feed::Sse => {
            // With several channels, the data of each event is an object.
            let objects = channel.contains(',');
            Sse::open(&format!("{url}?since={since}"), objects).await?
        }
        Feed::Stream => match get(&format!("{url}?since={since}"), "application/x-ndjson").await? {
            Ok(response) => Box::new(Lines {
                pieces: response.bytes_stream().map_err(Ended::cut).boxed(),
                buffer: Vec::new(),
            }),
            Err(event) => Box::new(Only(Some(event))),
        },
        Feed::WsV1 => match upgraded(websocket(address, channel, Some(since), true).await)? {
            Ok(socket) => Box::new(V1(socket)),
            Err(event) => Box::new(Only(Some(event))),
        },
        Feed::WsBare => {
            let cursor = match since {
                "earliest" | "now" => place(&url, since).await?,
                cursor => cursor.to_owned(),
            };
            match upgraded(websocket(address, channel, Some(&cursor), false).await)? {
                Ok(socket) => Box::new(Bare { socket, cursor, url, asks }),
                Err(event) => Box::new(Only(Some(event))),
            }
        }
        Feed::Xhr | Feed::Mixed | Feed::Replace | Feed::Iframe | Feed::Jsonp => {
            comet::open(feed, &url, since).await?
        }
    })
}

/// Opens an event stream of objects, as [`open`] does.
pub async fn open_objects(address: &str, channel: &str, since: &str) -> Result<Box<dyn Reader>, Ended> {
    let url = format!("http://{address}/c/{channel}?feed=sse&objects=1&since={since}");
    Sse::open(&url, true).await
}

/// Makes a client for one connection. A pool would hide a cut.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap()
}

async fn get(url: &str, accept: &str) -> Result<Result<reqwest::Response, FeedEvent>, Ended> {
    let response = client().get(url).header("Accept", accept).send().await.map_err(Ended::cut)?;
    let response = stream_of(url, response).await?;
    if let Ok(response) = &response {
        assert_eq!(response.headers()["content-type"], accept);
    }
    Ok(response)
}

/// Returns the stream of an answer. If the channel was deleted, or if an event stream has nothing
/// more to say, returns that.
pub async fn stream_of(
    url: &str,
    response: reqwest::Response,
) -> Result<Result<reqwest::Response, FeedEvent>, Ended> {
    match response.status().as_u16() {
        204 => {
            let cursor = response.headers()["tidewire-cursor"].to_str().unwrap().to_owned();
            assert_eq!(response.bytes().await.map_err(Ended::cut)?, "");
            Ok(Err(FeedEvent::End { cursor, channel: None }))
        }
        404 => Ok(Err(deleted(&response.bytes().await.map_err(Ended::cut)?))),
        503 => Err(Ended::Cut(format!("{url}: the store failed"))),
        status => {
            assert_eq!(status, 200, "{url}");
            Ok(Ok(response))
        }
    }
}

/// Reads the refusal of a channel that was deleted.
pub fn deleted(body: &[u8]) -> FeedEvent {
    let problem = json(body);
    assert_eq!((&problem["status"], &problem["reason"]), (&404.into(), &"deleted".into()), "{problem}");
    FeedEvent::Deleted { channel: problem["channel"].as_str().map(str::to_owned) }
}

fn upgraded(opened: Result<Socket, tungstenite::Error>) -> Result<Result<Socket, FeedEvent>, Ended> {
    match opened {
        Ok(socket) => Ok(Ok(socket)),
        Err(tungstenite::Error::Http(response)) if response.status() == 404 => {
            let body = response.body().as_deref().unwrap_or_default();
            // The library gives the part that has come.
            match response.headers()["content-length"].to_str().unwrap() == body.len().to_string() {
                true => Ok(Err(deleted(body))),
                false => Err(Ended::Cut(format!("a part of a refusal: {body:?}"))),
            }
        }
        Err(error) => Err(Ended::cut(error)),
    }
}

/// Returns the cursor of `earliest` or `now`.
pub async fn place(url: &str, since: &str) -> Result<String, Ended> {
    let response =
        client().head(format!("{url}?feed=stream&since={since}")).send().await.map_err(Ended::cut)?;
    if [404, 503].contains(&response.status().as_u16()) {
        return Err(Ended::Cut(format!("{url}: {}", response.status())));
    }
    assert_eq!(response.status(), 200, "{url}");
    Ok(response.headers()["tidewire-cursor"].to_str().unwrap().to_owned())
}

/// Reads JSON. A failure shows it.
pub fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(bytes)))
}

/// Reads a JSON object of any feed. `None` for an object without news.
pub fn feed_event(object: &Value) -> Option<FeedEvent> {
    let text = |name: &str| object[name].as_str().map(str::to_owned);
    let cursor = || text("cursor").unwrap_or_else(|| panic!("no cursor in {object}"));
    match object["type"].as_str() {
        Some("message") => Some(FeedEvent::Message(Received {
            cursor: cursor(),
            payload: match (text("data"), text("data_b64")) {
                (Some(text), None) => text.into_bytes(),
                (None, Some(text)) => {
                    let bytes = STANDARD.decode(text).unwrap();
                    let may_be = bytes.len() >= 128 || std::str::from_utf8(&bytes).is_err();
                    assert!(may_be, "a short text came as base64: {object}");
                    bytes
                }
                _ => panic!("neither data nor data_b64 alone: {object}"),
            },
            event: text("event"),
            content_type: text("content_type"),
            channel: text("channel"),
        })),
        Some("gap") => Some(FeedEvent::Gap { missed: object["missed"].as_u64().unwrap(), cursor: cursor() }),
        Some("reset") => Some(FeedEvent::Reset { reason: text("reason").unwrap(), cursor: cursor() }),
        Some("end") => Some(FeedEvent::End { cursor: cursor(), channel: text("channel") }),
        Some("deleted") => {
            assert_eq!(object["cursor"], Value::Null, "there is no position to come back to: {object}");
            Some(FeedEvent::Deleted { channel: text("channel") })
        }
        Some("hello") => {
            cursor();
            None
        }
        Some("heartbeat") => None,
        _ => panic!("an object of no known type: {object}"),
    }
}

struct Sse {
    events: BoxStream<'static, Result<Event, Ended>>,
    /// Whether the data of each event is an object.
    objects: bool,
}

impl Sse {
    async fn open(url: &str, objects: bool) -> Result<Box<dyn Reader>, Ended> {
        Ok(match get(url, "text/event-stream").await? {
            Ok(response) => {
                let events = response.bytes_stream().eventsource().map_err(Ended::cut).boxed();
                Box::new(Sse { events, objects })
            }
            Err(event) => Box::new(Only(Some(event))),
        })
    }

    /// Returns the next event that has an object with news. The heartbeat of a stream of objects is
    /// an event with empty data.
    async fn object(&mut self) -> Result<FeedEvent, Ended> {
        loop {
            let event = self.events.next().await.ok_or(Ended::Well)??;
            if !event.data.is_empty()
                && let Some(decoded) = feed_event(&json(event.data.as_bytes()))
            {
                return Ok(decoded);
            }
        }
    }
}

impl Reader for Sse {
    fn next(&mut self) -> BoxFuture<'_, Result<FeedEvent, Ended>> {
        async move {
            if self.objects {
                return self.object().await;
            }
            let event = self.events.next().await.ok_or(Ended::Well)??;
            let object = || json(event.data.as_bytes());
            let decoded = match event.event.as_str() {
                "gap" | "reset" | "envelope" | "end" | "deleted" => {
                    feed_event(&object()).expect("an object with news")
                }
                name => FeedEvent::Message(Received {
                    cursor: event.id.clone(),
                    payload: event.data.clone().into_bytes(),
                    event: (name != "message").then(|| name.to_owned()),
                    ..Received::default()
                }),
            };
            if let Some(cursor) = decoded.cursor() {
                assert_eq!(cursor, event.id, "a browser resumes at the id");
            }
            Ok(decoded)
        }
        .boxed()
    }
}

struct Lines {
    pieces: BoxStream<'static, Result<bytes::Bytes, Ended>>,
    buffer: Vec<u8>,
}

impl Reader for Lines {
    fn next(&mut self) -> BoxFuture<'_, Result<FeedEvent, Ended>> {
        async move {
            loop {
                while let Some(end) = self.buffer.iter().position(|&b| b == b'\n') {
                    let line: Vec<u8> = self.buffer.drain(..=end).collect();
                    // An empty line is a heartbeat.
                    if line.len() > 1
                        && let Some(event) = feed_event(&json(&line))
                    {
                        return Ok(event);
                    }
                }
                match self.pieces.next().await {
                    Some(piece) => self.buffer.extend_from_slice(&piece?),
                    None => return Err(Ended::Well),
                }
            }
        }
        .boxed()
    }
}
