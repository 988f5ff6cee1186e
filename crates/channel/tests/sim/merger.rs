//! What the feeds of a reader say of one channel, merged: what is new, what came twice, what is
//! missing.

use tidewire_channel::Cursor;

/// Merges the messages, gaps and resets of one channel that come by any number of feeds.
///
/// Sequence numbers have no holes, so a reader can *prove* that it has everything, and needs no
/// memory of what it has: one cursor tells the next message from one that it has seen. That is all
/// a switch of transports takes: open the new one at [`cursor`](Merger::cursor), let both run
/// through one merger, drop the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Merger {
    cursor: Cursor,
}

/// What a message is to the reader that it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// The next one: deliver it. The cursor has moved on.
    Next,
    /// It was delivered before: drop it. The cursor stays.
    Duplicate,
    /// Messages between the cursor and this one never came and no gap was told: the feed is broken.
    /// The cursor stays; come back with it.
    Hole {
        /// How many.
        missed: u64,
    },
    /// It is of another log than the cursor: drop it, and close its feed, which has not heard of a
    /// reset that another feed has told, or has told none. The cursor stays; if no feed is left,
    /// come back with it.
    OtherEpoch,
}

impl Merger {
    /// Goes on from a cursor: the one of a feed's hello, or the last that was stored.
    pub(super) const fn new(cursor: Cursor) -> Self {
        Self { cursor }
    }

    /// The position after the last message delivered: what to come back with.
    pub(super) const fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// A message arrived; `cursor` is the position after it.
    pub(super) fn message(&mut self, cursor: Cursor) -> Step {
        if cursor.epoch() != self.cursor.epoch() {
            return Step::OtherEpoch;
        }
        if cursor.seq() <= self.cursor.seq() {
            return Step::Duplicate;
        }
        match cursor.seq() - self.cursor.seq() {
            1 => {
                self.cursor = cursor;
                Step::Next
            }
            ahead => Step::Hole { missed: ahead - 1 },
        }
    }

    /// A gap was told: what follows starts after `to`. Says whether that is news: if the other
    /// transport has delivered past `to`, nothing is missing and the cursor stays.
    pub(super) fn gap(&mut self, to: Cursor) -> bool {
        let news = to.epoch() == self.cursor.epoch() && to.seq() > self.cursor.seq();
        if news {
            self.cursor = to;
        }
        news
    }

    /// A reset was told: what follows starts after `to`. `from` is where the feed that told it was:
    /// the cursor that it was opened at, or the last one that it delivered. Says whether it is
    /// news.
    ///
    /// Two feeds tell the same reset one after the other, and one that lags may tell of a log that
    /// was left long ago. So it counts only from a feed that was in the reader's own log, and
    /// within one log only if the reader has not moved on since. If the cursor is not in the log of
    /// `to` afterwards, the feed is outdated: close it, and if no feed is left, come back with the
    /// cursor.
    pub(super) fn reset(&mut self, from: Cursor, to: Cursor) -> bool {
        let together = from.epoch() == self.cursor.epoch();
        if together && (to.epoch() != self.cursor.epoch() || from == self.cursor) {
            self.cursor = to;
            return true;
        }
        self.gap(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewire_channel::Epoch;

    fn at(epoch: u64, seq: u64) -> Cursor {
        Cursor::new(Epoch::new(epoch), seq)
    }

    #[test]
    fn the_first_feed_that_tells_a_reset_moves_the_reader_and_the_second_does_not() {
        let mut merger = Merger::new(at(1, 9));
        assert!(merger.reset(at(1, 9), at(2, 0)));
        assert_eq!(merger.message(at(2, 1)), Step::Next);
        // The other feed was a message behind in the old log, and tells the same.
        assert_eq!(merger.message(at(1, 9)), Step::OtherEpoch);
        assert!(!merger.reset(at(1, 9), at(2, 0)));
        assert_eq!(merger.message(at(2, 1)), Step::Duplicate);
        assert_eq!(merger.message(at(2, 2)), Step::Next);
    }

    #[test]
    fn a_reset_to_a_log_that_was_left_is_no_news() {
        let mut merger = Merger::new(at(3, 5));
        assert!(!merger.reset(at(1, 9), at(2, 0)));
        assert_eq!(merger.cursor(), at(3, 5));
    }

    #[test]
    fn a_log_that_lost_its_end_takes_the_reader_back() {
        let mut merger = Merger::new(at(1, 9));
        assert!(merger.reset(at(1, 9), at(1, 4)));
        assert_eq!(merger.message(at(1, 5)), Step::Next);
        // Told once more, by a feed that was opened at the same cursor.
        assert!(!merger.reset(at(1, 9), at(1, 4)));
        assert_eq!(merger.cursor(), at(1, 5));
    }

    #[test]
    fn one_missing_message_is_a_hole() {
        let mut merger = Merger::new(at(1, 9));
        assert_eq!(merger.message(at(1, 11)), Step::Hole { missed: 1 });
        assert_eq!(merger.cursor(), at(1, 9));
    }

    #[test]
    fn a_gap_that_the_other_feed_has_bridged_is_no_news() {
        let mut merger = Merger::new(at(1, 9));
        assert!(!merger.gap(at(1, 9)));
        assert!(!merger.gap(at(2, 20)));
        assert!(merger.gap(at(1, 10)));
        assert_eq!(merger.message(at(1, 11)), Step::Next);
    }
}
