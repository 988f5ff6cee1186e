//! What a row does next.
//!
//! ```text
//!             Turn, Sent: read on
//!               ┌──┐
//!               ▼  │        Blocked
//!  comes ──►  Behind ─────────────────► Sending        What is pending goes out first. Then the
//!             │ ▲  ▲                    ▲  │           row reads the log from its own position.
//!    CaughtUp │ │  └────────Sent────────┼──┘
//!             ▼ │ Moved                 │
//!             Live ───────Blocked───────┘              Live: it has all that its group has.
//!
//!  Live, Behind, Sending ──Answered──► Answering ──Sent──► Idle ──Held──► Behind, or ──CaughtUp──► Live
//!                                          ▲                │ │
//!                                          └────Answered────┘ └──Returned──► Gone: given back
//!
//!  Live, Behind, Sending ──Ended─────► Ending ────Sent───► Closed
//!
//!  Idle, Closed ──TimeOver──► Gone: dropped
//!  every state  ──Failed────► Gone: dropped
//!
//!  Live, Behind, Sending ──Stop──► Ended follows, with the last bytes of a server that stops
//!                   Idle ──Stop──► Gone: given back
//! ```
//!
//! Not drawn are events after which a row stays where it is, but for the two that make it read on.
//!
//! A poll that was answered is Idle: its connection stays in the table, because the next request is
//! most likely the same poll. A row that was sent its last bytes is Closed: it waits until the peer
//! hangs up.
//!
//! The action that a transition asks for may bring about the next event, and so on until the row
//! waits. [`Delivery`](super::delivery::Delivery) runs that as a loop.

/// Where a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has all that its group has. It holds nothing but its socket.
    Live,
    /// It reads the log from its own position; nothing is pending.
    Behind,
    /// A part of a slice is pending.
    Sending,
    /// A part of an answer is pending, after which the connection stays.
    Answering,
    /// It was answered, and its next request is awaited.
    Idle,
    /// A part of the last bytes is pending.
    Ending,
    /// The last bytes are out. What the peer still sends is thrown away, until it hangs up.
    Closed,
    /// It is not in the table any more.
    Gone,
}

/// What happens to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It has its turn: it is new, or its socket is ready.
    Turn,
    /// All that was to be written is out.
    Sent,
    /// The socket takes no more; the rest is pending.
    Blocked,
    /// The connection is dead, or is given up.
    Failed,
    /// It has all that its group has.
    CaughtUp,
    /// It has gone over to other channels.
    Moved,
    /// The whole answer of its poll is pending, or as much of it as was not written.
    Answered,
    /// The last bytes are pending.
    Ended,
    /// Its next request is a poll that waits. If it has all that its group has, it is
    /// [`CaughtUp`](Self::CaughtUp) at once.
    Held,
    /// Its next request is not for the table.
    Returned,
    /// It was waited for long enough.
    TimeOver,
    /// The server stops.
    Stop,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing, until something happens.
    Wait,
    /// Send the frames that a WebSocket is owed.
    SendFrames,
    /// Send these frames, and then what the log has after the row's position.
    Read,
    /// Put it among the live ones of its group.
    Join,
    /// Take it out of the live ones; its position is that of the group.
    FallBehind,
    /// Take it out of its group, and write what is pending.
    Finish,
    /// Begin to wait for its next request.
    AwaitRequest,
    /// Make the last bytes of a subscriber of a server that stops.
    SayStop,
    /// End the output.
    ShutDown,
    /// Give the connection back to the request cycle.
    GiveBack,
    /// Drop the connection.
    Drop,
}

impl State {
    /// The transition table. `None`: this cannot happen in this state.
    #[inline]
    pub(super) const fn after(self, event: Event) -> Option<(State, Action)> {
        use State::{Answering, Behind, Closed, Ending, Gone, Idle, Live, Sending};
        Some(match (self, event) {
            (Gone, _) => return None,
            (_, Event::Failed) => (Gone, Action::Drop),

            (Behind, Event::Turn | Event::Sent) => (Behind, Action::Read),
            (Behind, Event::Blocked) => (Sending, Action::Wait),
            (Behind, Event::CaughtUp) => (Live, Action::Join),
            (Behind, Event::Moved) => (Behind, Action::Wait),

            (Sending, Event::Sent) => (Behind, Action::Read),
            (Sending, Event::Turn | Event::Blocked | Event::Moved) => (Sending, Action::Wait),

            (Live, Event::Turn) => (Live, Action::SendFrames),
            (Live, Event::Sent) => (Live, Action::Wait),
            (Live, Event::Blocked) => (Sending, Action::FallBehind),
            (Live, Event::Moved) => (Behind, Action::Wait),

            (Live | Behind | Sending, Event::Stop) => (self, Action::SayStop),
            (Live | Behind | Sending | Idle, Event::Answered) => (Answering, Action::Finish),
            (Live | Behind | Sending, Event::Ended) => (Ending, Action::Finish),

            (Answering, Event::Sent) => (Idle, Action::AwaitRequest),
            (Idle, Event::Held) => (Behind, Action::Read),
            (Idle, Event::CaughtUp) => (Live, Action::Join),
            (Idle, Event::Returned | Event::Stop) => (Gone, Action::GiveBack),

            (Ending, Event::Sent) => (Closed, Action::ShutDown),
            (Idle | Closed, Event::TimeOver) => (Gone, Action::Drop),

            (Answering | Ending, Event::Blocked) => (self, Action::Wait),
            (Answering | Ending | Idle | Closed, Event::Turn) => (self, Action::Wait),
            (Answering | Ending | Closed, Event::Stop) => (self, Action::Wait),
            _ => return None,
        })
    }

    /// Whether it is a subscriber, and so a member of a group.
    pub(super) const fn is_member(self) -> bool {
        matches!(self, State::Live | State::Behind | State::Sending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 12] = [
        Event::Turn,
        Event::Sent,
        Event::Blocked,
        Event::Failed,
        Event::CaughtUp,
        Event::Moved,
        Event::Answered,
        Event::Ended,
        Event::Held,
        Event::Returned,
        Event::TimeOver,
        Event::Stop,
    ];

    /// Whether something may be pending. In every other state nothing is.
    fn is_writing(state: State) -> bool {
        matches!(state, State::Sending | State::Answering | State::Ending)
    }

    /// All states that a new row can come to.
    fn reachable() -> Vec<State> {
        let (mut found, mut next) = (vec![State::Behind], 0);
        while let Some(&state) = found.get(next) {
            for (after, _) in EVENTS.into_iter().filter_map(|event| state.after(event)) {
                if !found.contains(&after) {
                    found.push(after);
                }
            }
            next += 1;
        }
        found
    }

    /// What the table raises by itself after an action, whatever the row is.
    fn results(action: Action) -> &'static [Event] {
        const WRITTEN: &[Event] = &[Event::Sent, Event::Blocked, Event::Failed];
        match action {
            Action::SendFrames | Action::Finish => WRITTEN,
            Action::Read => {
                &[Event::Sent, Event::Blocked, Event::Failed, Event::CaughtUp, Event::Answered, Event::Ended]
            }
            Action::Join => &[Event::Stop],
            Action::AwaitRequest => &[Event::Returned],
            Action::SayStop => &[Event::Ended],
            Action::Wait | Action::FallBehind | Action::ShutDown | Action::GiveBack | Action::Drop => &[],
        }
    }

    #[test]
    fn every_state_is_reachable_and_can_be_left_for_good() {
        let found = reachable();
        assert_eq!(found.len(), 8, "{found:?}");
        for state in found {
            let is_gone = state == State::Gone;
            assert_eq!(state.after(Event::Failed), (!is_gone).then_some((State::Gone, Action::Drop)));
            assert!(!is_gone || EVENTS.iter().all(|&event| state.after(event).is_none()), "nothing follows");
        }
    }

    #[test]
    fn what_an_action_brings_about_may_happen_in_the_state_after_it() {
        for state in reachable() {
            for (after, action) in EVENTS.into_iter().filter_map(|event| state.after(event)) {
                for &result in results(action) {
                    assert!(after.after(result).is_some(), "{state:?} -> {after:?}, {action:?}: {result:?}");
                }
            }
        }
    }

    #[test]
    fn a_ready_socket_a_stop_and_a_failure_may_come_at_any_time() {
        for state in reachable().into_iter().filter(|&state| state != State::Gone) {
            for event in [Event::Turn, Event::Stop, Event::Failed] {
                assert!(state.after(event).is_some(), "{state:?}, {event:?}");
            }
        }
    }

    /// Else two slices would interleave, or bytes that are pending would be forgotten.
    #[test]
    fn the_log_is_read_and_a_row_joins_only_when_nothing_is_pending() {
        for state in reachable() {
            for (after, action) in EVENTS.into_iter().filter_map(|event| state.after(event)) {
                if matches!(action, Action::Read | Action::Join | Action::SendFrames | Action::AwaitRequest) {
                    assert!(!is_writing(after), "{state:?} -> {after:?}, {action:?}");
                }
                let is_dropped = action == Action::Drop;
                assert!(!is_writing(state) || after != State::Live, "{state:?} -> {after:?}");
                assert!(after != State::Gone || is_dropped || action == Action::GiveBack, "{state:?}");
            }
        }
    }

    /// A row leaves its group exactly once: by an end, an answer, or when it is dropped.
    #[test]
    fn who_is_no_member_any_more_has_left_its_group() {
        for state in reachable() {
            for (after, action) in EVENTS.into_iter().filter_map(|event| state.after(event)) {
                let leaves = state.is_member() && !after.is_member();
                assert!(!leaves || matches!(action, Action::Finish | Action::Drop), "{state:?} -> {after:?}");
                let enters = !state.is_member() && after.is_member();
                assert!(!enters || state == State::Idle, "{state:?} -> {after:?}");
            }
        }
    }

    /// No chain of actions goes on for ever without the socket or the log having something.
    #[test]
    fn a_row_that_has_everything_waits() {
        for state in reachable().into_iter().filter(|&state| state != State::Gone) {
            let mut now = state;
            let mut event = Event::Turn;
            for step in 0.. {
                assert!(step < 5, "{state:?} goes on and on");
                let Some((after, action)) = now.after(event) else { break };
                now = after;
                event = match action {
                    Action::Read => Event::CaughtUp,
                    Action::Finish => Event::Sent,
                    _ => break,
                };
            }
        }
    }
}
