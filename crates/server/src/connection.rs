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

mod body;
mod io;
mod told;

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Body as _;
use tidewire_http1::{
    BodyLength, Connection, Error, Event, FieldBlock, RequestHead, Response as Head, Server, TargetForm,
};

use crate::body::Feeder;
use crate::connection_limits::Permit;
use crate::deadline::Deadline;
use crate::parked::Parked;
use crate::reply::{DetachHead, LocalFuture, Prepared, Reply, Response, ResponseBody, StreamBody};
use crate::stream::{Peer, Stream};
use crate::worker::Worker;
use crate::{Handler, Problem, Request};

/// Output that gathers before it is written though more requests are at hand.
const GATHER: usize = 64 * 1024;

/// Serves a connection until it ends or is detached. `rest` was read from it before.
pub(crate) async fn serve<H: Handler>(worker: Rc<Worker<H>>, stream: Stream, permit: Permit, rest: Vec<u8>) {
    let mut cycle = Cycle {
        http: Connection::new(worker.limits.parser()),
        deadline: worker.deadlines.register(),
        write_deadline: None,
        peer: permit.peer(),
        stream,
        input: rest,
        output: Vec::new(),
        written: 0,
        stalled: false,
        exchange: Exchange::NONE,
        now: Instant::now(),
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
    /// Made when a write has to wait, which most never do.
    write_deadline: Option<Deadline>,
    peer: Peer,
    /// Bytes that were read and not yet consumed. Empty, and without memory, between requests.
    input: Vec<u8>,
    /// Bytes to write, of which `written` are out.
    output: Vec<u8>,
    written: usize,
    /// The socket took nothing at the last try, and the write deadline runs.
    stalled: bool,
    exchange: Exchange,
    /// When bytes were last read, or a handler that waited was done.
    now: Instant,
    /// No request came yet.
    first: bool,
    /// A part of a head is here, and its deadline runs.
    head_begun: bool,
}

/// What is known of the request that is being answered.
struct Exchange {
    /// What the head announced.
    body: BodyLength,
    feeder: Option<Feeder>,
    /// The client sends the body after a 100, which it has not got.
    awaits_continue: bool,
    /// Bytes of body that came, and time spent waiting for them.
    received: u64,
    waited: Duration,
    waiting_since: Option<Instant>,
    /// The longest pause of a body that may come at any pace.
    max_pause: Option<Duration>,
}

impl Exchange {
    const NONE: Self = Exchange {
        body: BodyLength::Empty,
        feeder: None,
        awaits_continue: false,
        received: 0,
        waited: Duration::ZERO,
        waiting_since: None,
        max_pause: None,
    };
}

/// RFC 9110 §7.4: is the target a URI of a scheme that this socket cannot speak for, such as https?
fn is_misdirected(head: &RequestHead<'_>) -> bool {
    let scheme = head.target().get(..7);
    head.target_form() == TargetForm::Absolute && !scheme.is_some_and(|s| s.eq_ignore_ascii_case(b"http://"))
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
    /// Nothing: it may be at hand already.
    Next,
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
                Step::Next => self.advance_input(),
                Step::Read => match self.read().await {
                    Ok(step) => step,
                    Err(end) => return end,
                },
                Step::Flush => match self.flush().await {
                    Ok(()) => self.advance_input(),
                    Err(_) => return End::Gone,
                },
                Step::Later(future) => match self.later(future).await {
                    Ok(reply) => {
                        self.now = Instant::now();
                        self.reply(reply)
                    }
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
        self.now = Instant::now();
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
            self.exchange.body = head.body();
            if head.body() != BodyLength::Empty {
                let limits = worker.handler.body_limits(&head, worker.limits.body());
                self.exchange.max_pause = limits.max_pause;
                if let Err(error) = self.http.limit_body(limits.max) {
                    return (used, self.refuse(Stop::Refused(error)));
                }
            }
            let body = match self.body(&head.body(), head.expects_continue(), &input[used..]) {
                Ok((n, body)) => {
                    used += n;
                    body
                }
                Err(error) => return (used, self.refuse(Stop::Refused(error))),
            };
            let reply = if is_misdirected(&head) {
                let detail = "This server speaks plain http; send the request to the one that speaks the scheme of its target.";
                Reply::Ready(Problem::new(421, detail).into_response())
            } else {
                worker.handler.handle(Request { head: &head, body, peer: self.peer, at: self.now })
            };
            match self.reply(reply) {
                Step::Next => {}
                step => return (used, step),
            }
        }
    }

    /// Carries a reply out as far as that needs no waiting. `Step::Next` means that the exchange is over.
    fn reply(&mut self, reply: Reply<H::Ticket>) -> Step<H::Ticket> {
        match reply {
            Reply::Ready(response) => self.respond(response),
            Reply::Shared(prepared) => self.respond_shared(&prepared),
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
        if !self.send_head(&response, length, self.worker.limits.idle_seconds()) {
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
            // The answer to a HEAD: nothing of the body is asked for.
            ResponseBody::Stream(_) if self.http.sending() == Some(BodyLength::Empty) => {
                match self.http.send_end(&mut self.output) {
                    Ok(()) => self.finish_exchange(),
                    Err(_) => Step::Close,
                }
            }
            ResponseBody::Stream(body) => Step::Stream(body),
        }
    }

    /// The answer that another request had before: its checks were made then.
    fn respond_shared(&mut self, prepared: &Prepared) -> Step<H::Ticket> {
        let length = BodyLength::Length(prepared.body.len() as u64);
        if self.leaves_too_much() {
            self.http.close();
        }
        let idle = self.worker.limits.idle_seconds();
        let (date, now) = (&self.worker.date, self.now);
        if !self.worker.draining.get()
            && prepared.send(&mut self.http, date.borrow_mut().get(now), idle, &mut self.output)
        {
            return self.finish_exchange();
        }
        let sent = self.send_fields(prepared.status, &prepared.fields, length, idle)
            && self.http.send_data(&prepared.body, &mut self.output).is_ok()
            && self.http.send_end(&mut self.output).is_ok();
        if sent { self.finish_exchange() } else { self.respond_broken() }
    }

    /// Sends the head of an answer. After it the connection may be idle for so many seconds; 0
    /// where no further request comes on it.
    fn send_head(&mut self, response: &Response, length: BodyLength, idle: u32) -> bool {
        if response.broken {
            return false;
        }
        if response.close || self.leaves_too_much() {
            self.http.close();
        }
        self.send_fields(response.status, &response.fields, length, idle)
    }

    /// Whether the answer says that the connection closes, because nobody wants the body and what is left of it will not be drained: it is
    /// too much, or it may never come. A client that waited for a 100 and got another answer sends its body or does not, and if we
    /// took what comes next for it that could be a request.
    fn leaves_too_much(&self) -> bool {
        let left = match self.exchange.body {
            BodyLength::Length(announced) => announced.saturating_sub(self.exchange.received),
            _ => 0,
        };
        let undrained = self.exchange.awaits_continue || left > self.worker.limits.drain_bytes;
        undrained && self.exchange.feeder.as_ref().is_some_and(Feeder::is_unwanted)
    }

    fn send_fields(&mut self, status: u16, fields: &FieldBlock, length: BodyLength, idle: u32) -> bool {
        if self.worker.draining.get() {
            self.http.close();
        }
        // Room at once for a whole head.
        self.output.reserve(512);
        let mut date = self.worker.date.borrow_mut();
        let blocks = [date.get(self.now).0, fields];
        let head = Head::new(status).with_fields(&blocks).with_idle_timeout(idle);
        self.http.send_head(&head, length, &mut self.output).is_ok()
    }

    /// A handler made a response that cannot be sent.
    fn respond_broken(&mut self) -> Step<H::Ticket> {
        told::broken();
        let problem = Problem::new(
            500,
            "The server made an answer that cannot be sent; this is a fault of the server.",
        );
        self.answer_and_close(problem)
    }

    fn detach(&mut self, head: Option<DetachHead>, first: &Bytes, ticket: H::Ticket) -> Step<H::Ticket> {
        // Two parties cannot disagree about no bytes. Several WebSocket clients and proxies send
        // `Content-Length: 0`.
        if !matches!(self.exchange.body, BodyLength::Empty | BodyLength::Length(0)) {
            // What still comes of the body would be taken for the other protocol; and whether it has come yet must not decide.
            return self.answer_and_close(Problem::new(
                400,
                "A request for a stream or another protocol must have no body.",
            ));
        }
        if let Some(DetachHead { response, chunked }) = head {
            let length = match response.status {
                101 => BodyLength::Empty,
                _ if chunked => BodyLength::Chunked,
                _ => BodyLength::UntilClose,
            };
            if !self.send_head(&response, length, 0) {
                return self.respond_broken();
            }
            if self.http.sending() == Some(BodyLength::Empty) {
                // The answer to a HEAD, or a status without content: there is nothing that the handler could go on with.
                let ended = self.http.send_end(&mut self.output);
                return ended.map_or(Step::Close, |()| self.finish_exchange());
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
        self.exchange = Exchange::NONE;
        if self.http.next_message() { Step::Next } else { Step::Close }
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
        self.exchange = Exchange::NONE;
        self.http.close();
        let response = problem.into_response();
        if let ResponseBody::Whole(body) = &response.body
            && self.send_head(&response, BodyLength::Length(body.len() as u64), 0)
        {
            let _ = self.http.send_data(body, &mut self.output);
            let _ = self.http.send_end(&mut self.output);
        }
        Step::Close
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
                    told::failed(error.as_ref());
                    let _ = self.flush().await;
                    return Err(Stop::Gone);
                }
                None => return self.http.send_end(&mut self.output).map_err(|_| Stop::Gone),
            }
        }
    }
}
