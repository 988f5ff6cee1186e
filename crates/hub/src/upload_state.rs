//! The upload of a channel, and the raw readers that it waits for. This is part of the state of a
//! channel, under the lock of the channel.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use slab::Slab;
use tidewire_channel::{Bounds, Budget, Continuity, Cursor, Log, ResetReason, Since};
use tidewire_store::Message;

use crate::room::{LONGEST_WAIT_MS, Room};

/// The upload of a channel, and the raw readers that it waits for.
#[derive(Debug, Default)]
pub(crate) struct UploadState {
    /// Whether an upload is under way.
    active: bool,
    /// Whether the publisher has left, and the store did not take the mark that says so.
    pub(crate) owes_mark: bool,
    /// The position before the first piece of the newest upload.
    start: Option<Cursor>,
    /// The last sequence number that each raw reader has read.
    readers: Slab<u64>,
    /// Wakes the upload, if it waits for room.
    waiting: Option<Waker>,
    /// The time since which it waits for room for its next piece.
    waits_since_ms: Option<u64>,
}

/// The readers that an upload waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Its raw readers, however slow they are, and the workers.
    Readers,
    /// Only the workers, as every publisher does: the source is live.
    Source,
}

/// A raw reader of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawReaderId(usize);

/// Where a raw reader starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RawStart {
    /// At the first piece of the newest upload. Without an upload, at the oldest message kept.
    Upload,
    /// At the oldest message kept, which may be in the middle of an upload.
    Earliest,
    /// At the next message.
    Now,
    After(Cursor),
}

/// The log does not have the start: it never had it, or has evicted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RawStartError {
    /// `missed` messages after the start are no longer kept.
    Gap {
        from: Cursor,
        missed: u64,
        earliest: Cursor,
    },
    Reset {
        reason: ResetReason,
        earliest: Cursor,
    },
}

impl UploadState {
    pub(crate) fn is_active(&self) -> bool {
        self.active
    }

    /// Starts an upload at the head of the log.
    pub(crate) fn begin(&mut self, head: Cursor) {
        self.active = true;
        self.start = Some(head);
    }

    pub(crate) fn end(&mut self) {
        self.active = false;
        self.owes_mark = false;
        self.waiting = None;
        self.waits_since_ms = None;
    }

    /// Ready when there is room for a message of this size: the append evicts nothing that a worker
    /// has still to serve. With [`Pace::Readers`], it also evicts nothing that a raw reader has not
    /// read. The wait for workers ends after [`LONGEST_WAIT_MS`]. If there is no room, the upload
    /// is woken when that may have changed.
    pub(crate) fn poll_room(
        &mut self,
        log: &Log<Arc<Message>>,
        room: &Room,
        (size, pace): (usize, Pace),
        now_ms: u64,
        cx: &Context<'_>,
    ) -> Poll<()> {
        let since_ms = *self.waits_since_ms.get_or_insert(now_ms);
        let is_late = now_ms.saturating_sub(since_ms) >= LONGEST_WAIT_MS;
        if (is_late || room.has(log, size)) && (pace == Pace::Source || self.has_room(log, size)) {
            self.waits_since_ms = None;
            return Poll::Ready(());
        }
        self.waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Returns the waker of the upload, if it waits.
    pub(crate) fn take_waiting(&mut self) -> Option<Waker> {
        self.waiting.take()
    }

    /// Adds a raw reader. Returns the position at which it starts. `log` is the window, `bounds`
    /// are those of the log in the store.
    ///
    /// # Errors
    /// [`RawStartError`]: the log cannot continue from that position.
    pub(crate) fn add_reader(
        &mut self,
        log: &Log<Arc<Message>>,
        bounds: Bounds,
        start: RawStart,
    ) -> Result<(RawReaderId, Cursor), RawStartError> {
        let earliest = log.lineage().at(bounds.earliest);
        let position = match start {
            RawStart::Upload => self.start.unwrap_or(earliest),
            RawStart::Earliest if earliest == log.earliest() => after_stale_mark(log),
            RawStart::Earliest => earliest,
            RawStart::Now => log.head(),
            RawStart::After(cursor) => cursor,
        };
        match log.lineage().locate(Since::After(position), bounds).1 {
            Continuity::Fresh | Continuity::Resumed => {}
            Continuity::Gap { from, to, missed } => {
                return Err(RawStartError::Gap { from, missed, earliest: to });
            }
            Continuity::Reset { reason, to } => return Err(RawStartError::Reset { reason, earliest: to }),
        }
        Ok((RawReaderId(self.readers.insert(position.seq())), position))
    }

    /// Notes how far a raw reader has read. Returns the waker of the upload, if it waits.
    pub(crate) fn advance_reader(&mut self, reader: RawReaderId, position: Cursor) -> Option<Waker> {
        self.readers[reader.0] = position.seq();
        self.waiting.take()
    }

    /// Removes a raw reader. Returns the waker of the upload, if it waits.
    pub(crate) fn remove_reader(&mut self, reader: RawReaderId) -> Option<Waker> {
        self.readers.remove(reader.0);
        self.waiting.take()
    }

    /// Whether the raw readers leave room. Readers that have lost messages already do not count.
    fn has_room(&self, log: &Log<Arc<Message>>, size: usize) -> bool {
        let (earliest, head, retention) = (log.earliest(), log.head(), log.retention());
        let positions = self.readers.iter().map(|(_, &seq)| seq);
        let Some(slowest) = positions.filter(|&seq| seq >= earliest.seq()).min() else { return true };
        if slowest >= head.seq() {
            // The newest message is kept whatever its size.
            return true;
        }
        let unread = log.read(Since::After(log.lineage().at(slowest)), Budget::UNLIMITED);
        unread.len() < retention.max_messages && unread.bytes().saturating_add(size) <= retention.max_bytes
    }
}

/// The position before the oldest message. If that message is the mark of an upload whose pieces
/// are gone, and other messages follow, the position after it.
fn after_stale_mark(log: &Log<Arc<Message>>) -> Cursor {
    let (earliest, head) = (log.earliest(), log.head());
    let first = log.read(Since::Earliest, Budget::messages(1));
    let is_mark = first.iter().next().is_some_and(|entry| entry.value.as_mark().is_some());
    if is_mark && earliest.seq() > 0 && first.cursor() != head { first.cursor() } else { earliest }
}
