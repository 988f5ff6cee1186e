//! What every feed of a stream has to write.

use tidewire_server::Response;

use crate::message::Message;
use crate::object::Object;
use crate::out::Out;

/// How a stream looks on the wire. Implementations are stateless, so what they write is the same
/// for every subscriber of a group.
pub(crate) trait Feed: Sync {
    /// Adds the media type, and what else the readers of this feed must know from the head.
    fn head(&self, response: Response) -> Response;
    /// First on every stream.
    fn start(&self, out: &mut Vec<u8>, start: &StreamStart<'_>);
    fn message(&self, out: &mut Out<'_>, envelope: &Envelope<'_>);
    fn discontinuity(&self, out: &mut Vec<u8>, what: &Discontinuity<'_>, cursor: &str) -> Flow;
    fn heartbeat(&self, out: &mut Vec<u8>);
    /// Last on every stream that the server ends.
    fn end(&self, out: &mut Vec<u8>, retry_ms: u32);
}

/// What a stream begins with.
pub(crate) struct StreamStart<'a> {
    /// The position at which it begins: what follows comes after this.
    pub(crate) cursor: &'a str,
    /// When to come back after a cut.
    pub(crate) retry_ms: u32,
    /// The function that a page wants to be called, a checked name.
    pub(crate) callback: &'a str,
}

/// A message and its place in the stream.
pub(crate) struct Envelope<'a> {
    /// The position after this message.
    pub(crate) cursor: &'a str,
    /// Which channel, where the connection has several.
    pub(crate) channel: Option<&'a str>,
    pub(crate) message: &'a Message,
}

/// Why what follows does not continue what came before.
pub(crate) enum Discontinuity<'a> {
    Gap { from: &'a str, missed: u64 },
    Reset { reason: &'static str },
}

impl<'a> Discontinuity<'a> {
    /// The JSON object; what follows starts after `cursor`.
    pub(crate) fn object<'b>(&self, cursor: &'b str) -> Object<'b>
    where
        'a: 'b,
    {
        match *self {
            Discontinuity::Gap { from, missed } => Object::Gap { from, cursor, missed },
            Discontinuity::Reset { reason } => Object::Reset { reason, cursor },
        }
    }
}

/// Whether a connection goes on after a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Flow {
    Continue,
    /// The unit was the last one: close after it is written.
    End,
}
