//! The request cycle of one connection.
//!
//! ```text
//!            ┌────────────────────────────────────────────────────────────────┐
//!            ▼                                                                │
//!   READ ─► advance: head ─► handle ─┬─ Ready ──► append the answer ──────────┤ more requests in the same read:
//!            ▲                       ├─ Later ──► wait, feeding the body ─────┤ their answers gather, one write
//!            │ (nothing complete)    ├─ stream ─► frame by frame ─────────────┤
//!            │                       └─ Detach ─► write the head, give the    │
//!            │                                    socket away: END            │
//!            └──── flush, wait ◄──────────────────────────────────────────────┘
//!
//!   after an answer: an unread body is drained within a budget or the connection closes   (here and nowhere else)
//!   a framing error: the answers owed, then the refusal, then FIN, a short drain, close
//! ```

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Body as _;
use tidewire_http1::{BodyLength, Connection, Error, Event, FieldBlock, Fields, Response as Head, Server};

use crate::body::{Body, BodyError, Demand, Feeder};
use crate::census::Permit;
use crate::deadline::Deadline;
use crate::parked::Parked;
use crate::reply::{DetachHead, LocalFuture, Reply, Response, ResponseBody, StreamBody};
use crate::stream::{Peer, Stream};
use crate::worker::Worker;
use crate::{Handler, Problem, Request};

/// Output that gathers before it is written though more requests are at hand.
const GATHER: usize = 64 * 1024;

/// Serves a connection until it ends or is detached. `rest` was read from it before.
pub(crate) async fn serve<H: Handler>(worker: Rc<Worker<H>>, stream: Stream, permit: Permit, rest: Vec<u8>) {
    let mut cycle = Cycle {
        http: Connection::new(worker.limits.http),
        deadline: worker.deadlines.register(),
        write_deadline: worker.deadlines.register(),
        peer: permit.peer(),
        stream,
        input: rest,
        output: Vec::new(),
        written: 0,
        stalled: false,
        exchange: Exchange::default(),
        first: true,
        head_begun: false,
        worker,
    };
    match cycle.run().await {
        End::Gone => {}
        End::Close => cycle.close().await,
        End::Detach(ticket) => {
            let Cycle { worker, stream, input, .. } = cycle;
            let parked = Parked { stream, permit, rest: input, home: worker.clone() };
            worker.handler.detached(parked, ticket);
        }
    }
}

struct Cycle<H> {
    worker: Rc<Worker<H>>,
    stream: Stream,
    http: Connection<Server>,
    deadline: Deadline,
    write_deadline: Deadline,
    peer: Peer,
    /// Bytes that were read and not yet consumed. Empty, and without memory, between requests.
    input: Vec<u8>,
    /// Bytes to write, of which `written` are out.
    output: Vec<u8>,
    written: usize,
    /// The socket took nothing at the last try, and the write deadline runs.
    stalled: bool,
    exchange: Exchange,
    /// No request came yet.
    first: bool,
    /// A part of a head is here, and its deadline runs.
    head_begun: bool,
}

/// What is known of the request that is being answered.
#[derive(Default)]
struct Exchange {
    feeder: Option<Feeder>,
    /// Bytes of body that came, and time spent waiting for them.
    received: u64,
    waited: Duration,
    waiting_since: Option<Instant>,
}

/// How a connection ends.
enum End<T> {
    /// Nobody is there any more.
    Gone,
    /// In good order.
    Close,
    Detach(T),
}

/// What stands between a connection and its next request.
enum Step<T> {
    /// More bytes.
    Read,
    /// A full output buffer.
    Flush,
    Later(LocalFuture<Reply<T>>),
    Stream(StreamBody),
    /// The rest of a body that nobody read.
    Drain,
    Detach(T),
    Close,
}

/// Why waiting ended.
enum Stop {
    /// The socket failed, or the peer left.
    Gone,
    TimedOut,
    Refused(Error),
}

impl<H: Handler> Cycle<H> {
    async fn run(&mut self) -> End<H::Ticket> {
        let input = std::mem::take(&mut self.input);
        let mut step = self.advance_over(input);
        loop {
            step = match step {
                Step::Read => match self.read().await {
                    Ok(step) => step,
                    Err(end) => return end,
                },
                Step::Flush => match self.flush().await {
                    Ok(()) => self.advance_input(),
                    Err(_) => return End::Gone,
                },
                Step::Later(future) => match self.later(future).await {
                    Ok(reply) => self.reply(reply),
                    Err(stop) => self.refuse(stop),
                },
                Step::Stream(body) => match self.stream(body).await {
                    Ok(()) => self.finish_exchange(),
                    Err(_) => return End::Gone,
                },
                Step::Drain => match self.drain().await {
                    true => self.next_exchange(),
                    false => Step::Close,
                },
                Step::Detach(ticket) => match self.flush().await {
                    Ok(()) => return End::Detach(ticket),
                    Err(_) => return End::Gone,
                },
                Step::Close => return End::Close,
            }
        }
    }

    // ---- requests

    /// Consumes requests from `bytes`, keeps the rest.
    fn advance_over(&mut self, mut bytes: Vec<u8>) -> Step<H::Ticket> {
        let (used, step) = self.advance(&bytes);
        bytes.drain(..used);
        if !bytes.is_empty() {
            // What a handler kept for later came after what is kept here.
            bytes.append(&mut self.input);
            self.input = bytes;
        }
        step
    }

    fn advance_input(&mut self) -> Step<H::Ticket> {
        let input = std::mem::take(&mut self.input);
        self.advance_over(input)
    }

    /// Answers as many requests as are complete in `input` and need no waiting.
    fn advance(&mut self, input: &[u8]) -> (usize, Step<H::Ticket>) {
        let worker = self.worker.clone();
        let mut fields = worker.fields.borrow_mut();
        let mut used = 0;
        loop {
            if self.output.len() >= GATHER {
                return (used, Step::Flush);
            }
            let head = match self.http.decode(&input[used..], &mut fields) {
                Ok((n, Some(Event::Request(head)))) => {
                    used += n;
                    head
                }
                // A head cannot begin with anything else; what is not complete waits for more.
                Ok((n, _)) => return (used + n, Step::Read),
                Err(error) => return (used, self.refuse(Stop::Refused(error))),
            };
            (self.first, self.head_begun) = (false, false);
            if worker.draining.get() {
                self.http.close();
            }
            let body = match self.body(&head.body(), head.expects_continue(), &input[used..]) {
                Ok((n, body)) => {
                    used += n;
                    body
                }
                Err(error) => return (used, self.refuse(Stop::Refused(error))),
            };
            let reply = worker.handler.handle(Request { head: &head, body, peer: self.peer });
            match self.reply(reply) {
                Step::Read => {}
                step => return (used, step),
            }
        }
    }

    /// The body of the request whose head was just consumed: whole, if it is at hand, else pulled later.
    fn body(&mut self, length: &BodyLength, expects: bool, input: &[u8]) -> Result<(usize, Body), Error> {
        let declared = match length {
            BodyLength::Empty => Some(0),
            BodyLength::Length(n) => Some(*n),
            _ => None,
        };
        let at_hand = declared.is_none_or(|n| n <= input.len() as u64) && !(expects && input.is_empty());
        if !at_hand {
            let (body, feeder) = Body::pulled(declared);
            self.exchange.feeder = Some(feeder);
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

    /// Carries a reply out as far as that needs no waiting. `Step::Read` means that the exchange is over.
    fn reply(&mut self, reply: Reply<H::Ticket>) -> Step<H::Ticket> {
        match reply {
            Reply::Ready(response) => self.respond(response),
            Reply::Later(future) => Step::Later(future),
            Reply::Detach { head, first, ticket } => self.detach(head, &first, ticket),
        }
    }

    fn respond(&mut self, response: Response) -> Step<H::Ticket> {
        let length = match &response.body {
            // These have no content, and a length of nothing would be a lie about it (RFC 9110 §8.6).
            ResponseBody::Whole(_) if matches!(response.status, 204 | 304) => BodyLength::Empty,
            ResponseBody::Whole(bytes) => BodyLength::Length(bytes.len() as u64),
            ResponseBody::Stream(body) => {
                body.size_hint().exact().map_or(BodyLength::Chunked, BodyLength::Length)
            }
        };
        if !self.send_head(&response, length) {
            return self.respond_broken();
        }
        match response.body {
            ResponseBody::Whole(bytes) => {
                let sent = self.http.send_data(&bytes, &mut self.output);
                if sent.and_then(|()| self.http.send_end(&mut self.output)).is_err() {
                    // A body with a status that has none: the head is out, and it is complete without.
                    return Step::Close;
                }
                self.finish_exchange()
            }
            ResponseBody::Stream(body) => Step::Stream(body),
        }
    }

    fn send_head(&mut self, response: &Response, length: BodyLength) -> bool {
        if response.broken {
            return false;
        }
        if response.close {
            self.http.close();
        }
        let mut date = FieldBlock::new();
        date.push("Date", self.worker.date.borrow_mut().get()).expect("a date is visible ASCII");
        let blocks = [&date, &response.fields];
        let head = Head::new(response.status).with_fields(&blocks);
        self.http.send_head(&head, length, &mut self.output).is_ok()
    }

    /// A handler made a response that cannot be sent.
    fn respond_broken(&mut self) -> Step<H::Ticket> {
        tracing::error!("a response could not be encoded: a field or a body that its status cannot have");
        let problem = Problem::new(
            500,
            "The server made an answer that cannot be sent; this is a fault of the server.",
        );
        self.answer_and_close(problem)
    }

    fn detach(&mut self, head: Option<DetachHead>, first: &Bytes, ticket: H::Ticket) -> Step<H::Ticket> {
        if self.exchange.feeder.is_some() {
            // What still comes of the body would be taken for the other protocol.
            return self
                .answer_and_close(Problem::new(400, "A request that asks for a stream must have no body."));
        }
        if let Some(DetachHead { response, chunked }) = head {
            let length = match response.status {
                101 => BodyLength::Empty,
                _ if chunked => BodyLength::Chunked,
                _ => BodyLength::UntilClose,
            };
            if !self.send_head(&response, length) {
                return self.respond_broken();
            }
        }
        self.output.extend_from_slice(first);
        Step::Detach(ticket)
    }

    /// The answer is complete: what about the request?
    fn finish_exchange(&mut self) -> Step<H::Ticket> {
        match self.exchange.feeder.take() {
            Some(_) if !self.http.is_paused() => Step::Drain,
            _ => self.next_exchange(),
        }
    }

    fn next_exchange(&mut self) -> Step<H::Ticket> {
        self.exchange = Exchange::default();
        if self.http.next_message() { Step::Read } else { Step::Close }
    }

    /// Why a request gets no answer of its handler's.
    fn refuse(&mut self, stop: Stop) -> Step<H::Ticket> {
        let problem = match stop {
            Stop::Gone => return Step::Close,
            Stop::TimedOut => {
                // The message ends here for the parser too, which then lets it be answered.
                let _ = self.http.finish();
                Problem::new(408, "The request came too slowly; send it again, faster.")
            }
            Stop::Refused(error) => {
                Problem::new(error.status_hint(), format!("The request was not accepted: {error}."))
            }
        };
        self.answer_and_close(problem)
    }

    fn answer_and_close(&mut self, problem: Problem) -> Step<H::Ticket> {
        self.exchange = Exchange::default();
        self.http.close();
        let response = problem.into_response();
        if let ResponseBody::Whole(body) = &response.body
            && self.send_head(&response, BodyLength::Length(body.len() as u64))
        {
            let _ = self.http.send_data(body, &mut self.output);
            let _ = self.http.send_end(&mut self.output);
        }
        Step::Close
    }

    // ---- waiting

    /// Writes what is owed, then waits for bytes and consumes them.
    async fn read(&mut self) -> Result<Step<H::Ticket>, End<H::Ticket>> {
        self.flush().await.map_err(|_| End::Gone)?;
        let within = !self.input.is_empty();
        if self.worker.draining.get() && !within {
            return Err(End::Close);
        }
        let limits = &self.worker.limits;
        if !self.head_begun {
            // The deadline of a head is set once, at its first byte: bytes that dribble in do not move it.
            let head = within || self.first;
            self.deadline.set(if head { limits.head_timeout } else { limits.idle_timeout });
            self.head_begun = within;
        }
        let worker = self.worker.clone();
        let (read, step) = poll_fn(|cx| {
            if self.deadline.expired(cx) {
                return Poll::Ready((Err(Stop::TimedOut), None));
            }
            if worker.draining.get() && !within {
                return Poll::Ready((Err(Stop::Gone), None));
            }
            let mut scratch = worker.scratch.borrow_mut();
            match self.stream.poll_read(cx, &mut scratch) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(n)) if n > 0 => Poll::Ready((Ok(()), Some(self.consume(&scratch[..n])))),
                Poll::Ready(_) => Poll::Ready((Err(Stop::Gone), None)),
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

    /// Waits for a handler, feeding it the body as it asks.
    async fn later(&mut self, mut future: LocalFuture<Reply<H::Ticket>>) -> Result<Reply<H::Ticket>, Stop> {
        self.deadline.clear();
        poll_fn(|cx| {
            if let Poll::Ready(reply) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(reply));
            }
            // Answers to earlier requests do not wait for this one.
            if let Poll::Ready(Err(stop)) = self.poll_flush(cx) {
                return Poll::Ready(Err(stop));
            }
            self.poll_feed(cx).map(Err)
        })
        .await
    }

    /// Streams an answer, frame by frame; the next one is asked for when the last one is out.
    async fn stream(&mut self, mut body: StreamBody) -> Result<(), Stop> {
        let endless = body.size_hint().exact().is_none();
        loop {
            let frame = poll_fn(|cx| {
                match self.poll_flush(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(stop)) => return Poll::Ready(Err(stop)),
                    Poll::Pending => return Poll::Pending,
                }
                if let Poll::Ready(stop) = self.poll_feed(cx) {
                    return Poll::Ready(Err(stop));
                }
                match body.as_mut().poll_frame(cx) {
                    Poll::Pending if endless && self.peer_left(cx) => Poll::Ready(Err(Stop::Gone)),
                    polled => polled.map(Ok),
                }
            })
            .await?;
            match frame {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        // A body longer than it said cannot be sent; cutting it is the only honest way.
                        self.http.send_data(data, &mut self.output).map_err(|_| Stop::Gone)?;
                    }
                }
                // An error cannot be told any more: the missing end tells it.
                Some(Err(error)) => {
                    tracing::warn!(%error, "a streamed answer failed");
                    let _ = self.flush().await;
                    return Err(Stop::Gone);
                }
                None => return self.http.send_end(&mut self.output).map_err(|_| Stop::Gone),
            }
        }
    }

    /// While an endless stream is silent: has the peer hung up? Bytes of a next request are kept, within bounds.
    fn peer_left(&mut self, cx: &mut Context<'_>) -> bool {
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

    /// Moves body bytes from the socket to the handler while it wants them. Ready only with bad news.
    fn poll_feed(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
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
            if let Poll::Ready(Err(stop)) = self.poll_flush(cx) {
                return Poll::Ready(stop);
            }
            self.start_waiting();
            if self.deadline.expired(cx) {
                return Poll::Ready(self.body_failed(BodyError::TooSlow, Stop::TimedOut));
            }
            let worker = self.worker.clone();
            let mut scratch = worker.scratch.borrow_mut();
            match self.stream.poll_read(cx, &mut scratch) {
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
            self.exchange.waiting_since = Some(Instant::now());
            let limits = &self.worker.limits;
            let earned = Duration::from_millis(
                self.exchange.received.saturating_mul(1000) / limits.body_min_rate.max(1),
            );
            let budget = limits.body_grace.saturating_add(earned);
            self.deadline.set(budget.saturating_sub(self.exchange.waited));
        }
    }

    fn stop_waiting(&mut self) {
        if let Some(since) = self.exchange.waiting_since.take() {
            self.exchange.waited += since.elapsed();
            self.deadline.clear();
        }
    }

    /// Reads and throws away what is left of a body, within the budget; says whether the connection can go on.
    async fn drain(&mut self) -> bool {
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
                if budget == 0 || self.deadline.expired(cx) {
                    return Poll::Ready(false);
                }
                let mut scratch = worker.scratch.borrow_mut();
                match self.stream.poll_read(cx, &mut scratch) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(n)) if n > 0 => self.input.extend_from_slice(&scratch[..n]),
                    Poll::Ready(_) => return Poll::Ready(false),
                }
            }
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), Stop> {
        if self.output.is_empty() {
            return Ok(());
        }
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stop>> {
        while self.written < self.output.len() {
            match self.stream.poll_write(cx, &self.output[self.written..]) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    self.written += n;
                    self.stalled = false;
                }
                Poll::Ready(_) => return Poll::Ready(Err(Stop::Gone)),
                Poll::Pending => {
                    if !std::mem::replace(&mut self.stalled, true) {
                        self.write_deadline.set(self.worker.limits.write_timeout);
                    }
                    return if self.write_deadline.expired(cx) {
                        Poll::Ready(Err(Stop::Gone))
                    } else {
                        Poll::Pending
                    };
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

    /// The end in good order: the last answer, FIN, and a short drain. Closing with unread input would make the kernel send
    /// a reset, which can destroy the answer on its way.
    async fn close(&mut self) {
        if self.flush().await.is_err() {
            return;
        }
        let worker = self.worker.clone();
        self.deadline.set(worker.limits.drain_time);
        let mut budget = worker.limits.drain_bytes;
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
                if budget == 0 || self.deadline.expired(cx) {
                    return Poll::Ready(());
                }
                match self.stream.poll_read(cx, &mut scratch) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(n)) if n > 0 => budget = budget.saturating_sub(n as u64),
                    Poll::Ready(_) => return Poll::Ready(()),
                }
            }
        })
        .await;
    }
}
