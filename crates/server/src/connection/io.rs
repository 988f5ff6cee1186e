//! Reading, writing and closing: where a connection waits for its socket, always with a deadline.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Cycle, End, GATHER, Step, Stop};
use crate::Handler;

impl<H: Handler> Cycle<H> {
    /// Writes what is owed, then waits for bytes and consumes them.
    pub(super) async fn read(&mut self) -> Result<Step<H::Ticket>, End<H::Ticket>> {
        self.flush().await.map_err(|_| End::Gone)?;
        let within = !self.input.is_empty();
        let limits = &self.worker.limits;
        let mut idle_since = None;
        if !self.head_begun {
            // The deadline of a head is set once, at its first byte: bytes that dribble in do not move it.
            let head = within || self.first;
            idle_since =
                Some(self.deadline.set(if head { limits.head_timeout } else { limits.idle_timeout }));
            self.head_begun = within;
        }
        let worker = self.worker.clone();
        let mut leaving = false;
        let (read, step) = poll_fn(|cx| {
            let mut scratch = worker.scratch.borrow_mut();
            match self.stream.poll_read(cx, &mut scratch) {
                Poll::Ready(Ok(n)) if n > 0 => Poll::Ready((Ok(()), Some(self.consume(&scratch[..n])))),
                Poll::Ready(_) => Poll::Ready((Err(Stop::Gone), None)),
                // The socket was read first. Single bytes of a head do not move its deadline.
                Poll::Pending if self.deadline.expired(cx) => Poll::Ready((Err(Stop::TimedOut), None)),
                // A request that has come is answered, though the server stops. One may be under way: a client that got an answer a moment
                // ago and goes on has no way to know whether a request that met a FIN was carried out. So it gets its time.
                Poll::Pending if worker.draining.get() && !within && !leaving => {
                    let idle = idle_since
                        .map_or(Duration::MAX, |since| self.deadline.now().saturating_duration_since(since));
                    let left = worker.limits.drain_time.saturating_sub(idle);
                    if left.is_zero() {
                        return Poll::Ready((Err(Stop::Gone), None));
                    }
                    leaving = true;
                    self.deadline.set(left);
                    Poll::Pending
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        match (read, step) {
            (Ok(()), Some(step)) => Ok(step),
            (Err(Stop::TimedOut), _) if within => Ok(self.refuse(Stop::TimedOut)),
            (Err(Stop::Gone), _) if within => match self.http.finish() {
                Err(error) => Ok(self.refuse(Stop::Refused(error))),
                Ok(_) => Err(End::Close),
            },
            _ => Err(End::Close),
        }
    }

    /// Consumes what was read. In the usual case, a whole request in one read, nothing is copied.
    fn consume(&mut self, bytes: &[u8]) -> Step<H::Ticket> {
        if self.input.is_empty() {
            let (used, step) = self.advance(bytes);
            self.input.extend_from_slice(&bytes[used..]);
            step
        } else {
            self.input.extend_from_slice(bytes);
            self.advance_input()
        }
    }

    pub(super) async fn flush(&mut self) -> Result<(), Stop> {
        if self.output.is_empty() {
            return Ok(());
        }
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        while self.written < self.output.len() {
            match self.stream.poll_write(cx, &self.output[self.written..]) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    self.written += n;
                    self.stalled = false;
                }
                Poll::Ready(_) => return Poll::Ready(Err(Stop::Gone)),
                Poll::Pending => {
                    let deadline =
                        self.write_deadline.get_or_insert_with(|| self.worker.deadlines.register());
                    if !std::mem::replace(&mut self.stalled, true) {
                        deadline.set(self.worker.limits.write_timeout);
                    }
                    return if deadline.expired(cx) { Poll::Ready(Err(Stop::Gone)) } else { Poll::Pending };
                }
            }
        }
        self.written = 0;
        // An idle connection holds no memory for its output, a busy one keeps it.
        if self.output.capacity() > GATHER {
            self.output = Vec::new();
        } else {
            self.output.clear();
        }
        Poll::Ready(Ok(()))
    }

    /// The end in good order: the last answer, FIN, and a short time in which what still comes is thrown away, however much: a peer in
    /// the middle of a large upload sends on until it sees the answer. Closing with unread input would make the kernel send a
    /// reset, which can destroy the answer on its way.
    pub(super) async fn close(&mut self) {
        if self.flush().await.is_err() {
            return;
        }
        let worker = self.worker.clone();
        self.deadline.set(worker.limits.drain_time);
        let mut finished = false;
        poll_fn(|cx| {
            if !finished {
                match self.stream.poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => finished = true,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
            let mut scratch = worker.scratch.borrow_mut();
            loop {
                if self.deadline.expired(cx) {
                    return Poll::Ready(());
                }
                match self.stream.poll_read(cx, &mut scratch) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(n)) if n > 0 => {}
                    Poll::Ready(_) => return Poll::Ready(()),
                }
            }
        })
        .await;
    }

    /// While an endless stream is silent: has the peer hung up? Bytes of a next request are kept, within bounds.
    pub(super) fn peer_left(&mut self, cx: &mut Context<'_>) -> bool {
        let worker = self.worker.clone();
        let mut scratch = worker.scratch.borrow_mut();
        while self.exchange.feeder.is_none() && self.input.len() < usize::from(worker.limits.http.max_head) {
            match self.stream.poll_read(cx, &mut scratch) {
                Poll::Pending => return false,
                Poll::Ready(Ok(n)) if n > 0 => self.input.extend_from_slice(&scratch[..n]),
                Poll::Ready(_) => return true,
            }
        }
        false
    }
}
