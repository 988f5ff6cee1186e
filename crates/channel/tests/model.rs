//! Compares the log with a naive model, the twin. The twin keeps everything and computes from the
//! rules what must be there.

use proptest::prelude::*;
use tidewire_channel::{
    Appended, Budget, Channel, Continuity, Cursor, Epoch, Fingerprint, Limits, Log, RefusedKind, ResetReason,
    Retention, Since,
};

const EPOCH: Epoch = Epoch::new(5);

/// Every message ever appended, and the number of the last evicted one.
#[derive(Default)]
struct Twin {
    all: Vec<(u64, usize)>,
    gone: usize,
    clock_ms: u64,
}

impl Twin {
    fn append(&mut self, now_ms: u64, size: usize, retention: Retention) {
        self.expire(now_ms, retention);
        self.all.push((self.clock_ms, size));
        self.fit(retention);
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
}

#[derive(Clone, Debug)]
enum Op {
    Append(u64, usize),
    Expire(u64),
    Clear,
    Retain(Retention),
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
        12 => (0_u64..200, 0_usize..20).prop_map(|(now_ms, size)| Op::Append(now_ms, size)),
        4 => (0_u64..200).prop_map(Op::Expire),
        1 => Just(Op::Clear),
        1 => retention().prop_map(Op::Retain),
    ];
    prop::collection::vec(op, 0..40)
}

proptest! {
    #[test]
    fn the_log_equals_its_twin(
        mut retention in retention(),
        ops in ops(),
        reads in prop::collection::vec((0_u64..45, 0_usize..6, 0_usize..50), 1..20),
    ) {
        let mut log = Log::new(EPOCH, retention);
        let mut twin = Twin::default();
        for op in ops {
            match op {
                Op::Append(now_ms, size) => {
                    log.expire(now_ms);
                    let earliest_after = log.earliest_after(1, size);
                    let cursor = log.append(now_ms, size, twin.all.len() + 1).unwrap();
                    twin.append(now_ms, size, retention);
                    prop_assert_eq!(cursor, Cursor::new(EPOCH, twin.all.len() as u64));
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
            }
            let stats = log.stats();
            prop_assert_eq!(stats.messages, twin.kept().len());
            prop_assert_eq!(stats.bytes, twin.kept().iter().map(|message| message.1).sum::<usize>());
            prop_assert_eq!((stats.evicted, stats.head.seq()), (twin.gone as u64, twin.all.len() as u64));
            let next = twin.kept().first().and_then(|first| Some(first.0 + retention.max_age_ms?));
            prop_assert_eq!(log.next_expiry_ms(), next);
        }
        for (seq, messages, bytes) in reads {
            read(&log, &twin, seq, Budget { messages, bytes })?;
        }
    }
}

/// Compares one read after `seq` with what the twin computes.
fn read(log: &Log<usize>, twin: &Twin, seq: u64, budget: Budget) -> Result<(), TestCaseError> {
    let (gone, head) = (twin.gone as u64, twin.all.len() as u64);
    let cursor = Cursor::new(EPOCH, seq);
    let to = Cursor::new(EPOCH, gone);
    let (start, continuity) = if seq > head {
        (gone, Continuity::Reset { reason: ResetReason::AheadOfLog, to })
    } else if seq < gone {
        (gone, Continuity::Gap { from: cursor, to, missed: gone - seq })
    } else {
        (seq, Continuity::Resumed)
    };
    let read = log.read(Since::After(cursor), budget);
    prop_assert_eq!(read.continuity(), continuity);
    prop_assert_eq!(read.start(), Cursor::new(EPOCH, start));

    let mut bytes = 0;
    let mut expected = Vec::new();
    for number in start + 1..=head {
        let (time_ms, size) = twin.all[number as usize - 1];
        if expected.len() == budget.messages || (!expected.is_empty() && bytes + size > budget.bytes) {
            break;
        }
        bytes += size;
        expected.push((Cursor::new(EPOCH, number), time_ms, size, number as usize));
    }
    let got: Vec<_> =
        read.iter().map(|entry| (entry.cursor, entry.time_ms, entry.size, *entry.value)).collect();
    prop_assert_eq!(&got, &expected);
    prop_assert_eq!((read.bytes(), read.len(), read.is_empty()), (bytes, got.len(), got.is_empty()));
    prop_assert_eq!(read.cursor(), Cursor::new(EPOCH, start + got.len() as u64));
    prop_assert_eq!(read.more(), read.cursor().seq() < head);
    let mut backwards: Vec<_> = read.iter().rev().map(|entry| entry.cursor).collect();
    backwards.reverse();
    prop_assert!(backwards.into_iter().eq(got.iter().map(|entry| entry.0)));

    let kept = seq > gone && seq <= head;
    prop_assert_eq!(log.get(cursor).map(|entry| *entry.value), kept.then_some(seq as usize));
    Ok(())
}

/// The keys that a twin remembers: time, key, content and number of the message. The oldest is
/// first.
#[derive(Default)]
struct KeyTwin {
    keys: Vec<(u64, u8, u8, u64)>,
    clock_ms: u64,
    head: u64,
}

impl KeyTwin {
    /// Computes the result of a publish: a new number, the number of the first message, or a
    /// refusal.
    fn publish(&mut self, now_ms: u64, key: u8, says: u8, limits: &Limits) -> Result<(bool, u64), ()> {
        self.clock_ms = self.clock_ms.max(now_ms);
        let clock_ms = self.clock_ms;
        self.keys.retain(|known| clock_ms - known.0 < limits.key_age_ms);
        if let Some(&(_, _, said, seq)) = self.keys.iter().find(|known| known.1 == key) {
            return if said == says { Ok((false, seq)) } else { Err(()) };
        }
        self.head += 1;
        self.keys.push((clock_ms, key, says, self.head));
        let over = self.keys.len().saturating_sub(limits.max_keys);
        self.keys.drain(..over);
        Ok((true, self.head))
    }
}

proptest! {
    #[test]
    fn a_key_stands_for_one_message_within_its_window(
        publishes in prop::collection::vec((0_u64..200, 0_u8..4, 0_u8..3), 0..60),
        max_keys in 0_usize..5,
        key_age_ms in 0_u64..100,
    ) {
        let limits = Limits::DEFAULT.with_max_keys(max_keys).with_key_age_ms(key_age_ms);
        let mut channel: Channel<(u8, u8), ()> = Channel::new(EPOCH, Retention::DEFAULT, limits);
        let mut twin = KeyTwin::default();
        for (now_ms, key, says) in publishes {
            let fingerprint = Fingerprint([says; 16]);
            let is_new = channel.is_new_key(now_ms, &[key]);
            let outcome = channel.append_once(now_ms, &[key], fingerprint, 1, (key, says));
            match (twin.publish(now_ms, key, says, &limits), outcome) {
                (Ok((true, seq)), Ok((Appended::New(cursor), _))) => {
                    prop_assert_eq!((cursor, is_new), (Cursor::new(EPOCH, seq), true));
                }
                (Ok((false, seq)), Ok((Appended::Duplicate(cursor), woken))) => {
                    prop_assert_eq!((cursor, woken.count()), (Cursor::new(EPOCH, seq), 0));
                    prop_assert!(!is_new);
                    let first = channel.log().get(cursor).map(|entry| *entry.value);
                    prop_assert_eq!(first, Some((key, says)), "a duplicate has the same content");
                }
                (Err(()), Err(refused)) => prop_assert_eq!(refused.kind(), RefusedKind::KeyTaken),
                (expected, got) => prop_assert!(false, "{:?} was expected: {:?}", expected, got),
            }
            prop_assert_eq!(channel.log().head(), Cursor::new(EPOCH, twin.head));
            prop_assert_eq!(channel.keys(), twin.keys.len());
        }
    }
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
