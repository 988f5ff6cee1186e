use super::*;
use crate::testing::{database, name};

fn limits() -> Limits {
    Limits::DEFAULT.with_max_forgotten(3).with_max_deleted(3).with_deleted_ms(100)
}

/// What can be seen of some names.
fn look(names: &Names, now_ms: u64) -> Vec<(Cursor, bool)> {
    (0..8).map(|n| name(&format!("n{n}"))).map(|n| (names.start(&n), names.is_deleted(&n, now_ms))).collect()
}

#[test]
fn names_are_the_same_after_a_restart_and_after_a_failure() {
    let (_dir, database) = database();
    let db = &database.db;
    let load = || {
        let meta = Meta::load(db).expect("it is good").expect("it is there");
        Names::load(db, meta.epoch, limits()).expect("it is good")
    };
    let mut names = load();
    let mut random = 7_u64;
    for step in 0..500_u64 {
        let now_ms = step * 9;
        let before = look(&names, now_ms);
        db.execute_batch("BEGIN").expect("it begins");
        for _ in 0..3 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let name = name(&format!("n{}", (random >> 33) % 8));
            let done = match (random >> 40) % 4 {
                0 => names.forget(db, &name),
                1 => names.delete(db, &name, now_ms),
                2 => names.reuse(db, &name),
                _ => names.expire(db, now_ms),
            };
            done.expect("it is written");
        }
        if (random >> 45).is_multiple_of(3) {
            db.execute_batch("ROLLBACK").expect("it ends");
            names.roll_back();
            assert_eq!(look(&names, now_ms), before, "step {step}");
        } else {
            db.execute_batch("COMMIT").expect("it ends");
            names.commit();
        }
        for now_ms in [now_ms, now_ms + 50] {
            assert_eq!(look(&load(), now_ms), look(&names, now_ms), "step {step}");
        }
        if step % 100 == 99 {
            names = load();
        }
    }
}

#[test]
fn each_log_of_a_name_has_an_epoch_of_its_own() {
    let (_dir, database) = database();
    let meta = Meta::load(&database.db).expect("it is good").expect("it is there");
    let mut names = Names::load(&database.db, meta.epoch, limits()).expect("it is good");
    let (mut seen, name, never) = (std::collections::HashSet::new(), name("n"), name("never"));
    for _ in 0..20 {
        assert!(seen.insert(names.start(&name)));
        names.forget(&database.db, &name).expect("it is written");
        assert_eq!(names.start(&never).epoch(), meta.epoch);
    }
    // There is no room for the counts of more names: all begin anew, in another epoch.
    for other in 0..3 {
        let other = crate::testing::name(&format!("other{other}"));
        names.forget(&database.db, &other).expect("it is written");
    }
    assert!(seen.insert(names.start(&name)));
    assert_eq!(names.start(&never), names.start(&name));
}
