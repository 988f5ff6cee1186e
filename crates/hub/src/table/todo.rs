//! The work list: what is still to be done, in this turn or the next ones.

use std::collections::VecDeque;

use super::ids::{GroupId, RowId};

/// A piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Bring a group to the heads of its channels.
    Advance(GroupId),
    /// Give a row its turn.
    Turn(RowId),
    /// Tell the rows from this number on that the server stops.
    SendStop(usize),
}

/// The work list. A group or row knows whether it is on the list, and is on it at most once.
#[derive(Default)]
pub(super) struct Todo(VecDeque<Work>);

/// Capacity that an empty list keeps.
const SPARE: usize = 1024;

impl Todo {
    pub(super) fn push(&mut self, work: Work) {
        self.0.push_back(work);
    }

    pub(super) fn next(&mut self) -> Option<Work> {
        self.0.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Frees memory that is no longer needed.
    pub(super) fn shrink(&mut self) {
        if self.0.capacity() > 4 * self.0.len().max(SPARE) {
            self.0.shrink_to(SPARE.max(self.0.len()));
        }
    }
}
