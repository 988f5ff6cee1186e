//! Channels by name.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::ops::Bound;

use crate::channel::Channel;
use crate::cursor::Epoch;
use crate::error::{Refused, RefusedKind};
use crate::limits::{ChannelsLimits, Limits, Retention};

/// A registry of [`Channel`]s by name, bounded in number; idle ones are freed.
///
/// An owner with many threads keeps one per shard, or a map of its own with a lock in each channel: nothing here is needed for that.
#[derive(Debug)]
pub struct Channels<T, W> {
    channels: BTreeMap<String, Channel<T, W>>,
    retention: Retention,
    channel_limits: Limits,
    limits: ChannelsLimits,
    /// The name after which the next sweep starts.
    swept: Option<String>,
}

impl<T, W> Channels<T, W> {
    /// No channels yet. Each one that is opened gets this retention and these limits.
    pub const fn new(retention: Retention, channel_limits: Limits, limits: ChannelsLimits) -> Self {
        Self { channels: BTreeMap::new(), retention, channel_limits, limits, swept: None }
    }

    /// The channel of this name, created if there is none. `epoch` is called only then.
    ///
    /// # Errors
    /// [`RefusedKind::NameTooLong`]; [`RefusedKind::TooManyChannels`] if no room could be made by freeing idle ones.
    pub fn open(
        &mut self,
        name: &str,
        now_ms: u64,
        epoch: impl FnOnce() -> Epoch,
    ) -> Result<&mut Channel<T, W>, Refused> {
        if !self.channels.contains_key(name) {
            self.admit(name, now_ms)?;
            let channel = Channel::new(epoch(), self.retention, self.channel_limits);
            self.channels.insert(String::from(name), channel);
        }
        let channel = self.channels.get_mut(name).expect("it was there or has just been inserted");
        channel.touch(now_ms);
        Ok(channel)
    }

    /// The channel of this name.
    pub fn get(&self, name: &str) -> Option<&Channel<T, W>> {
        self.channels.get(name)
    }

    /// The channel of this name, to append to it or wait on it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Channel<T, W>> {
        self.channels.get_mut(name)
    }

    /// Takes a channel out. Its waiters are inside: see [`Channel::wake_all`].
    pub fn remove(&mut self, name: &str) -> Option<Channel<T, W>> {
        self.channels.remove(name)
    }

    /// Expires old messages in up to `count` channels and frees those that are idle; returns how many were freed.
    ///
    /// Each call goes on where the last one stopped and wraps round, so a timer can sweep a large registry in small steps.
    pub fn sweep(&mut self, now_ms: u64, count: usize) -> usize {
        let mut freed = 0;
        for _ in 0..count.min(self.channels.len()) {
            let after = match &self.swept {
                Some(name) => (Bound::Excluded(name.as_str()), Bound::Unbounded),
                None => (Bound::Unbounded, Bound::Unbounded),
            };
            let Some((name, channel)) = self.channels.range_mut::<str, _>(after).next() else {
                self.swept = None;
                continue;
            };
            channel.expire(now_ms);
            let idle = channel.is_idle(now_ms);
            let name = name.clone();
            if idle {
                self.channels.remove(&name);
                freed += 1;
            }
            self.swept = Some(name);
        }
        freed
    }

    /// The number of channels.
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// The channels by name, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Channel<T, W>)> {
        self.channels.iter().map(|(name, channel)| (name.as_str(), channel))
    }

    fn admit(&mut self, name: &str, now_ms: u64) -> Result<(), Refused> {
        if name.len() > self.limits.max_name {
            return Err(Refused::new(RefusedKind::NameTooLong, self.limits.max_name));
        }
        if self.channels.len() >= self.limits.max_channels {
            self.sweep(now_ms, ADMIT_SWEEP);
        }
        if self.channels.len() >= self.limits.max_channels {
            return Err(Refused::new(RefusedKind::TooManyChannels, self.limits.max_channels));
        }
        Ok(())
    }
}

/// How many channels are looked at to make room for a new one: enough to find an idle one soon, few enough that a flood of
/// new names at the limit stays cheap.
const ADMIT_SWEEP: usize = 16;
