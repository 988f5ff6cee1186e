//! What a connection holds, and what it can be asked. What it does is in `receive.rs` and
//! `send.rs`.

#[cfg(feature = "deflate")]
use crate::deflate::{self, Deflate};
use crate::frame::Opcode;
use crate::incoming::IncomingMessage;
use crate::pong::PongPayload;
use crate::state::State;
use crate::{Error, FrameDecoder, Kind, Limits, Role};
use alloc::boxed::Box;

/// One end of an open connection, from the first byte after the handshake: frames, messages,
/// control frames and the closing.
///
/// Bytes in, [`Event`](crate::Event)s out; what has to be answered gathers until
/// [`take_output`](Self::take_output). No socket and no clock: deadlines of the caller watch
/// [`awaiting_close`](Self::awaiting_close) and [`message_unfinished`](Self::message_unfinished).
///
/// A connection without an unfinished message holds no heap and is 160 bytes or less, so 10,000 can
/// wait cheaply.
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
    /// The latest ping's payload, until its pong is taken.
    pub(crate) pong: Option<Box<PongPayload>>,
    #[cfg(feature = "deflate")]
    pub(crate) deflate: Option<Deflate>,
    /// The fragmented message that is being sent.
    pub(crate) sending: Option<Kind>,
    /// The peer's close code, for our reply.
    pub(crate) peer_close_code: Option<u16>,
    pub(crate) state: State,
    /// The control frame whose payload has yet to come.
    pub(crate) control: Option<Opcode>,
    pub(crate) in_pieces: bool,
    /// The buffer holds a message that was handed out.
    pub(crate) delivered: bool,
}

impl<R: Role> Connection<R> {
    /// A connection right after its handshake.
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
        }
    }

    /// Hands messages out in pieces as they arrive, as [`Event::Piece`](crate::Event::Piece),
    /// instead of gathering them.
    ///
    /// For messages that need not be held whole, such as an upload. The limits stay as they are:
    /// raise them. A compressed message is handed out as it inflates; if it turns out to be
    /// damaged, how much of it has come by then depends on the reads.
    #[must_use]
    pub const fn in_pieces(mut self) -> Self {
        self.in_pieces = true;
        self
    }

    /// Compresses and inflates as the handshake agreed on. `config` says how hard to compress, and
    /// from which length on.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(mut self, params: deflate::Params, config: &deflate::Config) -> Self {
        self.deflate = Some(Deflate::new(params, config));
        self.frames.allow_rsv1();
        self
    }

    /// Whether something is owed to the peer.
    #[inline]
    #[must_use]
    pub const fn has_output(&self) -> bool {
        self.pong.is_some() || self.state.owes_close()
    }

    /// Whether messages may be sent: no close frame was sent or received, and nothing failed.
    #[inline]
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Whether our close is sent and the peer's has not come: the caller's deadline for that should
    /// run.
    #[inline]
    #[must_use]
    pub const fn awaiting_close(&self) -> bool {
        matches!(self.state, State::CloseSent)
    }

    /// Whether all is over: both close frames were exchanged, or the connection failed and the
    /// close for it was taken.
    ///
    /// A server shuts the TCP connection now; a client waits a moment for that (RFC 6455 §7.1.1). A
    /// reset is no error any more.
    #[inline]
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.state.is_over()
    }

    /// Whether a message or a frame has begun and not ended: a deadline of the caller's bounds how
    /// long a peer may take.
    #[inline]
    #[must_use]
    pub const fn message_unfinished(&self) -> bool {
        !self.frames.is_between_messages()
    }

    /// Payload bytes that have come of the message that is unfinished, for a deadline that is fair
    /// to slow peers; 0 between two messages.
    #[must_use]
    pub const fn unfinished_len(&self) -> u64 {
        self.frames.message_received()
    }

    /// Whether a compressed message has begun and not ended: until it does, the connection holds an
    /// inflater and what came out of it, which may be a thousand times what the peer has sent. A
    /// server with many connections bounds how many of them may be here at one time.
    #[cfg(feature = "deflate")]
    #[inline]
    #[must_use]
    pub const fn is_inflating(&self) -> bool {
        self.frames.is_inside_compressed()
    }

    /// The error that the connection failed with.
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
