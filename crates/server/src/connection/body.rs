//! The body of a request: at hand, pulled by the handler, or thrown away.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use tidewire_http1::{BodyLength, Error, Event, Fields};

use super::{Cycle, Stop};
use crate::Handler;
use crate::body::{Body, BodyError, Demand};

impl<H: Handler> Cycle<H> {
    /// The body of the request whose head was just consumed: whole, if it is at hand, else pulled later.
    pub(super) fn body(
        &mut self,
        length: &BodyLength,
        expects: bool,
        input: &[u8],
    ) -> Result<(usize, Body), Error> {
        let declared = match length {
            BodyLength::Empty => Some(0),
            BodyLength::Length(n) => Some(*n),
            _ => None,
        };
        let at_hand = declared.is_none_or(|n| n <= input.len() as u64) && !(expects && input.is_empty());
        if !at_hand {
            let (body, feeder) = Body::pulled(declared);
            self.exchange.feeder = Some(feeder);
            self.exchange.awaits_continue = expects && input.is_empty();
            return Ok((0, body));
        }
        let mut used = 0;
        let mut whole = Vec::new();
        let mut none = Fields::new();
        loop {
            match self.http.decode(&input[used..], &mut none)? {
                (n, Some(Event::Data(data))) => {
                    used += n;
                    whole.extend_from_slice(data);
                }
                (n, Some(Event::End)) => return Ok((used + n, Body::whole(whole.into()))),
                (n, Some(_)) => used += n,
                (n, None) => {
                    // Chunks, and not all of them: what is here goes first.
                    used += n;
                    let (body, feeder) = Body::pulled(declared);
                    feeder.push(&whole);
                    self.exchange.feeder = Some(feeder);
                    return Ok((used, body));
                }
            }
        }
    }

    /// Moves body bytes from the socket to the handler while it wants them. Ready only with bad news.
    pub(super) fn poll_feed(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        loop {
            let Some(feeder) = &self.exchange.feeder else { return Poll::Pending };
            if self.http.is_paused() {
                feeder.end(Ok(()));
                return Poll::Pending;
            }
            if feeder.demand(cx) != Demand::More {
                self.stop_waiting();
                return Poll::Pending;
            }
            if !self.input.is_empty() {
                let input = std::mem::take(&mut self.input);
                let fed = self.feed(&input);
                match fed {
                    Ok(used) => {
                        self.input = input;
                        self.input.drain(..used);
                        if used > 0 {
                            continue;
                        }
                    }
                    Err(error) => {
                        return Poll::Ready(self.body_failed(BodyError::Malformed, Stop::Refused(error)));
                    }
                }
            }
            self.http.send_continue(&mut self.output);
            self.exchange.awaits_continue = false;
            if let Poll::Ready(Err(stop)) = self.poll_flush(cx) {
                return Poll::Ready(stop);
            }
            self.start_waiting();
            let worker = self.worker.clone();
            let mut scratch = worker.scratch.borrow_mut();
            match self.stream.poll_read(cx, &mut scratch) {
                // The socket was read first: only what is still missing can be late.
                Poll::Pending if self.deadline.expired(cx) => {
                    return Poll::Ready(self.body_failed(BodyError::TooSlow, Stop::TimedOut));
                }
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(n)) if n > 0 => {
                    self.stop_waiting();
                    self.input.extend_from_slice(&scratch[..n]);
                }
                Poll::Ready(_) => return Poll::Ready(self.body_failed(BodyError::Incomplete, Stop::Gone)),
            }
        }
    }

    /// Decodes body bytes for the handler; returns how many were consumed.
    fn feed(&mut self, input: &[u8]) -> Result<usize, Error> {
        let mut used = 0;
        let mut none = Fields::new();
        loop {
            match self.http.decode(&input[used..], &mut none)? {
                (n, Some(Event::Data(data))) => {
                    used += n;
                    self.exchange.received += data.len() as u64;
                    if let Some(feeder) = &self.exchange.feeder {
                        feeder.push(data);
                    }
                }
                (n, Some(Event::End) | None) => return Ok(used + n),
                (n, Some(_)) => used += n,
            }
        }
    }

    fn body_failed(&mut self, error: BodyError, stop: Stop) -> Stop {
        if let Some(feeder) = self.exchange.feeder.take() {
            feeder.end(Err(error));
        }
        stop
    }

    /// The clock of a body runs only while the engine waits for its bytes.
    fn start_waiting(&mut self) {
        if self.exchange.waiting_since.is_none() {
            self.exchange.waiting_since = Some(self.deadline.now());
            let limits = &self.worker.limits;
            let earned = Duration::from_millis(
                self.exchange.received.saturating_mul(1000) / limits.body_min_rate.max(1),
            );
            let budget = limits.body_grace.saturating_add(earned);
            let mut left = budget.saturating_sub(self.exchange.waited);
            // A burst must not earn an hour, in which a byte now and then holds the connection.
            let most = limits.body_stall.max(limits.body_grace);
            self.exchange.waited += left.saturating_sub(most);
            left = left.min(most);
            self.deadline.set(self.exchange.max_pause.unwrap_or(left));
            if self.exchange.max_pause.is_none() && left.is_zero() {
                // Its time is over. Otherwise a byte now and then would be read each time before
                // the next sweep could end it.
                self.deadline.expire();
            }
        }
    }

    fn stop_waiting(&mut self) {
        if let Some(since) = self.exchange.waiting_since.take() {
            self.exchange.waited += self.deadline.now().saturating_duration_since(since);
            self.deadline.clear();
        }
    }

    /// Reads and throws away what is left of a body, within the budget; says whether the connection can go on.
    pub(super) async fn drain(&mut self) -> bool {
        if self.http.must_close() || self.flush().await.is_err() {
            return false;
        }
        let worker = self.worker.clone();
        self.deadline.set(worker.limits.drain_time);
        let mut budget = worker.limits.drain_bytes;
        poll_fn(|cx| {
            loop {
                let input = std::mem::take(&mut self.input);
                let Ok(used) = self.feed(&input) else { return Poll::Ready(false) };
                self.input = input;
                self.input.drain(..used);
                budget = budget.saturating_sub(used as u64);
                if self.http.is_paused() {
                    return Poll::Ready(true);
                }
                if budget == 0 {
                    return Poll::Ready(false);
                }
                let mut scratch = worker.scratch.borrow_mut();
                match self.stream.poll_read(cx, &mut scratch) {
                    Poll::Pending if self.deadline.expired(cx) => return Poll::Ready(false),
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(n)) if n > 0 => self.input.extend_from_slice(&scratch[..n]),
                    Poll::Ready(_) => return Poll::Ready(false),
                }
            }
        })
        .await
    }
}
