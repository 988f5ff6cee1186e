//! The groups of a worker, by number, and by what makes them one.

use std::collections::HashMap;
use std::sync::Arc;

use slab::Slab;

use super::group::Group;
use super::ids::GroupId;
use super::ids::SPARE;
use crate::positions::Channels;
use crate::shape::Shape;

/// The groups of a worker.
#[derive(Default)]
pub(super) struct Groups {
    all: Slab<(Key, Group)>,
    by_key: HashMap<Key, GroupId>,
    /// How many there have been.
    serial: u32,
}

/// Groups are found by the identity of their channels and their shape.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    channels: Box<[usize]>,
    shape: Shape,
}

impl Groups {
    /// The group of this number, unless it is gone.
    pub(super) fn get(&self, id: GroupId) -> Option<&Group> {
        self.all.get(id.index()).map(|(_, group)| group).filter(|group| group.id == id)
    }

    pub(super) fn get_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.all.get_mut(id.index()).map(|(_, group)| group).filter(|group| group.id == id)
    }

    /// The group of these channels and this shape.
    pub(super) fn find(&self, channels: &Channels, shape: &Shape) -> Option<GroupId> {
        self.by_key.get(&Key::new(channels, shape)).copied()
    }

    /// Adds a group of which there is none yet.
    pub(super) fn add(&mut self, channels: Channels, shape: Shape) -> GroupId {
        self.serial = self.serial.wrapping_add(1);
        let key = Key::new(&channels, &shape);
        let id = GroupId::new(self.all.vacant_key(), self.serial);
        self.by_key.insert(key.clone(), id);
        self.all.insert((key, Group::new(id, channels, shape)));
        id
    }

    /// Takes a group out.
    pub(super) fn remove(&mut self, id: GroupId) -> Option<Group> {
        self.get(id)?;
        let (key, group) = self.all.remove(id.index());
        self.by_key.remove(&key);
        Some(group)
    }

    pub(super) fn ids(&self) -> Vec<GroupId> {
        self.all.iter().map(|(_, (_, group))| group.id).collect()
    }

    /// Those that have no member any more.
    pub(super) fn empty(&self) -> Vec<GroupId> {
        self.all.iter().filter(|(_, (_, group))| group.members == 0).map(|(_, (_, group))| group.id).collect()
    }

    /// Gives back the memory that many subscribers needed who are gone.
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
        self.get(id).expect("the group of a member is there")
    }
}

impl std::ops::IndexMut<GroupId> for Groups {
    fn index_mut(&mut self, id: GroupId) -> &mut Group {
        self.get_mut(id).expect("the group of a member is there")
    }
}

impl Key {
    fn new(channels: &Channels, shape: &Shape) -> Self {
        let channels = channels.0.iter().map(|channel| Arc::as_ptr(channel) as usize).collect();
        Key { channels, shape: shape.clone() }
    }
}
