use tidewire_channel::{Cursor, Epoch, Fingerprint};

use super::*;
use crate::log_row::SourceRow;
use crate::options::DiskOptions;
use crate::store::DiskStore;
use crate::testing::{Database, database, full};

fn reopened(dir: &tempfile::TempDir, database: Database) -> Database {
    let next_id = database.next_id;
    drop(database);
    Database { next_id, ..Database::open(&dir.path().join("data")) }
}

/// The ids of the tail of a log.
fn tail(log: &LoadedLog) -> Vec<u64> {
    log.index.tail().1.iter().map(|entry| entry.id).collect()
}

#[test]
fn a_new_database_is_empty_and_loses_nothing() {
    let (dir, mut database) = database();
    let mut loaded = database.load();
    assert_eq!((loaded.logs.len(), loaded.next_id, loaded.next_log, loaded.lost), (0, 1, 1, 0));
    assert!(!loaded.begin(&mut database.db, 5).expect("it is written"));
    let epoch = loaded.meta.epoch;
    let mut database = reopened(&dir, database);
    let mut loaded = database.load();
    assert_eq!((loaded.meta.epoch, loaded.meta.is_clean), (epoch, false));
    assert!(loaded.begin(&mut database.db, 6).expect("it is written"), "it was not stopped in order");
    mark_clean(&database.db).expect("it is written");
    let mut database = reopened(&dir, database);
    assert!(!database.load().begin(&mut database.db, 7).expect("it is written"));
    assert_eq!(database.load().crashes.last(), 1);
}

#[test]
fn runs_and_the_tail_make_a_log() {
    let (_dir, mut database) = database();
    let mut row = database.add_log(1);
    database.append_folded(&mut row, 300);
    let mut other = database.add_log(2);
    let entries = [301, 302].map(|number| database.append(1, row.lineage.at(number), "tail"));
    // It was folded, but the fold of all logs has not ended.
    let folded = database.append(2, other.lineage.at(1), "other");
    write_run(&database, &mut other, folded);
    let loaded = database.load();
    let [log, other] = &loaded.logs[..] else { panic!("two logs") };
    assert_eq!(
        log.index.runs().map(|run| (run.first, run.count)).collect::<Vec<_>>(),
        [(1, 128), (129, 128), (257, 44)]
    );
    assert_eq!((log.head(), tail(log)), (302, vec![301, 302]));
    assert_eq!((log.row.last_appended_ms, log.row.last_time_ms), (1_302, 1_309));
    assert_eq!(log.kept_bytes, row.bytes + entries.iter().map(|entry| entry.size as u64).sum::<u64>());
    assert_eq!((other.head(), tail(other).len()), (1, 0));
    assert_eq!((loaded.next_id, loaded.next_log, loaded.messages(), loaded.lost), (304, 3, 303, 0));
}

fn write_run(database: &Database, row: &mut LogRow, entry: Entry) {
    let run = Run::new(1, &[entry]);
    crate::index::write_run(&database.db, row.id, &run, &[entry]).expect("it is written");
    (row.head, row.bytes) = (1, run.bytes);
    row.update(&database.db).expect("it is written");
}

#[test]
fn a_row_comes_back_as_it_was_written() {
    let (_dir, database) = database();
    let mut row = database.add_log(1);
    let mut lineage = row.lineage.clone();
    (1..20).for_each(|n| lineage.begin(Epoch::new(u64::MAX - n), n * 3));
    row.lineage = lineage;
    (row.head, row.earliest, row.bytes) = (70, 70, 0);
    (row.last_time_ms, row.last_appended_ms, row.used_ms) = (u64::MAX, 8, 9);
    row.oldest_ms = Some(u64::MAX);
    (row.is_closed, row.upload_open, row.is_created, row.is_deleted) = (true, true, true, true);
    row.stream_seq = Some("é".into());
    row.update(&database.db).expect("it is written");
    assert_eq!(database.load().logs[0].row, row);
    let mut fork = database.add_log(2);
    LogRow::delete(&database.db, 2).expect("it is written");
    (fork.head, fork.earliest) = (5, 5);
    fork.source = Some(SourceRow { log: 1, at: Cursor::new(Epoch::new(1), 4), bytes: usize::MAX, base: 5 });
    fork.insert(&database.db).expect("it is written");
    row.drop_name(&database.db).expect("it is written");
    let loaded = database.load();
    assert_eq!(loaded.logs.iter().map(|log| &log.row).collect::<Vec<_>>(), [&row, &fork]);
    LogRow::delete(&database.db, 2).expect("it is written");
    assert_eq!(database.load().next_log, 3, "an id is never given twice");
}

#[test]
fn a_crash_begins_an_epoch_in_each_open_log_and_the_same_one_at_each_start() {
    let (dir, mut database) = database();
    let mut row = database.add_log(1);
    database.append_folded(&mut row, 3);
    database.append(1, row.lineage.at(4), "before");
    let mut closed = database.add_log(2);
    closed.is_closed = true;
    closed.update(&database.db).expect("it is written");
    database.set_meta(|meta| meta.is_clean = false);
    let mut loaded = database.load();
    assert!(loaded.begin(&mut database.db, 5).expect("it is written"));
    let lineage = loaded.logs[0].row.lineage.clone();
    assert_eq!(lineage.past(), [(Epoch::new(1), 0), (Epoch::new(101), 4)]);
    assert_eq!(loaded.logs[1].row.lineage.current(), Epoch::new(102), "a closed log has its end");
    assert_eq!([0, 1].map(|log| loaded.logs[log].row.crashes), [1, 0]);

    // Messages after the crash, and no fold. Then two crashes with nothing between them.
    database.append(1, lineage.at(5), "after");
    for time_ms in [6, 7] {
        let mut next = database.load();
        assert_eq!(tail(&next.logs[0]), [4, 5]);
        assert!(next.begin(&mut database.db, time_ms).expect("it is written"));
        let log = &next.logs[0];
        assert_eq!(
            log.row.lineage.past()[..3],
            [(Epoch::new(1), 0), (Epoch::new(101), 4), (lineage.current(), 5)]
        );
        assert_eq!(log.row.lineage.past().len(), 3, "a crash without a message leaves no trace");
        database = reopened(&dir, database);
        let mut again = database.load();
        again.logs[0].apply(&again.crashes);
        assert_eq!(again.logs[0].row, log.row, "the same epochs at the next start");
    }
    assert_eq!(database.load().crashes.last(), 3);
}

#[test]
fn a_copy_and_a_bad_row_count_as_a_crash() {
    let (_dir, mut database) = database();
    database.set_meta(|meta| meta.is_copy = true);
    let mut loaded = database.load();
    assert!(loaded.begin(&mut database.db, 5).expect("it is written"));
    mark_clean(&database.db).expect("it is written");
    assert!(!database.load().begin(&mut database.db, 5).expect("it is written"));
    let row = database.add_log(1);
    database.append(1, row.lineage.at(1), "bad");
    database.damage("UPDATE message SET data = x'00'");
    mark_clean(&database.db).expect("it is written");
    let mut loaded = database.load();
    assert_eq!(loaded.lost, 1);
    assert!(loaded.begin(&mut database.db, 5).expect("it is written"));
}

#[test]
fn a_bad_row_of_the_tail_is_a_lost_message() {
    // What is changed, and what is left of messages 1 to 3 (0: lost).
    for (change, left) in [
        ("data = x'00' WHERE id = 2", &[1, 0, 3][..]),
        ("number = 7 WHERE id = 2", &[1, 0, 3]),
        ("log = 7 WHERE id = 2", &[1, 0, 3]),
        ("epoch = epoch + 1 WHERE id = 2", &[1, 0, 3]),
        ("appended = 0 WHERE id = 2", &[1, 0, 3]),
        ("time = 0 WHERE id = 2", &[1, 0, 3]),
        ("event = '' WHERE id = 2", &[1, 0, 3]),
        ("type = 'a/b' WHERE id = 2", &[1, 0, 3]),
        ("sum = sum + 1 WHERE id = 1", &[0, 2, 3]),
        // The newest one: its number is known, or it is not.
        ("data = x'00' WHERE id = 3", &[1, 2, 0]),
        ("number = 7 WHERE id = 3", &[1, 2]),
    ] {
        let (_dir, mut database) = database();
        let row = database.add_log(1);
        (1..=3).for_each(|number| _ = database.append(1, row.lineage.at(number), "text"));
        database.damage(&format!("UPDATE message SET {change}"));
        let loaded = database.load();
        assert_eq!((tail(&loaded.logs[0]), loaded.lost), (left.to_vec(), 1), "{change}");
        assert_eq!(loaded.next_id, 4);
    }
}

#[test]
fn a_missing_row_of_the_tail_is_a_lost_message() {
    let (_dir, mut database) = database();
    let row = database.add_log(1);
    (1..=3).for_each(|number| _ = database.append(1, row.lineage.at(number), "text"));
    database.damage("DELETE FROM message WHERE id = 2");
    let loaded = database.load();
    assert_eq!((tail(&loaded.logs[0]), loaded.lost), (vec![1, 0, 3], 1));
}

#[test]
fn messages_that_are_not_kept_may_be_gone() {
    let (_dir, mut database) = database();
    let mut row = database.add_log(1);
    database.append_folded(&mut row, 300);
    // It keeps 20 messages of the last run. Its fork needs the first run.
    database.damage("DELETE FROM run WHERE first = 129");
    (row.earliest, row.bytes) = (280, 20);
    row.update(&database.db).expect("it is written");
    assert_eq!(database.load().logs[0].kept_bytes, 20);
    // It keeps nothing.
    database.damage("DELETE FROM run WHERE first = 257");
    (row.earliest, row.bytes) = (300, 0);
    row.update(&database.db).expect("it is written");
    let loaded = database.load();
    assert_eq!((loaded.logs[0].head(), loaded.logs[0].index.first()), (300, 1));
    // Of three new ones, it keeps the last.
    database.next_id += 2;
    database.append(1, row.lineage.at(303), "text");
    row.earliest = 302;
    row.update(&database.db).expect("it is written");
    let loaded = database.load();
    assert_eq!((tail(&loaded.logs[0]), loaded.lost), (vec![0, 0, 303], 0));
    assert_eq!(loaded.messages(), 1);
}

#[test]
fn rows_of_a_dropped_log_are_not_used() {
    let (_dir, mut database) = database();
    let mut row = database.add_log(1);
    database.append_folded(&mut row, 300);
    row.drop_name(&database.db).expect("it is written");
    database.damage("DELETE FROM run WHERE first = 129");
    assert_eq!(database.load().logs[0].head(), 300, "its runs are being deleted");
    database.append(1, row.lineage.at(900), "a row of the tail");
    let loaded = database.load();
    // Rows of its tail too, any number of them. Only the ids of the rest count.
    let (_, tail) = loaded.logs[0].index.tail();
    let last = database.next_id - 1;
    assert_eq!((tail.iter().map(|entry| entry.id).collect(), loaded.lost), (vec![last], 0));
    database.db.execute("DELETE FROM run", ()).expect("this is SQL");
    LogRow::delete(&database.db, 1).expect("it is written");
    database.append(1, Cursor::new(Epoch::new(9), 304), "a row that is deleted later");
    KeyRow {
        log: 1,
        text: (*b"key").into(),
        fingerprint: Fingerprint([7; 16]),
        cursor: Cursor::new(Epoch::new(9), 304),
        appended_ms: 7,
    }
    .insert(&database.db)
    .expect("it is written");
    let loaded = database.load();
    assert_eq!((loaded.logs.len(), loaded.next_id, loaded.lost), (0, 303, 0));
}

#[test]
fn keys_and_producers_come_back_in_the_order_of_age() {
    let (_dir, mut database) = database();
    let row = database.add_log(1);
    for (name, seq, number) in [("b", 0, 1), ("a", 0, 2), ("b", 1, 3)] {
        let cursor = row.lineage.at(number);
        database.append(1, cursor, "text");
        let appended_ms = 1_000 + number / 2;
        let producer = ProducerRow { log: 1, name: name.into(), epoch: 0, seq, cursor, appended_ms };
        producer.save(&database.db).expect("it is written");
        let key = KeyRow {
            log: 1,
            text: format!("{number}").into_bytes().into(),
            fingerprint: Fingerprint([7; 16]),
            cursor,
            appended_ms,
        };
        key.insert(&database.db).expect("it is written");
    }
    let log = &database.load().logs[0];
    let producers = log.producers.iter().map(|producer| (&*producer.name, producer.seq));
    assert_eq!(producers.collect::<Vec<_>>(), [("a", 0), ("b", 1)]);
    let keys = || log.keys.iter().map(|key| &*key.text);
    assert_eq!(keys().collect::<Vec<_>>(), [b"1", b"2", b"3"]);

    // A log was used much later, so they are too old.
    let mut other = database.add_log(2);
    other.used_ms = Limits::DEFAULT.channel.key_age_ms + 1_000;
    other.update(&database.db).expect("it is written");
    let log = &database.load().logs[0];
    assert_eq!(log.keys.iter().map(|key| &*key.text).collect::<Vec<_>>(), [b"2", b"3"]);
    other.used_ms = Limits::DEFAULT.channel.producer_age_ms + 1_001;
    other.update(&database.db).expect("it is written");
    let log = &database.load().logs[0];
    assert_eq!((log.keys.len(), log.producers.len()), (0, 0));
    assert_eq!(KeyRow::delete_old(&database.db, 1_001, 2).expect("it is written"), 1);
    assert_eq!(KeyRow::delete_old(&database.db, 2_000, 1).expect("it is written"), 1);
    assert_eq!(KeyRow::delete_old(&database.db, 2_000, 9).expect("it is written"), 1);
}

#[test]
fn every_damage_is_found_and_named() {
    let all = [
        ("UPDATE log SET head = 299 WHERE id = 1", "log: its checksum"),
        ("UPDATE log SET name = 'other' WHERE id = 1", "log: its checksum"),
        ("UPDATE log SET name = '__bad' WHERE id = 1", "log: its name"),
        ("UPDATE log SET lineage = '1-1,2-0,3' WHERE id = 1", "log: its lineage"),
        ("UPDATE log SET settings = 'x' WHERE id = 1", "log: its settings"),
        ("UPDATE log SET source_at = 'x' WHERE id = 2", "log: source_at"),
        ("UPDATE log SET source_at = NULL WHERE id = 2", "log: its source"),
        ("UPDATE log SET base = 2 WHERE id = 2", "log: its checksum"),
        ("UPDATE log SET oldest = NULL WHERE id = 1", "log: its checksum"),
        ("UPDATE log SET closed = 1 WHERE id = 1", "log: its checksum"),
        ("DELETE FROM log WHERE id = 1", "log: the log that it was forked from is missing"),
        ("DELETE FROM log WHERE id = 3", "run: its log is missing"),
        ("UPDATE run SET count = 127 WHERE log = 1 AND first = 1", "run: its checksum"),
        ("UPDATE run SET entries_sum = 1 WHERE log = 1 AND first = 1", "run: its checksum"),
        ("UPDATE run SET log = 3 WHERE log = 1 AND first = 129", "run: the one before is missing"),
        ("DELETE FROM run WHERE log = 1 AND first = 129", "run: the one before is missing"),
        ("DELETE FROM run WHERE log = 1 AND first = 1", "run: the one before is missing"),
        ("DELETE FROM run WHERE log = 1 AND first = 257", "log: the run of message 257 is missing"),
        ("UPDATE key SET number = 3", "key: its checksum"),
        ("UPDATE producer SET seq = 3", "producer: its checksum"),
        ("UPDATE forgotten SET count = 3", "forgotten: its checksum"),
        ("UPDATE deleted SET time = 3", "deleted: its checksum"),
        ("UPDATE crash SET nonce = 3", "crash: its checksum"),
        ("UPDATE meta SET folded = 1", "meta: its checksum"),
        ("UPDATE meta SET clean = 0", "meta: its checksum"),
        ("DELETE FROM meta", "meta: it is missing"),
    ];
    for (sql, expected) in all {
        let (_dir, database) = full();
        assert_eq!(database.load().logs.len(), 3);
        database.damage(sql);
        let said = database.load_error();
        let (table, what) = expected.split_once(": ").expect("two parts");
        assert!(said.contains(&format!("of the table {table}: {what}")), "{sql}: {said}");
    }
}

#[test]
fn rows_that_do_not_fit_each_other_are_found() {
    let refused = |change: &dyn Fn(&mut Database, &mut LogRow), expected: &str| {
        let (_dir, mut database) = database();
        let mut row = database.add_log(1);
        database.append_folded(&mut row, 200);
        change(&mut database, &mut row);
        let said = database.load_error();
        assert!(said.contains(expected), "{said}");
    };
    let run = |database: &Database, first, count| {
        let entry = Entry { id: 1, size: 1, appended_ms: 1 };
        let entries = vec![entry; count];
        let run = Run { first, count: u32::try_from(count).expect("few"), bytes: 1, last_appended_ms: 1 };
        crate::index::write_run(&database.db, 1, &run, &entries[..1]).expect("it is written");
    };
    refused(&|database, _| run(database, 100, 5), "it overlaps the one before");
    refused(&|database, _| run(database, 201, 5), "it is after the newest message");
    refused(&|database, _| run(database, 1, 129), "it has a wrong number of messages");
    refused(
        &|database, row| {
            row.earliest = 201;
            row.update(&database.db).expect("it is written");
        },
        "its earliest message is after its newest one",
    );
    refused(
        &|database, row| {
            row.lineage.begin(Epoch::new(77), 201);
            row.update(&database.db).expect("it is written");
        },
        "its newest message is before one that it has",
    );
    refused(
        &|database, _| _ = database.append(1, Cursor::new(Epoch::new(77), 201), "text"),
        "it has another epoch than its log",
    );
    refused(
        &|database, row| _ = database.append(1, row.lineage.at(900), "text"),
        "the messages before it are missing",
    );
    refused(
        &|database, row| {
            for number in [201, 201] {
                database.append(1, row.lineage.at(number), "text");
            }
        },
        "its number is there twice",
    );
}

#[test]
fn a_large_database_is_loaded() {
    let size =
        |name: &str, small: u64| std::env::var(name).map_or(small, |size| size.parse().expect("a number"));
    let (logs, each) = (size("TIDEWIRE_TEST_LOGS", 200), size("TIDEWIRE_TEST_MESSAGES", 300));
    let (dir, mut database) = database();
    database.db.execute_batch("BEGIN").expect("it begins");
    for id in 1..=logs.cast_signed() {
        let mut row = database.add_log(id);
        database.append_folded(&mut row, each);
    }
    database.db.execute_batch("COMMIT").expect("it is written");
    mark_clean(&database.db).expect("it is written");
    let database = reopened(&dir, database);
    let begun = std::time::Instant::now();
    let loaded = database.load();
    // With `--nocapture`, and sizes in the environment, this measures the start.
    eprintln!("{logs} logs with {each} messages each: loaded in {:?}", begun.elapsed());
    assert_eq!((loaded.logs.len() as u64, loaded.messages()), (logs, logs * each));
    drop((loaded, database));
    for was_clean in [true, false] {
        let options = DiskOptions::DEFAULT.with_limits(Limits::DEFAULT.with_max_logs(usize::MAX));
        let store = DiskStore::open(dir.path().join("data"), options).expect("it is good");
        let report = *store.start_report();
        assert_eq!((report.logs as u64, report.messages, report.was_clean), (logs, logs * each, was_clean));
        eprintln!("opened in {:?}, after a stop in order: {was_clean}", report.took);
        store.abandon();
    }
}
