//! The directory of a store: its files, its lock, and connections to its database.
//!
//! Nothing in this process opens the database or its `-shm` file other than through SQLite. POSIX
//! drops all locks of a process on a file as soon as the process closes *any* handle of that file,
//! so SQLite would lose its locks. Its `-wal` file has no locks.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rusqlite::{Connection, OpenFlags};

use crate::error::OpenError;
use crate::options::SyncMode;
use crate::schema;

/// The name of the database in its directory.
pub(crate) const DATABASE: &str = "tidewire.db";

/// The name of the file with the lock.
const LOCK: &str = "lock";

/// A directory that this process alone uses.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// A database of its own, on which a transaction holds the lock for as long as this lives. The
    /// system drops it if the process is killed. SQLite knows how to lock a file on each platform.
    _lock: Mutex<Connection>,
}

impl Directory {
    /// Makes the directory if there is none, and locks it.
    ///
    /// # Errors
    /// [`OpenError`]: it cannot be made or written, or another process uses it.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        make(path)?;
        let lock = path.join(LOCK);
        private(&lock).map_err(|error| OpenError::io(&lock, &error))?;
        let locked = || -> rusqlite::Result<Connection> {
            let db = Connection::open_with_flags(&lock, write_flags())?;
            db.busy_timeout(std::time::Duration::ZERO)?;
            db.execute_batch(
                "PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE",
            )?;
            Ok(db)
        };
        let locked = locked().map_err(|error| OpenError::sqlite(&lock, &error))?;
        Ok(Self { path: path.to_owned(), _lock: Mutex::new(locked) })
    }

    /// The path of the database.
    pub(crate) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// The path of the write-ahead log.
    pub(crate) fn wal(&self) -> PathBuf {
        self.path.join(format!("{DATABASE}-wal"))
    }

    /// Opens the connection of the writer. Makes the database if there is none, and brings an older
    /// one to the format of today. All that it commits is synced, until [`set_sync`] says
    /// otherwise.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(crate) fn open_writer(&self) -> Result<Connection, OpenError> {
        let path = self.database();
        if !path.exists() {
            private(&path).map_err(|error| OpenError::io(&path, &error))?;
        }
        let failed = |error: rusqlite::Error| OpenError::sqlite(&path, &error);
        let mut db = Connection::open_with_flags(&path, write_flags()).map_err(failed)?;
        // Before anything is written: a database of another program stays as it is.
        schema::version(&db).map_err(|error| OpenError::migrate(&path, error))?;
        let wal = |db: &Connection| -> rusqlite::Result<String> {
            db.pragma_update(None, "synchronous", "FULL")?;
            db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        };
        let mode = wal(&db).map_err(failed)?;
        if mode != "wal" {
            let detail = format!("SQLite cannot use a write-ahead log here, but only: {mode}");
            return Err(OpenError::NoLocks { path, detail });
        }
        set_up(&db).map_err(failed)?;
        db.pragma_update(None, "cache_size", CACHE_KIB).map_err(failed)?;
        schema::migrate(&mut db).map_err(|error| OpenError::migrate(&path, error))?;
        Ok(db)
    }

    /// Opens a connection that reads.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(crate) fn open_reader(&self) -> Result<Connection, OpenError> {
        self.open_more().and_then(|db| {
            let failed = |error: rusqlite::Error| OpenError::sqlite(&self.database(), &error);
            db.pragma_update(None, "query_only", true).map_err(failed)?;
            Ok(db)
        })
    }

    /// Opens a connection that makes checkpoints.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(crate) fn open_checkpointer(&self) -> Result<Connection, OpenError> {
        self.open_more()
    }

    fn open_more(&self) -> Result<Connection, OpenError> {
        let path = self.database();
        let open = || {
            let db = Connection::open_with_flags(&path, write_flags())?;
            db.pragma_update(None, "synchronous", "NORMAL")?;
            set_up(&db)?;
            Ok(db)
        };
        open().map_err(|error| OpenError::sqlite(&path, &error))
    }
}

/// Sets when the commits of a connection are synced.
pub(crate) fn set_sync(db: &Connection, sync: SyncMode) -> rusqlite::Result<()> {
    let synchronous = match sync {
        SyncMode::Always => "FULL",
        // Only before and after a checkpoint, so that a power cut never damages the database.
        SyncMode::Interval | SyncMode::Never => "NORMAL",
    };
    db.pragma_update(None, "synchronous", synchronous)
}

/// The pages that the writer keeps: the negative number is in KiB. With the 2 MiB that SQLite
/// takes, it reads pages again that it has just written.
const CACHE_KIB: i32 = -16_384;

fn set_up(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(64);
    // The sync thread makes the checkpoints.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    // A statement that sorts must not make files elsewhere.
    db.pragma_update(None, "temp_store", "MEMORY")?;
    // On macOS, an ordinary sync leaves the data in the cache of the disk. No effect elsewhere.
    db.pragma_update(None, "fullfsync", true)?;
    db.pragma_update(None, "checkpoint_fullfsync", true)?;
    db.pragma_update(None, "cell_size_check", true)
}

/// How long a connection waits for another one. In this process, they meet only at a checkpoint.
pub(crate) const BUSY: std::time::Duration = std::time::Duration::from_secs(10);

const fn write_flags() -> OpenFlags {
    // Each connection belongs to one thread at a time, so it needs no lock of its own.
    OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Makes a directory that only its owner can use, because messages may be private. One that exists
/// stays as it is.
pub(crate) fn make(path: &Path) -> Result<(), OpenError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    // The name of each directory that is made is in its parent.
    let new: Vec<&Path> = path.ancestors().take_while(|path| !is_here(path)).collect();
    let made = builder.create(path).and_then(|()| {
        new.iter().filter_map(|path| path.parent()).try_for_each(|parent| sync(parent.join(".").as_path()))
    });
    made.map_err(|error| OpenError::io(path, &error))
}

/// Whether there is such a directory. The empty path is the current one.
fn is_here(path: &Path) -> bool {
    path.as_os_str().is_empty() || path.exists()
}

/// Syncs the names in a directory. Elsewhere than on Unix, a directory cannot be opened, and the
/// system does this by itself.
pub(crate) fn sync(path: &Path) -> std::io::Result<()> {
    if cfg!(unix) { fs::File::open(path)?.sync_all() } else { Ok(()) }
}

/// Makes an empty file that only its owner can use, if there is none. SQLite gives its other files
/// the same rights.
pub(crate) fn private(path: &Path) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

#[cfg(test)]
mod tests;
