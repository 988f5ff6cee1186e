//! The feeds: sibling files of one shape. Each says how *one* thing of a channel looks on its wire; none knows of sockets, logs or
//! positions. A feed writes units; [`Wire`] wraps a unit in a chunk where the transfer coding asks for it.
//!
//! | file | hello | message | gap, reset | heartbeat | goodbye |
//! |---|---|---|---|---|---|
//! | `poll.rs`, `longpoll.rs` | – | JSON array | 410 | – | an empty answer |
//! | `sse.rs` | `retry:` and `id:` | `id: event: data:` | `event: gap` | `:` | `retry:` |
//! | `sse.rs` objects | a JSON object | a JSON object | a JSON object | empty data | `retry:` |
//! | `stream.rs` | a JSON line | a JSON line | a JSON line | an empty line | end of body |
//! | `xhr.rs` | padding, a JSON line | a JSON line | a JSON line | an empty line | end of body |
//! | `multipart.rs` mixed | a JSON part | a JSON part | a JSON part | an empty part | closing delimiter |
//! | `multipart.rs` replace | a delimiter | a part: the payload | a field of the next part | a field of the next part | closing delimiter |
//! | `iframe.rs` | a page, padding, a call | a script with a call | a call | an empty line | end of page |
//! | `jsonp.rs` | – | one call with a poll's answer | in the answer | – | an empty answer |
//! | `raw.rs` | – | the payload | a cut | – | a cut |
//! | `ws.rs` bare | – | the payload | close 4410 | ping | close 1012 |
//! | `ws.rs` tidewire.v1 | a JSON object | a JSON object | a JSON object | ping | close 1012 |

pub(crate) mod iframe;
pub(crate) mod jsonp;
pub(crate) mod longpoll;
pub(crate) mod multipart;
pub(crate) mod poll;
pub(crate) mod raw;
pub(crate) mod script;
pub(crate) mod sse;
pub(crate) mod stream;
pub(crate) mod ws;
pub(crate) mod xhr;

use tidewire_chunked::ChunkHead;
use tidewire_server::Response;

use crate::gzip::{self, Sum};
use crate::message::{Message, Object};

/// A message at its place, as a feed writes it.
pub(crate) struct Envelope<'a> {
    /// The position after this message.
    pub(crate) cursor: &'a str,
    /// Which channel, where the connection has several.
    pub(crate) channel: Option<&'a str>,
    pub(crate) message: &'a Message,
}

/// Why what follows is not the next of what was.
pub(crate) enum Break<'a> {
    Gap { from: &'a str, missed: u64 },
    Reset { reason: &'static str },
}

impl<'a> Break<'a> {
    /// As the object that says it; what follows starts after `cursor`.
    pub(crate) fn object<'b>(&self, cursor: &'b str) -> Object<'b>
    where
        'a: 'b,
    {
        match *self {
            Break::Gap { from, missed } => Object::Gap { from, cursor, missed },
            Break::Reset { reason } => Object::Reset { reason, cursor },
        }
    }
}

/// What a stream begins with.
pub(crate) struct Greeting<'a> {
    /// Where it begins: what follows comes after this.
    pub(crate) cursor: &'a str,
    /// When to come back after a cut.
    pub(crate) retry_ms: u32,
    /// The function that a page wants to be called, a checked name.
    pub(crate) callback: &'a str,
}

/// Whether a connection goes on after a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Flow {
    Continue,
    /// The unit was the last one: close after it is written.
    End,
}

/// How a stream spells things. Implementations are stateless, so what they write is the same for every subscriber of a group.
pub(crate) trait Feed: Sync {
    /// Adds the media type, and what else the readers of this feed must know from the head.
    fn head(&self, response: Response) -> Response;
    /// First on every stream.
    fn hello(&self, out: &mut Vec<u8>, greeting: &Greeting<'_>);
    fn message(&self, out: &mut Vec<u8>, envelope: &Envelope<'_>);
    fn discontinuity(&self, out: &mut Vec<u8>, what: &Break<'_>, cursor: &str) -> Flow;
    fn heartbeat(&self, out: &mut Vec<u8>);
    /// Last on every stream that the server ends.
    fn goodbye(&self, out: &mut Vec<u8>, retry_ms: u32);
}

/// The streams there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Sse,
    SseObjects,
    Stream,
    Xhr,
    Mixed,
    Replace,
    Iframe,
    WsBare { deflate: bool },
    WsV1 { deflate: bool },
}

impl Kind {
    /// Whether its body may be compressed as a whole: text that is read as it comes, by clients that decode it as it comes.
    pub(crate) fn may_be_gzip(self) -> bool {
        matches!(self, Kind::Sse | Kind::SseObjects | Kind::Stream)
    }

    /// Whether it compresses messages, each by itself.
    pub(crate) fn deflates(self) -> bool {
        matches!(self, Kind::WsBare { deflate: true } | Kind::WsV1 { deflate: true })
    }

    pub(crate) fn feed(self) -> &'static dyn Feed {
        match self {
            Kind::Sse => &sse::Sse,
            Kind::SseObjects => &sse::Objects,
            Kind::Stream => &stream::Stream,
            Kind::Xhr => &xhr::Xhr,
            Kind::Mixed => &multipart::Mixed,
            Kind::Replace => &multipart::Replace,
            Kind::Iframe => &iframe::Iframe,
            Kind::WsBare { deflate: false } => &ws::Bare { deflate: false },
            Kind::WsBare { deflate: true } => &ws::Bare { deflate: true },
            Kind::WsV1 { deflate: false } => &ws::V1 { deflate: false },
            Kind::WsV1 { deflate: true } => &ws::V1 { deflate: true },
        }
    }
}

/// A feed on a connection: what is written, and whether it goes out in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wire {
    pub(crate) kind: Kind,
    /// HTTP/1.1 streams are chunked; HTTP/1.0 streams and WebSocket are not.
    pub(crate) chunked: bool,
    /// The body is compressed, batch by batch.
    pub(crate) gzip: bool,
}

/// Units as they go out.
pub(crate) struct Packed {
    pub(crate) bytes: Vec<u8>,
    /// Of the bytes before they were compressed; nothing where they were not.
    pub(crate) sum: Sum,
}

impl Packed {
    pub(crate) fn compressions(&self) -> u64 {
        u64::from(self.sum != Sum::default())
    }
}

impl Wire {
    /// Writes one unit. [`pack`](Self::pack) makes of all that was written what goes out.
    pub(crate) fn unit<R>(self, out: &mut Vec<u8>, write: impl FnOnce(&dyn Feed, &mut Vec<u8>) -> R) -> R {
        let start = out.len();
        let result = write(self.kind.feed(), out);
        if !self.gzip {
            self.chunk(out, start);
        }
        result
    }

    /// Units for the midst of a body. Compressed they are one chunk, else each is one already.
    pub(crate) fn pack(self, units: Vec<u8>) -> Packed {
        self.pack_after(&[], units)
    }

    /// The first units of a body.
    pub(crate) fn pack_first(self, units: Vec<u8>) -> Packed {
        self.pack_after(&gzip::HEAD, units)
    }

    fn pack_after(self, head: &[u8], units: Vec<u8>) -> Packed {
        if !self.gzip || units.is_empty() {
            return Packed { bytes: units, sum: Sum::default() };
        }
        let mut bytes = head.to_vec();
        gzip::compress(&units, &mut bytes);
        self.chunk(&mut bytes, 0);
        Packed { bytes, sum: Sum::of(&units) }
    }

    /// Ends the stream in good order. `sum` is that of the body up to here.
    pub(crate) fn end(self, out: &mut Vec<u8>, retry_ms: u32, sum: Sum) {
        if self.gzip {
            let mut units = Vec::new();
            self.kind.feed().goodbye(&mut units, retry_ms);
            gzip::compress(&units, out);
            gzip::end(sum.then(Sum::of(&units)), out);
            self.chunk(out, 0);
        } else {
            self.unit(out, |feed, out| feed.goodbye(out, retry_ms));
        }
        if self.chunked {
            out.extend_from_slice(tidewire_chunked::LAST_CHUNK);
        }
    }

    /// Makes a chunk of what is in `out` from `start` on.
    fn chunk(self, out: &mut Vec<u8>, start: usize) {
        // A unit may be empty; an empty chunk would end the body.
        if let Some(head) = ChunkHead::new((out.len() - start) as u64).filter(|_| self.chunked) {
            let mut bytes = [0; ChunkHead::MAX_LEN];
            let len = head.encode(&mut bytes).expect("the buffer has the longest length");
            out.splice(start..start, bytes[..len].iter().copied());
            out.extend_from_slice(b"\r\n");
        }
    }
}
