//! The reader's side: what is new, what came twice, what is missing.

use crate::cursor::Cursor;

/// Follows one log by the cursors of what arrives, from any number of transports.
///
/// Sequence numbers have no holes, so a reader can *prove* that it has everything, and needs no memory of what it has: one
/// cursor tells the next message from one that it has seen. That is all a switch of transports takes: open the new one at
/// [`cursor`](Follower::cursor), let both run through one follower, drop the old one.
///
/// ```
/// use tidewire_channel::{Cursor, Epoch, Follower, Step};
///
/// let at = |seq| Cursor::new(Epoch::new(1), seq);
/// let mut follower = Follower::new(at(41));
/// assert_eq!(follower.message(at(42)), Step::Next);
/// assert_eq!(follower.message(at(42)), Step::Duplicate); // the other transport had it too
/// assert_eq!(follower.message(at(45)), Step::Hole { missed: 2 }); // the feed has lost something and did not say so
/// follower.gap(at(50)); // the feed has told a gap: what follows starts after 50
/// assert_eq!(follower.message(at(51)), Step::Next);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Follower {
    cursor: Cursor,
}

/// What a message is to the reader that it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The next one: deliver it. The cursor has moved on.
    Next,
    /// It was delivered before: drop it. The cursor stays.
    Duplicate,
    /// Messages between the cursor and this one never came and no gap was told: the feed is broken. The cursor stays; come back
    /// with it.
    Hole {
        /// How many.
        missed: u64,
    },
    /// It is of another log than the cursor, and no reset was told: the feed is broken. The cursor stays.
    OtherEpoch,
}

impl Follower {
    /// Follows on from a cursor: the one of a feed's hello, or the last that was stored.
    pub const fn new(cursor: Cursor) -> Self {
        Self { cursor }
    }

    /// The position after the last message delivered: what to come back with.
    pub const fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// A message arrived; `cursor` is the position after it.
    pub fn message(&mut self, cursor: Cursor) -> Step {
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

    /// A gap was told: what follows starts after `to`. Says whether that is news: if the other transport has delivered past
    /// `to`, nothing is missing and the cursor stays.
    pub fn gap(&mut self, to: Cursor) -> bool {
        let news = to.epoch() == self.cursor.epoch() && to.seq() > self.cursor.seq();
        if news {
            self.cursor = to;
        }
        news
    }

    /// A reset was told: the log is another one, and what follows starts after `to`.
    pub fn reset(&mut self, to: Cursor) {
        self.cursor = to;
    }
}
