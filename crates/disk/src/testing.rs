//! A database that a test fills row by row, as the writer would.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use tidewire_channel::{Cursor, Epoch, Fingerprint, Lineage};
use tidewire_store::{ChannelName, ChannelSettings, Limits, Message};

use crate::directory::Directory;
use crate::entry::Entry;
use crate::index::{RUN, Run, write_run};
use crate::load::{Loaded, load_all};
use crate::log_row::{LogRow, SourceRow};
use crate::meta::Meta;
use crate::once_row::{KeyRow, ProducerRow};
use crate::row::{self, MessageRow};

pub(crate) fn name(text: &str) -> ChannelName {
    ChannelName::new(text).expect("a good name")
}

/// The database of a test, in a directory that is removed afterwards.
pub(crate) fn database() -> (tempfile::TempDir, Database) {
    let dir = tempfile::tempdir().expect("there is room");
    let database = Database::open(&dir.path().join("data"));
    (dir, database)
}

/// A database with something in each table.
pub(crate) fn full() -> (tempfile::TempDir, Database) {
    let (dir, mut database) = database();
    let mut row = database.add_log(1);
    database.append_folded(&mut row, 300);
    let mut fork = database.add_log(2);
    LogRow::delete(&database.db, 2).expect("it is written");
    fork.source = Some(SourceRow { log: 1, at: row.lineage.at(3), bytes: 0, base: 3 });
    (fork.head, fork.crashes) = (3, 1);
    fork.insert(&database.db).expect("it is written");
    let mut other = database.add_log(3);
    database.append_folded(&mut other, 5);
    let cursor = row.lineage.at(2);
    let key =
        KeyRow { log: 1, text: (*b"k").into(), fingerprint: Fingerprint([7; 16]), cursor, appended_ms: 9 };
    key.insert(&database.db).expect("it is written");
    let producer = ProducerRow { log: 1, name: "p".into(), epoch: 0, seq: 0, cursor, appended_ms: 9 };
    producer.save(&database.db).expect("it is written");
    let mut loaded = database.load();
    loaded.names.delete(&database.db, &name("gone"), 9).expect("it is written");
    loaded.crashes.add(&database.db, 0, 9).expect("it is written");
    (dir, database)
}

/// A directory and the connection of its writer.
pub(crate) struct Database {
    pub(crate) dir: Directory,
    pub(crate) db: Connection,
    pub(crate) next_id: u64,
}

impl Database {
    pub(crate) fn open(path: &Path) -> Self {
        let dir = Directory::open(path).expect("it can be used");
        let db = dir.open_writer().expect("it can be opened");
        // A test writes each row in a transaction of its own.
        db.pragma_update(None, "synchronous", "OFF").expect("this is a pragma");
        Self { dir, db, next_id: 1 }
    }

    pub(crate) fn load(&self) -> Loaded {
        load_all(&self.db, &Limits::DEFAULT).expect("it is good")
    }

    pub(crate) fn load_error(&self) -> String {
        load_all(&self.db, &Limits::DEFAULT).expect_err("it is damaged").to_string()
    }

    /// A log with this id, in the epoch `id + 100`.
    pub(crate) fn add_log(&self, id: i64) -> LogRow {
        let lineage = Lineage::from_parts(&[(Epoch::new(1), 0)], Epoch::new(id.unsigned_abs() + 100));
        let row = LogRow {
            id,
            name: Some(name(&format!("log{id}"))),
            lineage: lineage.expect("they increase"),
            crashes: 0,
            head: 0,
            earliest: 0,
            bytes: 0,
            oldest_ms: None,
            last_time_ms: 0,
            last_appended_ms: 0,
            is_closed: false,
            upload_open: false,
            stream_seq: None,
            settings: Arc::new(ChannelSettings::DEFAULT),
            is_created: false,
            is_deleted: false,
            used_ms: 0,
            source: None,
        };
        row.insert(&self.db).expect("it is written");
        row
    }

    /// Appends a message with the next id, and returns its entry.
    pub(crate) fn append(&mut self, log: i64, cursor: Cursor, text: &str) -> Entry {
        let (id, appended_ms) = (self.next_id, 1_000 + self.next_id);
        self.next_id += 1;
        let message = Message::new(text.to_owned().into(), appended_ms + 7);
        let row = MessageRow { id, log, cursor, appended_ms, message: &message };
        row::insert(&self.db, &row).expect("it is written");
        Entry { id, size: message.weight(), appended_ms }
    }

    /// Appends messages to a log that has none in its tail, and puts them into runs.
    pub(crate) fn append_folded(&mut self, row: &mut LogRow, count: u64) {
        let first = row.head + 1;
        let entries: Vec<Entry> = (first..first + count)
            .map(|number| self.append(row.id, row.lineage.at(number), "text"))
            .collect();
        for (entries, first) in entries.chunks(RUN).zip((first..).step_by(RUN)) {
            write_run(&self.db, row.id, &Run::new(first, entries), entries).expect("it is written");
        }
        row.head += count;
        row.oldest_ms = row.oldest_ms.or(entries.first().map(|entry| entry.appended_ms));
        row.bytes += entries.iter().map(|entry| entry.size as u64).sum::<u64>();
        row.update(&self.db).expect("it is written");
        Meta::change(&self.db, |meta| meta.folded = self.next_id - 1).expect("it is written");
    }

    pub(crate) fn set_meta(&self, change: impl FnOnce(&mut Meta)) {
        Meta::change(&self.db, change).expect("it is written");
    }

    /// Changes rows behind the back of the store, as a flipped bit would.
    pub(crate) fn damage(&self, sql: &str) {
        let changed = self.db.execute(sql, ()).expect("this is SQL");
        assert_eq!(changed, 1, "{sql}");
    }
}
