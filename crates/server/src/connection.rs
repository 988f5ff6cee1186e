//! The request cycle of one connection.
//!
//! ```text
//!            ┌────────────────────────────────────────────────────────────────┐
//!            ▼                                                                │
//!   READ ─► advance: head ─► handle ─┬─ Ready ──► append the answer ──────────┤ more requests in the
//!            ▲                       ├─ Later ──► wait, forward the body ─────┤ same read: one write
//!            │ (nothing complete)    ├─ stream ─► frame by frame ─────────────┤ has all their answers
//!            │                       ├─ Pipelined ► under way (in_flight) ────┤
//!            │                       └─ Detach ─► write the head, give the    │
//!            │                                    socket away: END            │
//!            └──── flush, wait ◄──────────────────────────────────────────────┘
//!
//!   if the turn is over: flush, let other connections run, continue with the input that is here
//!
//!   after an answer: an unread body is drained within a budget or the connection closes
//!   a framing error: the earlier answers, then the refusal, then FIN, a short drain, close
//! ```
//!
//! While answers are under way, only requests that may be pipelined are handled. All else waits.
//!
//! The cycle uses five parts. Each part knows only the parts below it, and none knows a handler:
//!
//! ```text
//!   in_flight         answers under way, while the requests behind them are handled
//!   response_writer   answers, as far as they need no waiting
//!   waiting           a handler that works, and streamed answers
//!   request_body      the body of a request, from the socket to the handler
//!   transport         the socket, its buffers and deadlines
//! ```
//!
//! The cycle is generic, so it is compiled in the crate of its handler. Functions of the
//! parts that every request calls are `#[inline]`, so that they are compiled there too.

mod in_flight;
mod log;
mod request_body;
mod response_writer;
mod step;
mod transport;
mod waiting;

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidewire_http1::{BodyLength, Connection, Event, RequestHead, Server, TargetForm};

use crate::connection_limits::Permit;
use crate::parked::{Parked, Resume};
use crate::reply::{DetachHead, LocalFuture, Reply};
use crate::shared::Worker;
use crate::stream::{Peer, Stream};
use crate::turns::InTurns;
use crate::{Handler, PreparedResponse, Problem, Request, Response};
use in_flight::{InFlight, Next, Progress};
use request_body::RequestBody;
use response_writer::{ResponseWriter, Unsendable, Written};
use step::{End, Step};
use transport::{Failure, MAX_OUTPUT, Transport};
use waiting::Waiting;

/// Serves a connection in its own task until it ends or is detached. `rest` was read from it
/// before.
pub(crate) fn spawn<H: Handler>(worker: Rc<Worker<H>>, stream: Stream, permit: Permit, rest: Vec<u8>) {
    let turns = worker.shared.turns.clone();
    tokio::task::spawn_local(InTurns::new(turns, serve(worker, stream, permit, rest)));
}

async fn serve<H: Handler>(worker: Rc<Worker<H>>, stream: Stream, permit: Permit, rest: Vec<u8>) {
    let mut cycle = Cycle {
        http: Connection::new(worker.shared.limits.parser()),
        peer: permit.peer(),
        transport: Transport::new(worker.shared.clone(), stream, rest),
        request_body: RequestBody::NONE,
        in_flight: None,
        now: Instant::now(),
        is_first: true,
        head_begun: false,
        worker,
    };
    match cycle.run().await {
        End::Disconnected => {}
        End::Close => cycle.transport.close().await,
        End::Detach(ticket) => {
            let Cycle { worker, transport: Transport { stream, input, .. }, .. } = cycle;
            let parked = Parked { stream, permit, rest: input, worker: worker.clone() };
            worker.handler.detached(parked, ticket);
        }
    }
}

impl<H: Handler> Resume for Worker<H> {
    fn resume(self: Rc<Self>, stream: Stream, permit: Permit, rest: Vec<u8>) {
        spawn(self, stream, permit, rest);
    }
}

struct Cycle<H: Handler> {
    worker: Rc<Worker<H>>,
    transport: Transport,
    http: Connection<Server>,
    /// The body of the request that is being answered.
    request_body: RequestBody,
    /// Answers under way. The parser is at a request behind theirs. `None` if there are none, so
    /// that an idle connection has no memory for them.
    in_flight: Option<Box<InFlight<H::Ticket>>>,
    peer: Peer,
    /// When bytes were last read, or when a handler that waited has finished.
    now: Instant,
    /// No request has come yet.
    is_first: bool,
    /// A part of a head has come, and its deadline runs.
    head_begun: bool,
}

/// Returns whether the target is a URI of a scheme that this server does not serve, such as https
/// (RFC 9110 §7.4).
fn is_misdirected(head: &RequestHead<'_>) -> bool {
    let scheme = head.target().get(..7);
    head.target_form() == TargetForm::Absolute && !scheme.is_some_and(|s| s.eq_ignore_ascii_case(b"http://"))
}

impl<H: Handler> Cycle<H> {
    async fn run(&mut self) -> End<H::Ticket> {
        let input = std::mem::take(&mut self.transport.input);
        let mut step = self.advance_over(input);
        loop {
            step = match step {
                Step::Next => self.advance_input(),
                Step::Read => match self.read().await {
                    Ok(step) => step,
                    Err(end) => return end,
                },
                Step::Flush => match self.transport.flush().await {
                    Ok(()) => self.advance_input(),
                    Err(_) => return End::Disconnected,
                },
                Step::Pause => match self.transport.pause().await {
                    Ok(()) => self.advance_input(),
                    Err(_) => return End::Disconnected,
                },
                Step::InFlight => match self.in_flight().await {
                    Ok(step) => step,
                    Err(end) => return end,
                },
                Step::Later(future) => match self.waiting().later(future).await {
                    Ok(reply) => {
                        self.now = Instant::now();
                        self.reply(reply, 0)
                    }
                    Err(failure) => self.refuse(failure),
                },
                Step::Stream(body) => match self.waiting().stream(body).await {
                    Ok(()) => self.finish_exchange(),
                    Err(_) => return End::Disconnected,
                },
                Step::Drain => match self.request_body.drain(&mut self.http, &mut self.transport).await {
                    true => self.next_exchange(),
                    false => Step::Close,
                },
                Step::Detach(ticket) => match self.transport.flush().await {
                    Ok(()) => return End::Detach(ticket),
                    Err(_) => return End::Disconnected,
                },
                Step::Close => return End::Close,
            }
        }
    }

    /// Writes the output, then waits for bytes and consumes them.
    async fn read(&mut self) -> Result<Step<H::Ticket>, End<H::Ticket>> {
        self.transport.flush().await.map_err(|_| End::Disconnected)?;
        let shared = self.transport.shared.clone();
        let limits = &shared.limits;
        let within = !self.transport.input.is_empty();
        let mut idle_since = None;
        if !self.head_begun {
            // The deadline of a head is set once, at its first byte. Later bytes do not move it.
            let is_head = within || self.is_first;
            let time = if is_head { limits.head_timeout } else { limits.idle_timeout };
            idle_since = Some(self.transport.deadline.set(time));
            self.head_begun = within;
        }
        let mut closing = false;
        let read = poll_fn(|cx| {
            let mut scratch = shared.scratch.borrow_mut();
            match self.transport.stream.poll_read(cx, &mut scratch) {
                Poll::Ready(Ok(n)) if n > 0 => Poll::Ready(Ok(self.consume(&scratch[..n]))),
                Poll::Ready(_) => Poll::Ready(Err(Failure::Disconnected)),
                // The socket was read before the deadline is checked.
                Poll::Pending if self.transport.deadline.expired(cx) => Poll::Ready(Err(Failure::TimedOut)),
                // The server stops. A request that has come is still answered, and one may be on
                // its way: a client that just got an answer sends the next request. If that request
                // meets a FIN, the client cannot know whether it was executed. So the connection
                // waits for `drain_time`.
                Poll::Pending if shared.draining.get() && !within && !closing => {
                    let deadline = &self.transport.deadline;
                    let idle = idle_since
                        .map_or(Duration::MAX, |since| deadline.now().saturating_duration_since(since));
                    let left = limits.drain_time.saturating_sub(idle);
                    if left.is_zero() {
                        return Poll::Ready(Err(Failure::Disconnected));
                    }
                    closing = true;
                    deadline.set(left);
                    Poll::Pending
                }
                Poll::Pending => Poll::Pending,
            }
        });
        match read.await {
            Ok(step) => Ok(step),
            Err(Failure::TimedOut) if within => Ok(self.refuse(Failure::TimedOut)),
            Err(Failure::Disconnected) if within => match self.http.finish() {
                Err(error) => Ok(self.refuse(Failure::Refused(error))),
                Ok(_) => Err(End::Close),
            },
            Err(_) => Err(End::Close),
        }
    }

    /// Waits until the answers under way are written, or there are more requests to handle.
    async fn in_flight(&mut self) -> Result<Step<H::Ticket>, End<H::Ticket>> {
        let Some(in_flight) = &mut self.in_flight else { return Ok(Step::Next) };
        let (transport, gives_up) = (&mut self.transport, self.worker.handler.gives_up());
        transport.deadline.clear();
        match poll_fn(|cx| in_flight.poll(transport, gives_up, cx)).await {
            Progress::Requests => return Ok(Step::Next),
            Progress::Closed => return Ok(Step::Close),
            Progress::Disconnected => return Err(End::Disconnected),
            Progress::Over => {}
        }
        self.now = Instant::now();
        let Some(over) = self.in_flight.take() else { return Ok(Step::Next) };
        if over.closes {
            self.http.close();
        }
        Ok(match over.next {
            Next::Requests | Next::Request => Step::Next,
            Next::Reply(reply) => self.reply(reply, 0),
            Next::Refusal(failure) => self.refuse(failure),
        })
    }

    /// Consumes bytes that were read. If one read brings a whole request, nothing is copied.
    fn consume(&mut self, bytes: &[u8]) -> Step<H::Ticket> {
        if self.transport.input.is_empty() {
            let (used, step) = self.advance(bytes);
            self.transport.input.extend_from_slice(&bytes[used..]);
            step
        } else {
            self.transport.input.extend_from_slice(bytes);
            self.advance_input()
        }
    }

    /// Consumes requests from `bytes`, and keeps the rest as input.
    fn advance_over(&mut self, mut bytes: Vec<u8>) -> Step<H::Ticket> {
        let (used, step) = self.advance(&bytes);
        bytes.drain(..used);
        if !bytes.is_empty() {
            // `input` holds bytes that came later than `bytes`.
            bytes.append(&mut self.transport.input);
            self.transport.input = bytes;
        }
        step
    }

    fn advance_input(&mut self) -> Step<H::Ticket> {
        let input = std::mem::take(&mut self.transport.input);
        self.advance_over(input)
    }

    /// Answers requests that are complete in `input` and need no waiting, within one turn.
    fn advance(&mut self, input: &[u8]) -> (usize, Step<H::Ticket>) {
        let shared = self.transport.shared.clone();
        let mut fields = shared.fields.borrow_mut();
        self.now = Instant::now();
        if shared.turns.is_over_at(self.now) {
            return (0, Step::Pause);
        }
        let mut used = 0;
        loop {
            if self.transport.output.len() >= MAX_OUTPUT {
                return (used, Step::Flush);
            }
            let mut before = None;
            if let Some(in_flight) = &mut self.in_flight {
                in_flight.needs = 0;
                if !in_flight.takes_more(shared.draining.get()) {
                    return (used, Step::InFlight);
                }
                before = Some((used, self.http.clone()));
            }
            let head = match self.http.decode(&input[used..], &mut fields) {
                Ok((n, Some(Event::Request(head)))) => {
                    used += n;
                    head
                }
                // Before a head there is no other event: the head is incomplete, so read more
                // bytes.
                Ok((n, _)) => return (used + n, self.read_on(input.len() - used - n + 1)),
                Err(error) => return (used, self.refuse(Failure::Refused(error))),
            };
            if let Some((at, http)) = before.take_if(|_| !self.worker.handler.is_pipelined(&head)) {
                return (at, self.read_again(http, None));
            }
            (self.is_first, self.head_begun) = (false, false);
            self.request_body.length = head.body();
            if head.body() != BodyLength::Empty {
                let limits = self.worker.handler.body_limits(&head, shared.limits.body());
                (self.request_body.max, self.request_body.max_pause) = (limits.max, limits.max_pause);
                if let Err(error) = self.http.limit_body(limits.max) {
                    return (used, self.refuse(Failure::Refused(error)));
                }
            }
            let begun = self.request_body.begin(&mut self.http, head.expects_continue(), &input[used..]);
            let body = match begun {
                Ok((n, body)) => {
                    used += n;
                    body
                }
                Err(error) => return (used, self.refuse(Failure::Refused(error))),
            };
            if let (Some((at, http)), false) = (before, self.request_body.is_whole()) {
                let body = self.request_body.length;
                let needs = self.in_flight.as_ref().and_then(|answers| answers.needed_for(used - at, body));
                return (at, self.read_again(http, needs));
            }
            let body_len = body.as_whole().map_or(0, Bytes::len);
            let reply = if is_misdirected(&head) {
                let detail = "This server serves only http:// targets. Send the request to a server of the \
                              target's scheme.";
                Reply::Ready(Problem::new(421, detail).into_response())
            } else {
                self.worker.handler.handle(Request { head: &head, body, peer: self.peer, at: self.now })
            };
            match self.reply(reply, body_len) {
                Step::Next if used < input.len() && shared.turns.is_over() => return (used, Step::Pause),
                Step::Next => {}
                step => return (used, step),
            }
        }
    }

    /// The request that was just read must wait for the answers under way, or until the input has
    /// as many bytes as it needs. `http` is as it was before: the request is read again.
    fn read_again(&mut self, http: Connection<Server>, needs: Option<usize>) -> Step<H::Ticket> {
        (self.http, self.request_body) = (http, RequestBody::NONE);
        match needs {
            Some(needs) => self.read_on(needs),
            None => self.follow(Next::Request),
        }
    }

    /// Reads until the input has as many bytes. If answers are under way, waits for them too.
    fn read_on(&mut self, needs: usize) -> Step<H::Ticket> {
        let Some(in_flight) = &mut self.in_flight else { return Step::Read };
        in_flight.needs = needs;
        Step::InFlight
    }

    /// Notes what follows the answers under way.
    fn follow(&mut self, next: Next<H::Ticket>) -> Step<H::Ticket> {
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.next = next;
        }
        Step::InFlight
    }

    /// Executes a reply as far as possible without waiting. `Step::Next` means that the exchange is
    /// over, or that its answer is under way. The answers under way come first.
    fn reply(&mut self, reply: Reply<H::Ticket>, body_len: usize) -> Step<H::Ticket> {
        let is_behind = self.in_flight.is_some();
        match reply {
            Reply::Pipelined(answer) if self.request_body.is_whole() && self.http.answer_elsewhere() => {
                self.push(answer, body_len)
            }
            Reply::Ready(answer) if is_behind && answer.is_whole() && self.http.answer_elsewhere() => {
                self.push(Box::pin(std::future::ready(answer)), body_len)
            }
            reply if is_behind => self.follow(Next::Reply(reply)),
            Reply::Ready(response) => self.respond(response),
            Reply::Shared(prepared) => self.respond_shared(&prepared),
            Reply::Later(future) => Step::Later(future),
            Reply::Pipelined(answer) => Step::Later(Box::pin(async move { Reply::Ready(answer.await) })),
            Reply::Detach { head, first, ticket } => self.detach(head, first, ticket),
        }
    }

    /// Puts an answer behind those that are under way.
    fn push(&mut self, answer: LocalFuture<Response>, body_len: usize) -> Step<H::Ticket> {
        self.in_flight.get_or_insert_with(|| Box::new(InFlight::new())).push(answer, body_len);
        self.request_body = RequestBody::NONE;
        Step::Next
    }

    fn respond(&mut self, response: Response) -> Step<H::Ticket> {
        match self.writer().respond(response) {
            Ok(Written::All) => self.finish_exchange(),
            Ok(Written::Head(body)) => Step::Stream(body),
            Ok(Written::Cut) => Step::Close,
            Err(Unsendable) => self.respond_unsendable(),
        }
    }

    fn respond_shared(&mut self, prepared: &PreparedResponse) -> Step<H::Ticket> {
        match self.writer().respond_shared(prepared) {
            Ok(()) => self.finish_exchange(),
            Err(Unsendable) => self.respond_unsendable(),
        }
    }

    /// A handler made a response that cannot be sent.
    fn respond_unsendable(&mut self) -> Step<H::Ticket> {
        self.request_body = RequestBody::NONE;
        self.writer().refuse_unsendable();
        Step::Close
    }

    fn detach(&mut self, head: Option<DetachHead>, first: Vec<Bytes>, ticket: H::Ticket) -> Step<H::Ticket> {
        // `Content-Length: 0` is unambiguous, and several WebSocket clients and proxies send it.
        if !self.request_body.length.is_empty() {
            // The rest of a body would be read as bytes of the other protocol. The request is
            // refused also if the body has come already, so that timing does not matter.
            return self.answer_and_close(Problem::new(
                400,
                "A request for a stream or another protocol must have no body.",
            ));
        }
        if let Some(head) = head {
            if self.writer().send_head(&head.response, head.body(), 0).is_err() {
                return self.respond_unsendable();
            }
            if self.http.is_sent() {
                // The answer to a HEAD, or a status without content: the handler has nothing to
                // send.
                return self.finish_exchange();
            }
        }
        first.into_iter().for_each(|part| self.transport.output.push(part));
        Step::Detach(ticket)
    }

    /// Continues after a complete answer: drains the rest of the request body, begins the next
    /// request, or closes.
    fn finish_exchange(&mut self) -> Step<H::Ticket> {
        if self.request_body.stop_forwarding(&self.http) { Step::Drain } else { self.next_exchange() }
    }

    fn next_exchange(&mut self) -> Step<H::Ticket> {
        self.request_body = RequestBody::NONE;
        if self.http.next_exchange().is_ok() { Step::Next } else { Step::Close }
    }

    /// Answers a request that is refused before the handler has answered it, and closes the
    /// connection. The answers under way come first.
    fn refuse(&mut self, failure: Failure) -> Step<H::Ticket> {
        if self.in_flight.is_some() {
            return self.follow(Next::Refusal(failure));
        }
        if let Failure::TimedOut = failure {
            // Ends the message for the parser too, which then allows an answer.
            let _ = self.http.finish();
        }
        match failure.problem(self.request_body.max) {
            Some(problem) => self.answer_and_close(problem),
            None => Step::Close,
        }
    }

    fn answer_and_close(&mut self, problem: Problem) -> Step<H::Ticket> {
        self.request_body = RequestBody::NONE;
        self.writer().refuse(problem);
        Step::Close
    }

    fn waiting(&mut self) -> Waiting<'_> {
        Waiting {
            http: &mut self.http,
            request_body: &mut self.request_body,
            transport: &mut self.transport,
            gives_up: self.worker.handler.gives_up(),
        }
    }

    fn writer(&mut self) -> ResponseWriter<'_> {
        ResponseWriter {
            http: &mut self.http,
            output: &mut self.transport.output,
            shared: &self.transport.shared,
            request_body: &self.request_body,
            now: self.now,
            more: false,
        }
    }
}
