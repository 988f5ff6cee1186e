//! The writing half: messages into the queue, and the queue into the stream.

use super::{Error, WebSocket, WhenFull};
use crate::{Message, Role, close};
use ::tokio::io::AsyncWrite;
use ::tokio::time::Instant;
use bytes::Buf as _;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use core::time::Duration;
use std::io::{self, IoSlice};

/// Who polls. Split halves live in two tasks, but a stream remembers one writer only: the other one is woken from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Stream,
    Sink,
}

/// Who waits until something was written.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    stream: Option<Waker>,
    sink: Option<Waker>,
}

impl<IO: AsyncWrite + Unpin> WebSocket<IO> {
    /// Writes all that waits, then the replies that are owed. While the queue is long, a pong waits in the connection, where the
    /// next one replaces it: pings from a peer that never reads gather nothing.
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
            self.waiting.note(cx, side, written.is_pending());
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
    pub(super) fn poll_flush_lazily(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.may_gather() { Poll::Ready(Ok(())) } else { self.poll_write_out(cx, Side::Sink) }
    }

    /// Whether what waits may wait for more, because messages are still to be taken.
    #[inline]
    pub(super) fn may_gather(&mut self) -> bool {
        let Some(until) = self.gather_until else { return false };
        let handed_out = mem::take(&mut self.handed_out);
        let may = self.batching
            && self.outbox.len() < MAX_BATCH
            && self.connection.is_open()
            && self.connection.has_frame(&self.input[self.taken..]);
        if !may {
            return false;
        }
        // The clock costs as much as decoding. A message that was taken since shows that the handler goes on; but it is asked with the first,
        // so that a slow handler is found at once, and with every fourth.
        if handed_out && self.unasked < MAX_UNASKED {
            self.unasked += 1;
            return true;
        }
        self.unasked = 0;
        if Instant::now() >= until {
            self.gather_until = None;
        }
        self.gather_until.is_some()
    }

    pub(super) fn has_room(&self) -> bool {
        self.outbox.len() < self.write_limit || self.when_full != WhenFull::Wait
    }

    /// Waits for room, where that is what to do without it.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.has_room() {
            return Poll::Ready(Ok(()));
        }
        match self.poll_write_out(cx, Side::Sink) {
            Poll::Pending if self.outbox.len() < self.write_limit => Poll::Ready(Ok(())),
            written => written,
        }
    }

    #[inline]
    pub(super) fn queue(&mut self, message: Message) -> Result<(), Error> {
        if message.is_data() {
            self.make_room()?;
        }
        // Replies to what came before leave before.
        if self.connection.has_output() {
            self.queue_replies()?;
        }
        let mask = self.key()?;
        Ok(self.connection.send(message, mask, &mut self.outbox)?)
    }

    /// What happens to a data message when too much waits.
    pub(super) fn make_room(&mut self) -> Result<(), Error> {
        if self.outbox.len() < self.write_limit {
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
        let mask = self.key()?;
        Ok(self.connection.send_close(code, reason, mask, self.outbox.tail())?)
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

impl Waiting {
    /// Remembers who waits; wakes the other one when the writing went through.
    fn note(&mut self, cx: &Context<'_>, side: Side, pending: bool) {
        let (own, other) = match side {
            Side::Stream => (&mut self.stream, &mut self.sink),
            Side::Sink => (&mut self.sink, &mut self.stream),
        };
        if pending {
            match own {
                Some(waker) => waker.clone_from(cx.waker()),
                None => *own = Some(cx.waker().clone()),
            }
        } else {
            *own = None;
            if let Some(waker) = other.take() {
                waker.wake();
            }
        }
    }
}

/// More waits for no further messages.
const MAX_BATCH: usize = 64 * 1024;
/// How many times in a row the clock is not asked.
const MAX_UNASKED: u8 = 3;
/// How long after a read answers may wait for others.
pub(super) const GATHER_TIME: Duration = Duration::from_millis(1);
const MAX_SLICES: usize = 16;
