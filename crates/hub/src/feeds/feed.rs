//! The interface of all feeds of streams.

use tidewire_server::Response;
use tidewire_store::Message;

use crate::object::Object;
use crate::out::Out;

/// The format of a stream. Feeds have no state, so a feed writes the same bytes for all subscribers
/// of a group.
pub(crate) trait Feed: Sync {
    /// Adds the media type, and other fields that readers of this feed need.
    fn head(&self, response: Response) -> Response;
    /// Writes the first unit of a stream.
    fn start(&self, out: &mut Vec<u8>, start: &StreamStart<'_>);
    fn message(&self, out: &mut Out<'_>, envelope: &Envelope<'_>);
    fn discontinuity(&self, out: &mut Vec<u8>, what: &Discontinuity<'_>, cursor: &str) -> Flow;
    /// Tells that a channel has ended. Other channels of the stream may go on. A feed without a
    /// place for it writes nothing.
    fn end_of_channel(&self, out: &mut Vec<u8>, end: &ChannelEnd<'_>);
    fn heartbeat(&self, out: &mut Vec<u8>);
    /// Writes the last unit of a stream that the server ends.
    fn end(&self, out: &mut Vec<u8>, ending: &Ending<'_>);
}

/// The data of the first unit of a stream.
pub(crate) struct StreamStart<'a> {
    /// The position at which the stream starts.
    pub(crate) cursor: &'a str,
    /// The time after which to reconnect.
    pub(crate) retry_ms: u32,
    /// The function that a page wants to be called. The name was checked.
    pub(crate) callback: &'a str,
}

/// A message and its place in the stream.
pub(crate) struct Envelope<'a> {
    /// The position after this message.
    pub(crate) cursor: &'a str,
    /// The channel, if the connection has several.
    pub(crate) channel: Option<&'a str>,
    pub(crate) message: &'a Message,
}

/// The reason why the next message does not continue the last one.
pub(crate) enum Discontinuity<'a> {
    Gap { from: &'a str, missed: u64 },
    Reset { reason: &'static str },
}

impl<'a> Discontinuity<'a> {
    /// The JSON object. The stream goes on after `cursor`.
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

/// The end of a channel.
pub(crate) struct ChannelEnd<'a> {
    /// The position at the end.
    pub(crate) cursor: &'a str,
    /// The channel, if the connection has several.
    pub(crate) channel: Option<&'a str>,
}

impl<'a> ChannelEnd<'a> {
    /// The JSON object.
    pub(crate) fn object(&self) -> Object<'a> {
        Object::End { cursor: self.cursor, channel: self.channel }
    }
}

/// Why the server ends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending<'a> {
    /// The server stops. Readers should come back after this time.
    Stop { retry_ms: u32 },
    /// All channels of the stream have ended, and the reader was told.
    AllEnded,
    /// A channel was deleted. It has a name here if the connection has several.
    Deleted { channel: Option<&'a str> },
}

impl<'a> Ending<'a> {
    /// The JSON object that tells the reader. A stop has none: the reader comes back.
    pub(crate) fn object(&self) -> Option<Object<'a>> {
        match *self {
            Ending::Stop { .. } | Ending::AllEnded => None,
            Ending::Deleted { channel } => Some(Object::Deleted { channel }),
        }
    }
}

/// Whether a connection goes on after a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Flow {
    Continue,
    /// The unit is the last one: close the connection when it is written.
    End,
}
