//! The states of a connection after its handshake (RFC 6455 §7).
//!
//! ```text
//!                     close sent                       close received
//!            ┌────────────────────────► CloseSent ────────────────────────┐
//!            │                              │ error                       ▼
//!          Open ──────── error ──────────┐  └──────────────► Failed    Closed
//!            │                           ▼                      ▲         ▲
//!            │                        Failing ── close sent ────┘         │
//!            └────────────────────────► CloseReceived ────────────────────┘
//!                   close received                       close sent
//! ```
//! At the end of the input, Open and CloseSent become Failed at once: nobody would receive a close.
//!
//! "Sent" means: given to the caller, by `send_close` or by `take_output`.
//!
//! | state | we may send | what arrives is | then the TCP connection |
//! |---|---|---|---|
//! | Open | all | read | stays |
//! | CloseSent | nothing | read: messages still arrive | stays until a deadline of the caller |
//! | CloseReceived | only the close | dropped | stays until the close is sent |
//! | Closed | nothing | dropped | is closed by the server; a client waits a moment for that |
//! | Failing | only the close | refused with the same error | stays until the close is sent |
//! | Failed | nothing | refused with the same error | is closed by either |

/// The state of a connection. Only this file computes the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    CloseSent,
    CloseReceived,
    Closed,
    Failing,
    Failed,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateChange {
    CloseSent,
    CloseReceived,
    /// The peer broke a rule or a limit.
    Error,
    /// The input ended without a close frame.
    InputEnded,
}

impl State {
    /// The table of transitions. A change that a state does not expect leaves it unchanged.
    pub(crate) const fn on(self, change: StateChange) -> Self {
        match (self, change) {
            (Self::Open, StateChange::CloseSent) => Self::CloseSent,
            (Self::Open, StateChange::CloseReceived) => Self::CloseReceived,
            (Self::Open, StateChange::Error) => Self::Failing,
            (Self::CloseSent, StateChange::CloseReceived) => Self::Closed,
            (Self::CloseSent, StateChange::Error) => Self::Failed,
            (Self::Open | Self::CloseSent, StateChange::InputEnded) => Self::Failed,
            (Self::CloseReceived, StateChange::CloseSent) => Self::Closed,
            (Self::Failing, StateChange::CloseSent) => Self::Failed,
            (state, _) => state,
        }
    }

    /// This end must still send a close frame.
    pub(crate) const fn owes_close(self) -> bool {
        matches!(self, Self::CloseReceived | Self::Failing)
    }

    /// Bytes that still arrive are dropped (RFC 6455 §5.5.1).
    pub(crate) const fn drops_input(self) -> bool {
        matches!(self, Self::CloseReceived | Self::Closed)
    }

    /// Nothing more is sent or read.
    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::{State, StateChange};

    #[test]
    fn every_path_from_open_ends_and_never_reopens() {
        let all =
            [StateChange::CloseSent, StateChange::CloseReceived, StateChange::Error, StateChange::InputEnded];
        for first in all {
            for second in all {
                for third in all {
                    let state = State::Open.on(first).on(second).on(third);
                    assert_ne!(state, State::Open);
                    if state.is_over() {
                        assert!(all.iter().all(|h| state.on(*h) == state));
                    }
                }
            }
        }
        assert!(State::Open.on(StateChange::CloseSent).on(StateChange::CloseReceived).is_over());
        assert!(State::Open.on(StateChange::CloseReceived).on(StateChange::CloseSent).is_over());
        assert!(State::Open.on(StateChange::Error).on(StateChange::CloseSent).is_over());
    }
}
