use super::*;
use crate::testing::{Database, database, full};

#[test]
fn a_copy_is_one_state_of_a_database_in_use() {
    let (dir, mut database) = full();
    let mut row = database.add_log(9);
    database.append_folded(&mut row, 20_000);
    let (data, target) = (dir.path().join("data"), dir.path().join("a/b"));
    let messages = database.load().messages();
    let mut seen = Vec::new();
    let backed = backup(&data, &target, &mut |progress| {
        seen.push(progress);
        // The server goes on meanwhile.
        database.append_folded(&mut row, 100);
    });
    let backed = backed.expect("it can be copied");
    assert_eq!((backed.logs, backed.messages), (4, messages));
    assert_eq!(backed.path, target.join(DATABASE));
    assert_eq!(backed.bytes, std::fs::metadata(&backed.path).expect("it is there").len());
    assert!(seen.is_sorted_by_key(|progress| progress.done), "{seen:?}");
    assert_eq!(seen.last().map(|last| (last.done, last.total)), Some((backed.bytes, backed.bytes)));
    let files: Vec<_> = fs::read_dir(&target).expect("it is there").collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(database.load().messages() > messages);

    let mut copy = Database::open(&target);
    let mut loaded = copy.load();
    assert!(loaded.meta.is_copy);
    assert_eq!(loaded.messages(), messages);
    let before = loaded.logs[0].row.lineage.current();
    assert!(loaded.begin(&mut copy.db, 5).expect("it is written"));
    assert_ne!(loaded.logs[0].row.lineage.current(), before, "a client of the lost future is told");
    assert!(!copy.load().meta.is_copy);
}

#[test]
fn a_stopped_server_can_be_copied_and_nothing_is_left_behind() {
    let (dir, database) = full();
    drop(database);
    let (data, target) = (dir.path().join("data"), dir.path().join("target"));
    let backed = backup(&data, &target, &mut drop).expect("it can be copied");
    assert_eq!(backed.logs, 3);
    let error = backup(&data, &target, &mut drop).expect_err("it is taken");
    assert_eq!(error, BackupError::TargetTaken { path: target.join(DATABASE) });
    assert!(error.to_string().contains("Name a directory that is empty"), "{error}");
    // A copy that was cut off is replaced.
    fs::rename(target.join(DATABASE), target.join("tidewire.db.part")).expect("it is there");
    fs::write(target.join("tidewire.db.part-journal"), "rest").expect("there is room");
    backup(&data, &target, &mut drop).expect("it can be copied");
    assert_eq!(fs::read_dir(&target).expect("it is there").count(), 1);
}

#[test]
fn what_is_no_good_database_is_not_copied() {
    let (dir, database) = database();
    let (data, target) = (dir.path().join("data"), dir.path().join("target"));
    let error = backup(&dir.path().join("none"), &target, &mut drop).expect_err("there is none");
    assert!(error.to_string().contains("has no database"), "{error}");
    assert!(!target.exists());
    database.damage("UPDATE meta SET folded = 9");
    let error = backup(&data, &target, &mut drop).expect_err("it is damaged");
    assert!(matches!(error, BackupError::BadCopy(OpenError::Damaged { .. })), "{error:?}");
    assert_eq!(fs::read_dir(&target).expect("it is there").count(), 0, "the bad copy is removed");
    database.db.execute_batch("PRAGMA user_version = 7").expect("this is SQL");
    let error = backup(&data, &target, &mut drop).expect_err("it is later");
    assert!(matches!(error, BackupError::Source(OpenError::Later { found: 7, .. })), "{error:?}");
    database.db.execute_batch("PRAGMA application_id = 7").expect("this is SQL");
    let error = backup(&data, &target, &mut drop).expect_err("it is of another program");
    assert!(matches!(error, BackupError::Source(OpenError::NotOurs { .. })), "{error:?}");
}
