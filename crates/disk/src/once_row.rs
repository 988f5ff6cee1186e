//! The rows that make a repeated append harmless: idempotency keys, and producers.

use rusqlite::{Connection, params};
use tidewire_channel::{Cursor, Epoch, Fingerprint};

use crate::bad_row::{LoadError, WRONG_SUM, bad};
use crate::sum::Sum;

/// A row of the table `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRow {
    pub(crate) log: i64,
    pub(crate) text: Box<[u8]>,
    pub(crate) fingerprint: Fingerprint,
    /// What the append was answered with.
    pub(crate) cursor: Cursor,
    /// The clock of the log at that time.
    pub(crate) appended_ms: u64,
}

impl KeyRow {
    /// Adds the row after all others. A log whose key is forgotten and used again has two rows: the
    /// later one counts.
    pub(crate) fn insert(&self, db: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT INTO key(log, text, fingerprint, epoch, number, appended, sum) \
                   VALUES(?, ?, ?, ?, ?, ?, ?)";
        db.prepare_cached(sql)?
            .execute(params![
                self.log,
                &*self.text,
                &self.fingerprint.0[..],
                self.cursor.epoch().get().cast_signed(),
                self.cursor.seq().cast_signed(),
                self.appended_ms.cast_signed(),
                self.sum(),
            ])
            .map(drop)
    }

    /// Deletes the oldest rows, up to the first one that was appended within `max_age_ms`, and
    /// `max` at most. Returns how many it has deleted. A row from the future is deleted too: the
    /// clock of the system was wrong.
    pub(crate) fn delete_old(
        db: &Connection,
        now_ms: u64,
        max_age_ms: u64,
        max: usize,
    ) -> rusqlite::Result<usize> {
        let Some(before_ms) = now_ms.checked_sub(max_age_ms) else { return Ok(0) };
        let young = before_ms..=now_ms.saturating_add(max_age_ms);
        let first = "SELECT id, appended FROM key ORDER BY id LIMIT ?";
        let mut statement = db.prepare_cached(first)?;
        let mut rows = statement.query([i64::try_from(max).unwrap_or(i64::MAX)])?;
        let mut last = None;
        while let Some(row) = rows.next()? {
            if young.contains(&row.get::<_, i64>(1)?.cast_unsigned()) {
                break;
            }
            last = Some(row.get::<_, i64>(0)?);
        }
        drop(rows);
        let Some(last) = last else { return Ok(0) };
        db.prepare_cached("DELETE FROM key WHERE id <= ?")?.execute([last])
    }

    /// Passes the rows that were appended after `after_ms`, oldest first, to `with`.
    pub(crate) fn load_all(
        db: &Connection,
        after_ms: Option<u64>,
        mut with: impl FnMut(Self) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        let sql = "SELECT id, log, text, fingerprint, epoch, number, appended, sum FROM key ORDER BY id";
        let mut statement = db.prepare(sql)?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let key = Self {
                log: row.get(1)?,
                text: row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?.into(),
                fingerprint: Fingerprint(row.get(3)?),
                cursor: cursor(row.get(4)?, row.get(5)?),
                appended_ms: row.get::<_, i64>(6)?.cast_unsigned(),
            };
            if key.sum() != row.get::<_, i64>(7)? {
                return Err(bad("key", id, WRONG_SUM));
            }
            if after_ms.is_none_or(|after_ms| key.appended_ms > after_ms) {
                with(key)?;
            }
        }
        Ok(())
    }

    fn sum(&self) -> i64 {
        let sum = Sum::new().int(self.log).blob(&self.text).blob(&self.fingerprint.0);
        let sum = sum.number(self.cursor.epoch().get()).number(self.cursor.seq());
        sum.number(self.appended_ms).get()
    }
}

/// A row of the table `producer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProducerRow {
    pub(crate) log: i64,
    pub(crate) name: Box<str>,
    /// The run of the producer.
    pub(crate) epoch: u64,
    /// The number of its newest append.
    pub(crate) seq: u64,
    /// What that was answered with.
    pub(crate) cursor: Cursor,
    /// The clock of the log at that time.
    pub(crate) appended_ms: u64,
}

impl ProducerRow {
    /// Writes the row, in place of an earlier one of the same producer.
    pub(crate) fn save(&self, db: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO producer(log, name, epoch, seq, cursor_epoch, cursor_number, \
                   appended, sum) VALUES(?, ?, ?, ?, ?, ?, ?, ?)";
        db.prepare_cached(sql)?
            .execute(params![
                self.log,
                &*self.name,
                self.epoch.cast_signed(),
                self.seq.cast_signed(),
                self.cursor.epoch().get().cast_signed(),
                self.cursor.seq().cast_signed(),
                self.appended_ms.cast_signed(),
                self.sum(),
            ])
            .map(drop)
    }

    /// Deletes all rows of a log.
    pub(crate) fn delete_log(db: &Connection, log: i64) -> rusqlite::Result<usize> {
        db.prepare_cached("DELETE FROM producer WHERE log = ?")?.execute([log])
    }

    /// Passes the rows to `with`, in the order of their logs, or only those of one log.
    pub(crate) fn load_all(
        db: &Connection,
        log: Option<i64>,
        mut with: impl FnMut(Self) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        let sql = "SELECT log, name, epoch, seq, cursor_epoch, cursor_number, appended, sum FROM producer \
                   WHERE log BETWEEN ? AND ? ORDER BY log, name";
        let mut statement = db.prepare_cached(sql)?;
        let mut rows = statement.query([log.unwrap_or(i64::MIN), log.unwrap_or(i64::MAX)])?;
        while let Some(row) = rows.next()? {
            let producer = Self {
                log: row.get(0)?,
                name: row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?.into(),
                epoch: row.get::<_, i64>(2)?.cast_unsigned(),
                seq: row.get::<_, i64>(3)?.cast_unsigned(),
                cursor: cursor(row.get(4)?, row.get(5)?),
                appended_ms: row.get::<_, i64>(6)?.cast_unsigned(),
            };
            if producer.sum() != row.get::<_, i64>(7)? {
                return Err(bad("producer", format_args!("{}, {}", producer.log, producer.name), WRONG_SUM));
            }
            with(producer)?;
        }
        Ok(())
    }

    fn sum(&self) -> i64 {
        let sum = Sum::new().int(self.log).text(Some(&self.name)).number(self.epoch).number(self.seq);
        let sum = sum.number(self.cursor.epoch().get()).number(self.cursor.seq());
        sum.number(self.appended_ms).get()
    }
}

fn cursor(epoch: i64, number: i64) -> Cursor {
    Cursor::new(Epoch::new(epoch.cast_unsigned()), number.cast_unsigned())
}
