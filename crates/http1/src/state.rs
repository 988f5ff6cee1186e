//! The life of one exchange: a request and its response.
//!
//! Both roles see the same exchange, and so there is one table for both. A server receives the request half and sends the
//! response half; a client the other way round.
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
//!    │          │ Fail              └────────────── Switch ──────────┴──► Switched  (both; the bytes that follow are
//!    │          ▼                                                                     another protocol's: not read here)
//!    └──Fail─► Closed   nothing more is read or sent in this direction; a server still owes the answer
//! ```
//! What the framing fields of *this* request said (version, HEAD, close, …) lives in [`Exchange`] and dies with `Next`. The
//! connection has no such memory, so a pipelined request, which is not even looked at before `Next`, cannot change the answer to the
//! one before it.

use crate::message::{Known, Version};
use crate::meta::Meta;

/// Where one half of the exchange is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// Not due yet: no request, so no response.
    Idle,
    /// The head is due, or in part here.
    Head,
    /// The head is over, the body is not.
    Body,
    /// The message is complete.
    Done,
    /// The connection speaks another protocol now.
    Switched,
    /// This direction is over for good.
    Closed,
}

/// What happens to an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    RequestHead,
    RequestEnd,
    Interim,
    ResponseHead,
    ResponseEnd,
    /// A 101, or a 2xx to CONNECT.
    Switch,
    /// Both messages are complete and the connection stays: the next exchange.
    Next,
    /// The request cannot be read on: it broke a rule, or the client closed within it.
    FailRequest,
    /// The response cannot be read on.
    FailResponse,
}

/// The two halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) request: Half,
    pub(crate) response: Half,
}

impl State {
    pub(crate) const START: Self = Self { request: Half::Head, response: Half::Idle };

    /// The transition table. `None`: not in this state.
    pub(crate) const fn after(self, step: Step) -> Option<Self> {
        use Half::{Body, Closed, Done, Head, Idle, Switched};
        let (request, response) = match (step, self.request, self.response) {
            (Step::RequestHead, Head, Idle) => (Body, Head),
            (Step::RequestEnd, Body, response) => (Done, response),
            (Step::Interim, Body | Done, Head) => (self.request, Head),
            (Step::ResponseHead, Body | Done | Closed, Head) => (self.request, Body),
            (Step::ResponseEnd, request, Body) => (request, Done),
            (Step::Switch, Done, Head) => (Switched, Switched),
            (Step::Next, Done, Done) => (Head, Idle),
            (Step::FailRequest, Head, Idle) => (Closed, Head),
            (Step::FailRequest, Body, response) => (Closed, response),
            (Step::FailResponse, request, Head | Body) => (request, Closed),
            _ => return None,
        };
        Some(Self { request, response })
    }
}

/// What one exchange is about. Replaced whole when the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    pub(crate) version: Version,
    /// The method was HEAD: the response has no body.
    pub(crate) head: bool,
    /// The method was CONNECT: a 2xx makes a tunnel.
    pub(crate) connect: bool,
    /// An upgrade was offered.
    pub(crate) upgrade: bool,
    /// The request has a body of at least one byte, or chunks, so that nothing may switch.
    pub(crate) has_body: bool,
    /// The client waits for a 100.
    pub(crate) wants_continue: bool,
    /// Neither side has said that it closes.
    pub(crate) keep_alive: bool,
    /// Interim responses so far.
    pub(crate) interim: u8,
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
        keep_alive: true,
        interim: 0,
    };

    /// What is known of a request whose head could not be read: as much as its answer depends on.
    pub(crate) fn failed(&mut self, meta: &Meta) {
        self.version = meta.version;
        self.head = meta.method == Some(Known::Head);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::format;

    const STEPS: [Step; 9] = [
        Step::RequestHead,
        Step::RequestEnd,
        Step::Interim,
        Step::ResponseHead,
        Step::ResponseEnd,
        Step::Switch,
        Step::Next,
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
    fn both_halves_switch_or_none_and_nothing_comes_after() {
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
