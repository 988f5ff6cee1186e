//! What a channel knows of its upload, and of the raw readers that the upload waits for. It is part
//! of the state of the channel, under the lock of that.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use slab::Slab;
use tidewire_channel::{Budget, Continuity, Cursor, Log, ResetReason, Since};

use crate::message::Message;
use crate::room::{LONGEST_WAIT_MS, Room};

/// What a channel knows of its upload, and of the raw readers that the upload waits for.
#[derive(Debug, Default)]
pub(crate) struct UploadState {
    /// The channel belongs to an upload.
    active: bool,
    /// The position before the first piece of the newest upload.
    start: Option<Cursor>,
    /// The last sequence number that each raw reader has read.
    readers: Slab<u64>,
    /// The upload, where it waits for room.
    waiting: Option<Waker>,
    /// Since when it waits for room for its next piece.
    waits_since_ms: Option<u64>,
}

/// Whom an upload waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// For its raw readers, however slow they are.
    Readers,
    /// For the workers alone, as every publisher does: its source is live.
    Source,
}

/// A raw reader of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawReaderId(usize);

/// Where a raw reader starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RawStart {
    /// With the first piece of the newest upload; where there was none, with the oldest message
    /// kept.
    Upload,
    /// With the oldest message kept, in the middle of whatever that is.
    Earliest,
    /// With the next message.
    Now,
    After(Cursor),
}

/// The start is not, or no longer, in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RawStartError {
    /// So many messages after the start are no longer kept.
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
        self.waiting = None;
        self.waits_since_ms = None;
    }

    /// Ready when there is room for a message of this size: what the workers have still to serve is
    /// kept, and what the raw readers have not read. Else the upload is woken when that has
    /// changed.
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

    /// The upload, if it waits: to be woken.
    pub(crate) fn take_waiting(&mut self) -> Option<Waker> {
        self.waiting.take()
    }

    /// Adds a raw reader, and says at which position it starts.
    ///
    /// # Errors
    /// [`RawStartError`]: the log cannot be continued from that position.
    pub(crate) fn add_reader(
        &mut self,
        log: &Log<Arc<Message>>,
        start: RawStart,
    ) -> Result<(RawReaderId, Cursor), RawStartError> {
        let position = match start {
            RawStart::Upload => self.start.unwrap_or(log.earliest()),
            RawStart::Earliest => after_stale_mark(log),
            RawStart::Now => log.head(),
            RawStart::After(cursor) => cursor,
        };
        match log.read(Since::After(position), Budget::messages(0)).continuity() {
            Continuity::Fresh | Continuity::Resumed => {}
            Continuity::Gap { from, to, missed } => {
                return Err(RawStartError::Gap { from, missed, earliest: to });
            }
            Continuity::Reset { reason, to } => return Err(RawStartError::Reset { reason, earliest: to }),
        }
        Ok((RawReaderId(self.readers.insert(position.seq())), position))
    }

    /// Notes how far a raw reader has read. Returns the upload, if it waited for that.
    pub(crate) fn advance_reader(&mut self, reader: RawReaderId, position: Cursor) -> Option<Waker> {
        self.readers[reader.0] = position.seq();
        self.waiting.take()
    }

    /// Removes a raw reader. Returns the upload, if it waited for that.
    pub(crate) fn remove_reader(&mut self, reader: RawReaderId) -> Option<Waker> {
        self.readers.remove(reader.0);
        self.waiting.take()
    }

    /// Raw readers that have lost messages already do not count.
    fn has_room(&self, log: &Log<Arc<Message>>, size: usize) -> bool {
        let (earliest, head, retention) = (log.earliest(), log.head(), log.retention());
        let positions = self.readers.iter().map(|(_, &seq)| seq);
        let Some(slowest) = positions.filter(|&seq| seq >= earliest.seq()).min() else { return true };
        if slowest >= head.seq() {
            // The newest message is kept whatever its size.
            return true;
        }
        let unread = log.read(Since::After(Cursor::new(head.epoch(), slowest)), Budget::UNLIMITED);
        unread.len() < retention.max_messages && unread.bytes().saturating_add(size) <= retention.max_bytes
    }
}

/// The position before the oldest message; or after it, if it is nothing but the end of an upload
/// whose pieces are gone, and another message came after it.
fn after_stale_mark(log: &Log<Arc<Message>>) -> Cursor {
    let (earliest, head) = (log.earliest(), log.head());
    let first = log.read(Since::Earliest, Budget::messages(1));
    let is_mark = first.iter().next().is_some_and(|entry| entry.value.as_mark().is_some());
    if is_mark && earliest.seq() > 0 && first.cursor() != head { first.cursor() } else { earliest }
}
