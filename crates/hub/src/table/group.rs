//! A group: the subscribers of a worker that see the same bytes.

use std::sync::Arc;

use bytes::Bytes;
use tidewire_channel::Budget;

use crate::api::poll::{self, PollShape};
use crate::channel::Channel;
use crate::counters::Counters;
use crate::feeds::{Flow, Wire, longpoll, ws};
use crate::gzip::Sum;
use crate::positions::{Channels, Positions};
use crate::reader::{self, Item};

/// What decides the bytes, beside the channels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// A stream; `labelled` messages say which channel they are of.
    Stream { wire: Wire, labelled: bool },
    /// One answer to a held poll.
    LongPoll(PollShape),
}

/// Groups are found by the identity of their channels and their shape.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    channels: Box<[usize]>,
    shape: Shape,
}

impl Key {
    pub(crate) fn new(channels: &Channels, shape: &Shape) -> Self {
        let channels = channels.0.iter().map(|channel| Arc::as_ptr(channel) as usize).collect();
        Key { channels, shape: shape.clone() }
    }
}

pub(crate) struct Group {
    pub(crate) key: Key,
    pub(crate) shape: Shape,
    pub(crate) channels: Channels,
    /// What every live member has.
    pub(crate) positions: Positions,
    /// Table keys of the members that have it.
    pub(crate) live: Vec<u32>,
    /// Live and lagging members.
    pub(crate) members: usize,
    /// Of all batches so far, where they are compressed.
    pub(crate) sum: Sum,
}

/// Bytes that one batch for a whole group may have; more follow in the next.
const BATCH: usize = 256 * 1024;

/// Bytes that one slow reader gets at a time.
pub(crate) const CATCH_UP: usize = 64 * 1024;

/// The next bytes for a subscriber, and what to do after them.
pub(crate) struct Batch {
    pub(crate) bytes: Bytes,
    pub(crate) flow: Flow,
    /// Of a compressed batch.
    pub(crate) sum: Sum,
}

impl Group {
    pub(crate) fn new(key: Key, channels: Channels, shape: Shape) -> Self {
        let positions = channels.heads();
        Group { key, shape, channels, positions, live: Vec::new(), members: 0, sum: Sum::default() }
    }

    pub(crate) fn has(&self, channel: &Arc<Channel>) -> bool {
        self.channels.0.iter().any(|one| Arc::ptr_eq(one, channel))
    }

    /// What the log has after the group's positions, for all live members; moves the positions. `None` at the head.
    pub(crate) fn next_batch(&mut self, counters: &Counters) -> Option<Batch> {
        let mut positions = self.positions.clone();
        let (batch, tally) = self.encode(&mut positions, None, BATCH);
        counters.encoded.add(tally.messages);
        counters.compressed.add(tally.compressed);
        self.positions = positions;
        if let Some(batch) = &batch {
            self.sum = self.sum.then(batch.sum);
        }
        batch
    }

    /// The same for one lagging member, up to where the group is.
    pub(crate) fn catch_up(&self, positions: &mut Positions, counters: &Counters) -> Option<Batch> {
        let (batch, tally) = self.encode(positions, Some(&self.positions), CATCH_UP);
        counters.replayed.add(tally.messages);
        counters.compressed.add(tally.compressed);
        batch
    }

    fn encode(
        &self,
        positions: &mut Positions,
        ceiling: Option<&Positions>,
        bytes: usize,
    ) -> (Option<Batch>, Tally) {
        match &self.shape {
            Shape::Stream { wire, labelled } => {
                let mut out = Vec::new();
                let budget = Budget::bytes(bytes);
                let (flow, mut tally) =
                    encode_stream(&self.channels, *wire, *labelled, positions, ceiling, budget, &mut out);
                let packed = wire.pack(out);
                tally.compressed += packed.compressions();
                let batch = Batch { bytes: packed.bytes.into(), flow, sum: packed.sum };
                ((!batch.bytes.is_empty()).then_some(batch), tally)
            }
            Shape::LongPoll(shape) => {
                let budget = Budget { messages: shape.limit, bytes: longpoll::MAX_BYTES };
                let mut out = Vec::new();
                let tally = encode_poll(&self.channels, shape, positions, budget, &mut out);
                let batch = Batch { bytes: out.into(), flow: Flow::End, sum: Sum::default() };
                ((!batch.bytes.is_empty()).then_some(batch), tally)
            }
        }
    }
}

/// Writes what a stream has to say after `positions`.
pub(crate) fn encode_stream(
    channels: &Channels,
    wire: Wire,
    labelled: bool,
    positions: &mut Positions,
    ceiling: Option<&Positions>,
    budget: Budget,
    out: &mut Vec<u8>,
) -> (Flow, Tally) {
    let mut tally = Tally::default();
    let say = |item: Item<'_>| {
        wire.unit(out, |feed, out| match item {
            Item::Message(envelope) => {
                let start = out.len();
                feed.message(out, &envelope);
                tally.messages += 1;
                tally.compressed += u64::from(wire.format.deflates() && ws::is_compressed(&out[start..]));
                Flow::Continue
            }
            Item::Discontinuity { what, cursor } => feed.discontinuity(out, &what, cursor),
        })
    };
    let flow = reader::read(channels, labelled, positions, ceiling, budget, say).flow;
    (flow, tally)
}

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) messages: u64,
    pub(crate) compressed: u64,
}

/// Writes the whole HTTP answer of a held poll. Says nothing if there is no message yet.
fn encode_poll(
    channels: &Channels,
    shape: &PollShape,
    positions: &mut Positions,
    budget: Budget,
    out: &mut Vec<u8>,
) -> Tally {
    match poll::read(channels, positions, budget, shape.tells_breaks()) {
        Ok(poll::Read { any: false, .. }) => Tally::default(),
        Ok(read) => {
            shape.write_answer(read.answer, &positions.to_text(), out);
            Tally { messages: read.messages as u64, ..Tally::default() }
        }
        Err(problem) => {
            shape.write(problem.into_response(), out);
            Tally::default()
        }
    }
}
