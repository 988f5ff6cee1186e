//! What the workers of a hub have done, in numbers: what is shared must cost once, and these say
//! whether it did.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

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
    /// Subscribers that were dropped because all of them together held too much that they did not
    /// take.
    pub dropped: u64,
    /// Turns of the tables of subscribers: each a share of what is to be done, after which all
    /// other connections of the worker have their turn.
    pub turns: u64,
    /// Of these, the turns that took longer than 20 ms.
    pub long_turns: u64,
    /// The longest turn, in microseconds.
    pub longest_turn_us: u64,
    /// Forms made of long payloads (JSON text, base64, lines, compressed): once for each worker and
    /// form, however many groups of subscribers get it.
    pub formed: u64,
}

/// The counters behind [`Work`]. Nothing is decided by them, so their order among other things does
/// not matter.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) wakes: Counter,
    pub(crate) encoded: Counter,
    pub(crate) replayed: Counter,
    pub(crate) compressed: Counter,
    pub(crate) dropped: Counter,
    turns: Counter,
    long_turns: Counter,
    longest_turn_us: Counter,
    pub(crate) forms: Arc<FormCounters>,
}

/// A turn that takes longer is counted as a long one.
const LONG_TURN: Duration = Duration::from_millis(20);

impl Counters {
    pub(crate) fn work(&self) -> Work {
        Work {
            wakes: self.wakes.get(),
            encoded: self.encoded.get(),
            replayed: self.replayed.get(),
            compressed: self.compressed.get(),
            dropped: self.dropped.get(),
            turns: self.turns.get(),
            long_turns: self.long_turns.get(),
            longest_turn_us: self.longest_turn_us.get(),
            formed: self.forms.formed(),
        }
    }

    /// A turn took so long.
    pub(crate) fn turn(&self, took: Duration) {
        self.turns.add(1);
        self.long_turns.add(u64::from(took > LONG_TURN));
        self.longest_turn_us.raise(took.as_micros() as u64);
    }
}

/// Counts of forms, which outlive the worker that made them.
#[derive(Debug, Default)]
pub(crate) struct FormCounters {
    formed: Counter,
    held: AtomicU64,
}

impl FormCounters {
    /// Notes that a form was made.
    pub(crate) fn count_formed(&self) {
        self.formed.add(1);
    }

    /// Counts bytes while anybody holds them.
    pub(crate) fn hold(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        self.held.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Bytes::from_owner(Held { bytes, counters: self.clone() })
    }

    /// Forms made so far.
    pub(crate) fn formed(&self) -> u64 {
        self.formed.get()
    }

    /// Bytes of forms that somebody holds.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

/// The bytes of a form.
struct Held {
    bytes: Bytes,
    counters: Arc<FormCounters>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.counters.held.fetch_sub(self.bytes.len() as u64, Ordering::Relaxed);
    }
}

/// One number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Makes it at least this.
    fn raise(&self, n: u64) {
        if n > self.get() {
            self.0.fetch_max(n, Ordering::Relaxed);
        }
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
