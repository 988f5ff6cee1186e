//! The store in memory passes the suite, and the suite finds mistakes.

use std::sync::Arc;

use tidewire_store::suite::{Fixture, JournalStore, Loss};
use tidewire_store::{Limits, Store};

/// A store in memory that is started again from its journal.
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

tidewire_store::store_suite!(in_memory);
