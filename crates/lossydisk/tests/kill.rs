//! Killed processes: a server whose disk loses power, and a test itself.
//!
//! A test starts this program again, for one of the tests named `child_…`. Without the variable
//! [`FOLDER`], these do nothing.
#![cfg(target_os = "linux")]

use rusqlite::Connection;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tidewire_lossydisk::{Loss, LossyDisk};
use tidewire_testkit::{Rng, deadline::Deadline};

/// The variable with the folder of a child.
const FOLDER: &str = "LOSSYDISK_FOLDER";

fn start(child: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().expect("the path of this program"))
        .args([child, "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts again")
}

fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Commits rows, and writes the number of each after its commit, until it is killed.
#[test]
fn child_that_commits() {
    let Some(folder) = folder() else { return };
    let connection = Connection::open(folder.join("db")).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.pragma_update(None, "synchronous", "full").unwrap();
    connection.pragma_update(None, "wal_autocheckpoint", 50).unwrap();
    connection.execute_batch("create table if not exists t (id integer primary key, data blob)").unwrap();
    loop {
        let done = connection.execute("insert into t (data) values (randomblob(1000))", []);
        if done.is_err() {
            // The power is off. It waits for its end with the files open, as a server may.
            std::thread::park();
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "committed {}", connection.last_insert_rowid()).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn a_server_that_dies_in_a_power_cut_loses_nothing_committed() {
    let folder = tempfile::tempdir().unwrap();
    let disk = LossyDisk::mount(folder.path()).unwrap();
    let mut committed = 0;
    for seed in 0..20 {
        let mut child = start("child_that_commits", disk.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut numbers =
            lines.filter_map(|line| line.unwrap().strip_prefix("committed ")?.parse::<i64>().ok());
        let mut rng = Rng::new(seed);
        let count = 1 + rng.below(100);
        committed = numbers.by_ref().take(count).last().unwrap();
        if rng.chance(50) {
            disk.cut(Loss::Seed(seed));
            child.kill().unwrap();
        } else {
            child.kill().unwrap();
            disk.cut(Loss::Seed(seed));
        }
        // What it wrote before its end is committed too.
        committed = numbers.last().unwrap_or(committed);
        child.wait().unwrap();
        disk.restart().unwrap();
        let connection = Connection::open(disk.path().join("db")).unwrap();
        let check: String = connection.query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok", "seed {seed}");
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let (count, last): (i64, i64) =
            connection.query_row("select count(*), max(id) from t", [], row).unwrap();
        assert!(
            count == last && last >= committed,
            "seed {seed}: {count} rows to {last}, {committed} committed"
        );
    }
    assert!(committed > 0);
}

/// Waits for its own disk.
#[test]
fn child_that_waits_for_itself() {
    let Some(folder) = folder() else { return };
    let disk = LossyDisk::mount(folder).unwrap();
    let file = fs::File::create(disk.path().join("file")).unwrap();
    disk.slow_syncs(Duration::from_secs(3_600));
    std::thread::scope(|scope| {
        scope.spawn(|| file.sync_all());
        let mut out = std::io::stdout().lock();
        writeln!(out, "waiting").unwrap();
        out.flush().unwrap();
    });
}

#[test]
fn a_killed_test_leaves_no_process_and_no_mount() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let mut child = start("child_that_waits_for_itself", &path);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "waiting"));
    let mounted = || fs::read_to_string("/proc/mounts").unwrap().contains(path.to_str().unwrap());
    assert!(mounted());
    child.kill().unwrap();
    let deadline = Deadline::soon();
    deadline.until("the killed process ends", || child.try_wait().unwrap().is_some());
    deadline.until("its disk is unmounted", || !mounted());
}
