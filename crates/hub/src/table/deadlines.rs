//! The deadlines of long polls.
//!
//! They use the clock of the hub, which goes on while the worker does not run. This is right:
//! clients measure the wait themselves, and an empty answer is cheap.

use std::collections::BTreeSet;

use super::ids::RowId;

/// The time at which to check each row, not later than its deadline.
#[derive(Default)]
pub(super) struct Deadlines {
    listed: BTreeSet<(u64, RowId)>,
}

/// The deadline of one row, in milliseconds of the hub's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deadline {
    at_ms: u64,
    /// The time for which the row is listed; 0 if it is not on the list.
    listed_ms: u64,
}

impl Deadlines {
    /// Sets a deadline. Returns whether it is now the first deadline. If it is, wake the task.
    ///
    /// Most polls are answered long before their deadline, and the next poll has a later one. So
    /// the list keeps the earlier time, and the row is checked then. A row is listed once per hold,
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

    /// Removes a row from the list. Call it before the row is removed.
    pub(super) fn forget(&mut self, row: RowId, deadline: &mut Deadline) {
        let at_ms = std::mem::take(&mut deadline.listed_ms);
        if at_ms != 0 {
            self.listed.remove(&(at_ms, row));
        }
    }

    /// The next row to check. [`is_due`](Self::is_due) says whether its deadline has come.
    pub(super) fn next(&mut self, now_ms: u64) -> Option<RowId> {
        let &(at_ms, row) = self.listed.first().filter(|&&(at_ms, _)| at_ms <= now_ms)?;
        self.listed.remove(&(at_ms, row));
        Some(row)
    }

    /// Whether the deadline of a checked row has come. If not, the row is listed again if it still
    /// `waits`.
    pub(super) fn is_due(&mut self, row: RowId, deadline: &mut Deadline, now_ms: u64, waits: bool) -> bool {
        deadline.listed_ms = 0;
        let is_due = deadline.at_ms <= now_ms;
        if !is_due && waits {
            self.list(row, deadline, deadline.at_ms);
        }
        is_due
    }

    /// The time of the next check.
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
    fn a_postponed_deadline_is_checked_once_and_listed_again() {
        let mut all = Deadlines::default();
        let (row, other) = (RowId::new(1), RowId::new(2));
        let (mut one, mut two) = (Deadline::default(), Deadline::default());
        assert!(all.set(row, &mut one, 10));
        assert!(!all.set(other, &mut two, 15), "another is first");
        assert!(!all.set(row, &mut one, 20), "the list keeps the earlier time");
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
