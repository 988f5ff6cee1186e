//! The writing half: messages into the queue, and the queue into the stream.

use super::error::Error;
use super::wakers::Side;
use super::websocket::{Phase, WebSocket, WhenFull};
use crate::{Message, PreparedMessage, Role, close};
use ::tokio::io::{AsyncRead, AsyncWrite};
use ::tokio::time::Instant;
use bytes::Buf as _;
use core::future::poll_fn;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use core::time::Duration;
use futures_sink::Sink;
use std::io::{self, IoSlice};

impl<IO: AsyncRead + AsyncWrite + Unpin> WebSocket<IO> {
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
        if self.may_batch() { Ok(()) } else { self.flush().await }
    }

    /// Queues a message without flushing.
    ///
    /// # Errors
    /// [`Error::Encode`], [`Error::Full`], or [`Error::Io`] while waiting for room.
    pub async fn feed(&mut self, message: Message) -> Result<(), Error> {
        poll_fn(|cx| self.poll_room(cx)).await?;
        self.queue(message)
    }

    /// Queues a prepared message without flushing: its bytes are shared, not copied, where they are
    /// many. For a server.
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

    /// Writes what waits, now or, while more messages wait to be taken, when they are: see
    /// [batching](crate::tokio#batching).
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_flush_lazily(cx)).await
    }

    /// Sends a close frame, unless one was sent, and writes all that waits. The peer's reply comes
    /// out of [`next`](Self::next).
    ///
    /// # Errors
    /// [`Error::Encode`] for a code or reason that cannot be sent, [`Error::Io`].
    pub async fn close(&mut self, code: Option<u16>, reason: &str) -> Result<(), Error> {
        self.queue_close(code, reason)?;
        poll_fn(|cx| self.poll_write_out(cx, Side::Sink)).await
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
        self.queue_close(Some(close::NORMAL), "")?;
        self.poll_write_out(cx, Side::Sink)
    }
}

/// Batched bytes that nobody flushed are given to the stream, as far as it takes them at once.
impl<IO: AsyncWrite + Unpin> Drop for WebSocket<IO> {
    fn drop(&mut self) {
        if !self.outbox.is_empty() && self.phase == Phase::Reading {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = self.poll_write_out(&mut cx, Side::Sink);
        }
    }
}

impl<IO: AsyncWrite + Unpin> WebSocket<IO> {
    /// Writes all that waits, then the replies that are owed. While the queue is long, a pong waits
    /// in the connection, where the next one replaces it: pings from a peer that never reads gather
    /// nothing.
    pub(super) fn poll_write_out(&mut self, cx: &mut Context<'_>, side: Side) -> Poll<Result<(), Error>> {
        loop {
            if self.outbox.is_empty() {
                self.outbox.release();
                if !self.connection.has_output() {
                    return Poll::Ready(Ok(()));
                }
                self.queue_replies()?;
            }
            let written = self.poll_write_queue(cx);
            if written.is_pending() {
                self.outbox.shrink();
            }
            self.wakers.note(cx, side, written.is_pending());
            ready!(written)?;
        }
    }

    fn poll_write_queue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.outbox.has_remaining() {
            let io = Pin::new(&mut self.io);
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            // One slice is the ordinary case, and the kernel takes it for less outside of a vector.
            let written =
                match if io.is_write_vectored() { self.outbox.chunks_vectored(&mut slices) } else { 1 } {
                    1 => io.poll_write(cx, self.outbox.chunk()),
                    n => io.poll_write_vectored(cx, &slices[..n]),
                };
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.outbox.advance(n),
            }
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Writes, unless messages are still to be taken whose answers can go along.
    fn poll_flush_lazily(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.may_batch() { Poll::Ready(Ok(())) } else { self.poll_write_out(cx, Side::Sink) }
    }

    /// Whether what waits may wait for more, because messages are still to be taken.
    #[inline]
    fn may_batch(&mut self) -> bool {
        let Some(until) = self.batch_until else { return false };
        let handed_out = mem::take(&mut self.handed_out);
        let may = self.batching
            && self.outbox.len() < MAX_BATCH
            && self.connection.is_open()
            && self.connection.has_frame(&self.input[self.decoded..]);
        if !may {
            return false;
        }
        // The clock costs as much as decoding. A message that was taken since shows that the
        // handler goes on; but it is asked with the first, so that a slow handler is found at once,
        // and with every fourth.
        if handed_out && self.clock_skips < MAX_CLOCK_SKIPS {
            self.clock_skips += 1;
            return true;
        }
        self.clock_skips = 0;
        if Instant::now() >= until {
            self.batch_until = None;
        }
        self.batch_until.is_some()
    }

    fn has_room(&self) -> bool {
        self.outbox.len() < self.write_limit || self.when_full != WhenFull::Wait
    }

    /// Waits for room, where that is what to do without it.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.has_room() {
            return Poll::Ready(Ok(()));
        }
        match self.poll_write_out(cx, Side::Sink) {
            Poll::Pending if self.outbox.len() < self.write_limit => Poll::Ready(Ok(())),
            written => written,
        }
    }

    #[inline]
    fn queue(&mut self, message: Message) -> Result<(), Error> {
        if message.is_data() {
            self.make_room()?;
        }
        // Replies to what came before leave before.
        if self.connection.has_output() {
            self.queue_replies()?;
        }
        let masking_key = self.key()?;
        Ok(self.connection.send(message, masking_key, &mut self.outbox)?)
    }

    /// What happens to a data message when too much waits.
    fn make_room(&mut self) -> Result<(), Error> {
        if self.outbox.len() < self.write_limit {
            return Ok(());
        }
        if self.when_full == WhenFull::Close && self.connection.is_open() {
            self.queue_close(Some(close::TRY_AGAIN_LATER), "this reader is too slow")?;
        }
        Err(Error::Full)
    }

    fn queue_close(&mut self, code: Option<u16>, reason: &str) -> Result<(), Error> {
        if !self.connection.is_open() {
            return Ok(());
        }
        self.queue_replies()?;
        let masking_key = self.key()?;
        Ok(self.connection.send_close(code, reason, masking_key, self.outbox.tail())?)
    }

    /// Queues the pong or the close that the protocol owes.
    pub(super) fn queue_replies(&mut self) -> Result<(), Error> {
        if !self.connection.has_output() {
            return Ok(());
        }
        // A pong and a close at most.
        let mut keys = [self.key()?, self.key()?].into_iter();
        self.connection.take_output_masked(|| keys.next().unwrap_or_default(), self.outbox.tail());
        Ok(())
    }

    #[inline]
    fn key(&mut self) -> Result<[u8; 4], Error> {
        debug_assert_eq!(self.keys.is_some(), self.connection.role() == Role::Client);
        Ok(match &mut self.keys {
            Some(keys) => keys.next()?,
            None => [0; 4],
        })
    }
}

/// More waits for no further messages.
const MAX_BATCH: usize = 64 * 1024;
/// How many times in a row the clock is not asked.
const MAX_CLOCK_SKIPS: u8 = 3;
/// How long after a read answers may wait for others.
pub(super) const BATCH_TIME: Duration = Duration::from_millis(1);
const MAX_SLICES: usize = 16;
