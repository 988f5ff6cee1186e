//! Idempotency keys: the same publish, sent twice, is one message.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;

use crate::limits::Limits;

/// The keys of the last publishes, each with the number of its message.
///
/// Keys are kept whole, not hashed: a collision would drop a message, and a hash without a secret can be made to
/// collide. A queue gives the order of their going, a map the answer.
#[derive(Debug)]
pub(crate) struct Keys {
    by_age: VecDeque<(u64, Arc<[u8]>)>,
    seqs: BTreeMap<Arc<[u8]>, u64>,
    clock_ms: u64,
}

impl Keys {
    pub(crate) const fn new() -> Self {
        Self { by_age: VecDeque::new(), seqs: BTreeMap::new(), clock_ms: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// The number of the message that was published with this key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<u64> {
        self.seqs.get(key).copied()
    }

    /// Remembers a key that is not there yet.
    pub(crate) fn insert(&mut self, now_ms: u64, key: &[u8], seq: u64, limits: &Limits) {
        if limits.max_keys == 0 {
            return;
        }
        self.expire(now_ms, limits);
        while self.by_age.len() >= limits.max_keys {
            self.forget_oldest();
        }
        let key: Arc<[u8]> = Arc::from(key);
        self.by_age.push_back((self.clock_ms, Arc::clone(&key)));
        self.seqs.insert(key, seq);
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
            self.seqs.remove(&key);
        }
    }
}
