//! The socket of a connection, with what was read and what is to be written. It always waits with a
//! deadline.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use tidewire_http1::Error;

use crate::deadline::Deadline;
use crate::output::Output;
use crate::shared::Shared;
use crate::stream::Stream;
use crate::turns::Turns;

/// Output that gathers before it is written though more requests are at hand. What is shared
/// counts too: it waits as well.
pub(super) const MAX_OUTPUT: usize = 64 * 1024;

pub(super) struct Transport {
    pub(super) shared: Rc<Shared>,
    pub(super) stream: Stream,
    /// For what is read.
    pub(super) deadline: Deadline,
    /// Made when a write has to wait, which most never do.
    write_deadline: Option<Deadline>,
    /// Bytes that were read and not yet consumed. Empty, and without memory, between requests.
    pub(super) input: Vec<u8>,
    /// What is to be written.
    pub(super) output: Output,
    /// The socket took nothing at the last try, and the write deadline runs.
    stalled: bool,
}

/// Why a wait for the peer ended without what it was for.
pub(super) enum Failure {
    /// The socket failed, or the peer left.
    Disconnected,
    TimedOut,
    /// What the peer sent breaks a rule, or is over a limit.
    Refused(Error),
}

impl Transport {
    /// `input` was read before.
    pub(super) fn new(shared: Rc<Shared>, stream: Stream, input: Vec<u8>) -> Self {
        Transport {
            stream,
            deadline: shared.deadlines.register(),
            write_deadline: None,
            input,
            output: Output::default(),
            stalled: false,
            shared,
        }
    }

    /// Adds to `input` what one read brings. The socket is read before the deadline is judged: only
    /// what is still missing can be late.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let mut scratch = self.shared.scratch.borrow_mut();
        match self.stream.poll_read(cx, &mut scratch) {
            Poll::Pending if self.deadline.expired(cx) => Poll::Ready(Err(Failure::TimedOut)),
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(n)) if n > 0 => {
                self.input.extend_from_slice(&scratch[..n]);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(_) => Poll::Ready(Err(Failure::Disconnected)),
        }
    }

    /// Whether the turn is over; then the task is woken for the next one.
    pub(super) fn turn_is_over(&self, cx: &mut Context<'_>) -> bool {
        let over = self.shared.turns.is_over();
        if over {
            Turns::end(cx);
        }
        over
    }

    /// While an endless stream is silent: has the peer hung up? Bytes of a next request are kept,
    /// within bounds.
    pub(super) fn peer_left(&mut self, cx: &mut Context<'_>) -> bool {
        let mut scratch = self.shared.scratch.borrow_mut();
        while self.input.len() < usize::from(self.shared.limits.http.max_head) {
            match self.stream.poll_read(cx, &mut scratch) {
                Poll::Pending => return false,
                Poll::Ready(Ok(n)) if n > 0 => self.input.extend_from_slice(&scratch[..n]),
                Poll::Ready(_) => return true,
            }
        }
        false
    }

    /// Writes all of the output.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        if self.output.is_empty() {
            return Ok(());
        }
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while !self.output.is_empty() {
            match self.output.poll_write(&mut self.stream, cx) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    self.stalled = false;
                    // A peer that reads as fast as this writes gets a long answer in turns.
                    if !self.output.is_empty() && self.turn_is_over(cx) {
                        return Poll::Pending;
                    }
                }
                Poll::Ready(_) => return Poll::Ready(Err(Failure::Disconnected)),
                Poll::Pending => {
                    let deadline =
                        self.write_deadline.get_or_insert_with(|| self.shared.deadlines.register());
                    if !std::mem::replace(&mut self.stalled, true) {
                        deadline.set(self.shared.limits.write_timeout);
                    }
                    return if deadline.expired(cx) {
                        Poll::Ready(Err(Failure::Disconnected))
                    } else {
                        Poll::Pending
                    };
                }
            }
        }
        // The buffer stays for the next answer, unless it has grown.
        self.output.reset(MAX_OUTPUT);
        Poll::Ready(Ok(()))
    }

    /// The end in good order: the last answer, FIN, and a short time in which what still comes is
    /// thrown away, however much: a peer in the middle of a large upload sends on until it sees the
    /// answer. Closing with unread input would make the kernel send a reset, which can destroy the
    /// answer on its way.
    pub(super) async fn close(&mut self) {
        if self.flush().await.is_err() {
            return;
        }
        self.deadline.set(self.shared.limits.drain_time);
        let mut finished = false;
        poll_fn(|cx| {
            if !finished {
                match self.stream.poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => finished = true,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
            let mut scratch = self.shared.scratch.borrow_mut();
            loop {
                if self.deadline.expired(cx) {
                    return Poll::Ready(());
                }
                match self.stream.poll_read(cx, &mut scratch) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(n)) if n > 0 && self.turn_is_over(cx) => return Poll::Pending,
                    Poll::Ready(Ok(n)) if n > 0 => {}
                    Poll::Ready(_) => return Poll::Ready(()),
                }
            }
        })
        .await;
    }
}
