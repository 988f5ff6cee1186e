use std::sync::mpsc;

use tidewire_channel::{Budget, Continuity, Cursor, Epoch, ResetReason, Retention, Since};
use tidewire_store::{Answer, ChannelSettings, Retain, later};

use super::world::{START, World, lineage, name, pool, request, texts};
use super::*;
use crate::page::Look;
use crate::row::{self, MessageRow};

#[test]
fn a_page_has_what_the_budget_allows_wherever_the_messages_are() {
    let mut world = World::new();
    let (tide, other) = (world.log(1, "tide"), world.log(2, "other"));
    for n in 0..700_usize {
        // Next to each other, near, and far away.
        for _ in 0..[0, 0, 2, 0, 30][n % 5] {
            world.say(&other, &["between"]);
        }
        world.say(&tide, &[&"x".repeat(n % 7)]);
        if n == 200 || n == 601 {
            world.fold(&tide);
        }
    }
    assert_eq!(tide.lock().index.tail().1.len(), 98);
    let epoch = Epoch::new(1_001);
    let weight = |n: u64| world.said[&(1, n)].weight();
    for from in [0, 1, 5, 127, 128, 129, 500, 601, 602, 698, 699, 700] {
        let since = if from == 0 { Cursor::new(Epoch::new(1), 0) } else { Cursor::new(epoch, from) };
        for messages in [0, 1, 2, 100, 300, usize::MAX] {
            let page = world.page("tide", since, Budget::messages(messages));
            assert_eq!(page.messages.len(), messages.min(700 - from as usize), "{messages} after {from}");
            assert_eq!((page.continuity, page.start), (Continuity::Resumed, since));
        }
        let mut sum = 0;
        for (count, number) in (from + 1..=700).enumerate().take(200) {
            sum += weight(number);
            assert_eq!(world.page("tide", since, Budget::bytes(sum)).messages.len(), count + 1);
            let less = world.page("tide", since, Budget::bytes(sum - 1)).messages.len();
            assert_eq!(less, count.max(1), "the first message in any case");
        }
    }
    assert_eq!(world.page("other", Since::Earliest, Budget::UNLIMITED).messages.len(), 140 * 32);
}

#[test]
fn reads_that_need_no_row_need_no_thread() {
    let mut world = World::new();
    let tide = world.log(1, "tide");
    world.say(&tide, &["one", "two"]);
    let head = tide.lock().info.head_cursor();
    world.pool.stop();
    for (since, budget) in [
        (Since::Now, Budget::UNLIMITED),
        (Since::Earliest, Budget::messages(0)),
        (head.into(), Budget::UNLIMITED),
    ] {
        let page = world.page("tide", since, budget);
        assert_eq!((page.messages.len(), page.more), (0, since == Since::Earliest));
    }
    let absent = world.ask("absent", Since::Now, Budget::UNLIMITED);
    assert!(matches!(absent, Err(ReadError::Absent { start }) if start == Cursor::new(Epoch::new(1), 0)));
    tide.lock().is_deleted = true;
    assert!(matches!(world.ask("tide", Since::Now, Budget::UNLIMITED), Err(ReadError::SoftDeleted)));
    world.shared.change(|logs, names| {
        logs.remove(&name("tide"));
        names.delete(&world.db, &name("tide"), START).expect("a row");
    });
    assert!(matches!(world.ask("tide", Since::Now, Budget::UNLIMITED), Err(ReadError::Deleted)));
    let closed = world.read(request("tide", Since::Earliest, Budget::UNLIMITED)).wait();
    assert!(matches!(closed, Some(Err(ReadError::Failed(_)))), "{closed:?}");
}

#[test]
fn a_message_that_is_too_old_needs_the_writer() {
    let mut world = World::new();
    let tide = world.log(1, "tide");
    world.say(&tide, &["one"]);
    let retention = Retention::DEFAULT.with_max_age_ms(Some(1_000));
    let settings = ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention));
    tide.lock().info.settings = Arc::new(settings);
    let look = |now_ms| {
        let request = ReadRequest { now_ms, ..request("tide", Since::Now, Budget::UNLIMITED) };
        matches!(world.shared.look(&request), Look::Expire)
    };
    assert_eq!([START, START + 999, START + 1_000].map(look), [false, false, true]);
    tide.lock().oldest_ms = None;
    assert!(!look(START + 1_000));
}

#[test]
fn a_bad_row_is_a_gap_of_one() {
    let mut world = World::new();
    let tide = world.log(1, "tide");
    world.say(&tide, &["1", "2", "3", "4", "5", "6"]);
    let (first, at) = (Cursor::new(Epoch::new(1), 0), |n| Cursor::new(Epoch::new(1_001), n));
    let gap = |from, to, missed| Continuity::Gap { from, to: at(to), missed };
    world.sql("UPDATE message SET data = x'78' WHERE number = 3");
    let page = world.page("tide", Since::Earliest, Budget::UNLIMITED);
    assert_eq!((texts(&page), page.more, page.continuity), (vec!["1", "2"], true, Continuity::Fresh));
    let page = world.page("tide", page.cursor, Budget::UNLIMITED);
    assert_eq!((page.continuity, page.start), (gap(at(2), 3, 1), at(3)));
    assert_eq!((texts(&page), page.more), (vec!["4", "5", "6"], false));
    assert_eq!(world.page("tide", at(3), Budget::UNLIMITED).continuity, Continuity::Resumed);

    // Bad rows next to each other are one gap, whatever they have.
    for change in ["number = 40", "log = 2", "epoch = 7", "type = 'a'", "appended = 0", "time = 1", "sum = 1"]
    {
        world.db.execute_batch("SAVEPOINT s").expect("a savepoint");
        world.sql(&format!("UPDATE message SET {change} WHERE number = 4"));
        world.db.execute_batch("RELEASE s").expect("a change");
        let pages = world.read_all("tide", first, Budget::UNLIMITED);
        assert_eq!(pages, [(Continuity::Resumed, 2), (gap(at(2), 4, 2), 2)], "{change}");
        world.sql("DELETE FROM message WHERE id = 4");
        let message = world.said[&(1, 4)].clone();
        let row = MessageRow { id: 4, log: 1, cursor: at(4), appended_ms: START, message: &message };
        row::insert(&world.db, &row).expect("the row again");
    }
    // The first and the last ones.
    world.sql("DELETE FROM message WHERE id IN (1, 6)");
    let pages = world.read_all("tide", first, Budget::UNLIMITED);
    let expected = [(gap(first, 1, 1), 1), (gap(at(2), 3, 1), 2), (gap(at(5), 6, 1), 0)];
    assert_eq!(pages, expected);
    let page = world.page("tide", at(5), Budget::UNLIMITED);
    assert_eq!((page.cursor, page.more, page.messages.len()), (at(6), false, 0), "it is at the head");
    assert_eq!(world.page("tide", page.cursor, Budget::UNLIMITED).continuity, Continuity::Resumed);
    // Who had no position is told of nothing. Who is told of something else is told that alone.
    let page = world.page("tide", Since::Earliest, Budget::messages(1));
    assert_eq!((page.continuity, page.start, texts(&page)), (Continuity::Fresh, at(1), vec!["2"]));
    let page = world.page("tide", Cursor::new(Epoch::new(99), 5), Budget::messages(1));
    let reset = Continuity::Reset { reason: ResetReason::UnknownEpoch, to: at(1) };
    assert_eq!((page.continuity, page.start, texts(&page)), (reset, at(1), vec!["2"]));
    // A gap that is there grows.
    tide.lock().info.earliest = 2;
    let page = world.page("tide", at(1), Budget::messages(1));
    assert_eq!((page.continuity, texts(&page)), (gap(at(1), 3, 2), vec!["4"]));
    // All of them.
    world.sql("DELETE FROM message");
    tide.lock().info.earliest = 0;
    let page = world.page("tide", first, Budget::messages(2));
    assert_eq!((page.continuity, page.cursor, page.more), (gap(first, 6, 6), at(6), false));
}

#[test]
fn messages_of_a_damaged_run_are_searched() {
    let mut world = World::new();
    let (tide, other) = (world.log(1, "tide"), world.log(2, "other"));
    for n in 0..10 {
        world.fill(&tide, 70 + n);
        world.fill(&other, 5);
        world.fold(&tide);
    }
    world.fold(&other);
    let count = 700 + 45;
    let read = |world: &mut World, text| {
        // Its threads remember no runs.
        world.restart(1);
        world.read_all(text, Since::Earliest, Budget::messages(100)).iter().map(|&(_, n)| n).sum::<usize>()
    };
    for damage in [
        "UPDATE run SET entries = zeroblob(3 * 128) WHERE first = 129",
        "UPDATE run SET entries_sum = 0 WHERE first = 1",
        "DELETE FROM run WHERE first = 641",
        "UPDATE run SET count = 5",
        "DELETE FROM run",
    ] {
        world.sql(damage);
        assert_eq!((read(&mut world, "tide"), read(&mut world, "other")), (count, 50), "{damage}");
    }
    // Rows that are bad themselves are not found.
    world.sql("UPDATE message SET data = x'00' WHERE number = 7");
    assert_eq!(read(&mut world, "tide"), count - 1);
}

#[test]
fn a_long_damage_is_several_gaps() {
    let mut world = World::new();
    let tide = world.log(1, "tide");
    world.fill(&tide, 10_000);
    world.fold(&tide);
    let at = |n| Cursor::new(Epoch::new(1_001), n);
    assert_eq!(world.page("tide", at(1), Budget::UNLIMITED).messages.len(), 9_999);
    world.sql("DELETE FROM message WHERE number > 128");
    let pages = world.read_all("tide", at(100), Budget::UNLIMITED);
    let (full, rest) = pages.split_at(1);
    assert_eq!(full, [(Continuity::Resumed, 28)]);
    assert!(
        rest.len() > 1 && rest.iter().all(|&(gap, messages)| gap.is_broken() && messages == 0),
        "{rest:?}"
    );
    let missed = rest.iter().map(|(gap, _)| match gap {
        Continuity::Gap { missed, .. } => *missed,
        other => panic!("{other:?}"),
    });
    assert_eq!(missed.sum::<u64>(), 10_000 - 128);
}

#[test]
fn a_message_of_an_epoch_that_was_forgotten_is_good() {
    let mut world = World::new();
    let tide = world.log(1, "tide");
    world.say(&tide, &["old"]);
    let mut lineage = tide.lock().info.lineage.clone();
    for n in 0..70 {
        lineage.begin(Epoch::new(5_000 + n), n + 1);
        tide.lock().info.lineage = lineage.clone();
        world.say(&tide, &["new"]);
    }
    assert!(tide.lock().info.lineage.past()[0].1 > 5, "it has forgotten the first epochs");
    assert_eq!(world.page("tide", Since::Earliest, Budget::UNLIMITED).messages.len(), 71);
    world.sql("UPDATE message SET epoch = epoch + 1, sum = 0 WHERE number = 5");
    assert_eq!(world.read_all("tide", Since::Earliest, Budget::UNLIMITED).len(), 2);
}

#[test]
fn a_fork_of_a_fork_has_the_messages_of_all() {
    let mut world = World::new();
    let root = world.log(1, "root");
    world.fill(&root, 300);
    world.fold(&root);
    let middle = world.fork(2, "middle", &root, 290);
    world.fill(&middle, 20);
    let empty = world.fork(3, "empty", &middle, 305);
    let leaf = world.fork(4, "leaf", &empty, 305);
    world.fill(&leaf, 5);
    let lower = world.fork(5, "lower", &leaf, 10);
    world.fill(&lower, 3);
    for (text, head) in [("root", 300), ("middle", 310), ("empty", 305), ("leaf", 310), ("lower", 13)] {
        for messages in [1, 7, 100, usize::MAX] {
            let pages = world.read_all(text, Since::Earliest, Budget::messages(messages));
            assert_eq!(pages.iter().map(|(_, count)| count).sum::<usize>(), head, "{text}");
            assert!(pages[1..].iter().all(|(how, _)| *how == Continuity::Resumed));
        }
    }
    // A row of the source is not one of the fork.
    world.sql("UPDATE message SET log = 2 WHERE log = 1 AND number = 7");
    assert_eq!(world.read_all("leaf", Since::Earliest, Budget::UNLIMITED).len(), 2);
}

#[test]
fn a_deep_chain_of_forks_is_read_and_dropped_in_a_loop() {
    let mut world = World::new();
    let mut seen = world.log(1, "0");
    world.say(&seen, &["root"]);
    for n in 0..100_000_i64 {
        let (id, base) = (n + 2, seen.lock().info.head);
        let past = [(1, 0), (1_001, base)];
        seen = world.add(id, "leaf", lineage(&past, 5), base, Some((seen, base)));
    }
    assert_eq!(texts(&world.page("leaf", Since::Earliest, Budget::UNLIMITED)), ["root"]);
    world.shared.change(|logs, _| logs.clear());
    drop(seen);
}

#[test]
fn what_was_evicted_meanwhile_is_no_damage() {
    let mut world = World::new();
    let tide = world.log(1, "tide");
    world.fill(&tide, 300);
    world.fold(&tide);
    let at = |n| Cursor::new(Epoch::new(1_001), n);
    assert_eq!(world.page("tide", at(1), Budget::messages(3)).messages.len(), 3);
    // The reader has the place of the rows, and they are gone when it looks.
    let mut reader = Reader::new(world.directory.open_reader().expect("a reader"));
    let mut job = Job::new(request("tide", at(1), Budget::messages(3)));
    let troubles = Troubles::default();
    world.sql("DELETE FROM message WHERE number <= 200");
    let turn = job.turn(&world.shared, &mut reader, &troubles);
    assert!(matches!(turn, Turn::More), "it looks again: {turn:?}");
    tide.lock().info.earliest = 200;
    tide.lock().index.forget(&[1]);
    let mut turns = std::iter::repeat_with(|| job.turn(&world.shared, &mut reader, &troubles));
    let page = turns.find_map(|turn| match turn {
        Turn::Done(page) => Some(page.expect("a page")),
        Turn::More => None,
    });
    let page = page.expect("it ends");
    assert_eq!(page.continuity, Continuity::Gap { from: at(1), to: at(200), missed: 199 });
    assert_eq!((page.info.earliest, page.messages.len()), (200, 3));
    assert_eq!(troubles.told(), 0, "nothing is wrong");
}

#[test]
fn the_rows_of_another_log_with_the_same_run_are_not_taken_for_its_own() {
    // The thread remembers a run, and the id of the log is given again.
    let mut world = World::new();
    world.restart(1);
    let tide = world.log(1, "tide");
    world.fill(&tide, 10);
    world.fold(&tide);
    assert_eq!(world.page("tide", Since::Earliest, Budget::UNLIMITED).messages.len(), 10);
    world.sql("DELETE FROM message");
    world.sql("DELETE FROM run");
    let tide = world.log(1, "tide");
    world.fill(&tide, 10);
    world.fold(&tide);
    let page = world.page("tide", Since::Earliest, Budget::UNLIMITED);
    assert_eq!((page.continuity, page.messages.len()), (Continuity::Fresh, 10));
}

#[test]
fn a_database_that_fails_is_an_error_and_not_a_gap() {
    let mut world = World::new();
    let tide = world.log(1, "tide");
    world.say(&tide, &["one"]);
    world.db.execute_batch("ALTER TABLE message RENAME TO elsewhere").expect("a change");
    let failed = world.ask("tide", Since::Earliest, Budget::UNLIMITED);
    assert!(matches!(failed, Err(ReadError::Failed(_))), "{failed:?}");
    world.db.execute_batch("ALTER TABLE elsewhere RENAME TO message").expect("a change");
    assert_eq!(texts(&world.page("tide", Since::Earliest, Budget::UNLIMITED)), ["one"]);
}

#[test]
fn a_panic_of_a_callback_ends_no_thread() {
    let mut world = World::new();
    let tide = world.log(1, "tide");
    world.say(&tide, &["one"]);
    let (tell, told) = mpsc::channel();
    for n in 0..10 {
        let tell = tell.clone();
        let (respond, answer) = later::<Result<Page, ReadError>>();
        Answer::Later(answer).then(move |page| {
            tell.send(n).expect("the test lives");
            assert!(page.is_none(), "this panic is a part of the test");
        });
        world.pool.read(request("tide", Since::Earliest, Budget::UNLIMITED), respond);
    }
    assert_eq!(told.iter().take(10).count(), 10);
    assert_eq!(texts(&world.page("tide", Since::Earliest, Budget::UNLIMITED)), ["one"]);
}

#[test]
fn the_last_callback_may_drop_the_pool() {
    let mut world = World::new();
    let tide = world.log(1, "tide");
    world.say(&tide, &["one"]);
    let pool = Arc::new(pool(&world.directory, &world.shared, 1));
    let (respond, answer) = later();
    let (tell, told) = mpsc::channel();
    let (give, get) = mpsc::channel::<Arc<ReadPool>>();
    Answer::Later(answer).then(move |page| {
        drop(get.recv().expect("the pool comes"));
        tell.send(page.is_some()).expect("the test lives");
    });
    pool.read(request("tide", Since::Earliest, Budget::UNLIMITED), respond);
    give.send(pool).expect("the callback waits");
    assert_eq!(told.recv(), Ok(true));
}

#[test]
fn readers_of_a_long_log_do_not_stop_the_others() {
    let mut world = World::new();
    let (long, short) = (world.log(1, "long"), world.log(2, "short"));
    world.fill(&long, 20 * 512);
    world.fold(&long);
    world.say(&short, &["one"]);
    // One thread, and each turn is of one job.
    let pool = pool(&world.directory, &world.shared, 1);
    let (tell, told) = mpsc::channel();
    let (hold, held) = mpsc::channel::<()>();
    let ask = |text: &'static str, held: Option<mpsc::Receiver<()>>| {
        let tell = tell.clone();
        let (respond, answer) = later::<Result<Page, ReadError>>();
        Answer::Later(answer).then(move |page| {
            if let Some(held) = held {
                held.recv().expect("the test lives");
            }
            tell.send((text, page.expect("an answer").expect("a page").messages.len()))
                .expect("the test lives");
        });
        pool.read(request(text, Since::Earliest, Budget::UNLIMITED), respond);
    };
    // The thread waits in the first callback until all others are in the queue.
    ask("short", Some(held));
    ask("long", None);
    ask("short", None);
    hold.send(()).expect("the callback waits");
    let answers: Vec<_> = told.iter().take(3).collect();
    assert_eq!(answers, [("short", 1), ("short", 1), ("long", 20 * 512)]);
}

#[test]
fn a_damaged_page_of_the_file_costs_its_messages_alone() {
    let mut world = World::new();
    let (tide, other) = (world.log(1, "tide"), world.log(2, "other"));
    for n in 0..600 {
        world.say(&tide, &[&format!("tide {n}")]);
        if n % 3 == 0 {
            world.say(&other, &["other"]);
        }
    }
    world.fold(&tide);
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    world.db.query_row(checkpoint, (), |_| Ok(())).expect("all is in the file");
    let path = world.directory.database();
    let mut bytes = std::fs::read(&path).expect("the file");
    let text = bytes.windows(8).position(|bytes| bytes == b"tide 300").expect("it is there");
    let page = text / 4_096 * 4_096;
    assert_eq!(bytes[page], 13, "a leaf of a table");
    let on_page = |n: &usize| {
        let text = format!("tide {n}");
        bytes[page..page + 4_096].windows(text.len()).any(|bytes| bytes == text.as_bytes())
    };
    let lost = (100..600).filter(on_page).count();
    bytes[page] = 0xff;
    std::fs::write(&path, &bytes).expect("it is damaged");
    world.restart(1);
    for messages in [1, 100, usize::MAX] {
        let pages = world.read_all("tide", Cursor::new(Epoch::new(1), 0), Budget::messages(messages));
        let read: usize = pages.iter().map(|&(_, messages)| messages).sum();
        assert_eq!(read, 600 - lost);
        let missed = pages.iter().filter_map(|(how, _)| match how {
            Continuity::Gap { missed, .. } => Some(*missed),
            _ => None,
        });
        assert_eq!(missed.collect::<Vec<_>>(), [lost as u64], "it is one gap");
    }
}
