//! The part that writes, which can be cloned.

use super::super::permit::Permit;
use super::super::waiting::Need;
use super::super::websocket::WebSocket;
use super::message_writer::MessageWriter;
use super::operation::{After, Before};
use super::shared::{Place, Shared};
use crate::socket::Error;
use crate::{Kind, Message, PreparedMessage, Role, Server, close};
use ::tokio::io::{AsyncRead, AsyncWrite};
use alloc::sync::Arc;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_sink::Sink;

#[cfg(doc)]
use super::super::websocket::WhenFull;
#[cfg(doc)]
use super::reader::Reader;
#[cfg(doc)]
use crate::EncodeErrorKind;

/// Sends messages to a WebSocket, after [`WebSocket::split`]. It can be cloned, and used from many
/// tasks at one time: all methods take `&self`.
///
/// A message is queued as a whole, so messages never mix. Writers that wait for room in the queue
/// get it in the order in which they came. So a future that waits and is not polled delays those
/// after it: drop it.
///
/// What is queued is written by `send` and `flush` of any writer, and by the [`Reader`] when it
/// waits in `next`. The limit of the queue is [`WebSocket::with_write_limit`], which is set before
/// the split.
///
/// # Cancelling
///
/// | dropped future | what was queued |
/// |---|---|
/// | [`reserve`](Self::reserve) | nothing |
/// | [`flush`](Self::flush), [`close`](Self::close) | as before: the queue stays, and a close is in it |
/// | [`send`](Self::send), [`queue`](Self::queue) | the whole message or nothing; the caller cannot know which |
///
/// A message that was queued cannot be taken back: its first bytes may be written, and later
/// messages may be compressed with it. So the last row cannot be better. If you send a message
/// again after a time-out, use `reserve`. Otherwise the peer may get it twice.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// # let (server, client) = tokio::io::duplex(1024);
/// # let mut client = tidewire_ws::tokio::WebSocket::client(client, tidewire_ws::Limits::DEFAULT);
/// use std::time::Duration;
/// use tidewire_ws::{Limits, PreparedMessage, tokio::WebSocket};
/// let (reader, writer) = WebSocket::server(server, Limits::DEFAULT).split();
/// let other = writer.clone();
/// other.send("Hello".into()).await?;
/// writer.queue_prepared(&PreparedMessage::text("to many")).await?;
/// writer.flush().await?;
/// assert_eq!((writer.unwritten(), client.next().await.unwrap()?), (0, "Hello".into()));
///
/// // A message that may be given up: it was queued if, and only if, there was a permit.
/// if let Ok(permit) = tokio::time::timeout(Duration::from_secs(1), writer.reserve()).await {
///     permit?.send("in time".into())?;
/// }
/// # drop(reader);
/// # Ok::<(), tidewire_ws::tokio::Error>(()) }).unwrap();
/// ```
pub struct Writer<IO: AsyncRead + AsyncWrite + Unpin, R: Role> {
    shared: Arc<Shared<IO, R>>,
    sink: SinkState,
}

/// What the `Sink` of one writer waits for.
#[derive(Default)]
struct SinkState {
    place: Place,
    /// `poll_ready` has returned a permit.
    permit: bool,
    /// `poll_flush` waits until the bytes before this position are flushed.
    end: Option<u64>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> Writer<IO, R> {
    pub(super) fn new(shared: Arc<Shared<IO, R>>) -> Self {
        Self { shared, sink: SinkState::default() }
    }

    pub(super) const fn shared(&self) -> &Arc<Shared<IO, R>> {
        &self.shared
    }

    /// Sends a message. When this returns, the stream has taken every byte of it. It does not wait
    /// for messages that other writers queue later.
    ///
    /// If the future is dropped before it is ready, the message is in the queue as a whole, or not
    /// at all: see [`reserve`](Self::reserve).
    ///
    /// # Errors
    /// As [`queue`](Self::queue) and [`flush`](Self::flush).
    pub async fn send(&self, message: Message) -> Result<(), Error> {
        let before = before(&message);
        self.shared.send(before, After::Flushed, |state| state.put(|socket| socket.put(message))).await
    }

    /// Queues a message. It is written by the next `send` or `flush` of any writer, by the reader
    /// while it waits in [`Reader::next`], or as soon as the queue has 64 KiB.
    ///
    /// It waits only with the rule [`WhenFull::Wait`]. With another rule it is ready at once, so a
    /// slow reader does not delay a broadcast.
    ///
    /// # Errors
    /// [`Error::Encode`], [`Error::Full`], and [`Error::Io`] of a write. With another rule than
    /// [`WhenFull::Wait`], [`EncodeErrorKind::MessageUnfinished`] while another writer sends a
    /// [`message`](Self::message) in pieces.
    pub async fn queue(&self, message: Message) -> Result<(), Error> {
        let before = before(&message);
        self.shared.send(before, After::Queued, |state| state.put(|socket| socket.put(message))).await
    }

    /// Writes what is queued now. When this returns, the stream has taken every byte of it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn flush(&self) -> Result<(), Error> {
        self.shared.flush().await
    }

    /// Sends a close frame, unless one was sent or received, and writes the queue. The reader
    /// returns the peer's reply. A message in pieces that is not finished stays so.
    ///
    /// # Errors
    /// [`Error::Encode`] for a code or reason that cannot be sent, [`Error::Io`].
    pub async fn close(&self, code: Option<u16>, reason: &str) -> Result<(), Error> {
        self.shared
            .send(Before::Nothing, After::Flushed, |state| state.socket.queue_close(code, reason))
            .await
    }

    /// Waits until a message may be queued. [`Permit::send`] then queues it at once. If this future
    /// is dropped, nothing was queued. See also [`WebSocket::reserve`].
    ///
    /// # Errors
    /// [`Error::Full`] according to [`WhenFull`], [`EncodeErrorKind::Closing`], and [`Error::Io`]
    /// of a write.
    pub async fn reserve(&self) -> Result<Permit<'_, IO, R>, Error> {
        self.shared.turn(Need::Room, |state| state.permits = state.permits.saturating_add(1)).await?;
        Ok(Permit::of_split(&self.shared))
    }

    /// As [`reserve`](Self::reserve), but does not wait. So one task can send to many writers, and
    /// skip those whose peer reads too slowly. The [`Reader`] writes what is queued while it waits
    /// in [`next`](Reader::next).
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve). [`Error::Full`] also with [`WhenFull::Wait`], and
    /// [`EncodeErrorKind::MessageUnfinished`] while another writer is inside a
    /// [`message`](Self::message).
    pub fn try_reserve(&self) -> Result<Permit<'_, IO, R>, Error> {
        self.shared.with(|state| {
            state.try_room()?;
            state.permits = state.permits.saturating_add(1);
            Ok(Permit::of_split(&self.shared))
        })?
    }

    /// Begins a message that is sent in pieces, so that a message of any length takes little
    /// memory. Until it is finished, messages of other writers wait. Pings, pongs and a close of
    /// other writers are sent between its pieces.
    ///
    /// It waits until no other writer is inside a message or has a [`Permit`]. A `Sink` that was
    /// polled ready has one until its `start_send`.
    ///
    /// # Errors
    /// [`EncodeErrorKind::Closing`], [`Error::Io`]. With another rule than [`WhenFull::Wait`],
    /// [`EncodeErrorKind::MessageUnfinished`] or [`Error::Full`] instead of waiting.
    pub async fn message(&self, kind: Kind) -> Result<MessageWriter<'_, IO, R>, Error> {
        self.shared.turn(Need::Message, |state| state.message_begun = true).await?;
        Ok(MessageWriter::new(&self.shared, kind))
    }

    /// The number of bytes that wait to be written, of all writers.
    pub fn unwritten(&self) -> usize {
        self.with_ref(WebSocket::unwritten)
    }

    /// Looks at the WebSocket, as [`Reader::with_ref`] does.
    pub fn with_ref<T>(&self, look: impl FnOnce(&WebSocket<IO, R>) -> T) -> T {
        self.shared.look(look)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Writer<IO, Server> {
    /// Sends a prepared message, as [`send`](Self::send) does.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_prepared(&self, message: &PreparedMessage) -> Result<(), Error> {
        self.shared
            .send(Before::Turn, After::Flushed, |state| state.put(|socket| socket.put_prepared(message)))
            .await
    }

    /// Queues a prepared message, as [`queue`](Self::queue) does. A frame of 4 KiB or more is
    /// shared, not copied.
    ///
    /// # Errors
    /// As [`queue`](Self::queue).
    pub async fn queue_prepared(&self, message: &PreparedMessage) -> Result<(), Error> {
        self.shared
            .send(Before::Turn, After::Queued, |state| state.put(|socket| socket.put_prepared(message)))
            .await
    }
}

const fn before(message: &Message) -> Before {
    match message {
        Message::Text(_) | Message::Binary(_) => Before::Turn,
        Message::Ping(_) | Message::Pong(_) => Before::ControlRoom,
        Message::Close { .. } => Before::Nothing,
    }
}

/// Each clone is a `Sink` of its own. `poll_flush` waits for what was queued before it was called.
/// `poll_close` closes the WebSocket, for all writers.
impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> Sink<Message> for Writer<IO, R> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Self { shared, sink } = self.get_mut();
        if sink.permit {
            return Poll::Ready(Ok(()));
        }
        let polled = shared.with(|state| {
            let polled = state.poll_turn(&mut sink.place, Need::Room, cx);
            if let Poll::Ready(Ok(())) = polled {
                state.permits = state.permits.saturating_add(1);
                sink.permit = true;
            }
            polled
        });
        polled.unwrap_or_else(|error| Poll::Ready(Err(error)))
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        let Self { shared, sink } = self.get_mut();
        sink.end = None;
        shared.with(|state| {
            if !core::mem::take(&mut sink.permit) {
                return state.socket.enqueue(message);
            }
            state.permits = state.permits.saturating_sub(1);
            state.put(|socket| socket.put(message))
        })?
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Self { shared, sink } = self.get_mut();
        let polled = shared.with(|state| {
            let end = *sink.end.get_or_insert_with(|| state.socket.queued());
            state.poll_flush_to(&mut sink.place, end, cx)
        });
        let polled = polled.unwrap_or_else(|error| Poll::Ready(Err(error)));
        if polled.is_ready() {
            sink.end = None;
        }
        polled
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Self { shared, sink } = &mut *self;
        shared.with(|state| {
            if state.socket.connection.is_open() {
                sink.end = None;
            }
            state.socket.queue_close(Some(close::NORMAL), "")
        })??;
        self.poll_flush(cx)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> Clone for Writer<IO, R> {
    fn clone(&self) -> Self {
        Self::new(self.shared.clone())
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> Drop for Writer<IO, R> {
    fn drop(&mut self) {
        self.shared.leave(&mut self.sink.place);
        if self.sink.permit {
            // After a panic, permits do not matter.
            let _ = self.shared.with(|state| state.permits = state.permits.saturating_sub(1));
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> fmt::Debug for Writer<IO, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}
