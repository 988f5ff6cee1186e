//! A group: the subscribers of a worker that get the same bytes.

use std::sync::Arc;

use tidewire_channel::Budget;

use super::ids::{GroupId, RowId};
use super::live::Live;
use super::state::Event;
use crate::channel::Channel;
use crate::counters::Counters;
use crate::form_cache::FormCache;
use crate::gzip::Sum;
use crate::positions::{Channels, Positions};
use crate::reader::Bounds;
use crate::rope::Rope;
use crate::shape::{Batch, Shape};

pub(super) struct Group {
    pub(super) id: GroupId,
    pub(super) shape: Shape,
    pub(super) channels: Channels,
    /// For each channel: its entry in the watches, and the index of the group in that entry.
    pub(super) places: Box<[Place]>,
    /// The positions of the members that have everything.
    pub(super) now: Reached,
    /// The positions of the members that wait for the current batch.
    before: Reached,
    /// The current batch, which the live members get one after another.
    batch: Option<Batch>,
    /// The index of the channel that the last batch began with.
    first: usize,
    /// Whether messages were lost before the batch.
    is_broken: bool,
    /// Whether the store must fetch what follows `now`, which is before the window of a channel.
    waits: bool,
    /// Whether `now` is the end of all channels.
    has_ended: bool,
    /// The number of members that did not accept the batch whole.
    cut: usize,
    /// The live members.
    live: Live,
    /// The number of members, live and behind.
    members: usize,
    /// Whether it is on the work list.
    pub(super) is_queued: bool,
    /// Whether it is not registered for new messages.
    pub(super) is_busy: bool,
    /// One of its channels was deleted, or the hub has forgotten it. Its members are told, or
    /// disconnected so that they come back.
    pub(super) is_closed: bool,
    /// The number of connections that publishers wait for: members that fell behind a moment ago,
    /// and readers of a long poll that was answered a moment ago.
    pub(super) holds: u32,
    /// Whether it is on the list of unused groups.
    pub(super) is_listed: bool,
}

/// How far a group or a member is.
#[derive(Clone, Debug)]
pub(super) struct Reached {
    pub(super) positions: Positions,
    /// The checksum of all batches up to there, if they are compressed.
    pub(super) sum: Sum,
}

/// The place of a group in the watches of one channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) watched: u32,
    pub(super) index: u32,
}

/// What the watches need to remove a group.
pub(super) struct Watching {
    pub(super) places: Box<[Place]>,
    pub(super) is_busy: bool,
    pub(super) holds: bool,
}

/// Bytes of one batch for a whole group. The rest follows in the next batch.
const BATCH: usize = 256 * 1024;

/// Bytes of one batch while other groups wait for their turn.
const BATCH_AMONG_OTHERS: usize = 64 * 1024;

/// Bytes of one slice for a slow reader.
const SLICE: usize = 64 * 1024;

/// Bytes that a slow reader keeps of a write that its socket did not accept, besides the rest of
/// one unit. If several readers keep the same batch, its bytes count once.
pub(super) const KEPT: usize = 16 * 1024;

impl Group {
    pub(super) fn new(id: GroupId, channels: Channels, shape: Shape) -> Self {
        let (positions, has_ended) = channels.reach();
        let now = Reached { positions, sum: Sum::default() };
        Group {
            id,
            shape,
            channels,
            places: Box::default(),
            before: now.clone(),
            now,
            batch: None,
            first: 0,
            is_broken: false,
            waits: false,
            has_ended,
            cut: 0,
            live: Live::default(),
            members: 0,
            is_queued: false,
            is_busy: false,
            is_closed: false,
            holds: 0,
            is_listed: false,
        }
    }

    /// Encodes the next batch for all live members. Returns whether there is one. There is none at
    /// the head of the log, or if there are no live members: members that are behind read the log
    /// by themselves.
    pub(super) fn next_batch(&mut self, others_wait: bool, counters: &Counters, forms: &FormCache) -> bool {
        debug_assert!(self.batch.is_none(), "the members still wait for the last batch");
        if self.live.is_empty() {
            (self.now.positions, self.has_ended) = self.channels.reach();
            self.waits = false;
            return false;
        }
        self.before.positions.0.copy_from_slice(&self.now.positions.0);
        self.before.sum = self.now.sum;
        let bytes = if others_wait { BATCH_AMONG_OTHERS } else { BATCH };
        // Start with another channel each time. Otherwise a channel that always fills a batch would
        // starve the others of the list.
        self.first = (self.first + 1) % self.channels.0.len().max(1);
        let budget = Budget::bytes(bytes);
        let bounds = Bounds { budget, or_one: true, ceiling: None, first: self.first };
        let (batch, tally) = self.shape.encode(&self.channels, &mut self.now.positions, bounds, forms);
        counters.encoded.add(tally.messages);
        counters.compressed.add(tally.compressed);
        if let Some(batch) = &batch {
            self.now.sum = self.now.sum.then(batch.sum);
            self.live.begin();
        }
        (self.batch, self.cut) = (batch, 0);
        (self.is_broken, self.has_ended, self.waits) = (tally.is_broken, tally.has_ended, tally.waits);
        self.batch.is_some()
    }

    /// The current batch, and the next member for it. From now on that member counts as having it.
    /// `None` when all have it.
    pub(super) fn next_receiver(&mut self) -> Option<(RowId, &Batch)> {
        let next = self.live.next();
        if next.is_none() {
            self.batch = None;
        }
        next.zip(self.batch.as_ref())
    }

    /// Shortens `rest`, which a member did not accept, to the rest of one unit and a little more.
    /// Changes `positions` from those after the batch to those after what is kept. Members that
    /// keep bytes of the same batch share them, so each of them may keep more.
    pub(super) fn keep_unit(&mut self, rest: &mut Rope, positions: &mut Positions) {
        let Some(batch) = &self.batch else { return };
        self.cut += 1;
        let end = positions.clone();
        *positions = batch.keep_unit(rest, KEPT * self.cut, &end);
    }

    /// Whether messages were lost before the batch.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    pub(super) fn is_delivering(&self) -> bool {
        self.batch.is_some()
    }

    /// Whether the store must fetch what follows.
    pub(super) fn waits(&self) -> bool {
        self.waits && !self.is_delivering()
    }

    /// The next slice for one member that is behind, up to the position of the group. Also whether
    /// the store must fetch what follows.
    pub(super) fn next_slice(
        &self,
        positions: &mut Positions,
        counters: &Counters,
        forms: &FormCache,
    ) -> (Option<Batch>, bool) {
        let ceiling = Some(&self.now.positions);
        let bounds = Bounds { budget: Budget::bytes(SLICE), or_one: true, ceiling, first: self.first };
        let (batch, tally) = self.shape.encode(&self.channels, positions, bounds, forms);
        counters.replayed.add(tally.messages);
        counters.compressed.add(tally.compressed);
        (batch, tally.waits)
    }

    /// How far a live member is.
    pub(super) fn reached_by(&self, slot: u32) -> &Reached {
        if self.live.waits(slot) { &self.before } else { &self.now }
    }

    /// How far all live members are.
    pub(super) fn all_have(&self) -> &Reached {
        if self.is_delivering() { &self.before } else { &self.now }
    }

    /// Counts one more member.
    pub(super) fn enter(&mut self) {
        self.members += 1;
        self.channels.0.iter().for_each(|channel| channel.add_subscriber());
    }

    /// Counts one member less.
    pub(super) fn leave(&mut self) {
        self.members -= 1;
        self.channels.0.iter().for_each(|channel| channel.remove_subscriber());
    }

    /// Whether nobody needs it now.
    pub(super) fn is_unused(&self) -> bool {
        self.members == 0 && self.holds == 0
    }

    /// Adds a member that has everything to the live members. Returns its place.
    pub(super) fn join(&mut self, row: RowId) -> u32 {
        self.live.push(row)
    }

    /// Removes a member from the live members. Calls `moved` for each member that got another
    /// place.
    pub(super) fn vacate(&mut self, slot: u32, moved: impl FnMut(RowId, u32)) {
        self.live.remove(slot, moved);
    }

    /// Whether its live members have the end of all channels, and need only their last bytes.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended && !self.is_delivering()
    }

    /// A live member.
    pub(super) fn last_live(&self) -> Option<RowId> {
        self.live.last()
    }

    /// Whether a channel was deleted or forgotten. O(channels), without a lock.
    pub(super) fn has_lost_a_channel(&self) -> bool {
        self.channels.0.iter().any(|channel| !channel.is_open())
    }

    /// What happens to the members of a closed group.
    pub(super) fn closed_event(&self) -> Event {
        if self.deleted().is_some() { Event::Deleted } else { Event::Failed }
    }

    /// The name of the channel that was deleted, if there are several channels.
    pub(super) fn deleted_label(&self) -> Option<&str> {
        let deleted = self.deleted()?;
        (self.channels.0.len() > 1).then(|| deleted.name().as_str())
    }

    fn deleted(&self) -> Option<&Arc<Channel>> {
        self.channels.0.iter().find(|channel| channel.is_deleted())
    }

    /// Takes what the watches need to remove the group.
    pub(super) fn stop_watching(&mut self) -> Watching {
        let places = std::mem::take(&mut self.places);
        Watching { places, is_busy: std::mem::take(&mut self.is_busy), holds: self.holds > 0 }
    }

    pub(super) fn has(&self, channel: &Arc<Channel>) -> bool {
        self.channels.0.iter().any(|one| Arc::ptr_eq(one, channel))
    }
}

#[cfg(test)]
mod tests {
    use tidewire_store::{ChannelName, Message};

    use super::*;
    use crate::feeds::{HttpFormat, StreamFormat, Wire};
    use crate::hub::Hub;
    use crate::{HubConfig, Retention};

    #[test]
    fn a_flooded_channel_does_not_starve_others_of_its_list() {
        let retention = Retention::DEFAULT.with_max_messages(2_000).with_max_bytes(usize::MAX);
        let hub = Hub::new(HubConfig { retention, ..HubConfig::default() }, 1);
        let names = ["flooded", "quiet"].map(|name| ChannelName::new(name).unwrap());
        let channels = Channels(names.iter().map(|name| hub.channel(name).unwrap()).collect());
        let wire = Wire { format: StreamFormat::Http(HttpFormat::JsonLines), chunked: true, gzip: false };
        let group_id = super::super::groups::Groups::default()
            .add(channels.clone(), Shape::Stream { wire, labelled: true });
        let mut group = Group::new(group_id, channels.clone(), Shape::Stream { wire, labelled: true });
        group.join(RowId::of_key(0));
        for _ in 0..2_000 {
            hub.publish(&names[0], Message::new(vec![b'x'; 1_000].into(), 0), None).unwrap();
        }
        hub.publish(&names[1], Message::new("y".into(), 0), None).unwrap();
        let forms = FormCache::new(hub.counters.forms.clone());
        for _ in 0..2 {
            assert!(group.next_batch(false, &hub.counters, &forms));
            while group.next_receiver().is_some() {}
        }
        assert_ne!(
            group.now.positions.0[0],
            channels.0[0].head(),
            "the flooded channel has more than two batches"
        );
        assert_eq!(group.now.positions.0[1], channels.0[1].head());
    }
}
