//! What the tests of the suite share: short ways to make requests, and a model of a log.

use std::sync::Arc;

use tidewire_channel::{Budget, Continuity, Cursor, Fingerprint, ResetReason, Since};

use super::Fixture;
use crate::answer::Answer;
use crate::append::{Append, Appended, Batch, Once};
use crate::create::{Create, Created, Fork};
use crate::error::{AppendError, CreateError, ReadError, Refusal};
use crate::info::{LogInfo, Opened, Page};
use crate::message::Message;
use crate::name::ChannelName;
use crate::settings::{ChannelSettings, Expiry, Retain};
use crate::store::Store;

/// A time at which the tests begin: the hub's clock is milliseconds since 1970.
pub(super) const START: u64 = 1_795_000_000_000;

pub(super) const HOUR: u64 = 60 * 60 * 1_000;

/// The answer of a store that must give one.
pub(super) fn now<T>(answer: Answer<T>) -> T {
    answer.wait().expect("the store dropped its responder")
}

pub(super) fn name(text: &str) -> ChannelName {
    ChannelName::new(text).expect("the tests use good names")
}

pub(super) fn message(text: &str) -> Arc<Message> {
    Arc::new(Message::new(text.to_owned().into(), START))
}

pub(super) fn batch(texts: &[&str]) -> Batch {
    match texts {
        [] => Batch::None,
        [one] => Batch::One(message(one)),
        many => Batch::Many(many.iter().map(|text| message(text)).collect()),
    }
}

/// An append of these messages.
pub(super) fn messages(texts: &[&str]) -> Append {
    Append::new(START, batch(texts), Arc::new(keeping_all()))
}

pub(super) fn key(text: &str, message: &str) -> Once {
    let hash = Message::new(message.to_owned().into(), 0).fingerprint();
    Once::Key { text: text.as_bytes().into(), fingerprint: Fingerprint(hash.0) }
}

pub(super) fn producer(id: &str, epoch: u64, seq: u64) -> Once {
    Once::Producer { id: id.into(), epoch, seq }
}

/// Settings that evict nothing.
pub(super) fn keeping_all() -> ChannelSettings {
    ChannelSettings::DEFAULT.with_retain(Retain::All)
}

pub(super) fn expiring(expiry: Expiry) -> Arc<ChannelSettings> {
    Arc::new(keeping_all().with_expiry(Some(expiry)))
}

/// A log of the store under test, by name.
pub(super) struct Log {
    pub(super) store: Arc<dyn Store>,
    pub(super) name: ChannelName,
    pub(super) now_ms: u64,
}

impl Log {
    pub(super) fn new(fixture: &dyn Fixture, text: &str) -> Self {
        Self { store: fixture.store(), name: name(text), now_ms: START }
    }

    pub(super) fn over(store: Arc<dyn Store>, text: &str) -> Self {
        Self { store, name: name(text), now_ms: START }
    }

    /// Makes the same requests to the store that runs now.
    pub(super) fn moved(self, fixture: &dyn Fixture) -> Self {
        Self { store: fixture.store(), ..self }
    }

    pub(super) fn open(&self) -> Opened {
        now(self.store.open(&self.name, self.now_ms)).expect("open")
    }

    pub(super) fn info(&self) -> LogInfo {
        match self.open() {
            Opened::Log(info) => info,
            other => panic!("there should be a log {}: {other:?}", self.name),
        }
    }

    /// The position before the first message of a log that does not exist yet.
    pub(super) fn start(&self) -> Cursor {
        match self.open() {
            Opened::Absent { start } => start,
            other => panic!("there should be no log {}: {other:?}", self.name),
        }
    }

    pub(super) fn ask(&self, append: Append) -> Result<Appended, AppendError> {
        now(self.store.append(&self.name, Append { now_ms: self.now_ms, ..append }))
    }

    pub(super) fn append(&self, append: Append) -> Appended {
        self.ask(append).expect("the append is right")
    }

    pub(super) fn refused(&self, append: Append) -> Refusal {
        match self.ask(append) {
            Err(AppendError::Refused(refusal)) => refusal,
            other => panic!("{} should refuse this: {other:?}", self.name),
        }
    }

    /// Appends one message and returns the position after it.
    pub(super) fn say(&self, text: &str) -> Cursor {
        self.append(messages(&[text])).cursor
    }

    pub(super) fn read(&self, since: impl Into<Since>, budget: Budget) -> Result<Page, ReadError> {
        now(self.store.read(&self.name, since.into(), budget, self.now_ms))
    }

    /// Reads all from a position on.
    pub(super) fn page(&self, since: impl Into<Since>) -> Page {
        self.read(since, Budget::UNLIMITED).expect("there is a log")
    }

    /// Why a read fails.
    pub(super) fn page_error(&self, since: impl Into<Since>) -> ReadError {
        self.read(since, Budget::UNLIMITED).expect_err("there should be nothing to read")
    }

    /// The texts of all kept messages.
    pub(super) fn texts(&self) -> Vec<String> {
        texts(&self.page(Since::Earliest))
    }

    pub(super) fn create(&self, settings: &Arc<ChannelSettings>) -> Result<Created, CreateError> {
        now(self.store.create(&self.name, Create::new(self.now_ms, settings.clone())))
    }

    pub(super) fn fork(&self, source: &Self, at: Cursor, bytes: usize) -> Result<Created, CreateError> {
        let fork = Fork { source: source.name.clone(), at, bytes };
        let create = Create::new(self.now_ms, Arc::new(keeping_all())).with_fork(fork);
        now(self.store.create(&self.name, create))
    }

    pub(super) fn delete(&self) -> bool {
        now(self.store.delete(&self.name, self.now_ms)).expect("delete")
    }

    pub(super) fn touch(&self) {
        now(self.store.touch(&self.name, self.now_ms)).expect("touch");
    }

    /// Sweeps to the end, and returns the names that have expired.
    pub(super) fn sweep(&self) -> Vec<ChannelName> {
        let mut expired = Vec::new();
        loop {
            let swept = now(self.store.sweep(self.now_ms)).expect("sweep");
            expired.extend(swept.expired);
            if !swept.more {
                return expired;
            }
        }
    }

    pub(super) fn release(&self) {
        self.store.release(&self.name, self.now_ms);
    }

    /// How a read from a position on continues.
    pub(super) fn continuity(&self, cursor: Cursor) -> Continuity {
        self.page(cursor).continuity
    }

    /// Whether a reader at this position is told of a reset, and goes on after the earliest.
    pub(super) fn resets(&self, cursor: Cursor, reason: ResetReason) -> bool {
        let to = self.info().earliest_cursor();
        self.continuity(cursor) == Continuity::Reset { reason, to }
    }
}

pub(super) fn texts(page: &Page) -> Vec<String> {
    page.messages.iter().map(|(_, message)| message.text().expect("a text").to_owned()).collect()
}

/// A page keeps its own promises.
pub(super) fn check_page(page: &Page) {
    let info = &page.info;
    let mut number = page.start.seq();
    for (cursor, _) in &page.messages {
        number += 1;
        assert_eq!(*cursor, info.lineage.at(number), "the messages are contiguous: {page:?}");
    }
    let last = page.messages.last().map_or(page.start, |(cursor, _)| *cursor);
    assert_eq!(page.cursor, last, "the cursor is that of the last message: {page:?}");
    assert_eq!(page.more, number < info.head, "{page:?}");
    assert!(info.earliest <= info.head, "{page:?}");
}

pub(super) fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
