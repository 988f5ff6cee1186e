//! Answers that are under way while the requests behind them are handled.
//!
//! ```text
//!   request 1 ─► handle ─► Pipelined ─┐
//!   request 2 ─► handle ─► Pipelined ─┼─► answers: 1 ─ 2 ─ 3 ─► written in this order, as soon as
//!   request 3 ─► handle ─► Pipelined ─┘                         the first of them is complete
//!   request 4: it may not overtake ───► next: what follows the last of them
//! ```

use std::collections::VecDeque;
use std::task::{Context, Poll};
use std::time::Instant;

use tidewire_http1::{BodyLength, Connection, Server};

use super::request_body::RequestBody;
use super::response_writer::{ResponseWriter, Unsendable, Written};
use super::transport::{Failure, MAX_OUTPUT, Transport};
use crate::Response;
use crate::reply::{LocalFuture, Reply};

/// The largest number of answers under way on one connection.
const MAX_ANSWERS: usize = 32;

/// The largest number of bytes of their requests. One request may be longer.
const MAX_BYTES: usize = 256 * 1024;

/// The answers under way, at least one, and what follows them.
pub(super) struct InFlight<T> {
    /// Each answer, and the length of its request.
    answers: VecDeque<(LocalFuture<Response>, usize)>,
    bytes: usize,
    pub(super) next: Next<T>,
    /// The last answer closes the connection.
    pub(super) closes: bool,
    /// How many bytes the input must have before its next request can be handled. 0 if it may have
    /// complete requests now.
    pub(super) needs: usize,
    /// The peer has ended its input, or the socket has failed.
    has_ended: bool,
}

/// What follows the last answer that is under way.
pub(super) enum Next<T> {
    /// Requests, which may be handled now.
    Requests,
    /// A request that must wait for the answers.
    Request,
    /// The reply to a request that was handled.
    Reply(Reply<T>),
    /// The refusal of a request.
    Refusal(Failure),
}

/// What became of the answers under way.
pub(super) enum Progress {
    /// There is room for more requests, and the input may have some.
    Requests,
    /// All are written. `next` says what follows.
    Over,
    /// The last answer that this connection sends is written.
    Closed,
    /// The peer has left, or the socket failed.
    Disconnected,
}

impl<T> InFlight<T> {
    pub(super) fn new() -> Self {
        InFlight {
            answers: VecDeque::new(),
            bytes: 0,
            next: Next::Requests,
            closes: false,
            needs: 0,
            has_ended: false,
        }
    }

    pub(super) fn push(&mut self, answer: LocalFuture<Response>, request_len: usize) {
        self.answers.push_back((answer, request_len));
        self.bytes += request_len;
    }

    /// Whether one more request may be handled. When the server stops, those that have come are
    /// the last ones.
    pub(super) fn takes_more(&self, is_draining: bool) -> bool {
        let has_room = self.answers.len() < MAX_ANSWERS && self.bytes < MAX_BYTES;
        has_room && matches!(self.next, Next::Requests) && !self.closes && !is_draining
    }

    /// How many bytes the input must have until this request is whole. `None` if there is no room
    /// for it, or nobody knows.
    pub(super) fn needed_for(&self, head_len: usize, body: BodyLength) -> Option<usize> {
        let BodyLength::Length(body) = body else { return None };
        let body = usize::try_from(body).ok()?;
        (body <= MAX_BYTES.saturating_sub(self.bytes)).then_some(head_len + body)
    }

    /// Writes the answers that are complete, and reads more requests while there is room for them.
    /// `gives_up` is that of the [`Handler`](crate::Handler).
    pub(super) fn poll(
        &mut self,
        transport: &mut Transport,
        gives_up: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Progress> {
        loop {
            if let Some(progress) = self.write_complete(transport, cx) {
                // What follows may leave in the same write.
                return Poll::Ready(progress);
            }
            let was_full = transport.output.len() >= MAX_OUTPUT;
            match transport.poll_flush(cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(Progress::Disconnected),
                Poll::Ready(Ok(())) if was_full => {}
                _ => break,
            }
        }
        if let Next::Reply(Reply::Later(future)) = &mut self.next
            && let Poll::Ready(reply) = future.as_mut().poll(cx)
        {
            self.next = Next::Reply(reply);
        }
        if !self.takes_more(transport.shared.draining.get()) || transport.output.len() >= MAX_OUTPUT {
            let has_left = gives_up && (self.has_ended || transport.peer_left(cx));
            return if has_left { Poll::Ready(Progress::Disconnected) } else { Poll::Pending };
        }
        while !self.has_ended {
            if transport.input.len() >= self.needs {
                return Poll::Ready(Progress::Requests);
            }
            match transport.poll_fill(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                // A client may close its sending side and still read.
                Poll::Ready(Err(_)) => self.has_ended = true,
            }
        }
        if gives_up { Poll::Ready(Progress::Disconnected) } else { Poll::Pending }
    }

    /// Writes the answers that are complete to the output. Returns `None` if some are not, or the
    /// output is full.
    fn write_complete(&mut self, transport: &mut Transport, cx: &mut Context<'_>) -> Option<Progress> {
        let mut now = None;
        // A client that does not read its answers gets no more of them.
        while transport.output.len() < MAX_OUTPUT {
            let Poll::Ready(mut response) = self.poll_first(cx) else { return None };
            self.closes |= response.close || transport.shared.draining.get();
            // The requests that were handled get their answers. So the last answer closes.
            let is_last = self.answers.is_empty() && matches!(self.next, Next::Requests | Next::Request);
            response.close = self.closes && is_last;
            let mut http = Connection::<Server>::answering_get(transport.shared.limits.parser());
            let mut writer = ResponseWriter {
                http: &mut http,
                output: &mut transport.output,
                shared: &transport.shared,
                request_body: &RequestBody::NONE,
                now: *now.get_or_insert_with(Instant::now),
                more: !is_last,
            };
            match if response.is_whole() { writer.respond(response) } else { Err(Unsendable) } {
                Ok(Written::All) if !writer.http.must_close() => {}
                Ok(_) => return Some(Progress::Closed),
                Err(Unsendable) => {
                    writer.refuse_unsendable();
                    return Some(Progress::Closed);
                }
            }
            if self.answers.is_empty() {
                return Some(Progress::Over);
            }
        }
        None
    }

    /// Takes the first answer if it is complete. Only this one is polled: when it wakes the task,
    /// those behind it are often complete too.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Response> {
        let Some((first, len)) = self.answers.front_mut() else { return Poll::Pending };
        let Poll::Ready(response) = first.as_mut().poll(cx) else { return Poll::Pending };
        self.bytes -= *len;
        self.answers.pop_front();
        Poll::Ready(response)
    }
}
