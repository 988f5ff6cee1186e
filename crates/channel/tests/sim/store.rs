//! The store: the logs behind the windows of the server. It carries out an append some time after
//! it was asked, and its answer comes later still, or never.
//!
//! ```text
//!   submit ──► submitted ──► carried out: it is in the log now ──► answers ──► server
//!                 │                              └── the answer is lost: "unknown"
//!                 ├── it fails: nothing was appended, and the answer says so
//!                 └── the request is lost: nothing was appended, and the answer is "unknown"
//! ```
//!
//! The seed decides which append goes on, and so also in which order answers come.

use std::collections::BTreeMap;

use tidewire_channel::{
    Appended, Channel, Cursor, Epoch, Fingerprint, Limits, Log, Once, ProducerSeq, RefusedKind, Retention,
};

use super::fault::Fault;

/// What is appended at once, or not at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Append {
    pub(crate) texts: Vec<String>,
    pub(crate) close: bool,
    pub(crate) once: OwnedOnce,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OwnedOnce {
    #[default]
    No,
    Key(Vec<u8>),
    Producer {
        id: Vec<u8>,
        epoch: u64,
        seq: u64,
    },
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// `before` is the position before the first message.
    Appended {
        before: Cursor,
        cursor: Cursor,
        duplicate: bool,
    },
    Refused(RefusedKind),
    /// Nothing was appended.
    Failed,
    /// Nobody knows whether it was appended.
    Unknown,
}

/// An append on its way to the log.
#[derive(Clone, Debug)]
pub(crate) struct Submitted {
    pub(crate) name: String,
    pub(crate) append: Append,
    /// The connection that waits for the answer.
    pub(crate) connection: u32,
}

#[derive(Default)]
pub(crate) struct Store {
    logs: BTreeMap<String, Stored>,
    /// How often a written log of this name was forgotten or deleted.
    generations: BTreeMap<String, u64>,
    /// The names that are remembered as deleted, and since when.
    deleted: BTreeMap<String, u64>,
    pub(crate) submitted: Vec<Submitted>,
    pub(crate) answers: Vec<(Submitted, Outcome)>,
    epochs: u64,
    retention: Retention,
    limits: Limits,
    fault: Option<Fault>,
}

/// A log, and everything that happened to it. After a crash it is made anew from that.
struct Stored {
    channel: Channel<String, ()>,
    start: Epoch,
    events: Vec<Event>,
}

#[derive(Clone)]
enum Event {
    Epoch(Epoch),
    /// The time and the append.
    Append(u64, Append),
}

/// For how long a name is remembered as deleted, in milliseconds.
const DELETED_MS: u64 = 300;

impl Store {
    pub(crate) fn new(retention: Retention, limits: Limits, fault: Option<Fault>) -> Self {
        Self { retention, limits, fault, ..Self::default() }
    }

    /// The epoch of channels that were never written. The first argument is how often a written log
    /// of the name was forgotten: readers of such a log must not continue.
    const fn start(generation: u64) -> Epoch {
        Epoch::new(7 + generation)
    }

    /// Returns the `number`th epoch of a log, from 1 on.
    const fn epoch(number: u64) -> Epoch {
        Epoch::new(number * 0x9e37_79b9)
    }

    fn next_epoch(&mut self) -> Epoch {
        self.epochs += 1;
        Self::epoch(self.epochs)
    }

    /// Returns the log of a name, if it was ever written.
    pub(crate) fn log(&self, name: &str) -> Option<&Log<String>> {
        Some(self.logs.get(name)?.channel.log())
    }

    /// Returns the position of a channel that has no log.
    pub(crate) fn absent(&self, name: &str) -> Cursor {
        Cursor::new(Self::start(self.generations.get(name).copied().unwrap_or_default()), 0)
    }

    pub(crate) fn is_deleted(&self, name: &str) -> bool {
        self.deleted.contains_key(name)
    }

    pub(crate) fn deleted(&self) -> Vec<String> {
        self.deleted.keys().cloned().collect()
    }

    /// Carries out an append. The first one creates the log.
    pub(crate) fn apply(&mut self, name: &str, append: &Append, now_ms: u64) -> Outcome {
        let is_new = !self.logs.contains_key(name);
        if is_new {
            self.create(name);
        }
        let fault = self.fault;
        let stored = self.logs.get_mut(name).expect("it was there, or has just been created");
        let mut append = append.clone();
        if fault == Some(Fault::IgnoresKeys) {
            append.once = OwnedOnce::No;
        }
        let before = stored.channel.log().head();
        let outcome = carry_out(&mut stored.channel, &append, now_ms);
        if matches!(outcome, Outcome::Appended { duplicate: false, .. }) {
            stored.events.push(Event::Append(now_ms, append));
        }
        match outcome {
            Outcome::Appended { cursor, duplicate, .. } => {
                self.deleted.remove(name);
                Outcome::Appended { before, cursor, duplicate }
            }
            other => {
                if is_new {
                    self.logs.remove(name);
                }
                other
            }
        }
    }

    fn create(&mut self, name: &str) {
        let mut start = self.absent(name).epoch();
        if self.fault == Some(Fault::DeletedLogResumes) {
            start = Self::start(0);
        }
        let epoch = self.next_epoch();
        let mut channel = Channel::new(start, self.retention, self.limits);
        channel.log_mut().begin_epoch(epoch);
        self.logs.insert(name.into(), Stored { channel, start, events: vec![Event::Epoch(epoch)] });
    }

    /// The log loses its last `events` and begins an epoch. Returns the number of its last message.
    pub(crate) fn lose_tail(&mut self, name: &str, events: usize) -> Option<u64> {
        let epoch = self.next_epoch();
        let fault = self.fault;
        let stored = self.logs.get_mut(name)?;
        let (retention, earliest) =
            (stored.channel.log().retention(), stored.channel.log().bounds().earliest);
        let limits = stored.channel.limits();
        stored.events.truncate(stored.events.len().saturating_sub(events).max(1));
        if fault != Some(Fault::NewEpochSameNumber) {
            stored.events.push(Event::Epoch(epoch));
        }
        stored.channel = Channel::new(stored.start, self.retention, limits);
        for event in &stored.events {
            match event {
                Event::Epoch(epoch) => stored.channel.log_mut().begin_epoch(*epoch),
                Event::Append(now_ms, append) => {
                    carry_out(&mut stored.channel, append, *now_ms);
                }
            }
        }
        // What was evicted before does not come back.
        let log = stored.channel.log_mut();
        let head = log.bounds().head;
        match head.saturating_sub(earliest) {
            0 => log.clear(),
            kept => log.set_retention(retention.with_max_messages(retention.max_messages.min(kept as usize))),
        }
        log.set_retention(retention);
        Some(head)
    }

    /// The log is gone, with everything that knew of it. Returns whether there was one.
    pub(crate) fn forget(&mut self, name: &str) -> bool {
        let was_there = self.logs.remove(name).is_some();
        if was_there {
            *self.generations.entry(name.into()).or_default() += 1;
        }
        was_there
    }

    /// The log is deleted, and its name is remembered. Returns whether there was one.
    pub(crate) fn delete(&mut self, name: &str, now_ms: u64) -> bool {
        let was_there = self.forget(name);
        if was_there {
            self.deleted.insert(name.into(), now_ms);
        }
        was_there
    }

    pub(crate) fn set_retention(&mut self, name: &str, retention: Option<Retention>) {
        let Some(stored) = self.logs.get_mut(name) else { return };
        match retention {
            Some(retention) => stored.channel.log_mut().set_retention(retention),
            None => stored.channel.log_mut().clear(),
        }
    }

    pub(crate) fn expire(&mut self, name: &str, now_ms: u64) {
        if let Some(stored) = self.logs.get_mut(name) {
            stored.channel.expire(now_ms);
        }
    }

    /// Expires old messages and deletions. Returns the logs of which nothing is left.
    pub(crate) fn sweep(&mut self, now_ms: u64) -> Vec<String> {
        self.deleted.retain(|_, since_ms| now_ms.saturating_sub(*since_ms) < DELETED_MS);
        let mut idle = Vec::new();
        for (name, stored) in &mut self.logs {
            stored.channel.expire(now_ms);
            if stored.channel.is_idle(now_ms) {
                idle.push(name.clone());
            }
        }
        idle
    }
}

fn carry_out(channel: &mut Channel<String, ()>, append: &Append, now_ms: u64) -> Outcome {
    let before = channel.log().head();
    let texts = append.texts.iter().map(|text| (text.len(), text.clone()));
    let once = match &append.once {
        OwnedOnce::No => Once::No,
        OwnedOnce::Key(text) => Once::Key { text, fingerprint: fingerprint(append) },
        OwnedOnce::Producer { id, epoch, seq } => {
            Once::Producer(ProducerSeq { id, epoch: *epoch, seq: *seq })
        }
    };
    match channel.append_batch(now_ms, texts, append.close, once) {
        Ok((Appended::New(cursor), _)) => Outcome::Appended { before, cursor, duplicate: false },
        Ok((Appended::Duplicate(cursor), _)) => Outcome::Appended { before, cursor, duplicate: true },
        Err(refused) => Outcome::Refused(refused.kind()),
    }
}

/// FNV-1a: a hash that is good enough for a test.
fn fingerprint(append: &Append) -> Fingerprint {
    let text = append.texts.join("\n");
    let hash = text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    Fingerprint(hash.to_le_bytes())
}
