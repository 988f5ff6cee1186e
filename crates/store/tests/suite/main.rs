//! The store in memory passes the suite, at once and from a thread of its own.

#![allow(clippy::unwrap_used)]

mod memory;
mod mistakes;

use std::sync::{Arc, mpsc};
use std::thread;

use tidewire_channel::{Budget, Since};
use tidewire_store::suite::{Fixture, JournalStore, Loss};
use tidewire_store::*;
use tidewire_testkit::heap::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// A store in memory that is started again from its journal.
#[derive(Clone, Debug)]
struct InMemory(Arc<JournalStore>);

const ROOM: usize = 400_000;

fn limits() -> Limits {
    let channel = tidewire_channel::Limits::DEFAULT.with_max_keys(4).with_max_producers(4);
    Limits::DEFAULT.with_channel(channel).with_max_kept_bytes(ROOM).with_max_logs(1_000)
}

fn in_memory() -> InMemory {
    InMemory(Arc::new(JournalStore::new(limits())))
}

impl Fixture for InMemory {
    fn store(&self) -> Arc<dyn Store> {
        self.0.clone()
    }

    fn restart(&mut self, loss: Loss) -> bool {
        self.0 = Arc::new(self.0.restart(loss));
        true
    }

    fn limits(&self) -> tidewire_channel::Limits {
        limits().channel
    }

    fn room(&self) -> Option<usize> {
        Some(ROOM)
    }
}

#[test]
fn limits_md_has_the_defaults() {
    tidewire_testkit::limits::check("tidewire-store: settings", &[&SettingsLimits::DEFAULT], &[]);
}

mod at_once {
    tidewire_store::store_suite!(super::in_memory);
}

mod later {
    tidewire_store::store_suite!(|| super::Queued::new(super::in_memory()));
}

/// The same store, whose changes are made by a thread of its own, as in the README.
#[derive(Debug)]
struct Queued {
    memory: InMemory,
    queue: Arc<Queue>,
}

#[derive(Debug)]
struct Queue {
    logs: Arc<JournalStore>,
    work: mpsc::Sender<Box<dyn FnOnce() + Send>>,
}

impl Queued {
    fn new(memory: InMemory) -> Self {
        let (work, jobs) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        thread::spawn(move || jobs.into_iter().for_each(|job| job()));
        let queue = Arc::new(Queue { logs: memory.0.clone(), work });
        Self { memory, queue }
    }
}

impl Queue {
    fn queue<T: Send + 'static>(
        &self,
        change: impl FnOnce(&JournalStore) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let (responder, later) = later();
        let logs = self.logs.clone();
        drop(self.work.send(Box::new(move || change(&logs).pass_to(responder))));
        Answer::Later(later)
    }
}

impl Fixture for Queued {
    fn store(&self) -> Arc<dyn Store> {
        self.queue.clone()
    }

    fn restart(&mut self, loss: Loss) -> bool {
        self.memory.restart(loss);
        *self = Self::new(InMemory(self.memory.0.clone()));
        true
    }

    fn limits(&self) -> tidewire_channel::Limits {
        self.memory.limits()
    }

    fn room(&self) -> Option<usize> {
        self.memory.room()
    }
}

impl Store for Queue {
    fn open(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<Opened, Failed>> {
        let name = name.clone();
        self.queue(move |logs| logs.open(&name, now_ms))
    }

    fn release(&self, name: &ChannelName, now_ms: u64) {
        self.logs.release(name, now_ms);
    }

    fn append(&self, name: &ChannelName, append: Append) -> Answer<Result<Appended, AppendError>> {
        let name = name.clone();
        self.queue(move |logs| logs.append(&name, append))
    }

    fn read(&self, name: &ChannelName, since: Since, budget: Budget, now_ms: u64) -> Answer<ReadResult> {
        let name = name.clone();
        self.queue(move |logs| logs.read(&name, since, budget, now_ms))
    }

    fn create(&self, name: &ChannelName, create: Create) -> Answer<Result<Created, CreateError>> {
        let name = name.clone();
        self.queue(move |logs| logs.create(&name, create))
    }

    fn delete(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<bool, Failed>> {
        let name = name.clone();
        self.queue(move |logs| logs.delete(&name, now_ms))
    }

    fn touch(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<(), Failed>> {
        let name = name.clone();
        self.queue(move |logs| logs.touch(&name, now_ms))
    }

    fn sweep(&self, now_ms: u64) -> Answer<Result<Swept, Failed>> {
        self.queue(move |logs| logs.sweep(now_ms))
    }
}

type ReadResult = Result<Page, ReadError>;
