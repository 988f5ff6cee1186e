use super::*;
use crate::testing::database;

/// What the start says about the file or directory at `path`.
fn refusal(path: &Path) -> OpenError {
    match Directory::open(path) {
        Ok(dir) => dir.open_writer().expect_err("it must be refused"),
        Err(error) => error,
    }
}

#[test]
fn one_process_uses_a_directory() {
    let (dir, database) = database();
    let path = dir.path().join("data");
    let error = refusal(&path);
    assert_eq!(error, OpenError::InUse { path: path.join("lock") });
    assert!(error.to_string().contains("Only one server may use a directory"), "{error}");
    drop(database);
    drop(Directory::open(&path).expect("it is free again"));
}

#[test]
fn a_later_database_and_one_of_another_program_are_refused_and_left_as_they_were() {
    let (dir, database) = database();
    let path = dir.path().join("data");
    database.db.execute_batch("PRAGMA user_version = 7").expect("this is SQL");
    drop(database);
    let before = std::fs::read(path.join(DATABASE)).expect("it is there");
    let error = refusal(&path);
    assert_eq!(error, OpenError::Later { path: path.join(DATABASE), found: 7, known: schema::FORMAT });
    assert!(
        error.to_string().contains("later version of Tidewire (format 7; this one knows up to 1)"),
        "{error}"
    );
    assert_eq!(std::fs::read(path.join(DATABASE)).expect("it is there"), before);

    let db = Connection::open(path.join(DATABASE)).expect("it can be opened");
    db.execute_batch("PRAGMA user_version = 1; PRAGMA application_id = 7").expect("this is SQL");
    drop(db);
    assert_eq!(refusal(&path), OpenError::NotOurs { path: path.join(DATABASE) });
    std::fs::write(path.join(DATABASE), "a letter, which is long enough to be no database at all")
        .expect("room");
    let error = refusal(&path);
    assert_eq!(error, OpenError::NotOurs { path: path.join(DATABASE) });
    assert!(error.to_string().contains("move the file away"), "{error}");
}

#[test]
fn a_damaged_structure_is_refused() {
    let (dir, mut database) = database();
    let mut row = database.add_log(1);
    database.append_folded(&mut row, 2_000);
    drop(database);
    let path = dir.path().join("data").join(DATABASE);
    let good = std::fs::read(&path).expect("it is there");
    // Pages of 4 KiB. The first has the schema, and others have what the start reads.
    let mut found = 0;
    for page in (0..good.len()).step_by(4096) {
        let mut bad = good.clone();
        bad[page..page + 4096].fill(0xa5);
        if page == 0 {
            bad[..100].copy_from_slice(&good[..100]);
        }
        std::fs::write(&path, &bad).expect("there is room");
        let error =
            match Directory::open(path.parent().expect("a directory")).and_then(|dir| dir.open_writer()) {
                Ok(db) => match crate::load::load_all(&db, &tidewire_store::Limits::DEFAULT) {
                    Ok(loaded) => {
                        // Only messages, or entries of runs: a reader is told of them.
                        assert_eq!(loaded.logs[0].head(), 2_000);
                        continue;
                    }
                    Err(error) => OpenError::load(&path, error),
                },
                Err(error) => error,
            };
        assert!(matches!(error, OpenError::Damaged { .. }), "page {page}: {error}");
        assert!(error.to_string().contains("integrity_check"), "{error}");
        found += 1;
    }
    assert!(found >= 5, "{found}");
}

#[test]
fn a_file_is_no_directory() {
    let dir = tempfile::tempdir().expect("there is room");
    let path = dir.path().join("file");
    std::fs::write(&path, "x").expect("there is room");
    let error = refusal(&path);
    assert!(matches!(error, OpenError::Directory { .. }), "{error:?}");
    assert!(error.to_string().contains("Name a directory that the server may write"), "{error}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_use_what_is_made() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, mut database) = database();
    database.add_log(1);
    database.append(1, tidewire_channel::Cursor::new(tidewire_channel::Epoch::new(101), 1), "text");
    let data = dir.path().join("data");
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&data).expect("it is there") {
        let path = entry.expect("it can be read").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files.push(path.file_name().expect("a name").to_owned());
    }
    files.sort();
    assert_eq!(files, ["lock", DATABASE, "tidewire.db-shm", "tidewire.db-wal"]);
}

#[cfg(unix)]
#[test]
fn a_write_ahead_log_stays_one_file() {
    use std::os::unix::fs::MetadataExt;
    let (_dir, mut database) = database();
    let row = database.add_log(1);
    let file = |database: &Database| std::fs::metadata(database.dir.wal()).expect("it is there").ino();
    let first = file(&database);
    for (mode, number) in ["PASSIVE", "RESTART", "TRUNCATE", "PASSIVE"].into_iter().zip(1..) {
        database.append(1, row.lineage.at(number), "text");
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        database.db.query_row(&sql, (), |_| Ok(())).expect("nobody holds it");
        assert_eq!(file(&database), first, "{mode}");
    }
}

#[cfg(unix)]
use crate::testing::Database;
