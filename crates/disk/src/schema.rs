//! The tables of a database, and how an older database becomes one of today.
//!
//! Numbers of messages, times and epochs are `u64` in the program and `INTEGER` here: the `i64`
//! with the same bits. Times are milliseconds since 1970. A `sum` is a CRC-32 over the other
//! columns: see [`Sum`](crate::sum::Sum).

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::crashes::random_epoch;
use crate::meta::Meta;

/// What `PRAGMA application_id` says of a database of Tidewire: "Tide".
pub(crate) const APPLICATION_ID: i32 = 0x5469_6465;

/// The version of the format that this program writes: `PRAGMA user_version`.
pub(crate) const FORMAT: usize = MIGRATIONS.len();

/// A step from one version of the format to the next one.
pub(crate) type Migration = fn(&Transaction<'_>) -> rusqlite::Result<()>;

/// The step from version `n` to `n + 1` is at index `n`. An empty file has version 0. A step that
/// was released is never changed.
const MIGRATIONS: &[Migration] = &[create];

/// Brings a database to the newest version. Each step is one transaction, together with the number
/// of its version: a step that fails, or is cut off, leaves the database as it was.
///
/// # Errors
/// [`MigrateError`].
pub(crate) fn migrate(db: &mut Connection) -> Result<(), MigrateError> {
    migrate_by(db, MIGRATIONS)
}

#[derive(Debug)]
pub(crate) enum MigrateError {
    /// It has another application id, or tables and none.
    NotOurs,
    /// It has this version.
    Later(i64),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for MigrateError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn migrate_by(db: &mut Connection, steps: &[Migration]) -> Result<(), MigrateError> {
    loop {
        // Whether somebody else has made the step is known only with the lock of a writer.
        let step = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version = version(&step)?;
        let index = usize::try_from(version).map_err(|_| MigrateError::NotOurs)?;
        if index > steps.len() {
            return Err(MigrateError::Later(version));
        }
        let Some(migration) = steps.get(index) else { return Ok(()) };
        migration(&step)?;
        step.pragma_update(None, "application_id", APPLICATION_ID)?;
        step.pragma_update(None, "user_version", version.saturating_add(1))?;
        step.commit()?;
    }
}

/// The version of the format of a database; 0 if it is empty.
///
/// # Errors
/// [`MigrateError::NotOurs`] if it is of another program, or what SQLite says.
pub(crate) fn version(db: &Connection) -> Result<i64, MigrateError> {
    let number = |sql: &str| db.query_row(sql, (), |row| row.get::<_, i64>(0));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let is_ours = application == i64::from(APPLICATION_ID) && version > 0;
    let is_empty = application == 0 && version == 0 && tables == 0;
    if is_ours || is_empty { Ok(version) } else { Err(MigrateError::NotOurs) }
}

fn create(db: &Transaction<'_>) -> rusqlite::Result<()> {
    db.execute_batch(FORMAT_1)?;
    // There is nothing that could be lost.
    Meta { epoch: random_epoch(), folded: 0, is_clean: true, is_copy: false }.save(db)
}

/// What an operator sees with `.schema`.
const FORMAT_1: &str = "
-- Every message, in the order in which they came. Only appended; the oldest are deleted in ranges.
CREATE TABLE message(
  id INTEGER PRIMARY KEY,      -- increases; never given twice
  log INTEGER NOT NULL,        -- log.id
  number INTEGER NOT NULL,     -- the place in its log: 1, 2, 3, ...
  epoch INTEGER NOT NULL,      -- the epoch of its cursor
  appended INTEGER NOT NULL,   -- the clock of the log: its age counts from here
  time INTEGER NOT NULL,       -- the time of publishing, as readers see it
  event TEXT,
  type TEXT,                   -- the media type
  data BLOB NOT NULL,
  sum INTEGER NOT NULL
) STRICT;

-- Where messages are: a row for up to 128 messages of a log with consecutive numbers.
CREATE TABLE run(
  log INTEGER NOT NULL,
  first INTEGER NOT NULL,         -- the number of the first one
  count INTEGER NOT NULL,
  bytes INTEGER NOT NULL,         -- the sum of their sizes
  last_appended INTEGER NOT NULL, -- message.appended of the last one
  entries_sum INTEGER NOT NULL,   -- of the entries
  sum INTEGER NOT NULL,           -- of the columns before it
  entries BLOB NOT NULL,          -- for each message: message.id, size, message.appended
  PRIMARY KEY(log, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE log(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT UNIQUE,               -- NULL: it was deleted, and its rows are being deleted
  lineage TEXT NOT NULL,          -- past epochs, each with its last number; then the current one
  crashes INTEGER NOT NULL,       -- the lineage accounts for the rows of crash up to this number
  head INTEGER NOT NULL,          -- the newest message that is in a run
  earliest INTEGER NOT NULL,      -- the last number that is not kept
  bytes INTEGER NOT NULL,         -- the sizes of the messages after earliest, up to head
  oldest INTEGER,                 -- message.appended of the first one after earliest, if it is known
  last_time INTEGER NOT NULL,     -- message.time of the newest message, or later
  last_appended INTEGER NOT NULL, -- the clock of the log
  closed INTEGER NOT NULL,
  upload_open INTEGER NOT NULL,
  stream_seq TEXT,
  settings TEXT NOT NULL,
  created INTEGER NOT NULL,       -- a creation has set the settings
  deleted INTEGER NOT NULL,       -- it lives for its forks
  used INTEGER NOT NULL,          -- when it was last used
  source INTEGER,                 -- log.id of the log that it was forked from
  source_at TEXT,                 -- the position there
  source_bytes INTEGER,
  base INTEGER NOT NULL,          -- messages up to this number belong to the source
  sum INTEGER NOT NULL
) STRICT;

-- Idempotency keys, oldest first.
CREATE TABLE key(
  id INTEGER PRIMARY KEY,
  log INTEGER NOT NULL,
  text BLOB NOT NULL,
  fingerprint BLOB NOT NULL,
  epoch INTEGER NOT NULL,         -- the cursor that the append was answered with
  number INTEGER NOT NULL,
  appended INTEGER NOT NULL,
  sum INTEGER NOT NULL
) STRICT;

-- Programs that number their appends, each with its newest number.
CREATE TABLE producer(
  log INTEGER NOT NULL,
  name TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  cursor_epoch INTEGER NOT NULL,
  cursor_number INTEGER NOT NULL,
  appended INTEGER NOT NULL,
  sum INTEGER NOT NULL,
  PRIMARY KEY(log, name)
) STRICT, WITHOUT ROWID;

-- How often a log of a name was forgotten. The key is the start of the SHA-256 of the name.
CREATE TABLE forgotten(
  key INTEGER PRIMARY KEY,
  count INTEGER NOT NULL,
  sum INTEGER NOT NULL
) STRICT;

-- Names that were deleted a short time ago.
CREATE TABLE deleted(
  name TEXT PRIMARY KEY,
  time INTEGER NOT NULL,
  sum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Each time that the newest messages may be lost.
CREATE TABLE crash(
  number INTEGER PRIMARY KEY,
  nonce INTEGER NOT NULL,         -- the new epochs follow from it
  after INTEGER NOT NULL,         -- the newest message.id at that time
  time INTEGER NOT NULL,
  sum INTEGER NOT NULL
) STRICT;

-- One row.
CREATE TABLE meta(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  epoch INTEGER NOT NULL,         -- of channels that were never written
  folded INTEGER NOT NULL,        -- every message up to this id that is kept is in a run
  clean INTEGER NOT NULL,         -- the server stopped in order
  copy INTEGER NOT NULL,          -- this is a backup
  sum INTEGER NOT NULL
) STRICT;
";

#[cfg(test)]
mod tests;
