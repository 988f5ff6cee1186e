use super::*;

fn tables(db: &Connection) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 't_' ORDER BY name";
    let mut statement = db.prepare(sql).expect("this is SQL");
    let names = statement.query_map((), |row| row.get(0)).expect("it can be read");
    names.collect::<Result<_, _>>().expect("they are texts")
}

fn version_of(db: &Connection) -> i64 {
    version(db).expect("it is ours")
}

const ONE: Migration = |db| db.execute_batch("CREATE TABLE t1(a); INSERT INTO t1 VALUES(1)");
const TWO: Migration = |db| db.execute_batch("CREATE TABLE t2(a); INSERT INTO t2 SELECT a + 1 FROM t1");
const THREE: Migration = |db| db.execute_batch("CREATE TABLE t3(a); DROP TABLE t1");
/// It fails after it has changed something.
const BROKEN: Migration =
    |db| db.execute_batch("CREATE TABLE t3(a); DROP TABLE t1; INSERT INTO none VALUES(1)");

#[test]
fn a_database_becomes_one_of_today_step_by_step() {
    let mut db = Connection::open_in_memory().expect("there is memory");
    assert_eq!(version_of(&db), 0);
    migrate_by(&mut db, &[ONE]).expect("it is empty");
    assert_eq!((version_of(&db), tables(&db)), (1, vec!["t1".to_owned()]));
    migrate_by(&mut db, &[ONE, TWO, THREE]).expect("it is older");
    assert_eq!((version_of(&db), tables(&db)), (3, vec!["t2".to_owned(), "t3".to_owned()]));
    let two: i64 = db.query_row("SELECT a FROM t2", (), |row| row.get(0)).expect("it was copied");
    assert_eq!(two, 2);
    migrate_by(&mut db, &[ONE, TWO, THREE]).expect("there is nothing to do");
    assert_eq!(version_of(&db), 3);
}

#[test]
fn a_step_that_fails_leaves_the_database_as_it_was() {
    let mut db = Connection::open_in_memory().expect("there is memory");
    let error = migrate_by(&mut db, &[ONE, TWO, BROKEN]).expect_err("the last step fails");
    assert!(matches!(error, MigrateError::Sqlite(_)), "{error:?}");
    assert_eq!((version_of(&db), tables(&db)), (2, vec!["t1".to_owned(), "t2".to_owned()]));
    migrate_by(&mut db, &[ONE, TWO, THREE]).expect("a later program does it right");
    assert_eq!(version_of(&db), 3);
}

#[test]
fn later_and_other_databases_are_left_alone() {
    let mut db = Connection::open_in_memory().expect("there is memory");
    migrate_by(&mut db, &[ONE, TWO]).expect("it is empty");
    let error = migrate_by(&mut db, &[ONE]).expect_err("it is later");
    assert!(matches!(error, MigrateError::Later(2)), "{error:?}");
    for sql in [
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 1",
        "CREATE TABLE t(a)",
        "PRAGMA application_id = 0x54696465",
        "PRAGMA application_id = 0x54696465; PRAGMA user_version = -1",
    ] {
        let mut db = Connection::open_in_memory().expect("there is memory");
        db.execute_batch(sql).expect("this is SQL");
        let error = migrate_by(&mut db, &[ONE]).expect_err("it is of another program");
        assert!(matches!(error, MigrateError::NotOurs), "{sql}: {error:?}");
        assert!(tables(&db).iter().all(|table| table != "t1"));
    }
}
