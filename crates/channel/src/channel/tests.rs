use super::*;
use alloc::vec::Vec;

fn channel(limits: Limits) -> Channel<u32, &'static str> {
    Channel::new(Epoch::new(1), Retention::DEFAULT, limits)
}

fn at(seq: u64) -> Cursor {
    Cursor::new(Epoch::new(1), seq)
}

const SAME: Fingerprint = Fingerprint([7; 16]);

/// Publishes with a key. Returns the number of the key's message, and whether it is new.
fn once(channel: &mut Channel<u32, &'static str>, now_ms: u64, key: &[u8]) -> (u64, bool) {
    let (appended, _) = channel.append_once(now_ms, key, SAME, 1, 0).unwrap();
    (appended.cursor().seq(), matches!(appended, Appended::New(_)))
}

#[test]
fn waiters_are_woken_in_order_and_only_once() {
    let mut channel = channel(Limits::DEFAULT);
    let keys = ["a", "b", "c"].map(|waiter| channel.wait(at(0), waiter).unwrap());
    assert_eq!(channel.cancel(keys[1]), Some("b"));
    assert_eq!(channel.cancel(keys[1]), None);
    let (_, woken) = channel.append(0, 1, 0).unwrap();
    assert_eq!(woken.len(), 2);
    assert_eq!(woken.collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(channel.append(0, 1, 0).unwrap().1.len(), 0);
    assert!(channel.wait(at(2), "a").is_ok());
    assert_eq!(channel.wake_all().collect::<Vec<_>>(), ["a"]);
    assert_eq!(channel.waiters(), 0);
}

#[test]
fn a_waiter_over_the_limit_is_handed_back() {
    let mut channel = channel(Limits::DEFAULT.with_max_waiters(1));
    let key = channel.wait(at(0), "a").unwrap();
    let full = channel.wait(at(0), "b").unwrap_err();
    assert_eq!((full, full.into_waiter()), (WaitError::Full("b"), "b"));
    channel.cancel(key);
    assert!(channel.wait(at(0), "b").is_ok());
}

#[test]
fn a_message_over_the_limit_changes_nothing() {
    let mut channel = channel(Limits::DEFAULT.with_max_message(8));
    channel.wait(at(0), "a").unwrap();
    let refused = channel.append(5, 9, 0).unwrap_err();
    assert_eq!(
        (refused.kind(), refused.limit(), refused.status_hint()),
        (RefusedKind::MessageTooLarge, 8, 413)
    );
    assert!(channel.append_once(5, b"key", SAME, 9, 0).is_err());
    assert_eq!((channel.waiters(), channel.keys(), channel.log().len()), (1, 0, 0));
    assert!(channel.append(5, 8, 0).is_ok());
}

#[test]
fn a_key_is_remembered_for_its_window() {
    let mut channel = channel(Limits::DEFAULT.with_max_keys(2).with_key_age_ms(100).with_max_key(3));
    assert_eq!(once(&mut channel, 0, b"one"), (1, true));
    assert_eq!(once(&mut channel, 50, b"two"), (2, true));
    assert_eq!(once(&mut channel, 99, b"one"), (1, false));
    assert_eq!(once(&mut channel, 20, b"one"), (1, false)); // the clock steps back
    assert_eq!(once(&mut channel, 100, b"one"), (3, true)); // too old
    assert_eq!(once(&mut channel, 100, b"new"), (4, true)); // pushes the oldest out
    assert_eq!(once(&mut channel, 100, b"two"), (5, true));
    assert_eq!(channel.keys(), 2);
    let refused = channel.append_once(0, b"long", SAME, 1, 0).unwrap_err();
    assert_eq!((refused.kind(), refused.limit()), (RefusedKind::KeyTooLong, 3));
    assert_eq!(channel.log().head().seq(), 5);
}

#[test]
fn a_key_is_bound_to_its_message() {
    let mut channel = channel(Limits::DEFAULT.with_key_age_ms(100));
    assert_eq!(once(&mut channel, 0, b"key"), (1, true));
    channel.wait(at(1), "a").unwrap();
    let mut other = SAME;
    for bit in [0, 63, 127] {
        other.0[bit / 8] ^= 1 << (bit % 8);
        let refused = channel.append_once(1, b"key", other, 1, 0).unwrap_err();
        assert_eq!((refused.kind(), refused.status_hint()), (RefusedKind::KeyTaken, 422), "bit {bit}");
    }
    assert_eq!((channel.log().head(), channel.waiters(), channel.keys()), (at(1), 1, 1), "nothing changed");
    assert_eq!(once(&mut channel, 99, b"key"), (1, false), "the first message keeps the key");
    assert!(channel.append_once(100, b"key", other, 1, 0).is_ok(), "the key is forgotten");
    let refused = channel.append_once(101, b"key", SAME, 1, 0).unwrap_err();
    assert_eq!(refused.kind(), RefusedKind::KeyTaken, "the key belongs to the other message now");
}

#[test]
fn without_room_for_keys_every_publish_is_new() {
    let mut channel = channel(Limits::DEFAULT.with_max_keys(0));
    assert_eq!(once(&mut channel, 0, b"one"), (1, true));
    assert_eq!(once(&mut channel, 0, b"one"), (2, true));
}

#[test]
fn a_channel_is_idle_when_nothing_would_be_lost() {
    let limits = Limits::DEFAULT.with_idle_ms(10).with_key_age_ms(200);
    let retention = Retention::DEFAULT.with_max_age_ms(Some(100));
    let mut channel: Channel<u32, &str> = Channel::new(Epoch::new(1), retention, limits);
    channel.touch(1_000);
    assert!(!channel.is_idle(1_009));
    assert!(channel.is_idle(1_010));
    let key = channel.wait(at(0), "a").unwrap();
    assert!(!channel.is_idle(1_010), "someone waits");
    channel.cancel(key);
    assert_eq!(once(&mut channel, 1_010, b"key"), (1, true));
    assert_eq!(channel.last_activity_ms, 1_010);
    assert!(!channel.is_idle(1_100), "a message is kept");
    assert_eq!(channel.expire(1_110), 1);
    assert!(!channel.is_idle(1_110), "a key is kept");
    assert_eq!(channel.expire(1_210), 0);
    assert!(channel.is_idle(1_210));
    channel.touch(1_000);
    assert_eq!(channel.last_activity_ms, 1_010, "the clock steps back");
}

fn key(text: &[u8]) -> Once<'_> {
    Once::Key { text, fingerprint: SAME }
}

fn producer(id: &[u8], seq: u64) -> Once<'_> {
    Once::Producer(ProducerSeq { id, epoch: 0, seq })
}

/// What a channel has answered, in order, and the same channel after a restart.
fn restarted(
    limits: Limits,
    answered: &[(u64, Once<'_>)],
) -> (Channel<u32, &'static str>, Channel<u32, &'static str>) {
    let (mut before, mut after) = (channel(limits), channel(limits));
    for &(now_ms, once) in answered {
        let (appended, _) = before.append_batch(now_ms, [(1, 0)], false, once).unwrap();
        after.remember(now_ms, once, appended.cursor());
    }
    (before, after)
}

#[test]
fn what_was_remembered_is_a_duplicate_after_a_restart() {
    let answered = [(0, key(b"one")), (5, producer(b"p", 0)), (5, producer(b"p", 1)), (9, key(b"two"))];
    let (_, mut after) = restarted(Limits::DEFAULT, &answered);
    assert_eq!((after.keys(), after.producers(), after.log().len()), (2, 1, 0));
    assert_eq!(after.duplicate_of(10, key(b"one")), Ok(Some(at(1))));
    assert_eq!(after.duplicate_of(10, producer(b"p", 1)), Ok(Some(at(3))));
    assert_eq!(after.duplicate_of(10, producer(b"p", 2)), Ok(None));
    let other = Once::Key { text: b"two", fingerprint: Fingerprint([8; 16]) };
    assert_eq!(after.duplicate_of(10, other).unwrap_err().kind(), RefusedKind::KeyTaken);
    after.remember(10, Once::No, at(9));
    assert_eq!((after.keys(), after.producers()), (2, 1));
}

#[test]
fn a_restart_forgets_what_the_limits_and_ages_forget() {
    let limits = Limits::DEFAULT.with_max_keys(2).with_key_age_ms(100);
    let limits = limits.with_max_producers(2).with_producer_age_ms(100);
    let all = [b"a", b"b", b"c", b"d"];
    for step_ms in [0, 30, 60, 100] {
        let times = all.iter().zip(0..).map(|(text, n)| (n * step_ms, *text));
        let keys = times.clone().map(|(now_ms, text)| (now_ms, key(text)));
        let answered: Vec<_> = keys.chain(times.map(|(now_ms, text)| (now_ms, producer(text, 0)))).collect();
        let (mut before, mut after) = restarted(limits, &answered);
        for now_ms in [3 * step_ms, 3 * step_ms + 50, 3 * step_ms + 100] {
            for text in all {
                for once in [key(text), producer(text, 0)] {
                    let (before, after) =
                        (before.duplicate_of(now_ms, once), after.duplicate_of(now_ms, once));
                    assert_eq!(before, after, "{step_ms}, {now_ms}, {once:?}");
                }
            }
        }
        assert_eq!((after.keys(), after.producers()), (0, 0));
    }
}

#[test]
fn a_key_that_was_used_again_is_there_once() {
    let limits = Limits::DEFAULT.with_max_keys(2);
    let mut after = channel(limits);
    after.remember(0, key(b"a"), at(1));
    after.remember(1, key(b"b"), at(2));
    after.remember(2, key(b"a"), at(3));
    assert_eq!(after.keys(), 2);
    assert_eq!(after.duplicate_of(2, key(b"a")), Ok(Some(at(3))));
    after.remember(3, key(b"c"), at(4));
    assert_eq!(after.duplicate_of(3, key(b"b")), Ok(None), "it was the oldest");
    assert_eq!(after.duplicate_of(3, key(b"a")), Ok(Some(at(3))));
}
