//! The connection: what both roles share.

use crate::error::{Error, ErrorKind, Limit, Syntax};
use crate::event::Event;
use crate::head_info::{Body, HeadInfo};
use crate::limits::Limits;
use crate::message::BodyLength;
use crate::parse::HeadParser;
use crate::reuse::{CloseReason, NextExchangeError};
use crate::role::{Role, Server};
use crate::state::{Exchange, Half, State, Step};
use core::fmt;
use core::marker::PhantomData;
use tidewire_chunked as chunked;

/// One HTTP/1 connection as a state machine: received bytes in, events out; calls in, bytes to send
/// out.
///
/// It holds no buffer and allocates nothing. The caller owns the bytes of a head and its table of
/// fields, and content is not copied. `state.rs` draws the states of an exchange; the README walks
/// through one.
///
/// A client and a server in memory:
///
/// ```
/// use tidewire_http1::{BodyLength, Client, Connection, Event, Fields, Limits, Request, Response, Server};
///
/// let mut client = Connection::<Client>::new(Limits::DEFAULT);
/// let mut server = Connection::<Server>::new(Limits::DEFAULT);
/// let (mut up, mut down, mut fields) = (Vec::new(), Vec::new(), Fields::new());
/// for path in ["/a", "/b"] {
///     // No body follows these heads, so each is a whole message.
///     client.send_request(&Request::new("GET", path, "example.org"), BodyLength::Empty, &mut up)?;
///     let (used, event) = server.decode(&up, &mut fields)?;
///     assert!(matches!(event, Some(Event::Request(head)) if head.path() == path.as_bytes()));
///     up.drain(..used);
///
///     server.send_head(&Response::new(200), BodyLength::Length(5), &mut down)?;
///     server.send_data(b"hello", &mut down)?;
///     server.send_end(&mut down)?;
///     let mut at = 0;
///     loop {
///         let (used, event) = client.decode(&down[at..], &mut fields)?;
///         at += used;
///         match event {
///             Some(Event::Response(head)) => assert_eq!(head.status(), 200),
///             Some(Event::Data(data)) => assert_eq!(data, b"hello"),
///             Some(Event::End) => break,
///             other => panic!("{other:?}"), // with a socket: `None` means to read more bytes
///         }
///     }
///     down.drain(..at);
///     client.next_exchange()?;
///     server.next_exchange()?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A clone reads and sends on from the same point. So a server can look at a request, and read it
/// again later.
#[derive(Clone)]
pub struct Connection<R: Role> {
    pub(crate) limits: Limits,
    state: State,
    pub(crate) exchange: Exchange,
    pub(crate) input: Input,
    pub(crate) outgoing: OutgoingBody,
    /// Bytes consumed since the connection began. Error offsets are counted from there.
    pub(crate) consumed: u64,
    /// Empty lines skipped before this request.
    pub(crate) skipped: u8,
    role: PhantomData<fn() -> R>,
}

/// What the connection reads at the moment.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Head(HeadParser),
    /// A body. After a head without a body, `Length(0)` means that the end was not yielded yet.
    Body(IncomingBody),
    /// Nothing: the end was yielded.
    Ended,
    Failed(Error),
}

/// How the body that is being received is delimited.
#[derive(Clone, Debug)]
pub(crate) enum IncomingBody {
    /// The number of bytes that are still expected.
    Length(u64),
    /// `start`: the position of the body in the connection.
    Chunked { decoder: chunked::Decoder, start: u64 },
    /// All bytes until the end of the input. Holds the number of bytes that are still allowed.
    UntilClose(u64),
}

/// How the body that is being sent is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutgoingBody {
    /// The response has no body: it answers a HEAD, or is a 204 or 304. Content is dropped.
    Nothing,
    /// The number of bytes that are still due.
    Length(u64),
    Chunked,
    UntilClose,
    /// The caller has ended the body.
    Ended,
}

impl OutgoingBody {
    /// Returns whether the head says that no content follows. Then the message is complete with it.
    pub(crate) const fn is_empty(self) -> bool {
        matches!(self, Self::Nothing | Self::Length(0))
    }
}

impl<R: Role> Connection<R> {
    /// Returns a new connection: nothing received, nothing sent.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::START,
            exchange: Exchange::NEW,
            input: Input::Head(HeadParser::new()),
            outgoing: OutgoingBody::Ended,
            consumed: 0,
            skipped: 0,
            role: PhantomData,
        }
    }

    /// Returns the number of bytes consumed since the connection began.
    #[must_use]
    pub const fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Returns whether the connection must be closed after this exchange. `false` may become `true`
    /// until the head of the final response is sent or received.
    #[must_use]
    pub const fn must_close(&self) -> bool {
        self.close_reason().is_some()
    }

    /// Returns why the connection must be closed after this exchange. `None` if it stays open: see
    /// [`must_close`](Self::must_close).
    #[must_use]
    pub const fn close_reason(&self) -> Option<CloseReason> {
        self.exchange.closing()
    }

    /// Closes the connection after this exchange: the next head that is sent contains
    /// `Connection: close`.
    pub fn close(&mut self) {
        self.exchange.close(CloseReason::Local);
    }

    /// Returns whether the connection switched to another protocol, by a 101 or a 2xx to CONNECT.
    /// Then `decode` consumes nothing more. The rest of the caller's buffer, and all bytes that
    /// follow, belong to the other protocol.
    #[must_use]
    pub fn is_switched(&self) -> bool {
        self.state.request() == Half::Switched
    }

    /// Returns whether `decode` waits for the caller: it has returned [`Event::End`] and
    /// [`next_exchange`](Self::next_exchange) is due, or a client has sent no request.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.error().is_none()
            && !matches!(R::reads(self.state), Half::Head | Half::Body)
            && !self.end_is_due()
    }

    /// Returns whether the message to send is complete. It is after
    /// [`send_end`](Self::send_end), and after a head that says that its body is empty.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        R::writes(self.state) == Half::Done
    }

    /// Returns how the body that is being sent is delimited on the wire. This may differ from what
    /// the caller asked for: `Chunked` becomes `UntilClose` for an HTTP/1.0 client. For a length,
    /// it is the number of bytes that are still due. `None` when no body is due: before a head,
    /// after a head that says that its body is empty (also in the response to HEAD), and after the
    /// end.
    #[must_use]
    pub fn sending(&self) -> Option<BodyLength> {
        if R::writes(self.state) != Half::Body {
            return None;
        }
        match self.outgoing {
            OutgoingBody::Length(left) => Some(BodyLength::Length(left)),
            OutgoingBody::Chunked => Some(BodyLength::Chunked),
            OutgoingBody::UntilClose => Some(BodyLength::UntilClose),
            OutgoingBody::Nothing | OutgoingBody::Ended => None,
        }
    }

    /// Starts the next exchange, and forgets everything about the last one. Both messages must be
    /// complete. [`Event::End`] of a message without a body need not have been read.
    ///
    /// # Errors
    /// Why the next exchange cannot start. Nothing is changed.
    #[inline]
    pub fn next_exchange(&mut self) -> Result<(), NextExchangeError> {
        if self.begin_next(Step::Next) { Ok(()) } else { Err(self.why_not_next()) }
    }

    #[cold]
    fn why_not_next(&self) -> NextExchangeError {
        let (request, response) = (self.state.request(), self.state.response());
        // The halves in the order of the exchange, each with the work that it lacks.
        let (no_request, no_response) = R::UNFINISHED;
        match (self.error(), self.close_reason()) {
            _ if self.is_switched() => NextExchangeError::Switched,
            (Some(error), _) => NextExchangeError::Failed(error),
            (None, Some(reason)) if response == Half::Done => NextExchangeError::Closing(reason),
            _ if request != Half::Done => no_request,
            _ => no_response,
        }
    }

    /// Returns whether `decode` has not yielded the end of a message without a body.
    pub(crate) fn end_is_due(&self) -> bool {
        matches!(self.input, Input::Body(_)) && R::reads(self.state) == Half::Done
    }

    /// Starts the next exchange by a step that ends this one, if the connection stays open.
    pub(crate) fn begin_next(&mut self, step: Step) -> bool {
        match self.state.after(step) {
            Some(state) if !self.must_close() => {
                self.state = state;
                self.exchange = Exchange::NEW;
                self.input = Input::Head(HeadParser::new());
                self.skipped = 0;
                true
            }
            _ => false,
        }
    }

    /// Begins the response to a request that another connection reads. `exchange` holds what that
    /// connection knows about the request.
    pub(crate) fn answer_for(&mut self, exchange: Exchange) {
        self.exchange = exchange;
        self.step(Step::RequestElsewhere);
    }

    /// Handles the end of the input.
    ///
    /// The input may end between messages. It may also end after a request that is not answered
    /// yet: the server then sends its response and closes (half-close). A response that lasts until
    /// close ends here: `Some(Event::End)`.
    ///
    /// # Errors
    /// [`Syntax::UnexpectedEnd`] if the input ended within a message; the offset is the end of the
    /// received bytes. An earlier error of the connection is returned again.
    pub fn finish(&mut self) -> Result<Option<Event<'static>>, Error> {
        let reads = R::reads(self.state);
        let awaited = self.awaits_head();
        let consumed = self.consumed;
        // The end of the received bytes, if a message is unfinished.
        let unfinished = match (&mut self.input, reads) {
            (Input::Failed(error), _) => return Err(*error),
            // `Done`: the end of a message without a body was not yielded yet.
            (Input::Body(IncomingBody::UntilClose(_) | IncomingBody::Length(0)), Half::Body | Half::Done) => {
                None
            }
            // A part of a chunk line may be received and not consumed.
            (Input::Body(IncomingBody::Chunked { decoder, start }), Half::Body) => {
                let received = decoder.finish().map_or_else(|error| error.offset(), |_| 0);
                Some(start.saturating_add(received))
            }
            (Input::Body(_), Half::Body) => Some(consumed),
            (Input::Head(parser), Half::Head) if parser.started() || awaited => {
                if !awaited {
                    self.exchange.failed(parser.info());
                }
                Some(consumed.saturating_add(parser.seen() as u64))
            }
            _ => {
                // The other protocol decides how a switched connection ends.
                if reads != Half::Switched {
                    self.exchange.close(CloseReason::EndOfInput);
                }
                return Ok(None);
            }
        };
        self.exchange.close(CloseReason::EndOfInput);
        if let Some(end) = unfinished {
            return Err(self.fail_at(ErrorKind::Syntax(Syntax::UnexpectedEnd), end));
        }
        self.end_input();
        Ok(Some(Event::End))
    }

    /// Returns the error with which this connection failed.
    #[must_use]
    pub const fn error(&self) -> Option<Error> {
        match self.input {
            Input::Failed(error) => Some(error),
            Input::Head(_) | Input::Body(_) | Input::Ended => None,
        }
    }

    /// Returns whether the peer must send a head: after a request, the server must send a response.
    fn awaits_head(&self) -> bool {
        self.state.request() != Half::Head
    }

    /// Returns whether a part of a head was received.
    pub(crate) fn has_begun_head(&self) -> bool {
        matches!(&self.input, Input::Head(parser) if parser.started())
    }

    /// The state of both halves of the exchange.
    pub(crate) const fn state(&self) -> State {
        self.state
    }

    /// Makes a step. The caller has checked that the transition table has it.
    pub(crate) fn step(&mut self, step: Step) {
        if let Some(state) = self.state.after(step) {
            self.state = state;
        }
    }

    /// Stores and returns an error, `at` bytes after the consumed bytes.
    pub(crate) fn fail(&mut self, kind: ErrorKind, at: usize) -> Error {
        self.fail_at(kind, self.consumed.saturating_add(at as u64))
    }

    /// Stores and returns an error at an offset from the start of the connection.
    fn fail_at(&mut self, kind: ErrorKind, offset: u64) -> Error {
        let error = Error::new(kind, offset);
        self.input = Input::Failed(error);
        self.exchange.close(CloseReason::Failed);
        self.step(R::FAIL);
        error
    }

    /// Counts consumed bytes.
    #[inline]
    pub(crate) const fn consume(&mut self, n: usize) {
        self.consumed = self.consumed.saturating_add(n as u64);
    }

    /// Prepares to read the body of the head that was just received.
    #[inline]
    pub(crate) fn expect_body(&mut self, info: &HeadInfo) {
        let reading = match info.body {
            Body::Empty => IncomingBody::Length(0),
            Body::Length => IncomingBody::Length(info.known.declared()),
            Body::Chunked => IncomingBody::Chunked {
                decoder: chunked::Decoder::new(self.limits.chunked()),
                start: self.consumed,
            },
            Body::UntilClose => IncomingBody::UntilClose(self.limits.max_body),
        };
        self.input = Input::Body(reading);
    }

    /// Reads one event of the body from the start of `input`. Not inlined. Otherwise each call that
    /// reads a head would also save the registers that only a body needs.
    #[inline(never)]
    pub(crate) fn body<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Option<Event<'a>>), Error> {
        let over = ErrorKind::Limit(Limit::Body);
        let reading = match &mut self.input {
            Input::Body(reading) => reading,
            Input::Failed(error) => return Err(*error),
            Input::Head(_) | Input::Ended => return Ok((0, None)),
        };
        let (used, event) = match reading {
            IncomingBody::Length(0) => (0, Some(Event::End)),
            IncomingBody::Length(left) => {
                let data = &input[..input.len().min(usize::try_from(*left).unwrap_or(usize::MAX))];
                *left = left.saturating_sub(data.len() as u64);
                (data.len(), (!data.is_empty()).then_some(Event::Data(data)))
            }
            IncomingBody::UntilClose(0) if !input.is_empty() => return Err(self.fail(over, 0)),
            IncomingBody::UntilClose(left) => {
                let data = &input[..input.len().min(usize::try_from(*left).unwrap_or(usize::MAX))];
                *left = left.saturating_sub(data.len() as u64);
                (data.len(), (!data.is_empty()).then_some(Event::Data(data)))
            }
            IncomingBody::Chunked { decoder, start } => {
                let mut used = 0_usize;
                loop {
                    let (n, event) = match decoder.decode(&input[used..]) {
                        Ok(decoded) => decoded,
                        Err(error) => {
                            let offset = start.saturating_add(error.offset());
                            return Err(self.fail_at(chunked_kind(error.kind()), offset));
                        }
                    };
                    used = used.saturating_add(n);
                    break match event {
                        // How the sender divided its content into chunks has no meaning (RFC 9112
                        // §7.1).
                        Some(chunked::Event::Chunk { .. }) => continue,
                        Some(chunked::Event::Data(data)) => (used, Some(Event::Data(data))),
                        Some(chunked::Event::Trailer { name, value }) => {
                            (used, Some(Event::Trailer { name, value }))
                        }
                        Some(chunked::Event::End) => (used, Some(Event::End)),
                        None => (used, None),
                    };
                }
            }
        };
        self.consume(used);
        if matches!(event, Some(Event::End)) {
            self.end_input();
        }
        Ok((used, event))
    }

    /// Notes that the end of the received message was yielded. If the message has no body, it was
    /// complete before.
    fn end_input(&mut self) {
        self.input = Input::Ended;
        self.step(R::READ_END);
    }
}

impl Connection<Server> {
    /// Returns a connection as if it had received an HTTP/1.1 GET and not answered it. A server
    /// uses it when it has dropped the state of the connection while a request waits (long
    /// polling), and now answers. Call [`close`](Self::close) first if the response is the last
    /// one.
    ///
    /// ```
    /// use tidewire_http1::{BodyLength, Connection, Limits, Response, Server};
    ///
    /// let mut connection = Connection::<Server>::answering_get(Limits::DEFAULT);
    /// let mut out = Vec::new();
    /// connection.send_head(&Response::new(200), BodyLength::Length(5), &mut out)?;
    /// connection.send_data(b"hello", &mut out)?;
    /// connection.send_end(&mut out)?;
    /// assert_eq!(out, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    /// # Ok::<(), tidewire_http1::EncodeError>(())
    /// ```
    #[must_use]
    pub fn answering_get(limits: Limits) -> Self {
        let mut connection = Self::new(limits);
        connection.answer_for(Exchange::GET);
        connection
    }

    /// Goes on to the next request. A connection of [`answering_get`](Self::answering_get) answers
    /// the complete one: so several answers can be under way at one time. They must be sent in the
    /// order of their requests, and before the answers of this connection.
    ///
    /// Returns `false`, and changes nothing, if that connection would answer this request with
    /// other bytes: it is a HEAD or CONNECT, is HTTP/1.0, offers an upgrade, or is the last one of
    /// the connection. The same if the request is not complete, or its answer has begun.
    ///
    /// ```
    /// use tidewire_http1::{BodyLength, Connection, Fields, Limits, Response, Server};
    ///
    /// let (mut fields, mut out) = (Fields::new(), Vec::new());
    /// let mut reads = Connection::<Server>::new(Limits::DEFAULT);
    /// for _ in 0..2 {
    ///     reads.decode(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &mut fields)?;
    ///     assert!(reads.answer_elsewhere());
    /// }
    /// for _ in 0..2 {
    ///     let mut answers = Connection::<Server>::answering_get(Limits::DEFAULT);
    ///     answers.send_head(&Response::new(200), BodyLength::Length(0), &mut out)?;
    /// }
    /// assert_eq!(out, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".repeat(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn answer_elsewhere(&mut self) -> bool {
        self.exchange.is_answered_as_get() && self.answered_elsewhere()
    }

    /// Goes on to the next request; another connection answers the complete one. Returns `false`,
    /// and changes nothing, if this is the last request of the connection.
    pub(crate) fn answered_elsewhere(&mut self) -> bool {
        self.begin_next(Step::ResponseElsewhere)
    }
}

/// Converts an error of the chunked coding to one of the connection.
fn chunked_kind(kind: chunked::ErrorKind) -> ErrorKind {
    match kind {
        chunked::ErrorKind::BodyTooLarge => ErrorKind::Limit(Limit::Body),
        kind => ErrorKind::Syntax(Syntax::Chunked(kind)),
    }
}

impl<R: Role> fmt::Debug for Connection<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("state", &self.state)
            .field("exchange", &self.exchange)
            .field("consumed", &self.consumed)
            .field("error", &self.error())
            .finish_non_exhaustive()
    }
}
