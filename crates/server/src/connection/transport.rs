//! The socket of a connection with its input and output. Every wait has a deadline.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use tidewire_http1::Error;

use crate::Problem;
use crate::deadline::Deadline;
use crate::output::Output;
use crate::shared::Shared;
use crate::stream::Stream;
use crate::turns::Turns;

/// The largest number of bytes of output that wait while the input has more requests. Shared bytes
/// count too.
pub(super) const MAX_OUTPUT: usize = 64 * 1024;

pub(super) struct Transport {
    pub(super) shared: Rc<Shared>,
    pub(super) stream: Stream,
    /// The deadline of reads.
    pub(super) deadline: Deadline,
    /// Made when a write must wait. Most connections never need it.
    write_deadline: Option<Deadline>,
    /// Bytes that were read and not yet consumed. Between requests it is empty, without memory.
    pub(super) input: Vec<u8>,
    /// Bytes to be written.
    pub(super) output: Output,
    /// The last write could not write anything, and the write deadline runs.
    stalled: bool,
    /// The stream has taken all bytes, and has not passed all of them on.
    is_unflushed: bool,
}

/// Why a wait for the peer failed.
pub(super) enum Failure {
    /// The socket failed, or the peer left.
    Disconnected,
    TimedOut,
    /// The bytes of the peer break a rule, or are over a limit.
    Refused(Error),
}

impl Failure {
    /// What the peer is told, if it is still there. `max_body` is the limit of the body.
    pub(super) fn problem(self, max_body: u64) -> Option<Problem> {
        Some(match self {
            Failure::Disconnected => return None,
            Failure::TimedOut => Problem::new(408, "The request came too slowly. Send it again, faster."),
            Failure::Refused(error) if error.status_hint() == 413 => Problem::new(
                413,
                format!("The body is over the limit of {max_body} bytes. Send a shorter one."),
            ),
            Failure::Refused(error) => {
                Problem::new(error.status_hint(), format!("The request was not accepted: {error}."))
            }
        })
    }
}

impl Transport {
    /// `input` are bytes that were read before.
    pub(super) fn new(shared: Rc<Shared>, stream: Stream, input: Vec<u8>) -> Self {
        Transport {
            stream,
            deadline: shared.deadlines.register(),
            write_deadline: None,
            input,
            output: Output::default(),
            stalled: false,
            is_unflushed: false,
            shared,
        }
    }

    /// Reads once and appends to `input`. It reads before it checks the deadline: only bytes that
    /// are missing can be late.
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

    /// Returns whether the turn is over. If it is, the task is woken for its next turn.
    pub(super) fn turn_is_over(&self, cx: &mut Context<'_>) -> bool {
        let over = self.shared.turns.is_over();
        if over {
            Turns::end(cx);
        }
        over
    }

    /// Returns whether the peer has closed, checked while an endless stream has nothing to send.
    /// Bytes of a next request are kept up to a limit.
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

    /// Writes the output, and lets other connections run.
    pub(super) async fn pause(&mut self) -> Result<(), Failure> {
        self.flush().await?;
        self.shared.turns.pause().await;
        Ok(())
    }

    /// Writes all of the output.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        if self.output.is_empty() && !self.is_unflushed {
            return Ok(());
        }
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while !self.output.is_empty() {
            match self.output.poll_write(&mut self.stream, cx) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    self.stalled = false;
                    // If the peer reads as fast as this writes, a long answer takes several turns.
                    if !self.output.is_empty() && self.turn_is_over(cx) {
                        return Poll::Pending;
                    }
                }
                Poll::Ready(_) => return Poll::Ready(Err(Failure::Disconnected)),
                Poll::Pending => return self.poll_stalled(cx),
            }
        }
        // The buffer is kept for the next answer, unless it has grown.
        self.output.reset(MAX_OUTPUT);
        match self.stream.poll_flush(cx) {
            Poll::Ready(result) => {
                (self.is_unflushed, self.stalled) = (false, false);
                Poll::Ready(result.map_err(|_| Failure::Disconnected))
            }
            Poll::Pending => {
                self.is_unflushed = true;
                self.poll_stalled(cx)
            }
        }
    }

    /// Waits for the peer to take something, until the write deadline.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let deadline = self.write_deadline.get_or_insert_with(|| self.shared.deadlines.register());
        if !std::mem::replace(&mut self.stalled, true) {
            deadline.set(self.shared.limits.write_timeout);
        }
        if deadline.expired(cx) { Poll::Ready(Err(Failure::Disconnected)) } else { Poll::Pending }
    }

    /// Closes: writes the last answer, sends a FIN, and throws away what comes in a short time, any
    /// number of bytes. A peer in the middle of a large upload sends on until it sees the answer.
    /// If the socket closed with unread input, the kernel would send a reset, which can destroy the
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
