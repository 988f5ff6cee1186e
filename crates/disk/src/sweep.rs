//! How logs are used, and the regular work: what is too old, what has expired, and what can be
//! forgotten.

use tidewire_store::{ChannelName, Expiry, Opened, Swept};

use crate::delete::Leave;
use crate::evict::expire;
use crate::log::{Log, Slot};
use crate::once_row::KeyRow;
use crate::state::Writer;

/// How long producers and the stream sequence are remembered if the store is nearly full.
const HOUR_MS: u64 = 60 * 60 * 1_000;

/// Between two folds for messages that have expired.
const MINUTE_MS: u64 = 60 * 1_000;

/// Work of one step of a sweep, counted in evicted messages.
const WORK_A_STEP: u64 = 8_192;

/// The cost of a visit to a log, counted in evicted messages.
const WORK_OF_A_LOG: u64 = 8;

/// Keys that one step of a sweep deletes.
const KEYS_A_STEP: usize = 4_096;

impl Writer {
    /// Tells what there is under a name, and notes that a hub uses it.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn open(&mut self, name: &ChannelName, now_ms: u64) -> rusqlite::Result<Opened> {
        if let Some(slot) = self.logs.find(name) {
            // Nobody uses it, so nobody has to be told.
            self.delete_if(slot, now_ms, |log| log.is_expired(now_ms))?;
        }
        if let Some(slot) = self.logs.find(name) {
            self.expire(slot, now_ms)?;
            if let Some(log) = self.logs.get_mut(slot) {
                if log.is_deleted {
                    return Ok(Opened::SoftDeleted);
                }
                log.is_open = true;
                return Ok(Opened::Log(log.info()));
            }
        }
        let names = self.shared.names();
        if names.is_deleted(name, now_ms) {
            return Ok(Opened::Deleted);
        }
        Ok(Opened::Absent { start: names.start(name) })
    }

    /// A hub does not use a log any more.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn release(&mut self, name: &ChannelName, now_ms: u64) -> rusqlite::Result<()> {
        let Some(slot) = self.logs.find(name) else { return Ok(()) };
        if let Some(log) = self.logs.get_mut(slot) {
            log.is_open = false;
        }
        self.expire(slot, now_ms)?;
        let week_ms = self.options.limits.channel.producer_age_ms;
        if self.logs.get(slot).is_some_and(|log| is_forgettable(log, now_ms, week_ms)) {
            self.leave(slot, Leave::Forgotten)?;
        }
        Ok(())
    }

    /// Notes that a log was read. It is written at most every tenth of the time after which the log
    /// expires.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn touch(&mut self, name: &ChannelName, now_ms: u64) -> rusqlite::Result<()> {
        let Some(slot) = self.logs.find(name) else { return Ok(()) };
        self.note_use(slot, now_ms)
    }

    /// Notes that a log is in use, though no message says so.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn note_use(&mut self, slot: Slot, now_ms: u64) -> rusqlite::Result<()> {
        let Some(log) = self.logs.get_mut(slot) else { return Ok(()) };
        if now_ms <= log.used_ms {
            return Ok(());
        }
        let is_due = match log.settings.expiry {
            Some(Expiry::Sliding { ms }) => now_ms.saturating_sub(log.saved_used_ms) >= ms / 10,
            _ => false,
        };
        if is_due {
            self.begin()?;
            if let Some(log) = self.logs.touch(slot) {
                log.is_changed = true;
            }
        }
        if let Some(log) = self.logs.get_mut(slot) {
            log.touch(now_ms);
        }
        self.mark_to_fold(slot);
        Ok(())
    }

    /// Evicts messages, keys and producers of a log that are too old. Returns the number of evicted
    /// messages.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn expire(&mut self, slot: Slot, now_ms: u64) -> rusqlite::Result<u64> {
        let Some(log) = self.logs.get_mut(slot) else { return Ok(0) };
        log.clock_ms = log.clock_ms.max(now_ms);
        if let Some(writers) = &mut log.writers {
            writers.expire(now_ms);
            if writers.keys() == 0 && writers.producers() == 0 {
                log.writers = None;
            }
        }
        let is_young = |max_age_ms| {
            let is_young = |oldest_ms| log.clock_ms.saturating_sub(oldest_ms) < max_age_ms;
            log.len() == 0 || log.kept.oldest_ms.is_some_and(is_young)
        };
        if log.retention().max_age_ms.is_none_or(is_young) {
            return Ok(0);
        }
        let Some(log) = self.logs.touch(slot) else { return Ok(0) };
        let evicted = expire(&self.db, log)?;
        if evicted > 0 {
            self.evicted = self.evicted.saturating_add(evicted);
            self.mark_to_fold(slot);
        }
        Ok(evicted)
    }

    /// Does a piece of the regular work.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn sweep(&mut self, now_ms: u64) -> rusqlite::Result<Swept> {
        // Room for new logs goes before what writers of old ones have left.
        let max_logs = self.options.limits.max_logs;
        let is_full = self.logs.len() >= max_logs.saturating_sub(max_logs / 8);
        let week_ms = self.options.limits.channel.producer_age_ms;
        let writers_ms = if is_full { week_ms.min(HOUR_MS) } else { week_ms };
        let (mut at, mut work, mut swept) = (self.sweep_at, 0_u64, Swept::default());
        while at < self.logs.end() && work < WORK_A_STEP {
            let slot = self.logs.slot_at(at);
            at = at.saturating_add(1);
            work = work.saturating_add(1);
            let Some(slot) = slot else { continue };
            let Some(name) = self.logs.get(slot).and_then(|log| log.name.clone()) else { continue };
            work = work.saturating_add(WORK_OF_A_LOG).saturating_add(self.expire(slot, now_ms)?);
            // Of what can be forgotten, nobody has to be told that it has expired.
            if self.logs.get(slot).is_some_and(|log| is_forgettable(log, now_ms, writers_ms)) {
                self.leave(slot, Leave::Forgotten)?;
            } else if self.delete_if(slot, now_ms, |log| log.is_expired(now_ms))? {
                swept.expired.push(name);
            }
        }
        let mut keys = 0;
        if self.has_keys {
            self.begin()?;
            let max_age_ms = self.options.limits.channel.key_age_ms;
            keys = KeyRow::delete_old(&self.db, now_ms, max_age_ms, KEYS_A_STEP)?;
        }
        swept.more = at < self.logs.end() || keys >= KEYS_A_STEP;
        self.sweep_at = if at < self.logs.end() { at } else { 0 };
        if !swept.more {
            let is_due = now_ms.saturating_sub(self.swept_fold_ms) >= MINUTE_MS;
            if self.evicted > 0 && self.folding.is_none() && is_due {
                // The disk keeps what has expired for some minutes at most.
                self.swept_fold_ms = now_ms;
                self.must_fold_soon = true;
            }
            self.begin()?;
            self.shared.names().expire(&self.db, now_ms)?;
        }
        Ok(swept)
    }
}

/// Whether nothing is lost if the store forgets the log.
///
/// A log that was closed is remembered for as long as it would keep a message. Producers and the
/// stream sequence are remembered for a week, so there may be many logs with nothing else. If the
/// store is nearly full, they are forgotten after an hour without use.
fn is_forgettable(log: &Log, now_ms: u64, writers_ms: u64) -> bool {
    let producers = log.writers.as_ref().map_or(0, |writers| writers.producers());
    let keys = log.writers.as_ref().map_or(0, |writers| writers.keys());
    let has_no_writers = producers == 0 && log.stream_seq.is_none();
    let is_past = |max_age_ms| now_ms.saturating_sub(log.used_ms) >= max_age_ms;
    !log.is_open
        && !log.is_created
        && !log.is_deleted
        && !log.upload_open
        && log.forks.is_empty()
        && log.len() == 0
        && keys == 0
        && (has_no_writers || is_past(writers_ms))
        && (!log.is_closed || log.retention().max_age_ms.is_some_and(is_past))
}
