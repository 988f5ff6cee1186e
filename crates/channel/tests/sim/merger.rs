//! Merges what several feeds of a reader say about one channel: what is new, what came twice, what
//! is missing.

use tidewire_channel::Cursor;

/// Merges the messages, gaps and resets of one channel from any number of feeds.
///
/// Sequence numbers have no holes. So a reader can *prove* that it has everything, and one cursor
/// is enough to tell a new message from a seen one. To change transports, a reader opens the new
/// feed at [`cursor`](Merger::cursor), reads both through one merger, and closes the old feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Merger {
    cursor: Cursor,
}

/// What a message means to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// The next message: deliver it. The cursor has moved.
    Next,
    /// It was delivered before: drop it. The cursor stays.
    Duplicate,
    /// Messages between the cursor and this one never came, and the reader was not told of a gap:
    /// the feed is broken. The cursor stays. Come back with it.
    Hole {
        /// The number of missing messages.
        missed: u64,
    },
    /// The message is from another log than the cursor. Drop it and close its feed: the feed did
    /// not tell of a reset, or is behind a feed that did. The cursor stays. If no feed is left,
    /// come back with it.
    OtherEpoch,
}

impl Merger {
    /// Starts at a cursor: that of a feed's greeting, or the last stored one.
    pub(super) const fn new(cursor: Cursor) -> Self {
        Self { cursor }
    }

    /// Returns the position after the last message delivered. The reader comes back with it.
    pub(super) const fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Takes a message; `cursor` is the position after it.
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

    /// Takes a gap: messages are missing up to `to`. Returns whether that is new. If the other
    /// transport has delivered past `to`, nothing is missing and the cursor stays.
    pub(super) fn gap(&mut self, to: Cursor) -> bool {
        let news = to.epoch() == self.cursor.epoch() && to.seq() > self.cursor.seq();
        if news {
            self.cursor = to;
        }
        news
    }

    /// Takes a reset: messages continue after `to`. `from` is the position of the feed that told
    /// it: the cursor that it was opened at, or the last one that it delivered. Returns whether
    /// that is new.
    ///
    /// Two feeds tell the same reset one after the other. A feed that lags may tell of a log that
    /// the reader left long ago. So a reset counts only from a feed in the reader's own log, and
    /// within one log only if the reader has not moved since. If the cursor is not in the log of
    /// `to` afterwards, the feed is outdated: close it. If no feed is left, come back with the
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
        // The other feed was one message behind in the old log, and tells the same reset.
        assert_eq!(merger.message(at(1, 9)), Step::OtherEpoch);
        assert!(!merger.reset(at(1, 9), at(2, 0)));
        assert_eq!(merger.message(at(2, 1)), Step::Duplicate);
        assert_eq!(merger.message(at(2, 2)), Step::Next);
    }

    #[test]
    fn a_reset_to_a_log_that_the_reader_left_is_ignored() {
        let mut merger = Merger::new(at(3, 5));
        assert!(!merger.reset(at(1, 9), at(2, 0)));
        assert_eq!(merger.cursor(), at(3, 5));
    }

    #[test]
    fn a_log_that_lost_its_end_takes_the_reader_back() {
        let mut merger = Merger::new(at(1, 9));
        assert!(merger.reset(at(1, 9), at(1, 4)));
        assert_eq!(merger.message(at(1, 5)), Step::Next);
        // A feed that was opened at the same cursor tells the same reset again.
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
    fn a_gap_that_the_other_feed_has_filled_is_ignored() {
        let mut merger = Merger::new(at(1, 9));
        assert!(!merger.gap(at(1, 9)));
        assert!(!merger.gap(at(2, 20)));
        assert!(merger.gap(at(1, 10)));
        assert_eq!(merger.message(at(1, 11)), Step::Next);
    }
}
