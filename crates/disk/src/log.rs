//! What the writer knows of each log, and the table of all logs.
//!
//! ```text
//!   by_name: name ──► Slot ──► Log ── seen ──► Seen: what readers may see, as of the last commit
//!                              │ ▲
//!                       source │ │ forks
//!                              ▼ │
//!                              Log
//! ```
//!
//! Only the writer's thread has this table. A group of requests changes it while its transaction is
//! open, and notes for each log what it was [`Before`]. If the transaction fails, the logs become
//! that again. If it is committed, the logs are shown to the readers.

use std::collections::HashMap;
use std::sync::Arc;

use tidewire_channel::{Channel, Cursor, Epoch, Lineage, Log as Ring, Retention};
use tidewire_store::{ChannelName, ChannelSettings, Fork, Limits, LogInfo, Retain};

use crate::entry::Entry;
use crate::kept::Kept;
use crate::log_row::{LogRow, SourceRow};
use crate::seen::Seen;

/// The place of a log in the table of the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot(usize);

/// The keys and producers of a log. Its own log is empty, and is not used.
pub(crate) type Writers = Channel<(), ()>;

/// A log, as the writer sees it: with what the open transaction has changed.
pub(crate) struct Log {
    pub(crate) id: i64,
    /// `None`: it is being dropped, and its messages go in pieces.
    pub(crate) name: Option<ChannelName>,
    /// What readers see.
    pub(crate) seen: Arc<Seen>,
    /// The epoch of the next message. What readers see has the past epochs.
    pub(crate) epoch: Epoch,
    /// The last number that has a past epoch; 0 if there is none.
    pub(crate) past_end: u64,
    pub(crate) head: u64,
    /// The number of the newest message that is in a run, or was in one.
    pub(crate) folded: u64,
    /// The sum of the sizes of the messages after `folded`.
    pub(crate) tail_bytes: u64,
    pub(crate) kept: Kept,
    /// The messages of the open transaction, before readers see them.
    pub(crate) fresh: Vec<Entry>,
    pub(crate) settings: Arc<ChannelSettings>,
    /// `None` until an append has a key or a producer: most logs have none.
    pub(crate) writers: Option<Box<Writers>>,
    pub(crate) stream_seq: Option<Box<str>>,
    /// What it was forked from.
    pub(crate) origin: Option<Box<Origin>>,
    /// The logs that were forked from this one, and are not dropped.
    pub(crate) forks: Vec<Slot>,
    pub(crate) last_time_ms: u64,
    /// The latest time seen: the time of the next message is not earlier.
    pub(crate) clock_ms: u64,
    pub(crate) used_ms: u64,
    /// What the disk has as `used_ms`.
    pub(crate) saved_used_ms: u64,
    /// The number of crashes for which its epochs account.
    pub(crate) crashes: u64,
    pub(crate) is_closed: bool,
    /// Whether a creation has set the settings.
    pub(crate) is_created: bool,
    /// Whether a hub uses it.
    pub(crate) is_open: bool,
    /// Whether it was deleted, and lives for its forks.
    pub(crate) is_deleted: bool,
    pub(crate) upload_open: bool,
    /// Whether the open transaction has made it.
    pub(crate) is_new: bool,
    /// Whether the open transaction must write its row.
    pub(crate) is_changed: bool,
    /// Whether the open transaction has freed its name.
    pub(crate) is_renamed: bool,
    /// Whether it is among the logs that the open transaction has touched.
    pub(crate) is_touched: bool,
    /// Whether it is among the logs that the next fold visits.
    pub(crate) is_to_fold: bool,
    /// Whether the producers on the disk may be more than those in memory.
    pub(crate) has_new_producers: bool,
}

impl Log {
    /// Which epoch each number has. The lineage of a log does not change while the store is open.
    pub(crate) fn lineage(&self) -> Lineage {
        self.seen.lock().info.lineage.clone()
    }

    /// The position after the newest message.
    pub(crate) fn head_cursor(&self) -> Cursor {
        if self.head > self.past_end {
            Cursor::new(self.epoch, self.head)
        } else {
            self.lineage().at(self.head)
        }
    }

    /// The position of the end, if it is closed.
    pub(crate) fn end(&self) -> Option<Cursor> {
        self.is_closed.then(|| Cursor::new(self.epoch, self.head.saturating_add(1)))
    }

    /// The number of messages that it keeps.
    pub(crate) fn len(&self) -> u64 {
        self.head.saturating_sub(self.kept.earliest)
    }

    /// What the store tells of it.
    pub(crate) fn info(&self) -> LogInfo {
        let mut info = LogInfo::new(self.lineage(), self.settings.clone());
        (info.head, info.earliest) = (self.head, self.kept.earliest);
        (info.is_closed, info.upload_open) = (self.is_closed, self.upload_open);
        info.last_time_ms = self.last_time_ms;
        info
    }

    /// Its retention.
    pub(crate) fn retention(&self) -> Retention {
        self.settings.retain.retention()
    }

    /// Whether it keeps all messages.
    pub(crate) fn keeps_all(&self) -> bool {
        self.settings.retain == Retain::All
    }

    /// The bytes of all of its own messages that are on the disk.
    pub(crate) fn own_bytes(&self) -> u64 {
        let state = self.seen.lock();
        let runs = state.index.runs().map(|run| run.bytes);
        runs.fold(self.tail_bytes, u64::saturating_add)
    }

    /// Notes that it is in use.
    pub(crate) fn touch(&mut self, now_ms: u64) {
        self.used_ms = self.used_ms.max(now_ms);
    }

    /// Whether its expiry has come.
    pub(crate) fn is_expired(&self, now_ms: u64) -> bool {
        self.settings.expiry.is_some_and(|expiry| expiry.is_over(self.used_ms, now_ms))
    }

    /// Its row: with what is in runs, and without the messages of the tail.
    pub(crate) fn row(&self) -> LogRow {
        let bytes = if self.kept.earliest > self.folded {
            0
        } else {
            self.kept.bytes.saturating_sub(self.tail_bytes)
        };
        // The messages of the tail go before the row does.
        let earliest = if self.name.is_none() { self.folded } else { self.kept.earliest };
        LogRow {
            id: self.id,
            name: self.name.clone(),
            lineage: self.lineage(),
            crashes: self.crashes,
            head: self.folded,
            earliest,
            bytes,
            oldest_ms: self.kept.oldest_ms,
            last_time_ms: self.last_time_ms,
            last_appended_ms: self.clock_ms,
            is_closed: self.is_closed,
            upload_open: self.upload_open,
            stream_seq: self.stream_seq.clone(),
            settings: self.settings.clone(),
            is_created: self.is_created,
            is_deleted: self.is_deleted,
            used_ms: self.used_ms,
            // The row of the source may go before this one does.
            source: self.origin.as_deref().filter(|_| self.name.is_some()).map(|origin| SourceRow {
                log: origin.id,
                at: origin.fork.at,
                bytes: origin.fork.bytes,
                base: origin.base,
            }),
        }
    }

    /// The keys and producers, which may be none yet.
    pub(crate) fn writers_mut(&mut self, limits: &Limits) -> &mut Writers {
        self.writers.get_or_insert_with(|| Box::new(new_writers(limits)))
    }

    /// What it was before the open transaction.
    fn before(&self) -> Before {
        Before {
            name: self.name.clone(),
            head: self.head,
            folded: self.folded,
            tail_bytes: self.tail_bytes,
            kept: self.kept.without_front(),
            stream_seq: self.stream_seq.clone(),
            forks: self.forks.clone(),
            last_time_ms: self.last_time_ms,
            clock_ms: self.clock_ms,
            used_ms: self.used_ms,
            saved_used_ms: self.saved_used_ms,
            is_closed: self.is_closed,
            is_open: self.is_open,
            is_deleted: self.is_deleted,
            upload_open: self.upload_open,
        }
    }

    /// Becomes what it was.
    fn restore(&mut self, before: Before) {
        self.fresh.clear();
        self.name = before.name;
        self.head = before.head;
        self.folded = before.folded;
        self.tail_bytes = before.tail_bytes;
        self.kept = before.kept;
        self.stream_seq = before.stream_seq;
        self.forks = before.forks;
        self.last_time_ms = before.last_time_ms;
        self.clock_ms = before.clock_ms;
        self.used_ms = before.used_ms;
        self.saved_used_ms = before.saved_used_ms;
        self.is_closed = before.is_closed;
        self.is_open = before.is_open;
        self.is_deleted = before.is_deleted;
        self.upload_open = before.upload_open;
        (self.is_changed, self.is_touched, self.is_renamed) = (false, false, false);
    }
}

/// What a log was forked from.
#[derive(Debug)]
pub(crate) struct Origin {
    /// What the request has named.
    pub(crate) fork: Fork,
    /// The log that has the messages up to `base`.
    pub(crate) source: Slot,
    /// The id of that log.
    pub(crate) id: i64,
    pub(crate) base: u64,
}

/// The keys and producers of a log that has none.
pub(crate) fn new_writers(limits: &Limits) -> Writers {
    // Its epoch and retention are not used: the log has a lineage of its own.
    Channel::from_log(Ring::new(Epoch::new(1), Retention::DEFAULT), limits.channel)
}

/// What a log was before the open transaction. Keys and producers are not here: after a failure,
/// they are read from the disk again.
struct Before {
    name: Option<ChannelName>,
    head: u64,
    folded: u64,
    tail_bytes: u64,
    kept: Kept,
    stream_seq: Option<Box<str>>,
    forks: Vec<Slot>,
    last_time_ms: u64,
    clock_ms: u64,
    used_ms: u64,
    saved_used_ms: u64,
    is_closed: bool,
    is_open: bool,
    is_deleted: bool,
    upload_open: bool,
}

/// With room for more logs, the list of those that were touched is freed after a group.
const MOST_TOUCHED: usize = 1_024;

/// All logs of the store.
#[derive(Default)]
pub(crate) struct Logs {
    slots: Vec<Option<Box<Log>>>,
    free: Vec<Slot>,
    by_name: HashMap<ChannelName, Slot>,
    /// The logs that the open transaction has touched. `None`: it has made it.
    touched: Vec<(Slot, Option<Before>)>,
}

impl Logs {
    /// The number of logs that count against the limit: those with a name.
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// The end of the table: each slot is before it.
    pub(crate) fn end(&self) -> usize {
        self.slots.len()
    }

    /// The slot at an index of the table, if there is a log.
    pub(crate) fn slot_at(&self, index: usize) -> Option<Slot> {
        self.slots.get(index)?.as_ref().map(|_| Slot(index))
    }

    pub(crate) fn find(&self, name: &ChannelName) -> Option<Slot> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Log> {
        self.slots.get(slot.0)?.as_deref()
    }

    /// A log, to change what is not undone: what is in memory only.
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Log> {
        self.slots.get_mut(slot.0)?.as_deref_mut()
    }

    /// A log that the open transaction changes.
    pub(crate) fn touch(&mut self, slot: Slot) -> Option<&mut Log> {
        let log = self.slots.get_mut(slot.0)?.as_deref_mut()?;
        if !log.is_touched {
            log.is_touched = true;
            self.touched.push((slot, Some(log.before())));
        }
        Some(log)
    }

    /// Adds a log from the disk.
    pub(crate) fn insert(&mut self, log: Log) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot(self.slots.len().saturating_sub(1))
        });
        if let Some(name) = &log.name {
            self.by_name.insert(name.clone(), slot);
        }
        if let Some(place) = self.slots.get_mut(slot.0) {
            *place = Some(Box::new(log));
        }
        slot
    }

    /// Adds a log that the open transaction makes.
    pub(crate) fn insert_new(&mut self, mut log: Log) -> Slot {
        (log.is_new, log.is_touched, log.is_changed) = (true, true, true);
        let source = log.origin.as_deref().map(|origin| origin.source);
        let slot = self.insert(log);
        self.touched.push((slot, None));
        if let Some(source) = source.and_then(|source| self.touch(source)) {
            source.forks.push(slot);
        }
        slot
    }

    /// The name of a log is free, from this transaction on.
    pub(crate) fn unname(&mut self, slot: Slot) -> Option<ChannelName> {
        let log = self.touch(slot)?;
        let name = log.name.take()?;
        (log.is_renamed, log.is_changed) = (true, true);
        self.by_name.remove(&name);
        Some(name)
    }

    /// Removes a log that is in no use and not touched.
    pub(crate) fn remove(&mut self, slot: Slot) {
        let Some(log) = self.slots.get_mut(slot.0).and_then(Option::take) else { return };
        if let Some(name) = &log.name
            && self.by_name.get(name) == Some(&slot)
        {
            self.by_name.remove(name);
        }
        self.free.push(slot);
    }

    /// The number of logs that the open transaction has touched.
    pub(crate) fn touched(&self) -> usize {
        self.touched.len()
    }

    /// One of the logs that the open transaction has touched.
    pub(crate) fn touched_at(&mut self, index: usize) -> Option<&mut Log> {
        let slot = self.touched.get(index)?.0;
        self.get_mut(slot)
    }

    /// The transaction is committed. Calls `show` with each log that it has touched, and the name
    /// that the log had before.
    pub(crate) fn committed(&mut self, mut show: impl FnMut(Slot, &mut Log, Option<ChannelName>)) {
        let Self { slots, touched, .. } = self;
        for (slot, before) in touched.drain(..) {
            let Some(log) = slots.get_mut(slot.0).and_then(Option::as_deref_mut) else { continue };
            (log.is_touched, log.is_changed, log.is_renamed) = (false, false, false);
            show(slot, log, before.and_then(|before| before.name));
            log.is_new = false;
        }
        if touched.capacity() > MOST_TOUCHED {
            *touched = Vec::new();
        }
    }

    /// The transaction has failed. The logs become what they were. Returns those whose keys and
    /// producers must be read again.
    pub(crate) fn undo(&mut self) -> Vec<Slot> {
        let mut reread = Vec::new();
        while let Some((slot, before)) = self.touched.pop() {
            let Some(before) = before else {
                self.remove(slot);
                continue;
            };
            let Some(log) = self.slots.get_mut(slot.0).and_then(Option::as_deref_mut) else { continue };
            log.restore(before);
            if let Some(name) = &log.name {
                self.by_name.insert(name.clone(), slot);
            }
            if log.writers.is_some() {
                reread.push(slot);
            }
        }
        reread
    }
}
