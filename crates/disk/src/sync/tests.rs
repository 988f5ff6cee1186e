use std::sync::mpsc;

use super::*;
use crate::testing::database;

/// Runs the loop that syncs on a thread, with `sync` in place of the disk.
fn syncing(sync: impl FnMut() -> io::Result<()> + Send + 'static) -> SyncThreads {
    let state = Arc::new(SyncState::default());
    let runs = state.clone();
    SyncThreads { state, threads: vec![std::thread::spawn(move || runs.sync_often(sync))] }
}

#[test]
fn each_commit_is_synced() {
    let (synced, syncs) = mpsc::channel();
    let mut threads = syncing(move || synced.send(()).map_err(io::Error::other));
    for _ in 0..3 {
        threads.state().committed(1);
        syncs.recv().expect("a sync follows");
    }
    // The stop does not wait, and forgets nothing.
    threads.state().committed(1);
    assert_eq!(threads.stop(), None);
    syncs.recv().expect("a sync follows");
}

#[test]
fn a_failed_sync_is_told_and_not_tried_again() {
    let (tried, tries) = mpsc::channel();
    let mut threads = syncing(move || {
        tried.send(()).expect("the test waits");
        Err(io::Error::other("no luck"))
    });
    threads.state().committed(1);
    tries.recv().expect("a sync follows");
    let failure = threads.stop().expect("it has failed");
    assert!(failure.contains("no luck"), "{failure}");
    assert_eq!(threads.state().failure(), Some(failure));
    assert_eq!(tries.recv(), Err(mpsc::RecvError));
}

#[test]
fn a_long_write_ahead_log_is_copied_and_begun_anew() {
    let (_dir, database) = database();
    let db = &database.db;
    db.execute_batch("CREATE TABLE t(a)").expect("this is SQL");
    let mut threads = SyncThreads::start(&database.dir, SyncMode::Interval).expect("they start");
    let state = threads.state().clone();
    let in_use = || Wal::checkpoint(db, "NOOP").expect("it can be asked").left();
    while !state.wants_checkpoint() {
        db.execute("INSERT INTO t VALUES(zeroblob(1000000))", ()).expect("there is room");
        state.committed(1_000_000);
    }
    assert!(in_use() > 0);
    state.finish_checkpoint(db);
    assert_eq!(in_use(), 0);
    let len = || std::fs::metadata(database.dir.wal()).expect("it is there").len();
    let before = len();
    db.execute("INSERT INTO t VALUES(1)", ()).expect("there is room");
    assert_eq!(len(), before, "the file is used from its begin");
    assert!(in_use() < 1 << 20);
    state.wait_for_room();
    assert_eq!(threads.stop(), None);
}

#[test]
fn a_reader_that_holds_the_log_does_not_stop_the_writer() {
    let (_dir, database) = database();
    let db = &database.db;
    db.execute_batch("CREATE TABLE t(a)").expect("this is SQL");
    let reader = database.dir.open_reader().expect("it can be opened");
    reader.execute_batch("BEGIN; SELECT * FROM t").expect("this is SQL");
    let mut threads = SyncThreads::start(&database.dir, SyncMode::Never).expect("they start");
    let state = threads.state().clone();
    while !state.wants_checkpoint() {
        db.execute("INSERT INTO t VALUES(zeroblob(1000000))", ()).expect("there is room");
        state.committed(WAIT_AT);
        state.wait_for_room();
    }
    state.finish_checkpoint(db);
    db.execute("INSERT INTO t VALUES(1)", ()).expect("there is room");
    assert!(Wal::checkpoint(db, "NOOP").expect("it can be asked").left() > CHECKPOINT_AT, "it is held");
    assert_eq!((threads.stop(), state.failure()), (None, None));
    drop(reader);
}
