//! The state that the two directions of a connection share: the observer of their messages, and
//! what the notes on a response say about its request.

use std::collections::VecDeque;

use tidewire_http1::{Error, Event, Fields, Limits, Method, Observer, Reading};

use crate::direction::Direction;
use crate::request_context::RequestContext;
use crate::upgrade::NewProtocol;

/// Written by one direction and read by the other.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    observer: Observer,
    /// Requests without an answer, in order: those that the observer remembers.
    unanswered: VecDeque<RequestContext>,
    client_has_sent: bool,
    server_has_sent: bool,
    /// The protocol that the connection changed to.
    protocol: Option<NewProtocol>,
}

impl ConnectionState {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            observer: Observer::new(limits),
            unanswered: VecDeque::new(),
            client_has_sent: false,
            server_has_sent: false,
            protocol: None,
        }
    }

    /// Notes that these bytes were sent in this direction.
    pub(crate) fn sent(&mut self, direction: Direction, bytes: &[u8]) {
        match direction {
            Direction::Up => self.client_has_sent |= !bytes.is_empty(),
            Direction::Down => self.server_has_sent |= !bytes.is_empty(),
        }
    }

    pub(crate) const fn client_has_sent(&self) -> bool {
        self.client_has_sent
    }

    pub(crate) const fn server_has_sent(&self) -> bool {
        self.server_has_sent
    }

    /// Decodes HTTP in this direction.
    pub(crate) fn decode<'a>(
        &mut self,
        direction: Direction,
        input: &'a [u8],
        fields: &'a mut Fields,
    ) -> Result<(usize, Option<Event<'a>>), Error> {
        match direction {
            Direction::Up => self.observer.decode_requests(input, fields),
            Direction::Down => self.observer.decode_responses(input, fields),
        }
    }

    /// Returns what the next bytes of this direction are.
    pub(crate) fn reading(&self, direction: Direction) -> Reading {
        match direction {
            Direction::Up => self.observer.reading_requests(),
            Direction::Down => self.observer.reading_responses(),
        }
    }

    /// Takes the end of the HTTP messages of this direction.
    pub(crate) fn finish(&mut self, direction: Direction) -> Result<(), Error> {
        match direction {
            Direction::Up => self.observer.finish_requests().map(|_| ()),
            Direction::Down => self.observer.finish_responses().map(|_| ()),
        }
    }

    /// Adds a request that the observer has read or refused.
    pub(crate) fn requested(&mut self, request: RequestContext) {
        self.unanswered.push_back(request);
    }

    /// Assumes that the next response answers a GET, which was not seen.
    pub(crate) fn assume_request(&mut self) {
        if self.observer.assume_request(Method::Get, true) {
            self.unanswered.push_back(RequestContext::unseen());
        }
    }

    /// Returns the request that the next response answers.
    pub(crate) fn next_unanswered(&self) -> Option<&RequestContext> {
        self.unanswered.front()
    }

    /// Returns whether the client's last request offers another protocol, and has no answer.
    pub(crate) fn offer_is_open(&self) -> bool {
        self.unanswered.back().is_some_and(RequestContext::decides_protocol)
    }

    /// Notes that the server has answered the oldest request, and changed to this protocol if there
    /// is one.
    pub(crate) fn answered(&mut self, protocol: Option<NewProtocol>) {
        self.unanswered.pop_front();
        self.protocol = protocol;
    }

    /// The capture has only the client's bytes. A client sends bytes after its offer only if the
    /// server accepts. So assume that it accepted. Also, no request has to wait for an answer.
    pub(crate) fn assume_answers(&mut self) {
        if self.observer.assume_switch() {
            self.protocol = self.unanswered.back().map(RequestContext::assumed_protocol);
        }
        if self.reading(Direction::Up) == Reading::AwaitsRoom {
            // The refusal of the empty direction is not of interest.
            let _ = self.observer.finish_responses();
        }
    }

    /// Returns the protocol that the connection changed to.
    pub(crate) const fn protocol(&self) -> Option<NewProtocol> {
        self.protocol
    }
}
