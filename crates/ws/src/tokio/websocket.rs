//! The fields and options of a WebSocket over a tokio stream. `read.rs` and `write.rs` have its
//! actions.

use super::wakers::Wakers;
use crate::socket::{MaskingKeys, Parts, Phase, WRITE_LIMIT};
use crate::utf8::PartialCharacter;
use crate::{Client, Connection, Limits, Outbox, Role, Server};
use ::tokio::io::{AsyncRead, AsyncWrite};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::pin::Pin;
use std::io;

/// A WebSocket over an `AsyncRead + AsyncWrite`, after the handshake. It is a
/// [`Stream`](futures_core::Stream) and a [`Sink`](futures_sink::Sink) of
/// [`Message`](crate::Message)s.
///
/// It answers pings and closes while [`next`](Self::next) is polled. Reading is cancel-safe: no
/// bytes are lost. [`split`](Self::split) divides it into a reader and a writer that can be cloned;
/// `futures_util::StreamExt::split` works too. A waiting WebSocket takes less than 1 KiB, since it
/// reads into a buffer of the thread.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use tidewire_ws::{Limits, Message, tokio::WebSocket};
/// let (server, client) = tokio::io::duplex(1024);
/// let mut server = WebSocket::server(server, Limits::DEFAULT);
/// let mut client = WebSocket::client(client, Limits::DEFAULT);
///
/// client.send("Hello".into()).await?;
/// while let Some(message) = server.next().await {
///     let message = message?;
///     if message.is_data() {
///         server.send(message).await?;
///         break;
///     }
/// }
/// assert_eq!(client.next().await.unwrap()?, Message::Text("Hello".into()));
/// # Ok::<(), tidewire_ws::tokio::Error>(()) }).unwrap();
/// ```
pub struct WebSocket<IO: AsyncWrite + Unpin, R: Role> {
    /// Always present, until `into_inner` takes it.
    pub(super) io: Option<IO>,
    pub(super) connection: Connection<R>,
    /// Bytes that were read after a returned message. The first `decoded` of them are decoded.
    pub(super) input: Vec<u8>,
    pub(super) decoded: usize,
    pub(super) outbox: Outbox,
    /// A client's source of masking keys. It is created with the first frame.
    pub(super) keys: Option<Box<MaskingKeys>>,
    pub(super) write_limit: usize,
    pub(super) when_full: WhenFull,
    pub(super) phase: Phase,
    pub(super) wakers: Wakers,
    /// The stream took bytes, and has not said since that they are flushed. It may be a buffer.
    pub(super) unflushed: bool,
    /// The stream failed before the queue was written. No later flush may succeed.
    pub(super) lost: Option<io::ErrorKind>,
    /// The stream is being called. It stays so if the stream panics.
    pub(super) in_call: bool,
    /// How many bytes the stream has taken.
    pub(super) written: u64,
    /// How many of them it has flushed.
    pub(super) flushed: u64,
    /// When so many bytes are written, they are flushed before the rest of the queue.
    pub(super) flush_at: u64,
    /// The end of the last piece of the text that is being sent in pieces.
    pub(super) sending_text: PartialCharacter,
    /// A read was refused, because it asked for pieces instead of messages or the other way round.
    pub(super) refused: bool,
}

/// What happens to a message if more bytes than the limit wait to be written.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// # let (server, client) = tokio::io::duplex(1024);
/// use tidewire_ws::tokio::{Error, WebSocket, WhenFull};
/// use tidewire_ws::{Limits, Message};
/// let socket = WebSocket::server(server, Limits::DEFAULT);
/// let mut socket = socket.with_write_limit(2000, WhenFull::Refuse);
/// let frame = Message::binary(vec![0; 1500]);
/// // The client reads nothing: the stream takes 1,024 bytes, and the rest waits.
/// for _ in 0..3 {
///     socket.queue(frame.clone()).await?;
/// }
/// assert!(matches!(socket.queue(frame).await, Err(Error::Full)));
/// # drop(client);
/// # Ok::<(), tidewire_ws::tokio::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The sender waits, so the reader sets the pace.
    #[default]
    Wait,
    /// The message is refused with [`Error::Full`](super::Error::Full). The queue stays, and later
    /// messages may be accepted.
    Refuse,
    /// The connection is closed with 1013 (try again later). The queue is still sent, and nothing
    /// is added to it.
    Close,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> WebSocket<IO, Server> {
    /// Returns the server's end of a stream after its handshake. If you read the request yourself,
    /// also pass the bytes that came after it:
    /// [`with_read_ahead`](Self::with_read_ahead).
    pub fn server(io: IO, limits: Limits) -> Self {
        Self::new(io, Connection::new(limits))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> WebSocket<IO, Client> {
    /// Returns the client's end of a stream after its handshake. Masking keys come from the
    /// operating system. If you read the answer yourself, also pass the bytes that came after it:
    /// [`with_read_ahead`](Self::with_read_ahead).
    pub fn client(io: IO, limits: Limits) -> Self {
        Self::new(io, Connection::new(limits))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> WebSocket<IO, R> {
    /// Returns a WebSocket over an existing connection, such as one with permessage-deflate.
    pub fn new(io: IO, connection: Connection<R>) -> Self {
        Self {
            io: Some(io),
            connection,
            input: Vec::new(),
            decoded: 0,
            outbox: Outbox::new(),
            keys: None,
            write_limit: WRITE_LIMIT,
            when_full: WhenFull::Wait,
            phase: Phase::Reading,
            wakers: Wakers::default(),
            unflushed: false,
            lost: None,
            in_call: false,
            written: 0,
            flushed: 0,
            flush_at: u64::MAX,
            sending_text: PartialCharacter::new(),
            refused: false,
        }
    }

    /// Passes bytes that were read together with the handshake, after its head.
    #[must_use]
    pub fn with_read_ahead(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Returns messages in pieces, with [`next_piece`](Self::next_piece) instead of
    /// [`next`](Self::next). As [`Connection::in_pieces`]: call it between two messages, for
    /// example right after the handshake.
    #[must_use]
    pub fn in_pieces(mut self) -> Self {
        self.connection.set_in_pieces();
        self
    }

    /// Sets how many bytes may wait to be written, and what then happens to data messages. Default
    /// 1 MiB and [`WhenFull::Wait`].
    ///
    /// A full queue does not stop the reading, with one exception: if the rule is not
    /// [`WhenFull::Wait`] and the WebSocket is not [`split`](Self::split), [`next`](Self::next)
    /// reads nothing until there is room. So a loop that answers each message goes at the pace of
    /// its peer. Messages that were read before are still returned.
    ///
    /// One message may exceed the limit, since messages are not cut. Pings and pongs that you send
    /// may exceed it by 4 KiB. A close and the answer to a ping are always accepted. While 4 KiB or
    /// more wait, a new ping replaces an earlier one that has no pong yet.
    #[must_use]
    pub fn with_write_limit(mut self, bytes: usize, when_full: WhenFull) -> Self {
        (self.write_limit, self.when_full) = (bytes.clamp(1, usize::MAX / 2), when_full);
        self
    }
}

impl<IO: AsyncWrite + Unpin, R: Role> WebSocket<IO, R> {
    /// Returns the state of the protocol, for deadlines.
    pub const fn connection(&self) -> &Connection<R> {
        &self.connection
    }

    /// The number of bytes that wait to be written.
    pub fn unwritten(&self) -> usize {
        self.outbox.len()
    }

    /// Returns the underlying stream.
    pub const fn get_ref(&self) -> &IO {
        self.io.as_ref().expect(TAKEN)
    }

    /// Returns the underlying stream, to set its options. Bytes that you read from it are missing
    /// in the WebSocket, and bytes that you write to it break its frames.
    pub const fn get_mut(&mut self) -> &mut IO {
        self.io.as_mut().expect(TAKEN)
    }

    /// Returns the stream, and everything that the WebSocket holds: bytes that are read but not
    /// decoded, and bytes that are queued but not written. Call [`flush`](Self::flush) first if
    /// they should be written.
    ///
    /// [`WebSocket::new`] with the `io` and the `connection`, and
    /// [`with_read_ahead`](Self::with_read_ahead) with the `unread` bytes, continue where this one
    /// stopped, if nothing is `unwritten`.
    pub fn into_inner(mut self) -> Parts<IO, R> {
        let mut unread = core::mem::take(&mut self.input);
        unread.drain(..self.decoded);
        let limits = *self.connection.frames.limits();
        Parts {
            io: self.io.take().expect(TAKEN),
            connection: core::mem::replace(&mut self.connection, Connection::new(limits)),
            unread,
            unwritten: core::mem::take(&mut self.outbox),
        }
    }

    pub(super) fn io(&mut self) -> Pin<&mut IO> {
        Pin::new(self.get_mut())
    }

    /// Whether the reading half writes: bytes wait to be written or flushed, or a reply is owed.
    pub(super) fn is_writing(&self) -> bool {
        matches!(self.phase, Phase::Reading | Phase::Failing(_))
            && self.lost.is_none()
            && (!self.outbox.is_empty() || self.unflushed || self.connection.has_output())
    }

    /// Whether nothing is read until the queue has room.
    ///
    /// One task reads requests and queues the answers. With [`WhenFull::Wait`] the answers wait for
    /// room. With another rule, a peer that sends fast and reads slowly would soon be refused.
    ///
    /// Two tasks, one of which only reads, never wait: two peers with full queues would wait for
    /// each other for ever.
    pub(super) fn waits_for_room(&self) -> bool {
        self.when_full != WhenFull::Wait && !self.wakers.are_shared() && self.outbox.len() >= self.write_limit
    }

    /// Whether the reading half ends as soon as the queue is written, and reads nothing before.
    pub(super) fn ends_after_write(&self) -> bool {
        matches!(self.phase, Phase::Failing(_)) || self.connection.state.drops_input()
    }

    /// The position of the end of the queue in the bytes that are sent.
    pub(super) fn queued(&self) -> u64 {
        self.written.saturating_add(self.outbox.len() as u64)
    }

    /// Drops the queue, since the stream has failed. Another write would continue in the middle of
    /// a frame.
    pub(super) fn lose(&mut self, kind: io::ErrorKind) {
        self.lost.get_or_insert(kind);
        self.outbox.clear();
        self.unflushed = false;
    }
}

impl<IO: AsyncWrite + Unpin, R: Role> fmt::Debug for WebSocket<IO, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("connection", &self.connection)
            .field("unwritten", &self.outbox.len())
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

pub(super) const TAKEN: &str = "only `into_inner` takes the stream";
