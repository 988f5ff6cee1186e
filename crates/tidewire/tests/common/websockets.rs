//! Readers for both kinds of WebSocket. The library is tokio-tungstenite.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::feeds::{Ended, FeedEvent, Reader, Received, client, feed_event, json, place};
use super::{after, seq};

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens a WebSocket, bare or `tidewire.v1`.
pub async fn websocket(
    address: &str,
    channel: &str,
    since: Option<&str>,
    v1: bool,
) -> Result<Socket, tungstenite::Error> {
    let query = since.map(|since| format!("?since={since}")).unwrap_or_default();
    let mut request = format!("ws://{address}/c/{channel}{query}").into_client_request()?;
    if v1 {
        request.headers_mut().insert("Sec-WebSocket-Protocol", "tidewire.v1".parse().unwrap());
    }
    let (socket, response) = connect_async(request).await?;
    let chosen = response.headers().get("sec-websocket-protocol").map(|value| value.to_str().unwrap());
    assert_eq!(chosen, v1.then_some("tidewire.v1"));
    Ok(socket)
}

/// A connection with `tidewire.v1`.
pub struct V1(pub Socket);

impl Reader for V1 {
    fn next(&mut self) -> BoxFuture<'_, Result<FeedEvent, Ended>> {
        async move {
            loop {
                let message = self.0.next().await.ok_or(Ended::Well)?.map_err(Ended::cut)?;
                match message {
                    Message::Text(text) => {
                        if let Some(event) = feed_event(&json(text.as_bytes())) {
                            return Ok(event);
                        }
                    }
                    Message::Binary(_) => panic!("tidewire.v1 speaks text"),
                    Message::Close(_) => return Err(Ended::Well),
                    _ => {}
                }
            }
        }
        .boxed()
    }
}

/// A bare connection. Its payloads carry no cursors, so the reader counts them.
pub struct Bare {
    pub socket: Socket,
    pub cursor: String,
    /// The channel.
    pub url: String,
    /// Whether it asks for each cursor, because the log may begin an epoch with any message.
    pub asks: bool,
}

impl Bare {
    async fn message(&mut self, payload: Vec<u8>) -> Result<FeedEvent, Ended> {
        self.cursor = if self.asks {
            self.ask(&payload).await?
        } else {
            if seq(&self.cursor) == 0 {
                // The first message of a log may begin its epoch.
                let now = place(&self.url, "now").await?;
                self.cursor = format!("{}-0", epoch(&now));
            }
            after(&self.cursor, 1)
        };
        Ok(FeedEvent::Message(Received { cursor: self.cursor.clone(), payload, ..Received::default() }))
    }

    /// Asks for the cursor of the next message.
    async fn ask(&self, payload: &[u8]) -> Result<String, Ended> {
        let url = format!("{}?feed=poll&limit=1&since={}", self.url, self.cursor);
        let answer = client().get(url).send().await.map_err(Ended::cut)?;
        let answer = json(&answer.bytes().await.map_err(Ended::cut)?);
        match answer["messages"].get(0).and_then(feed_event) {
            Some(FeedEvent::Message(next)) if next.payload == payload => Ok(next.cursor),
            // The server has crashed and lost it.
            _ => Err(Ended::Cut(answer.to_string())),
        }
    }
}

impl Reader for Bare {
    fn next(&mut self) -> BoxFuture<'_, Result<FeedEvent, Ended>> {
        async move {
            loop {
                match self.socket.next().await.ok_or(Ended::Well)?.map_err(Ended::cut)? {
                    Message::Text(text) => return self.message(text.as_bytes().to_vec()).await,
                    Message::Binary(data) => {
                        assert!(std::str::from_utf8(&data).is_err(), "text came as binary: {data:?}");
                        return self.message(data.to_vec()).await;
                    }
                    // Of a loss, a bare connection can only report where to continue.
                    Message::Close(Some(frame)) if u16::from(frame.code) == 4410 => {
                        return Ok(lost(&self.cursor, frame.reason.to_string()));
                    }
                    Message::Close(Some(frame)) if u16::from(frame.code) == 4404 => {
                        assert_eq!(frame.reason, "the channel was deleted");
                        return Ok(FeedEvent::Deleted { channel: None });
                    }
                    Message::Close(_) => return Err(Ended::Well),
                    _ => {}
                }
            }
        }
        .boxed()
    }
}

/// Computes the gap or reset from the old cursor and the cursor to continue from. The server does
/// not tell the reason of a reset.
fn lost(had: &str, cursor: String) -> FeedEvent {
    // A log may begin an epoch after the number 0.
    let is_of_log = epoch(had) == epoch(&cursor) || seq(had) == 0;
    match seq(&cursor).checked_sub(seq(had)) {
        Some(missed) if is_of_log => FeedEvent::Gap { missed, cursor },
        _ => FeedEvent::Reset { reason: String::new(), cursor },
    }
}

fn epoch(cursor: &str) -> &str {
    cursor.rsplit_once('-').unwrap().0
}
