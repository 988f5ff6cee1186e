//! Delivery: groups, the channels they watch, and the way of a batch to the members.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use tidewire_channel::WaitKey;

use super::group::{Batch, Group, Key, Shape};
use super::subscriber::{Role, Wrote};
use super::table::Table;
use crate::channel::{Channel, Waiter, Watch};
use crate::feeds::Flow;
use crate::positions::Channels;

/// Slices that a slow reader gets in one turn.
const SLICES_A_TURN: usize = 4;

/// A channel that some group of this worker reads.
pub(super) struct Watched {
    pub(super) channel: Arc<Channel>,
    pub(super) groups: Vec<u32>,
    /// The registration at the channel, gone once it has woken this worker.
    pub(super) wait: Option<WaitKey>,
}

impl Table {
    /// Brings a group to the heads of its channels, delivering on the way, and registers it for what comes next.
    pub(super) fn advance(&mut self, id: u32) {
        loop {
            let Some(group) = self.groups.get_mut(id as usize) else { return };
            if group.members == 0 {
                return self.remove_group(id);
            }
            if group.live.is_empty() {
                // Nobody to deliver to: who lags reads the log itself.
                group.positions = group.channels.heads();
            }
            while let Some(batch) = self
                .groups
                .get_mut(id as usize)
                .and_then(|g| if g.live.is_empty() { None } else { g.next_batch(&self.context.hub.counters) })
            {
                match batch.flow {
                    Flow::Continue => self.deliver(id, &batch),
                    Flow::End => self.deliver_last(id, &batch),
                }
            }
            match self.watch(id) {
                Registration::Registered => return,
                Registration::News => {}
                Registration::Closed => return self.disband(id),
            }
        }
    }

    /// Writes one batch to every live member.
    fn deliver(&mut self, id: u32, batch: &Batch) {
        let Some(group) = self.groups.get_mut(id as usize) else { return };
        let mut live = std::mem::take(&mut group.live);
        let (positions, sum) = (group.positions.clone(), group.sum);
        let mut left: Vec<(u32, Wrote)> = Vec::new();
        let mut index = 0;
        while let Some(&key) = live.get(index) {
            let row = &mut self.rows[key as usize];
            let wrote = row.offer(&batch.bytes);
            if wrote == Wrote::All {
                index += 1;
                continue;
            }
            row.moved_ms = self.ran_ms;
            row.leave_body(sum);
            row.role = Role::Lagging { group: id, positions: positions.clone() };
            left.push((key, wrote));
            live.swap_remove(index);
            if let Some(&moved) = live.get(index) {
                self.rows[moved as usize].role = Role::Live { group: id, slot: index as u32 };
            }
        }
        self.groups[id as usize].live = live;
        for (key, wrote) in left {
            self.after_write(key, wrote, batch.flow);
        }
    }

    /// Writes the batch that ends the subscription of every live member, as an answer does: where in the log they are is not asked any more.
    fn deliver_last(&mut self, id: u32, batch: &Batch) {
        let Some(group) = self.groups.get_mut(id as usize) else { return };
        for key in std::mem::take(&mut group.live) {
            let row = &mut self.rows[key as usize];
            row.moved_ms = self.ran_ms;
            row.role = Role::Closing;
            let wrote = row.offer(&batch.bytes);
            let then = self.sign_off(id);
            match wrote {
                Wrote::Failed => self.remove(key),
                _ => self.end(key, then, wrote),
            }
        }
    }

    /// A lagging member reads the log from its own position, a few slices at a time, until it has what the group has.
    pub(super) fn catch_up(&mut self, key: u32) {
        for _ in 0..SLICES_A_TURN {
            let Some(row) = self.rows.get_mut(key as usize) else { return };
            let Role::Lagging { group: id, positions } = &mut row.role else { return };
            if !row.pending.is_empty() {
                return;
            }
            let id = *id;
            let group = &mut self.groups[id as usize];
            match group.catch_up(positions, &self.context.hub.counters) {
                Some(batch) => {
                    let wrote = row.offer(&batch.bytes);
                    row.moved_ms = self.ran_ms;
                    if let Some(body) = &mut row.gzip {
                        body.add(group.sum, batch.sum);
                    }
                    self.after_write(key, wrote, batch.flow);
                }
                None if *positions == group.positions => {
                    let slot = group.live.len() as u32;
                    group.live.push(key);
                    row.role = Role::Live { group: id, slot };
                    if let Some(body) = &mut row.gzip {
                        body.join(group.sum);
                    }
                    if self.is_draining() {
                        self.say_goodbye(key, false);
                    }
                    return;
                }
                // The member read past its group: the group follows.
                None => self.advance(id),
            }
        }
        self.ready.push(key);
    }

    pub(super) fn group(&mut self, channels: Channels, shape: Shape) -> u32 {
        let key = Key::new(&channels, &shape);
        if let Some(&id) = self.by_key.get(&key) {
            return id;
        }
        let id = self.groups.vacant_key() as u32;
        for channel in channels.0.iter() {
            let new = || Watched { channel: channel.clone(), groups: Vec::new(), wait: None };
            self.watched.entry(address(channel)).or_insert_with(new).groups.push(id);
        }
        self.by_key.insert(key.clone(), id);
        self.groups.insert(Group::new(key, channels, shape));
        id
    }

    pub(super) fn remove_group(&mut self, id: u32) {
        let group = self.groups.remove(id as usize);
        self.last_poll = self.last_poll.take().filter(|last| !last.is_held_in(id));
        self.by_key.remove(&group.key);
        for channel in group.channels.0.iter() {
            let Some(watched) = self.watched.get_mut(&address(channel)) else { continue };
            watched.groups.retain(|&one| one != id);
            if watched.groups.is_empty() {
                if let Some(wait) = watched.wait.take() {
                    watched.channel.unwatch(wait);
                }
                self.watched.remove(&address(channel));
            }
        }
    }

    /// Whether the next publish to any of the group's channels will wake this worker.
    pub(super) fn is_watched(&self, group: &Group) -> bool {
        let waits =
            |channel| self.watched.get(&address(channel)).is_some_and(|watched| watched.wait.is_some());
        group.channels.0.iter().all(waits)
    }

    /// Registers a group's channels for the next publish, once for the whole worker.
    fn watch(&mut self, id: u32) -> Registration {
        let group = &self.groups[id as usize];
        for (channel, position) in group.channels.0.iter().zip(&group.positions.0) {
            let watched = self.watched.get_mut(&address(channel)).expect("a group's channels are watched");
            if watched.wait.is_none() {
                match channel.watch(*position, Waiter::Worker(self.worker)) {
                    Watch::Waiting(wait) => watched.wait = Some(wait),
                    Watch::Ready => return Registration::News,
                    Watch::Closed => return Registration::Closed,
                }
            }
        }
        Registration::Registered
    }

    /// A channel of the group is no more (it was forgotten between a request and its arrival here): its members come
    /// back and are told so by the new one.
    fn disband(&mut self, id: u32) {
        for key in self.keys() {
            if self.rows[key as usize].group() == Some(id) {
                self.remove(key);
            }
        }
        if self.groups.contains(id as usize) {
            self.remove_group(id);
        }
    }

    pub(super) fn enter(&mut self, id: u32) {
        let group = &mut self.groups[id as usize];
        group.members += 1;
        for channel in group.channels.0.iter() {
            channel.add_subscriber();
        }
    }
}

/// What became of a group's wish for news.
enum Registration {
    Registered,
    /// There is something already.
    News,
    Closed,
}

pub(super) fn address(channel: &Arc<Channel>) -> usize {
    Arc::as_ptr(channel) as usize
}

/// Hashes addresses, which nobody outside chooses, so that no secret is needed: the bits that differ between two allocations are spread by a
/// multiplication (Fibonacci hashing).
#[derive(Default)]
pub(super) struct AddressHasher(u64);

pub(super) type Addresses = BuildHasherDefault<AddressHasher>;

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

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};
    use std::time::{Duration, Instant};

    use tidewire_channel::Retention;

    use super::*;
    use crate::context::SiteContext;
    use crate::feeds::{HttpFormat, StreamFormat, Wire};
    use crate::message::Message;
    use crate::name::ChannelName;
    use crate::settings::Settings;
    use crate::{Hub, HubConfig};

    #[test]
    fn news_of_a_group_that_left_does_not_keep_the_channel_of_the_one_that_came() {
        let retention = Retention { max_age_ms: Some(0), ..Retention::default() };
        let hub = Hub::new(HubConfig { retention, idle: Duration::ZERO, ..HubConfig::default() }, 1);
        let name = ChannelName::new("a").unwrap();
        let mut table =
            Table::new(SiteContext::new(hub.clone(), std::sync::Arc::new(Settings::default())).0, 0);
        let wire = Wire { format: StreamFormat::Http(HttpFormat::JsonLines), chunked: true, gzip: false };
        let channel = hub.channel(&name).unwrap();
        let come = |table: &mut Table| {
            let channels = Channels([channel.clone()].into());
            let id = table.group(channels, Shape::Stream { wire, labelled: false });
            table.enter(id);
            table.advance(id);
            id
        };
        let first = come(&mut table);
        hub.publish(&name, Message::new("x".into(), 0), None).unwrap();
        table.remove_group(first);
        let second = come(&mut table);
        let mut news = Vec::new();
        assert!(hub.inbox(0).poll_take(&mut Context::from_waker(Waker::noop()), &mut news).is_ready());
        news.iter().for_each(|channel| table.on_news(channel));
        assert!(table.is_watched(&table.groups[second as usize]));
        table.remove_group(second);
        // Nobody waits, so the channel goes with its message.
        let since = Instant::now();
        while hub.channels() > 0 {
            assert!(since.elapsed() < Duration::from_secs(30), "somebody is still registered");
            hub.sweep();
        }
    }
}
