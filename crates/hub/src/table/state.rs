//! The states of a row, and what it does next.
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
//!  Live ───────────────────Finished──► Ended or Answered follows, with the last bytes of a closed log
//!  Live, Behind, Sending ──Deleted───► the same, with the last bytes of a deleted channel
//!
//!  Idle, Closed ──TimeOver──► Gone: dropped
//!  every state  ──Failed────► Gone: dropped
//!
//!  Live, Behind, Sending ──Stop──► Ended follows, with the last bytes of a server that stops
//!                   Idle ──Stop──► Gone: given back
//! ```
//!
//! The drawing omits events after which a row stays in its state, except the two that make it read
//! on.
//!
//! After an answer to a poll, a row is Idle: its connection stays in the table, because the next
//! request is most likely the same poll. After its last bytes, a row is Closed: it waits until the
//! peer closes the connection.
//!
//! The action of a transition may cause the next event, and so on until the row waits.
//! [`Delivery`](super::delivery::Delivery) runs this loop.

/// The state of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has everything that its group has. It keeps no bytes to send and no position of its own.
    Live,
    /// It reads the log from its own position; nothing is pending.
    Behind,
    /// A part of a slice is still to be written.
    Sending,
    /// A part of an answer is still to be written. Then the connection stays.
    Answering,
    /// It was answered. The table waits for its next request.
    Idle,
    /// A part of the last bytes is still to be written.
    Ending,
    /// The last bytes are written. Input is discarded until the peer closes the connection.
    Closed,
    /// It is no longer in the table.
    Gone,
}

/// An event of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The row has its turn: it is new, or its socket is ready.
    Turn,
    /// Everything that was pending is written.
    Sent,
    /// The socket accepts no more. The rest is pending.
    Blocked,
    /// The connection is dead or is given up.
    Failed,
    /// It has everything that its group has.
    CaughtUp,
    /// It was moved to other channels.
    Moved,
    /// The answer to its poll, or a part of it, is pending.
    Answered,
    /// The last bytes are pending.
    Ended,
    /// Its next request is a poll that waits. If the row has everything that its group has, the
    /// event is [`CaughtUp`](Self::CaughtUp) instead.
    Held,
    /// Its next request is not for the table.
    Returned,
    /// The row has waited for too long.
    TimeOver,
    /// The server stops.
    Stop,
    /// It has everything that its group has, and all channels of the group have ended.
    Finished,
    /// A channel of its group was deleted.
    Deleted,
}

/// The next action for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Wait for the next event.
    Wait,
    /// Send the frames that are queued for a WebSocket.
    SendFrames,
    /// Send these frames, then the messages after the row's position.
    Read,
    /// Add it to the live members of its group.
    Join,
    /// Remove it from the live members. Its position is that of the group.
    FallBehind,
    /// Remove it from its group, and write what is pending.
    Finish,
    /// Start to wait for its next request.
    AwaitRequest,
    /// Write the last bytes, which say why the subscription ends.
    SendLast(Last),
    /// Shut down the output.
    ShutDown,
    /// Give the connection back to the request cycle.
    GiveBack,
    /// Drop the connection.
    Drop,
}

/// Why a subscription ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    /// The server stops.
    Stop,
    /// All channels have ended.
    AllEnded,
    /// A channel was deleted.
    Deleted,
}

impl State {
    /// The transition table. `None`: the event cannot happen in this state.
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

            (Live | Behind | Sending, Event::Stop) => (self, Action::SendLast(Last::Stop)),
            (Live, Event::Finished) => (self, Action::SendLast(Last::AllEnded)),
            (Live | Behind | Sending, Event::Deleted) => (self, Action::SendLast(Last::Deleted)),
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

    /// Whether it is a subscriber, which is a member of a group.
    pub(super) const fn is_member(self) -> bool {
        matches!(self, State::Live | State::Behind | State::Sending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 14] = [
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
        Event::Finished,
        Event::Deleted,
    ];

    /// Whether something may be pending. Nothing is in all other states.
    fn is_writing(state: State) -> bool {
        matches!(state, State::Sending | State::Answering | State::Ending)
    }

    /// All states that a new row can reach.
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

    /// The events that the table may raise after an action.
    fn results(action: Action) -> &'static [Event] {
        const WRITTEN: &[Event] = &[Event::Sent, Event::Blocked, Event::Failed];
        match action {
            Action::SendFrames | Action::Finish => WRITTEN,
            Action::Read => {
                const READ: &[Event] = &[
                    Event::Sent,
                    Event::Blocked,
                    Event::Failed,
                    Event::CaughtUp,
                    Event::Answered,
                    Event::Ended,
                    Event::Deleted,
                ];
                READ
            }
            Action::Join => &[Event::Stop, Event::Finished],
            Action::AwaitRequest => &[Event::Returned],
            Action::SendLast(_) => &[Event::Answered, Event::Ended],
            Action::Wait | Action::FallBehind | Action::ShutDown | Action::GiveBack | Action::Drop => &[],
        }
    }

    #[test]
    fn every_state_is_reachable_and_a_failure_ends_it() {
        let found = reachable();
        assert_eq!(found.len(), 8, "{found:?}");
        for state in found {
            let is_gone = state == State::Gone;
            assert_eq!(state.after(Event::Failed), (!is_gone).then_some((State::Gone, Action::Drop)));
            assert!(
                !is_gone || EVENTS.iter().all(|&event| state.after(event).is_none()),
                "no event is allowed in Gone"
            );
        }
    }

    #[test]
    fn events_of_an_action_are_allowed_in_the_next_state() {
        for state in reachable() {
            for (after, action) in EVENTS.into_iter().filter_map(|event| state.after(event)) {
                for &result in results(action) {
                    assert!(after.after(result).is_some(), "{state:?} -> {after:?}, {action:?}: {result:?}");
                }
            }
        }
    }

    #[test]
    fn turn_stop_and_failed_are_allowed_in_every_state() {
        for state in reachable().into_iter().filter(|&state| state != State::Gone) {
            for event in [Event::Turn, Event::Stop, Event::Failed] {
                assert!(state.after(event).is_some(), "{state:?}, {event:?}");
            }
        }
    }

    /// The last bytes come after a whole unit: they are appended to what is pending. Nothing is
    /// written after them.
    #[test]
    fn last_bytes_are_written_once() {
        let mut endings = Vec::new();
        for state in reachable() {
            for event in EVENTS {
                let Some((after, Action::SendLast(last))) = state.after(event) else { continue };
                assert!(after == state && state.is_member(), "{state:?}, {event:?}");
                for &result in results(Action::SendLast(last)) {
                    let (end, action) = after.after(result).expect("the last bytes end a subscription");
                    assert!(!end.is_member() && action == Action::Finish, "{state:?}, {event:?}");
                }
                endings.push((state, last));
            }
        }
        let all = |last| endings.iter().filter(|(_, one)| *one == last).count();
        assert_eq!([Last::Stop, Last::Deleted, Last::AllEnded].map(all), [3, 3, 1], "{endings:?}");
    }

    /// Otherwise two slices would interleave, or pending bytes would be forgotten.
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

    /// A row leaves its group exactly once: by an end, by an answer, or when it is dropped.
    #[test]
    fn a_row_that_stops_being_a_member_leaves_its_group() {
        for state in reachable() {
            for (after, action) in EVENTS.into_iter().filter_map(|event| state.after(event)) {
                let leaves = state.is_member() && !after.is_member();
                assert!(!leaves || matches!(action, Action::Finish | Action::Drop), "{state:?} -> {after:?}");
                let enters = !state.is_member() && after.is_member();
                assert!(!enters || state == State::Idle, "{state:?} -> {after:?}");
            }
        }
    }

    /// No chain of actions runs for ever without something from the socket or the log.
    #[test]
    fn a_row_that_has_everything_waits() {
        for state in reachable().into_iter().filter(|&state| state != State::Gone) {
            let mut now = state;
            let mut event = Event::Turn;
            for step in 0.. {
                assert!(step < 5, "{state:?} does not end in Wait");
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
