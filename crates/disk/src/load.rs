//! Reads all logs at the start.
//!
//! ```text
//!   log, run (without entries)       what was folded: where each log has its messages
//!   message after meta.folded        the tail: at most 65,536 messages, in the order of their ids
//!   crash                            epochs that follow from crashes, merged into the tail by id
//!   key, producer, forgotten, deleted
//! ```
//!
//! Every row has a sum, and what one row says must agree with the others. If something is wrong,
//! the store does not start: half of a database would tell wrong things to readers. One case
//! differs. A row of the tail with a wrong sum is a lost message, and nobody knows whether it was
//! the newest of its log. So it counts as a crash, and its number, if it can be told, as a lost
//! message.

use std::time::Duration;

use rusqlite::Connection;
use tidewire_store::Limits;

use crate::bad_row::{LoadError, WRONG_SUM, bad};
use crate::crashes::Crashes;
use crate::entry::Entry;
use crate::index::{self, Index, RUN, Run};
use crate::log_row::LogRow;
use crate::meta::Meta;
use crate::names::Names;
use crate::once_row::{KeyRow, ProducerRow};
use crate::row::{self, Header};

/// All that a database has, other than messages.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// By their ids.
    pub(crate) logs: Vec<LoadedLog>,
    pub(crate) names: Names,
    pub(crate) crashes: Crashes,
    /// The row as it was read.
    pub(crate) meta: Meta,
    /// The id of the next message.
    pub(crate) next_id: u64,
    /// The id of the next log.
    pub(crate) next_log: i64,
    /// The rows of the tail that are lost.
    pub(crate) lost: u64,
}

/// A log, with its tail.
#[derive(Debug)]
pub(crate) struct LoadedLog {
    /// Its row. The lineage, its times and `crashes` are those after the tail. `head` is still the
    /// newest message in a run.
    pub(crate) row: LogRow,
    /// Its own messages. Those in no run are the tail.
    pub(crate) index: Index,
    /// The weights of all messages that it keeps, also of those in its source.
    pub(crate) kept_bytes: u64,
    /// Oldest first.
    pub(crate) keys: Vec<KeyRow>,
    /// The one that has appended last comes last.
    pub(crate) producers: Vec<ProducerRow>,
}

impl LoadedLog {
    /// The number of its newest message.
    pub(crate) fn head(&self) -> u64 {
        self.index.next().saturating_sub(1)
    }
}

impl Loaded {
    /// The messages that are kept.
    pub(crate) fn messages(&self) -> u64 {
        let kept = self.logs.iter().map(|log| log.head().saturating_sub(log.row.earliest));
        kept.fold(0, u64::saturating_add)
    }

    /// Notes that the store runs, and that messages may be lost if they may be. Returns whether
    /// they may be. Then each log that is not closed begins an epoch. Also without that, a log may
    /// have the epoch of an earlier crash only after this.
    ///
    /// Use a connection that syncs its commits. Then this is on the disk before anybody is served.
    pub(crate) fn begin(&mut self, db: &mut Connection, time_ms: u64) -> rusqlite::Result<bool> {
        let is_crash = !self.meta.is_clean || self.meta.is_copy || self.lost > 0;
        let change = db.transaction()?;
        if is_crash {
            self.crashes.add(&change, self.next_id.saturating_sub(1), time_ms)?;
        }
        Meta::change(&change, |meta| (meta.is_clean, meta.is_copy) = (false, false))?;
        change.commit()?;
        self.logs.iter_mut().for_each(|log| log.apply(&self.crashes));
        Ok(is_crash)
    }
}

/// Notes that the store stops in order, and puts everything into the database file. Call it when
/// nothing more is written, and when no sync has failed.
pub(crate) fn mark_clean(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "synchronous", "FULL")?;
    let change = db.unchecked_transaction()?;
    Meta::change(&change, |meta| meta.is_clean = true)?;
    change.commit()?;
    // It is on the disk. If a reader is still there, such as a backup, the write-ahead log stays:
    // the stop does not wait for it.
    db.busy_timeout(Duration::ZERO)?;
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))
}

/// Reads everything.
///
/// # Errors
/// [`LoadError`]: the database cannot be read, or is damaged.
pub(crate) fn load_all(db: &Connection, limits: &Limits) -> Result<Loaded, LoadError> {
    // One state of the database, also if another process writes it: for a backup.
    let db = db.unchecked_transaction()?;
    let meta = Meta::load(&db)?.ok_or_else(|| bad("meta", 1, "it is missing"))?;
    let crashes = Crashes::load(&db)?;
    let names = Names::load(&db, meta.epoch, *limits)?;
    let mut logs = load_logs(&db)?;
    load_runs(&db, &mut logs)?;
    let mut tail =
        Tail { crashes: &crashes, folded: meta.folded, last_id: meta.folded, lost: 0, hints: Vec::new() };
    tail.load(&db, &mut logs)?;
    let (last_id, lost) = (tail.last_id.max(crashes.after()), tail.lost);
    for log in &logs {
        if log.row.earliest > log.head() && log.row.name.is_some() {
            return Err(bad("log", log.row.id, "its earliest message is after its newest one"));
        }
    }
    let times = logs.iter().map(|log| log.row.last_appended_ms.max(log.row.used_ms));
    let newest_ms = times.max().unwrap_or(0);
    load_writers(&db, &mut logs, newest_ms, limits)?;
    let next_log: Option<i64> = db.query_row("SELECT max(seq) FROM sqlite_sequence", (), |row| row.get(0))?;
    let next_log = next_log.unwrap_or(0).max(logs.last().map_or(0, |log| log.row.id)).saturating_add(1);
    let next_id = last_id.saturating_add(1);
    Ok(Loaded { logs, names, crashes, meta, next_id, next_log, lost })
}

fn load_logs(db: &Connection) -> Result<Vec<LoadedLog>, LoadError> {
    let mut logs: Vec<LoadedLog> = Vec::new();
    LogRow::load_all(db, |row| {
        let past_end = row.lineage.past().last().map_or(0, |&(_, end)| end);
        let base = row.source.map_or(0, |source| source.base);
        if row.head > u64::MAX / 2 || row.head < past_end || row.head < base {
            return Err(bad("log", row.id, "its newest message is before one that it has"));
        }
        // Rows come in the order of their ids, so the source is among those before.
        if row.source.is_some_and(|source| find(&mut logs, source.log).is_none()) {
            return Err(bad("log", row.id, "the log that it was forked from is missing"));
        }
        let (index, kept_bytes) = (Index::new(row.head), row.bytes);
        logs.push(LoadedLog { row, index, kept_bytes, keys: Vec::new(), producers: Vec::new() });
        Ok(())
    })?;
    Ok(logs)
}

fn find(logs: &mut [LoadedLog], id: i64) -> Option<&mut LoadedLog> {
    let at = logs.binary_search_by_key(&id, |log| log.row.id).ok()?;
    logs.get_mut(at)
}

fn load_runs(db: &Connection, logs: &mut [LoadedLog]) -> Result<(), LoadError> {
    let sql = "SELECT log, first, count, bytes, last_appended, entries_sum, sum FROM run ORDER BY log, first";
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query(())?;
    // Both are in the order of the ids.
    let mut logs = logs.iter_mut();
    let mut current = logs.next().map(Runs::of);
    while let Some(row) = rows.next()? {
        let number = |column: usize| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let log: i64 = row.get(0)?;
        let run =
            Run { first: number(1)?, count: row.get(2)?, bytes: number(3)?, last_appended_ms: number(4)? };
        if index::sum(log, &run, row.get(5)?) != row.get::<_, i64>(6)? {
            return Err(bad("run", format_args!("{log}, {}", run.first), WRONG_SUM));
        }
        while current.as_ref().is_some_and(|current| current.log.row.id < log) {
            current.take().map_or(Ok(()), Runs::finish)?;
            current = logs.next().map(Runs::of);
        }
        match current.as_mut().filter(|current| current.log.row.id == log) {
            Some(current) => current.push(run)?,
            None => return Err(bad("run", format_args!("{log}, {}", run.first), "its log is missing")),
        }
    }
    current.map_or(Ok(()), Runs::finish)?;
    logs.try_for_each(|log| Runs::of(log).finish())
}

/// Takes the runs of a log, in order.
struct Runs<'a> {
    log: &'a mut LoadedLog,
    /// The number of the next message, of those that are kept, that must be in a run.
    next: u64,
    /// The number after the last message of the runs.
    end: u64,
}

impl<'a> Runs<'a> {
    fn of(log: &'a mut LoadedLog) -> Self {
        let base = log.row.source.map_or(0, |source| source.base);
        let next = log.row.earliest.max(base).saturating_add(1);
        Self { log, next, end: base.saturating_add(1) }
    }

    fn push(&mut self, run: Run) -> Result<(), LoadError> {
        let id = self.log.row.id;
        let wrong = |what: &str| Err(bad("run", format_args!("{id}, {}", run.first), what));
        if run.count == 0 || run.count as usize > RUN {
            return wrong("it has a wrong number of messages");
        }
        if run.first < self.end {
            return wrong("it overlaps the one before");
        }
        if run.end().saturating_sub(1) > self.log.row.head {
            return wrong("it is after the newest message of its log");
        }
        if run.end() > self.next {
            if run.first > self.next && !self.is_dropped() {
                return wrong("the one before is missing");
            }
            self.next = run.end();
        }
        self.end = run.end();
        self.log.index.push_run(run);
        Ok(())
    }

    fn finish(self) -> Result<(), LoadError> {
        let LogRow { id, head, .. } = self.log.row;
        if self.next <= head && !self.is_dropped() {
            return Err(bad("log", id, format_args!("the run of message {} is missing", self.next)));
        }
        self.log.index.skip_to(head.saturating_add(1));
        Ok(())
    }

    /// Its rows are being deleted, in any order.
    fn is_dropped(&self) -> bool {
        self.log.row.name.is_none()
    }
}

/// Reads the messages that are in no run.
struct Tail<'a> {
    crashes: &'a Crashes,
    folded: u64,
    last_id: u64,
    lost: u64,
    /// What bad rows say of themselves: log and number. It may be wrong.
    hints: Vec<(i64, u64)>,
}

impl Tail<'_> {
    fn load(&mut self, db: &Connection, logs: &mut [LoadedLog]) -> Result<(), LoadError> {
        let sql = format!("SELECT {} FROM message WHERE id > ? ORDER BY id", row::COLUMNS);
        let mut statement = db.prepare(&sql)?;
        let mut rows = statement.query([self.folded.cast_signed()])?;
        while let Some(row) = rows.next()? {
            let id = row.get::<_, i64>(0)?.cast_unsigned();
            if id <= self.last_id {
                return Err(bad("message", id, "it is not after the one before"));
            }
            self.last_id = id;
            match row::read_header(row) {
                Some(header) => self.push(&header, logs)?,
                None => {
                    tracing::error!(id, "a message of the newest ones is damaged, and lost");
                    self.lost = self.lost.saturating_add(1);
                    if let (Ok(log), Ok(number)) = (row.get(1), row.get::<_, i64>(2)) {
                        self.hints.push((log, number.cast_unsigned()));
                    }
                }
            }
        }
        // A bad row that was the newest of its log has left no hole. If it says so, its number is
        // taken. If it is wrong, nothing is lost by that but a number.
        for (log, number) in std::mem::take(&mut self.hints) {
            if let Some(log) = find(logs, log).filter(|log| log.index.next() == number) {
                log.push_lost(number);
            }
        }
        Ok(())
    }

    fn push(&mut self, header: &Header, logs: &mut [LoadedLog]) -> Result<(), LoadError> {
        let number = header.cursor.seq();
        // The rows of a log that was dropped are deleted later.
        let Some(log) = find(logs, header.log) else { return Ok(()) };
        if number <= log.row.head {
            return Ok(());
        }
        if log.row.name.is_none() {
            // It is being dropped, and some of its messages are gone. Only the ids of the rest count.
            log.push(Entry { id: header.id, size: header.weight, appended_ms: header.appended_ms });
            return Ok(());
        }
        let Some(holes) = number.checked_sub(log.index.next()) else {
            return Err(bad("message", header.id, "its number is there twice"));
        };
        if holes > header.id.saturating_sub(self.folded) {
            return Err(bad("message", header.id, "the messages before it are missing"));
        }
        if holes > 0 {
            // What is not kept may be gone. What bad rows have left is counted already.
            let is_kept = log.row.name.is_some() && log.row.earliest < number.saturating_sub(1);
            if is_kept && self.hints.is_empty() {
                let (log, first) = (log.row.id, log.index.next());
                tracing::error!(log, first, holes, "messages of the newest ones are lost");
                self.lost = self.lost.saturating_add(holes);
            }
            log.push_lost(number.saturating_sub(1));
        }
        let head = number.saturating_sub(1);
        self.crashes.apply(&mut log.row.lineage, &mut log.row.crashes, head, header.id);
        if log.row.lineage.current() != header.cursor.epoch() {
            return Err(bad("message", header.id, "it has another epoch than its log"));
        }
        log.push(Entry { id: header.id, size: header.weight, appended_ms: header.appended_ms });
        log.row.last_time_ms = log.row.last_time_ms.max(header.time_ms);
        Ok(())
    }
}

impl LoadedLog {
    fn push(&mut self, entry: Entry) {
        if self.index.next() > self.row.earliest {
            self.kept_bytes = self.kept_bytes.saturating_add(entry.size as u64);
        }
        let row = &mut self.row;
        // The row may have been written after this message was.
        row.last_appended_ms = row.last_appended_ms.max(entry.appended_ms);
        row.used_ms = row.used_ms.max(entry.appended_ms);
        let appended_ms = entry.appended_ms.max(self.newest_ms());
        self.index.push(Entry { appended_ms, ..entry });
    }

    /// The messages up to this number are lost.
    fn push_lost(&mut self, number: u64) {
        while self.index.next() <= number {
            self.push(Entry { id: 0, size: 0, appended_ms: self.newest_ms() });
        }
    }

    /// When the newest message was appended.
    fn newest_ms(&self) -> u64 {
        let (_, tail) = self.index.tail();
        let in_tail = tail.back().map(|entry| entry.appended_ms);
        let in_run = self.index.last_run().map(|run| run.last_appended_ms);
        in_tail.or(in_run).unwrap_or(0)
    }

    /// Begins the epoch that follows from the crashes after the newest message.
    fn apply(&mut self, crashes: &Crashes) {
        // A closed log has no next message. Its end keeps its position.
        if !self.row.is_closed {
            let head = self.head();
            crashes.apply(&mut self.row.lineage, &mut self.row.crashes, head, u64::MAX);
        }
    }
}

/// Reads the keys and producers. The store has no clock: what was too old at the newest time in the
/// database is surely too old, and the rest is when the next request says what time it is.
fn load_writers(
    db: &Connection,
    logs: &mut [LoadedLog],
    newest_ms: u64,
    limits: &Limits,
) -> Result<(), LoadError> {
    KeyRow::load_all(db, newest_ms.checked_sub(limits.channel.key_age_ms), |key| {
        if let Some(log) = find(logs, key.log) {
            log.keys.push(key);
        }
        Ok(())
    })?;
    let after_ms = newest_ms.checked_sub(limits.channel.producer_age_ms);
    ProducerRow::load_all(db, None, |producer| {
        let is_young = after_ms.is_none_or(|after_ms| producer.appended_ms > after_ms);
        if let Some(log) = find(logs, producer.log).filter(|_| is_young) {
            log.producers.push(producer);
        }
        Ok(())
    })?;
    for log in logs {
        // The positions of a log increase with each append. Several appends may have one time.
        log.producers.sort_by_key(|producer| (producer.cursor.seq(), producer.appended_ms));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
