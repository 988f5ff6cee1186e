//! The life of a connection after its handshake (RFC 6455 §7).
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
//! "Sent" means: handed to the caller, either by `send_close` or as the reply that `take_output` takes.
//!
//! | state | we may send | what arrives is | then the TCP connection |
//! |---|---|---|---|
//! | Open | all | read | stays |
//! | CloseSent | nothing | read: messages under way still count | stays, until a deadline of the caller's |
//! | CloseReceived | only the close | dropped | stays until the close is sent |
//! | Closed | nothing | dropped | is shut by the server; a client waits a moment for that |
//! | Failing | only the close | refused with the same error | stays until the close is sent |
//! | Failed | nothing | refused with the same error | is shut by either |

/// Where a connection stands. Nothing outside of this file changes it.
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
pub(crate) enum Happening {
    CloseSent,
    CloseReceived,
    Error,
}

impl State {
    /// The one table of transitions. What a state does not expect leaves it as it is.
    pub(crate) const fn on(self, happening: Happening) -> Self {
        match (self, happening) {
            (Self::Open, Happening::CloseSent) => Self::CloseSent,
            (Self::Open, Happening::CloseReceived) => Self::CloseReceived,
            (Self::Open, Happening::Error) => Self::Failing,
            (Self::CloseSent, Happening::CloseReceived) => Self::Closed,
            (Self::CloseSent, Happening::Error) => Self::Failed,
            (Self::CloseReceived, Happening::CloseSent) => Self::Closed,
            (Self::Failing, Happening::CloseSent) => Self::Failed,
            (state, _) => state,
        }
    }

    /// A close frame of ours is due.
    pub(crate) const fn owes_close(self) -> bool {
        matches!(self, Self::CloseReceived | Self::Failing)
    }

    /// What still arrives means nothing (RFC 6455 §5.5.1).
    pub(crate) const fn drops_input(self) -> bool {
        matches!(self, Self::CloseReceived | Self::Closed)
    }

    /// Nothing more is to be sent or read.
    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::{Happening, State};

    #[test]
    fn every_way_from_open_ends_and_stays_ended() {
        let all = [Happening::CloseSent, Happening::CloseReceived, Happening::Error];
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
        assert!(State::Open.on(Happening::CloseSent).on(Happening::CloseReceived).is_over());
        assert!(State::Open.on(Happening::CloseReceived).on(Happening::CloseSent).is_over());
        assert!(State::Open.on(Happening::Error).on(Happening::CloseSent).is_over());
    }
}
