//! What the workers of a hub have done, in numbers: what is shared must cost once, and these say
//! whether it did.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the hub was made, over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Work {
    /// Times that a publish put a channel on the list of a worker: once for each worker that reads
    /// the channel, until it has looked.
    pub wakes: u64,
    /// Messages written by a feed for all subscribers of a worker that see the same bytes.
    pub encoded: u64,
    /// Messages written by a feed for one subscriber: the replay that a stream begins with, and
    /// what a slow reader missed.
    pub replayed: u64,
    /// Compressions, in either of the two.
    pub compressed: u64,
}

/// The counters behind [`Work`]. Nothing is decided by them, so their order among other things does
/// not matter.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) wakes: Counter,
    pub(crate) encoded: Counter,
    pub(crate) replayed: Counter,
    pub(crate) compressed: Counter,
}

impl Counters {
    pub(crate) fn work(&self) -> Work {
        Work {
            wakes: self.wakes.get(),
            encoded: self.encoded.get(),
            replayed: self.replayed.get(),
            compressed: self.compressed.get(),
        }
    }
}

/// One number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
