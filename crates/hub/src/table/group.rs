//! A group: the subscribers of a worker that see the same bytes.

use std::sync::Arc;

use tidewire_channel::Budget;

use super::ids::{GroupId, RowId};
use super::live::Live;
use crate::channel::Channel;
use crate::counters::Counters;
use crate::forms::Forms;
use crate::gzip::Sum;
use crate::positions::{Channels, Positions};
use crate::reader::Bounds;
use crate::rope::Rope;
use crate::shape::{Batch, Shape};

pub(super) struct Group {
    pub(super) id: GroupId,
    pub(super) shape: Shape,
    pub(super) channels: Channels,
    /// For each channel: where the watches have it, and its index there.
    pub(super) places: Box<[Place]>,
    /// What the members have that have everything.
    pub(super) now: Stand,
    /// What those have that wait for the batch.
    before: Stand,
    /// What is given to one live member after another.
    batch: Option<Batch>,
    /// The channel that the last batch began with.
    first: usize,
    /// Messages were lost before it.
    is_broken: bool,
    /// How many of them have not taken it whole.
    cut: usize,
    /// The members that take part.
    live: Live,
    /// All members: the live ones, and those that are behind.
    members: usize,
    /// It is on the list of what is to be done.
    pub(super) is_queued: bool,
    /// It is not registered for what comes next.
    pub(super) is_busy: bool,
    /// One of its channels is no more. Its members are to come back.
    pub(super) is_closed: bool,
    /// Connections that publishers wait for: members that fell behind a moment ago, and readers of
    /// a long poll that were answered a moment ago.
    pub(super) holds: u32,
    /// It is on the list of the unused ones.
    pub(super) is_listed: bool,
}

/// How far a group is.
#[derive(Clone, Debug)]
pub(super) struct Stand {
    pub(super) positions: Positions,
    /// Of all batches up to there, where they are compressed.
    pub(super) sum: Sum,
}

/// Where the watches have a channel of a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) watched: u32,
    pub(super) index: u32,
}

/// What the watches have of a group that is to have no more news.
pub(super) struct Watching {
    pub(super) places: Box<[Place]>,
    pub(super) is_busy: bool,
    pub(super) holds: bool,
}

/// Bytes that one batch for a whole group may have; more follow in the next.
const BATCH: usize = 256 * 1024;

/// The same while other groups wait for their turn.
const BATCH_AMONG_OTHERS: usize = 64 * 1024;

/// Bytes that one slow reader gets at a time.
const SLICE: usize = 64 * 1024;

/// Bytes that a reader which is behind keeps of what it did not take, beside the rest of one unit.
/// Those of one batch that several do not take count once.
pub(super) const KEPT: usize = 16 * 1024;

impl Group {
    pub(super) fn new(id: GroupId, channels: Channels, shape: Shape) -> Self {
        let now = Stand { positions: channels.heads(), sum: Sum::default() };
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

    /// Makes the next batch for all live members of what the log has. Says whether there is one;
    /// at the head there is none, nor where nobody would get it: who is behind reads the log
    /// itself.
    pub(super) fn next_batch(&mut self, others_wait: bool, counters: &Counters, forms: &Forms) -> bool {
        debug_assert!(self.batch.is_none(), "the last one is on its way");
        if self.live.is_empty() {
            self.now.positions = self.channels.heads();
            return false;
        }
        self.before.positions.0.copy_from_slice(&self.now.positions.0);
        self.before.sum = self.now.sum;
        let bytes = if others_wait { BATCH_AMONG_OTHERS } else { BATCH };
        // A channel that always has more than a batch must not keep the others of the list from
        // being read.
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
        (self.batch, self.cut, self.is_broken) = (batch, 0, tally.is_broken);
        self.batch.is_some()
    }

    /// The batch that is on its way, and the next member to be given it. From here on that member
    /// is one that has it. None when all have it.
    pub(super) fn next_receiver(&mut self) -> Option<(RowId, &Batch)> {
        let next = self.live.next();
        if next.is_none() {
            self.batch = None;
        }
        next.zip(self.batch.as_ref())
    }

    /// Keeps of the batch, which a member did not take whole, the rest of one unit and little more.
    /// Makes of the positions after the batch those after what is kept. What several members keep
    /// is the same bytes, so each of them may keep more.
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

    /// The next slice for one member that is behind, up to where the group is.
    pub(super) fn next_slice(
        &self,
        positions: &mut Positions,
        counters: &Counters,
        forms: &Forms,
    ) -> Option<Batch> {
        let ceiling = Some(&self.now.positions);
        let bounds = Bounds { budget: Budget::bytes(SLICE), or_one: true, ceiling, first: self.first };
        let (batch, tally) = self.shape.encode(&self.channels, positions, bounds, forms);
        counters.replayed.add(tally.messages);
        counters.compressed.add(tally.compressed);
        batch
    }

    /// What a live member has.
    pub(super) fn stand(&self, slot: u32) -> &Stand {
        if self.live.waits(slot) { &self.before } else { &self.now }
    }

    /// What all live members have.
    pub(super) fn all_have(&self) -> &Stand {
        if self.is_delivering() { &self.before } else { &self.now }
    }

    /// One member more.
    pub(super) fn enter(&mut self) {
        self.members += 1;
        self.channels.0.iter().for_each(|channel| channel.add_subscriber());
    }

    /// One member less.
    pub(super) fn leave(&mut self) {
        self.members -= 1;
        self.channels.0.iter().for_each(|channel| channel.remove_subscriber());
    }

    /// Whether nobody needs it now.
    pub(super) fn is_unused(&self) -> bool {
        self.members == 0 && self.holds == 0
    }

    /// A member has everything. Its place among the live ones.
    pub(super) fn join(&mut self, row: RowId) -> u32 {
        self.live.push(row)
    }

    /// A live member falls behind or leaves. `moved` is called for those that get another place.
    pub(super) fn vacate(&mut self, slot: u32, moved: impl FnMut(RowId, u32)) {
        self.live.remove(slot, moved);
    }

    /// Of a group whose channel is no more: a member that was not told yet.
    pub(super) fn next_to_disband(&mut self) -> Option<RowId> {
        self.batch = None;
        if !self.live.is_waiting() {
            self.live.begin();
        }
        self.live.next()
    }

    /// It is to have no more news.
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
    use super::*;
    use crate::feeds::{HttpFormat, StreamFormat, Wire};
    use crate::hub::Hub;
    use crate::message::Message;
    use crate::name::ChannelName;
    use crate::{HubConfig, Retention};

    #[test]
    fn a_channel_with_much_to_say_keeps_no_other_of_the_list_from_being_read() {
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
        let forms = Forms::new(hub.counters.forms.clone());
        for _ in 0..2 {
            assert!(group.next_batch(false, &hub.counters, &forms));
            while group.next_receiver().is_some() {}
        }
        assert_ne!(group.now.positions.0[0], channels.0[0].head(), "two batches are not enough for it");
        assert_eq!(group.now.positions.0[1], channels.0[1].head());
    }
}
