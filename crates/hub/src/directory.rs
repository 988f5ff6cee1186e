//! The channels of a hub, by name.
//!
//! ```text
//!   name ── hash ──► shard: by name ──► slot       each shard has its own lock
//!                           slots: [channel, channel, …]
//!                                             ◄── a sweep runs backwards: the last slot fills the place
//!                                                 of a removed channel, and was visited already
//! ```
//!
//! There are many shards because a hash map moves all its entries under the lock when it grows or
//! shrinks. With 100,000 channels in one map, all workers would wait for some milliseconds.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidewire_store::ChannelName;

use crate::channel::Channel;
use crate::error::HubError;
use crate::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The channels of a hub, by name.
pub(crate) struct Directory {
    hasher: RandomState,
    /// The number of shards is a power of two.
    shards: Box<[RwLock<Shard>]>,
    len: AtomicUsize,
    max: usize,
}

struct Shard {
    by_name: HashMap<ChannelName, usize, RandomState>,
    slots: Vec<Arc<Channel>>,
}

impl Directory {
    /// An empty directory for at most `max` channels.
    pub(crate) fn new(max: usize) -> Self {
        let hasher = RandomState::new();
        let shards = (max / SHARD).clamp(1, MAX_SHARDS).next_power_of_two();
        let shard = || Shard { by_name: HashMap::with_hasher(hasher.clone()), slots: Vec::new() };
        let shards = (0..shards).map(|_| RwLock::new(shard())).collect();
        Directory { hasher, shards, len: AtomicUsize::new(0), max }
    }

    /// The number of channels.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// The channel with this name, if there is one.
    pub(crate) fn find(&self, name: &ChannelName, now_ms: u64) -> Option<Arc<Channel>> {
        let shard = read_lock(self.shard(name));
        shard.get(name).filter(|channel| channel.touch(now_ms)).cloned()
    }

    /// The channel with this name, whatever its state.
    pub(crate) fn peek(&self, name: &ChannelName) -> Option<Arc<Channel>> {
        read_lock(self.shard(name)).get(name).cloned()
    }

    /// The channel with this name. If there is none that can be used, makes one and opens it.
    ///
    /// # Errors
    /// [`HubError::TooManyChannels`].
    pub(crate) fn find_or_add(
        &self,
        name: &ChannelName,
        now_ms: u64,
        new: impl FnOnce() -> Arc<Channel>,
    ) -> Result<Arc<Channel>, HubError> {
        if let Some(channel) = self.find(name, now_ms) {
            return Ok(channel);
        }
        let mut shard = write_lock(self.shard(name));
        if let Some(channel) = shard.get(name).filter(|channel| channel.touch(now_ms)) {
            return Ok(channel.clone());
        }
        self.remove(&mut shard, name, now_ms);
        let one_more = |len| (len < self.max).then_some(len + 1);
        if self.len.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            return Err(HubError::TooManyChannels(self.max));
        }
        let channel = new();
        channel.touch(now_ms);
        // With the lock of the shard: the store is asked after it has released an older channel of
        // this name, and others find the channel open if the store answers at once.
        channel.open(now_ms);
        shard.add(channel.clone());
        Ok(channel)
    }

    /// Whether this is so for all channels.
    pub(crate) fn all(&self, is_so: impl Fn(&Arc<Channel>) -> bool) -> bool {
        self.shards.iter().all(|shard| {
            let channels = read_lock(shard).slots.clone();
            channels.iter().all(&is_so)
        })
    }

    /// One step of a sweep: evicts expired messages and forgets idle channels. Pass 0 to begin.
    /// Returns the argument for the next step, or `None` at the end. Visits 256 channels, or fewer
    /// if many messages expired. Holds no lock for longer than one channel takes, or the idle
    /// channels of one shard.
    pub(crate) fn sweep_some(&self, from: usize, now_ms: u64) -> Option<usize> {
        let (mut number, mut end) = (from >> SLOT_BITS, from & MAX_SLOT);
        let mut work = 0;
        while let Some(shard) = self.shards.get(number) {
            let left = (WORK_A_STEP - work) / WORK_OF_A_CHANNEL;
            let (first, channels) = read_lock(shard).before(end, left);
            let mut place = first + channels.len();
            let mut idle = Vec::new();
            for channel in channels.iter().rev() {
                let swept = channel.sweep(now_ms);
                work += WORK_OF_A_CHANNEL + swept.evicted;
                place -= 1;
                if swept.is_idle {
                    idle.push(channel.name());
                }
                if work + WORK_OF_A_CHANNEL > WORK_A_STEP {
                    break;
                }
            }
            self.forget(shard, &idle, now_ms);
            (number, end) = if place == 0 { (number + 1, 0) } else { (number, place) };
            if work + WORK_OF_A_CHANNEL > WORK_A_STEP {
                return Some(number << SLOT_BITS | end);
            }
        }
        None
    }

    /// Removes those of the given channels that are still idle.
    fn forget(&self, shard: &RwLock<Shard>, idle: &[&ChannelName], now_ms: u64) {
        if idle.is_empty() {
            return;
        }
        let mut shard = write_lock(shard);
        for name in idle {
            if shard.get(name).is_some_and(|channel| channel.forget_if_idle(now_ms)) {
                self.remove(&mut shard, name, now_ms);
            }
        }
        shard.shrink();
    }

    fn remove(&self, shard: &mut Shard, name: &ChannelName, now_ms: u64) {
        if let Some(channel) = shard.remove(name) {
            self.len.fetch_sub(1, Ordering::Relaxed);
            channel.released(now_ms);
        }
    }

    fn shard(&self, name: &ChannelName) -> &RwLock<Shard> {
        // Bits from the middle: the map of the shard uses both ends of the same hash.
        let number = self.hasher.hash_one(name) >> 24;
        &self.shards[number as usize & (self.shards.len() - 1)]
    }
}

impl Shard {
    fn get(&self, name: &ChannelName) -> Option<&Arc<Channel>> {
        self.by_name.get(name).map(|&slot| &self.slots[slot])
    }

    fn add(&mut self, channel: Arc<Channel>) {
        self.by_name.insert(channel.name().clone(), self.slots.len());
        self.slots.push(channel);
    }

    fn remove(&mut self, name: &ChannelName) -> Option<Arc<Channel>> {
        let slot = self.by_name.remove(name)?;
        let removed = self.slots.swap_remove(slot);
        if let Some(moved) = self.slots.get(slot) {
            self.by_name.insert(moved.name().clone(), slot);
        }
        Some(removed)
    }

    /// Up to `count` channels before slot `end` (0 means the end of all), and the slot of the
    /// first.
    fn before(&self, end: usize, count: usize) -> (usize, Vec<Arc<Channel>>) {
        let end = if end == 0 { self.slots.len() } else { end.min(self.slots.len()) };
        let first = end.saturating_sub(count);
        (first, self.slots[first..end].to_vec())
    }

    /// Frees the memory of removed channels.
    fn shrink(&mut self) {
        if self.by_name.capacity() > 4 * self.slots.len().max(SPARE) {
            self.by_name.shrink_to_fit();
            self.slots.shrink_to_fit();
        }
    }
}

/// Average number of channels in a full shard. A map of this size moves in microseconds.
const SHARD: usize = 256;

/// This many empty shards take 300 kB.
const MAX_SHARDS: usize = 4_096;

/// A place in a sweep: the low bits are the slot, the bits above are the shard.
const SLOT_BITS: u32 = 20;
const MAX_SLOT: usize = (1 << SLOT_BITS) - 1;

/// Work of one step of a sweep, counted in expired messages. It takes a fraction of a millisecond.
const WORK_A_STEP: usize = 2_048;

/// The cost of visiting a channel, counted in expired messages.
const WORK_OF_A_CHANNEL: usize = 8;

/// Channels for which an empty shard keeps memory.
const SPARE: usize = 8;

fn read_lock(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn write_lock(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use tidewire_store::{Limits, MemoryStore};

    use super::*;
    use crate::channel::Common;
    use crate::config::HubConfig;

    fn name(number: usize) -> ChannelName {
        ChannelName::new(&format!("c{number}")).unwrap()
    }

    /// A directory of `count` idle channels.
    fn filled(max: usize, count: usize) -> Directory {
        let config = HubConfig { idle: Duration::ZERO, ..HubConfig::default() };
        let common = Common::new(config, 0, Arc::new(MemoryStore::new(Limits::DEFAULT)), 0);
        let directory = Directory::new(max);
        for number in 0..count {
            let new = || Channel::new(name(number), &common);
            directory.find_or_add(&name(number), 0, new).unwrap();
        }
        directory
    }

    #[test]
    fn steps_reach_every_channel_and_are_short() {
        for max in [1, 1_000, 3_000, 100_000] {
            let count = max.min(3_000);
            let directory = filled(max, count);
            assert_eq!(directory.len(), count);
            // Every third channel is in use.
            let used: HashSet<usize> = (0..count).filter(|number| number % 3 == 0).collect();
            let in_use: Vec<_> =
                used.iter().map(|&number| directory.find(&name(number), 0).unwrap()).collect();
            in_use.iter().for_each(|channel| assert!(channel.begin_upload(None).unwrap()));
            let (mut from, mut steps) = (Some(0), 0);
            while let Some(place) = from {
                let before = directory.len();
                from = directory.sweep_some(place, 1);
                assert!(before - directory.len() <= 256);
                steps += 1;
            }
            assert!(steps > count / 256 && steps <= count / 256 + 1, "{steps} steps for {count}");
            assert_eq!(directory.len(), used.len());
            for number in 0..count {
                let found = directory.find(&name(number), 1);
                assert_eq!(found.is_some(), used.contains(&number));
                assert!(found.is_none_or(|channel| *channel.name() == name(number)));
            }
        }
    }

    #[test]
    fn a_place_past_the_end_is_harmless() {
        let directory = filled(10, 10);
        assert_eq!(directory.sweep_some(MAX_SLOT, 1), None);
        assert_eq!(directory.len(), 0);
        assert_eq!(directory.sweep_some(usize::MAX, 1), None);
    }
}
