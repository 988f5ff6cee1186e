//! What a connection finds in the bytes.

use crate::Kind;
use crate::frame::Opcode;

/// What [`Connection::decode`](crate::Connection::decode) hands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// A part of a message: instead of the two above, after
    /// [`Connection::in_pieces`](crate::Connection::in_pieces).
    Piece {
        /// What the message is. The pieces of a text are UTF-8 when put together; one alone may end
        /// inside a character.
        kind: Kind,
        /// Empty only where the message ends with an empty frame.
        data: &'a [u8],
        /// Whether the message ends here.
        last: bool,
    },
    /// A ping. Its pong is in the output already.
    Ping(&'a [u8]),
    /// A pong: the answer to a ping of ours, or a heartbeat that nobody asked for.
    Pong(&'a [u8]),
    /// The peer's close. The reply is in the output already; nothing that follows is read.
    Close {
        /// `None` if the frame was empty (an API would report 1005).
        code: Option<u16>,
        /// Up to 123 bytes, for people to read.
        reason: &'a str,
    },
}

/// What the bytes up to here complete. Lengths are of the last bytes consumed.
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
