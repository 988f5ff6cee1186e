//! The groups of a worker, by number, and by their channels and shape.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use slab::Slab;

use super::group::Group;
use super::ids::GroupId;
use super::ids::SPARE;
use crate::positions::Channels;
use crate::shape::Shape;

/// The largest number of unused groups that are kept. After each message, the readers of a long
/// poll come back to their group, and its registrations are still there.
pub(super) const MAX_UNUSED: usize = 256;

/// The groups of a worker.
#[derive(Default)]
pub(super) struct Groups {
    all: Slab<(Key, Group)>,
    by_key: HashMap<Key, GroupId>,
    /// Groups that became unused, in that order. Some may be in use again.
    unused: VecDeque<GroupId>,
    /// The number of groups made so far.
    serial: u32,
}

/// Groups are found by the identity of their channels and by their shape.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    channels: Box<[usize]>,
    shape: Shape,
}

impl Groups {
    /// The group with this number, unless it was removed.
    pub(super) fn get(&self, id: GroupId) -> Option<&Group> {
        self.all.get(id.index()).map(|(_, group)| group).filter(|group| group.id == id)
    }

    pub(super) fn get_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.all.get_mut(id.index()).map(|(_, group)| group).filter(|group| group.id == id)
    }

    /// The group with these channels and this shape.
    pub(super) fn find(&self, channels: &Channels, shape: &Shape) -> Option<GroupId> {
        self.by_key.get(&Key::new(channels, shape)).copied()
    }

    /// Adds a group. There must be none with this key.
    pub(super) fn add(&mut self, channels: Channels, shape: Shape) -> GroupId {
        self.serial = self.serial.wrapping_add(1);
        let key = Key::new(&channels, &shape);
        let id = GroupId::new(self.all.vacant_key(), self.serial);
        self.by_key.insert(key.clone(), id);
        self.all.insert((key, Group::new(id, channels, shape)));
        id
    }

    /// Removes a group.
    pub(super) fn remove(&mut self, id: GroupId) -> Option<Group> {
        self.get(id)?;
        self.hide(id);
        Some(self.all.remove(id.index()).1)
    }

    /// Removes a group from the look-up by channels and shape.
    pub(super) fn hide(&mut self, id: GroupId) {
        if let Some((key, group)) = self.all.get(id.index())
            && group.id == id
            && self.by_key.get(key) == Some(&id)
        {
            self.by_key.remove(key);
        }
    }

    pub(super) fn ids(&self) -> Vec<GroupId> {
        self.all.iter().map(|(_, (_, group))| group.id).collect()
    }

    /// Notes that nobody needs a group. If there are too many unused groups, returns the oldest
    /// one, to be removed.
    pub(super) fn list_unused(&mut self, id: GroupId) -> Option<GroupId> {
        let group = self.get_mut(id)?;
        if !std::mem::replace(&mut group.is_listed, true) {
            self.unused.push_back(id);
        }
        if self.unused.len() > MAX_UNUSED { self.next_unused() } else { None }
    }

    /// The next unused group, to be removed.
    pub(super) fn take_unused(&mut self) -> Option<GroupId> {
        while !self.unused.is_empty() {
            if let Some(id) = self.next_unused() {
                return Some(id);
            }
        }
        None
    }

    /// Takes a group from the list of unused ones. `None` if it is in use again.
    fn next_unused(&mut self) -> Option<GroupId> {
        let id = self.unused.pop_front()?;
        let group = self.get_mut(id)?;
        group.is_listed = false;
        group.is_unused().then_some(id)
    }

    /// Frees memory that is no longer needed.
    pub(super) fn shrink(&mut self) {
        if self.all.capacity() > 4 * self.all.len().max(SPARE) {
            self.all.shrink_to_fit();
        }
        if self.by_key.capacity() > 4 * self.by_key.len().max(SPARE) {
            self.by_key.shrink_to_fit();
        }
    }
}

impl std::ops::Index<GroupId> for Groups {
    type Output = Group;

    fn index(&self, id: GroupId) -> &Group {
        self.get(id).expect("the group of a member exists")
    }
}

impl std::ops::IndexMut<GroupId> for Groups {
    fn index_mut(&mut self, id: GroupId) -> &mut Group {
        self.get_mut(id).expect("the group of a member exists")
    }
}

impl Key {
    fn new(channels: &Channels, shape: &Shape) -> Self {
        let channels = channels.0.iter().map(|channel| Arc::as_ptr(channel) as usize).collect();
        Key { channels, shape: shape.clone() }
    }
}
