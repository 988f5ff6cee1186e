//! Rows of messages that no log needs any more, until they are deleted.
//!
//! The rows of several logs lie between each other. So ids are collected, sorted, and deleted in
//! ranges without a hole: that takes half the time of single deletions.

use crate::log::Slot;

/// The ids of dead messages.
#[derive(Debug, Default)]
pub(crate) struct Graveyard {
    /// In descending order: the lowest is deleted next.
    sorted: Vec<u64>,
    /// Logs whose last rows are in `sorted`.
    logs: Vec<Slot>,
    /// Those that came since `sorted` was begun.
    next: Vec<u64>,
    next_logs: Vec<Slot>,
}

impl Graveyard {
    pub(crate) fn is_empty(&self) -> bool {
        self.sorted.is_empty() && self.next.is_empty() && self.logs.is_empty() && self.next_logs.is_empty()
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.sorted.len().saturating_add(self.next.len())
    }

    /// Adds dead rows. 0 is no row.
    pub(crate) fn add(&mut self, ids: impl IntoIterator<Item = u64>) {
        self.next.extend(ids.into_iter().filter(|id| *id > 0));
    }

    /// Adds a log whose rows are all here.
    pub(crate) fn add_log(&mut self, slot: Slot) {
        self.next_logs.push(slot);
    }

    /// The next rows, up to a number of them, as ranges from one id to another. The lowest ids come
    /// first.
    pub(crate) fn ranges(&mut self, max: usize) -> Vec<(u64, u64)> {
        if self.sorted.is_empty() && self.logs.is_empty() {
            self.sorted = std::mem::take(&mut self.next);
            self.logs = std::mem::take(&mut self.next_logs);
            self.sorted.sort_unstable_by(|a, b| b.cmp(a));
        }
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for &id in self.sorted.iter().rev().take(max) {
            match ranges.last_mut() {
                Some((_, last)) if last.saturating_add(1) == id => *last = id,
                _ => ranges.push((id, id)),
            }
        }
        ranges
    }

    /// The rows of [`ranges`](Self::ranges) are deleted. Returns the logs that have no row any
    /// more.
    pub(crate) fn deleted(&mut self, max: usize) -> Vec<Slot> {
        self.sorted.truncate(self.sorted.len().saturating_sub(max));
        if self.sorted.is_empty() { std::mem::take(&mut self.logs) } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_in_ranges_and_in_order() {
        let mut yard = Graveyard::default();
        yard.add([5, 0, 3, 4, 9, 1]);
        assert_eq!(yard.ranges(4), [(1, 1), (3, 5)]);
        yard.add([2]);
        assert!(yard.deleted(4).is_empty());
        assert_eq!(yard.len(), 2);
        assert_eq!(yard.ranges(4), [(9, 9)], "what came later waits");
        yard.deleted(4);
        assert_eq!(yard.ranges(4), [(2, 2)]);
        yard.deleted(4);
        assert!(yard.is_empty());
    }
}
