//! A WebSocket over any tokio stream.
//!
//! ```text
//!           poll_next                                             start_send
//! socket ──► the thread's read buffer ──► Connection ──► Message ──► (you) ──► Outbox ──► socket
//!            shared by all, 64 KiB         pong, close ─────────────────────►  one write, when
//!                                                                              nothing is left to decode
//! ```
//! A large binary message is read to its place, once its head and what came with it went that way, and written from there.
//!
//! # Batching
//!
//! What one read leads to leaves in one write: while a whole message that has arrived waits to be taken, `flush` (and so `send`)
//! leaves the bytes in the queue; they leave when `next` has nothing more to hand out. A loop that answers each message, written the
//! simplest way, so needs one write per read, which is six to nine times less work under pipelining. A handler that is slow
//! is not made slower: a millisecond after the read, flushing means writing. [`WebSocket::without_batching`] turns it off.
//!
//! The clock is asked with the first flush after a read. A later one passes it over if `next` handed out a message since the flush before, but
//! never more than three do so in a row. So while one message is handled, the second flush and all that follow go by the clock; and with slow
//! messages between, what waits leaves with the fourth flush behind its own at the latest, or when nothing is left to be taken.
//!
//! # Deadlines
//!
//! There is no clock in here, and so no deadline: a peer may take any time over one message. Set a
//! bound of your own. `tokio::time::timeout` around [`WebSocket::next`] bounds the silence between
//! two messages. For a message that has begun, [`WebSocket::connection`] says whether one is
//! unfinished and how much of it has come. Check it once a second, and give up a peer that is
//! slower than you allow. It also says whether a close is awaited.

mod keys;
mod payload;
mod read;
mod write;

use self::keys::Keys;
use crate::{Connection, EncodeError, Limits, Message, Outbox, PreparedMessage, Role};
use ::tokio::io::{AsyncRead, AsyncWrite};
use ::tokio::time::Instant;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_core::Stream;
use futures_sink::Sink;
use std::io;

/// A WebSocket over an `AsyncRead + AsyncWrite` on which the handshake is done: a [`Stream`] of and a [`Sink`] for [`Message`]s.
///
/// Pings are answered and closes replied to while it is polled. Reading is cancel-safe: what was read stays. `futures_util`'s
/// `split` makes two halves of it. While it waits it holds less than 1 KiB: reads go to a buffer of the thread's.
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
pub struct WebSocket<IO: AsyncWrite + Unpin> {
    io: IO,
    connection: Connection,
    /// Bytes that were read behind a message that was handed out; `taken` of them are decoded.
    input: Vec<u8>,
    taken: usize,
    outbox: Outbox,
    /// A client's source of masking keys.
    keys: Option<Box<Keys>>,
    write_limit: usize,
    when_full: WhenFull,
    batching: bool,
    phase: Phase,
    /// Until when answers may wait for others: not long after a read, and while it is not over.
    gather_until: Option<Instant>,
    /// A message of that read was handed out, behind its first, since that was asked.
    handed_out: bool,
    /// How many times in a row it was answered without the clock.
    unasked: u8,
    waiting: write::Waiting,
}

/// What happens to a message that is sent while more bytes than the limit wait to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The sender waits, so that the slowest reader sets the pace.
    #[default]
    Wait,
    /// The message is refused with [`Error::Full`]; what waits is kept, and later messages may pass.
    Refuse,
    /// The connection is closed with 1013 (try again later). What waits is still sent, nothing is added.
    Close,
}

/// Why a WebSocket cannot go on, or a message not be sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The stream failed.
    Io(io::Error),
    /// The peer broke the protocol or a limit. The close frame for it is sent.
    Protocol(crate::Error),
    /// The message cannot be sent.
    Encode(EncodeError),
    /// Too many bytes wait to be written.
    Full,
}

/// Where the reading stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Reading,
    /// The peer was wrong: what waits and a close are written, then this is told.
    Failing(crate::Error),
    /// All is said; what still arrives is dropped, up to this many bytes, so that the peer can read the close before a reset.
    Draining(usize),
    Over,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> WebSocket<IO> {
    /// The server's end.
    pub fn server(io: IO, limits: Limits) -> Self {
        Self::new(io, Connection::new(Role::Server, limits))
    }

    /// The client's end. Masking keys come from the operating system.
    pub fn client(io: IO, limits: Limits) -> Self {
        Self::new(io, Connection::new(Role::Client, limits))
    }

    /// Over a connection made before, such as one with permessage-deflate.
    pub fn new(io: IO, connection: Connection) -> Self {
        let keys = (connection.role() == Role::Client).then(Box::default);
        Self {
            io,
            connection,
            input: Vec::new(),
            taken: 0,
            outbox: Outbox::new(),
            keys,
            write_limit: WRITE_LIMIT,
            when_full: WhenFull::Wait,
            batching: true,
            phase: Phase::Reading,
            gather_until: None,
            handed_out: false,
            unasked: 0,
            waiting: write::Waiting::default(),
        }
    }

    /// Bytes that came behind the handshake's head and were read with it.
    #[must_use]
    pub fn with_read_ahead(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// How many bytes may wait to be written before data messages are treated as [`WhenFull`] says. Default 1 MiB, wait.
    ///
    /// One message may pass the limit, since it is not cut. Pongs and closes are not held back by it; at most one pong waits.
    #[must_use]
    pub fn with_write_limit(mut self, bytes: usize, when_full: WhenFull) -> Self {
        (self.write_limit, self.when_full) = (bytes.max(1), when_full);
        self
    }

    /// Makes `flush` always write.
    #[must_use]
    pub fn without_batching(mut self) -> Self {
        self.batching = false;
        self
    }

    /// The next message. `None` at the end, after a close handshake.
    ///
    /// After an error the stream ends: one more call waits until the peer has closed, which lets it read why. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Protocol`], both final. An end of the stream without a close frame is a
    /// [`NoClose`](crate::ErrorKind::NoClose); a reset after both close frames is no error.
    pub async fn next(&mut self) -> Option<Result<Message, Error>> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    /// Sends a message and [flushes](Self::flush).
    ///
    /// When cancelled, the message was either not taken at all or it is queued.
    ///
    /// # Errors
    /// As [`feed`](Self::feed) and [`flush`](Self::flush).
    pub async fn send(&mut self, message: Message) -> Result<(), Error> {
        if !self.has_room() {
            poll_fn(|cx| self.poll_room(cx)).await?;
        }
        self.queue(message)?;
        // Most of a batch ends here, without an await.
        if self.may_gather() { Ok(()) } else { self.flush().await }
    }

    /// Queues a message without flushing.
    ///
    /// # Errors
    /// [`Error::Encode`], [`Error::Full`], or [`Error::Io`] while waiting for room.
    pub async fn feed(&mut self, message: Message) -> Result<(), Error> {
        poll_fn(|cx| self.poll_room(cx)).await?;
        self.queue(message)
    }

    /// Queues a prepared message without flushing: its bytes are shared, not copied, where they are many. For a server.
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub async fn feed_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        poll_fn(|cx| self.poll_room(cx)).await?;
        self.make_room()?;
        self.queue_replies()?;
        let frame = self.connection.send_prepared(message)?.clone();
        self.outbox.push(frame);
        Ok(())
    }

    /// Writes what waits, now or, while more messages wait to be taken, when they are: see [batching](self#batching).
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_flush_lazily(cx)).await
    }

    /// Sends a close frame, unless one was sent, and writes all that waits. The peer's reply comes out of [`next`](Self::next).
    ///
    /// # Errors
    /// [`Error::Encode`] for a code or reason that cannot be sent, [`Error::Io`].
    pub async fn close(&mut self, code: Option<u16>, reason: &str) -> Result<(), Error> {
        self.queue_close(code, reason)?;
        poll_fn(|cx| self.poll_write_out(cx, write::Side::Sink)).await
    }
}

impl<IO: AsyncWrite + Unpin> WebSocket<IO> {
    /// The protocol's state: what to watch with deadlines.
    pub const fn connection(&self) -> &Connection {
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

impl<IO: AsyncRead + AsyncWrite + Unpin> Stream for WebSocket<IO> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_message(cx)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Sink<Message> for WebSocket<IO> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_room(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.queue(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_flush_lazily(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.queue_close(Some(crate::close::NORMAL), "")?;
        self.poll_write_out(cx, write::Side::Sink)
    }
}

/// Batched bytes that nobody flushed are given to the stream, as far as it takes them at once.
impl<IO: AsyncWrite + Unpin> Drop for WebSocket<IO> {
    fn drop(&mut self) {
        if !self.outbox.is_empty() && self.phase == Phase::Reading {
            let mut cx = Context::from_waker(core::task::Waker::noop());
            let _ = self.poll_write_out(&mut cx, write::Side::Sink);
        }
    }
}

impl<IO: AsyncWrite + Unpin> fmt::Debug for WebSocket<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("connection", &self.connection)
            .field("unwritten", &self.outbox.len())
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(e) => e.fmt(f),
            Self::Protocol(e) => e.fmt(f),
            Self::Encode(e) => e.fmt(f),
            Self::Full => f.write_str("too many bytes wait to be written"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(e) => Some(e),
            Self::Protocol(e) => Some(e),
            Self::Encode(e) => Some(e),
            Self::Full => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<crate::Error> for Error {
    fn from(error: crate::Error) -> Self {
        Self::Protocol(error)
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

const WRITE_LIMIT: usize = 1 << 20;
