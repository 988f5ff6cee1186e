//! Keys and producers: the twin is a list, with the last used at its end.

use super::*;
use tidewire_channel::{Appended, Fingerprint, Once, ProducerSeq};

/// The keys and producers that a twin remembers. The oldest is first.
#[derive(Default)]
struct Twin {
    /// Time, key, content, and the position after the messages.
    keys: Vec<(u64, u8, u8, Cursor)>,
    /// Time, id, epoch, number, and the position after the messages.
    producers: Vec<(u64, u8, u64, u64, Cursor)>,
    clock_ms: u64,
    is_closed: bool,
}

#[derive(Clone, Copy, Debug)]
enum By {
    Nobody,
    Key { key: u8, says: u8 },
    Producer { id: u8, epoch: u64, seq: u64 },
}

#[derive(Clone, Debug)]
struct Op {
    now_ms: u64,
    by: By,
    messages: usize,
    close: bool,
    begins_epoch: bool,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let by = prop_oneof![
        1 => Just(By::Nobody),
        6 => (0_u8..4, 0_u8..3).prop_map(|(key, says)| By::Key { key, says }),
        12 => (0_u8..3, 0_u64..3, 0_u64..4).prop_map(|(id, epoch, seq)| By::Producer { id, epoch, seq }),
    ];
    let op =
        (0_u64..200, by, 0_usize..4, 0_u8..40, 0_u8..10).prop_map(|(now_ms, by, messages, close, begins)| {
            Op { now_ms, by, messages, close: close == 0, begins_epoch: begins == 0 }
        });
    prop::collection::vec(op, 0..60)
}

impl Twin {
    fn expire(&mut self, now_ms: u64, limits: &Limits) {
        self.clock_ms = self.clock_ms.max(now_ms);
        let clock_ms = self.clock_ms;
        self.keys.retain(|known| clock_ms - known.0 < limits.key_age_ms);
        self.producers.retain(|known| clock_ms - known.0 < limits.producer_age_ms);
    }

    /// The position that the append is told as a duplicate, if it is one.
    fn duplicate(&mut self, by: By) -> Result<Option<Cursor>, RefusedKind> {
        match by {
            By::Nobody => Ok(None),
            By::Key { key, says } => match self.keys.iter().find(|known| known.1 == key) {
                Some(&(_, _, said, _)) if said != says => Err(RefusedKind::KeyTaken),
                known => Ok(known.map(|known| known.3)),
            },
            By::Producer { id, epoch, seq } => match self.producers.iter().find(|known| known.1 == id) {
                Some(&(_, _, newest, ..)) if epoch < newest => {
                    Err(RefusedKind::ProducerFenced { epoch: newest })
                }
                Some(&(_, _, newest, last, cursor)) if epoch == newest => match seq {
                    seq if seq <= last => Ok(Some(cursor)),
                    seq if seq == last + 1 => Ok(None),
                    _ => Err(RefusedKind::ProducerGap { expected: last + 1 }),
                },
                _ if seq == 0 => Ok(None),
                _ => Err(RefusedKind::ProducerStart),
            },
        }
    }

    /// Moves what has been used to the end. A key keeps its time.
    fn remember(&mut self, by: By, cursor: Cursor, limits: &Limits) {
        match by {
            By::Nobody => {}
            By::Key { key, says } => {
                if self.keys.iter().all(|known| known.1 != key) {
                    self.keys.push((self.clock_ms, key, says, cursor));
                }
                let over = self.keys.len().saturating_sub(limits.max_keys);
                self.keys.drain(..over);
            }
            By::Producer { id, epoch, seq } => {
                let known = self.producers.iter().position(|known| known.1 == id);
                let known = known.map(|index| self.producers.remove(index));
                let seq = known.filter(|known| known.2 == epoch).map_or(seq, |known| known.3.max(seq));
                self.producers.push((self.clock_ms, id, epoch, seq, cursor));
                let over = self.producers.len().saturating_sub(limits.max_producers);
                self.producers.drain(..over);
            }
        }
    }
}

proptest! {
    #[test]
    fn keys_and_producers_stand_for_one_batch_within_their_window(
        ops in ops(),
        max_keys in 0_usize..5,
        max_producers in 0_usize..4,
        (key_age_ms, producer_age_ms) in (0_u64..100, 0_u64..300),
    ) {
        let limits = Limits::DEFAULT
            .with_max_keys(max_keys)
            .with_key_age_ms(key_age_ms)
            .with_max_producers(max_producers)
            .with_producer_age_ms(producer_age_ms);
        let mut channel: Channel<usize, ()> = Channel::new(EPOCH, Retention::DEFAULT, limits);
        let mut twin = Twin::default();
        for (number, Op { now_ms, by, messages, close, begins_epoch }) in ops.into_iter().enumerate() {
            if begins_epoch {
                channel.log_mut().begin_epoch(Epoch::new(100 + number as u64));
            }
            twin.expire(now_ms, &limits);
            let (mut text, mut id) = ([0], [0]);
            let once = match by {
                By::Nobody => Once::No,
                By::Key { key, says } => {
                    text[0] = key;
                    Once::Key { text: &text, fingerprint: Fingerprint([says; 16]) }
                }
                By::Producer { id: name, epoch, seq } => {
                    id[0] = name;
                    Once::Producer(ProducerSeq { id: &id, epoch, seq })
                }
            };
            let (head, end) = (channel.log().head(), channel.log().end());
            let was = (channel.keys(), channel.producers());
            let foreseen = channel.duplicate_of(now_ms, once);
            if let By::Key { key, .. } = by {
                prop_assert_eq!(channel.is_new_key(now_ms, &[key]), foreseen == Ok(None));
            }
            let outcome = channel.append_batch(now_ms, (0..messages).map(|value| (1, value)), close, once);
            let expected = match twin.duplicate(by) {
                Ok(None) if twin.is_closed && messages > 0 => Err(RefusedKind::Closed),
                expected => expected,
            };
            match (expected, outcome) {
                (Ok(Some(cursor)), Ok((got, woken))) => {
                    prop_assert_eq!((got, woken.count()), (Appended::Duplicate(cursor), 0));
                    prop_assert_eq!(foreseen, Ok(Some(cursor)));
                    prop_assert_eq!((channel.log().head(), channel.log().end()), (head, end));
                    twin.remember(by, cursor, &limits);
                }
                (Ok(None), Ok((got, _))) => {
                    prop_assert_eq!(foreseen, Ok(None));
                    let was_closed = twin.is_closed;
                    twin.is_closed |= close;
                    let log = channel.log();
                    prop_assert_eq!(log.head().seq(), head.seq() + messages as u64);
                    prop_assert_eq!(log.is_closed(), twin.is_closed);
                    let after = log.end().filter(|_| messages == 0).unwrap_or(log.head());
                    let same = if was_closed { Appended::Duplicate(after) } else { Appended::New(after) };
                    prop_assert_eq!(got, same);
                    twin.remember(by, after, &limits);
                }
                (Err(kind), Err(refused)) => {
                    prop_assert_eq!(refused.kind(), kind);
                    prop_assert_eq!((channel.log().head(), channel.log().end()), (head, end));
                    prop_assert!((channel.keys(), channel.producers()) <= was);
                }
                (expected, got) => prop_assert!(false, "{:?} was expected: {:?}", expected, got),
            }
            channel.expire(now_ms);
            twin.expire(now_ms, &limits);
            prop_assert_eq!((channel.keys(), channel.producers()), (twin.keys.len(), twin.producers.len()));
        }
    }
}

#[test]
fn the_least_recently_used_producer_is_forgotten() {
    let limits = Limits::DEFAULT.with_max_producers(2);
    let mut channel: Channel<(), ()> = Channel::new(EPOCH, Retention::DEFAULT, limits);
    let mut publish = |id: &[u8], seq| {
        let once = Once::Producer(ProducerSeq { id, epoch: 0, seq });
        channel.append_batch(0, [(1, ())], false, once).map(|(appended, _)| appended.cursor().seq())
    };
    assert_eq!([publish(b"one", 0), publish(b"two", 0)], [Ok(1), Ok(2)]);
    assert_eq!(publish(b"one", 0), Ok(1), "it repeats its append, so it is alive");
    assert_eq!(publish(b"three", 0), Ok(3));
    assert_eq!(publish(b"one", 1), Ok(4));
    assert_eq!(publish(b"two", 1).unwrap_err().kind(), RefusedKind::ProducerStart);
    let refused = channel.append_batch(
        0,
        [(1, ())],
        false,
        Once::Producer(ProducerSeq { id: &[b'x'; 129], epoch: 0, seq: 0 }),
    );
    let refused = refused.unwrap_err();
    assert_eq!((refused.kind(), refused.limit()), (RefusedKind::ProducerIdTooLong, 128));
}

#[test]
fn a_batch_with_one_message_that_is_too_large_appends_nothing() {
    let limits = Limits::DEFAULT.with_max_message(8);
    let mut channel: Channel<(), &str> = Channel::new(EPOCH, Retention::DEFAULT, limits);
    let key = channel.wait(channel.log().head(), "waiter").unwrap();
    let once = Once::Producer(ProducerSeq { id: b"id", epoch: 0, seq: 0 });
    let refused = channel.append_batch(0, [(1, ()), (9, ()), (1, ())], true, once).unwrap_err();
    assert_eq!(refused.kind(), RefusedKind::MessageTooLarge);
    assert_eq!((channel.log().len(), channel.log().end(), channel.producers()), (0, None, 0));
    assert_eq!(channel.cancel(key), Some("waiter"), "nobody was woken");
}
