//! Idempotency keys: a publish that is sent twice appends one message.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;

use crate::cursor::Cursor;
use crate::limits::Limits;

/// Identifies a message in 16 bytes: a hash of everything that its publisher sends.
///
/// The owner of a [`Channel`](crate::Channel) computes it, because only the owner knows what a
/// message is. Use a cryptographic hash, such as SHA-256 cut to 16 bytes. Hash the length of each
/// part before the part, and mark absent parts. Otherwise the end of an event name and the start of
/// a payload could be confused.
///
/// ```
/// use tidewire_channel::{Channel, Epoch, Fingerprint, Limits, Retention};
///
/// let limits = Limits::DEFAULT;
/// let mut channel: Channel<&str, ()> = Channel::new(Epoch::new(7), Retention::DEFAULT, limits);
/// let hash = Fingerprint([1; 16]); // of "paid", by a hash function of your choice
/// channel.append_once(0, b"order-66", hash, 4, "paid")?;
/// channel.append_once(0, b"order-66", hash, 4, "paid")?; // sent again: appends nothing
/// assert_eq!(channel.log().len(), 1);
/// # Ok::<(), tidewire_channel::Refused>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

/// The keys of the last publishes, each with the position after its messages and their fingerprint.
///
/// Keys are kept whole, not hashed: they are short, and a collision would refuse a message. The
/// queue orders them by age. The map finds them.
#[derive(Debug)]
pub(crate) struct Keys {
    by_age: VecDeque<(u64, Arc<[u8]>)>,
    first: BTreeMap<Arc<[u8]>, (Cursor, Fingerprint)>,
    clock_ms: u64,
}

impl Keys {
    pub(crate) const fn new() -> Self {
        Self { by_age: VecDeque::new(), first: BTreeMap::new(), clock_ms: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// Returns the position after the messages that were published with this key, and their
    /// fingerprint.
    pub(crate) fn get(&self, key: &[u8]) -> Option<(Cursor, Fingerprint)> {
        self.first.get(key).copied()
    }

    /// Remembers a new key.
    pub(crate) fn insert(
        &mut self,
        now_ms: u64,
        key: &[u8],
        cursor: Cursor,
        fingerprint: Fingerprint,
        limits: &Limits,
    ) {
        if limits.max_keys == 0 {
            return;
        }
        self.expire(now_ms, limits);
        while self.by_age.len() >= limits.max_keys {
            self.forget_oldest();
        }
        let key: Arc<[u8]> = Arc::from(key);
        self.by_age.push_back((self.clock_ms, Arc::clone(&key)));
        self.first.insert(key, (cursor, fingerprint));
    }

    /// Remembers a key that was known before a restart. If it is there already, the later one
    /// counts: the earlier one was forgotten before the key was used again.
    pub(crate) fn remember(
        &mut self,
        now_ms: u64,
        key: &[u8],
        cursor: Cursor,
        fingerprint: Fingerprint,
        limits: &Limits,
    ) {
        if self.first.remove(key).is_some() {
            self.by_age.retain(|(_, known)| **known != *key);
        }
        self.insert(now_ms, key, cursor, fingerprint, limits);
    }

    /// Forgets keys that are too old. Time only moves forward, as in the log.
    pub(crate) fn expire(&mut self, now_ms: u64, limits: &Limits) {
        self.clock_ms = self.clock_ms.max(now_ms);
        let clock_ms = self.clock_ms;
        let is_old = |(time_ms, _): &(u64, _)| clock_ms.saturating_sub(*time_ms) >= limits.key_age_ms;
        while self.by_age.front().is_some_and(is_old) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.by_age.pop_front() {
            self.first.remove(&key);
        }
    }
}
