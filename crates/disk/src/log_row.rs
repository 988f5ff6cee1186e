//! The row of a log: all that is known of it, other than its messages.

use std::fmt::Write as _;
use std::sync::Arc;

use rusqlite::{Connection, Row, params};
use tidewire_channel::{Cursor, Epoch, Lineage};
use tidewire_store::{ChannelName, ChannelSettings};

use crate::bad_row::{LoadError, WRONG_SUM, bad};
use crate::settings::{self, ReadSettings};
use crate::sum::Sum;

/// A row of the table `log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogRow {
    /// Never given to another log.
    pub(crate) id: i64,
    /// `None`: the log was deleted, and its other rows are being deleted.
    pub(crate) name: Option<ChannelName>,
    /// Its epochs.
    pub(crate) lineage: Lineage,
    /// The lineage accounts for the crashes up to this number.
    pub(crate) crashes: u64,
    /// The newest message that is in a run. Later ones follow from the messages after
    /// [`Meta::folded`](crate::meta::Meta::folded).
    pub(crate) head: u64,
    /// The last number that is not kept. It may be after `head`.
    pub(crate) earliest: u64,
    /// The weights of the messages after `earliest`, up to `head`; also of those in the source.
    pub(crate) bytes: u64,
    /// When the first message after `earliest` was appended. `None`: there was none, or its time
    /// is not known. With it, the start need not read the first run of each log.
    pub(crate) oldest_ms: Option<u64>,
    /// The time of the newest message, or of a later one that is lost.
    pub(crate) last_time_ms: u64,
    /// The clock of the log: the latest [`now_ms`](tidewire_store::Append::now_ms).
    pub(crate) last_appended_ms: u64,
    pub(crate) is_closed: bool,
    pub(crate) upload_open: bool,
    pub(crate) stream_seq: Option<Box<str>>,
    pub(crate) settings: Arc<ChannelSettings>,
    /// Whether a creation has set the settings.
    pub(crate) is_created: bool,
    /// Whether it was deleted, and lives for its forks.
    pub(crate) is_deleted: bool,
    /// When it was last used.
    pub(crate) used_ms: u64,
    /// What it was forked from.
    pub(crate) source: Option<SourceRow>,
}

/// Where a fork begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceRow {
    /// The id of the source.
    pub(crate) log: i64,
    /// The position that the request named: [`Fork::at`](tidewire_store::Fork::at).
    pub(crate) at: Cursor,
    /// [`Fork::bytes`](tidewire_store::Fork::bytes).
    pub(crate) bytes: usize,
    /// Messages up to this number belong to the source.
    pub(crate) base: u64,
}

const COLUMNS: &str = "id, name, lineage, crashes, head, earliest, bytes, last_time, last_appended, closed, \
    upload_open, stream_seq, settings, created, deleted, used, source, source_at, source_bytes, base, sum, \
    oldest";

impl LogRow {
    /// Adds the row.
    pub(crate) fn insert(&self, db: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT INTO log(id, name, lineage, crashes, head, earliest, bytes, last_time, \
            last_appended, closed, upload_open, stream_seq, settings, created, deleted, used, source, \
            source_at, source_bytes, base, sum, oldest) \
            VALUES(?1, ?22, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, \
            ?19, ?20, ?21)";
        self.write(db, sql, true)
    }

    /// Writes the row anew, other than its name.
    pub(crate) fn update(&self, db: &Connection) -> rusqlite::Result<()> {
        // Without the name, SQLite leaves its index alone.
        let sql = "UPDATE log SET lineage = ?2, crashes = ?3, head = ?4, earliest = ?5, bytes = ?6, \
            last_time = ?7, last_appended = ?8, closed = ?9, upload_open = ?10, stream_seq = ?11, \
            settings = ?12, created = ?13, deleted = ?14, used = ?15, source = ?16, source_at = ?17, \
            source_bytes = ?18, base = ?19, sum = ?20, oldest = ?21 WHERE id = ?1";
        self.write(db, sql, false)
    }

    /// Takes the name away: another log may have it from now on.
    pub(crate) fn drop_name(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.name = None;
        db.prepare_cached("UPDATE log SET name = NULL WHERE id = ?")?.execute([self.id])?;
        self.update(db)
    }

    /// Deletes a row.
    pub(crate) fn delete(db: &Connection, id: i64) -> rusqlite::Result<()> {
        db.prepare_cached("DELETE FROM log WHERE id = ?")?.execute([id]).map(drop)
    }

    /// Reads the rows, in the order of their ids, and passes them to `with`.
    pub(crate) fn load_all(
        db: &Connection,
        mut with: impl FnMut(Self) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        let mut all = ReadSettings::default();
        let mut statement = db.prepare(&format!("SELECT {COLUMNS} FROM log ORDER BY id"))?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            with(Self::read(row, &mut all)?)?;
        }
        Ok(())
    }

    fn write(&self, db: &Connection, sql: &str, with_name: bool) -> rusqlite::Result<()> {
        let (lineage, settings) = (write_lineage(&self.lineage), settings::write(&self.settings));
        let source = self.source;
        let at = source.map(|source| source.at.to_string());
        let sum = self.sum(&lineage, &settings, at.as_deref());
        let name = self.name.as_ref().map(ChannelName::as_str);
        let mut statement = db.prepare_cached(sql)?;
        let values = params![
            self.id,
            lineage,
            self.crashes.cast_signed(),
            self.head.cast_signed(),
            self.earliest.cast_signed(),
            self.bytes.cast_signed(),
            self.last_time_ms.cast_signed(),
            self.last_appended_ms.cast_signed(),
            self.is_closed,
            self.upload_open,
            self.stream_seq.as_deref(),
            settings,
            self.is_created,
            self.is_deleted,
            self.used_ms.cast_signed(),
            source.map(|source| source.log),
            at,
            source.map(|source| (source.bytes as u64).cast_signed()),
            source.map_or(0, |source| source.base.cast_signed()),
            sum,
            self.oldest_ms.map(u64::cast_signed),
            name,
        ];
        statement.execute(if with_name { values } else { &values[..21] }).map(drop)
    }

    fn read(row: &Row<'_>, all: &mut ReadSettings) -> Result<Self, LoadError> {
        let id: i64 = row.get(0)?;
        let wrong = |what: &str| bad("log", id, what);
        let number = |column: usize| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let text = |column: usize| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        let option = |column: usize| row.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from);
        let (lineage, settings, at) = (text(2)?, text(12)?, option(17)?);
        let name = option(1)?.map(ChannelName::new).transpose();
        let source = match (row.get::<_, Option<i64>>(16)?, at, row.get::<_, Option<i64>>(18)?) {
            (Some(log), Some(at), Some(bytes)) => Some(SourceRow {
                log,
                at: at.parse().map_err(|_| wrong("source_at is no cursor"))?,
                bytes: usize::try_from(bytes.cast_unsigned())
                    .map_err(|_| wrong("source_bytes is too large"))?,
                base: number(19)?,
            }),
            (None, None, None) => None,
            _ => return Err(wrong("its source is incomplete")),
        };
        let log = Self {
            id,
            name: name.map_err(|_| wrong("its name is no name of a channel"))?,
            lineage: read_lineage(lineage).ok_or_else(|| wrong("its lineage has another form"))?,
            crashes: number(3)?,
            head: number(4)?,
            earliest: number(5)?,
            bytes: number(6)?,
            oldest_ms: row.get::<_, Option<i64>>(21)?.map(i64::cast_unsigned),
            last_time_ms: number(7)?,
            last_appended_ms: number(8)?,
            is_closed: row.get(9)?,
            upload_open: row.get(10)?,
            stream_seq: option(11)?.map(Into::into),
            settings: all.get(settings).ok_or_else(|| wrong("its settings have another form"))?,
            is_created: row.get(13)?,
            is_deleted: row.get(14)?,
            used_ms: number(15)?,
            source,
        };
        if log.sum(lineage, settings, at) != row.get::<_, i64>(20)? {
            return Err(wrong(WRONG_SUM));
        }
        Ok(log)
    }

    fn sum(&self, lineage: &str, settings: &str, at: Option<&str>) -> i64 {
        let source = self.source;
        let sum =
            Sum::new().int(self.id).text(self.name.as_ref().map(ChannelName::as_str)).text(Some(lineage));
        let sum = sum.number(self.crashes).number(self.head).number(self.earliest).number(self.bytes);
        let sum = sum.int(self.oldest_ms.is_some().into()).number(self.oldest_ms.unwrap_or(0));
        let sum = sum.number(self.last_time_ms).number(self.last_appended_ms);
        let sum = sum.int(self.is_closed.into()).int(self.upload_open.into());
        let sum = sum.text(self.stream_seq.as_deref()).text(Some(settings));
        let sum = sum.int(self.is_created.into()).int(self.is_deleted.into()).number(self.used_ms);
        let sum = sum.int(source.map_or(-1, |source| source.log)).text(at);
        let sum = sum.number(source.map_or(u64::MAX, |source| source.bytes as u64));
        sum.number(source.map_or(0, |source| source.base)).get()
    }
}

/// Writes a lineage: the last cursor of each past epoch, and the current epoch. `1-0,2-40,3`
fn write_lineage(lineage: &Lineage) -> String {
    let mut text = String::new();
    for &(epoch, end) in lineage.past() {
        // Writing to a string does not fail.
        let _ = write!(text, "{},", Cursor::new(epoch, end));
    }
    let current = Cursor::new(lineage.current(), 0).to_string();
    text.push_str(current.strip_suffix("-0").unwrap_or(&current));
    text
}

/// Reads what [`write_lineage`] has written. `None`: it is damaged.
fn read_lineage(text: &str) -> Option<Lineage> {
    let (past, current) = match text.rsplit_once(',') {
        Some((past, current)) => (Some(past), current),
        None => (None, text),
    };
    let past = past.into_iter().flat_map(|past| past.split(','));
    let past = past.map(|cursor| Cursor::parse(cursor.as_bytes()).map(|at| (at.epoch(), at.seq())));
    let past: Vec<(Epoch, u64)> = past.collect::<Result<_, _>>().ok()?;
    let current: Cursor = format!("{current}-0").parse().ok()?;
    Lineage::from_parts(&past, current.epoch())
}
