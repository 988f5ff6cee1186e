//! The row of a message.

use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, Row, params};
use tidewire_channel::{Cursor, Epoch};
use tidewire_store::Message;

use crate::sum::Sum;

/// A message as its row has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageRow<'a> {
    /// The id of the row.
    pub(crate) id: u64,
    /// The id of the log.
    pub(crate) log: i64,
    /// The position after the message, with the epoch in which it was written.
    pub(crate) cursor: Cursor,
    /// When it was appended.
    pub(crate) appended_ms: u64,
    /// The message.
    pub(crate) message: &'a Message,
}

/// Writes rows.
pub(crate) struct Inserter<'a>(CachedStatement<'a>);

impl<'a> Inserter<'a> {
    /// Prepares the statement, which takes a tenth of the time of a row.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn new(db: &'a Connection) -> rusqlite::Result<Self> {
        let statement = db.prepare_cached(
            "INSERT INTO message (id, log, number, epoch, appended, time, event, type, data, sum) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        Ok(Self(statement))
    }

    /// Writes a row.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn insert(&mut self, row: &MessageRow<'_>) -> rusqlite::Result<()> {
        let MessageRow { id, log, cursor, appended_ms, message } = *row;
        let parts = Parts {
            log,
            cursor,
            appended_ms,
            time_ms: message.time_ms(),
            event: message.event(),
            content_type: message.content_type(),
            data: message.data(),
        };
        self.0.execute(params![
            id.cast_signed(),
            log,
            cursor.seq().cast_signed(),
            cursor.epoch().get().cast_signed(),
            appended_ms.cast_signed(),
            message.time_ms().cast_signed(),
            message.event(),
            message.content_type(),
            &message.data()[..],
            parts.sum(),
        ])?;
        Ok(())
    }
}

/// Writes one row.
#[cfg(test)]
pub(crate) fn insert(db: &Connection, row: &MessageRow<'_>) -> rusqlite::Result<()> {
    Inserter::new(db)?.insert(row)
}

/// The columns that [`read`] takes, in its order.
pub(crate) const COLUMNS: &str = "id, log, number, epoch, appended, time, event, type, data, sum";

/// A message that was read from its row. Its sum is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The id of the row.
    pub(crate) id: u64,
    /// The id of the log.
    pub(crate) log: i64,
    /// The position after the message, with the epoch in which it was written.
    pub(crate) cursor: Cursor,
    /// When it was appended.
    pub(crate) appended_ms: u64,
    /// The message.
    pub(crate) message: Message,
}

/// Reads a row with the [`COLUMNS`]. `None`: it is damaged.
pub(crate) fn read(row: &Row<'_>) -> Option<Stored> {
    let (id, parts) = parts(row)?;
    let (event, content_type) = (parts.event.map(Into::into), parts.content_type.map(Into::into));
    let data = Bytes::copy_from_slice(parts.data);
    let message = Message::from_parts(event, content_type, data, parts.time_ms);
    let Parts { log, cursor, appended_ms, .. } = parts;
    Some(Stored { id, log, cursor, appended_ms, message })
}

/// What the start needs of a row: all but the message itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The id of the row.
    pub(crate) id: u64,
    /// The id of the log.
    pub(crate) log: i64,
    /// The position after the message, with the epoch in which it was written.
    pub(crate) cursor: Cursor,
    /// When it was appended.
    pub(crate) appended_ms: u64,
    /// The time of the message.
    pub(crate) time_ms: u64,
    /// The bytes that it counts in its log: [`Message::weight`].
    pub(crate) weight: usize,
}

/// Reads a row with the [`COLUMNS`], without building its message. `None`: it is damaged.
pub(crate) fn read_header(row: &Row<'_>) -> Option<Header> {
    let (id, parts) = parts(row)?;
    let len = |text: Option<&str>| text.map_or(0, str::len);
    let weight = Message::weight_of(parts.data.len(), len(parts.event), len(parts.content_type));
    let Parts { log, cursor, appended_ms, time_ms, .. } = parts;
    Some(Header { id, log, cursor, appended_ms, time_ms, weight })
}

/// The parts of a row whose sum is right.
fn parts<'r>(row: &'r Row<'_>) -> Option<(u64, Parts<'r>)> {
    let integer = |index| match row.get_ref(index) {
        Ok(ValueRef::Integer(number)) => Some(number),
        _ => None,
    };
    let unsigned = |index| integer(index).map(i64::cast_unsigned);
    let text = |index| match row.get_ref(index) {
        Ok(ValueRef::Null) => Some(None),
        Ok(ValueRef::Text(text)) => Some(Some(std::str::from_utf8(text).ok()?)),
        _ => None,
    };
    let Ok(ValueRef::Blob(data)) = row.get_ref(8) else { return None };
    let parts = Parts {
        log: integer(1)?,
        cursor: Cursor::new(Epoch::new(unsigned(3)?), unsigned(2)?),
        appended_ms: unsigned(4)?,
        time_ms: unsigned(5)?,
        event: text(6)?,
        content_type: text(7)?,
        data,
    };
    (integer(9)? == parts.sum()).then_some((unsigned(0)?, parts))
}

/// What the sum of a row covers.
#[derive(Clone, Copy, Debug)]
struct Parts<'a> {
    log: i64,
    cursor: Cursor,
    appended_ms: u64,
    time_ms: u64,
    event: Option<&'a str>,
    content_type: Option<&'a str>,
    data: &'a [u8],
}

impl Parts<'_> {
    fn sum(&self) -> i64 {
        let sum = Sum::new().int(self.log).number(self.cursor.seq()).number(self.cursor.epoch().get());
        let sum = sum.number(self.appended_ms).number(self.time_ms);
        sum.text(self.event).text(self.content_type).blob(self.data).get()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};
    use std::path::Path;

    use tidewire_store::Mark;

    use super::*;
    use crate::schema;

    fn database(path: &Path) -> Connection {
        let mut db = Connection::open(path).expect("a database");
        schema::migrate(&mut db).expect("tables");
        db
    }

    fn all(db: &Connection) -> rusqlite::Result<Vec<Option<Stored>>> {
        let sql = format!("SELECT {COLUMNS} FROM message WHERE id BETWEEN 1 AND 9999 ORDER BY id");
        db.prepare(&sql)?.query_map((), |row| Ok(read(row)))?.collect()
    }

    fn messages() -> Vec<Message> {
        let plain = |data: &[u8]| Message::new(Bytes::copy_from_slice(data), 1_795_000_000_000);
        let with = |event, media| {
            let message = plain(b"high").with_event(event).expect("a good name");
            message.with_content_type(media).expect("a good type")
        };
        vec![
            plain(b"high"),
            plain(b""),
            plain(b"\xff\0\xfe"),
            plain("Flutstand 3,2 m \u{1f30a}".as_bytes()),
            plain(&vec![7; 3 << 20]),
            with("tide", "application/json"),
            with("\u{6f6e}", "text/plain;\tcharset=utf-8"),
            plain(b"x").with_event("e").expect("a good name"),
            plain(b"x").with_content_type("a/b").expect("a good type"),
            Message::mark(Mark::End, 1),
            Message::mark(Mark::Aborted, u64::MAX),
            plain(b"before 1970 or far away").with_time(u64::MAX / 2 + 1),
        ]
    }

    #[test]
    fn every_kind_of_message_comes_back_the_same() {
        let db = database(Path::new(":memory:"));
        let messages = messages();
        let cursor = |n: u64| Cursor::new(Epoch::new(u64::MAX - n), n + 1);
        for (n, message) in (0..).zip(&messages) {
            let row = MessageRow { id: n + 1, log: 3, cursor: cursor(n), appended_ms: n << 60, message };
            insert(&db, &row).expect("a row");
        }
        let stored = all(&db).expect("rows");
        assert_eq!(stored.len(), messages.len());
        for ((n, message), stored) in (0..).zip(messages).zip(stored) {
            let stored = stored.expect("its sum is right");
            assert_eq!((stored.message.text(), stored.message.weight()), (message.text(), message.weight()));
            let expected = Stored { id: n + 1, log: 3, cursor: cursor(n), appended_ms: n << 60, message };
            assert_eq!(stored, expected);
        }
        let sql = format!("SELECT {COLUMNS} FROM message ORDER BY id");
        let mut statement = db.prepare(&sql).expect("a statement");
        let headers = statement.query_map((), |row| Ok(read_header(row))).expect("rows");
        for ((n, message), header) in (0..).zip(self::messages()).zip(headers) {
            let (time_ms, weight) = (message.time_ms(), message.weight());
            let expected =
                Header { id: n + 1, log: 3, cursor: cursor(n), appended_ms: n << 60, time_ms, weight };
            assert_eq!(header.expect("a row"), Some(expected));
        }
    }

    /// The size of a page of the file.
    const PAGE: usize = 512;

    /// Whatever bit of the file flips: a row is what was written, or is not there, or is bad, or
    /// the database says that it is damaged.
    #[test]
    fn no_flipped_bit_gives_another_message() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, flipped) = (dir.path().join("good.db"), dir.path().join("flipped.db"));
        let texts = ["high", "low", "neap", ""];
        let good: Vec<Stored> = {
            let db = Connection::open(&path).expect("a database");
            // The smallest file: the flips of each bit take a while.
            db.execute_batch(
                "PRAGMA page_size = 512; PRAGMA journal_mode = DELETE;
                CREATE TABLE message(id INTEGER PRIMARY KEY, log INTEGER NOT NULL, number INTEGER NOT NULL,
                epoch INTEGER NOT NULL, appended INTEGER NOT NULL, time INTEGER NOT NULL, event TEXT,
                type TEXT, data BLOB NOT NULL, sum INTEGER NOT NULL)",
            )
            .expect("a table");
            for (n, text) in (1..).zip(texts) {
                let message = Message::new(text.into(), 1_795_000_000_000).with_event("tide");
                let message = message.expect("a good name");
                let cursor = Cursor::new(Epoch::new(0x1234_5678_9abc_def0), n);
                let row = MessageRow { id: n * 100, log: 1, cursor, appended_ms: n, message: &message };
                insert(&db, &row).expect("a row");
            }
            all(&db).expect("rows").into_iter().map(|row| row.expect("a good one")).collect()
        };
        let bytes = std::fs::read(&path).expect("the file");
        assert_eq!(bytes.len(), 2 * PAGE);
        std::fs::copy(&path, &flipped).expect("a copy");
        let mut file = std::fs::OpenOptions::new().write(true).open(&flipped).expect("the copy");
        let mut write = |at: usize, byte: u8| {
            file.seek(SeekFrom::Start(at as u64)).expect("a place in it");
            file.write_all(&[byte]).expect("a byte");
        };
        let uri = format!("file:{}?immutable=1", flipped.display());
        let (mut bad, mut refused) = (0, 0);
        // The first page has the names of the tables, so every fifth bit is enough. The second one
        // has the rows.
        for bit in (0..PAGE * 8).step_by(5).chain(PAGE * 8..bytes.len() * 8) {
            write(bit / 8, bytes[bit / 8] ^ 1 << (bit % 8));
            let rows = Connection::open(&uri).and_then(|db| all(&db));
            write(bit / 8, bytes[bit / 8]);
            match rows {
                Ok(rows) => {
                    bad += usize::from(rows.iter().any(Option::is_none));
                    for row in rows.into_iter().flatten() {
                        // The id is the key of the row: whoever looks for a row checks it with the
                        // log and the number.
                        let same = good.iter().any(|good| Stored { id: row.id, ..good.clone() } == row);
                        assert!(same, "bit {bit} makes this of a row: {row:?}");
                    }
                }
                Err(_) => refused += 1,
            }
        }
        assert!(bad > 900 && refused > 0, "{bad} bad, {refused} refused");
    }
}
