//! A reader of random logs: what it gets is a contiguous run with told breaks, and nothing twice.
//!
//! The model keeps every message that was ever given out, with the position before it. A feed reads
//! the present logs, or an old copy of them, as a cache or a server that is behind does.

use std::collections::HashMap;

use fastrand::Rng;

use crate::item::Item;
use crate::position::{Position, Step};
use crate::{Cursor, Message};

/// A position in one log. Epochs are numbers here.
type Place = (u32, u64);

/// One log: the position of each message, and the position before the first.
#[derive(Clone)]
struct Log {
    start: Place,
    messages: Vec<Place>,
    /// Past epochs, with the number of the last message of each.
    past: Vec<Place>,
    current: u32,
    /// How many of the oldest messages were evicted.
    evicted: usize,
    is_closed: bool,
}

impl Log {
    fn new(epoch: u32) -> Self {
        let start = (epoch, 0);
        Self { start, messages: Vec::new(), past: vec![start], current: epoch, evicted: 0, is_closed: false }
    }

    fn head(&self) -> u64 {
        self.messages.len() as u64
    }

    /// The one spelling of the position after message `n`.
    fn at(&self, n: u64) -> Place {
        n.checked_sub(1).map_or(self.start, |index| self.messages[index as usize])
    }

    fn publish(&mut self, epochs: &mut u32) {
        if self.messages.is_empty() && self.current == self.start.0 {
            // The first message opens the channel's own epoch.
            *epochs += 1;
            self.current = *epochs;
        }
        if !self.is_closed {
            self.messages.push((self.current, self.head() + 1));
        }
    }

    /// A restart that loses some of the messages of the last epoch.
    fn restart(&mut self, lost: usize, epochs: &mut u32) {
        let of_epoch = self.messages.iter().filter(|message| message.0 == self.current).count();
        self.messages.truncate(self.messages.len() - lost.min(of_epoch));
        self.evicted = self.evicted.min(self.messages.len());
        self.past.push((self.current, self.head()));
        self.is_closed &= lost == 0;
        *epochs += 1;
        self.current = *epochs;
    }

    /// Where a reader at `place` goes on, and what it is told.
    fn locate(&self, place: Place) -> (u64, Option<&'static str>) {
        let (epoch, n) = place;
        let earliest = self.evicted as u64;
        let reset = |reason, n: u64| (n.max(earliest), Some(reason));
        let is_own = n <= self.head() && self.at(n) == place;
        let is_end = self.is_closed && place == (self.current, self.head() + 1);
        match self.past.iter().find(|past| past.0 == epoch) {
            _ if is_own && n < earliest => (earliest, Some("gap")),
            _ if is_own => (n, None),
            _ if is_end => (self.head(), None),
            _ if epoch == self.current => reset("ahead-of-log", earliest),
            Some(&(_, last)) if n > last => reset("tail-lost", last),
            _ => reset("unknown-epoch", earliest),
        }
    }
}

fn cursor(places: &[Place]) -> Cursor {
    let texts: Vec<String> = places.iter().map(|(epoch, n)| format!("e{epoch}-{n}")).collect();
    texts.join(".").parse().unwrap()
}

fn places(cursor: &Cursor) -> Vec<Place> {
    let place = |text: &str| {
        let (epoch, n) = text[1..].split_once('-').unwrap();
        (epoch.parse().unwrap(), n.parse().unwrap())
    };
    cursor.places().map(place).collect()
}

/// The items of a feed over `logs` for a reader at `from`, at most `count`, in a random order of
/// the channels.
fn feed(logs: &[Log], from: &[Place], count: usize, rng: &mut Rng) -> Vec<Item> {
    let mut at = from.to_vec();
    let mut next: Vec<Option<u64>> = vec![None; logs.len()];
    let mut has_ended = vec![false; logs.len()];
    let mut items = Vec::new();
    for _ in 0..count {
        let channel = rng.usize(..logs.len());
        let log = &logs[channel];
        let before = cursor(&at);
        let Some(n) = next[channel] else {
            let (n, told) = log.locate(at[channel]);
            next[channel] = Some(n);
            if let Some(reason) = told {
                at[channel] = log.at(n);
                let cursor = cursor(&at);
                items.push(match reason {
                    "gap" => Item::Gap { from: before, cursor, missed: 1 },
                    _ => Item::Reset { reason: reason.to_owned(), cursor },
                });
            }
            continue;
        };
        if n < log.head() {
            at[channel] = log.at(n + 1);
            next[channel] = Some(n + 1);
            let cursor = cursor(&at);
            let (time, event, content_type, data) = (None, None, None, bytes::Bytes::new());
            let channel = Some(channel.to_string());
            items.push(Item::Message(Message { cursor, channel, time, event, content_type, data }));
        } else if log.is_closed && !std::mem::replace(&mut has_ended[channel], true) {
            at[channel] = (log.current, n + 1);
            items.push(Item::End { channel: Some(channel.to_string()), cursor: cursor(&at) });
        }
    }
    items
}

/// A reader that does what a subscription does, and checks what it gets.
struct Reader {
    position: Position,
    /// What was delivered since the last reset that may go back to an old log.
    delivered: Vec<(usize, Place)>,
    /// The epochs of which a reset told that their tail is lost.
    over: Vec<(usize, u32)>,
    ends: Vec<usize>,
    last_doubt: Option<Vec<Place>>,
}

impl Reader {
    fn held(&self) -> Vec<Place> {
        places(self.position.cursor().unwrap())
    }

    /// Returns whether the feed goes on.
    fn take(&mut self, item: Item, world: &World) -> bool {
        let is_end_here = matches!(&item, Item::End { cursor, .. } if Some(cursor) == self.position.cursor());
        let (mut is_break_told, mut is_return_told) = (false, false);
        match self.position.step(&item) {
            Step::New => {}
            Step::Duplicate if is_end_here => {}
            Step::Duplicate => return true,
            Step::Foreign => return false,
            step @ (Step::Hole(_) | Step::Returned) => {
                if self.last_doubt.replace(self.held()) != Some(self.held()) {
                    return false;
                }
                is_break_told = true;
                is_return_told = step == Step::Returned;
                if is_return_told && !matches!(item, Item::Reset { .. }) {
                    // The reader is told a reset.
                    self.delivered.clear();
                    self.over.clear();
                }
            }
        }
        let held = self.held();
        match item {
            Item::Message(message) => {
                let channel: usize = message.channel.as_ref().unwrap().parse().unwrap();
                let cursor = self.position.after(message.cursor, message.channel.as_deref());
                let got = places(&cursor);
                let mut expected = held.clone();
                expected[channel] = got[channel];
                assert!(is_break_told || got == expected, "a message moves the reader in its channel");
                let before = world.before(got[channel]);
                assert!(is_break_told || before == held[channel], "a message is missing before {got:?}");
                let delivered = (channel, got[channel]);
                assert!(!self.delivered.contains(&delivered), "twice: {delivered:?}");
                assert!(
                    !self.over.contains(&(channel, got[channel].0)),
                    "lost, as it was told: {delivered:?}"
                );
                self.delivered.push(delivered);
                self.position.advance(cursor);
            }
            Item::Gap { cursor, .. } => {
                let cursor = self.position.after(cursor, None);
                for (mine, theirs) in held.iter().zip(places(&cursor)) {
                    assert!(theirs.1 >= mine.1, "a gap goes forward");
                }
                self.position.skip(cursor);
            }
            Item::Reset { reason, cursor } => {
                let cursor = self.position.after_reset(&reason, &cursor);
                for (channel, (mine, theirs)) in held.iter().zip(places(&cursor)).enumerate() {
                    if *mine == theirs {
                        continue;
                    }
                    if reason != "tail-lost" || is_return_told {
                        self.delivered.retain(|delivered| delivered.0 != channel);
                        self.over.retain(|over| over.0 != channel);
                    } else if mine.0 == theirs.0 {
                        self.over.push((channel, mine.0));
                    }
                    self.ends.retain(|end| *end != channel);
                }
                self.position.reset(&reason, cursor);
            }
            Item::End { channel, cursor } => {
                let index = self.position.ending(channel.as_deref(), &cursor).unwrap();
                let cursor = self.position.after(cursor, channel.as_deref());
                if self.position.is_open(index) {
                    assert_eq!(Some(index), channel.unwrap().parse().ok());
                    assert!(!self.ends.contains(&index), "an end is told once");
                    self.ends.push(index);
                    self.position.end(index, cursor);
                }
            }
            Item::Hello(_) | Item::Retry(_) | Item::Deleted { .. } => unreachable!("not in this model"),
        }
        true
    }
}

/// All that was ever given out.
#[derive(Default)]
struct World {
    /// Each message with the position before it.
    messages: HashMap<Place, Place>,
}

impl World {
    fn before(&self, message: Place) -> Place {
        self.messages[&message]
    }

    /// Returns whether the message at `late` comes after the position `early` in the same log.
    fn is_before(&self, early: Place, late: Place) -> bool {
        std::iter::successors(Some(late), |place| self.messages.get(place).copied())
            .any(|place| place == early)
    }

    fn note(&mut self, logs: &[Log]) {
        for log in logs {
            for n in 1..=log.head() {
                self.messages.insert(log.at(n), log.at(n - 1));
            }
        }
    }
}

fn run(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let channels = rng.usize(1..=3);
    let mut epochs = 0;
    let mut logs = vec![Log::new(0); channels];
    let (mut copies, mut world) = (vec![logs.clone()], World::default());
    world.note(&logs);
    let start: Vec<Place> = logs.iter().map(|log| log.start).collect();
    let mut reader = Reader {
        position: Position::new(Some(cursor(&start)), (0..channels).map(|n| n.to_string()).collect()),
        delivered: Vec::new(),
        over: Vec::new(),
        ends: Vec::new(),
        last_doubt: None,
    };
    let mut seen = vec![start];
    let read = |reader: &mut Reader, logs: &[Log], from: &[Place], world: &World, rng: &mut Rng| {
        let count = rng.usize(1..20);
        for item in feed(logs, from, count, rng) {
            if !reader.take(item, world) {
                break;
            }
        }
    };
    for _ in 0..60 {
        let log = rng.usize(..channels);
        match rng.u32(..100) {
            0..40 => logs[log].publish(&mut epochs),
            40..50 => logs[log].restart(rng.usize(..4), &mut epochs),
            50..52 => {
                epochs += 1;
                logs[log] = Log::new(epochs);
            }
            52..55 => logs[log].evicted = rng.usize(logs[log].evicted..=logs[log].messages.len()),
            55..57 => logs[log].is_closed = true,
            57..80 => {
                let held = reader.held();
                read(&mut reader, &logs, &held, &world, &mut rng);
            }
            // A cache or a server that is behind.
            80..90 => {
                let (held, copy) = (reader.held(), rng.usize(..copies.len()));
                read(&mut reader, &copies[copy], &held, &world, &mut rng);
            }
            // An old answer of the reader's own logs, made for any position that the reader had.
            // The reader could not know what a reset means that was made for another position.
            _ => {
                let (from, copy) = (rng.usize(..seen.len()), rng.usize(..copies.len()));
                let held = reader.held();
                let mut own = held.iter().zip(&copies[copy]);
                let is_own = |place, log: &Log| {
                    log.locate(place).1.is_none() || world.is_before(log.at(log.head()), place)
                };
                if own.all(|(place, log)| is_own(*place, log)) {
                    let items = feed(&copies[copy], &seen[from], 20, &mut rng).into_iter();
                    let is_clear = |item: &Item| !matches!(item, Item::Reset { .. });
                    let _ = items.take_while(is_clear).all(|item| reader.take(item, &world));
                }
            }
        }
        world.note(&logs);
        copies.push(logs.clone());
        seen.push(reader.held());
    }
    for _ in 0..100 {
        let held = reader.held();
        read(&mut reader, &logs, &held, &world, &mut rng);
    }
    let end = |log: &Log| if log.is_closed { (log.current, log.head() + 1) } else { log.at(log.head()) };
    assert_eq!(reader.held(), logs.iter().map(end).collect::<Vec<_>>(), "the reader reaches the head");
    let closed: Vec<usize> = (0..channels).filter(|&n| logs[n].is_closed).collect();
    let mut open: Vec<usize> = reader.position.open_channels().collect();
    open.extend(&closed);
    open.sort_unstable();
    assert_eq!(open, (0..channels).collect::<Vec<_>>(), "every end was told");
}

#[test]
fn a_reader_gets_contiguous_runs_and_nothing_twice() {
    for seed in 0..200 {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}
