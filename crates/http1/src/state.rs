//! The life of one exchange: a request and its response.
//!
//! Both roles see the same exchange, so one transition table serves both. A server receives the
//! request half and sends the response half. A client does the opposite.
//!
//! ```text
//!            request half                                  response half
//!
//!               ┌─────────────────────── Next: both are Done ────────────────────────┐
//!               ▼                                                                    │
//!    ┌──────► Head ──RequestHead──────────────────────────► Idle ──►  Head ◄─┐       │
//!    │          │                                                    │  │ └──┘ Interim
//!    │          ▼                                                    │  │            │
//!    │        Body ──RequestEnd──► Done                              │  └──ResponseHead──► Body ──ResponseEnd──► Done
//!    │          │                   │                                │
//!    │          │ Fail              └────────────── Switch ──────────┴──► Switched  (both; the bytes that follow belong
//!    │          ▼                                                                     to another protocol)
//!    └──Fail─► Closed   nothing more is read or sent in this direction; a server still sends a response
//! ```
//! A message without a body is complete with its head: `BodilessRequest` leads from Head to Done,
//! as `RequestHead` and `RequestEnd` do together. `BodilessResponse` does the same.
//!
//! [`Exchange`] holds what the response depends on: the version, HEAD, close and so on. `Next`
//! resets it, and the connection keeps nothing else of a request. A pipelined request is not read
//! before `Next`. So it cannot change the response to the request before it.
//!
//! In a server, two connections may share the work. One reads requests, also pipelined ones, and
//! the other sends the responses.
//!
//! ```text
//!  reads:   Head, Idle ──RequestHead──► … ──RequestEnd──► Done, Head ──ResponseElsewhere──► Head, Idle
//!  answers: Head, Idle ──RequestElsewhere──► Done, Head ──ResponseHead──► … ──Next──► Head, Idle
//! ```
//! An [`Observer`](crate::Observer) has two such connections: a server that reads requests, and a
//! client that gets each of them by `RequestElsewhere` and reads the responses.
//!
//! The fields of [`State`] and [`Exchange`] are private. Other files change them only by a
//! [`Step`], or by a method that names what happened.

use crate::head_info::{Body, HeadInfo};
use crate::message::{KnownMethod, Method, Version};
use crate::reuse::CloseReason;

/// The state of one half of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// Idle: no request yet, so no response can begin.
    Idle,
    /// The head is due, or incomplete.
    Head,
    /// The head is complete, the body is not.
    Body,
    /// The message is complete.
    Done,
    /// The connection uses another protocol now.
    Switched,
    /// This direction is closed for good.
    Closed,
}

/// An event that changes the state of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The head of a request with a body.
    RequestHead,
    RequestEnd,
    /// The head of a request without a body. It is also the end of the request.
    BodilessRequest,
    Interim,
    /// The head of a final response with a body.
    ResponseHead,
    ResponseEnd,
    /// The head of a final response without a body. It is also the end of the response.
    BodilessResponse,
    /// A 101, or a 2xx to CONNECT.
    Switch,
    /// Both messages are complete and the connection stays open: the next exchange begins.
    Next,
    /// Another connection reads the request; this one sends the answer.
    RequestElsewhere,
    /// Another connection sends the answer; this one reads the next request.
    ResponseElsewhere,
    /// The request cannot be read further: it is malformed, or the input ended within it.
    FailRequest,
    /// The response cannot be read further.
    FailResponse,
}

/// The two halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    request: Half,
    response: Half,
}

impl State {
    pub(crate) const START: Self = Self { request: Half::Head, response: Half::Idle };

    pub(crate) const fn request(self) -> Half {
        self.request
    }

    pub(crate) const fn response(self) -> Half {
        self.response
    }

    /// The transition table. `None` if the step is not allowed in this state.
    pub(crate) const fn after(self, step: Step) -> Option<Self> {
        use Half::{Body, Closed, Done, Head, Idle, Switched};
        let (request, response) = match (step, self.request, self.response) {
            (Step::RequestHead, Head, Idle) => (Body, Head),
            (Step::RequestEnd, Body, response) => (Done, response),
            (Step::BodilessRequest, Head, Idle) => (Done, Head),
            (Step::Interim, Body | Done, Head) => (self.request, Head),
            (Step::ResponseHead, Body | Done | Closed, Head) => (self.request, Body),
            (Step::ResponseEnd, request, Body) => (request, Done),
            (Step::BodilessResponse, Body | Done | Closed, Head) => (self.request, Done),
            (Step::Switch, Done, Head) => (Switched, Switched),
            (Step::Next, Done, Done) => (Head, Idle),
            (Step::RequestElsewhere, Head, Idle) => (Done, Head),
            (Step::ResponseElsewhere, Done, Head) => (Head, Idle),
            (Step::FailRequest, Head, Idle) => (Closed, Head),
            (Step::FailRequest, Body, response) => (Closed, response),
            (Step::FailResponse, request, Head | Body) => (request, Closed),
            _ => return None,
        };
        Some(Self { request, response })
    }
}

/// What is known about one exchange. The next exchange replaces all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    version: Version,
    head: bool,
    connect: bool,
    upgrade: bool,
    has_body: bool,
    wants_continue: bool,
    closing: Option<CloseReason>,
    interim: u8,
}

impl Exchange {
    /// Before anything is known.
    pub(crate) const NEW: Self = Self {
        version: Version::Http11,
        head: false,
        connect: false,
        upgrade: false,
        has_body: false,
        wants_continue: false,
        closing: None,
        interim: 0,
    };

    /// An HTTP/1.1 GET without a body or an upgrade, on a connection that stays open.
    pub(crate) const GET: Self = Self::NEW;

    /// Returns whether every response has the same bytes as one to [`GET`](Self::GET).
    pub(crate) fn is_answered_as_get(&self) -> bool {
        // A body only forbids a switch of protocols, which no such request asks for.
        Self { has_body: false, wants_continue: false, ..*self } == Self::GET
    }

    /// Begins with a request that was received. `closing` is a reason to close the connection
    /// after it in any case.
    #[inline(always)]
    pub(crate) fn received(info: &HeadInfo, closing: Option<CloseReason>) -> Self {
        let peer = if info.keep_alive() { None } else { Some(CloseReason::Peer) };
        Self {
            version: info.version,
            head: info.method == Some(KnownMethod::Head),
            connect: info.method == Some(KnownMethod::Connect),
            upgrade: info.known.upgrade(info.version).is_some(),
            has_body: info.body == Body::Chunked || info.known.declared() > 0,
            wants_continue: info.expects_continue(),
            closing: closing.or(peer),
            interim: 0,
        }
    }

    /// Begins with a request that is sent, with or without a body and an `Upgrade` field.
    pub(crate) fn sent(
        method: Method<'_>,
        has_body: bool,
        upgrade: bool,
        closing: Option<CloseReason>,
    ) -> Self {
        Self {
            head: method == Method::Head,
            connect: method == Method::Connect,
            upgrade: upgrade && !has_body,
            has_body,
            closing,
            ..Self::NEW
        }
    }

    /// Notes what is known of a request whose head could not be read, as far as its response
    /// depends on it.
    pub(crate) fn failed(&mut self, info: &HeadInfo) {
        self.version = info.version;
        self.head = info.method == Some(KnownMethod::Head);
    }

    /// Makes this exchange the last of its connection. The first reason stays, but a failure
    /// replaces it.
    pub(crate) fn close(&mut self, reason: CloseReason) {
        if self.closing.is_none() || reason == CloseReason::Failed {
            self.closing = Some(reason);
        }
    }

    /// A 100 was sent, so the client does not wait for one any more.
    pub(crate) fn continue_sent(&mut self) {
        self.wants_continue = false;
    }

    /// Counts an interim response.
    pub(crate) fn interim_received(&mut self) {
        self.interim = self.interim.saturating_add(1);
    }

    /// The request asked for another protocol, and its response did not switch.
    #[cfg_attr(not(feature = "codec"), expect(dead_code))]
    pub(crate) fn switch_declined(&mut self) {
        (self.upgrade, self.connect) = (false, false);
    }

    /// The version of the request.
    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    /// Returns whether the method is HEAD: the response has no body.
    pub(crate) const fn is_head(&self) -> bool {
        self.head
    }

    /// Returns whether the method is CONNECT: a 2xx makes the connection a tunnel.
    pub(crate) const fn is_connect(&self) -> bool {
        self.connect
    }

    /// Returns whether the request offers an upgrade.
    pub(crate) const fn offers_upgrade(&self) -> bool {
        self.upgrade
    }

    /// Returns whether the request has at least one byte of body, or a chunked body. Then no switch
    /// is allowed.
    pub(crate) const fn has_body(&self) -> bool {
        self.has_body
    }

    /// Returns whether the response decides the protocol of what follows the request.
    pub(crate) const fn may_switch(&self) -> bool {
        (self.upgrade || self.connect) && !self.has_body
    }

    /// Returns whether the client waits for a 100.
    pub(crate) const fn wants_continue(&self) -> bool {
        self.wants_continue
    }

    /// Returns whether no side has said that it closes the connection.
    pub(crate) const fn keep_alive(&self) -> bool {
        self.closing.is_none()
    }

    /// Why the connection closes after this exchange, if it does.
    pub(crate) const fn closing(&self) -> Option<CloseReason> {
        self.closing
    }

    /// The number of interim responses so far.
    pub(crate) const fn interim(&self) -> u8 {
        self.interim
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::format;

    const STEPS: [Step; 13] = [
        Step::RequestHead,
        Step::RequestEnd,
        Step::BodilessRequest,
        Step::Interim,
        Step::ResponseHead,
        Step::ResponseEnd,
        Step::BodilessResponse,
        Step::Switch,
        Step::Next,
        Step::RequestElsewhere,
        Step::ResponseElsewhere,
        Step::FailRequest,
        Step::FailResponse,
    ];

    fn reachable() -> alloc::vec::Vec<State> {
        let (mut seen, mut found, mut i) = (BTreeSet::new(), alloc::vec![State::START], 0);
        seen.insert(format!("{:?}", State::START));
        while let Some(&state) = found.get(i) {
            for next in STEPS.into_iter().filter_map(|step| state.after(step)) {
                if seen.insert(format!("{next:?}")) {
                    found.push(next);
                }
            }
            i += 1;
        }
        found
    }

    #[test]
    fn no_response_starts_before_its_request() {
        for state in reachable() {
            if state.request == Half::Head {
                assert_eq!(state.response, Half::Idle, "{state:?}");
            }
        }
    }

    #[test]
    fn the_next_exchange_begins_only_when_both_messages_are_complete() {
        for state in reachable() {
            let both = state.request == Half::Done && state.response == Half::Done;
            assert_eq!(state.after(Step::Next).is_some(), both, "{state:?}");
        }
    }

    #[test]
    fn a_bodiless_message_ends_where_its_head_and_its_end_lead() {
        for state in reachable() {
            let both = |head, end| state.after(head).and_then(|state| state.after(end));
            assert_eq!(
                state.after(Step::BodilessRequest),
                both(Step::RequestHead, Step::RequestEnd),
                "{state:?}"
            );
            assert_eq!(
                state.after(Step::BodilessResponse),
                both(Step::ResponseHead, Step::ResponseEnd),
                "{state:?}"
            );
        }
    }

    #[test]
    fn two_connections_share_an_exchange_only_before_its_response() {
        for state in reachable() {
            let new = state == State::START;
            assert_eq!(state.after(Step::RequestElsewhere).is_some(), new, "{state:?}");
            let due = state.request == Half::Done && state.response == Half::Head;
            assert_eq!(state.after(Step::ResponseElsewhere).is_some(), due, "{state:?}");
        }
    }

    #[test]
    fn both_halves_switch_together_and_for_good() {
        for state in reachable() {
            assert_eq!(state.request == Half::Switched, state.response == Half::Switched, "{state:?}");
            if state.request == Half::Switched {
                assert!(STEPS.iter().all(|&step| state.after(step).is_none()));
            }
        }
    }

    #[test]
    fn a_closed_half_stays_closed() {
        for state in reachable() {
            for next in STEPS.into_iter().filter_map(|step| state.after(step)) {
                assert!(state.request != Half::Closed || next.request == Half::Closed, "{state:?}");
                assert!(state.response != Half::Closed || next.response == Half::Closed, "{state:?}");
            }
        }
    }
}
