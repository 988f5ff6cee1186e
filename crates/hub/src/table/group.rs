//! A group: the subscribers of a worker that see the same bytes.

use std::sync::Arc;

use super::ids::{GroupId, RowId};
use crate::channel::Channel;
use crate::counters::Counters;
use crate::forms::Forms;
use crate::gzip::Sum;
use crate::positions::{Channels, Positions};
use crate::shape::{Batch, Shape};

pub(super) struct Group {
    pub(super) id: GroupId,
    pub(super) shape: Shape,
    pub(super) channels: Channels,
    /// What every live member has.
    pub(super) positions: Positions,
    /// The members that have it.
    pub(super) live: Vec<RowId>,
    /// All members: the live ones, and those that are behind.
    pub(super) members: usize,
    /// Of all batches so far, where they are compressed.
    pub(super) sum: Sum,
}

/// Bytes that one batch for a whole group may have; more follow in the next.
const BATCH: usize = 256 * 1024;

/// Bytes that one slow reader gets at a time.
const SLICE: usize = 64 * 1024;

impl Group {
    pub(super) fn new(id: GroupId, channels: Channels, shape: Shape) -> Self {
        let positions = channels.heads();
        Group { id, shape, channels, positions, live: Vec::new(), members: 0, sum: Sum::default() }
    }

    /// What the log has after the group's positions, for all live members; moves the positions.
    /// `None` at the head.
    pub(super) fn next_batch(&mut self, counters: &Counters, forms: &Forms) -> Option<Batch> {
        let (batch, tally) = self.shape.encode(&self.channels, &mut self.positions, None, BATCH, forms);
        counters.encoded.add(tally.messages);
        counters.compressed.add(tally.compressed);
        if let Some(batch) = &batch {
            self.sum = self.sum.then(batch.sum);
        }
        batch
    }

    /// The same for one member that is behind, up to where the group is.
    pub(super) fn next_slice(
        &self,
        positions: &mut Positions,
        counters: &Counters,
        forms: &Forms,
    ) -> Option<Batch> {
        let (batch, tally) =
            self.shape.encode(&self.channels, positions, Some(&self.positions), SLICE, forms);
        counters.replayed.add(tally.messages);
        counters.compressed.add(tally.compressed);
        batch
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

    pub(super) fn has(&self, channel: &Arc<Channel>) -> bool {
        self.channels.0.iter().any(|one| Arc::ptr_eq(one, channel))
    }
}
