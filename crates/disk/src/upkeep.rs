//! What is under way between two groups.

use std::collections::HashMap;
use std::time::Duration;

use crate::index::RUN;
use crate::log::Slot;

/// When a fold begins, how long a step of it may be, and the like. Tests use small numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuning {
    /// Messages in the tails of all logs.
    pub(crate) fold_messages: usize,
    /// Their bytes.
    pub(crate) fold_bytes: usize,
    /// Messages in a run; at most [`RUN`].
    pub(crate) run: usize,
    /// Messages of one step of a fold.
    pub(crate) step_messages: usize,
    /// Rows that one step deletes.
    pub(crate) step_deletes: usize,
    /// While the disk is full, one group is tried in this time.
    pub(crate) full_retry: Duration,
}

impl Tuning {
    pub(crate) const DEFAULT: Self = Self {
        fold_messages: 65_536,
        fold_bytes: 64 << 20,
        run: RUN,
        step_messages: 2_048,
        step_deletes: 8_192,
        full_retry: Duration::from_millis(100),
    };
}

/// The messages that are in no run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unfolded {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

impl Unfolded {
    pub(crate) fn add(&mut self, size: usize) {
        self.messages = self.messages.saturating_add(1);
        self.bytes = self.bytes.saturating_add(size);
    }
}

/// A fold that is under way.
#[derive(Debug)]
pub(crate) struct Folding {
    /// The logs that it has not visited.
    pub(crate) logs: Vec<Slot>,
    /// The newest message when it began.
    pub(crate) to: u64,
}

/// A search for dead messages that is under way.
#[derive(Debug)]
pub(crate) struct Scrub {
    /// The rows up to this one were looked at.
    pub(crate) at: u64,
    /// The newest row when the store was started. Later ones are in an index.
    pub(crate) end: u64,
    pub(crate) slots: HashMap<i64, Slot>,
}

impl Scrub {
    pub(crate) const fn new(end: u64, slots: HashMap<i64, Slot>) -> Self {
        Self { at: 0, end, slots }
    }
}
