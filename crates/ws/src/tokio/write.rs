//! The writing half: from messages to the queue, and from the queue to the stream.

use super::wakers::Half;
use super::websocket::{TAKEN, WebSocket, WhenFull};
use crate::socket::{CONTROL_ROOM, Error, MAX_BATCH, MAX_SLICES, Phase};
use crate::utf8::PartialCharacter;
use crate::{EncodeError, EncodeErrorKind, Kind, Message, PreparedMessage, Role, Server, close};
use ::tokio::io::{AsyncRead, AsyncWrite};
use bytes::{Buf as _, Bytes};
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use futures_sink::Sink;
use std::io::{self, IoSlice};

impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> WebSocket<IO, R> {
    /// Sends a message. When this returns, the stream has taken every byte of it.
    ///
    /// If the future is dropped before it is ready, the message is either in the queue as a whole
    /// or dropped as a whole, and the caller cannot know which. So do not send it again. Where a
    /// send may be cancelled, use [`reserve`](Self::reserve).
    ///
    /// # Errors
    /// As [`queue`](Self::queue) and [`flush`](Self::flush).
    pub async fn send(&mut self, message: Message) -> Result<(), Error> {
        if !self.has_room() {
            poll_fn(|cx| self.poll_room(cx)).await?;
        }
        self.enqueue(message)?;
        self.flush().await
    }

    /// Queues a message. The queue is written by the next [`send`](Self::send) or
    /// [`flush`](Self::flush), when [`next`](Self::next) would wait, or as soon as it has 64 KiB.
    ///
    /// For a loop that answers the messages that it reads: all answers to one read leave in one
    /// write. Call [`flush`](Self::flush) before you wait for anything other than
    /// [`next`](Self::next).
    ///
    /// # Errors
    /// [`Error::Encode`], [`Error::Full`], and [`Error::Io`] of a write.
    pub async fn queue(&mut self, message: Message) -> Result<(), Error> {
        if !self.has_room() {
            poll_fn(|cx| self.poll_room(cx)).await?;
        }
        self.enqueue(message)?;
        // Most messages end here, without an await.
        if self.outbox.len() < MAX_BATCH { Ok(()) } else { self.write_some().await }
    }

    /// Writes the queue. When this returns, the stream has taken every byte.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_write_out(cx, Half::Writer)).await
    }

    /// Sends a piece of a message, as a fragment. The first piece begins the message, and the
    /// `last` one ends it. When this returns, the stream has taken every byte. So a message of any
    /// length is sent in little memory.
    ///
    /// Until the last piece, only pings, pongs and the close may be sent. A message in pieces is
    /// not compressed. A piece of a text may end inside a character.
    ///
    /// Not to be called again after it was cancelled: the piece may be in the queue.
    ///
    /// # Errors
    /// As [`send`](Self::send). [`EncodeErrorKind::InvalidUtf8`] for a piece that is not UTF-8, and
    /// [`EncodeErrorKind::MessageUnfinished`] for a piece of the other kind.
    pub async fn send_piece(&mut self, kind: Kind, data: impl Into<Bytes>, last: bool) -> Result<(), Error> {
        let data = data.into();
        if !self.has_room() {
            poll_fn(|cx| self.poll_room(cx)).await?;
        }
        self.make_room()?;
        self.enqueue_piece(kind, data, last)?;
        self.flush().await
    }

    /// Sends a close frame, unless one was sent, and writes the queue. [`next`](Self::next) returns
    /// the peer's reply.
    ///
    /// # Errors
    /// [`Error::Encode`] for a code or reason that cannot be sent, [`Error::Io`].
    pub async fn close(&mut self, code: Option<u16>, reason: &str) -> Result<(), Error> {
        self.queue_close(code, reason)?;
        self.flush().await
    }

    /// Writes as much as the stream takes without waiting.
    async fn write_some(&mut self) -> Result<(), Error> {
        poll_fn(|cx| match self.poll_write_out(cx, Half::Writer) {
            Poll::Ready(written) => Poll::Ready(written),
            Poll::Pending => Poll::Ready(Ok(())),
        })
        .await
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> WebSocket<IO, Server> {
    /// Sends a prepared message, as [`send`](Self::send) does.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.enqueue_prepared(message).await?;
        self.flush().await
    }

    /// Queues a prepared message, as [`queue`](Self::queue) does. A frame of 4 KiB or more is
    /// shared, not copied.
    ///
    /// # Errors
    /// As [`queue`](Self::queue).
    pub async fn queue_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.enqueue_prepared(message).await?;
        if self.outbox.len() < MAX_BATCH { Ok(()) } else { self.write_some().await }
    }

    async fn enqueue_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        poll_fn(|cx| self.poll_room(cx)).await?;
        self.make_room()?;
        self.put_prepared(message)
    }
}

impl<IO: AsyncWrite + Unpin> WebSocket<IO, Server> {
    /// Queues a prepared message, also over the limit.
    pub(super) fn put_prepared(&mut self, message: &PreparedMessage) -> Result<(), Error> {
        self.queue_replies()?;
        let frame = self.connection.send_prepared(message)?.clone();
        self.outbox.push(frame);
        Ok(())
    }
}

/// `poll_flush` writes the queue. `start_send`, and so `SinkExt::feed`, only queues.
impl<IO: AsyncRead + AsyncWrite + Unpin, R: Role> Sink<Message> for WebSocket<IO, R> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_room(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.enqueue(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_write_out(cx, Half::Writer)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.queue_close(Some(close::NORMAL), "")?;
        self.poll_write_out(cx, Half::Writer)
    }
}

/// Bytes that are still queued are written, as far as the stream takes them without waiting.
impl<IO: AsyncWrite + Unpin, R: Role> Drop for WebSocket<IO, R> {
    fn drop(&mut self) {
        let usable = self.io.is_some() && !self.in_call && self.phase == Phase::Reading;
        if usable && (!self.outbox.is_empty() || self.unflushed) {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = self.poll_write_out(&mut cx, Half::Writer);
        }
    }
}

impl<IO: AsyncWrite + Unpin, R: Role> WebSocket<IO, R> {
    /// Writes the queue, then the replies that are owed. While the queue is long, a pong stays in
    /// the connection, where the next one replaces it. So a peer that sends pings and never reads
    /// takes no memory.
    pub(super) fn poll_write_out(&mut self, cx: &mut Context<'_>, half: Half) -> Poll<Result<(), Error>> {
        loop {
            if let Some(kind) = self.lost {
                self.outbox.clear();
                return Poll::Ready(Err(io::Error::from(kind).into()));
            }
            if self.outbox.is_empty() {
                self.outbox.release();
                if self.connection.has_output() {
                    self.queue_replies()?;
                } else if !self.unflushed {
                    return Poll::Ready(Ok(()));
                }
            }
            let both = self.wakers.of_both(cx, half);
            self.in_call = true;
            let written = match &both {
                Some(both) => self.poll_write_queue(&mut Context::from_waker(both)),
                None => self.poll_write_queue(cx),
            };
            self.in_call = false;
            if written.is_pending() {
                self.outbox.shrink();
            }
            if let Poll::Ready(Err(error)) = &written {
                self.lose(error.kind());
            }
            self.wakers.note(cx, half, written.is_pending());
            ready!(written)?;
        }
    }

    fn poll_write_queue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.outbox.has_remaining() {
            if self.unflushed && self.written >= self.flush_at {
                ready!(self.poll_flush_stream(cx))?;
            }
            let io = Pin::new(self.io.as_mut().expect(TAKEN));
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            // One slice is the usual case, and a plain write costs the kernel less than a vectored
            // one.
            let written =
                match if io.is_write_vectored() { self.outbox.chunks_vectored(&mut slices) } else { 1 } {
                    1 => io.poll_write(cx, self.outbox.chunk()),
                    n => io.poll_write_vectored(cx, &slices[..n]),
                };
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => {
                    self.unflushed = true;
                    self.written = self.written.saturating_add(n as u64);
                    self.outbox.advance(n);
                }
            }
        }
        self.poll_flush_stream(cx)
    }

    fn poll_flush_stream(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.io().poll_flush(cx))?;
        self.unflushed = false;
        self.flushed = self.written;
        self.flush_at = u64::MAX;
        Poll::Ready(Ok(()))
    }

    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.outbox.len() < self.write_limit
    }

    /// Whether a ping or a pong of the caller may be queued.
    #[inline]
    pub(super) fn has_control_room(&self) -> bool {
        self.outbox.len() < self.write_limit.saturating_add(CONTROL_ROOM)
    }

    /// Whether a queue should be written without a flush.
    #[inline]
    pub(super) fn is_batch(&self) -> bool {
        self.outbox.len() >= MAX_BATCH
    }

    /// Writes a full queue, as far as the stream takes it. A queue may be full only because nobody
    /// has flushed it. Then waits for room, if [`WhenFull::Wait`] says so.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.has_room() {
            return Poll::Ready(Ok(()));
        }
        match self.poll_write_out(cx, Half::Writer) {
            Poll::Pending if self.has_room() || self.when_full != WhenFull::Wait => Poll::Ready(Ok(())),
            written => written,
        }
    }

    #[inline]
    pub(super) fn enqueue(&mut self, message: Message) -> Result<(), Error> {
        match message {
            Message::Close { .. } => {}
            Message::Ping(_) | Message::Pong(_) if self.has_control_room() => {}
            _ => self.make_room()?,
        }
        self.put(message)
    }

    /// Queues a message, also over the limit.
    #[inline(always)]
    pub(super) fn put(&mut self, message: Message) -> Result<(), Error> {
        // Replies to earlier frames are sent first.
        if self.connection.has_output() {
            self.queue_replies()?;
        }
        let key = self.key()?;
        Ok(self.connection.put_owned(message, key, &mut self.outbox)?)
    }

    /// Queues a piece of a message, also over the limit.
    pub(super) fn enqueue_piece(&mut self, kind: Kind, data: Bytes, last: bool) -> Result<(), Error> {
        let mut text = self.sending_text;
        if self.connection.sending.is_none() {
            text = PartialCharacter::new();
        }
        if kind == Kind::Text {
            let mut checked = text.push(&data, |_| ());
            if checked.is_ok() && last && !text.is_whole() {
                checked = Err(data.len());
            }
            checked.map_err(|at| EncodeError::new(EncodeErrorKind::InvalidUtf8, at))?;
        }
        self.queue_replies()?;
        let key = self.key()?;
        self.connection.put_fragment_owned(kind, data, last, key, &mut self.outbox)?;
        self.sending_text = text;
        Ok(())
    }

    /// Applies [`WhenFull`] before a message, if the queue is full.
    pub(super) fn make_room(&mut self) -> Result<(), Error> {
        if self.has_room() {
            return Ok(());
        }
        if self.when_full == WhenFull::Close && self.connection.is_open() {
            self.queue_close(Some(close::TRY_AGAIN_LATER), "this reader is too slow")?;
        }
        Err(Error::Full)
    }

    pub(super) fn queue_close(&mut self, code: Option<u16>, reason: &str) -> Result<(), Error> {
        if !self.connection.is_open() {
            return Ok(());
        }
        self.queue_replies()?;
        let key = self.key()?;
        Ok(self.connection.put_own_close(code, reason, key, self.outbox.tail())?)
    }

    /// Queues the pong or the close that the protocol owes.
    pub(super) fn queue_replies(&mut self) -> Result<(), Error> {
        let keys = &mut self.keys;
        let mut key = || R::key(|| keys.get_or_insert_default().next());
        Ok(self.connection.put_replies(&mut key, self.outbox.tail())?)
    }

    #[inline]
    fn key(&mut self) -> Result<R::Key, Error> {
        Ok(R::key(|| self.keys.get_or_insert_default().next())?)
    }
}
