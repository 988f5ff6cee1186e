//! Which messages a log keeps: the retention, as [`tidewire_channel::Log`] applies it.
//!
//! A log evicts at its front, so the store must know the size and the time of its oldest messages.
//! They are on the disk, in runs. So the entries of the run at the front are in memory while the
//! log evicts, and those of all other messages are not.

use std::collections::VecDeque;
use std::sync::Arc;

use rusqlite::Connection;
use tidewire_channel::Retention;

use crate::entry::Entry;
use crate::index::{Place, RUN, ReadRunError, Run, read_run};
use crate::seen::Seen;

/// What a log keeps: the messages after `earliest`, also those that it shares with its source.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// The number of the last message that is not kept.
    pub(crate) earliest: u64,
    /// The sum of the sizes of the kept messages.
    pub(crate) bytes: u64,
    /// The time of the first kept message. `None`: there is none, or it was not read yet.
    pub(crate) oldest_ms: Option<u64>,
    /// The first kept messages, as many of them as were read.
    front: VecDeque<Front>,
}

#[derive(Clone, Copy, Debug)]
struct Front {
    size: u64,
    appended_ms: u64,
}

/// Reads entries of a log: those of message `number` and of some that follow it, at least one.
pub(crate) trait ReadFront {
    fn read_front(&self, number: u64) -> rusqlite::Result<Vec<Entry>>;
}

impl Kept {
    /// Nothing is kept before `earliest`, and there is nothing after it.
    pub(crate) fn new(earliest: u64) -> Self {
        Self { earliest, ..Self::default() }
    }

    /// What was kept before the start.
    pub(crate) fn loaded(earliest: u64, bytes: u64) -> Self {
        Self { earliest, bytes, ..Self::default() }
    }

    /// The same, without what was read from the disk.
    pub(crate) fn without_front(&self) -> Self {
        Self { earliest: self.earliest, bytes: self.bytes, oldest_ms: self.oldest_ms, front: VecDeque::new() }
    }

    /// Frees the memory of the front. It is read again when it is needed.
    pub(crate) fn free_front(&mut self) {
        self.front = VecDeque::new();
    }

    /// A message was appended. It is the newest.
    pub(crate) fn push(&mut self, is_first: bool, size: usize, appended_ms: u64) {
        self.bytes = self.bytes.saturating_add(size as u64);
        if is_first {
            self.oldest_ms = Some(appended_ms);
            self.front.clear();
        }
    }

    /// Evicts what is too old. Returns the number of evicted messages. `head` is the number of the
    /// newest message, and `clock_ms` the latest time that the log has seen.
    pub(crate) fn expire(
        &mut self,
        head: u64,
        clock_ms: u64,
        retention: Retention,
        front: &impl ReadFront,
    ) -> rusqlite::Result<u64> {
        let Some(max_age_ms) = retention.max_age_ms else { return Ok(0) };
        let mut evicted = 0_u64;
        while self.earliest < head {
            let oldest_ms = match self.oldest_ms {
                Some(oldest_ms) => oldest_ms,
                None => self.front(head, front)?.appended_ms,
            };
            self.oldest_ms = Some(oldest_ms);
            if clock_ms.saturating_sub(oldest_ms) < max_age_ms {
                break;
            }
            self.evict(head, front)?;
            evicted = evicted.saturating_add(1);
        }
        self.note_oldest(head, front)?;
        Ok(evicted)
    }

    /// Evicts what is over the number and the bytes that the log may keep, but never the newest
    /// message. Returns the number of evicted messages.
    pub(crate) fn fit(
        &mut self,
        head: u64,
        retention: Retention,
        front: &impl ReadFront,
    ) -> rusqlite::Result<u64> {
        let (max_messages, max_bytes) = (retention.max_messages as u64, retention.max_bytes as u64);
        let mut evicted = 0_u64;
        loop {
            let len = head.saturating_sub(self.earliest);
            if len <= 1 || (len <= max_messages && self.bytes <= max_bytes) {
                self.note_oldest(head, front)?;
                return Ok(evicted);
            }
            self.evict(head, front)?;
            evicted = evicted.saturating_add(1);
        }
    }

    /// Evicts the first message. There is one.
    fn evict(&mut self, head: u64, front: &impl ReadFront) -> rusqlite::Result<()> {
        let first = self.front(head, front)?;
        self.front.pop_front();
        self.earliest = self.earliest.saturating_add(1);
        self.bytes = self.bytes.saturating_sub(first.size);
        self.oldest_ms = self.front.front().map(|front| front.appended_ms);
        if self.earliest >= head {
            self.bytes = 0;
        }
        Ok(())
    }

    /// The time of the first message is always known after a change.
    fn note_oldest(&mut self, head: u64, front: &impl ReadFront) -> rusqlite::Result<()> {
        if self.oldest_ms.is_none() && self.earliest < head {
            self.oldest_ms = Some(self.front(head, front)?.appended_ms);
        }
        Ok(())
    }

    /// The first kept message. There is one.
    fn front(&mut self, head: u64, front: &impl ReadFront) -> rusqlite::Result<Front> {
        if self.front.is_empty() {
            let count = usize::try_from(head.saturating_sub(self.earliest)).unwrap_or(usize::MAX);
            let entries = front.read_front(self.earliest.saturating_add(1))?;
            let entries = entries.iter().take(count);
            self.front.extend(
                entries.map(|entry| Front { size: entry.size as u64, appended_ms: entry.appended_ms }),
            );
        }
        // Every kept message is in the index.
        Ok(self.front.front().copied().unwrap_or(Front { size: 0, appended_ms: u64::MAX }))
    }
}

/// The entries of a log: those that readers see, and those of the open transaction.
pub(crate) struct Entries<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) seen: &'a Arc<Seen>,
    pub(crate) fresh: &'a [Entry],
}

/// Where the entries from a number on are.
enum Found {
    /// Here.
    Here(Vec<Entry>),
    /// In a run of this log, from this index on; at most this number of them.
    Run { log: i64, run: Run, index: usize, count: usize },
}

impl Entries<'_> {
    /// Finds the entries from a number on, in this log or in the one that it was forked from.
    fn find(&self, number: u64) -> Found {
        let (mut seen, mut last) = (self.seen.clone(), u64::MAX);
        loop {
            let state = seen.lock();
            if let Some((source, base)) = state.source.as_ref().filter(|(_, base)| number <= *base) {
                last = last.min(*base);
                let source = source.clone();
                drop(state);
                seen = source;
                continue;
            }
            let count = usize::try_from(last.saturating_sub(number)).unwrap_or(usize::MAX);
            let count = count.saturating_add(1).min(RUN);
            if let Some(fresh) = number.checked_sub(state.index.next()) {
                let fresh = usize::try_from(fresh).unwrap_or(usize::MAX);
                let fresh = self.fresh.get(fresh..).unwrap_or_default();
                return Found::Here(fresh.iter().take(count).copied().collect());
            }
            return match state.index.find(number) {
                Place::Run(run) => {
                    let index = usize::try_from(number.saturating_sub(run.first)).unwrap_or(usize::MAX);
                    Found::Run { log: state.log, run: *run, index, count }
                }
                Place::Tail(_) => {
                    let (first, tail) = state.index.tail();
                    let index = usize::try_from(number.saturating_sub(first)).unwrap_or(usize::MAX);
                    Found::Here(tail.iter().skip(index).take(count).copied().collect())
                }
                // It is lost. So it has no size, and is as old as can be.
                Place::Absent => Found::Here(vec![Entry { id: 0, size: 0, appended_ms: 0 }]),
            };
        }
    }

    /// The sum of the sizes of the messages after `after` and up to `to`.
    pub(crate) fn bytes(&self, after: u64, to: u64) -> rusqlite::Result<u64> {
        let (mut number, mut sum) = (after.saturating_add(1), 0_u64);
        while number <= to {
            let left = usize::try_from(to.saturating_sub(number).saturating_add(1)).unwrap_or(usize::MAX);
            let found = self.find(number);
            if let Found::Run { run, index: 0, count, .. } = &found
                && *count >= run.count as usize
                && run.end() <= to.saturating_add(1)
            {
                sum = sum.saturating_add(run.bytes);
                number = run.end();
                continue;
            }
            let entries = self.entries(found)?;
            let count = entries.len().min(left).max(1);
            let sizes = entries.iter().take(count).map(|entry| entry.size as u64);
            sum = sizes.fold(sum, u64::saturating_add);
            number = number.saturating_add(count as u64);
        }
        Ok(sum)
    }

    /// The id of the row of a message, if it has one.
    pub(crate) fn id(&self, number: u64) -> rusqlite::Result<Option<u64>> {
        let found = self.find(number);
        Ok(self.entries(found)?.first().map(|entry| entry.id).filter(|id| *id > 0))
    }

    fn entries(&self, found: Found) -> rusqlite::Result<Vec<Entry>> {
        match found {
            Found::Here(entries) => Ok(entries),
            Found::Run { log, run, index, count } => {
                let entries = run_entries(self.db, log, &run)?;
                Ok(entries.into_iter().skip(index).take(count).collect())
            }
        }
    }
}

impl ReadFront for Entries<'_> {
    fn read_front(&self, number: u64) -> rusqlite::Result<Vec<Entry>> {
        self.entries(self.find(number))
    }
}

/// The entries of a run. If its row is damaged, they have no rows, and share the size of the run.
pub(crate) fn run_entries(db: &Connection, log: i64, run: &Run) -> rusqlite::Result<Vec<Entry>> {
    match read_run(db, log, run.first) {
        Ok(entries) => Ok(entries),
        Err(ReadRunError::Damaged) => {
            let size = run.bytes.checked_div(u64::from(run.count)).unwrap_or(0);
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let lost = Entry { id: 0, size, appended_ms: run.last_appended_ms };
            Ok(vec![lost; usize::try_from(run.count).unwrap_or(0)])
        }
        Err(ReadRunError::Database(error)) => Err(error),
    }
}
