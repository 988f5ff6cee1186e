//! A connection, seen from one end: what both roles share.

use crate::error::{Error, ErrorKind, Limit, Syntax};
use crate::head::{RequestHead, ResponseHead};
use crate::head_info::{Body, HeadInfo};
use crate::limits::Limits;
use crate::message::BodyLength;
use crate::parse::HeadParser;
use crate::role::{Role, Server};
use crate::state::{Exchange, Half, State, Step};
use core::fmt;
use core::marker::PhantomData;
use tidewire_chunked as chunked;

/// What a connection received.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A request's head. To a [`Server`] only.
    Request(RequestHead<'a>),
    /// A response's head, interim ones too. To a [`Client`](crate::Client) only.
    Response(ResponseHead<'a>),
    /// Content, without its framing: at least one byte, and the last bytes of what was consumed.
    Data(&'a [u8]),
    /// A trailer field, after the content. Do not treat it as a field of the head (RFC 9110
    /// §6.5.1).
    Trailer {
        /// The name as it came: a token.
        name: &'a [u8],
        /// The value without the whitespace around it.
        value: &'a [u8],
    },
    /// The message is complete. Comes after every head but an interim one and one that switches
    /// protocols.
    End,
}

/// One HTTP/1 connection as a state machine: bytes and sending calls in, events and bytes out.
///
/// It holds no buffer and allocates nothing: the head and its span table are the caller's, and
/// content passes beside. The life of an exchange is drawn in `state.rs`, and told in the README.
pub struct Connection<R: Role> {
    pub(crate) limits: Limits,
    state: State,
    pub(crate) exchange: Exchange,
    pub(crate) input: Input,
    pub(crate) outgoing: OutgoingBody,
    /// Bytes consumed since the connection began: what error offsets are counted from.
    pub(crate) consumed: u64,
    /// Empty lines skipped before this request.
    pub(crate) skipped: u8,
    role: PhantomData<fn() -> R>,
}

/// What is being read: one thing at a time, so one place for all.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Head(HeadParser),
    Body(IncomingBody),
    Failed(Error),
}

/// How the body that is being received is delimited.
#[derive(Clone, Debug)]
pub(crate) enum IncomingBody {
    /// So many bytes are still to come.
    Length(u64),
    /// `start`: where in the connection the body starts.
    Chunked { decoder: chunked::Decoder, start: u64 },
    /// Everything until the end of input; so many bytes may still come.
    UntilClose(u64),
}

/// How the body that is being sent is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutgoingBody {
    /// It is not sent at all: the answer to a HEAD, a 204 or a 304. Content is swallowed.
    Nothing,
    /// So many bytes are still due.
    Length(u64),
    Chunked,
    UntilClose,
}

/// What the caller does with content, after [`send_data_head`](Connection::send_data_head) has
/// written the framing before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentAction {
    /// Send the content, and then these bytes: the CR LF of a chunk, or nothing.
    SendThen(&'static [u8]),
    /// Do not send the content: this message has no body.
    Omit,
}

impl<R: Role> Connection<R> {
    /// A new connection: nothing received, nothing sent.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::START,
            exchange: Exchange::NEW,
            input: Input::Head(HeadParser::new()),
            outgoing: OutgoingBody::Nothing,
            consumed: 0,
            skipped: 0,
            role: PhantomData,
        }
    }

    /// Bytes consumed since the connection began.
    #[must_use]
    pub const fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Must the connection be closed once this exchange is over? Known at the latest when the
    /// response's head is; until then `false` may become `true`.
    #[must_use]
    pub fn must_close(&self) -> bool {
        !self.exchange.keep_alive()
            || self.state.request() == Half::Closed
            || self.state.response() == Half::Closed
    }

    /// Asks for the connection to be closed after this exchange: the next head that is sent says
    /// so.
    pub fn close(&mut self) {
        self.exchange.close();
    }

    /// Has the connection changed to another protocol (a 101, or a 2xx to CONNECT)? `decode` then
    /// consumes nothing more; the rest of the caller's buffer, and all that follows, belongs to the
    /// other protocol.
    #[must_use]
    pub fn is_switched(&self) -> bool {
        self.state.request() == Half::Switched
    }

    /// Was the received message complete, so that `decode` says nothing until
    /// [`next_exchange`](Self::next_exchange)?
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.error().is_none() && !matches!(R::reads(self.state), Half::Head | Half::Body)
    }

    /// Was the message that is being sent completed?
    #[must_use]
    pub fn is_sent(&self) -> bool {
        R::writes(self.state) == Half::Done
    }

    /// How the body being sent is delimited on the wire, which need not be what was asked for:
    /// chunked becomes until-close for an HTTP/1.0 client, and a body that is not sent is `Empty`.
    /// `None` when no body is being sent.
    #[must_use]
    pub fn sending(&self) -> Option<BodyLength> {
        (R::writes(self.state) == Half::Body).then_some(match self.outgoing {
            OutgoingBody::Nothing => BodyLength::Empty,
            OutgoingBody::Length(left) => BodyLength::Length(left),
            OutgoingBody::Chunked => BodyLength::Chunked,
            OutgoingBody::UntilClose => BodyLength::UntilClose,
        })
    }

    /// Starts the next exchange. `false`, and nothing happens, while one of the two messages is not
    /// complete, or if the connection must close. All that was known of the last exchange is
    /// forgotten.
    pub fn next_exchange(&mut self) -> bool {
        self.begin_next(Step::Next)
    }

    /// Starts the next exchange by a step that ends this one, if the connection stays.
    fn begin_next(&mut self, step: Step) -> bool {
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

    /// The end of input is an input: is this a legal place for the peer to stop?
    ///
    /// Between messages it is, and after the message that is being answered: a server then sends
    /// its answer and closes (half-close). A response that lasts until close ends here:
    /// `Some(Event::End)`.
    ///
    /// # Errors
    /// The input ended within a message ([`Syntax::UnexpectedEnd`], at the end of what was received),
    /// or the connection had failed before.
    pub fn finish(&mut self) -> Result<Option<Event<'static>>, Error> {
        let reads = R::reads(self.state);
        let awaited = self.awaits_head();
        let cut = match (&self.input, reads) {
            (Input::Failed(error), _) => return Err(*error),
            (Input::Body(IncomingBody::UntilClose(_) | IncomingBody::Length(0)), Half::Body) => None,
            (Input::Body(_), Half::Body) => Some(0),
            (Input::Head(scan), Half::Head) if scan.started() || awaited => {
                if !awaited {
                    self.exchange.failed(scan.info());
                }
                Some(scan.seen())
            }
            _ => {
                // A switched connection ends as its new protocol says.
                if reads != Half::Switched {
                    self.exchange.close();
                }
                return Ok(None);
            }
        };
        self.exchange.close();
        if let Some(seen) = cut {
            return Err(self.fail(ErrorKind::Syntax(Syntax::UnexpectedEnd), seen));
        }
        self.step(R::READ_END);
        Ok(Some(Event::End))
    }

    /// The error that this connection failed with.
    #[must_use]
    pub const fn error(&self) -> Option<Error> {
        match self.input {
            Input::Failed(error) => Some(error),
            Input::Head(_) | Input::Body(_) => None,
        }
    }

    /// Is a head owed to us? A client that has sent a request is owed one; a server never is.
    fn awaits_head(&self) -> bool {
        self.state.request() != Half::Head
    }

    /// Where both halves of the exchange are.
    pub(crate) const fn state(&self) -> State {
        self.state
    }

    /// Makes a step that the caller has checked to be in the table.
    pub(crate) fn step(&mut self, step: Step) {
        if let Some(state) = self.state.after(step) {
            self.state = state;
        }
    }

    /// Fails for good, at `at` bytes after what was consumed.
    pub(crate) fn fail(&mut self, kind: ErrorKind, at: usize) -> Error {
        self.fail_at(kind, self.consumed + at as u64)
    }

    /// Fails for good, at an offset from the start of the connection.
    fn fail_at(&mut self, kind: ErrorKind, offset: u64) -> Error {
        let error = Error::new(kind, offset);
        self.input = Input::Failed(error);
        self.exchange.close();
        self.step(R::FAIL);
        error
    }

    /// Prepares for the body that a head announced.
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

    /// One event of the body at the start of `input`. Apart, so that a head does not pay for the
    /// registers of a body.
    #[inline(never)]
    pub(crate) fn body<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Option<Event<'a>>), Error> {
        let over = ErrorKind::Limit(Limit::Body);
        let reading = match &mut self.input {
            Input::Body(reading) => reading,
            Input::Failed(error) => return Err(*error),
            Input::Head(_) => return Ok((0, None)),
        };
        let (used, event) = match reading {
            IncomingBody::Length(0) => (0, Some(Event::End)),
            IncomingBody::Length(left) => {
                let data = &input[..input.len().min(usize::try_from(*left).unwrap_or(usize::MAX))];
                *left -= data.len() as u64;
                (data.len(), (!data.is_empty()).then_some(Event::Data(data)))
            }
            IncomingBody::UntilClose(0) if !input.is_empty() => return Err(self.fail(over, 0)),
            IncomingBody::UntilClose(left) => {
                let data = &input[..input.len().min(usize::try_from(*left).unwrap_or(usize::MAX))];
                *left -= data.len() as u64;
                (data.len(), (!data.is_empty()).then_some(Event::Data(data)))
            }
            IncomingBody::Chunked { decoder, start } => {
                let mut used = 0;
                loop {
                    let (n, event) = match decoder.decode(&input[used..]) {
                        Ok(decoded) => decoded,
                        Err(error) => {
                            let offset = start.saturating_add(error.offset());
                            return Err(self.fail_at(chunked_kind(error.kind()), offset));
                        }
                    };
                    used += n;
                    break match event {
                        // How the sender cut its content has no meaning (RFC 9112 §7.1).
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
        self.consumed += used as u64;
        if matches!(event, Some(Event::End)) {
            self.step(R::READ_END);
        }
        Ok((used, event))
    }
}

impl Connection<Server> {
    /// A connection that has received a GET of HTTP/1.1, and is to send its answer: for a server
    /// that gave the connection which read the request back, as while a poll waits, and knows what
    /// was asked. [`close`](Self::close) it first where the answer is the last one.
    ///
    /// ```
    /// use tidewire_http1::{BodyLength, Connection, Limits, Response, Server};
    ///
    /// let (mut connection, mut out) = (Connection::<Server>::answering_get(Limits::DEFAULT), Vec::new());
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

    /// Begins the answer to a request that another connection reads. `exchange` is what that one
    /// knows of it.
    pub(crate) fn answer_for(&mut self, exchange: Exchange) {
        self.exchange = exchange;
        self.step(Step::RequestElsewhere);
    }

    /// Reads on behind a complete request, which another connection answers. `false`, and nothing
    /// happens, if this is the last request of the connection.
    #[cfg_attr(not(feature = "codec"), expect(dead_code))]
    pub(crate) fn answered_elsewhere(&mut self) -> bool {
        self.begin_next(Step::ResponseElsewhere)
    }
}

/// An error of the chunked coding as one of the connection.
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
