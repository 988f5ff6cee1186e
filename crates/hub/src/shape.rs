//! The shape of a subscription: everything but its channels that decides the bytes it gets.
//! Subscribers with the same channels and shape get the same bytes, which are encoded once.

use tidewire_channel::Budget;

use crate::feeds::{Flow, Wire, longpoll};
use crate::form_cache::FormCache;
use crate::gzip::Sum;
use crate::out::Out;
use crate::poll::{self, PollShape};
use crate::positions::{Channels, Positions};
use crate::reader::{self, Bounds, Item};
use crate::rope::Rope;
use crate::units::Units;

/// Everything but the channels that decides the bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// A stream. If `labelled`, each message names its channel.
    Stream { wire: Wire, labelled: bool },
    /// One answer to a long poll.
    LongPoll(PollShape),
}

/// Bytes of messages in one compressed batch, or one longer message. A reader cannot stop within a
/// compressed batch. So a reader that does not accept all of it keeps the rest. That is about as
/// much as other slow readers keep besides the rest of one message.
const GZIP_BATCH: usize = 16 * 1024;

/// The next bytes for a subscriber, and what to do after them.
pub(crate) struct Batch {
    pub(crate) rope: Rope,
    pub(crate) flow: Flow,
    /// The checksum of a compressed batch.
    pub(crate) sum: Sum,
    /// The units of the batch. Empty if a reader cannot stop between two units.
    units: Units,
    /// Bytes that are not shared with other batches.
    own: usize,
}

/// Counts of what was encoded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) messages: u64,
    pub(crate) compressed: u64,
    /// Whether messages were lost before it.
    pub(crate) is_broken: bool,
    /// Whether the store must fetch messages at the positions that were reached.
    pub(crate) waits: bool,
    /// Whether all channels have ended with it.
    pub(crate) has_ended: bool,
}

impl Shape {
    /// Whether this is a stream, and not one answer.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self, Shape::Stream { .. })
    }

    /// Whether the connection stays open when its subscriber is done.
    pub(crate) fn keeps_connection(&self) -> bool {
        matches!(self, Shape::LongPoll(shape) if !shape.closes())
    }

    /// Encodes the messages after `positions`, and advances them. Returns `None` if there are none.
    /// An answer to a poll uses its own bounds.
    pub(crate) fn encode(
        &self,
        channels: &Channels,
        positions: &mut Positions,
        mut bounds: Bounds<'_>,
        forms: &FormCache,
    ) -> (Option<Batch>, Tally) {
        match self {
            Shape::Stream { wire, labelled } => {
                let mut out = wire.out(forms);
                if wire.gzip {
                    bounds.budget.bytes = bounds.budget.bytes.min(GZIP_BATCH);
                }
                let (flow, mut tally, mut units) =
                    encode_stream(channels, *wire, *labelled, positions, bounds, &mut out);
                if wire.gzip {
                    // All units are in one compressed piece.
                    units = Units::default();
                }
                let packed = wire.pack(out);
                tally.compressed += packed.compressions;
                let batch = Batch { rope: packed.rope, flow, sum: packed.sum, units, own: packed.own };
                ((!batch.rope.is_empty()).then_some(batch), tally)
            }
            Shape::LongPoll(shape) => {
                let budget = Budget { messages: shape.limit, bytes: longpoll::MAX_BYTES };
                let (rope, tally) = encode_poll(channels, shape, positions, budget, forms);
                let batch =
                    Batch { rope, flow: Flow::End, sum: Sum::default(), units: Units::default(), own: 0 };
                ((!batch.rope.is_empty()).then_some(batch), tally)
            }
        }
    }
}

impl Batch {
    /// Shortens `rest`, which the socket did not accept. Keeps the rest of the unit that was cut,
    /// and later units as long as they end within `most` bytes. `end` are the positions of a reader
    /// after the whole batch. Returns the positions after what is kept.
    pub(crate) fn keep_unit(&self, rest: &mut Rope, most: usize, end: &Positions) -> Positions {
        let written = self.rope.len() - rest.len();
        let left = self.units.stop_after(written, most, end);
        let positions = left.map_or_else(
            || end.clone(),
            |(at, positions)| {
                rest.truncate(at - written);
                positions
            },
        );
        if self.own > 2 * rest.len().max(most) {
            rest.copy_out_of(&self.rope, self.own);
        }
        positions
    }
}

/// Encodes the messages after `positions` for a stream.
pub(crate) fn encode_stream(
    channels: &Channels,
    wire: Wire,
    labelled: bool,
    positions: &mut Positions,
    bounds: Bounds<'_>,
    out: &mut Out<'_>,
) -> (Flow, Tally, Units) {
    let mut tally = Tally::default();
    let mut units = Units::default();
    let say = |item: Item<'_>, moved| {
        let before = out.len();
        units.begin(before, moved);
        let flow = wire.unit(out, |feed, out| match item {
            Item::Message(envelope) => {
                feed.message(out, &envelope);
                tally.messages += 1;
                Flow::Continue
            }
            Item::Discontinuity { what, cursor } => {
                tally.is_broken = true;
                feed.discontinuity(out.own(), &what, cursor)
            }
            Item::End(end) => {
                feed.end_of_channel(out.own(), &end);
                Flow::Continue
            }
        });
        (flow, out.len() - before)
    };
    let progress = reader::read(channels, labelled, positions, bounds, say);
    tally.has_ended = progress.has_ended;
    tally.waits = progress.waits;
    tally.compressed = out.compressions();
    (progress.flow, tally, units)
}

/// Encodes the whole HTTP response to a long poll. Returns an empty rope if there is no message
/// yet.
fn encode_poll(
    channels: &Channels,
    shape: &PollShape,
    positions: &mut Positions,
    budget: Budget,
    forms: &FormCache,
) -> (Rope, Tally) {
    match poll::read(channels, positions, budget, (shape.callback.as_deref(), true), forms) {
        Ok(poll::Read { any: false, waits, .. }) => (Rope::default(), Tally { waits, ..Tally::default() }),
        Ok(read) => {
            let tally =
                Tally { messages: read.messages as u64, has_ended: read.has_ended, ..Tally::default() };
            (shape.answer(read.answer, &positions.to_text()), tally)
        }
        Err(problem) => {
            let tally = Tally { is_broken: true, ..Tally::default() };
            (shape.response(problem.into_response()), tally)
        }
    }
}
