//! What a store remembers of names without a log: where a new log begins, and which were deleted a
//! short time ago.
//!
//! A channel that was never written is at `S-0`, where S is an epoch of the whole store. If a log
//! is forgotten, `S-0` must not be a position of the next log of the same name: its reader would
//! miss all messages of the forgotten one without being told. So the store counts the forgotten
//! logs of each name, and derives an epoch from S and this number.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use tidewire_channel::{Cursor, Epoch};

use crate::memory::limits::Limits;
use crate::name::ChannelName;

#[derive(Debug)]
pub(crate) struct Names {
    /// S.
    epoch: Epoch,
    /// The number of forgotten logs, by the hash of their name. If two names have the same hash,
    /// one gets another epoch without need.
    forgotten: HashMap<u64, u64>,
    deleted: HashMap<ChannelName, u64>,
    /// The deletions, oldest first. A name that is in use again, or was deleted again, is still
    /// here.
    by_age: VecDeque<(u64, ChannelName)>,
    limits: Limits,
}

impl Names {
    pub(crate) fn new(epoch: Epoch, limits: Limits) -> Self {
        Self { epoch, forgotten: HashMap::new(), deleted: HashMap::new(), by_age: VecDeque::new(), limits }
    }

    /// The position before the first message of the next log with this name.
    pub(crate) fn start(&self, name: &ChannelName) -> Cursor {
        let forgotten = self.forgotten.get(&key(name)).copied().unwrap_or(0);
        let epoch = if forgotten == 0 { self.epoch } else { derive(self.epoch, &forgotten) };
        Cursor::new(epoch, 0)
    }

    /// A log is gone.
    pub(crate) fn forget(&mut self, name: &ChannelName) {
        let key = key(name);
        if self.forgotten.len() >= self.limits.max_forgotten && !self.forgotten.contains_key(&key) {
            self.epoch = derive(self.epoch, &"the next");
            self.forgotten.clear();
            return;
        }
        let forgotten = self.forgotten.entry(key).or_default();
        *forgotten = forgotten.wrapping_add(1).max(1);
    }

    /// A log was deleted.
    pub(crate) fn delete(&mut self, name: &ChannelName, now_ms: u64) {
        self.forget(name);
        self.deleted.insert(name.clone(), now_ms);
        self.by_age.push_back((now_ms, name.clone()));
        self.expire(now_ms);
    }

    /// A log with this name was made.
    pub(crate) fn reuse(&mut self, name: &ChannelName) {
        if !self.deleted.is_empty() {
            self.deleted.remove(name);
        }
    }

    pub(crate) fn is_deleted(&self, name: &ChannelName, now_ms: u64) -> bool {
        let is_young = |&time_ms: &u64| now_ms.saturating_sub(time_ms) < self.limits.deleted_ms;
        !self.deleted.is_empty() && self.deleted.get(name).is_some_and(is_young)
    }

    /// Forgets deletions that are too old or too many.
    pub(crate) fn expire(&mut self, now_ms: u64) {
        while let Some((time_ms, name)) = self.by_age.front() {
            let is_old = now_ms.saturating_sub(*time_ms) >= self.limits.deleted_ms;
            if !is_old && self.by_age.len() <= self.limits.max_deleted {
                return;
            }
            // A later deletion of the same name stays.
            if self.deleted.get(name) == Some(time_ms) {
                self.deleted.remove(name);
            }
            self.by_age.pop_front();
        }
    }
}

/// An epoch that follows from another one. It differs from all that were derived so far, other than
/// by a chance of 1 in 2^64.
pub(crate) fn derive(epoch: Epoch, from: &impl Hash) -> Epoch {
    let mut hasher = DefaultHasher::new();
    (epoch.get(), from).hash(&mut hasher);
    // Epoch 0 belongs to the cursor that is in no log.
    Epoch::new(hasher.finish().max(1))
}

fn key(name: &ChannelName) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}
