//! The feeds: sibling files of the same shape. Each knows how to ask for *one* feed, and what the
//! bytes of the feed mean. No feed knows the reader's cursor or the other feeds. No feed
//! reconnects.
//!
//! | file | asked for with | carries [`Item`]s as |
//! |---|---|---|
//! | `ws.rs` | an upgrade, subprotocol `tidewire.v1` | a JSON object per text message |
//! | `sse.rs` | `feed=sse&objects=1` | a JSON object per event; `retry:` |
//! | `stream.rs` | `feed=stream` | a JSON object per line |
//! | `longpoll.rs` | `feed=longpoll&wait=` | a JSON answer, or 410 |
//! | `poll.rs` | `feed=poll` | a JSON answer, or 410 |

mod decoder;
pub(crate) mod longpoll;
pub(crate) mod poll;
mod sse;
mod stream;
mod ws;

use tidewire_http1::{FieldBlock, Request};
use tokio::time::Instant;

use crate::answer::AnswerHead;
use crate::http::{Body, Http};
use crate::item::Item;
use crate::settings::Settings;
use crate::{Error, Feed};
use decoder::ItemDecoder;

/// An open streaming feed.
pub(crate) enum StreamingFeed {
    Response(Box<StreamedResponse>),
    WebSocket(Box<ws::Socket>),
}

/// A response with an endless body.
pub(crate) struct StreamedResponse {
    http: Http,
    decoder: Box<dyn ItemDecoder>,
    /// The bytes of the last read of the body.
    piece: Vec<u8>,
}

impl StreamingFeed {
    /// Opens a streaming feed at `since`. Returns when the server has accepted. It is not known
    /// then whether bytes get through.
    pub(crate) async fn open(
        feed: Feed,
        settings: &Settings,
        since: &str,
        deadline: Instant,
    ) -> Result<Self, Error> {
        let max = settings.max_message;
        let (media_type, decoder): (_, Box<dyn ItemDecoder>) = match feed {
            Feed::WebSocket => {
                return Ok(Self::WebSocket(Box::new(ws::Socket::open(settings, since, deadline).await?)));
            }
            Feed::Sse => (sse::MEDIA_TYPE, Box::new(sse::Sse::new(max))),
            // Polls are not streams: the caller opens them itself.
            Feed::Stream | Feed::LongPoll | Feed::Poll => {
                (stream::MEDIA_TYPE, Box::new(stream::Lines::new(max)))
            }
        };
        let mut http = Http::connect(&settings.url, usize::MAX, deadline).await?;
        let objects: &[_] = if feed == Feed::Sse { &[("objects", "1")] } else { &[] };
        let target =
            settings.url.target(&[&[("feed", feed.as_str())], objects, &[("since", since)]].concat());
        let accept = FieldBlock::from_pairs([("Accept", media_type)]).map_err(Error::field("Accept"))?;
        let fields = [&settings.fields, &accept];
        http.send(&Request::new("GET", &target, &settings.url.host).with_fields(&fields), None).await?;
        let head = http.head(AnswerHead::of).await?;
        match head.status {
            200 => {}
            // WHATWG HTML §9.2.2: this is how a server asks an event source not to come back.
            204 => return Err(Error::Stopped),
            _ => return Err(head.failure(&mut http).await.error),
        }
        head.require(media_type)?;
        Ok(Self::Response(Box::new(StreamedResponse { http, decoder, piece: Vec::new() })))
    }

    /// Waits for bytes and appends the items that they complete, if any. Items that were appended
    /// before an error are valid.
    pub(crate) async fn read(&mut self, items: &mut Vec<Item>) -> Result<(), Error> {
        match self {
            Self::WebSocket(socket) => socket.read(items).await,
            Self::Response(response) => {
                let StreamedResponse { http, decoder, piece } = &mut **response;
                let body = http.body(piece).await?;
                decoder.decode(piece, items)?;
                piece.clear();
                if body == Body::End { Err(Error::FeedEnded) } else { Ok(()) }
            }
        }
    }
}
