//! The observer: both directions of a connection that others have.
//!
//! It has one connection for each direction: a server that reads the requests, and a client that
//! reads the responses. Both only read. What joins them:
//!
//! ```text
//!   client ─► requests ──what the response depends on──► queue ─► responses ◄─ server
//!                 ▲                                                   │
//!                 └── whether the protocol changes, after an offer ───┘
//! ```
//! Each direction waits where its next byte depends on the other one. It never depends on which
//! direction was decoded first. So the events of a capture are the same however its two directions
//! are interleaved.

use crate::connection::Connection;
use crate::error::Error;
use crate::event::Event;
use crate::fields::Fields;
use crate::limits::Limits;
use crate::message::Method;
use crate::role::{Client, Server};
use crate::state::{Exchange, Half, Step};
use alloc::collections::VecDeque;

/// Both directions of one HTTP/1 connection between other programs: for captures, proxies that only
/// watch, logs and tests.
///
/// It gets the bytes that the client sent and the bytes that the server sent, and yields the events
/// of both. It answers nothing and asks nothing. It has no buffer, and allocates only a queue of at
/// most [`Limits::max_unanswered`] requests, of a few bytes each. Each direction keeps the decoder
/// contract, with its own offsets and its own final error.
///
/// A response can only be read when its request is known, because a response to HEAD has no body.
/// After an offer to switch protocols, the client's bytes can only be read when the answer is
/// known. So a direction may have to wait for the other one. After an event or an error, decode the
/// other direction too; [`reading_requests`](Self::reading_requests) and
/// [`reading_responses`](Self::reading_responses) say what a direction waits for. The order in
/// which you decode the directions does not change the events.
///
/// A capture may have lost bytes, or begin in the middle of a connection. In a body whose length
/// its head declares, pass any bytes in the place of lost content: only their number counts. In all
/// other places nobody knows where the next message starts. Then look for the next start line in
/// both directions, and begin again there with a new observer.
/// [`assume_request`](Self::assume_request) tells it about a request that is missing.
///
/// ```
/// use tidewire_http1::{Event, Fields, Limits, Observer, Reading};
///
/// // Two pipelined requests, and both answers. The first one has no body, because it answers HEAD.
/// let up = b"HEAD /tide HTTP/1.1\r\nHost: h\r\n\r\nGET /moon HTTP/1.1\r\nHost: h\r\n\r\n";
/// let down = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
///
/// let mut observer = Observer::new(Limits::DEFAULT);
/// let mut fields = Fields::new();
/// let mut targets = Vec::new();
/// let mut log = Vec::new();
///
/// // The server's bytes come first in this capture: no request is known yet.
/// assert!(matches!(observer.decode_responses(down, &mut fields), Ok((0, None))));
/// assert_eq!(observer.reading_responses(), Reading::AwaitsRequest);
///
/// let mut at = 0;
/// while let (used, Some(event)) = observer.decode_requests(&up[at..], &mut fields)? {
///     at += used;
///     if let Event::Request(head) = event {
///         targets.push(String::from_utf8_lossy(head.target()).into_owned());
///     }
/// }
/// let mut at = 0;
/// while let (used, Some(event)) = observer.decode_responses(&down[at..], &mut fields)? {
///     at += used;
///     match event {
///         Event::Response(head) => {
///             let status = head.status();
///             let request = observer.answered().expect("a head came");
///             log.push(format!("{} {status}", targets[request as usize]));
///         }
///         Event::Data(data) => log.push(format!("{} bytes", data.len())),
///         _ => {}
///     }
/// }
/// assert_eq!(log, ["/tide 200", "/moon 404", "2 bytes"]);
///
/// observer.finish_requests()?;
/// observer.finish_responses()?;
/// assert_eq!(observer.unanswered(), 0);
/// # Ok::<(), tidewire_http1::Error>(())
/// ```
#[derive(Debug)]
pub struct Observer {
    requests: Connection<Server>,
    responses: Connection<Client>,
    /// Requests whose final response has not begun. The first one is the one that `responses`
    /// reads the answer to.
    queue: VecDeque<Pending>,
    offer: Offer,
    requests_ended: bool,
    responses_ended: bool,
    request_count: u64,
    /// How many requests have a final response.
    final_count: u64,
    answered: Option<u64>,
}

/// A request whose final response has not begun.
#[derive(Clone, Copy, Debug)]
struct Pending {
    exchange: Exchange,
    /// The request was malformed or cut off. A server may answer it, or only close.
    refused: bool,
}

/// The offer of the last request to switch protocols. There is one at most: the next request is not
/// read before the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    None,
    Awaiting,
    Declined,
    Accepted,
}

/// What one direction of an [`Observer`] reads next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reading {
    /// HTTP messages. More bytes of this direction give more events.
    Messages,
    /// Responses only: every known request is answered. The next bytes answer a request that the
    /// observer has not read completely. Keep the bytes, and decode the requests first.
    ///
    /// The observer does not know which direction sent first. If you do, and no request was sent
    /// before these bytes, they are not a response (RFC 9112 §9.2).
    AwaitsRequest,
    /// Requests only: the last request offers another protocol, or is a CONNECT. The bytes that
    /// follow belong to HTTP or to the other protocol; the answer decides. Keep the bytes, and
    /// decode the responses first.
    AwaitsAnswer,
    /// Requests only: [`Limits::max_unanswered`] requests have no response yet. Keep the bytes, and
    /// decode the responses first.
    AwaitsRoom,
    /// The bytes that follow belong to another protocol, in both directions: after a 101, or a 2xx
    /// to CONNECT.
    Switched,
    /// No message follows. The recipient does not read the bytes that follow: after the last
    /// request or response of a connection that closes, or after an offer that gets no answer.
    Closed,
    /// The direction has failed.
    Failed(Error),
}

impl Reading {
    /// Returns whether this direction goes on after the other one was decoded further.
    #[must_use]
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::AwaitsRequest | Self::AwaitsAnswer | Self::AwaitsRoom)
    }
}

impl Observer {
    /// Returns an observer of a new connection. Allocates nothing.
    ///
    /// The limits hold for both directions. [`Limits::max_body`] has a default for servers: an
    /// observer that keeps no content can allow `u64::MAX`.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            requests: Connection::new(limits),
            responses: Connection::new(limits),
            queue: VecDeque::new(),
            offer: Offer::None,
            requests_ended: false,
            responses_ended: false,
            request_count: 0,
            final_count: 0,
            answered: None,
        }
    }

    /// Reads one event from the start of `input`: bytes that the client sent. It is never an
    /// [`Event::Response`].
    ///
    /// - `Ok((n, Some(event)))`: `n` bytes are consumed. Call again with the rest.
    /// - `Ok((n, None))`: `n` bytes are consumed. No event comes before more bytes are appended to
    ///   the rest, or the responses are decoded further:
    ///   [`reading_requests`](Self::reading_requests) tells which.
    ///
    /// A head is consumed as a whole, so the caller's buffer must hold [`Limits::max_head`] bytes.
    /// Each head overwrites `fields`.
    ///
    /// # Errors
    /// What a server refuses. Final for this direction. The responses go on: the server may answer
    /// the refused request.
    pub fn decode_requests<'a>(
        &mut self,
        input: &'a [u8],
        fields: &'a mut Fields,
    ) -> Result<(usize, Option<Event<'a>>), Error> {
        if self.requests.error().is_none() && self.reading_requests() != Reading::Messages {
            return Ok((0, None));
        }
        let is_head = self.is_request_head_due();
        let decoded = self.requests.decode(input, fields);
        match &decoded {
            Ok((_, Some(Event::Request(_)))) => self.push(false),
            Err(_) if is_head => self.push(true),
            _ => {}
        }
        self.advance();
        decoded
    }

    /// Reads one event from the start of `input`: bytes that the server sent. It is never an
    /// [`Event::Request`]. The results are those of [`decode_requests`](Self::decode_requests).
    ///
    /// # Errors
    /// What a client refuses. Final for this direction. Bytes that answer no request are a
    /// [`Rule::UnexpectedResponse`](crate::Rule::UnexpectedResponse), once the requests have ended.
    pub fn decode_responses<'a>(
        &mut self,
        input: &'a [u8],
        fields: &'a mut Fields,
    ) -> Result<(usize, Option<Event<'a>>), Error> {
        let waits = self.reading_responses() == Reading::AwaitsRequest;
        if self.responses.error().is_none() && (waits || self.responses_ended) {
            return Ok((0, None));
        }
        let decoded = self.responses.decode(input, fields);
        if let Ok((_, Some(Event::Response(head)))) = &decoded {
            self.answered = Some(self.final_count);
            if !head.is_interim() {
                self.answer();
            }
        }
        self.advance();
        decoded
    }

    /// Handles the end of the client's bytes. Call it when
    /// [`decode_requests`](Self::decode_requests) returns `None`. While the requests
    /// [wait](Reading::is_waiting) for the responses, it does nothing: then call it again later.
    ///
    /// # Errors
    /// [`Syntax::UnexpectedEnd`](crate::Syntax::UnexpectedEnd) if the bytes end within a request.
    /// An earlier error of this direction is returned again.
    pub fn finish_requests(&mut self) -> Result<Option<Event<'static>>, Error> {
        if self.reading_requests().is_waiting() {
            return Ok(None);
        }
        let is_head = self.is_request_head_due();
        let finished = self.requests.finish();
        if finished.is_err() && is_head {
            self.push(true);
        }
        self.requests_ended = true;
        self.advance();
        finished
    }

    /// Handles the end of the server's bytes. Call it when both directions are decoded as far as
    /// possible. A response that lasts until close ends here: `Some(Event::End)`. Requests that are
    /// read later have no response, so call it at once for a capture without this direction.
    ///
    /// # Errors
    /// [`Syntax::UnexpectedEnd`](crate::Syntax::UnexpectedEnd) if the bytes end within a response,
    /// or before the response to a request. An earlier error of this direction is returned again.
    pub fn finish_responses(&mut self) -> Result<Option<Event<'static>>, Error> {
        let finished = if self.may_close() { Ok(None) } else { self.responses.finish() };
        self.responses_ended = true;
        self.advance();
        finished
    }

    /// Returns what the client's next bytes are.
    #[must_use]
    pub fn reading_requests(&self) -> Reading {
        if let Some(error) = self.requests.error() {
            return Reading::Failed(error);
        }
        match self.requests.state().request() {
            Half::Switched => Reading::Switched,
            Half::Done if self.requests.end_is_due() => Reading::Messages,
            Half::Done if self.offer == Offer::Awaiting && self.can_answer() => Reading::AwaitsAnswer,
            Half::Done => Reading::Closed,
            _ if self.requests_ended => Reading::Closed,
            Half::Head if self.is_full() => Reading::AwaitsRoom,
            _ => Reading::Messages,
        }
    }

    /// Returns what the server's next bytes are.
    #[must_use]
    pub fn reading_responses(&self) -> Reading {
        if let Some(error) = self.responses.error() {
            return Reading::Failed(error);
        }
        match self.responses.state().response() {
            Half::Switched => Reading::Switched,
            _ if self.responses_ended => Reading::Closed,
            Half::Done if self.responses.end_is_due() => Reading::Messages,
            Half::Done => Reading::Closed,
            Half::Idle if self.can_request() => Reading::AwaitsRequest,
            Half::Idle => Reading::Closed,
            _ => Reading::Messages,
        }
    }

    /// Returns how many requests were read so far: their heads. A refused head counts, although it
    /// has no event, because the server may answer it.
    #[must_use]
    pub const fn request_count(&self) -> u64 {
        self.request_count
    }

    /// Returns which request the last response head answers, also that of an interim response: 0
    /// for the first request of the connection. `None` before the first response.
    #[must_use]
    pub const fn answered(&self) -> Option<u64> {
        self.answered
    }

    /// Returns how many requests have no final response yet. When both directions have ended, their
    /// client does not know whether they were processed.
    #[must_use]
    pub const fn unanswered(&self) -> u64 {
        self.request_count.saturating_sub(self.final_count)
    }

    /// Returns how many bytes of the client were consumed. Error offsets of the requests are
    /// counted in the same way.
    #[must_use]
    pub const fn requests_consumed(&self) -> u64 {
        self.requests.consumed()
    }

    /// Returns how many bytes of the server were consumed. Error offsets of the responses are
    /// counted in the same way.
    #[must_use]
    pub const fn responses_consumed(&self) -> u64 {
        self.responses.consumed()
    }

    /// Adds a request that the capture does not have, so that its response can be read. It has no
    /// body, and keeps the connection open. Use it if a capture has only the server's bytes, or
    /// begins with a response.
    ///
    /// Returns `false`, and does nothing, if the requests are not at the start of a message.
    pub fn assume_request(&mut self, method: Method<'_>, offers_upgrade: bool) -> bool {
        let is_between = self.is_request_head_due() && !self.requests.has_begun_head();
        if !is_between || self.reading_requests() != Reading::Messages {
            return false;
        }
        self.requests.answer_for(Exchange::sent(method, false, offers_upgrade, None));
        self.push(false);
        self.advance();
        true
    }

    /// Switches the requests to another protocol without an answer. Use it if a capture has only
    /// the client's bytes. Returns `false`, and does nothing, if the last complete request offers
    /// no switch, or is answered.
    pub fn assume_switch(&mut self) -> bool {
        let waits = self.requests.state().request() == Half::Done && self.offer == Offer::Awaiting;
        if waits {
            self.offer = Offer::Accepted;
            self.advance();
        }
        waits
    }

    fn is_request_head_due(&self) -> bool {
        self.requests.state().request() == Half::Head
    }

    fn is_full(&self) -> bool {
        let max = usize::from(self.requests.limits.max_unanswered).max(1);
        self.queue.len() >= max && self.can_answer()
    }

    /// Returns whether the server may still answer a request.
    fn can_answer(&self) -> bool {
        let half = self.responses.state().response();
        (matches!(half, Half::Idle | Half::Head | Half::Body) || self.responses.end_is_due())
            && !self.responses_ended
            && self.responses.error().is_none()
    }

    /// Returns whether the server may close without a response: the request that it has to answer
    /// was refused.
    fn may_close(&self) -> bool {
        self.responses.state().response() == Half::Head
            && !self.responses.has_begun_head()
            && self.queue.front().is_some_and(|pending| pending.refused)
    }

    /// Returns whether a request may still come.
    fn can_request(&self) -> bool {
        let reading = self.reading_requests();
        reading == Reading::Messages || reading.is_waiting()
    }

    /// Remembers the request that was just read.
    fn push(&mut self, refused: bool) {
        self.request_count = self.request_count.saturating_add(1);
        let exchange = self.requests.exchange;
        if !refused && exchange.may_switch() {
            self.offer = Offer::Awaiting;
        }
        if self.can_answer() {
            self.queue.push_back(Pending { exchange, refused });
        }
    }

    /// Notes the head of a final response.
    fn answer(&mut self) {
        self.final_count = self.final_count.saturating_add(1);
        if let Some(pending) = self.queue.pop_front()
            && pending.exchange.may_switch()
        {
            self.offer = if self.responses.is_switched() { Offer::Accepted } else { Offer::Declined };
        }
    }

    /// Ends what is complete in both directions, and begins what is known to follow.
    fn advance(&mut self) {
        if self.requests.state().request() == Half::Done && !self.requests.end_is_due() {
            match core::mem::replace(&mut self.offer, Offer::None) {
                Offer::Awaiting => self.offer = Offer::Awaiting,
                Offer::Accepted => self.requests.step(Step::Switch),
                Offer::None | Offer::Declined => {
                    self.requests.answered_elsewhere();
                }
            }
        }
        if self.responses.state().response() == Half::Done && !self.responses.end_is_due() {
            self.responses.begin_next(Step::Next);
        }
        if self.responses.state().response() == Half::Idle
            && let Some(pending) = self.queue.front()
        {
            self.responses.answer_for(pending.exchange);
        }
    }
}
