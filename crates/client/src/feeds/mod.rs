//! The feeds: sibling files of one shape. Each knows how *one* way of reading a channel is asked for and what its bytes say; none
//! knows of cursors held, of reconnecting or of the other feeds.
//!
//! | file | asked for with | says [`Item`]s by |
//! |---|---|---|
//! | `ws.rs` | an upgrade, subprotocol `tidewire.v1` | a JSON object a text message |
//! | `sse.rs` | `feed=sse&objects=1` | a JSON object an event; `retry:` |
//! | `stream.rs` | `feed=stream` | a JSON object a line |
//! | `longpoll.rs` | `feed=longpoll&wait=` | a JSON answer, or 410 |
//! | `poll.rs` | `feed=poll` | a JSON answer, or 410 |

pub(crate) mod longpoll;
pub(crate) mod poll;
pub(crate) mod sse;
pub(crate) mod stream;
pub(crate) mod ws;

use std::time::Duration;

use tidewire_http1::FieldBlock;
use tokio::time::Instant;

use crate::client::Settings;
use crate::http::{Ask, Body, Http};
use crate::reply::Reply;
use crate::{Cursor, Error, Feed, Message};

/// One thing that a feed says.
#[derive(Debug)]
pub(crate) enum Item {
    /// Where the feed begins.
    Hello(Cursor),
    Message(Message),
    Gap {
        from: Cursor,
        cursor: Cursor,
        missed: u64,
    },
    Reset {
        reason: String,
        cursor: Cursor,
    },
    /// How long to wait before coming back.
    Retry(Duration),
}

/// Understands the body of a streamed response, in any number of pieces.
pub(crate) trait Reader: Send {
    /// Appends what `bytes` complete.
    fn read(&mut self, bytes: &[u8], items: &mut Vec<Item>) -> Result<(), Error>;
}

/// An open stream.
pub(crate) enum Live {
    Response(Box<Response>),
    WebSocket(Box<ws::Socket>),
}

/// A response whose body does not end.
pub(crate) struct Response {
    http: Http,
    reader: Box<dyn Reader>,
    /// What the last read of the body gave.
    piece: Vec<u8>,
}

impl Live {
    /// Opens a streaming feed at `since`. Returns when the server has accepted; whether bytes get through is seen later.
    pub(crate) async fn open(
        feed: Feed,
        settings: &Settings,
        since: &str,
        deadline: Instant,
    ) -> Result<Self, Error> {
        let max = settings.max_message;
        let (media_type, reader): (_, Box<dyn Reader>) = match feed {
            Feed::WebSocket => {
                return Ok(Self::WebSocket(Box::new(ws::Socket::open(settings, since, deadline).await?)));
            }
            Feed::Sse => (sse::MEDIA_TYPE, Box::new(sse::Sse::new(max))),
            _ => (stream::MEDIA_TYPE, Box::new(stream::Lines::new(max))),
        };
        let mut http = Http::connect(&settings.url, usize::MAX, deadline).await?;
        let objects: &[_] = if feed == Feed::Sse { &[("objects", "1")] } else { &[] };
        let target =
            settings.url.target(&[&[("feed", feed.as_str())], objects, &[("since", since)]].concat());
        let reply = get(&mut http, settings, &target, media_type).await?;
        match reply.status {
            200 => {}
            // WHATWG HTML §9.2.2: this is how a server asks an event source not to come back.
            204 => return Err(Error::Stopped),
            _ => return Err(reply.refusal(&mut http).await.error),
        }
        reply.require(media_type)?;
        Ok(Self::Response(Box::new(Response { http, reader, piece: Vec::new() })))
    }

    /// Waits for bytes and appends what they complete, which may be nothing. What was appended before an error counts.
    pub(crate) async fn read(&mut self, items: &mut Vec<Item>) -> Result<(), Error> {
        match self {
            Self::WebSocket(socket) => socket.read(items).await,
            Self::Response(response) => {
                let Response { http, reader, piece } = &mut **response;
                let body = http.body(piece).await?;
                reader.read(piece, items)?;
                piece.clear();
                if body == Body::End { Err(Error::Ended) } else { Ok(()) }
            }
        }
    }
}

/// Sends a GET and reads the head of the answer.
pub(crate) async fn get(
    http: &mut Http,
    settings: &Settings,
    target: &str,
    accept: &str,
) -> Result<Reply, Error> {
    let fields = FieldBlock::from_pairs([("Accept", accept)]).map_err(Error::field("Accept"))?;
    let ask = Ask { method: "GET", target, fields: &[&settings.fields, &fields], body: None };
    http.send(&settings.url.host, &ask).await?;
    http.head(Reply::of).await
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Reads `wire` whole and in two pieces cut at every place; all must say the same, which is returned.
    pub(crate) fn at_every_cut<R: Reader>(wire: &[u8], make: impl Fn() -> R) -> Vec<Item> {
        let read = |pieces: &[&[u8]]| {
            let (mut reader, mut items) = (make(), Vec::new());
            for piece in pieces {
                reader.read(piece, &mut items).unwrap();
            }
            items
        };
        let whole = read(&[wire]);
        for cut in 0..=wire.len() {
            let (a, b) = wire.split_at(cut);
            assert_eq!(texts(&read(&[a, b])), texts(&whole), "cut at {cut}");
        }
        whole
    }

    /// Each item in a few words.
    pub(crate) fn texts(items: &[Item]) -> Vec<String> {
        items
            .iter()
            .map(|item| match item {
                Item::Hello(cursor) => format!("hello {cursor}"),
                Item::Message(m) => {
                    format!(
                        "{} {} {:?}",
                        m.cursor,
                        m.event.as_deref().unwrap_or("-"),
                        m.text().unwrap_or("?")
                    )
                }
                Item::Gap { from, cursor, missed } => format!("gap {from} {cursor} {missed}"),
                Item::Reset { reason, cursor } => format!("reset {reason} {cursor}"),
                Item::Retry(wait) => format!("retry {}", wait.as_millis()),
            })
            .collect()
    }
}
