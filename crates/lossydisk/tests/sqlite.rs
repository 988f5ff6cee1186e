//! SQLite on a disk that loses what was not synced.
#![cfg(target_os = "linux")]

use rusqlite::Connection;
use std::path::Path;
use tempfile::TempDir;
use tidewire_lossydisk::{Loss, LossyDisk};

fn disk() -> (LossyDisk, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    (LossyDisk::mount(folder.path()).expect("a mounted disk"), folder)
}

fn open(path: &Path, mode: &str, sync: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", mode)?;
    connection.pragma_update(None, "synchronous", sync)?;
    // Small, so that a few transactions also make checkpoints.
    connection.pragma_update(None, "wal_autocheckpoint", 20)?;
    connection.execute_batch("create table if not exists t (id integer primary key, data blob)")?;
    Ok(connection)
}

/// How many rows there are. Fails if the database is corrupt, or if a row is missing in between.
fn rows(connection: &Connection) -> Result<i64, String> {
    let text = |error: rusqlite::Error| error.to_string();
    let check: String = connection.query_row("pragma integrity_check", [], |row| row.get(0)).map_err(text)?;
    if check != "ok" {
        return Err(check);
    }
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (count, last): (i64, i64) =
        connection.query_row("select count(*), coalesce(max(id), 0) from t", [], row).map_err(text)?;
    if count == last { Ok(count) } else { Err(format!("{count} rows, and the last one is {last}")) }
}

/// Opens the database, writes some rows and cuts the power. Returns how many rows there were at the
/// beginning and at the end.
fn write(disk: &LossyDisk, mode: &str, sync: &str, seed: u64) -> Result<(i64, i64), String> {
    let text = |error: rusqlite::Error| error.to_string();
    let connection = open(&disk.path().join("db"), mode, sync).map_err(text)?;
    let before = rows(&connection)?;
    for row in 0..seed * 7 % 40 {
        let data = vec![row as u8; (100 + (seed * 997 + row * 131) % 3_000) as usize];
        connection.execute("insert into t (data) values (?1)", [data]).map_err(text)?;
    }
    let after = rows(&connection)?;
    disk.cut(Loss::Seed(seed));
    // From now on, the connection can only be closed.
    Ok((before, after))
}

/// Writes and cuts the power with many seeds. Returns how many rows each cut lost, or how it
/// damaged the database. After a damage, a new database begins.
fn cuts(mode: &str, sync: &str) -> Vec<Result<i64, String>> {
    let (disk, _folder) = disk();
    let mut lost = Vec::new();
    let mut committed = None;
    for seed in 1..=60 {
        match write(&disk, mode, sync, seed) {
            Ok((before, after)) => {
                lost.extend(committed.map(|committed: i64| Ok(committed - before)));
                committed = Some(after);
            }
            Err(damage) => {
                assert!(committed.is_some(), "a new database is damaged: {damage}");
                lost.push(Err(format!("seed {}: {damage}", seed - 1)));
                committed = None;
                std::fs::read_dir(disk.path()).expect("the disk is on").for_each(|name| {
                    std::fs::remove_file(name.expect("a name").path()).expect("a file to remove");
                });
                disk.cut(Loss::Nothing);
            }
        }
        disk.restart().expect("all files are closed");
    }
    lost
}

#[test]
fn with_full_syncs_nothing_is_lost() {
    for (mode, sync) in [("wal", "full"), ("delete", "extra")] {
        let cuts = cuts(mode, sync);
        assert_eq!(cuts.len(), 59);
        let bad: Vec<_> = cuts.iter().filter(|cut| **cut != Ok(0)).collect();
        assert!(bad.is_empty(), "{mode}, {sync}: {bad:?}");
    }
}

/// SQLite says so of `synchronous=FULL` without WAL: the last transaction ends when its journal is
/// removed, and only `EXTRA` syncs the folder then.
#[test]
fn without_a_sync_of_the_folder_the_last_row_is_lost() {
    let cuts = cuts("delete", "full");
    assert!(cuts.iter().all(|cut| matches!(cut, Ok(0 | 1))), "{cuts:?}");
    assert!(cuts.contains(&Ok(1)), "no cut lost a row");
}

#[test]
fn with_syncs_at_checkpoints_only_the_end_is_lost() {
    let cuts = cuts("wal", "normal");
    let bad: Vec<_> = cuts.iter().filter(|cut| cut.is_err()).collect();
    assert!(bad.is_empty(), "{bad:?}");
    assert!(cuts.iter().any(|cut| *cut > Ok(0)), "no cut lost anything: {cuts:?}");
}

#[test]
fn without_syncs_the_database_is_damaged() {
    let cuts = cuts("delete", "off");
    assert!(cuts.iter().any(Result::is_err), "no cut damaged the database: {cuts:?}");
}
