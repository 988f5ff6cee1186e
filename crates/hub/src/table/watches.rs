//! The channels that the groups of a worker read, and the worker's registrations for news of them.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use tidewire_channel::{Cursor, WaitKey};

use super::group::Group;
use super::ids::GroupId;
use super::ids::SPARE;
use crate::channel::{Channel, Watch};
use crate::channel_state::Waiter;

/// The channels that the groups of a worker read.
pub(super) struct Watches {
    worker: u16,
    all: HashMap<usize, Watched, BuildHasherDefault<AddressHasher>>,
}

/// A channel that some group reads.
struct Watched {
    channel: Arc<Channel>,
    groups: Vec<GroupId>,
    /// The registration at the channel, gone once it has woken this worker.
    wait: Option<WaitKey>,
    /// The position of the newest registration.
    position: Cursor,
    /// Up to where all groups have been served.
    served: Cursor,
    /// The groups that have still to be served up to `position`, in the order of their turns.
    unserved: VecDeque<GroupId>,
}

/// What became of a group's wish for news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Registration {
    /// The next publish wakes this worker.
    Registered,
    /// There is something already.
    News,
    /// One of the channels is no more.
    Closed,
}

impl Watches {
    pub(super) fn new(worker: u16) -> Self {
        Watches { worker, all: HashMap::default() }
    }

    /// A group has come.
    pub(super) fn add(&mut self, group: &Group) {
        for channel in group.channels.0.iter() {
            let new = || {
                let (channel, served) = (channel.clone(), channel.head());
                let (groups, unserved) = (Vec::new(), VecDeque::new());
                Watched { channel, groups, wait: None, position: served, served, unserved }
            };
            self.all.entry(address(channel)).or_insert_with(new).groups.push(group.id);
        }
    }

    /// A group is gone.
    pub(super) fn remove(&mut self, group: &Group) {
        for channel in group.channels.0.iter() {
            let Some(watched) = self.all.get_mut(&address(channel)) else { continue };
            watched.groups.retain(|&one| one != group.id);
            if watched.groups.is_empty() {
                watched.channel.leave(self.worker);
                self.all.remove(&address(channel));
            } else {
                watched.was_served(group.id, self.worker);
            }
        }
    }

    /// A channel has news: the groups that read it.
    pub(super) fn on_news(&mut self, channel: &Arc<Channel>) -> Vec<GroupId> {
        let Some(watched) = self.all.get_mut(&address(channel)) else { return Vec::new() };
        // It is gone already where this news took it. But news may come late: the last group left
        // while it lay in the inbox, and another came and registered anew.
        if let Some(wait) = watched.wait.take() {
            channel.unwatch(wait);
        }
        watched.unserved = watched.groups.iter().copied().collect();
        watched.groups.clone()
    }

    /// Registers a group's channels for the next publish, once for the whole worker.
    pub(super) fn register(&mut self, group: &Group) -> Registration {
        for (channel, position) in group.channels.0.iter().zip(&group.positions.0) {
            let watched = self.all.get_mut(&address(channel)).expect("a group's channels are watched");
            if watched.wait.is_none() {
                match channel.watch(*position, watched.served, Waiter::Worker(self.worker)) {
                    Watch::Waiting(wait) => {
                        watched.wait = Some(wait);
                        watched.position = *position;
                    }
                    Watch::Ready => return Registration::News,
                    Watch::Closed => return Registration::Closed,
                }
            }
            watched.was_served(group.id, self.worker);
        }
        Registration::Registered
    }

    /// Whether the next publish to any of the group's channels will wake this worker.
    pub(super) fn is_registered(&self, group: &Group) -> bool {
        let waits = |channel| self.all.get(&address(channel)).is_some_and(|watched| watched.wait.is_some());
        group.channels.0.iter().all(waits)
    }

    /// Gives back the memory that many subscribers needed who are gone.
    pub(super) fn shrink(&mut self) {
        if self.all.capacity() > 4 * self.all.len().max(SPARE) {
            self.all.shrink_to_fit();
        }
    }
}

impl Watched {
    /// A group is at the position of the registration, or gone. When all are, publishers go on that
    /// waited for it.
    fn was_served(&mut self, group: GroupId, worker: u16) {
        if let Some(place) = self.unserved.iter().position(|&one| one == group) {
            self.unserved.remove(place);
        }
        if self.unserved.is_empty() && self.wait.is_some() && self.served != self.position {
            self.served = self.position;
            self.channel.served(worker, self.served);
        }
    }
}

fn address(channel: &Arc<Channel>) -> usize {
    Arc::as_ptr(channel) as usize
}

/// Hashes addresses, which nobody outside chooses, so that no secret is needed: the bits that
/// differ between two allocations are spread by a multiplication (Fibonacci hashing).
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_usize(usize::from(byte)));
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
