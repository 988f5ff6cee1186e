//! Turns: no work of the table keeps its worker from the rest for long, however much of it clients
//! have made.
//!
//! ```text
//!   wake ──► turn of deliveries ──► turn of ready sockets ──► turn of times ──► all connections ──► wake
//!                    │                       │                      │
//!                    └──── what is left waits for the next turn of its kind
//! ```

use std::time::{Duration, Instant};

/// How long each kind of work may go on. A step that has begun is finished.
const TURN: Duration = Duration::from_millis(2);

/// The present turn of one kind of work.
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
