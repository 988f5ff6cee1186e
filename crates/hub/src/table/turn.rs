//! Turns limit how long the table keeps its worker busy, however much work its clients cause.
//!
//! ```text
//!   wake ──► turn of deliveries ──► turn of ready sockets ──► turn of times ──► all connections ──► wake
//!                    │                       │                      │
//!                    └──── unfinished work waits for the next turn of the same kind
//! ```

use std::time::{Duration, Instant};

/// The time for each kind of work. A step that has begun is finished.
const TURN: Duration = Duration::from_millis(2);

/// The current turn of one kind of work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    end: Instant,
}

impl Turn {
    pub(crate) fn begin() -> Self {
        Turn { end: Instant::now() + TURN }
    }

    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }
}
