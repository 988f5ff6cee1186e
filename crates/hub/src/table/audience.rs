//! Who reads what on a worker: the groups, the channels that they watch, and the work list.

use std::sync::Arc;

use super::groups::Groups;
use super::ids::GroupId;
use super::todo::{Todo, Work};
use super::watches::{Registration, Watches};
use crate::channel::Channel;
use crate::positions::Channels;
use crate::shape::Shape;

pub(super) struct Audience {
    pub(super) groups: Groups,
    watches: Watches,
    /// The work list.
    pub(super) todo: Todo,
}

impl Audience {
    pub(super) fn new(worker: u16) -> Self {
        Audience { groups: Groups::default(), watches: Watches::new(worker), todo: Todo::default() }
    }

    /// The group with these channels and this shape. Makes it if there is none.
    pub(super) fn group(&mut self, channels: &Channels, shape: &Shape) -> GroupId {
        self.groups.find(channels, shape).unwrap_or_else(|| {
            let id = self.groups.add(channels.clone(), shape.clone());
            self.watches.add(&mut self.groups[id]);
            id
        })
    }

    pub(super) fn remove(&mut self, id: GroupId) {
        if let Some(mut group) = self.groups.remove(id) {
            let left = self.watches.remove(group.stop_watching(), &mut self.groups);
            self.handle_registrations(left);
        }
    }

    /// Queues the groups that read a channel.
    pub(super) fn on_news(&mut self, channel: &Arc<Channel>) {
        for group in self.watches.on_news(channel) {
            if self.groups.get(group).is_some_and(|group| group.has(channel)) {
                self.advance_later(group);
            }
        }
    }

    /// Whether the worker will be woken for the next messages of a group.
    pub(super) fn is_registered(&self, group: GroupId) -> bool {
        self.groups.get(group).is_some_and(|group| !group.is_busy && self.watches.is_registered(group))
    }

    pub(super) fn advance_later(&mut self, id: GroupId) {
        let Some(group) = self.groups.get_mut(id) else { return };
        self.watches.begin(group);
        if !std::mem::replace(&mut group.is_queued, true) {
            self.todo.push(Work::Advance(id));
        }
    }

    /// Sets the time of the hub's clock.
    pub(super) fn set_now(&mut self, now_ms: u64) {
        self.watches.set_now(now_ms);
    }

    /// Makes publishers wait for this worker again, after it was so late that a group lost
    /// messages.
    pub(super) fn report_again(&self, id: GroupId) {
        self.watches.report_again(&self.groups[id]);
    }

    /// Removes a member from the count.
    pub(super) fn leave(&mut self, id: GroupId) {
        self.groups[id].leave();
        self.list_if_unused(id);
    }

    /// The time until which publishers may be made to wait for a member of this group.
    pub(super) fn may_hold_until(&self, id: GroupId) -> u64 {
        self.watches.may_hold_until(&self.groups[id])
    }

    /// Makes publishers wait for a member of this group.
    pub(super) fn hold(&mut self, id: GroupId) {
        self.watches.hold(&mut self.groups[id]);
    }

    /// Publishers need not wait for that member any more.
    pub(super) fn release(&mut self, id: GroupId) {
        self.watches.release(&mut self.groups[id]);
        self.list_if_unused(id);
    }

    fn list_if_unused(&mut self, id: GroupId) {
        if self.groups[id].is_unused()
            && let Some(unused) = self.groups.list_unused(id)
        {
            self.remove(unused);
        }
    }

    /// The group settles: it has all messages that its channels had. When the first group of a
    /// channel settles, the worker registers there. When the last one settles, the worker reports
    /// to publishers.
    pub(super) fn settle(&mut self, id: GroupId) {
        let left = self.watches.settle(id, &mut self.groups);
        self.handle_registrations(left);
    }

    /// The number of this worker.
    pub(super) fn worker(&self) -> u16 {
        self.watches.worker()
    }

    /// Closes a group whose messages cannot be read.
    pub(super) fn close_group(&mut self, id: GroupId) {
        let left = self.close(id);
        self.handle_registrations(left);
        self.advance_later(id);
    }

    /// Handles the results of registrations.
    fn handle_registrations(&mut self, mut left: Vec<(GroupId, Registration)>) {
        while let Some((group, registration)) = left.pop() {
            if registration == Registration::Closed {
                left.extend(self.close(group));
            }
            self.advance_later(group);
        }
    }

    /// Closes a group if the hub forgot its channel after the request was answered and before the
    /// connection came to the table. Its live members are disconnected; they come back and get the
    /// new channel. A member that is behind notices in its own turn.
    fn close(&mut self, id: GroupId) -> Vec<(GroupId, Registration)> {
        match self.groups.get_mut(id).filter(|group| !group.is_closed) {
            Some(group) => {
                group.is_closed = true;
                let watching = group.stop_watching();
                self.groups.hide(id);
                self.watches.remove(watching, &mut self.groups)
            }
            None => Vec::new(),
        }
    }

    pub(super) fn shrink(&mut self) {
        self.groups.shrink();
        self.watches.shrink();
        self.todo.shrink();
    }
}
