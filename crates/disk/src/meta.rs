//! The row about the whole database.

use rusqlite::{Connection, OptionalExtension, params};
use tidewire_channel::Epoch;

use crate::bad_row::{LoadError, WRONG_SUM, bad};
use crate::sum::Sum;

/// The row of the table `meta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The epoch of channels that were never written.
    pub(crate) epoch: Epoch,
    /// Every message up to this id that is kept is in a run.
    pub(crate) folded: u64,
    /// Whether the server stopped in order.
    pub(crate) is_clean: bool,
    /// Whether this is a backup that no server has used.
    pub(crate) is_copy: bool,
}

impl Meta {
    /// Reads the row. A new database has none.
    pub(crate) fn load(db: &Connection) -> Result<Option<Self>, LoadError> {
        let sql = "SELECT epoch, folded, clean, copy, sum FROM meta";
        let row = db.query_row(sql, (), |row| {
            let meta = Self {
                epoch: Epoch::new(row.get::<_, i64>(0)?.cast_unsigned()),
                folded: row.get::<_, i64>(1)?.cast_unsigned(),
                is_clean: row.get(2)?,
                is_copy: row.get(3)?,
            };
            Ok((meta, row.get::<_, i64>(4)?))
        });
        match row.optional()? {
            Some((meta, sum)) if meta.sum() != sum => Err(bad("meta", 1, WRONG_SUM)),
            row => Ok(row.map(|(meta, _)| meta)),
        }
    }

    /// Writes the row.
    pub(crate) fn save(&self, db: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO meta(id, epoch, folded, clean, copy, sum) \
                   VALUES(1, ?, ?, ?, ?, ?)";
        let (epoch, folded) = (self.epoch.get().cast_signed(), self.folded.cast_signed());
        let row = params![epoch, folded, self.is_clean, self.is_copy, self.sum()];
        db.prepare_cached(sql)?.execute(row).map(drop)
    }

    /// Changes the row, in the open transaction. Nobody keeps a copy of it.
    pub(crate) fn change(db: &Connection, change: impl FnOnce(&mut Self)) -> rusqlite::Result<()> {
        let mut meta = match Self::load(db) {
            Ok(meta) => meta.ok_or(rusqlite::Error::QueryReturnedNoRows)?,
            Err(error) => return Err(error.into_sqlite()),
        };
        change(&mut meta);
        meta.save(db)
    }

    fn sum(&self) -> i64 {
        let Self { epoch, folded, is_clean, is_copy } = *self;
        Sum::new().number(epoch.get()).number(folded).int(is_clean.into()).int(is_copy.into()).get()
    }
}
