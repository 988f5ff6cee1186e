//! The result of a read: the messages, how they continue what the reader has, and its position
//! afterwards.

use alloc::collections::vec_deque;
use core::iter::FusedIterator;

use crate::continuity::Continuity;
use crate::cursor::{Cursor, Epoch};
use crate::lineage::Lineage;

/// How much one read may return.
///
/// The first message is returned even if it alone is over `bytes`, so that a reader always makes
/// progress. `messages: 0` returns none.
///
/// ```
/// use tidewire_channel::{Budget, Epoch, Log, Retention, Since};
///
/// let mut log = Log::new(Epoch::new(7), Retention::DEFAULT);
/// for text in ["high", "low", "neap"] {
///     log.append(0, text.len(), text)?;
/// }
/// let read = log.read(Since::Earliest, Budget { messages: 10, bytes: 7 });
/// assert_eq!((read.len(), read.bytes(), read.more()), (2, 7, true));
/// # Ok::<(), tidewire_channel::Refused>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The largest number of messages.
    pub messages: usize,
    /// The largest number of bytes, summed over the sizes given with the messages.
    pub bytes: usize,
}

impl Budget {
    /// Everything that is kept.
    pub const UNLIMITED: Self = Self { messages: usize::MAX, bytes: usize::MAX };

    /// At most this number of messages, of any size.
    #[must_use]
    pub const fn messages(messages: usize) -> Self {
        Self { messages, bytes: usize::MAX }
    }

    /// At most this number of bytes, but at least one message.
    #[must_use]
    pub const fn bytes(bytes: usize) -> Self {
        Self { messages: usize::MAX, bytes }
    }
}

/// The result of [`Log::read`](crate::Log::read). It borrows the log.
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
    pub(crate) end: Option<Cursor>,
}

impl<'a, T> Read<'a, T> {
    /// Returns how the messages continue what the reader has.
    #[must_use]
    pub const fn continuity(&self) -> Continuity {
        self.continuity
    }

    /// Returns the position before the first message returned. For [`Continuity::Resumed`] it is
    /// the reader's own cursor.
    #[must_use]
    pub const fn start(&self) -> Cursor {
        self.start
    }

    /// Returns the position after the last message returned. The next read starts here, if the log
    /// has not [ended](Self::end).
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        match self.entries.kept.len() {
            0 => self.start,
            len => self.entries.cursor(self.start.seq().saturating_add(len as u64)),
        }
    }

    /// Returns the end of the log, if the log is closed and this read reaches its head. Nothing
    /// comes after the messages of this read. Tell the reader, and give it this cursor.
    ///
    /// It is also returned to a reader at the end. Such a reader was told before, and there is
    /// nothing more to tell it.
    #[must_use]
    pub const fn end(&self) -> Option<Cursor> {
        self.end
    }

    /// Returns whether the budget ended the read, so that more messages follow
    /// [`cursor`](Read::cursor).
    #[must_use]
    pub const fn more(&self) -> bool {
        self.more
    }

    /// Returns the number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// Returns whether there is something to tell the reader: a message, a gap, a reset, its first
    /// cursor, or the [end](Self::end). If not, the reader waits.
    #[must_use]
    pub fn is_news(&self) -> bool {
        !self.is_empty() || self.continuity != Continuity::Resumed || self.end.is_some()
    }

    /// Returns the sum of the sizes of the messages.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the messages, oldest first.
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
    /// The position after this message. A reader that has this message passes this cursor to its
    /// next read.
    pub cursor: Cursor,
    /// When it was appended, in milliseconds of the caller's clock. It never decreases along the
    /// log.
    pub time_ms: u64,
    /// The size in bytes that was given with it.
    pub size: usize,
    /// The message.
    pub value: &'a T,
}

// Written by hand: a derive would require `T: Clone`.
impl<T> Clone for Entry<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Entry<'_, T> {}

/// Iterates over the messages of a [`Read`], oldest first.
#[derive(Debug)]
pub struct Entries<'a, T> {
    lineage: &'a Lineage,
    /// The epoch of the numbers after `past_end`: of nearly all messages, so it is here.
    current: Epoch,
    past_end: u64,
    next: u64,
    kept: vec_deque::Iter<'a, Kept<T>>,
}

/// A message in the ring. Its place gives its sequence number.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    pub(crate) time_ms: u64,
    pub(crate) size: usize,
    pub(crate) value: T,
}

impl<'a, T> Entries<'a, T> {
    pub(crate) fn new(lineage: &'a Lineage, next: u64, kept: vec_deque::Iter<'a, Kept<T>>) -> Self {
        Self { lineage, current: lineage.current(), past_end: lineage.past_end(), next, kept }
    }

    /// The position after message `seq`. Messages count from 1, so this also holds if there is no
    /// past epoch.
    fn cursor(&self, seq: u64) -> Cursor {
        if seq > self.past_end { Cursor::new(self.current, seq) } else { self.lineage.at(seq) }
    }

    fn entry(&self, seq: u64, kept: &'a Kept<T>) -> Entry<'a, T> {
        Entry { cursor: self.cursor(seq), time_ms: kept.time_ms, size: kept.size, value: &kept.value }
    }
}

impl<'a, T> Iterator for Entries<'a, T> {
    type Item = Entry<'a, T>;

    fn next(&mut self) -> Option<Entry<'a, T>> {
        let kept = self.kept.next()?;
        let seq = self.next;
        self.next = self.next.saturating_add(1);
        Some(self.entry(seq, kept))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.kept.size_hint()
    }
}

impl<'a, T> DoubleEndedIterator for Entries<'a, T> {
    fn next_back(&mut self) -> Option<Entry<'a, T>> {
        let kept = self.kept.next_back()?;
        Some(self.entry(self.next.saturating_add(self.kept.len() as u64), kept))
    }
}

impl<T> ExactSizeIterator for Entries<'_, T> {}
impl<T> FusedIterator for Entries<'_, T> {}

impl<T> Clone for Entries<'_, T> {
    fn clone(&self) -> Self {
        Self { kept: self.kept.clone(), ..*self }
    }
}
