//! The fields and options of a WebSocket over a tokio stream. `read.rs` and `write.rs` have its
//! actions.

use super::keys::MaskingKeys;
use super::wakers::Wakers;
use crate::{Client, Connection, Limits, Outbox, Role, Server};
use ::tokio::io::{AsyncRead, AsyncWrite};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

/// A WebSocket over an `AsyncRead + AsyncWrite`, after the handshake. It is a
/// [`Stream`](futures_core::Stream) and a [`Sink`](futures_sink::Sink) of
/// [`Message`](crate::Message)s.
///
/// It answers pings and closes while [`next`](Self::next) is polled. Reading is cancel-safe: no
/// bytes are lost. `futures_util`'s `split` divides it into two halves. A waiting WebSocket takes
/// less than 1 KiB, since it reads into a buffer of the thread.
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
    pub(super) io: IO,
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
    pub(super) lost: bool,
}

/// What happens to a message if more bytes than the limit wait to be written.
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

/// The state of the reading half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Reading,
    /// The peer broke a rule. The queue and a close are written, then this error is returned.
    Failing(crate::Error),
    /// The close is sent. Up to this many bytes that still arrive are dropped, so that a reset does
    /// not destroy the close before the peer reads it.
    Draining(usize),
    Over,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> WebSocket<IO, Server> {
    /// Returns the server's end.
    pub fn server(io: IO, limits: Limits) -> Self {
        Self::new(io, Connection::new(limits))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> WebSocket<IO, Client> {
    /// Returns the client's end. Masking keys come from the operating system.
    pub fn client(io: IO, limits: Limits) -> Self {
        Self::new(io, Connection::new(limits))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> WebSocket<IO, R> {
    /// Returns a WebSocket over an existing connection, such as one with permessage-deflate.
    pub fn new(io: IO, connection: Connection<R>) -> Self {
        Self {
            io,
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
            lost: false,
        }
    }

    /// Passes bytes that were read together with the handshake, after its head.
    #[must_use]
    pub fn with_read_ahead(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Sets how many bytes may wait to be written, and what then happens to data messages. Default
    /// 1 MiB and [`WhenFull::Wait`].
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
        &self.io
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

const WRITE_LIMIT: usize = 1 << 20;
