//! The events that a connection decodes.

use crate::Kind;
use crate::frame::Opcode;

/// What [`Connection::decode`](crate::Connection::decode) yields.
///
/// ```
/// use tidewire_ws::{Connection, Event, Limits, Server};
/// let mut connection = Connection::<Server>::new(Limits::DEFAULT);
/// let mut input = *b"\x81\x82\0\0\0\0Hi\x88\x80\0\0\0\0";
/// let (mut used, mut log) = (0, Vec::new());
/// while let (n, Some(event)) = connection.decode(&mut input[used..])? {
///     used += n;
///     log.push(match event {
///         Event::Text(text) => format!("text {text}"),
///         Event::Binary(data) => format!("{} bytes", data.len()),
///         Event::Close { code, .. } => format!("closed with {code:?}"),
///         _ => continue,
///     });
/// }
/// assert_eq!(log, ["text Hi", "closed with None"]);
/// # Ok::<(), tidewire_ws::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// A part of a message. It replaces `Text` and `Binary` after
    /// [`Connection::in_pieces`](crate::Connection::in_pieces).
    Piece {
        /// Whether the message is text or binary. A piece of a text may end inside a character. All
        /// pieces together are UTF-8.
        kind: Kind,
        /// Empty only if the message ends with an empty frame.
        data: &'a [u8],
        /// Whether the message ends here.
        last: bool,
    },
    /// A ping. `take_output` writes its pong.
    Ping(&'a [u8]),
    /// A pong: the answer to a ping of this end, or a heartbeat of the peer.
    Pong(&'a [u8]),
    /// The peer's close. `take_output` writes the reply. Bytes after it are dropped.
    Close {
        /// `None` if the frame had no payload (an API reports 1005).
        code: Option<u16>,
        /// Up to 123 bytes, for people to read.
        reason: &'a str,
    },
}

/// What the consumed bytes complete. `len` counts from the end of the consumed bytes.
pub(crate) enum Found {
    Whole {
        len: usize,
    },
    Gathered,
    #[cfg(feature = "deflate")]
    InflatedPiece {
        last: bool,
    },
    Piece {
        len: usize,
        last: bool,
    },
    Control {
        opcode: Opcode,
        len: usize,
    },
}
