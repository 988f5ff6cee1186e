//! Compares the log with a naive model, the twin. The twin keeps everything and computes from the
//! rules what must be there. `once.rs` does the same for keys and producers.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use tidewire_channel::{
    Bounds, Budget, Channel, Continuity, Cursor, Epoch, Limits, Lineage, Log, RefusedKind, ResetReason,
    Retention, Since,
};

#[path = "model/once.rs"]
mod once;

const EPOCH: Epoch = Epoch::new(5);

/// Every message that was appended and not lost, and the number of the last evicted one.
struct Twin {
    all: Vec<(u64, usize)>,
    /// The epoch of each number, from 0 on.
    epochs: Vec<Epoch>,
    /// The epoch of the next message.
    epoch: Epoch,
    gone: usize,
    clock_ms: u64,
    is_closed: bool,
}

impl Twin {
    fn new(epoch: Epoch) -> Self {
        Self { all: Vec::new(), epochs: vec![epoch], epoch, gone: 0, clock_ms: 0, is_closed: false }
    }

    fn append(&mut self, now_ms: u64, size: usize, retention: Retention) {
        self.expire(now_ms, retention);
        self.all.push((self.clock_ms, size));
        self.epochs.push(self.epoch);
        self.fit(retention);
    }

    /// The newest messages are lost, and the others are no longer in memory.
    fn lose(&mut self, lost: usize) {
        self.all.truncate(self.all.len().saturating_sub(lost));
        self.epochs.truncate(self.all.len() + 1);
        (self.gone, self.clock_ms) = (self.all.len(), 0);
    }

    fn fit(&mut self, retention: Retention) {
        let over = |kept: &[(u64, usize)]| {
            kept.len() > retention.max_messages
                || kept.iter().map(|message| message.1).sum::<usize>() > retention.max_bytes
        };
        while self.kept().len() > 1 && over(self.kept()) {
            self.gone += 1;
        }
    }

    fn expire(&mut self, now_ms: u64, retention: Retention) {
        self.clock_ms = self.clock_ms.max(now_ms);
        let Some(max_age_ms) = retention.max_age_ms else { return };
        while self.kept().first().is_some_and(|message| message.0 + max_age_ms <= self.clock_ms) {
            self.gone += 1;
        }
    }

    fn kept(&self) -> &[(u64, usize)] {
        &self.all[self.gone..]
    }

    /// The position after message `seq`.
    fn at(&self, seq: usize) -> Cursor {
        Cursor::new(self.epochs[seq], seq as u64)
    }

    fn head(&self) -> Cursor {
        self.at(self.all.len())
    }

    /// The position that a message yet to come would have.
    fn next(&self) -> Cursor {
        Cursor::new(self.epoch, self.all.len() as u64 + 1)
    }

    /// Where a read after a cursor starts, and how that continues what the reader has.
    fn locate(&self, cursor: Cursor) -> (Cursor, Continuity) {
        let (seq, earliest) = (cursor.seq(), self.at(self.gone));
        if (0..=self.all.len()).any(|number| self.at(number) == cursor) {
            return match earliest.seq().checked_sub(seq) {
                None | Some(0) => (cursor, Continuity::Resumed),
                Some(missed) => (earliest, Continuity::Gap { from: cursor, to: earliest, missed }),
            };
        }
        if self.is_closed && cursor == self.next() {
            return (cursor, Continuity::Resumed);
        }
        let (reason, to) = match self.epochs.iter().rposition(|&epoch| epoch == cursor.epoch()) {
            _ if cursor.epoch() == self.epoch && seq > self.head().seq() => {
                (ResetReason::AheadOfLog, earliest)
            }
            Some(end) if cursor.epoch() != self.epoch && seq > end as u64 => {
                (ResetReason::TailLost, self.at(end.max(self.gone)))
            }
            _ => (ResetReason::UnknownEpoch, earliest),
        };
        (to, Continuity::Reset { reason, to })
    }
}

#[derive(Clone, Debug)]
enum Op {
    Append(u64, usize),
    Expire(u64),
    Clear,
    Retain(Retention),
    Skip(usize),
    BeginEpoch,
    /// A restart that loses this number of messages, and begins an epoch if it may have.
    Restart(usize),
    Close,
}

fn retention() -> impl Strategy<Value = Retention> {
    (0_usize..8, 0_usize..60, prop::option::of(0_u64..50)).prop_map(
        |(max_messages, max_bytes, max_age_ms)| {
            Retention::DEFAULT
                .with_max_messages(max_messages)
                .with_max_bytes(max_bytes)
                .with_max_age_ms(max_age_ms)
        },
    )
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        36 => (0_u64..200, 0_usize..20).prop_map(|(now_ms, size)| Op::Append(now_ms, size)),
        12 => (0_u64..200).prop_map(Op::Expire),
        3 => Just(Op::Clear),
        3 => retention().prop_map(Op::Retain),
        2 => (0_usize..4).prop_map(Op::Skip),
        5 => Just(Op::BeginEpoch),
        6 => (0_usize..6).prop_map(Op::Restart),
        1 => Just(Op::Close),
    ];
    prop::collection::vec(op, 0..40)
}

proptest! {
    #[test]
    fn the_log_equals_its_twin(
        mut retention in retention(),
        ops in ops(),
        reads in prop::collection::vec((0_usize..60, 0_u64..45, 0_usize..6, 0_usize..50), 1..20),
    ) {
        let (mut log, mut twin) = (Log::new(EPOCH, retention), Twin::new(EPOCH));
        // All epochs, and the positions of lost messages and of ends.
        let (mut epochs, mut lost) = (vec![EPOCH, Epoch::new(99)], Vec::new());
        for op in ops {
            match op {
                Op::Append(now_ms, size) if twin.is_closed => {
                    let refused = log.append(now_ms, size, 0).unwrap_err();
                    prop_assert_eq!(refused.kind(), RefusedKind::Closed);
                }
                Op::Append(now_ms, size) => {
                    log.expire(now_ms);
                    let earliest_after = log.earliest_after(1, size);
                    let cursor = log.append(now_ms, size, twin.all.len() + 1).unwrap();
                    twin.append(now_ms, size, retention);
                    prop_assert_eq!(cursor, twin.head());
                    prop_assert!(!log.is_empty());
                    prop_assert_eq!(log.earliest(), earliest_after);
                }
                Op::Expire(now_ms) => {
                    let before = twin.gone;
                    twin.expire(now_ms, retention);
                    prop_assert_eq!(log.expire(now_ms), twin.gone - before);
                }
                Op::Clear => {
                    log.clear();
                    twin.gone = twin.all.len();
                }
                Op::Retain(new) => {
                    retention = new;
                    log.set_retention(new);
                    twin.expire(0, new);
                    twin.fit(new);
                }
                Op::Skip(by) => {
                    log.skip_to(log.head().seq() + by as u64);
                    let by = if twin.is_closed { 0 } else { by };
                    twin.all.extend(vec![(twin.clock_ms, 0); by]);
                    twin.epochs.extend(vec![twin.epoch; by]);
                    twin.gone = twin.all.len();
                }
                Op::BeginEpoch => {
                    epochs.push(Epoch::new(100 + epochs.len() as u64));
                    log.begin_epoch(epochs[epochs.len() - 1]);
                    if !twin.is_closed {
                        twin.epoch = epochs[epochs.len() - 1];
                    }
                }
                Op::Restart(_) if twin.is_closed => {}
                Op::Restart(0) => {
                    log = Log::restored(log.lineage().clone(), log.bounds().head, retention).unwrap();
                    twin.lose(0);
                }
                Op::Restart(some) => {
                    lost.extend((0..some.min(twin.all.len())).map(|back| twin.at(twin.all.len() - back)));
                    let head = log.bounds().head.saturating_sub(some as u64);
                    let past_end = log.lineage().past().last().map_or(0, |past| past.1);
                    let unchanged = Log::<()>::restored(log.lineage().clone(), head, retention);
                    // If a message of a past epoch is missing, the lineage does not fit.
                    prop_assert_eq!(unchanged.is_none(), head < past_end);
                    epochs.push(Epoch::new(100 + epochs.len() as u64));
                    let mut lineage = log.lineage().clone();
                    lineage.begin(epochs[epochs.len() - 1], head);
                    log = Log::restored(lineage, head, retention).unwrap();
                    twin.lose(some);
                    twin.epoch = epochs[epochs.len() - 1];
                }
                Op::Close => {
                    twin.is_closed = true;
                    lost.push(twin.next());
                    prop_assert_eq!(log.close(), twin.next());
                }
            }
            compare(&log, &twin, retention)?;
        }
        for (which, seq, messages, bytes) in reads {
            // A place of the log, a lost one, or any.
            let cursor = match which % 3 {
                0 => twin.at((which / 3 * 7 + seq as usize) % twin.epochs.len()),
                1 if !lost.is_empty() => lost[which % lost.len()],
                _ => Cursor::new(epochs[which % epochs.len()], seq),
            };
            read(&log, &twin, cursor, Budget { messages, bytes })?;
        }
    }
}

/// Compares the numbers of a log with those of its twin.
fn compare(log: &Log<usize>, twin: &Twin, retention: Retention) -> Result<(), TestCaseError> {
    let stats = log.stats();
    prop_assert_eq!(stats.messages, twin.kept().len());
    prop_assert_eq!(stats.bytes, twin.kept().iter().map(|message| message.1).sum::<usize>());
    prop_assert_eq!(
        (stats.evicted, stats.head, stats.earliest),
        (twin.gone as u64, twin.head(), twin.at(twin.gone))
    );
    let next = twin.kept().first().and_then(|first| Some(first.0 + retention.max_age_ms?));
    prop_assert_eq!(log.next_expiry_ms(), next);
    let (earliest, head) = (twin.gone as u64, twin.all.len() as u64);
    prop_assert_eq!(log.bounds(), Bounds { earliest, head, is_closed: twin.is_closed });
    prop_assert_eq!((log.epoch(), log.is_closed()), (twin.epoch, twin.is_closed));
    prop_assert_eq!(log.end(), twin.is_closed.then(|| twin.next()));
    let lineage = log.lineage();
    let again = Lineage::from_parts(lineage.past(), lineage.current());
    prop_assert_eq!(again.as_ref(), Some(lineage), "a lineage is made of its parts");
    Ok(())
}

/// Compares one read after `cursor` with what the twin computes.
fn read(log: &Log<usize>, twin: &Twin, cursor: Cursor, budget: Budget) -> Result<(), TestCaseError> {
    let head = twin.all.len();
    let (start, continuity) = twin.locate(cursor);
    let read = log.read(Since::After(cursor), budget);
    prop_assert_eq!(read.continuity(), continuity);
    prop_assert_eq!(read.start(), start);
    prop_assert_eq!(log.has(cursor), !matches!(continuity, Continuity::Reset { .. }));

    let mut bytes = 0;
    let mut expected = Vec::new();
    for number in start.seq() as usize + 1..=head {
        let (time_ms, size) = twin.all[number - 1];
        if expected.len() == budget.messages || (!expected.is_empty() && bytes + size > budget.bytes) {
            break;
        }
        bytes += size;
        expected.push((twin.at(number), time_ms, size, number));
    }
    let got: Vec<_> =
        read.iter().map(|entry| (entry.cursor, entry.time_ms, entry.size, *entry.value)).collect();
    prop_assert_eq!(&got, &expected);
    prop_assert_eq!((read.bytes(), read.len(), read.is_empty()), (bytes, got.len(), got.is_empty()));
    prop_assert_eq!(read.cursor(), expected.last().map_or(start, |last| last.0));
    prop_assert_eq!(read.more(), read.cursor().seq() < head as u64);
    prop_assert_eq!(read.end(), (twin.is_closed && !read.more()).then(|| twin.next()));
    let mut backwards: Vec<_> = read.iter().rev().map(|entry| entry.cursor).collect();
    backwards.reverse();
    prop_assert!(backwards.into_iter().eq(got.iter().map(|entry| entry.0)));

    let kept = (twin.gone + 1..=head).find(|&number| twin.at(number) == cursor);
    prop_assert_eq!(log.get(cursor).map(|entry| *entry.value), kept);
    Ok(())
}

proptest! {
    #[test]
    fn earliest_after_predicts_what_several_appends_evict(
        retention in retention(),
        before in prop::collection::vec(0_usize..20, 0..12),
        sizes in prop::collection::vec(0_usize..20, 0..6),
    ) {
        let mut log = Log::new(EPOCH, retention.with_max_age_ms(None));
        for size in before {
            log.append(0, size, ()).unwrap();
        }
        let head = log.head().seq();
        let told = log.earliest_after(sizes.len(), sizes.iter().sum()).seq();
        for size in sizes {
            log.append(0, size, ()).unwrap();
        }
        prop_assert_eq!(told, log.earliest().seq().min(head + 1));
    }
}

#[test]
fn earliest_and_now_start_at_the_ends_of_the_log() {
    let mut log = Log::new(EPOCH, Retention::DEFAULT.with_max_messages(2));
    for number in 1..=3 {
        log.append(0, 1, number).unwrap();
    }
    let read = log.read(Since::Earliest, Budget::UNLIMITED);
    assert_eq!((read.continuity(), read.start().seq(), read.len()), (Continuity::Fresh, 1, 2));
    let read = log.read(Since::Now, Budget::UNLIMITED);
    assert_eq!((read.continuity(), read.cursor().seq(), read.len()), (Continuity::Fresh, 3, 0));
    assert!(read.is_news(), "a reader without a cursor is told where it is");
    assert!(!log.read(log.head().into(), Budget::UNLIMITED).is_news());
    assert!(log.read(Since::After(Cursor::new(EPOCH, 2)), Budget::UNLIMITED).is_news());
    let read = log.read(Since::After(Cursor::new(Epoch::new(6), 3)), Budget::UNLIMITED);
    let reason = ResetReason::UnknownEpoch;
    assert_eq!(read.continuity(), Continuity::Reset { reason, to: Cursor::new(EPOCH, 1) });
    assert!(log.read(Since::After(Cursor::new(Epoch::new(6), 3)), Budget::messages(0)).is_news());
    assert_eq!(log.get(Cursor::new(Epoch::new(6), 3)), None);
}

#[test]
fn a_restored_log_continues_its_numbers() {
    let head = Cursor::new(EPOCH, 41);
    let mut log = Log::continuing(head, Retention::DEFAULT).unwrap();
    assert_eq!((log.head(), log.earliest(), log.len()), (head, head, 0));
    assert_eq!(log.append(0, 1, "next").unwrap().seq(), 42);
    let behind = log.read(Since::After(Cursor::new(EPOCH, 40)), Budget::UNLIMITED).continuity();
    assert_eq!(behind, Continuity::Gap { from: Cursor::new(EPOCH, 40), to: head, missed: 1 });
    assert!(Log::<()>::continuing(Cursor::new(EPOCH, u64::MAX), Retention::DEFAULT).is_none());
}

#[test]
fn a_copy_skips_missed_messages_and_gives_no_number_twice() {
    let mut log = Log::new(EPOCH, Retention::DEFAULT);
    log.append(0, 1, "one").unwrap();
    log.skip_to(9);
    assert_eq!((log.head().seq(), log.len(), log.bytes()), (9, 0, 0));
    log.skip_to(3);
    assert_eq!(log.head().seq(), 9);
    assert_eq!(log.append(0, 1, "ten").unwrap().seq(), 10);
    log.skip_to(u64::MAX); // a damaged source does not overflow the number
    log.append(0, 1, "far").unwrap();
    assert!(log.head().seq() > u64::MAX / 2);
}

#[test]
fn sizes_that_cannot_be_summed_do_not_wrap() {
    let mut log = Log::new(EPOCH, Retention::DEFAULT.with_max_bytes(usize::MAX));
    log.append(0, usize::MAX, "all").unwrap();
    assert_eq!(log.earliest_after(1, usize::MAX).seq(), 0);
    log.append(0, usize::MAX, "all again").unwrap();
    let read = log.read(Since::Earliest, Budget::UNLIMITED);
    assert_eq!((read.len(), read.bytes()), (2, usize::MAX));
}

#[test]
fn a_clock_at_its_end_does_not_wrap() {
    let mut log = Log::new(EPOCH, Retention::DEFAULT.with_max_age_ms(Some(10)));
    log.append(u64::MAX, 1, "late").unwrap();
    assert_eq!(log.next_expiry_ms(), Some(u64::MAX));
    assert_eq!(log.expire(u64::MAX), 0);
}

#[test]
fn the_defaults_are_the_documented_ones() {
    tidewire_testkit::limits::check("tidewire-channel: retention", &[&Retention::DEFAULT], &[]);
    tidewire_testkit::limits::check("tidewire-channel: a channel", &[&Limits::DEFAULT], &[]);
}
