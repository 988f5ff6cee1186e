//! What is read: whole messages, or their pieces. A large payload is read straight into its
//! message, without a buffer between.

use crate::{Connection, Message, Role, socket};
use alloc::vec::Vec;
use bytes::buf::Limit;

/// What a WebSocket returns to its reader.
pub(super) trait Incoming<R: Role>: Sized {
    /// Whether the connection must be [in pieces](Connection::in_pieces).
    const IN_PIECES: bool;

    /// Returns the number of bytes used, and one item.
    fn decode(
        connection: &mut Connection<R>,
        input: &mut [u8],
    ) -> Result<(usize, Option<Self>), crate::Error>;

    /// Returns free memory after the bytes of a large binary message, for the rest of the current
    /// frame. Bytes that are read into it are not copied again. Report them with
    /// [`took_payload`](Self::took_payload).
    fn payload_room(_: &mut Connection<R>) -> Option<Limit<&mut Vec<u8>>> {
        None
    }

    /// Accepts the last `n` bytes of the message, which were read into the memory of
    /// [`payload_room`](Self::payload_room).
    fn took_payload(_: &mut Connection<R>, _n: usize) -> Option<Self> {
        None
    }
}

impl<R: Role> Incoming<R> for Message {
    const IN_PIECES: bool = false;

    #[inline(always)]
    fn decode(
        connection: &mut Connection<R>,
        input: &mut [u8],
    ) -> Result<(usize, Option<Self>), crate::Error> {
        connection.decode_owned(input)
    }

    fn payload_room(connection: &mut Connection<R>) -> Option<Limit<&mut Vec<u8>>> {
        socket::payload_room(connection)
    }

    fn took_payload(connection: &mut Connection<R>, n: usize) -> Option<Self> {
        socket::took_payload(connection, n)
    }
}
