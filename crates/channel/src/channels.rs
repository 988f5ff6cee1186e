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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::Cursor;
    use alloc::format;
    use alloc::vec::Vec;

    fn channels(limits: ChannelsLimits) -> Channels<u32, ()> {
        let retention = Retention { max_age_ms: Some(100), ..Retention::DEFAULT };
        Channels::new(retention, Limits::DEFAULT.with_idle_ms(10), limits)
    }

    fn open(channels: &mut Channels<u32, ()>, name: &str, now_ms: u64) -> Result<u64, RefusedKind> {
        match channels.open(name, now_ms, || Epoch::new(now_ms)) {
            Ok(channel) => Ok(channel.log().epoch().get()),
            Err(refused) => Err(refused.kind()),
        }
    }

    #[test]
    fn a_channel_is_created_once_and_by_its_name() {
        let mut channels = channels(ChannelsLimits::DEFAULT.with_max_name(3));
        assert_eq!(open(&mut channels, "a", 1), Ok(1));
        assert_eq!(open(&mut channels, "a", 2), Ok(1));
        assert_eq!(open(&mut channels, "b", 3), Ok(3));
        assert_eq!(open(&mut channels, "long", 4), Err(RefusedKind::NameTooLong));
        assert_eq!(channels.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b"]);
        assert!(channels.get("c").is_none() && channels.get_mut("a").is_some());
        assert!(channels.remove("a").is_some());
        assert_eq!(open(&mut channels, "a", 5), Ok(5));
        assert_eq!((channels.len(), channels.is_empty()), (2, false));
    }

    #[test]
    fn a_new_channel_takes_the_room_of_an_idle_one() {
        let mut channels = channels(ChannelsLimits::DEFAULT.with_max_channels(2));
        open(&mut channels, "a", 0).unwrap();
        open(&mut channels, "b", 0).unwrap();
        let (cursor, _) = channels.get_mut("b").unwrap().append(0, 1, 0).unwrap();
        assert_eq!(open(&mut channels, "c", 9), Err(RefusedKind::TooManyChannels));
        assert_eq!(open(&mut channels, "c", 10), Ok(10));
        assert!(channels.get("a").is_none(), "it was idle");
        assert_eq!(channels.get("b").unwrap().log().head(), cursor, "it has a message");
    }

    #[test]
    fn a_channel_is_kept_as_long_as_its_last_message() {
        let mut channels = channels(ChannelsLimits::DEFAULT);
        open(&mut channels, "a", 0).unwrap();
        assert_eq!(channels.get_mut("a").unwrap().append(0, 1, 0).unwrap().1.count(), 0);
        assert_eq!(channels.sweep(99, 1), 0, "silent for long, but there is something to read");
        assert_eq!((0..2).map(|_| channels.sweep(100, 1)).sum::<usize>(), 1);
    }

    #[test]
    fn a_sweep_goes_round_in_small_steps() {
        let mut channels = channels(ChannelsLimits::DEFAULT);
        for number in 0..10 {
            let channel = channels.open(&format!("{number}"), 0, || Epoch::new(number)).unwrap();
            if number % 2 == 0 {
                channel.wait(Cursor::new(Epoch::new(number), 0), ()).unwrap();
            }
        }
        let freed: Vec<_> = (0..5).map(|_| channels.sweep(50, 3)).collect();
        assert_eq!(freed.iter().sum::<usize>(), 5);
        assert!(freed.iter().all(|&freed| freed <= 2), "{freed:?}");
        assert!(channels.iter().all(|(_, channel)| channel.waiters() == 1));
        assert_eq!(channels.sweep(1_000, usize::MAX), 0);
        assert_eq!(
            Channels::<u32, ()>::new(Retention::DEFAULT, Limits::DEFAULT, ChannelsLimits::DEFAULT)
                .sweep(0, 9),
            0
        );
    }
}
