//! Counters of the work that the workers of a hub have done. Tests use them to show that shared
//! work is done once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

/// Counts since the hub was made, over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Work {
    /// Times that a publish woke a worker. After a wake-up, a worker is not woken again before it
    /// has read the channel.
    pub wakes: u64,
    /// Messages encoded once for all subscribers of a worker that get the same bytes.
    pub encoded: u64,
    /// Messages encoded for one subscriber: the replay at the start of a stream, and what a slow
    /// reader has missed.
    pub replayed: u64,
    /// Compressions, in `encoded` and `replayed` together.
    pub compressed: u64,
    /// Subscribers that were disconnected because all subscribers together held too many bytes that
    /// they had not accepted.
    pub dropped: u64,
    /// Turns of the subscriber tables. A turn does a limited amount of work; then the other
    /// connections of the worker run.
    pub turns: u64,
    /// Turns that took longer than 20 ms.
    pub long_turns: u64,
    /// The longest turn, in microseconds.
    pub longest_turn_us: u64,
    /// Long payloads that were encoded (JSON text, base64, lines, compressed): once for each worker
    /// and encoding, however many groups of subscribers get them.
    pub formed: u64,
}

/// The counters behind [`Work`]. Nothing is decided by them, so relaxed order is enough.
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

/// A longer turn counts as a long turn.
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

    /// Notes a turn and its duration.
    pub(crate) fn turn(&self, took: Duration) {
        self.turns.add(1);
        self.long_turns.add(u64::from(took > LONG_TURN));
        self.longest_turn_us.raise(took.as_micros() as u64);
    }
}

/// Counts of encoded payloads. They outlive the worker that encoded them.
#[derive(Debug, Default)]
pub(crate) struct FormCounters {
    formed: Counter,
    held: AtomicU64,
}

impl FormCounters {
    /// Notes that a payload was encoded.
    pub(crate) fn count_formed(&self) {
        self.formed.add(1);
    }

    /// Returns the bytes so that they count as held while anybody has them.
    pub(crate) fn hold(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        self.held.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Bytes::from_owner(Held { bytes, counters: self.clone() })
    }

    /// The number of payloads encoded so far.
    pub(crate) fn formed(&self) -> u64 {
        self.formed.get()
    }

    /// Bytes of encoded payloads that somebody holds.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

/// Encoded bytes that are counted while they exist.
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

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Raises it to at least `n`.
    fn raise(&self, n: u64) {
        if n > self.get() {
            self.0.fetch_max(n, Ordering::Relaxed);
        }
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
