//! The body of the request that is being answered. It has arrived whole, or the handler pulls it,
//! or it is thrown away.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidewire_http1::{BodyLength, Connection, Error, Event, Fields, Server};

use super::transport::{Failure, Transport};
use crate::body::{Body, BodyError, BodySender, Demand};

/// What the head says about the body, and how much of it has come.
pub(super) struct RequestBody {
    /// The length in the head.
    pub(super) length: BodyLength,
    /// The largest number of bytes.
    pub(super) max: u64,
    /// The longest pause of a body that may come at any rate.
    pub(super) max_pause: Option<Duration>,
    /// Where to send the body. `None` if it has arrived whole.
    sender: Option<BodySender>,
    /// The client waits for a 100 before it sends the body, and has not got it.
    awaits_continue: bool,
    /// Bytes of the body that came, and the time spent waiting for them.
    received: u64,
    waited: Duration,
    waiting_since: Option<Instant>,
}

impl RequestBody {
    pub(super) const NONE: Self = RequestBody {
        length: BodyLength::Empty,
        max: 0,
        max_pause: None,
        sender: None,
        awaits_continue: false,
        received: 0,
        waited: Duration::ZERO,
        waiting_since: None,
    };

    /// Makes the body of the request whose head was just consumed: whole if `input` has all of it,
    /// pulled otherwise. Returns how many bytes of `input` were consumed.
    #[inline]
    pub(super) fn begin(
        &mut self,
        http: &mut Connection<Server>,
        expects_continue: bool,
        input: &[u8],
    ) -> Result<(usize, Body), Error> {
        if self.length.is_empty() {
            return Ok((0, Body::whole(Bytes::new())));
        }
        let declared = match self.length {
            BodyLength::Length(n) => Some(n),
            _ => None,
        };
        let awaits_continue = expects_continue && input.is_empty();
        let may_be_here = declared.is_none_or(|n| n <= input.len() as u64) && !awaits_continue;
        if !may_be_here {
            let (body, sender) = Body::pulled(declared);
            self.sender = Some(sender);
            self.awaits_continue = awaits_continue;
            return Ok((0, body));
        }
        let mut used = 0;
        let mut whole = Vec::new();
        let mut none = Fields::new();
        loop {
            match http.decode(&input[used..], &mut none)? {
                (n, Some(Event::Data(data))) => {
                    used += n;
                    whole.extend_from_slice(data);
                }
                (n, Some(Event::End)) => return Ok((used + n, Body::whole(whole.into()))),
                (n, Some(_)) => used += n,
                (n, None) => {
                    // Not all chunks have come. The handler gets those that have.
                    used += n;
                    let (body, sender) = Body::pulled(declared);
                    sender.push(&whole);
                    self.sender = Some(sender);
                    return Ok((used, body));
                }
            }
        }
    }

    /// Returns whether the body had arrived whole with its head.
    pub(super) fn is_whole(&self) -> bool {
        self.sender.is_none()
    }

    /// Returns whether the answer must say that the connection closes. It must if the handler has
    /// dropped the body and the rest cannot be drained: the rest is too long, or it may never come.
    /// (A client that waited for a 100 and got another answer may leave the body out. Then nobody
    /// knows whether the next bytes are the body or a request.)
    #[inline]
    pub(super) fn cannot_be_drained(&self, drain_bytes: u64) -> bool {
        let left = match self.length {
            BodyLength::Length(announced) => announced.saturating_sub(self.received),
            _ => 0,
        };
        let undrained = self.awaits_continue || left > drain_bytes;
        undrained && self.sender.as_ref().is_some_and(BodySender::is_dropped)
    }

    /// Moves body bytes from the socket to the handler while the handler wants them. Ready only
    /// with a failure.
    pub(super) fn poll_forward(
        &mut self,
        http: &mut Connection<Server>,
        transport: &mut Transport,
        cx: &mut Context<'_>,
    ) -> Poll<Failure> {
        loop {
            let Some(sender) = &self.sender else { return Poll::Pending };
            if http.is_paused() {
                sender.end(Ok(()));
                return Poll::Pending;
            }
            if sender.demand(cx) != Demand::More {
                self.stop_waiting(transport);
                return Poll::Pending;
            }
            if !transport.input.is_empty() {
                match self.consume(http, transport) {
                    Ok(used) if used > 0 => continue,
                    Ok(_) => {}
                    Err(error) => {
                        return Poll::Ready(self.fail(BodyError::Malformed, Failure::Refused(error)));
                    }
                }
            }
            http.send_continue(transport.output.own());
            self.awaits_continue = false;
            if let Poll::Ready(Err(failure)) = transport.poll_flush(cx) {
                return Poll::Ready(failure);
            }
            self.start_waiting(transport);
            match transport.poll_fill(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {
                    self.stop_waiting(transport);
                    if transport.turn_is_over(cx) {
                        return Poll::Pending;
                    }
                }
                Poll::Ready(Err(failure @ Failure::TimedOut)) => {
                    return Poll::Ready(self.fail(BodyError::TooSlow, failure));
                }
                Poll::Ready(Err(failure)) => return Poll::Ready(self.fail(BodyError::Incomplete, failure)),
            }
        }
    }

    /// Decodes the input for the handler. Returns how many bytes were consumed.
    fn consume(&mut self, http: &mut Connection<Server>, transport: &mut Transport) -> Result<usize, Error> {
        let mut used = 0;
        let mut none = Fields::new();
        loop {
            match http.decode(&transport.input[used..], &mut none)? {
                (n, Some(Event::Data(data))) => {
                    used += n;
                    self.received += data.len() as u64;
                    if let Some(sender) = &self.sender {
                        sender.push(data);
                    }
                }
                (n, Some(Event::End) | None) => {
                    used += n;
                    break;
                }
                (n, Some(_)) => used += n,
            }
        }
        transport.input.drain(..used);
        Ok(used)
    }

    fn fail(&mut self, error: BodyError, failure: Failure) -> Failure {
        if let Some(sender) = self.sender.take() {
            sender.end(Err(error));
        }
        failure
    }

    /// Starts the clock of the body, which runs only while the engine waits for bytes.
    fn start_waiting(&mut self, transport: &Transport) {
        if self.waiting_since.is_none() {
            let (limits, deadline) = (&transport.shared.limits, &transport.deadline);
            self.waiting_since = Some(deadline.now());
            let earned =
                Duration::from_millis(self.received.saturating_mul(1000) / limits.body_min_rate.max(1));
            let budget = limits.body_grace.saturating_add(earned);
            let mut left = budget.saturating_sub(self.waited);
            // A burst must not earn an hour in which a few single bytes keep the connection busy.
            let most = limits.body_stall.max(limits.body_grace);
            self.waited += left.saturating_sub(most);
            left = left.min(most);
            deadline.set(self.max_pause.unwrap_or(left));
            if self.max_pause.is_none() && left.is_zero() {
                // The time of the body is over. Expire the deadline now: before the next sweep
                // another byte could arrive, and so on for ever.
                deadline.expire();
            }
        }
    }

    fn stop_waiting(&mut self, transport: &Transport) {
        if let Some(since) = self.waiting_since.take() {
            self.waited += transport.deadline.now().saturating_duration_since(since);
            transport.deadline.clear();
        }
    }

    /// Stops forwarding the body. Returns whether a part of it is still to come.
    pub(super) fn stop_forwarding(&mut self, http: &Connection<Server>) -> bool {
        self.sender.take().is_some() && !http.is_paused()
    }

    /// Reads the rest of the body and throws it away, within the budget. Returns whether the
    /// connection can continue.
    pub(super) async fn drain(&mut self, http: &mut Connection<Server>, transport: &mut Transport) -> bool {
        if http.must_close() || transport.flush().await.is_err() {
            return false;
        }
        transport.deadline.set(transport.shared.limits.drain_time);
        let mut budget = transport.shared.limits.drain_bytes;
        poll_fn(|cx| {
            loop {
                let Ok(used) = self.consume(http, transport) else { return Poll::Ready(false) };
                budget = budget.saturating_sub(used as u64);
                if http.is_paused() {
                    return Poll::Ready(true);
                }
                if budget == 0 {
                    return Poll::Ready(false);
                }
                match transport.poll_fill(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) if transport.turn_is_over(cx) => return Poll::Pending,
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                }
            }
        })
        .await
    }
}
