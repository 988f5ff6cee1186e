//! Idempotency keys: the same publish, sent twice, is one message.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;

use crate::limits::Limits;

/// What a message says, in 16 bytes: a hash of everything that a publisher sends of it.
///
/// The owner of a [`Channel`](crate::Channel) makes it, because only the owner knows what a message
/// is. Take a hash for which nobody finds a second message (SHA-256, cut to 16 bytes). Put the
/// length of each part before it, or mark that it is absent. Otherwise the end of an event name
/// could be taken for the start of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

/// The keys of the last publishes, each with the number of its message and the message's
/// fingerprint.
///
/// Keys are kept whole, not hashed: they are short, and a collision would refuse a message. The
/// queue keeps them by age, the map finds them.
#[derive(Debug)]
pub(crate) struct Keys {
    by_age: VecDeque<(u64, Arc<[u8]>)>,
    first: BTreeMap<Arc<[u8]>, (u64, Fingerprint)>,
    clock_ms: u64,
}

impl Keys {
    pub(crate) const fn new() -> Self {
        Self { by_age: VecDeque::new(), first: BTreeMap::new(), clock_ms: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// The number of the message that was published with this key, and what it said.
    pub(crate) fn get(&self, key: &[u8]) -> Option<(u64, Fingerprint)> {
        self.first.get(key).copied()
    }

    /// Remembers a key that is not there yet.
    pub(crate) fn insert(
        &mut self,
        now_ms: u64,
        key: &[u8],
        seq: u64,
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
        self.first.insert(key, (seq, fingerprint));
    }

    /// Forgets what is too old. Time only moves forward, as in the log.
    pub(crate) fn expire(&mut self, now_ms: u64, limits: &Limits) {
        self.clock_ms = self.clock_ms.max(now_ms);
        while self.by_age.front().is_some_and(|&(time_ms, _)| self.clock_ms - time_ms >= limits.key_age_ms) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.by_age.pop_front() {
            self.first.remove(&key);
        }
    }
}
