//! What a read says: the messages, how they continue what the reader has, and where it stands
//! afterwards.

use alloc::collections::vec_deque;
use core::iter::FusedIterator;

use crate::cursor::{Cursor, Epoch};

/// How much one read may return.
///
/// One message is returned even if it alone is over `bytes`, so that a reader always moves on.
/// `messages: 0` returns none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The most messages.
    pub messages: usize,
    /// The most bytes, summed over the sizes given with the messages.
    pub bytes: usize,
}

impl Budget {
    /// Everything there is.
    pub const UNLIMITED: Self = Self { messages: usize::MAX, bytes: usize::MAX };

    /// At most so many messages of any size.
    #[must_use]
    pub const fn messages(messages: usize) -> Self {
        Self { messages, bytes: usize::MAX }
    }

    /// At most so many bytes, but one message at least.
    #[must_use]
    pub const fn bytes(bytes: usize) -> Self {
        Self { messages: usize::MAX, bytes }
    }
}

/// How what is returned continues what the reader has. All but the first two have to be told to the
/// reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuity {
    /// The reader had no cursor: nothing came before.
    Fresh,
    /// The next message is exactly the one after the reader's cursor.
    Resumed,
    /// The reader's next message is no longer kept. What follows starts after `to`.
    Gap {
        /// The cursor that the reader came with.
        from: Cursor,
        /// The position up to which messages are missing: the one before the earliest message kept.
        to: Cursor,
        /// How many messages are missing; at least 1.
        missed: u64,
    },
    /// The reader's cursor is not one of this log. What follows starts after `to`; what was missed
    /// cannot be known.
    Reset {
        /// Why.
        reason: ResetReason,
        /// The position before the earliest message kept.
        to: Cursor,
    },
}

impl Continuity {
    /// Whether messages are, or may be, missing: the reader must be told.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        matches!(self, Self::Gap { .. } | Self::Reset { .. })
    }
}

/// Why a cursor does not belong to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResetReason {
    /// The cursor is of another epoch: the log was created anew since.
    UnknownEpoch,
    /// The cursor is of this epoch but lies ahead of the newest message: it was never given out, or
    /// the log lost its end.
    AheadOfLog,
}

impl ResetReason {
    /// The name on the wire: `unknown-epoch` or `ahead-of-log`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownEpoch => "unknown-epoch",
            Self::AheadOfLog => "ahead-of-log",
        }
    }
}

/// The answer to [`Log::read`](crate::Log::read). It borrows the log.
///
/// ```text
///   log      …  41   42   43   44   45 ◄ head
///                  ▲              ▲
///                start()        cursor()          more() is true: 45 was not in the budget
///                  └── entries ──┘
/// ```
#[derive(Debug)]
pub struct Read<'a, T> {
    pub(crate) entries: Entries<'a, T>,
    pub(crate) continuity: Continuity,
    pub(crate) start: Cursor,
    pub(crate) bytes: usize,
    pub(crate) more: bool,
}

impl<'a, T> Read<'a, T> {
    /// How the messages continue what the reader has.
    #[must_use]
    pub const fn continuity(&self) -> Continuity {
        self.continuity
    }

    /// The position before the first message returned. It is the reader's own cursor if it
    /// [`Resumed`](Continuity::Resumed).
    #[must_use]
    pub const fn start(&self) -> Cursor {
        self.start
    }

    /// The position after the last message returned: what the reader reads since next time.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor::new(self.start.epoch(), self.start.seq() + self.entries.len() as u64)
    }

    /// Whether the budget ended the read: there is more after [`cursor`](Read::cursor) already.
    #[must_use]
    pub const fn more(&self) -> bool {
        self.more
    }

    /// The number of messages returned.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no message is returned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// Whether there is anything to say to the reader: a message, a gap or reset, or, to one that
    /// came without a cursor, where it is. If not, it waits.
    #[must_use]
    pub fn is_news(&self) -> bool {
        !self.is_empty() || self.continuity != Continuity::Resumed
    }

    /// The sum of the sizes of the messages returned.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The messages, oldest first.
    #[must_use]
    pub fn iter(&self) -> Entries<'a, T> {
        self.entries.clone()
    }
}

impl<'a, T> IntoIterator for Read<'a, T> {
    type Item = Entry<'a, T>;
    type IntoIter = Entries<'a, T>;

    fn into_iter(self) -> Entries<'a, T> {
        self.entries
    }
}

impl<'a, T> IntoIterator for &Read<'a, T> {
    type Item = Entry<'a, T>;
    type IntoIter = Entries<'a, T>;

    fn into_iter(self) -> Entries<'a, T> {
        self.iter()
    }
}

/// One message of a log.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry<'a, T> {
    /// The position after this message: what a reader that has it reads since.
    pub cursor: Cursor,
    /// When it was appended, in milliseconds of the caller's clock. It never decreases along the
    /// log.
    pub time_ms: u64,
    /// The size in bytes that was given with it.
    pub size: usize,
    /// The message.
    pub value: &'a T,
}

// By hand: a derive would ask for `T: Clone`.
impl<T> Clone for Entry<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Entry<'_, T> {}

/// Iterates over the messages of a [`Read`], oldest first.
#[derive(Debug)]
pub struct Entries<'a, T> {
    pub(crate) epoch: Epoch,
    pub(crate) next: u64,
    pub(crate) kept: vec_deque::Iter<'a, Kept<T>>,
}

/// A message as the ring holds it; its sequence number is its place.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    pub(crate) time_ms: u64,
    pub(crate) size: usize,
    pub(crate) value: T,
}

impl<'a, T> Entries<'a, T> {
    fn entry(&self, seq: u64, kept: &'a Kept<T>) -> Entry<'a, T> {
        Entry {
            cursor: Cursor::new(self.epoch, seq),
            time_ms: kept.time_ms,
            size: kept.size,
            value: &kept.value,
        }
    }
}

impl<'a, T> Iterator for Entries<'a, T> {
    type Item = Entry<'a, T>;

    fn next(&mut self) -> Option<Entry<'a, T>> {
        let kept = self.kept.next()?;
        let seq = self.next;
        self.next += 1;
        Some(self.entry(seq, kept))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.kept.size_hint()
    }
}

impl<'a, T> DoubleEndedIterator for Entries<'a, T> {
    fn next_back(&mut self) -> Option<Entry<'a, T>> {
        let kept = self.kept.next_back()?;
        Some(self.entry(self.next + self.kept.len() as u64, kept))
    }
}

impl<T> ExactSizeIterator for Entries<'_, T> {}
impl<T> FusedIterator for Entries<'_, T> {}

impl<T> Clone for Entries<'_, T> {
    fn clone(&self) -> Self {
        Self { epoch: self.epoch, next: self.next, kept: self.kept.clone() }
    }
}
