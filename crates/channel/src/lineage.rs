//! The lineage of a log: which epoch each of its numbers has.
//!
//! ```text
//!   number   0     1 … 40     41 … 44     45 …
//!   epoch    S     A          B           C
//!                       A up to 40   B up to 44   then C, the epoch of the next message
//! ```
//!
//! A log whose newest messages may be lost begins a new epoch. The numbers go on, and each message
//! keeps the epoch in which it was written. So a place has one spelling, and a cursor tells whether
//! its reader has seen a message that is lost: `A-42` is such a cursor here.

use alloc::vec::Vec;

use crate::continuity::{Continuity, ResetReason};
use crate::cursor::{Cursor, Epoch, Since};

/// The past epochs of a log, each with the last number that has it, and the epoch of the next
/// message.
///
/// The first epoch begins with the position 0. Each later one begins with the number after the end
/// of the one before it. At most [`MAX`](Self::MAX) past epochs are remembered. The messages of
/// older ones are then told with the oldest epoch that is remembered.
///
/// ```
/// use tidewire_channel::{Epoch, Lineage};
///
/// let mut lineage = Lineage::new(Epoch::new(10));
/// lineage.begin(Epoch::new(11), 40); // the log may have lost messages after a-40
/// assert_eq!(lineage.at(40).to_string(), "a-40");
/// assert_eq!(lineage.at(41).to_string(), "b-41");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// The ends increase, and no epoch is here twice.
    past: Vec<(Epoch, u64)>,
    current: Epoch,
}

/// What a log has, for [`Lineage::locate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The number of the last message before the earliest one kept; 0 if all are kept.
    pub earliest: u64,
    /// The number of the newest message; 0 if there never was one.
    pub head: u64,
    /// Whether the log is closed. Then it has an [end](Lineage::end).
    pub is_closed: bool,
}

impl Lineage {
    /// The number of past epochs that are remembered: 64. A log begins an epoch after a crash or a
    /// failover, so these are the crashes of years.
    pub const MAX: usize = 64;

    /// Creates the lineage of a log that has one epoch.
    #[must_use]
    pub const fn new(epoch: Epoch) -> Self {
        Self { past: Vec::new(), current: epoch }
    }

    /// Creates a lineage from what [`past`](Self::past) and [`current`](Self::current) have
    /// returned. If there are more than [`MAX`](Self::MAX) past epochs, the oldest are forgotten.
    ///
    /// Returns `None` if the ends do not increase, or if an epoch is there twice: the source is
    /// damaged.
    #[must_use]
    pub fn from_parts(past: &[(Epoch, u64)], current: Epoch) -> Option<Self> {
        let increases = past.windows(2).all(|pair| pair[0].1 < pair[1].1);
        let mut epochs: Vec<Epoch> = past.iter().map(|&(epoch, _)| epoch).chain([current]).collect();
        epochs.sort_unstable_by_key(|epoch| epoch.get());
        let is_twice = epochs.windows(2).any(|pair| pair[0] == pair[1]);
        let remembered = &past[past.len().saturating_sub(Self::MAX)..];
        (increases && !is_twice).then(|| Self { past: remembered.to_vec(), current })
    }

    /// Returns the past epochs, oldest first, each with the last number that has it.
    #[must_use]
    pub fn past(&self) -> &[(Epoch, u64)] {
        &self.past
    }

    /// Returns the epoch of the next message.
    #[must_use]
    pub const fn current(&self) -> Epoch {
        self.current
    }

    /// Returns the last number that has a past epoch; 0 if there is none.
    #[inline]
    pub(crate) fn past_end(&self) -> u64 {
        self.past.last().map_or(0, |&(_, end)| end)
    }

    /// Ends the current epoch at `head`, the number of the newest message that is surely there, and
    /// begins another one.
    ///
    /// Messages after `head` are lost, and past epochs that reached further end there. An epoch
    /// that has no number left leaves no trace. The number 0 belongs to the first epoch, so that
    /// epoch leaves a trace in any case.
    ///
    /// `epoch` must be new: draw it at random. An epoch that the lineage has already is ignored.
    pub fn begin(&mut self, epoch: Epoch, head: u64) {
        let is_new = epoch != self.current && self.past.iter().all(|&(past, _)| past != epoch);
        debug_assert!(is_new, "an epoch is begun once");
        if !is_new {
            return;
        }
        let before = self.past.partition_point(|&(_, end)| end < head);
        match self.past.get_mut(before) {
            // The current epoch has no number: they begin after this end.
            Some((_, end)) => *end = head,
            None => self.past.push((self.current, head)),
        }
        self.past.truncate(before.saturating_add(1));
        self.current = epoch;
        if self.past.len() > Self::MAX {
            self.past.remove(0);
        }
    }

    /// Returns the position after message `seq`, which is not after the head. One comparison if the
    /// message has the current epoch. Otherwise a search in the past epochs.
    #[must_use]
    #[inline]
    pub fn at(&self, seq: u64) -> Cursor {
        let epoch = match self.past.last() {
            Some(&(_, end)) if seq <= end => self.past_epoch(seq),
            _ => self.current,
        };
        Cursor::new(epoch, seq)
    }

    /// Returns the cursor of the end of a log that is closed with this head. No message gets it.
    #[must_use]
    pub const fn end(&self, head: u64) -> Cursor {
        Cursor::new(self.current, head.saturating_add(1))
    }

    /// Returns where a read from `since` on starts in a log with these bounds, and how that
    /// continues what the reader has. [`Log::read`](crate::Log::read) and every store use it.
    ///
    /// A reader whose messages are lost ([`ResetReason::TailLost`]) goes on after the last one that
    /// is not. Every other reader without a place in the log goes on with the earliest message
    /// kept.
    #[must_use]
    #[inline]
    pub fn locate(&self, since: Since, bounds: Bounds) -> (Cursor, Continuity) {
        match since {
            // Nearly every read. A number after the past epochs has the current one.
            Since::After(cursor)
                if cursor.epoch() == self.current
                    && cursor.seq() > self.past_end()
                    && (bounds.earliest..=bounds.head).contains(&cursor.seq()) =>
            {
                (cursor, Continuity::Resumed)
            }
            _ => self.locate_any(since, bounds),
        }
    }

    fn locate_any(&self, since: Since, bounds: Bounds) -> (Cursor, Continuity) {
        let cursor = match since {
            Since::Earliest => return (self.at(bounds.earliest), Continuity::Fresh),
            Since::Now => return (self.at(bounds.head), Continuity::Fresh),
            Since::After(cursor) => cursor,
        };
        if self.has(cursor, bounds) {
            if cursor.seq() >= bounds.earliest {
                return (cursor, Continuity::Resumed);
            }
            let (to, missed) = (self.at(bounds.earliest), bounds.earliest.saturating_sub(cursor.seq()));
            return (to, Continuity::Gap { from: cursor, to, missed });
        }
        let (reason, after) = if cursor.epoch() == self.current && cursor.seq() > bounds.head {
            (ResetReason::AheadOfLog, 0)
        } else {
            match self.past.iter().find(|&&(epoch, _)| epoch == cursor.epoch()) {
                Some(&(_, end)) if cursor.seq() > end => (ResetReason::TailLost, end),
                // A number before the begin of its epoch was never given out. Who made this cursor
                // is as unknown as who made one of an unknown epoch.
                _ => (ResetReason::UnknownEpoch, 0),
            }
        };
        let to = self.at(after.max(bounds.earliest));
        (to, Continuity::Reset { reason, to })
    }

    /// Returns whether a cursor is a position of a log with these bounds: after a message of it,
    /// whether that is kept or not, or its end.
    pub(crate) fn has(&self, cursor: Cursor, bounds: Bounds) -> bool {
        (cursor.seq() <= bounds.head && self.at(cursor.seq()) == cursor)
            || (bounds.is_closed && self.end(bounds.head) == cursor)
    }

    /// The epoch of a number that is not after the end of the last past epoch.
    #[cold]
    fn past_epoch(&self, seq: u64) -> Epoch {
        let index = self.past.partition_point(|&(_, end)| end < seq);
        self.past.get(index).map_or(self.current, |&(epoch, _)| epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Epoch = Epoch::new(1);
    const A: Epoch = Epoch::new(2);
    const B: Epoch = Epoch::new(3);
    const C: Epoch = Epoch::new(4);

    fn past(lineage: &Lineage) -> &[(Epoch, u64)] {
        lineage.past()
    }

    #[test]
    fn the_first_epoch_has_the_number_0_and_an_epoch_without_a_number_leaves_no_trace() {
        let mut lineage = Lineage::new(S);
        lineage.begin(A, 0);
        assert_eq!((past(&lineage), lineage.current()), (&[(S, 0)][..], A));
        lineage.begin(B, 0);
        assert_eq!((past(&lineage), lineage.current()), (&[(S, 0)][..], B));
        lineage.begin(C, 7);
        assert_eq!(past(&lineage), [(S, 0), (B, 7)]);
        assert_eq!(lineage.at(0), Cursor::new(S, 0));
        assert_eq!([1, 7].map(|seq| lineage.at(seq).epoch()), [B; 2]);
        assert_eq!(lineage.at(8), lineage.end(7));
    }

    #[test]
    fn a_past_epoch_that_lost_messages_ends_earlier() {
        let mut lineage = Lineage::from_parts(&[(S, 0), (A, 10)], B).expect("they increase");
        lineage.begin(C, 8);
        assert_eq!((past(&lineage), lineage.current()), (&[(S, 0), (A, 8)][..], C));
        let mut lineage = Lineage::from_parts(&[(A, 10), (B, 20)], C).expect("they increase");
        lineage.begin(S, 10);
        assert_eq!(past(&lineage), [(A, 10)]);
    }

    #[test]
    fn older_epochs_are_forgotten() {
        let ends = 0..100;
        let all: Vec<_> = ends.clone().map(|end| (Epoch::new(end), end)).collect();
        let parts = Lineage::from_parts(&all, Epoch::new(100)).expect("they increase");
        let mut begun = Lineage::new(Epoch::new(0));
        ends.for_each(|end| begun.begin(Epoch::new(end + 1), end));
        assert_eq!(begun, parts);
        assert_eq!((past(&begun).len(), past(&begun)[0].0), (Lineage::MAX, Epoch::new(36)));
        let bounds = Bounds { earliest: 0, head: 100, is_closed: false };
        assert_eq!(begun.at(3), Cursor::new(Epoch::new(36), 3), "it has the oldest epoch now");
        let reason = |epoch, seq| match begun.locate(Cursor::new(Epoch::new(epoch), seq).into(), bounds).1 {
            Continuity::Reset { reason, .. } => Some(reason),
            _ => None,
        };
        assert_eq!(reason(35, 35), Some(ResetReason::UnknownEpoch));
        assert_eq!([reason(36, 3), reason(36, 36), reason(37, 37)], [None; 3]);
    }

    #[test]
    fn damaged_parts_are_refused() {
        for (past, current) in [
            (&[(A, 5), (B, 5)][..], C),
            (&[(A, 5), (B, 4)], C),
            (&[(A, 5), (B, 6)], A),
            (&[(A, 5), (B, 6), (A, 7)], C),
        ] {
            assert_eq!(Lineage::from_parts(past, current), None, "{past:?}");
        }
        let lineage = Lineage::from_parts(&[(S, 0), (A, 5)], B).expect("they increase");
        assert_eq!(Lineage::from_parts(lineage.past(), lineage.current()), Some(lineage));
    }
}
