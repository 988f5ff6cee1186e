//! Appends: what a log takes, and what it refuses.
//!
//! The rules are those of the store in memory, in the same order.

use std::sync::Arc;

use tidewire_channel::{Cursor, Refused, RefusedKind};
use tidewire_store::{Append, Appended, Batch, ChannelName, Message, Once, Refusal, UploadStep};

use crate::entry::Entry;
use crate::kept::Entries;
use crate::log::{Log, Slot};
use crate::once_row::{KeyRow, ProducerRow};
use crate::row::{Inserter, MessageRow};
use crate::steps::Step;
use crate::writer::Writer;

/// A message of the open transaction. The rows are written together at its end.
#[derive(Debug)]
pub(crate) struct Unwritten {
    id: u64,
    log: i64,
    cursor: Cursor,
    appended_ms: u64,
    message: Arc<Message>,
}

/// What an append that is not refused does.
enum Verdict {
    /// It appends its messages.
    New,
    /// It closes a log that is closed already.
    ClosedAgain,
    /// It was made before, and this is the position after it.
    Known(Cursor),
}

/// The largest payload. The database takes 1,000,000,000 bytes in a row.
const MAX_DATA: usize = 900_000_000;

impl Writer {
    /// Appends to the log of a name, and makes the log if there is none.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn append(
        &mut self,
        name: &ChannelName,
        append: &Append,
    ) -> rusqlite::Result<Result<Appended, Refusal>> {
        if let Some(slot) = self.logs.find(name) {
            return self.append_to(slot, append);
        }
        // A log that refuses its first append is not made.
        let mut log = self.new_log(name, append.settings.clone(), append.now_ms);
        if let Err(refusal) = self.judge(&mut log, append) {
            return Ok(Err(refusal));
        }
        if self.logs.len() >= self.options.limits.max_logs {
            return Ok(Err(Refusal::TooManyLogs(self.options.limits.max_logs)));
        }
        // Whoever appends uses the channel.
        log.is_open = true;
        let slot = self.add(log)?;
        self.append_to(slot, append)
    }

    /// Appends to a log.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn append_to(
        &mut self,
        slot: Slot,
        append: &Append,
    ) -> rusqlite::Result<Result<Appended, Refusal>> {
        let max_bytes = self.options.limits.max_kept_bytes as u64;
        let room = max_bytes.saturating_sub(self.kept_for_good);
        let Some(log) = self.logs.touch(slot) else { return Ok(Err(Refusal::Deleted)) };
        if log.is_deleted {
            return Ok(Err(Refusal::Deleted));
        }
        let verdict = match judge(log, append, &self.options.limits, room) {
            Ok(verdict) => verdict,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let after = log.head_cursor();
        let cursor = match verdict {
            Verdict::Known(cursor) => {
                // It counts as a use of the producer.
                let writers = log.writers_mut(&self.options.limits);
                drop(writers.append_batch(append.now_ms, [], false, append.once.as_log()));
                self.note_use(slot, append.now_ms)?;
                cursor
            }
            Verdict::ClosedAgain => {
                let end = log.end().unwrap_or(after);
                self.remember(slot, append, end)?;
                self.note_use(slot, append.now_ms)?;
                end
            }
            Verdict::New => {
                let cursor = self.carry_out(slot, append)?;
                self.remember(slot, append, cursor)?;
                cursor
            }
        };
        let Some(log) = self.logs.get(slot) else { return Ok(Err(Refusal::Deleted)) };
        let duplicate = !matches!(verdict, Verdict::New);
        let after = if duplicate { cursor } else { after };
        Ok(Ok(Appended { after, cursor, end: log.end(), duplicate, earliest: log.kept.earliest }))
    }

    /// Whether a new log takes an append.
    fn judge(&self, log: &mut Log, append: &Append) -> Result<(), Refusal> {
        let max_bytes = self.options.limits.max_kept_bytes as u64;
        let room = max_bytes.saturating_sub(self.kept_for_good);
        judge(log, append, &self.options.limits, room).map(drop)
    }

    /// Writes the messages, and closes the log if the append says so.
    fn carry_out(&mut self, slot: Slot, append: &Append) -> rusqlite::Result<Cursor> {
        let messages = append.messages.as_slice();
        self.begin()?;
        let Some(log) = self.logs.touch(slot) else { return Ok(Cursor::FOREIGN) };
        log.touch(append.now_ms);
        log.clock_ms = log.clock_ms.max(append.now_ms);
        expire(&self.db, log)?;
        for message in messages {
            let id = self.next_id;
            let number = log.head.saturating_add(1);
            let cursor = Cursor::new(log.epoch, number);
            self.unwritten.push(Unwritten {
                id,
                log: log.id,
                cursor,
                appended_ms: log.clock_ms,
                message: message.clone(),
            });
            self.next_id = id.saturating_add(1);
            let size = message.weight();
            log.fresh.push(Entry { id, size, appended_ms: log.clock_ms });
            let is_first = log.kept.earliest == log.head;
            log.head = number;
            log.kept.push(is_first, size, log.clock_ms);
            log.tail_bytes = log.tail_bytes.saturating_add(size as u64);
            self.unfolded.add(size);
            self.written = self.written.saturating_add(size as u64);
            if log.keeps_all() {
                self.kept_for_good = self.kept_for_good.saturating_add(size as u64);
            }
        }
        fit(&self.db, log)?;
        if append.close {
            (log.is_closed, log.is_changed) = (true, true);
        }
        note(log, append);
        let cursor = if messages.is_empty() { log.end() } else { None };
        let cursor = cursor.unwrap_or_else(|| log.head_cursor());
        self.mark_to_fold(slot);
        Ok(cursor)
    }

    /// Writes the rows of the messages of the open transaction.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn write_messages(&mut self) -> rusqlite::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let mut inserter = Inserter::new(&self.db)?;
        for Unwritten { id, log, cursor, appended_ms, message } in self.unwritten.drain(..) {
            self.steps.at(Step::Insert)?;
            inserter.insert(&MessageRow { id, log, cursor, appended_ms, message: &message })?;
        }
        Ok(())
    }

    /// Remembers the key or the producer of an append.
    fn remember(&mut self, slot: Slot, append: &Append, cursor: Cursor) -> rusqlite::Result<()> {
        if append.once == Once::No {
            return Ok(());
        }
        self.begin()?;
        self.steps.at(Step::Once)?;
        let limits = &self.options.limits;
        let Some(log) = self.logs.touch(slot) else { return Ok(()) };
        log.writers_mut(limits).remember(append.now_ms, append.once.as_log(), cursor);
        let appended_ms = log.clock_ms.max(append.now_ms);
        match &append.once {
            Once::No => {}
            Once::Key { text, fingerprint } => {
                self.has_keys = true;
                let (text, fingerprint) = (text.clone(), *fingerprint);
                KeyRow { log: log.id, text, fingerprint, cursor, appended_ms }.insert(&self.db)?;
            }
            Once::Producer { id, epoch, seq } => {
                log.has_new_producers = true;
                let (name, epoch, seq) = (id.clone(), *epoch, *seq);
                ProducerRow { log: log.id, name, epoch, seq, cursor, appended_ms }.save(&self.db)?;
            }
        }
        Ok(())
    }
}

/// Evicts messages of a log that are too old for its clock. Returns their number.
pub(crate) fn expire(db: &rusqlite::Connection, log: &mut Log) -> rusqlite::Result<u64> {
    let retention = log.retention();
    let entries = Entries { db, seen: &log.seen, fresh: &log.fresh };
    log.kept.expire(log.head, log.clock_ms, retention, &entries)
}

/// Evicts messages of a log that are too many, or have too many bytes.
pub(crate) fn fit(db: &rusqlite::Connection, log: &mut Log) -> rusqlite::Result<u64> {
    let retention = log.retention();
    let entries = Entries { db, seen: &log.seen, fresh: &log.fresh };
    log.kept.fit(log.head, retention, &entries)
}

/// What a log does with an append.
fn judge(
    log: &mut Log,
    append: &Append,
    limits: &tidewire_store::Limits,
    room: u64,
) -> Result<Verdict, Refusal> {
    let messages = append.messages.as_slice();
    if messages.is_empty() && !append.close {
        return Err(Refusal::Empty);
    }
    if append.once != Once::No {
        let writers = log.writers_mut(limits);
        let known = writers.duplicate_of(append.now_ms, append.once.as_log());
        if let Some(cursor) = known.map_err(|refused| refusal(refused, &append.once))? {
            return Ok(Verdict::Known(cursor));
        }
    }
    if let Some(end) = log.end() {
        return if messages.is_empty() { Ok(Verdict::ClosedAgain) } else { Err(Refusal::Closed { end }) };
    }
    if let (Some(new), Some(last)) = (&append.stream_seq, &log.stream_seq)
        && new.as_bytes() <= last.as_bytes()
    {
        return Err(Refusal::StreamSeq);
    }
    if log.keeps_all() && append.messages.weight() as u64 > room {
        return Err(Refusal::NoRoom);
    }
    if is_too_large(&append.messages) {
        return Err(Refusal::MessageTooLarge);
    }
    Ok(Verdict::New)
}

/// Whether the database does not take a message of these.
pub(crate) fn is_too_large(messages: &Batch) -> bool {
    let len = |message: &Message| message.data().len();
    messages.as_slice().iter().any(|message| len(message) > MAX_DATA)
}

/// Notes what an append changes beside the messages.
fn note(log: &mut Log, append: &Append) {
    if let Some(last) = append.messages.as_slice().last() {
        log.last_time_ms = log.last_time_ms.max(last.time_ms());
    }
    if append.stream_seq.is_some() {
        log.stream_seq.clone_from(&append.stream_seq);
        log.is_changed = true;
    }
    let upload_open = match append.upload {
        UploadStep::No => log.upload_open,
        UploadStep::Piece => true,
        UploadStep::Mark => false,
    };
    if upload_open != log.upload_open {
        (log.upload_open, log.is_changed) = (upload_open, true);
    }
}

fn refusal(refused: Refused, once: &Once) -> Refusal {
    let limit = refused.limit();
    let len = match once {
        Once::No => 0,
        Once::Key { text, .. } => text.len(),
        Once::Producer { id, .. } => id.len(),
    };
    match refused.kind() {
        RefusedKind::KeyTaken => Refusal::KeyTaken,
        RefusedKind::KeyTooLong => Refusal::KeyTooLong { len, limit },
        RefusedKind::ProducerIdTooLong => Refusal::ProducerIdTooLong { len, limit },
        RefusedKind::ProducerFenced { epoch } => Refusal::ProducerFenced { epoch },
        RefusedKind::ProducerGap { expected } => Refusal::ProducerGap { expected },
        RefusedKind::ProducerStart => Refusal::ProducerStart,
        _ => Refusal::MessageTooLarge,
    }
}
