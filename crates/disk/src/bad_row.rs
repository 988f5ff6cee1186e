//! Why a database cannot be read: SQLite says so, or a row is not what was written.

use std::fmt;

/// Why a part of a database cannot be loaded.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// SQLite has failed, or says that the file is damaged.
    Sqlite(rusqlite::Error),
    /// A row is not what was written: where it is, and what is wrong.
    Damaged(String),
}

impl From<rusqlite::Error> for LoadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl LoadError {
    /// The same as an error of SQLite: a bad row is a damaged file.
    pub(crate) fn into_sqlite(self) -> rusqlite::Error {
        match self {
            Self::Sqlite(error) => error,
            Self::Damaged(detail) => {
                let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
                rusqlite::Error::SqliteFailure(code, Some(detail))
            }
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => error.fmt(f),
            Self::Damaged(detail) => f.write_str(detail),
        }
    }
}

/// A bad row of a table.
pub(crate) fn bad(table: &str, row: impl fmt::Display, what: impl fmt::Display) -> LoadError {
    LoadError::Damaged(format!("row {row} of the table {table}: {what}"))
}

/// What is wrong with most bad rows.
pub(crate) const WRONG_SUM: &str = "its checksum is wrong";
