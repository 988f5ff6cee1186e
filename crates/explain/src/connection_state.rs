//! The state that the two directions of a connection share.

use std::collections::VecDeque;

use crate::direction::Direction;
use crate::request_context::RequestContext;
use crate::upgrade::UpgradeOutcome;

/// Written by one direction and read by the other.
#[derive(Debug, Default)]
pub(crate) struct ConnectionState {
    /// Requests without an answer, in order.
    unanswered: VecDeque<RequestContext>,
    client_has_sent: bool,
    server_has_sent: bool,
    /// The outcome of the offer that the client's direction waits for.
    outcome: Option<UpgradeOutcome>,
}

impl ConnectionState {
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

    /// Adds a request of the client. If there are too many without an answer, the oldest is
    /// forgotten.
    pub(crate) fn requested(&mut self, request: RequestContext) {
        if self.unanswered.len() == MAX_UNANSWERED {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back(request);
    }

    /// Returns the request that the next response answers.
    pub(crate) fn next_unanswered(&self) -> Option<&RequestContext> {
        self.unanswered.front()
    }

    /// Returns the client's last request, if it has no answer.
    pub(crate) fn last_unanswered(&self) -> Option<&RequestContext> {
        self.unanswered.back()
    }

    /// Notes that the server has answered this request, the oldest one.
    pub(crate) fn answered(&mut self, request: &RequestContext, outcome: UpgradeOutcome) {
        self.unanswered.pop_front();
        if request.decides_protocol() && request.was_seen() {
            self.outcome = Some(outcome);
        }
    }

    /// Sets the outcome of an offer when the capture has no bytes of the server.
    pub(crate) fn assume(&mut self, outcome: UpgradeOutcome) {
        self.outcome = Some(outcome);
    }

    /// Returns the outcome of the offer that the client's direction waits for, once. `None` while
    /// there is no answer.
    pub(crate) fn take_outcome(&mut self) -> Option<UpgradeOutcome> {
        self.outcome.take()
    }
}

/// The number of requests without an answer that are remembered.
const MAX_UNANSWERED: usize = 4096;
