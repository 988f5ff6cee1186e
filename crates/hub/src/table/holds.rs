//! The connections that publishers wait for, and until when.

use std::collections::VecDeque;

use super::ids::{GroupId, RowId};
use crate::credit::CHECK_MS;

/// The end times of holds. They arrive nearly in order, because all holds are short.
#[derive(Default)]
pub(super) struct Holds(VecDeque<(u64, RowId)>);

/// What a row holds: the channels of a group, until this time of the hub's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub(super) group: GroupId,
    pub(super) until_ms: u64,
}

/// Capacity that an empty list keeps.
const SPARE: usize = 256;

impl Holds {
    /// Lists a row. Returns whether its time is now the first. If it is, wake the task. The time is
    /// rounded up to a multiple of [`CHECK_MS`], so that the list is checked rarely. Most rows no
    /// longer hold anything at that time.
    pub(super) fn list(&mut self, row: RowId, until_ms: u64) -> bool {
        let until_ms = until_ms.next_multiple_of(CHECK_MS);
        let place = match self.0.back() {
            Some(&(last_ms, _)) if last_ms > until_ms => self.0.partition_point(|&(at, _)| at <= until_ms),
            _ => self.0.len(),
        };
        self.0.insert(place, (until_ms, row));
        place == 0
    }

    /// The next row whose time has come. It may no longer hold anything, or may hold again.
    pub(super) fn next(&mut self, now_ms: u64) -> Option<RowId> {
        self.first_ms().filter(|&first_ms| first_ms <= now_ms)?;
        self.0.pop_front().map(|(_, row)| row)
    }

    pub(super) fn first_ms(&self) -> Option<u64> {
        self.0.front().map(|&(until_ms, _)| until_ms)
    }

    /// Frees memory that is no longer needed.
    pub(super) fn shrink(&mut self) {
        if self.0.capacity() > 4 * self.0.len().max(SPARE) {
            self.0.shrink_to(SPARE.max(self.0.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_in_order_however_they_were_listed() {
        let mut dice = fastrand::Rng::with_seed(3);
        let (mut holds, mut times) = (Holds::default(), Vec::new());
        for number in 0..500 {
            let at = 1_000 + number + dice.u64(0..200);
            let looked_at = at.next_multiple_of(CHECK_MS);
            let is_first = times.iter().all(|&one| looked_at < one);
            assert_eq!(holds.list(RowId::of_key(number as u32), at), is_first);
            times.push(looked_at);
        }
        times.sort_unstable();
        assert_eq!(holds.first_ms(), times.first().copied());
        for at in times {
            assert_eq!(holds.next(at - 1), None);
            assert!(holds.next(at).is_some());
        }
        assert_eq!((holds.first_ms(), holds.next(u64::MAX)), (None, None));
    }
}
