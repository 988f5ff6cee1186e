//! What a WebSocket over a tokio stream holds. What it does is in `read.rs` and `write.rs`.

use super::keys::MaskingKeys;
use super::wakers::Wakers;
use crate::{Client, Connection, Limits, Outbox, Role, Server};
use ::tokio::io::{AsyncRead, AsyncWrite};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

/// A WebSocket over an `AsyncRead + AsyncWrite` on which the handshake is done: a
/// [`Stream`](futures_core::Stream) of and a [`Sink`](futures_sink::Sink) for
/// [`Message`](crate::Message)s.
///
/// Pings are answered and closes replied to while it is polled. Reading is cancel-safe: what was
/// read stays. `futures_util`'s `split` makes two halves of it. While it waits it holds less than 1
/// KiB: reads go to a buffer of the thread's.
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
    /// Bytes that were read behind a message that was handed out; `decoded` of them are.
    pub(super) input: Vec<u8>,
    pub(super) decoded: usize,
    pub(super) outbox: Outbox,
    /// A client's source of masking keys, once a frame was sent.
    pub(super) keys: Option<Box<MaskingKeys>>,
    pub(super) write_limit: usize,
    pub(super) when_full: WhenFull,
    pub(super) phase: Phase,
    pub(super) wakers: Wakers,
}

/// What happens to a message that is sent while more bytes than the limit wait to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The sender waits, so that the slowest reader sets the pace.
    #[default]
    Wait,
    /// The message is refused with [`Error::Full`](super::Error::Full); what waits is kept, and
    /// later messages may pass.
    Refuse,
    /// The connection is closed with 1013 (try again later). What waits is still sent, nothing is
    /// added.
    Close,
}

/// Where the reading stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Reading,
    /// The peer was wrong: what waits and a close are written, then this is told.
    Failing(crate::Error),
    /// All is said; what still arrives is dropped, up to this many bytes, so that the peer can read
    /// the close before a reset.
    Draining(usize),
    Over,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> WebSocket<IO, Server> {
    /// The server's end.
    pub fn server(io: IO, limits: Limits) -> Self {
        Self::new(io, Connection::new(limits))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> WebSocket<IO, Client> {
    /// The client's end. Masking keys come from the operating system.
    pub fn client(io: IO, limits: Limits) -> Self {
        Self::new(io, Connection::new(limits))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> WebSocket<IO, R> {
    /// Over a connection made before, such as one with permessage-deflate.
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
        }
    }

    /// Bytes that came behind the handshake's head and were read with it.
    #[must_use]
    pub fn with_read_ahead(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// How many bytes may wait to be written before data messages are treated as [`WhenFull`] says.
    /// Default 1 MiB, wait.
    ///
    /// One message may pass the limit, since it is not cut. Pongs and closes are not held back by
    /// it; at most one pong waits.
    #[must_use]
    pub fn with_write_limit(mut self, bytes: usize, when_full: WhenFull) -> Self {
        (self.write_limit, self.when_full) = (bytes.max(1), when_full);
        self
    }
}

impl<IO: AsyncWrite + Unpin, R: Role> WebSocket<IO, R> {
    /// The protocol's state: what to watch with deadlines.
    pub const fn connection(&self) -> &Connection<R> {
        &self.connection
    }

    /// How many bytes wait to be written.
    pub fn unwritten(&self) -> usize {
        self.outbox.len()
    }

    /// The stream below.
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
