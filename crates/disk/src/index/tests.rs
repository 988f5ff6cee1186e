use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::schema;

/// The same as an index, as a naive list: each number with its entry, and whether a run has it.
#[derive(Debug, Default)]
struct Naive {
    all: Vec<(u64, Entry, bool)>,
    next: u64,
    runs: Vec<Run>,
}

impl Naive {
    fn entries(&self, run: &Run) -> Vec<Entry> {
        (run.first..run.end()).map(|n| self.all[self.at(n).expect("it has it")].1).collect()
    }

    fn at(&self, number: u64) -> Option<usize> {
        self.all.iter().position(|&(of, ..)| of == number)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Fold(usize),
    /// Each bit says whether a run goes.
    Forget(u64),
    Cut(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..900_usize).prop_map(Step::Push),
        2 => (1..9_usize).prop_map(Step::Fold),
        1 => prop_oneof![Just(1), Just(3), any::<u64>()].prop_map(Step::Forget),
        1 => (0..9_u64).prop_map(Step::Cut),
    ];
    prop::collection::vec(step, 0..60)
}

/// A run of at most this many messages, so that small tests have many.
const SMALL: usize = 5;

fn fold(index: &mut Index, naive: &mut Naive, count: usize) {
    let (first, tail) = index.tail();
    let tail: Vec<Entry> = tail.iter().take(count).copied().collect();
    if tail.is_empty() {
        return;
    }
    let last = index.last_run().copied().filter(|run| (run.count as usize) < SMALL && run.end() == first);
    let (start, mut entries) = match last {
        Some(run) => (run.first, naive.entries(&run)),
        None => (first, Vec::new()),
    };
    let room = SMALL - entries.len();
    entries.extend(tail.into_iter().take(room));
    let run = Run::new(start, &entries);
    index.folded(run);
    if last.is_some() {
        naive.runs.pop();
    }
    naive.runs.push(run);
    let end = run.end();
    naive.all.iter_mut().filter(|(number, ..)| *number < end).for_each(|(.., is_run)| *is_run = true);
}

proptest! {
    #[test]
    fn it_is_a_list(head in 0..50_u64, steps in steps(), ask in 0..9_usize, bytes in 0..3_000_usize) {
        let (mut index, mut naive) = (Index::new(head), Naive { next: head + 1, ..Naive::default() });
        for step in steps {
            match step {
                Step::Push(size) => {
                    let entry = Entry { id: naive.next * 3, size, appended_ms: naive.next };
                    index.push(entry);
                    naive.all.push((naive.next, entry, false));
                    naive.next += 1;
                }
                Step::Fold(count) => fold(&mut index, &mut naive, count),
                Step::Forget(bits) => {
                    let goes = |at: usize| at < 64 && bits >> at & 1 == 1;
                    let gone = naive.runs.iter().enumerate().filter(|&(at, _)| goes(at)).map(|(_, run)| *run);
                    let gone: Vec<Run> = gone.collect();
                    index.forget(&gone.iter().map(|run| run.first).collect::<Vec<_>>());
                    naive.runs.retain(|run| !gone.contains(run));
                    let is_in = |of: u64| gone.iter().any(|run| (run.first..run.end()).contains(&of));
                    naive.all.retain(|&(of, ..)| !is_in(of));
                }
                Step::Cut(ahead) => {
                    let number = index.tail().0 + ahead;
                    index.cut_tail(number);
                    naive.all.retain(|&(of, _, is_run)| is_run || of >= number);
                }
            }
            prop_assert_eq!(index.next(), naive.next);
            prop_assert_eq!(index.first(), naive.all.first().map_or(naive.next, |&(first, ..)| first));
            prop_assert_eq!(index.last_run(), naive.runs.last());
            for number in 0..naive.next + 3 {
                let expected = match naive.at(number).map(|at| naive.all[at]) {
                    None => Place::Absent,
                    Some((_, entry, false)) => Place::Tail(entry),
                    Some(_) => {
                        let run = naive.runs.iter().find(|run| (run.first..run.end()).contains(&number));
                        Place::Run(run.expect("a run has it"))
                    }
                };
                prop_assert_eq!(index.find(number), expected, "{}", number);
            }
        }
        for from in 1..naive.next {
            let mut pieces = Pieces::new(ask, bytes);
            index.collect(7, from, naive.next - 1, &mut pieces);
            check(&pieces, &naive, from, ask, bytes)?;
        }
    }
}

/// Pieces are contiguous, right, and hold at least what fits.
fn check(pieces: &Pieces, naive: &Naive, from: u64, ask: usize, bytes: usize) -> Result<(), TestCaseError> {
    let (mut number, mut got) = (from, Vec::new());
    for (log, piece) in &pieces.list {
        prop_assert_eq!(*log, 7);
        let is_there = |n: u64| naive.at(n).is_some();
        match piece {
            Piece::Run { run, first, last } => {
                prop_assert_eq!(*first, number);
                prop_assert!(naive.runs.contains(run) && run.first <= *first && *last < run.end());
            }
            Piece::Tail { first, entries } => {
                prop_assert_eq!(*first, number);
                for (n, entry) in (*first..).zip(entries) {
                    prop_assert_eq!(naive.all[naive.at(n).expect("it is there")].1, *entry);
                }
            }
            Piece::Lost { first, last } => {
                prop_assert_eq!(*first, number);
                prop_assert!((*first..=*last).all(|n| !is_there(n)));
            }
        }
        got.extend(number..number + piece.count());
        number += piece.count();
    }
    prop_assert!(got.len() <= ask);
    // What fits.
    let (mut sum, mut fits) = (0, 0);
    for n in from..naive.next {
        sum += naive.at(n).map_or(0, |at| naive.all[at].1.size);
        if fits == ask || (sum > bytes && fits > 0) {
            break;
        }
        fits += 1;
    }
    prop_assert!(got.len() >= fits, "{} of {}", got.len(), fits);
    Ok(())
}

#[test]
fn numbers_between_two_runs_are_lost() {
    let run = |first, count| Run { first, count, bytes: 10, last_appended_ms: 1 };
    let mut index = Index::new(0);
    index.push_run(run(1, 3));
    index.push_run(run(6, 2));
    index.push(Entry { id: 90, size: 1, appended_ms: 2 });
    assert_eq!((index.first(), index.next()), (1, 9));
    let mut pieces = Pieces::new(100, 1_000);
    index.collect(1, 2, 9, &mut pieces);
    let list: Vec<Piece> = pieces.list.into_iter().map(|(_, piece)| piece).collect();
    let entries = vec![Entry { id: 90, size: 1, appended_ms: 2 }];
    assert_eq!(
        list,
        [
            Piece::Run { run: run(1, 3), first: 2, last: 3 },
            Piece::Lost { first: 4, last: 5 },
            Piece::Run { run: run(6, 2), first: 6, last: 7 },
            Piece::Tail { first: 8, entries },
            Piece::Lost { first: 9, last: 9 },
        ]
    );
}

#[test]
fn a_run_that_was_changed_is_damaged() {
    let mut db = Connection::open_in_memory().expect("a database");
    schema::migrate(&mut db).expect("tables");
    let entries = [Entry { id: 3, size: 100, appended_ms: 7 }, Entry { id: 9, size: 200, appended_ms: 7 }];
    let run = Run::new(41, &entries);
    assert_eq!((run.count, run.bytes, run.last_appended_ms, run.end()), (2, 300, 7, 43));
    write_run(&db, 5, &run, &entries[..1]).expect("a row");
    write_run(&db, 5, &run, &entries).expect("it takes the place of the other");
    assert_eq!(read_run(&db, 5, 41).expect("it is right"), entries);
    let (entries_sum, sum_there): (i64, i64) = db
        .query_row("SELECT entries_sum, sum FROM run", (), |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("a row");
    assert_eq!(sum(5, &run, entries_sum), sum_there);
    assert!(matches!(read_run(&db, 5, 42), Err(ReadRunError::Damaged)), "it is missing");
    for change in
        ["entries = x'060000030000'", "entries_sum = entries_sum + 1", "first = 42", "log = 6", "count = 3"]
    {
        db.execute_batch(&format!("SAVEPOINT s; UPDATE run SET {change}")).expect("a change");
        let (log, first) = db
            .query_row("SELECT log, first FROM run", (), |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))
            .expect("a row");
        let read = read_run(&db, log, first.cast_unsigned());
        assert!(matches!(read, Err(ReadRunError::Damaged)), "{change}: {read:?}");
        db.execute_batch("ROLLBACK TO s; RELEASE s").expect("back");
    }
    db.execute_batch("DROP TABLE run").expect("no table");
    assert!(matches!(read_run(&db, 5, 41), Err(ReadRunError::Database(_))));
}
