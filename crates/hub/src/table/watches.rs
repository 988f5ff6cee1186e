//! The channels that the groups of a worker read, and the registrations of the worker there.
//!
//! ```text
//!              busy: has news, or is new              the first one settles
//!   group ───────────────────────────────► channel ─────────────────────────────► registered
//!                                             │
//!                                             │ the last busy one settles
//!                                             └─────────────────────────────────► publishers know
//!                                                                                  what was served
//! ```
//!
//! A group *settles* when it has everything that its channels had. When the first group of a
//! channel settles, the worker registers there for new messages. It does not wait for groups that
//! have much to do, on this channel or another: they must not delay the others. When the last group
//! settles, the worker reports to publishers how far all groups are. While members that fell behind
//! a moment ago *hold* the channel, the worker does not report further progress.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use slab::Slab;
use tidewire_channel::Cursor;

use super::group::{Group, Place, Watching};
use super::groups::Groups;
use super::ids::GroupId;
use super::ids::SPARE;
use crate::channel::{Channel, Watch};
use crate::channel_state::Waiter;

/// The channels that the groups of a worker read.
pub(super) struct Watches {
    worker: u16,
    now_ms: u64,
    all: Slab<Watched>,
    by_channel: HashMap<usize, u32, BuildHasherDefault<AddressHasher>>,
}

/// A channel that at least one group reads.
struct Watched {
    channel: Arc<Channel>,
    /// The groups, each with the index of this channel in its list.
    groups: Vec<(GroupId, u32)>,
    /// The number of groups that are not registered for new messages.
    busy: usize,
    /// The number of groups with members that fell behind a moment ago.
    holds: usize,
    /// The time until which they may hold the channel.
    hold_until_ms: u64,
    /// The position at which this worker has registered. It still waits there, or it was woken.
    registered: Option<Cursor>,
    /// The position that this worker last reported to publishers: all its fast readers have the
    /// messages up to there.
    served: Option<Cursor>,
    /// The hub has forgotten the channel.
    is_closed: bool,
}

/// The result for a channel when a group settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Registration {
    /// The next publish wakes this worker.
    Registered,
    /// There are new messages already.
    News,
    /// The hub has forgotten the channel.
    Closed,
}

impl Watches {
    pub(super) fn new(worker: u16) -> Self {
        Watches { worker, now_ms: 0, all: Slab::new(), by_channel: HashMap::default() }
    }

    /// The number of this worker.
    pub(super) fn worker(&self) -> u16 {
        self.worker
    }

    /// Sets the time of the hub's clock.
    pub(super) fn set_now(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// Adds a group.
    pub(super) fn add(&mut self, group: &mut Group) {
        let places = group.channels.0.iter().enumerate().map(|(of_group, channel)| {
            let watched = *self.by_channel.entry(address(channel)).or_insert_with(|| {
                let watched = Watched {
                    channel: channel.clone(),
                    groups: Vec::new(),
                    busy: 0,
                    holds: 0,
                    hold_until_ms: 0,
                    registered: None,
                    served: None,
                    is_closed: false,
                };
                u32::try_from(self.all.insert(watched)).expect("there are fewer than 2^32 channels")
            });
            let groups = &mut self.all[watched as usize].groups;
            groups.push((group.id, of_group as u32));
            Place { watched, index: groups.len() as u32 - 1 }
        });
        group.places = places.collect();
    }

    /// Removes a group, so that it gets no more news. The last group of each list takes the free
    /// place, so that no list must be searched. Returns groups to handle, as
    /// [`settle`](Self::settle) does.
    pub(super) fn remove(&mut self, watching: Watching, groups: &mut Groups) -> Vec<(GroupId, Registration)> {
        let mut left = Vec::new();
        for place in watching.places {
            let watched = &mut self.all[place.watched as usize];
            watched.groups.swap_remove(place.index as usize);
            if let Some(&(moved, of_group)) = watched.groups.get(place.index as usize) {
                groups[moved].places[of_group as usize].index = place.index;
            }
            if watching.holds {
                watched.release(self.worker, self.now_ms);
            }
            if watched.groups.is_empty() {
                let watched = self.all.remove(place.watched as usize);
                watched.channel.leave(self.worker);
                self.by_channel.remove(&address(&watched.channel));
                continue;
            }
            watched.busy -= usize::from(watching.is_busy);
            if watched.busy == 0 {
                watched.settle(self.worker, groups, &mut left);
            }
        }
        left
    }

    /// A channel has new messages. Returns the groups that read it.
    pub(super) fn on_news(&mut self, channel: &Arc<Channel>) -> Vec<GroupId> {
        let Some(&watched) = self.by_channel.get(&address(channel)) else { return Vec::new() };
        let watched = &mut self.all[watched as usize];
        // News may be late: the last group left while the channel was in the inbox, and a new group
        // has registered since. Registering again does no harm.
        watched.registered = None;
        watched.groups.iter().map(|&(group, _)| group).collect()
    }

    /// A group has new messages to read.
    pub(super) fn begin(&mut self, group: &mut Group) {
        if !std::mem::replace(&mut group.is_busy, true) {
            group.places.iter().for_each(|place| self.all[place.watched as usize].busy += 1);
        }
    }

    /// A group has everything that its channels had. When the first group of a channel settles, the
    /// worker registers there. When the last one settles, the worker reports to publishers. Returns
    /// groups to handle: those with new messages already, and those whose channel is forgotten.
    pub(super) fn settle(&mut self, id: GroupId, groups: &mut Groups) -> Vec<(GroupId, Registration)> {
        let was_busy = std::mem::replace(&mut groups[id].is_busy, false);
        let mut left = Vec::new();
        for index in 0..groups[id].places.len() {
            let watched = &mut self.all[groups[id].places[index].watched as usize];
            watched.busy -= usize::from(was_busy);
            watched.settle(self.worker, groups, &mut left);
        }
        left
    }

    /// Whether the next publish to any channel of the group will wake this worker.
    pub(super) fn is_registered(&self, group: &Group) -> bool {
        !group.is_closed
            && !group.is_busy
            && group.places.iter().all(|place| self.all[place.watched as usize].registered.is_some())
    }

    /// A group has lost messages, so publishers no longer wait for this worker. It reports its last
    /// position again. That counts as the earliest kept position, and publishers wait again.
    /// Otherwise, in a flood, the worker would never reach the head, where it usually reports.
    pub(super) fn report_again(&self, group: &Group) {
        for place in &group.places {
            let watched = &self.all[place.watched as usize];
            if let Some(served) = watched.served {
                watched.channel.served(self.worker, served);
            }
        }
    }

    /// The time until which a member of this group may hold its channels.
    pub(super) fn may_hold_until(&self, group: &Group) -> u64 {
        let until = |watched: &Watched| match watched.holds {
            0 => watched.channel.may_hold_until(self.now_ms),
            _ => watched.hold_until_ms,
        };
        group.places.iter().map(|place| until(&self.all[place.watched as usize])).min().unwrap_or(0)
    }

    /// A member of this group fell behind a moment ago. The worker does not report to publishers
    /// that it was served.
    pub(super) fn hold(&mut self, group: &mut Group) {
        group.holds += 1;
        if group.holds == 1 {
            for place in &group.places {
                let watched = &mut self.all[place.watched as usize];
                watched.holds += 1;
                if watched.holds == 1 {
                    watched.hold_until_ms = watched.channel.hold(self.now_ms);
                }
            }
        }
    }

    /// The member has caught up, or its time is over.
    pub(super) fn release(&mut self, group: &mut Group) {
        group.holds -= 1;
        if group.holds == 0 {
            for place in &group.places {
                self.all[place.watched as usize].release(self.worker, self.now_ms);
            }
        }
    }

    /// Frees memory that is no longer needed.
    pub(super) fn shrink(&mut self) {
        if self.all.capacity() > 4 * self.all.len().max(SPARE) {
            self.all.shrink_to_fit();
        }
        if self.by_channel.capacity() > 4 * self.by_channel.len().max(SPARE) {
            self.by_channel.shrink_to_fit();
        }
    }
}

/// When a worker ends, its table serves nobody, and publishers must not wait for it.
impl Drop for Watches {
    fn drop(&mut self) {
        for (_, watched) in &self.all {
            if watched.holds > 0 {
                watched.channel.release(self.now_ms);
            }
            watched.channel.leave(self.worker);
        }
    }
}

impl Watched {
    /// One more group has settled, or the last busy one was removed.
    fn settle(&mut self, worker: u16, groups: &Groups, left: &mut Vec<(GroupId, Registration)>) {
        if self.registered.is_some() {
            return self.report_served(worker);
        }
        if self.is_closed {
            return;
        }
        let registration = self.register(worker, groups);
        self.is_closed = registration == Registration::Closed;
        if registration != Registration::Registered {
            // A busy group checks for new messages anyway, but not for the end of the channel.
            let has_to_look = |id| self.is_closed || !groups[id].is_busy;
            let found = self.groups.iter().map(|&(group, _)| group).filter(|&id| has_to_look(id));
            left.extend(found.map(|id| (id, registration)));
        }
    }

    /// Registers the worker at the least position of its settled groups. Groups without members
    /// count: a member that enters later relies on the registration.
    fn register(&mut self, worker: u16, groups: &Groups) -> Registration {
        let (mut position, mut all_have) = (None, None);
        for &(id, of_group) in &self.groups {
            let group = &groups[id];
            let least = |least: Option<Cursor>, one: Cursor| {
                Some(least.filter(|least| least.seq() <= one.seq()).unwrap_or(one))
            };
            all_have = least(all_have, group.all_have().positions.0[of_group as usize]);
            if !group.is_busy {
                position = least(position, group.now.positions.0[of_group as usize]);
            }
        }
        let position = position.expect("a group has settled");
        let all_have = all_have.expect("a watched channel has a group");
        let served = self.served.filter(|_| self.holds > 0).unwrap_or(all_have);
        match self.channel.watch(position, served, Waiter::Worker(worker)) {
            // At the end of the channel, only its deletion can be news.
            Watch::Waiting(_) | Watch::Ended => {
                self.registered = Some(position);
                self.served = Some(served);
                Registration::Registered
            }
            Watch::Ready => {
                // The channel noted `served` in this case too. So publishers may have evicted
                // messages up to `served`.
                self.served = Some(served);
                Registration::News
            }
            Watch::Closed => Registration::Closed,
        }
    }

    /// Tells publishers that all groups have everything before the registration, if that is so.
    fn report_served(&mut self, worker: u16) {
        if let Some(registered) = self.registered
            && self.busy == 0
            && self.holds == 0
            && self.served != Some(registered)
        {
            self.served = Some(registered);
            self.channel.served(worker, registered);
        }
    }

    /// One group less holds the channel.
    fn release(&mut self, worker: u16, now_ms: u64) {
        self.holds -= 1;
        if self.holds == 0 {
            self.channel.release(now_ms);
        }
        self.report_served(worker);
    }
}

fn address(channel: &Arc<Channel>) -> usize {
    Arc::as_ptr(channel) as usize
}

/// Hashes addresses. Nobody outside can choose them, so no secret is needed. A multiplication
/// spreads the bits in which two allocations differ (Fibonacci hashing).
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
