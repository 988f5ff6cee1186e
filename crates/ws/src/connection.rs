//! The fields of a connection and its getters. `receive.rs` and `send.rs` have its actions.

#[cfg(feature = "deflate")]
use crate::deflate::{self, Deflate};
use crate::frame::Opcode;
use crate::incoming::IncomingMessage;
use crate::pong::PongPayload;
use crate::state::State;
use crate::{Error, FrameDecoder, Kind, Limits, Role};
use alloc::boxed::Box;

/// One end of an open connection, from the first byte after the handshake until it is closed.
///
/// [`decode`](Self::decode) takes bytes and returns [`Event`](crate::Event)s. Replies that the
/// protocol owes are kept until [`take_output`](Self::take_output). There is no socket and no
/// clock: the caller sets deadlines, and watches [`awaiting_close`](Self::awaiting_close) and
/// [`message_unfinished`](Self::message_unfinished).
///
/// A connection without an unfinished message takes 160 bytes or less, and nothing on the heap.
///
/// ```
/// use tidewire_ws::{Connection, Event, Limits, Server};
/// let mut server = Connection::<Server>::new(Limits::DEFAULT);
/// let mut input = *b"\x89\x82\x01\x02\x03\x04ik\x82\x80\x00\x00\x00\x00";
///
/// let (n, event) = server.decode(&mut input).unwrap();
/// assert_eq!((n, event), (8, Some(Event::Ping(b"hi"))));
/// let mut out = Vec::new();
/// server.take_output(&mut out);
/// assert_eq!(out, b"\x8a\x02hi");
///
/// let (n, event) = server.decode(&mut input[8..]).unwrap();
/// assert_eq!((n, event), (6, Some(Event::Binary(b""))));
/// assert_eq!(server.decode(&mut input[14..]), Ok((0, None)));
/// ```
#[derive(Debug)]
pub struct Connection<R> {
    pub(crate) frames: FrameDecoder<R>,
    pub(crate) message: IncomingMessage,
    /// The payload of the latest ping, until `take_output` takes its pong.
    pub(crate) pong: Option<Box<PongPayload>>,
    #[cfg(feature = "deflate")]
    pub(crate) deflate: Option<Deflate>,
    /// The fragmented message that is being sent.
    pub(crate) sending: Option<Kind>,
    /// The peer's close code, for our reply.
    pub(crate) peer_close_code: Option<u16>,
    pub(crate) state: State,
    /// The control frame whose payload is not complete.
    pub(crate) control: Option<Opcode>,
    pub(crate) in_pieces: bool,
    /// The buffer holds a message that was returned already.
    pub(crate) delivered: bool,
    /// A piece was returned that is not the last one of its message.
    #[cfg(feature = "tokio")]
    pub(crate) piece_begun: bool,
}

impl<R: Role> Connection<R> {
    /// Returns a connection right after its handshake.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            frames: FrameDecoder::new(limits),
            message: IncomingMessage::new(),
            pong: None,
            #[cfg(feature = "deflate")]
            deflate: None,
            sending: None,
            peer_close_code: None,
            state: State::Open,
            control: None,
            in_pieces: false,
            delivered: false,
            #[cfg(feature = "tokio")]
            piece_begun: false,
        }
    }

    /// Returns messages in pieces as they arrive, as [`Event::Piece`](crate::Event::Piece), instead
    /// of collecting them.
    ///
    /// For messages that need not be in memory as a whole, such as an upload. The limits still
    /// apply: raise them. A compressed message is returned as it inflates. If its data is damaged,
    /// the size of the reads decides how much of it was returned before the error.
    ///
    /// Read such a connection with [`decode`](Self::decode), or with `next_piece` of the tokio
    /// adapter. What returns whole messages refuses it: `decode_owned` and the codec with
    /// [`ErrorKind::InPieces`](crate::ErrorKind::InPieces), `next` with `Error::InPieces`.
    ///
    /// Call it between two messages. Inside a message it changes nothing.
    #[must_use]
    pub const fn in_pieces(mut self) -> Self {
        self.set_in_pieces();
        self
    }

    pub(crate) const fn set_in_pieces(&mut self) {
        // The bytes of a message that were collected already would be missing.
        if !self.message_unfinished() {
            self.in_pieces = true;
        }
    }

    /// Compresses and inflates as the handshake negotiated. `config` has the compression level and
    /// the shortest length of a message to compress.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(mut self, params: deflate::Params, config: &deflate::Config) -> Self {
        self.deflate = Some(Deflate::new(params, config));
        self.frames.allow_rsv1();
        self
    }

    /// Whether [`take_output`](Self::take_output) has something to write.
    #[inline]
    #[must_use]
    pub const fn has_output(&self) -> bool {
        self.pong.is_some() || self.state.owes_close()
    }

    /// Whether messages may be sent. True until a close frame is sent or received, or an error
    /// occurs.
    #[inline]
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Whether our close frame was sent and the peer's has not arrived. The caller should set a
    /// deadline for it.
    #[inline]
    #[must_use]
    pub const fn awaiting_close(&self) -> bool {
        matches!(self.state, State::CloseSent)
    }

    /// Whether the connection is over: both close frames were exchanged, or it failed and its close
    /// frame was taken.
    ///
    /// A server now closes the TCP connection. A client waits a moment until the server has done so
    /// (RFC 6455 §7.1.1). A reset of the TCP connection is not an error from here on.
    #[inline]
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.state.is_over()
    }

    /// Whether a message or a frame has begun and not ended. The caller should set a deadline for
    /// it.
    #[inline]
    #[must_use]
    pub const fn message_unfinished(&self) -> bool {
        !self.frames.is_between_messages()
    }

    /// Returns how many payload bytes of the unfinished message have arrived; 0 between two
    /// messages. A deadline can compare this number with the elapsed time, and so allow a slow peer
    /// that makes progress.
    #[must_use]
    pub const fn unfinished_len(&self) -> u64 {
        self.frames.message_received()
    }

    /// Whether a compressed message has begun and not ended. Until it ends, the connection holds an
    /// inflater and its output, which can be a thousand times the bytes that the peer sent. A
    /// server with many connections should limit how many of them inflate at one time.
    #[cfg(feature = "deflate")]
    #[inline]
    #[must_use]
    pub const fn is_inflating(&self) -> bool {
        self.frames.is_inside_compressed()
    }

    /// Returns the error with which the connection failed.
    #[inline]
    #[must_use]
    pub const fn error(&self) -> Option<Error> {
        self.frames.error()
    }
}

#[cfg(test)]
mod tests {
    use super::Connection;

    #[test]
    fn a_waiting_connection_is_small() {
        assert!(size_of::<Connection<crate::Server>>() <= 160, "{}", size_of::<Connection<crate::Server>>());
    }
}
