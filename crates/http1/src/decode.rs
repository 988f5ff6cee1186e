//! Receiving: the heads of each role. `connection.rs` reads bodies, which are the same for both.

use crate::connection::{Connection, IncomingBody, Input};
use crate::error::{Error, ErrorKind, Fault, Limit, Rule, Syntax};
use crate::event::Event;
use crate::fields::Fields;
use crate::framing::{Message, decide_body};
use crate::head::{RequestHead, ResponseHead};
use crate::head_info::Body;
use crate::parse::{self, HeadParser};
use crate::reuse::CloseReason;
use crate::role::{Client, Server};
use crate::start_line::StartLine;
use crate::state::{Exchange, Half, Step};
use tidewire_chunked as chunked;

impl Connection<Server> {
    /// Reads one event from the start of `input`.
    ///
    /// - `Ok((n, Some(event)))`: `n` bytes are consumed. Call again with the rest.
    /// - `Ok((n, None))`: `n` bytes are consumed. No event comes before more bytes are appended to
    ///   the rest, or, after [`Event::End`], before [`next_exchange`](Self::next_exchange).
    ///
    /// A head is consumed as a whole, so the caller's buffer must hold
    /// [`max_head`](crate::Limits::max_head) bytes. Each head overwrites `fields`.
    ///
    /// # Errors
    /// Final. If the response has not begun, the server still sends one, with the status of
    /// [`Error::status_hint`].
    pub fn decode<'a>(
        &mut self,
        input: &'a [u8],
        fields: &'a mut Fields,
    ) -> Result<(usize, Option<Event<'a>>), Error> {
        match &self.input {
            Input::Head(parser) if self.state().request() == Half::Head => {
                let whole = !parser.started() && input.first() != Some(&b'\r');
                match whole
                    .then(|| parse::parse_whole(StartLine::Request, input, &self.limits, fields))
                    .flatten()
                {
                    Some(Ok(length)) => Ok((length, Some(self.request(&input[..length], fields)))),
                    read => self.request_in_pieces(input, fields, read),
                }
            }
            Input::Failed(error) => Err(*error),
            Input::Body(_) if matches!(self.state().request(), Half::Body | Half::Done) => self.body(input),
            _ => Ok((0, None)),
        }
    }

    /// Reads a head that is incomplete, unusual or malformed, or that follows an empty line. `read`
    /// is the error that the fast path already found.
    #[cold]
    #[inline(never)]
    fn request_in_pieces<'a>(
        &mut self,
        input: &'a [u8],
        fields: &'a mut Fields,
        read: Option<Result<usize, Fault>>,
    ) -> Result<(usize, Option<Event<'a>>), Error> {
        let mut skipped = 0;
        if input.first() == Some(&b'\r') && matches!(&self.input, Input::Head(parser) if !parser.started()) {
            skipped = self.skip_empty_lines(input)?;
            if input[skipped..] == *b"\r" {
                return Ok((skipped, None));
            }
        }
        let input = &input[skipped..];
        let Input::Head(parser) = &mut self.input else { return Ok((skipped, None)) };
        let read = match read {
            Some(read) => read.map(Some),
            None if skipped > 0 => parser.parse(StartLine::Request, input, &self.limits, fields),
            None => parser.parse_pieces(StartLine::Request, input, &self.limits, fields),
        };
        match read {
            Ok(Some(length)) => {
                Ok((skipped.saturating_add(length), Some(self.request(&input[..length], fields))))
            }
            Ok(None) => Ok((skipped, None)),
            Err((kind, at)) => {
                self.exchange.failed(&fields.info);
                Err(self.fail(kind, at))
            }
        }
    }

    /// Begins the exchange with a complete request head.
    #[inline(always)]
    fn request<'a>(&mut self, head: &'a [u8], fields: &'a Fields) -> Event<'a> {
        let info = &fields.info;
        self.exchange = Exchange::received(info, self.exchange.closing());
        self.consume(head.len());
        self.expect_body(info);
        self.step(if info.is_bodiless() { Step::BodilessRequest } else { Step::RequestHead });
        Event::Request(RequestHead::new(head, fields))
    }

    /// Limits the body of the request whose head was just received. Call it before any of the body
    /// is decoded. A server uses it where some resources allow larger bodies than others.
    /// [`Limits::max_body`](crate::Limits::max_body) was already checked with the head, so `max`
    /// can only lower the limit.
    ///
    /// # Errors
    /// Final: the declared length is over `max`. The offset is that of the body. A chunked body is
    /// refused later, at the chunk that would exceed the limit.
    pub fn limit_body(&mut self, max: u64) -> Result<(), Error> {
        match &mut self.input {
            Input::Body(IncomingBody::Length(declared)) if *declared > max => {
                Err(self.fail(ErrorKind::Limit(Limit::Body), 0))
            }
            Input::Body(IncomingBody::Chunked { decoder, start }) if *start == self.consumed => {
                *decoder = chunked::Decoder::new(self.limits.chunked().with_max_body(max));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// RFC 9112 §2.2: a server should skip an empty line before a request line. We skip at most
    /// two, and only CR LF.
    #[cold]
    #[inline(never)]
    fn skip_empty_lines(&mut self, input: &[u8]) -> Result<usize, Error> {
        let mut skipped = 0_usize;
        while let Some([b'\r', rest @ ..]) = input.get(skipped..) {
            match rest.first() {
                None if self.skipped < MAX_EMPTY_LINES => break,
                Some(b'\n') if self.skipped < MAX_EMPTY_LINES => {
                    self.skipped = self.skipped.saturating_add(1);
                    skipped = skipped.saturating_add(2);
                    self.consume(2);
                }
                Some(_) if self.skipped < MAX_EMPTY_LINES => {
                    return Err(self.fail(ErrorKind::Syntax(Syntax::LineEnd), 1));
                }
                _ => return Err(self.fail(ErrorKind::Syntax(Syntax::Method), 0)),
            }
        }
        Ok(skipped)
    }
}

impl Connection<Client> {
    /// Reads one event from the start of `input`, as for a [`Server`], but responses instead of
    /// requests.
    ///
    /// Bytes that arrive while no request is outstanding are not a response (RFC 9112 §9.2 (2)),
    /// and are not consumed. Before the first request they are an error. After a response the
    /// connection [`must_close`](Self::must_close). The connection sees only the bytes that you
    /// pass. So look for bytes after a response before you send the next request.
    ///
    /// # Errors
    /// Final.
    pub fn decode<'a>(
        &mut self,
        input: &'a [u8],
        fields: &'a mut Fields,
    ) -> Result<(usize, Option<Event<'a>>), Error> {
        match (&self.input, self.state().response()) {
            (Input::Failed(error), _) => Err(*error),
            (Input::Head(_), Half::Head) => self.response(input, fields),
            (Input::Body(_), Half::Body | Half::Done) => self.body(input),
            (Input::Head(_), Half::Idle) if !input.is_empty() => {
                Err(self.fail(ErrorKind::Rule(Rule::UnexpectedResponse), 0))
            }
            (_, Half::Done) if !input.is_empty() => {
                self.exchange.close(CloseReason::UnexpectedBytes);
                Ok((0, None))
            }
            _ => Ok((0, None)),
        }
    }

    fn response<'a>(
        &mut self,
        input: &'a [u8],
        fields: &'a mut Fields,
    ) -> Result<(usize, Option<Event<'a>>), Error> {
        let Input::Head(parser) = &mut self.input else { return Ok((0, None)) };
        let read = parser.parse(StartLine::Status, input, &self.limits, fields).and_then(|length| {
            let status = fields.info.status;
            let tunnel = self.exchange.is_connect() && matches!(status, 200..=299);
            let message = Message::Response { status, bodiless: self.exchange.is_head() || tunnel };
            length
                .map(|length| {
                    decide_body(&mut fields.info, message, &self.limits).map(|()| (length, status, tunnel))
                })
                .transpose()
        });
        let (length, status, tunnel) = match read {
            Ok(Some(complete)) => complete,
            Ok(None) => return Ok((0, None)),
            Err((kind, at)) => return Err(self.fail(kind, at)),
        };
        // No switch before the end of the request: the server would take the rest of the request
        // for the other protocol.
        let switches = status == 101 || tunnel;
        // Nor after a request with a body: two recipients could disagree about where it ends.
        let early = switches && (self.exchange.has_body() || self.state().after(Step::Switch).is_none());
        if early || status == 101 && !self.exchange.offers_upgrade() {
            return Err(self.fail(ErrorKind::Rule(Rule::UnexpectedUpgrade), STATUS_AT));
        }
        let interim = matches!(status, 100 | 102..=199);
        if interim && self.exchange.interim() >= self.limits.max_interim_responses {
            return Err(self.fail(ErrorKind::Limit(Limit::InterimResponses), STATUS_AT));
        }
        self.consume(length);
        if !switches && !fields.info.keep_alive() {
            // RFC 9112 §9.6: `close` counts in every response, also in an interim one.
            let until_close = fields.info.body == Body::UntilClose;
            self.exchange.close(if until_close { CloseReason::UntilClose } else { CloseReason::Peer });
        }
        if interim {
            self.exchange.interim_received();
            self.input = Input::Head(HeadParser::new());
            self.step(Step::Interim);
        } else if switches {
            self.step(Step::Switch);
        } else {
            self.expect_body(&fields.info);
            self.step(if fields.info.is_bodiless() { Step::BodilessResponse } else { Step::ResponseHead });
        }
        let head = ResponseHead::new(&input[..length], fields);
        Ok((length, Some(Event::Response(head))))
    }
}

/// Empty lines that are skipped before a request line.
const MAX_EMPTY_LINES: u8 = 2;

/// Offset of the status code in a status line.
const STATUS_AT: usize = 9;
