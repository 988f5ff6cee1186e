//! The log: a ring of messages, numbered without holes. Its [`Lineage`] says which epoch each
//! number has.
//!
//! ```text
//!    evicted            kept (a VecDeque)                 yet to come
//!  1 2 … 40   │ 41    42    43    44    45 │              46 …
//!             ▲ first                   head ▲
//!        earliest() = 40                head() = 45
//! ```
//!
//! The number of a message gives its place: `entries[seq - first]`. So one subtraction finds a
//! cursor, whether it is one message behind or a million, and there is no index to maintain. Other
//! servers search the log for an id, from the wrong end or up to a limit, and then replay
//! everything or nothing.
//!
//! Messages are appended, timed (see [`Log::expire`]) and evicted in order, and evicted at the
//! front only. So the kept messages are one contiguous run.

use alloc::collections::VecDeque;

use crate::cursor::{Cursor, Epoch, Since};
use crate::error::{Refused, RefusedKind};
use crate::limits::Retention;
use crate::lineage::{Bounds, Lineage};
use crate::read::{Budget, Entries, Entry, Kept, Read};

/// An ordered log of messages of type `T`, numbered 1, 2, 3, … without holes.
///
/// It has no clock: the caller of an append passes the time. It holds no readers: each reader keeps
/// its own [`Cursor`], so slow readers take no memory here.
///
/// ```
/// use tidewire_channel::{Budget, Epoch, Log, Retention, Since};
///
/// let mut log = Log::new(Epoch::new(7), Retention::DEFAULT);
/// // The time, the size that counts against the retention, the message.
/// log.append(0, 4, "high")?;
/// let position = log.append(0, 3, "low")?;
///
/// let read = log.read(Since::Earliest, Budget::UNLIMITED);
/// assert_eq!(read.iter().map(|entry| *entry.value).collect::<Vec<_>>(), ["high", "low"]);
/// assert_eq!(read.cursor(), position);
/// assert!(!log.read(position.into(), Budget::UNLIMITED).is_news());
/// # Ok::<(), tidewire_channel::Refused>(())
/// ```
#[derive(Debug)]
pub struct Log<T> {
    lineage: Lineage,
    retention: Retention,
    /// The number of the oldest kept message; `head + 1` if none is kept.
    first: u64,
    entries: VecDeque<Kept<T>>,
    /// The sum of the sizes of `entries`, so that eviction need not add them up.
    bytes: usize,
    /// The latest time seen. It never moves back, even if the caller's clock does.
    clock_ms: u64,
    is_closed: bool,
}

/// The numbers of a log, for metrics and for the answer to a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Messages kept.
    pub messages: usize,
    /// Bytes kept: the sum of the sizes given.
    pub bytes: usize,
    /// Messages evicted since the log began.
    pub evicted: u64,
    /// The position before the earliest message kept.
    pub earliest: Cursor,
    /// The position after the newest message.
    pub head: Cursor,
}

impl<T> Log<T> {
    /// Creates an empty log. It allocates nothing until a message comes.
    #[must_use]
    pub const fn new(epoch: Epoch, retention: Retention) -> Self {
        Self {
            lineage: Lineage::new(epoch),
            retention,
            first: 1,
            entries: VecDeque::new(),
            bytes: 0,
            clock_ms: 0,
            is_closed: false,
        }
    }

    /// Creates an empty log that continues after `head`, the last position of a log in storage or
    /// on another machine. It is [`restored`](Self::restored) with one epoch.
    ///
    /// Returns `None` if the number of `head` is 2^63 or more. No log counts that far, so the
    /// source is damaged.
    #[must_use]
    pub fn continuing(head: Cursor, retention: Retention) -> Option<Self> {
        Self::restored(Lineage::new(head.epoch()), head.seq(), retention)
    }

    /// Creates an empty log that continues after message `head` of a log in storage or on another
    /// machine.
    ///
    /// A reader behind `head` is told of a gap. If `head` may not be the last position that was
    /// given out, [begin an epoch](Self::begin_epoch) before the next message. Otherwise other
    /// messages would get the lost numbers, and a reader that has the old messages would skip the
    /// new ones.
    ///
    /// Returns `None` if `head` is before the end of a past epoch, or is 2^63 or more. No log
    /// counts that far, so the source is damaged.
    #[must_use]
    pub fn restored(lineage: Lineage, head: u64, retention: Retention) -> Option<Self> {
        if head > u64::MAX / 2 || head < lineage.past_end() {
            return None;
        }
        let empty = Self::new(lineage.current(), retention);
        Some(Self { lineage, first: head.saturating_add(1), ..empty })
    }

    /// Appends a message and returns the position after it. Amortised O(1).
    ///
    /// `size` counts against [`Retention::max_bytes`]: the payload, and anything else that the
    /// owner wants to bound. The append evicts what the retention no longer allows. The new message
    /// is kept at least until the next append or [`expire`](Log::expire).
    ///
    /// # Errors
    /// [`RefusedKind::Closed`] if the log is [closed](Self::close). This is the only one.
    pub fn append(&mut self, now_ms: u64, size: usize, value: T) -> Result<Cursor, Refused> {
        if self.is_closed {
            return Err(Refused::new(RefusedKind::Closed, 0));
        }
        self.expire(now_ms);
        self.bytes = self.bytes.saturating_add(size);
        self.entries.push_back(Kept { time_ms: self.clock_ms, size, value });
        self.fit();
        // A new message has the current epoch.
        Ok(Cursor::new(self.lineage.current(), self.head_seq()))
    }

    /// Begins a new epoch: messages after the head may have been lost. The numbers go on, and the
    /// messages that are there keep their epochs.
    ///
    /// A reader that has everything is told nothing. A reader with a lost message is told
    /// [`ResetReason::TailLost`](crate::ResetReason::TailLost). `epoch` must be new, as for
    /// [`Lineage::begin`]. A closed log has no next message, so it begins no epoch.
    pub fn begin_epoch(&mut self, epoch: Epoch) {
        if !self.is_closed {
            self.lineage.begin(epoch, self.head_seq());
        }
    }

    /// Closes the log for good: no message can be appended any more. Returns its end, which is a
    /// position after the head. Closing it again changes nothing and returns the same end.
    ///
    /// Wake the waiters afterwards: the end is news to them.
    pub fn close(&mut self) -> Cursor {
        self.is_closed = true;
        self.lineage.end(self.head_seq())
    }

    /// Returns the end of the log if it is [closed](Self::close).
    #[must_use]
    pub fn end(&self) -> Option<Cursor> {
        self.is_closed.then(|| self.lineage.end(self.head_seq()))
    }

    /// Returns whether the log is [closed](Self::close).
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Evicts messages older than [`Retention::max_age_ms`]. Returns their number.
    ///
    /// Time only moves forward in a log. If the caller's clock steps back, the log stays at the
    /// latest time that it has seen until the clock has caught up. So a later message never has an
    /// earlier time. If the clock leaps forward, messages expire early, and readers are told of a
    /// gap. To avoid both, read the wall clock once at the start and add a monotonic clock to it.
    pub fn expire(&mut self, now_ms: u64) -> usize {
        self.clock_ms = self.clock_ms.max(now_ms);
        let Some(max_age_ms) = self.retention.max_age_ms else { return 0 };
        let kept = self.entries.len();
        let clock_ms = self.clock_ms;
        let is_old = |kept: &Kept<T>| clock_ms.saturating_sub(kept.time_ms) >= max_age_ms;
        while self.entries.front().is_some_and(is_old) {
            self.evict_front();
        }
        kept.saturating_sub(self.entries.len())
    }

    /// Returns the time at which the next message expires, and so when to call
    /// [`expire`](Log::expire). Returns `None` if no message expires.
    #[must_use]
    pub fn next_expiry_ms(&self) -> Option<u64> {
        Some(self.entries.front()?.time_ms.saturating_add(self.retention.max_age_ms?))
    }

    /// Evicts everything. The numbers continue, so a reader that had not read everything is told of
    /// a gap.
    pub fn clear(&mut self) {
        self.skip_to(self.head_seq());
    }

    /// Evicts everything and continues counting after `seq`. For a copy of a log that missed the
    /// messages up to `seq`.
    ///
    /// A reader behind `seq` is told of a gap. If `seq` is not ahead of the head, this only clears,
    /// because no number is given twice. A closed log is only cleared too, because its end stays.
    pub fn skip_to(&mut self, seq: u64) {
        let seq = if self.is_closed { 0 } else { seq };
        self.first = self.head_seq().max(seq.min(u64::MAX / 2)).saturating_add(1);
        self.entries.clear();
        self.bytes = 0;
    }

    /// Returns the position after the newest message: the position of a reader that has everything.
    #[must_use]
    pub fn head(&self) -> Cursor {
        self.lineage.at(self.head_seq())
    }

    /// Returns the position before the earliest message kept. A read after it returns all kept
    /// messages.
    #[must_use]
    pub fn earliest(&self) -> Cursor {
        self.lineage.at(self.first.saturating_sub(1))
    }

    /// Returns what [`earliest`](Self::earliest) would be after appending this number of messages
    /// with this sum of sizes. A reader at an earlier position would be told of a gap. If these
    /// messages would evict each other, returns the position after the first of them. Age is
    /// ignored: call [`expire`](Self::expire) first. O(1) while the log is not full, then linear in
    /// the number of messages that would be evicted.
    #[must_use]
    pub fn earliest_after(&self, messages: usize, bytes: usize) -> Cursor {
        let (mut len, mut sum) =
            (self.entries.len().saturating_add(messages), self.bytes.saturating_add(bytes));
        let mut evicted = 0_usize;
        // The newest message stays whatever its size.
        while len > 1 && (len > self.retention.max_messages || sum > self.retention.max_bytes) {
            let oldest = self.entries.get(evicted);
            evicted = evicted.saturating_add(1);
            let Some(oldest) = oldest else { break };
            sum = sum.saturating_sub(oldest.size);
            len = len.saturating_sub(1);
        }
        self.lineage.at(self.first.saturating_sub(1).saturating_add(evicted as u64))
    }

    /// Reads from `since` on, within `budget`. O(1) to find the place, then linear in the messages
    /// returned.
    ///
    /// A cursor that cannot be continued is no error. The read then says what is missing and
    /// continues from the earliest message kept.
    #[must_use]
    pub fn read(&self, since: Since, budget: Budget) -> Read<'_, T> {
        let (start, continuity) = self.lineage.locate(since, self.bounds());
        let next = start.seq().saturating_add(1);
        // The end of a closed log is a position too, and there is no message after it.
        let from = self.place(next).min(self.entries.len());
        let (count, bytes) = self.within(from, budget);
        let to = from.saturating_add(count);
        let more = to < self.entries.len();
        Read {
            entries: Entries::new(&self.lineage, next, self.entries.range(from..to)),
            continuity,
            start,
            bytes,
            more,
            end: if more { None } else { self.end() },
        }
    }

    /// Returns the message just before `cursor`, if it is still kept. O(1).
    #[must_use]
    pub fn get(&self, cursor: Cursor) -> Option<Entry<'_, T>> {
        if cursor.seq() < self.first || self.lineage.at(cursor.seq()) != cursor {
            return None;
        }
        let kept = self.entries.get(self.place(cursor.seq()))?;
        Some(Entry { cursor, time_ms: kept.time_ms, size: kept.size, value: &kept.value })
    }

    /// Returns whether a cursor is a position of this log: after one of its messages, whether that
    /// is kept or not, or its end.
    #[must_use]
    pub fn has(&self, cursor: Cursor) -> bool {
        self.lineage.has(cursor, self.bounds())
    }

    /// Returns the epoch of the next message. The messages that are there may have others.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.lineage.current()
    }

    /// Returns which epoch each number has.
    #[must_use]
    pub const fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// Returns the numbers of the first and the last message kept, for [`Lineage::locate`].
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        let earliest = self.first.saturating_sub(1);
        Bounds { earliest, head: self.head_seq(), is_closed: self.is_closed }
    }

    /// Returns what is kept.
    #[must_use]
    pub const fn retention(&self) -> Retention {
        self.retention
    }

    /// Changes what is kept, and evicts what is over the new retention.
    pub fn set_retention(&mut self, retention: Retention) {
        self.retention = retention;
        self.expire(self.clock_ms);
        self.fit();
    }

    /// Returns the number of messages kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether no message is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the bytes kept: the sum of the sizes given.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the numbers of this log.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            messages: self.entries.len(),
            bytes: self.bytes,
            evicted: self.first.saturating_sub(1),
            earliest: self.earliest(),
            head: self.head(),
        }
    }

    /// Evicts by count and bytes, but never the newest message.
    fn fit(&mut self) {
        while self.entries.len() > 1
            && (self.entries.len() > self.retention.max_messages || self.bytes > self.retention.max_bytes)
        {
            self.evict_front();
        }
    }

    fn evict_front(&mut self) {
        if let Some(front) = self.entries.pop_front() {
            self.first = self.first.saturating_add(1);
            self.bytes = self.bytes.saturating_sub(front.size);
        }
    }

    /// The number of the newest message.
    fn head_seq(&self) -> u64 {
        self.first.saturating_sub(1).saturating_add(self.entries.len() as u64)
    }

    /// The index of message `seq`, which is not before the first. Past the end for a message yet to
    /// come.
    fn place(&self, seq: u64) -> usize {
        usize::try_from(seq.saturating_sub(self.first)).unwrap_or(usize::MAX)
    }

    /// The number of messages from index `from` on that are within the budget, and their bytes.
    fn within(&self, from: usize, budget: Budget) -> (usize, usize) {
        let mut bytes: usize = 0;
        let mut count = 0_usize;
        for kept in self.entries.range(from..).take(budget.messages) {
            let sum = bytes.saturating_add(kept.size);
            if sum > budget.bytes && count > 0 {
                break;
            }
            bytes = sum;
            count = count.saturating_add(1);
        }
        (count, bytes)
    }
}
