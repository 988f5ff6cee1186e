//! Why a store cannot be opened, or not be copied: sentences that say what to do.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ffi;

use crate::bad_row::LoadError;
use crate::schema::{FORMAT, MigrateError};

/// Why a store on a disk cannot be opened. Displays as sentences for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory cannot be made, or it is none.
    #[error(
        "the data directory {} cannot be used: {detail}. Name a directory that the server may write.",
        path.display()
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        detail: String,
    },
    /// The server may not read or write a file.
    #[error(
        "no permission for {}: {detail}. Give the user that runs the server the right to read and write \
         this directory and its files, or name another directory.",
        path.display()
    )]
    Denied {
        /// The directory or the file.
        path: PathBuf,
        /// What SQLite or the system says.
        detail: String,
    },
    /// The file can only be read, or its file system is mounted for reading only.
    #[error(
        "{} can only be read: {detail}. Give the user that runs the server the right to write it, mount its \
         file system for writing, or name another directory.",
        path.display()
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// What SQLite or the system says.
        detail: String,
    },
    /// Another process uses the directory.
    #[error(
        "the data directory is in use by another process, which holds the lock of {}. Only one server may \
         use a directory: stop the other one, or name another directory.",
        path.display()
    )]
    InUse {
        /// The file with the lock.
        path: PathBuf,
    },
    /// The file system has no locks.
    #[error(
        "{} cannot be locked: {detail}. This is often a network file system without locks. Name a directory \
         on a local disk.",
        path.display()
    )]
    NoLocks {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// The database is of a later version of Tidewire.
    #[error(
        "{} was written by a later version of Tidewire (format {found}; this one knows up to {known}). Use \
         that version, or name another directory.",
        path.display()
    )]
    Later {
        /// The database.
        path: PathBuf,
        /// The version of its format.
        found: i64,
        /// The newest version that this program knows.
        known: usize,
    },
    /// The file is a database of another program, or no database.
    #[error("{} is no database of Tidewire. Name another directory, or move the file away.", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The database is damaged.
    #[error(
        "{} is damaged: {detail}. The server does not start with it. Restore a backup that `tidewire backup` \
         has made, or look at it with: sqlite3 {} 'PRAGMA integrity_check'",
        path.display(),
        path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite says, or which row is not what was written.
        detail: String,
    },
    /// The disk is full.
    #[error(
        "the disk of {} is full: {detail}. The start needs some room. Free some megabytes on this disk, and \
         start again.",
        path.display()
    )]
    Full {
        /// The file.
        path: PathBuf,
        /// What SQLite or the system says.
        detail: String,
    },
    /// Something else has failed.
    #[error(
        "{} cannot be opened: {detail}. Look into the log of the system for errors of the disk.",
        path.display()
    )]
    Failed {
        /// The file.
        path: PathBuf,
        /// What SQLite or the system says.
        detail: String,
    },
}

impl OpenError {
    /// What an error of SQLite at this file means.
    pub(crate) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let (path, detail) = (path.to_owned(), detail(error));
        match Cause::of(error) {
            Cause::Full => Self::Full { path, detail },
            Cause::Busy => Self::InUse { path },
            Cause::Damaged => Self::Damaged { path, detail },
            Cause::NotOurs => Self::NotOurs { path },
            Cause::Denied => Self::Denied { path, detail },
            Cause::ReadOnly => Self::ReadOnly { path, detail },
            Cause::NoLocks => Self::NoLocks { path, detail },
            Cause::Sync | Cause::Other => Self::Failed { path, detail },
        }
    }

    /// What an error of the system at this path means.
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        let (path, detail) = (path.to_owned(), error.to_string());
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied { path, detail },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path, detail },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, detail },
            _ => Self::Directory { path, detail },
        }
    }

    pub(crate) fn load(path: &Path, error: LoadError) -> Self {
        match error {
            LoadError::Sqlite(error) => Self::sqlite(path, &error),
            LoadError::Damaged(detail) => Self::Damaged { path: path.to_owned(), detail },
        }
    }

    pub(crate) fn migrate(path: &Path, error: MigrateError) -> Self {
        let path = path.to_owned();
        match error {
            MigrateError::NotOurs => Self::NotOurs { path },
            MigrateError::Later(found) => Self::Later { path, found, known: FORMAT },
            MigrateError::Sqlite(error) => Self::sqlite(&path, &error),
        }
    }
}

/// Why a backup was not made. Displays as sentences for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The directory has no database.
    #[error("{} has no database. Name the data directory of the server: what --data says.", path.display())]
    NoSource {
        /// The directory.
        path: PathBuf,
    },
    /// The database cannot be read.
    #[error("the source cannot be read: {0}")]
    Source(OpenError),
    /// The target has a database already.
    #[error("{} has a database already. Name a directory that is empty or does not exist.", path.display())]
    TargetTaken {
        /// The file that is there.
        path: PathBuf,
    },
    /// The copy cannot be written.
    #[error("the copy cannot be written: {0}")]
    Target(OpenError),
    /// The copy is not what was read.
    #[error(
        "the copy is not good, and was removed: {0} The source has the same damage, or the disk of the copy \
         is bad. Make a copy to another disk."
    )]
    BadCopy(OpenError),
}

/// What an error of SQLite means for a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// There is no room on the disk. Nothing was written.
    Full,
    /// Somebody else has the lock.
    Busy,
    /// The file is not what was written.
    Damaged,
    /// The file is no database.
    NotOurs,
    /// No permission.
    Denied,
    /// The file, or its file system, can only be read.
    ReadOnly,
    /// Locks do not work.
    NoLocks,
    /// A sync has failed: nobody knows what is on the disk.
    Sync,
    Other,
}

impl Cause {
    pub(crate) fn of(error: &rusqlite::Error) -> Self {
        let rusqlite::Error::SqliteFailure(error, _) = error else {
            // A column has another type than the schema says.
            return Self::Damaged;
        };
        match error.extended_code {
            // SQLite takes room for its index of the WAL by writing. It does not say why it cannot.
            ffi::SQLITE_IOERR_SHMSIZE => return Self::Full,
            ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => return Self::Sync,
            ffi::SQLITE_IOERR_LOCK
            | ffi::SQLITE_IOERR_UNLOCK
            | ffi::SQLITE_IOERR_RDLOCK
            | ffi::SQLITE_IOERR_CHECKRESERVEDLOCK
            | ffi::SQLITE_IOERR_SHMLOCK
            | ffi::SQLITE_IOERR_SHMMAP => return Self::NoLocks,
            ffi::SQLITE_IOERR_CORRUPTFS => return Self::Damaged,
            _ => {}
        }
        match error.extended_code & 0xff {
            ffi::SQLITE_FULL => Self::Full,
            ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => Self::Busy,
            ffi::SQLITE_CORRUPT => Self::Damaged,
            ffi::SQLITE_NOTADB => Self::NotOurs,
            ffi::SQLITE_PERM | ffi::SQLITE_AUTH | ffi::SQLITE_CANTOPEN => Self::Denied,
            ffi::SQLITE_READONLY => Self::ReadOnly,
            ffi::SQLITE_PROTOCOL | ffi::SQLITE_NOLFS => Self::NoLocks,
            _ => Self::Other,
        }
    }
}

/// What SQLite says, with its code.
fn detail(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(code, _) => format!("{error} (SQLite error {})", code.extended_code),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn errors_of_sqlite_say_what_to_do() {
        for (code, cause, advice) in [
            (ffi::SQLITE_FULL, Cause::Full, "Free some megabytes on this disk"),
            (ffi::SQLITE_IOERR_SHMSIZE, Cause::Full, "Free some megabytes on this disk"),
            (ffi::SQLITE_BUSY, Cause::Busy, "stop the other one"),
            (ffi::SQLITE_BUSY_RECOVERY, Cause::Busy, "stop the other one"),
            (ffi::SQLITE_CORRUPT, Cause::Damaged, "Restore a backup that `tidewire backup` has made"),
            (ffi::SQLITE_CORRUPT_INDEX, Cause::Damaged, "PRAGMA integrity_check"),
            (ffi::SQLITE_NOTADB, Cause::NotOurs, "move the file away"),
            (ffi::SQLITE_CANTOPEN, Cause::Denied, "the right to read and write"),
            (ffi::SQLITE_READONLY, Cause::ReadOnly, "mount its file system for writing"),
            (ffi::SQLITE_READONLY_CANTLOCK, Cause::ReadOnly, "mount its file system for writing"),
            (ffi::SQLITE_IOERR_LOCK, Cause::NoLocks, "Name a directory on a local disk"),
            (ffi::SQLITE_IOERR_SHMMAP, Cause::NoLocks, "Name a directory on a local disk"),
            (ffi::SQLITE_PROTOCOL, Cause::NoLocks, "Name a directory on a local disk"),
            (ffi::SQLITE_IOERR_FSYNC, Cause::Sync, "errors of the disk"),
            (ffi::SQLITE_IOERR_READ, Cause::Other, "errors of the disk"),
        ] {
            let error = sqlite(code);
            assert_eq!(Cause::of(&error), cause, "{error}");
            let said = OpenError::sqlite(Path::new("data/tidewire.db"), &error).to_string();
            assert!(said.contains(advice) && said.contains("data/"), "{said}");
        }
        let other_type = rusqlite::Error::InvalidColumnType(0, "head".into(), rusqlite::types::Type::Text);
        assert_eq!(Cause::of(&other_type), Cause::Damaged);
    }

    #[test]
    fn errors_of_the_system_say_what_to_do() {
        use io::ErrorKind as K;
        for (kind, advice) in [
            (K::PermissionDenied, "the right to read and write"),
            (K::ReadOnlyFilesystem, "mount its file system for writing"),
            (K::StorageFull, "Free some megabytes on this disk"),
            (K::NotADirectory, "Name a directory that the server may write"),
        ] {
            let said = OpenError::io(Path::new("data"), &kind.into()).to_string();
            assert!(said.contains(advice), "{said}");
        }
    }
}
