//! Messages in pieces: what is received without collecting it.

use super::payload::Incoming;
use crate::{Connection, Event, Kind, Message, Role};
use bytes::Bytes;

/// What [`WebSocket::next_piece`](super::WebSocket::next_piece) returns: a part of a message, or a
/// control frame, which may come between two parts.
///
/// [`WebSocket::next_piece`](super::WebSocket::next_piece) has an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Piece {
    /// A part of a text or binary message.
    Data {
        /// Whether the message is text or binary. A piece of a text may end inside a character. All
        /// pieces together are UTF-8.
        kind: Kind,
        /// At most 64 KiB, or 600 KiB of a compressed message. Empty only if the message ends with
        /// an empty frame.
        data: Bytes,
        /// Whether the message begins here.
        first: bool,
        /// Whether the message ends here.
        last: bool,
    },
    /// A ping, a pong or a close. A ping and a close are answered already, so a proxy that forwards
    /// a ping gets two pongs.
    Control(Message),
}

impl<R: Role> Incoming<R> for Piece {
    const IN_PIECES: bool = true;

    fn decode(
        connection: &mut Connection<R>,
        input: &mut [u8],
    ) -> Result<(usize, Option<Self>), crate::Error> {
        let mut used = 0;
        loop {
            let rest = &mut input[used..];
            let len = rest.len();
            // The rest of a frame that is not compressed is one piece. Otherwise compressed data
            // may follow, which can inflate to a thousand times its length.
            let window = match connection.frames.payload_due() {
                Some(1..) => len,
                _ => len.min(MAX_COMPRESSED),
            };
            let (n, piece) = decode(connection, &mut rest[..window])?;
            used = used.saturating_add(n);
            // A header and a control frame are shorter than the window. So if nothing was used, the
            // window has only a part of one, and is the whole rest.
            if piece.is_some() || n == 0 || used == input.len() {
                return Ok((used, piece));
            }
        }
    }
}

fn decode<R: Role>(
    connection: &mut Connection<R>,
    input: &mut [u8],
) -> Result<(usize, Option<Piece>), crate::Error> {
    let first = !connection.piece_begun;
    let (n, event) = connection.decode(input)?;
    let piece = match event {
        None => return Ok((n, None)),
        Some(Event::Piece { kind, data, last }) => {
            let data = Bytes::copy_from_slice(data);
            connection.piece_begun = !last;
            Piece::Data { kind, data, first, last }
        }
        // These two only if the connection is not in pieces, which the caller has checked.
        Some(Event::Text(text)) => {
            Piece::Data { kind: Kind::Text, data: Bytes::copy_from_slice(text.as_bytes()), first, last: true }
        }
        Some(Event::Binary(data)) => {
            Piece::Data { kind: Kind::Binary, data: Bytes::copy_from_slice(data), first, last: true }
        }
        Some(Event::Ping(data)) => Piece::Control(Message::Ping(Bytes::copy_from_slice(data))),
        Some(Event::Pong(data)) => Piece::Control(Message::Pong(Bytes::copy_from_slice(data))),
        Some(Event::Close { code, reason }) => Piece::Control(Message::Close { code, reason: reason.into() }),
    };
    Ok((n, Some(piece)))
}

/// DEFLATE expands by a factor of at most 1032, so this many bytes inflate to at most 516 KiB. The
/// longest header and control frame have 14 and 131 bytes.
const MAX_COMPRESSED: usize = 512;
