use std::collections::HashMap;
use std::sync::mpsc;

use tidewire_channel::{Budget, Continuity, Cursor, Epoch, Lineage, ResetReason, Retention, Since};
use tidewire_store::{Answer, ChannelName, ChannelSettings, Limits, LogInfo, Message, Retain, later};

use super::*;
use crate::directory::Directory;
use crate::entry::Entry;
use crate::index::{Index, RUN, Run, read_run, write_run};
use crate::names::Names;
use crate::page::Look;
use crate::row::{self, MessageRow};
use crate::seen::{Seen, SeenState};

const START: u64 = 1_795_000_000_000;

/// A database that a simple writer fills: what readers see is what it has.
struct World {
    dir: tempfile::TempDir,
    directory: Directory,
    db: Connection,
    shared: Arc<Shared>,
    pool: ReadPool,
    next_id: u64,
    /// What each log was given, by id and number.
    said: HashMap<(i64, u64), Arc<Message>>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let directory = Directory::open(dir.path()).expect("it is free");
        let db = directory.open_writer().expect("a database");
        // The tests do not cut the power.
        db.pragma_update(None, "synchronous", "OFF").expect("a setting");
        let names = Names::load(&db, Epoch::new(1), Limits::DEFAULT).expect("there are none");
        let shared = Arc::new(Shared::new(names));
        let pool = pool(&directory, &shared, 2);
        Self { dir, directory, db, shared, pool, next_id: 1, said: HashMap::new() }
    }

    /// Starts other threads.
    fn restart(&mut self, threads: usize) {
        self.pool = pool(&self.directory, &self.shared, threads);
    }

    fn log(&self, id: i64, text: &str) -> Arc<Seen> {
        let lineage = lineage(&[(1, 0)], 1_000 + id.cast_unsigned());
        self.add(id, text, lineage, 0, None)
    }

    fn fork(&self, id: i64, text: &str, source: &Arc<Seen>, base: u64) -> Arc<Seen> {
        let of_source = source.lock().info.lineage.clone();
        let at = of_source.at(base);
        let past = of_source.past().iter().copied().filter(|&(_, end)| end < base);
        let past: Vec<_> = past.chain([(at.epoch(), base)]).collect();
        let epoch = Epoch::new(1_000 + id.cast_unsigned());
        let lineage = Lineage::from_parts(&past, epoch).expect("the ends increase");
        self.add(id, text, lineage, base, Some((source.clone(), base)))
    }

    fn add(
        &self,
        id: i64,
        text: &str,
        lineage: Lineage,
        head: u64,
        source: Option<(Arc<Seen>, u64)>,
    ) -> Arc<Seen> {
        let mut info = LogInfo::new(lineage, Arc::default());
        info.head = head;
        let (log, index) = (id, Index::new(head));
        let seen = Seen::new(SeenState { info, log, index, source, is_deleted: false, oldest_ms: None });
        let seen = Arc::new(seen);
        self.shared.change(|logs, _| logs.insert(name(text), seen.clone()));
        seen
    }

    fn say(&mut self, seen: &Seen, texts: &[&str]) {
        for text in texts {
            self.append(seen, Message::new(text.to_string().into(), START));
        }
    }

    /// Appends a message, in a transaction of its own if there is none.
    fn append(&mut self, seen: &Seen, message: Message) {
        let id = self.next_id;
        self.next_id += 1;
        let mut state = seen.lock();
        let number = state.index.next();
        let cursor = Cursor::new(state.info.lineage.current(), number);
        let row = MessageRow { id, log: state.log, cursor, appended_ms: START, message: &message };
        row::insert(&self.db, &row).expect("a row");
        state.index.push(Entry { id, size: message.weight(), appended_ms: START });
        state.info.head = number;
        state.oldest_ms.get_or_insert(START);
        self.said.insert((state.log, number), Arc::new(message));
    }

    fn fill(&mut self, seen: &Seen, count: usize) {
        self.db.execute_batch("BEGIN").expect("a transaction");
        for n in 0..count {
            self.append(seen, Message::new(format!("{n}").into(), START));
        }
        self.db.execute_batch("COMMIT").expect("the end of it");
    }

    /// Moves the tail of a log to runs.
    fn fold(&self, seen: &Seen) {
        loop {
            let (log, first, tail, last) = {
                let state = seen.lock();
                let (first, tail) = state.index.tail();
                let tail: Vec<Entry> = tail.iter().copied().collect();
                (state.log, first, tail, state.index.last_run().copied())
            };
            if tail.is_empty() {
                return;
            }
            let last = last.filter(|run| (run.count as usize) < RUN && run.end() == first);
            let mut entries =
                last.map_or(Vec::new(), |run| read_run(&self.db, log, run.first).expect("a run"));
            let room = RUN - entries.len();
            entries.extend(tail.into_iter().take(room));
            let run = Run::new(last.map_or(first, |run| run.first), &entries);
            write_run(&self.db, log, &run, &entries).expect("a run");
            seen.lock().index.folded(run);
        }
    }

    fn ask(&self, text: &str, since: impl Into<Since>, budget: Budget) -> Result<Page, ReadError> {
        let request = request(text, since, budget);
        match self.shared.look(&request) {
            Look::Answer(answer) => answer,
            Look::Expire => panic!("nothing is too old"),
            Look::Rows => self.read(request).wait().expect("it answers"),
        }
    }

    fn read(&self, request: ReadRequest) -> Answer<Result<Page, ReadError>> {
        let (respond, answer) = later();
        self.pool.read(request, respond);
        Answer::Later(answer)
    }

    fn page(&self, text: &str, since: impl Into<Since>, budget: Budget) -> Page {
        let page = self.ask(text, since, budget).expect("there is a log");
        let mut number = page.start.seq();
        let seen = self.shared.find(&name(text)).expect("there is a log");
        for (cursor, message) in &page.messages {
            number += 1;
            assert_eq!(*cursor, page.info.lineage.at(number));
            let mut of = seen.clone();
            let log = loop {
                let (log, source) = {
                    let state = of.lock();
                    (state.log, state.source.clone())
                };
                match source {
                    Some((source, base)) if number <= base => of = source,
                    _ => break log,
                }
            };
            assert_eq!(self.said.get(&(log, number)), Some(message), "{cursor}");
        }
        assert_eq!(page.more, number < page.info.head);
        page
    }

    fn sql(&self, sql: &str) {
        let changed = self.db.execute(sql, ()).expect("a change");
        assert!(changed > 0, "{sql}");
    }

    /// Reads on until the head, and tells how each page went on.
    fn read_all(&self, text: &str, since: impl Into<Since>, budget: Budget) -> Vec<(Continuity, usize)> {
        let (mut since, mut pages) = (since.into(), Vec::new());
        loop {
            let page = self.page(text, since, budget);
            pages.push((page.continuity, page.messages.len()));
            if !page.more {
                return pages;
            }
            assert_ne!(since, page.cursor.into(), "a reader goes on");
            since = page.cursor.into();
        }
    }
}

fn pool(directory: &Directory, shared: &Arc<Shared>, threads: usize) -> ReadPool {
    let readers = (0..threads).map(|_| directory.open_reader().expect("a reader")).collect();
    ReadPool::start(readers, shared.clone()).expect("threads")
}

fn lineage(past: &[(u64, u64)], current: u64) -> Lineage {
    let past: Vec<_> = past.iter().map(|&(epoch, end)| (Epoch::new(epoch), end)).collect();
    Lineage::from_parts(&past, Epoch::new(current)).expect("the ends increase")
}

fn name(text: &str) -> ChannelName {
    ChannelName::new(text).expect("a good name")
}

fn request(text: &str, since: impl Into<Since>, budget: Budget) -> ReadRequest {
    ReadRequest { name: name(text), since: since.into(), budget, now_ms: START }
}

fn texts(page: &Page) -> Vec<&str> {
    page.messages.iter().map(|(_, message)| message.text().expect("a text")).collect()
}

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
fn a_damaged_run_is_one_gap_and_a_long_damage_several_pages() {
    let mut world = World::new();
    let tide = world.log(1, "tide");
    world.fill(&tide, 10_000);
    world.fold(&tide);
    let at = |n| Cursor::new(Epoch::new(1_001), n);
    let gap = |from: u64, to: u64| Continuity::Gap { from: at(from), to: at(to), missed: to - from };
    assert_eq!(world.page("tide", at(1), Budget::UNLIMITED).messages.len(), 9_999);
    world.sql("UPDATE run SET entries = zeroblob(3 * 128) WHERE first = 129");
    let pages = world.read_all("tide", at(1), Budget::messages(1_000));
    assert_eq!(pages[..2], [(Continuity::Resumed, 127), (gap(128, 256), 1_000)]);
    world.sql("UPDATE run SET entries_sum = 0 WHERE first > 256");
    // Its threads remember no runs.
    world.restart(1);
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
