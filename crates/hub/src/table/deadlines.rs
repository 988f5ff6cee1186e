//! When held polls are to be answered.
//!
//! Polls are held by the clock itself: their clients have clocks of their own, and an empty answer
//! costs nothing.

use std::collections::BTreeSet;

use super::ids::RowId;

/// When to look at which row: not later than its deadline.
#[derive(Default)]
pub(super) struct Deadlines {
    listed: BTreeSet<(u64, RowId)>,
}

/// The deadline of one row, in milliseconds of the hub's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deadline {
    at_ms: u64,
    /// When the table looks whether it is due; 0 if it is not on the list.
    listed_ms: u64,
}

impl Deadlines {
    /// Sets a deadline. Says whether it is the first of all: who sleeps has to look again.
    ///
    /// Most polls are answered long before it, and asked again with a later deadline. So what is on
    /// the list stays there, and is looked at when its time comes: a row is listed once in a hold,
    /// however many polls it makes.
    pub(super) fn set(&mut self, row: RowId, deadline: &mut Deadline, at_ms: u64) -> bool {
        deadline.at_ms = at_ms;
        if deadline.listed_ms != 0 && deadline.listed_ms <= at_ms {
            return false;
        }
        self.forget(row, deadline);
        self.list(row, deadline, at_ms);
        self.listed.first() == Some(&(at_ms, row))
    }

    /// Before a row goes.
    pub(super) fn forget(&mut self, row: RowId, deadline: &mut Deadline) {
        let at_ms = std::mem::take(&mut deadline.listed_ms);
        if at_ms != 0 {
            self.listed.remove(&(at_ms, row));
        }
    }

    /// The next row to look at; [`is_due`](Self::is_due) says whether its deadline has come.
    pub(super) fn next(&mut self, now_ms: u64) -> Option<RowId> {
        let &(at_ms, row) = self.listed.first().filter(|&&(at_ms, _)| at_ms <= now_ms)?;
        self.listed.remove(&(at_ms, row));
        Some(row)
    }

    /// Whether the deadline of a row that was looked at has come. If not, it is put on the list
    /// again, if it `waits` still.
    pub(super) fn is_due(&mut self, row: RowId, deadline: &mut Deadline, now_ms: u64, waits: bool) -> bool {
        deadline.listed_ms = 0;
        let is_due = deadline.at_ms <= now_ms;
        if !is_due && waits {
            self.list(row, deadline, deadline.at_ms);
        }
        is_due
    }

    /// When the next row is to be looked at.
    pub(super) fn first_ms(&self) -> Option<u64> {
        self.listed.first().map(|&(at_ms, _)| at_ms)
    }

    fn list(&mut self, row: RowId, deadline: &mut Deadline, at_ms: u64) {
        deadline.listed_ms = at_ms;
        self.listed.insert((at_ms, row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_moved_on_is_looked_at_once_and_listed_again() {
        let mut all = Deadlines::default();
        let (row, other) = (RowId::new(1), RowId::new(2));
        let (mut one, mut two) = (Deadline::default(), Deadline::default());
        assert!(all.set(row, &mut one, 10));
        assert!(!all.set(other, &mut two, 15), "another is first");
        assert!(!all.set(row, &mut one, 20), "it stays on the list as it is");
        assert_eq!(all.first_ms(), Some(10));
        assert_eq!(all.next(9), None);
        assert_eq!(all.next(10), Some(row));
        assert!(!all.is_due(row, &mut one, 10, true));
        assert_eq!(all.next(14), None);
        all.forget(other, &mut two);
        assert_eq!(all.next(20), Some(row));
        assert!(all.is_due(row, &mut one, 20, true));
        assert_eq!(all.first_ms(), None);
    }
}
