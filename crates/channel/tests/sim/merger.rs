//! Merges what several feeds of a reader say about one channel: what is new, what came twice, what
//! is missing.

use tidewire_channel::{Cursor, Epoch};

/// Merges the messages, gaps, resets and ends of one channel from any number of feeds.
///
/// Each feed continues where it was: it gives the next number, of the same epoch or of a new one.
/// So there is one rule: **what a feed gives counts if the feed stood exactly where the reader
/// is**. To change transports, a reader opens the new feed at [`cursor`](Merger::cursor), reads
/// both through one merger, and closes the old feed.
///
/// A feed that is behind gives what the reader has. The merger knows this by the epochs that the
/// reader has left and where they ended. Anything else is from another log, or from a tail that was
/// lost: the feed is *outdated*. The reader closes it, and comes back with its cursor if no feed is
/// left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Merger {
    cursor: Cursor,
    /// The epochs that the reader has left, each with its last number. What comes after that is
    /// lost or of a log that is gone.
    ended: Vec<(Epoch, u64)>,
    pub(super) is_ended: bool,
    /// A deliberate mistake: the next number is the next message, from whatever feed.
    counts_only: bool,
}

/// What a message, a gap, a reset or an end means to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// It is next: deliver it. The cursor has moved.
    Next,
    /// The reader has it: drop it. The cursor stays.
    Duplicate,
    /// Messages of this log never came, and the reader was not told of a gap: the feed is broken.
    /// The cursor stays.
    Hole,
    /// It is of another log, or of a tail that was lost. Drop it and close its feed. The cursor
    /// stays.
    Outdated,
}

impl Merger {
    /// Starts at a cursor: that of a feed's greeting, or the last stored one.
    pub(super) const fn new(cursor: Cursor) -> Self {
        Self { cursor, ended: Vec::new(), is_ended: false, counts_only: false }
    }

    /// Sets whether it makes the mistake of looking at numbers alone.
    pub(super) fn with_counts_only(mut self, counts_only: bool) -> Self {
        self.counts_only = counts_only;
        self
    }

    /// Returns the position after the last message delivered. The reader comes back with it.
    pub(super) const fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Takes a message of a feed that was at `from`; `cursor` is the position after it.
    pub(super) fn message(&mut self, from: Cursor, cursor: Cursor) -> Step {
        let is_next = match self.counts_only {
            false => from == self.cursor && !self.is_lost(cursor),
            true => cursor.seq() == self.cursor.seq() + 1,
        };
        if is_next && !self.is_ended {
            if cursor.epoch() != from.epoch() {
                self.leave(from.epoch(), from.seq());
            }
            self.cursor = cursor;
            return Step::Next;
        }
        self.not_next(cursor)
    }

    /// Takes the end of a log from a feed that was at `from`.
    pub(super) fn end(&mut self, from: Cursor, end: Cursor) -> Step {
        if end == self.cursor {
            return Step::Duplicate;
        }
        let step = self.message(from, end);
        self.is_ended |= step == Step::Next;
        step
    }

    /// Takes a gap: messages are missing from `from` to `to`. If another feed has delivered past
    /// `to`, nothing is missing and the cursor stays.
    pub(super) fn gap(&mut self, from: Cursor, to: Cursor) -> Step {
        let is_ahead = to.epoch() == self.cursor.epoch() && to.seq() > self.cursor.seq();
        if !self.is_lost(to) && !self.is_ended && (from == self.cursor || is_ahead) {
            if to.epoch() != self.cursor.epoch() {
                self.leave(self.cursor.epoch(), self.cursor.seq());
            }
            self.cursor = to;
            return Step::Next;
        }
        self.not_next(to)
    }

    /// Takes a reset from a feed that was at `from`: messages continue after `to`.
    pub(super) fn reset(&mut self, from: Cursor, to: Cursor, reason: &str) -> Step {
        if from != self.cursor {
            return if self.is_behind(to) { Step::Duplicate } else { Step::Outdated };
        }
        match reason {
            // The log has the epoch and goes on with it. Only the number was wrong.
            "ahead-of-log" => {}
            // Its epoch ended there, or before: `to` may be of a later one.
            "tail-lost" => self.leave(from.epoch(), to.seq()),
            _ => self.leave(from.epoch(), 0),
        }
        self.is_ended = false;
        self.cursor = to;
        Step::Next
    }

    /// What a position means at which the reader cannot be next.
    fn not_next(&self, cursor: Cursor) -> Step {
        if self.is_behind(cursor) {
            return Step::Duplicate;
        }
        let is_same = cursor.epoch() == self.cursor.epoch() && !self.is_lost(cursor);
        if is_same && !self.is_ended { Step::Hole } else { Step::Outdated }
    }

    /// An epoch has ended for this reader, and nothing of it after this number counts any more.
    fn leave(&mut self, epoch: Epoch, end: u64) {
        match self.ended.iter_mut().find(|ended| ended.0 == epoch) {
            Some(ended) => ended.1 = ended.1.min(end),
            None => self.ended.push((epoch, end)),
        }
    }

    fn ended_at(&self, epoch: Epoch) -> Option<u64> {
        self.ended.iter().find(|ended| ended.0 == epoch).map(|ended| ended.1)
    }

    /// Whether a position is after the end of an epoch that the reader has left.
    fn is_lost(&self, cursor: Cursor) -> bool {
        self.ended_at(cursor.epoch()).is_some_and(|end| cursor.seq() > end)
    }

    /// Whether the reader has passed a position, in its own log.
    fn is_behind(&self, cursor: Cursor) -> bool {
        match self.ended_at(cursor.epoch()) {
            Some(end) => cursor.seq() <= end,
            None => cursor.epoch() == self.cursor.epoch() && cursor.seq() <= self.cursor.seq(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u64, seq: u64) -> Cursor {
        Cursor::new(Epoch::new(epoch), seq)
    }

    #[test]
    fn the_first_feed_that_tells_a_reset_moves_the_reader_and_the_second_does_not() {
        let mut merger = Merger::new(at(1, 9));
        assert_eq!(merger.reset(at(1, 9), at(2, 0), "unknown-epoch"), Step::Next);
        assert_eq!(merger.message(at(2, 0), at(2, 1)), Step::Next);
        // The other feed was one message behind in the old log, and tells the same reset.
        assert_eq!(merger.message(at(1, 8), at(1, 9)), Step::Outdated);
        assert_eq!(merger.reset(at(1, 9), at(2, 0), "unknown-epoch"), Step::Duplicate);
        assert_eq!(merger.message(at(2, 0), at(2, 1)), Step::Duplicate);
        assert_eq!(merger.message(at(2, 1), at(2, 2)), Step::Next);
    }

    #[test]
    fn a_reset_to_a_log_that_the_reader_left_is_ignored() {
        let mut merger = Merger::new(at(3, 5));
        assert_eq!(merger.reset(at(1, 9), at(2, 0), "unknown-epoch"), Step::Outdated);
        assert_eq!(merger.cursor(), at(3, 5));
    }

    #[test]
    fn a_new_epoch_with_the_next_number_is_contiguous() {
        let mut merger = Merger::new(at(1, 9));
        assert_eq!(merger.message(at(1, 9), at(2, 10)), Step::Next);
        // Another feed is behind, in the old epoch.
        assert_eq!(merger.message(at(1, 8), at(1, 9)), Step::Duplicate);
        // A third one has a message that was lost. It is not the next one.
        assert_eq!(merger.message(at(1, 10), at(1, 11)), Step::Outdated);
        assert_eq!(merger.message(at(2, 10), at(2, 11)), Step::Next);
    }

    #[test]
    fn after_a_lost_tail_nothing_of_it_comes_again() {
        let mut merger = Merger::new(at(1, 9));
        assert_eq!(merger.reset(at(1, 9), at(1, 4), "tail-lost"), Step::Next);
        // A feed that lags stands where the reader is now, and has the lost message.
        assert_eq!(merger.message(at(1, 4), at(1, 5)), Step::Outdated);
        // A feed that was opened at the same cursor tells the same reset again.
        assert_eq!(merger.message(at(1, 4), at(2, 5)), Step::Next);
        assert_eq!(merger.reset(at(1, 9), at(1, 4), "tail-lost"), Step::Duplicate);
        assert_eq!(merger.message(at(1, 4), at(2, 5)), Step::Duplicate);
        assert_eq!(merger.cursor(), at(2, 5));
    }

    #[test]
    fn a_cursor_ahead_of_its_log_is_taken_back() {
        let mut merger = Merger::new(at(1, 9));
        assert_eq!(merger.reset(at(1, 9), at(1, 4), "ahead-of-log"), Step::Next);
        assert_eq!(merger.message(at(1, 4), at(1, 5)), Step::Next);
    }

    #[test]
    fn one_missing_message_is_a_hole() {
        let mut merger = Merger::new(at(1, 9));
        assert_eq!(merger.message(at(1, 10), at(1, 11)), Step::Hole);
        assert_eq!(merger.cursor(), at(1, 9));
    }

    #[test]
    fn a_gap_that_the_other_feed_has_filled_is_ignored() {
        let mut merger = Merger::new(at(1, 9));
        assert_eq!(merger.gap(at(1, 2), at(1, 9)), Step::Duplicate);
        assert_eq!(merger.gap(at(2, 2), at(2, 20)), Step::Outdated);
        assert_eq!(merger.gap(at(1, 2), at(1, 10)), Step::Next);
        assert_eq!(merger.message(at(1, 10), at(1, 11)), Step::Next);
        assert_eq!(merger.gap(at(1, 11), at(2, 20)), Step::Next);
    }

    #[test]
    fn the_end_counts_once_and_nothing_comes_after_it() {
        let mut merger = Merger::new(at(1, 9));
        assert_eq!(merger.end(at(1, 8), at(1, 9)), Step::Duplicate, "a feed of a shorter log");
        assert_eq!(merger.end(at(1, 9), at(1, 10)), Step::Next);
        assert_eq!(merger.end(at(1, 9), at(1, 10)), Step::Duplicate);
        assert_eq!(merger.message(at(1, 10), at(1, 11)), Step::Outdated);
    }
}
