//! Reads one or several channels from a set of positions.
//!
//! All feeds except raw bytes read through this file: a short poll once, a stream at its start, a
//! group for all its live members, a slow reader alone. So all clients get the same messages,
//! whatever feed they use.

use tidewire_channel::{Budget, Continuity, Cursor, Since};

use crate::feeds::{ChannelEnd, Discontinuity, Envelope, Flow};
use crate::positions::{Channels, Positions};

/// One thing that a read returns.
pub(crate) enum Item<'a> {
    Message(Envelope<'a>),
    Discontinuity {
        what: Discontinuity<'a>,
        cursor: &'a str,
    },
    /// A channel has ended, and the reader has all its messages.
    End(ChannelEnd<'a>),
}

/// The position that an item has moved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    /// The index of the channel.
    pub(crate) channel: usize,
    /// The position in that channel before the item.
    pub(crate) before: Cursor,
}

/// The result of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Whether there was any message, or a loss.
    pub(crate) any: bool,
    /// Whether the reader is at the end of all channels.
    pub(crate) has_ended: bool,
    /// Whether the budget ended the read, or messages must be fetched.
    pub(crate) more: bool,
    /// Whether the store must fetch messages at the positions that were reached.
    pub(crate) waits: bool,
    pub(crate) flow: Flow,
}

/// The limits of a read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds<'a> {
    pub(crate) budget: Budget,
    /// Whether to read the first message even if it is longer than the budget.
    pub(crate) or_one: bool,
    /// The positions at which the read stops.
    pub(crate) ceiling: Option<&'a Positions>,
    /// The index of the channel to read first. The others follow in their order, and wrap around.
    pub(crate) first: usize,
}

/// Reads the messages after `positions`, advances them, and calls `on_item` for each item.
/// `on_item` returns the number of bytes that it wrote. The budget counts the larger of that number
/// and the weight of the message. In a list of channels, the cursor of a short message may be many
/// times as long as its payload.
pub(crate) fn read(
    channels: &Channels,
    labelled: bool,
    positions: &mut Positions,
    bounds: Bounds<'_>,
    mut on_item: impl FnMut(Item<'_>, Moved) -> (Flow, usize),
) -> Progress {
    let Bounds { budget: mut left, mut or_one, ceiling, first } = bounds;
    let has_ended = !channels.0.is_empty();
    let mut progress = Progress { any: false, has_ended, more: false, waits: false, flow: Flow::Continue };
    for index in (first..channels.0.len()).chain(0..first) {
        let channel = &channels.0[index];
        let from = positions.0[index];
        if left.messages == 0 || left.bytes == 0 {
            let end = channel.end();
            progress.has_ended &= end == Some(from);
            progress.more |= end.unwrap_or_else(|| channel.head()) != from;
            continue;
        }
        let ceiling_here = ceiling.map(|ceiling| ceiling.0[index]);
        if ceiling_here == Some(from) {
            progress.has_ended = progress.has_ended && channel.end() == Some(from);
            continue;
        }
        let page = channel.read_to(Since::After(from), left, ceiling_here);
        progress.waits |= page.waits;
        // A channel returns one message whatever the budget.
        let first = page.messages.first();
        if !or_one && first.is_some_and(|(_, message)| message.weight() > left.bytes) {
            (progress.more, progress.has_ended) = (true, false);
            continue;
        }
        if let Some((what, to)) = broken(page.continuity) {
            let from_text = positions.to_text();
            positions.0[index] = to;
            let what = match what {
                Ok(missed) => Discontinuity::Gap { from: &from_text, missed },
                Err(reason) => Discontinuity::Reset { reason },
            };
            progress.any = true;
            let item = Item::Discontinuity { what, cursor: &positions.to_text() };
            let (flow, _) = on_item(item, Moved { channel: index, before: from });
            if flow == Flow::End {
                return Progress { flow, ..progress };
            }
        }
        for (cursor, message) in &page.messages {
            let before = std::mem::replace(&mut positions.0[index], *cursor);
            let cursor = positions.to_text();
            let channel = labelled.then(|| channels.0[index].name().as_str());
            (progress.any, or_one) = (true, false);
            let item = Item::Message(Envelope { cursor: &cursor, channel, message });
            let (flow, written) = on_item(item, Moved { channel: index, before });
            if flow == Flow::End {
                return Progress { flow, ..progress };
            }
            left.bytes = left.bytes.saturating_sub(message.weight().max(written));
            left.messages = left.messages.saturating_sub(1);
            if left.bytes == 0 {
                break;
            }
        }
        let reached = positions.0[index];
        let has_more = page.end != Some(reached) && (page.more || reached != page.cursor);
        progress.more |= has_more && ceiling.is_none_or(|ceiling| ceiling.0[index] != reached);
        if let Some(end) = page.end.filter(|&end| !has_more && end != reached)
            && ceiling.is_none_or(|ceiling| ceiling.0[index] == end)
        {
            positions.0[index] = end;
            let cursor = positions.to_text();
            let channel = labelled.then(|| channels.0[index].name().as_str());
            let item = Item::End(ChannelEnd { cursor: &cursor, channel });
            let (flow, written) = on_item(item, Moved { channel: index, before: reached });
            if flow == Flow::End {
                return Progress { flow, ..progress };
            }
            left.bytes = left.bytes.saturating_sub(written);
        }
        progress.has_ended &= page.end == Some(positions.0[index]);
    }
    progress
}

/// The discontinuity to report, if any, and the position after it: `Ok(missed)` for a gap,
/// `Err(reason)` for a reset.
fn broken(continuity: Continuity) -> Option<(Result<u64, &'static str>, Cursor)> {
    match continuity {
        Continuity::Fresh | Continuity::Resumed => None,
        Continuity::Gap { to, missed, .. } => Some((Ok(missed), to)),
        Continuity::Reset { reason, to } => Some((Err(reason.as_str()), to)),
    }
}
