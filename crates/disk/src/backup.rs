//! Copies the database of a store, also while a server uses it.
//!
//! The copy is one state of the database: what was there when it began. It is made under another
//! name, checked, synced and then renamed, so a copy that was cut off is never taken for a good
//! one. It is marked as a copy. A server that starts with it begins an epoch in each log, because
//! the server that it was copied from may have gone on: its readers are told.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, ffi};
use tidewire_store::Limits;

use crate::directory::{self, DATABASE};
use crate::error::{BackupError, OpenError};
use crate::load;
use crate::meta::Meta;
use crate::schema;

/// How far a backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The bytes that are copied.
    pub done: u64,
    /// The bytes of the database.
    pub total: u64,
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backed {
    /// The copy: the database in the target directory.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// The logs in it.
    pub logs: usize,
    /// The messages in it that are kept.
    pub messages: u64,
    /// The time that it took.
    pub took: Duration,
}

/// Copies the database in the directory `data` into the directory `target`, which is empty or does
/// not exist. A server may use `data` meanwhile, and is not slowed down but by the disk. As long as
/// the copy is being made, the write-ahead log of the server grows by all that it writes, without a
/// limit: leave room for it.
///
/// To use the copy, start a server with `target` as its data directory, or with a copy of it.
///
/// # Errors
/// [`BackupError`]. Then there is no database in `target`.
pub fn backup(data: &Path, target: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Backed, BackupError> {
    let begun = Instant::now();
    let source_path = data.join(DATABASE);
    if !source_path.is_file() {
        return Err(BackupError::NoSource { path: data.to_owned() });
    }
    let source = open_source(&source_path).map_err(BackupError::Source)?;
    let (path, part) = (target.join(DATABASE), target.join(format!("{DATABASE}.part")));
    directory::make(target).map_err(BackupError::Target)?;
    check_is_empty(target, &part)?;
    let copied = copy((&source, &source_path), &part, progress).and_then(|()| finish(&part));
    let (logs, messages) = copied.inspect_err(|_| remove(&part))?;
    let put = || {
        File::open(&part)?.sync_all()?;
        fs::rename(&part, &path)?;
        directory::sync(target)?;
        fs::metadata(&path)
    };
    let bytes = put().map_err(|error| BackupError::Target(OpenError::io(&path, &error)))?.len();
    Ok(Backed { path, bytes, logs, messages, took: begun.elapsed() })
}

/// Opens the database for reading, and holds one state of it.
fn open_source(path: &Path) -> Result<Connection, OpenError> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(BUSY)?;
        // A transaction begins with the first statement that reads.
        db.execute_batch("BEGIN")?;
        Ok(db)
    };
    let db = open().map_err(|error| OpenError::sqlite(path, &error))?;
    match schema::version(&db) {
        Ok(0) => Err(OpenError::NotOurs { path: path.to_owned() }),
        Ok(version) if version > schema::FORMAT as i64 => {
            Err(OpenError::migrate(path, schema::MigrateError::Later(version)))
        }
        Ok(_) => Ok(db),
        Err(error) => Err(OpenError::migrate(path, error)),
    }
}

/// Refuses a target with a database, or with anything else but the rest of a backup that was cut
/// off, which it removes.
fn check_is_empty(target: &Path, part: &Path) -> Result<(), BackupError> {
    remove(part);
    let failed = |error: std::io::Error| BackupError::Target(OpenError::io(target, &error));
    match fs::read_dir(target).map_err(failed)?.next().transpose().map_err(failed)? {
        Some(entry) => Err(BackupError::TargetTaken { path: entry.path() }),
        None => Ok(()),
    }
}

fn copy(
    (source, from): (&Connection, &Path),
    part: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), BackupError> {
    let failed = |error: rusqlite::Error| BackupError::Target(OpenError::sqlite(part, &error));
    directory::private(part).map_err(|error| BackupError::Target(OpenError::io(part, &error)))?;
    let page: u64 =
        source.query_row("PRAGMA page_size", (), |row| row.get(0)).map_or(4096, i64::cast_unsigned);
    let mut target = Connection::open(part).map_err(failed)?;
    // It is synced as a whole, before it gets its name.
    target.pragma_update(None, "synchronous", "OFF").map_err(failed)?;
    let backup = Backup::new(source, &mut target).map_err(failed)?;
    loop {
        let step = backup.step(PAGES_A_STEP).map_err(|error| match error.sqlite_error() {
            // The target is only written.
            Some(code) if code.extended_code == ffi::SQLITE_IOERR_READ => {
                BackupError::Source(OpenError::sqlite(from, &error))
            }
            _ => failed(error),
        })?;
        let pages = backup.progress();
        let bytes = |pages: i32| u64::try_from(pages).unwrap_or(0).saturating_mul(page);
        let (total, left) = (bytes(pages.pagecount), bytes(pages.remaining));
        progress(Progress { done: total.saturating_sub(left), total });
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            // The transaction holds the lock, so this passes.
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Reads all of the copy but the messages, and marks it. Returns its logs and messages.
fn finish(part: &Path) -> Result<(usize, u64), BackupError> {
    let failed = |error: rusqlite::Error| BackupError::Target(OpenError::sqlite(part, &error));
    let db = Connection::open(part).map_err(failed)?;
    let loaded = load::load_all(&db, &Limits::DEFAULT);
    let loaded = loaded.map_err(|error| BackupError::BadCopy(OpenError::load(part, error)))?;
    // One file, without a write-ahead log beside it.
    db.pragma_update(None, "journal_mode", "DELETE").map_err(failed)?;
    Meta::change(&db, |meta| meta.is_copy = true).map_err(failed)?;
    db.close().map_err(|(_, error)| failed(error))?;
    Ok((loaded.logs.len(), loaded.messages()))
}

/// Removes a file that is not good, and what SQLite has put beside it.
fn remove(part: &Path) {
    for suffix in ["", "-journal", "-wal", "-shm"] {
        let mut path = part.as_os_str().to_owned();
        path.push(suffix);
        // There may be none.
        drop(fs::remove_file(PathBuf::from(path)));
    }
}

/// 4 MiB: so that progress is seen.
const PAGES_A_STEP: i32 = 1_024;

/// How long to wait while a server starts, which repairs its write-ahead log alone.
const BUSY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
