//! Finds the messages of a run whose entries are damaged.
//!
//! The rows of the messages may be good, and each says its log and its number. They are between the
//! rows of the runs beside it. In a database of many busy logs, this may be far too many rows to
//! look at, so the search gives up then.

use rusqlite::{Connection, OptionalExtension, params};

use crate::entry::Entry;
use crate::index::{ReadRunError, Run, is_corrupt, read_run};
use crate::row::{self, COLUMNS};

/// Searches the messages of a run. One that is not found has no row.
///
/// # Errors
/// The database failed.
pub(crate) fn search(db: &Connection, log: i64, run: &Run) -> rusqlite::Result<Vec<Entry>> {
    let count = usize::try_from(run.count).unwrap_or(0);
    let mut entries = vec![Entry { id: 0, size: 0, appended_ms: run.last_appended_ms }; count];
    let (after, before) = bounds(db, log, run)?;
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM message WHERE id BETWEEN ?1 AND ?2 AND log = ?3 AND number BETWEEN ?4 AND ?5"
    ))?;
    let numbers = (run.first.cast_signed(), run.end().saturating_sub(1).cast_signed());
    let mut rows = statement.query(params![after, before, log, numbers.0, numbers.1])?;
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(entries),
            // What comes after a damaged page is not found.
            Err(error) if is_corrupt(&error) => return Ok(entries),
            Err(error) => return Err(error),
        };
        let Some(header) = row::read_header(row) else { continue };
        let at = usize::try_from(header.cursor.seq().saturating_sub(run.first)).unwrap_or(usize::MAX);
        if let Some(entry) = entries.get_mut(at) {
            *entry = Entry { id: header.id, size: header.weight, appended_ms: header.appended_ms };
        }
    }
}

/// The first and the last id where a message of the run may be.
fn bounds(db: &Connection, log: i64, run: &Run) -> rusqlite::Result<(i64, i64)> {
    let beside = |sql| {
        let of = params![log, run.first.cast_signed()];
        let first = db.prepare_cached(sql)?.query_row(of, |row| row.get::<_, i64>(0)).optional()?;
        match first.map(|first| read_run(db, log, first.cast_unsigned())) {
            Some(Ok(entries)) => Ok(Some(entries)),
            None | Some(Err(ReadRunError::Damaged)) => Ok(None),
            Some(Err(ReadRunError::Database(error))) => Err(error),
        }
    };
    let ids = |entries: Vec<Entry>| entries.into_iter().map(|entry| entry.id).filter(|id| *id > 0);
    let before = beside("SELECT first FROM run WHERE log = ?1 AND first < ?2 ORDER BY first DESC LIMIT 1")?;
    let after = beside("SELECT first FROM run WHERE log = ?1 AND first > ?2 ORDER BY first LIMIT 1")?;
    let before = before.and_then(|entries| ids(entries).next_back());
    let after = after.and_then(|entries| ids(entries).next());
    let from = match (before, after) {
        (Some(before), _) => before.saturating_add(1),
        (None, Some(after)) => after.saturating_sub(MOST),
        (None, None) => oldest(db)?,
    };
    let to = after.unwrap_or(u64::MAX).min(from.saturating_add(MOST));
    Ok((from.cast_signed(), to.min(i64::MAX.cast_unsigned()).cast_signed()))
}

/// The id of the oldest row.
fn oldest(db: &Connection) -> rusqlite::Result<u64> {
    let id = db.prepare_cached("SELECT min(id) FROM message")?.query_row((), |row| row.get(0));
    Ok(id.map_or(0, i64::cast_unsigned))
}

/// Rows that one search looks at: it takes about 20 ms.
const MOST: u64 = 200_000;
