//! Reads one or several channels from a set of positions.
//!
//! Every feed but raw bytes reads through here: a short poll once, a stream at its start, a group
//! for all its live members, a slow reader on its own. So a client gets the same, whichever way it
//! reads.

use tidewire_channel::{Budget, Continuity, Cursor, Since};

use crate::feeds::{Discontinuity, Envelope, Flow};
use crate::positions::{Channels, Positions};

/// What a read yields.
pub(crate) enum Item<'a> {
    Message(Envelope<'a>),
    Discontinuity { what: Discontinuity<'a>, cursor: &'a str },
}

/// Which position an item moved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    /// The index of its channel.
    pub(crate) channel: usize,
    /// The position there before the item.
    pub(crate) before: Cursor,
}

/// How far a read went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Whether there was any item.
    pub(crate) any: bool,
    /// Whether the budget ended the read.
    pub(crate) more: bool,
    pub(crate) flow: Flow,
}

/// How much is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds<'a> {
    pub(crate) budget: Budget,
    /// Whether the first message is read if it is longer than the budget.
    pub(crate) or_one: bool,
    /// Nothing after these positions is read.
    pub(crate) ceiling: Option<&'a Positions>,
    /// The channel that is read first, by its index; the others follow, in their order.
    pub(crate) first: usize,
}

/// Reads on from `positions` and advances them, and calls `on_item` for each item. That says how
/// many bytes it wrote. The budget counts them where they are more than what the message weighs: in
/// a list of channels, the cursor of a short message can be many times as long as its payload.
pub(crate) fn read(
    channels: &Channels,
    labelled: bool,
    positions: &mut Positions,
    bounds: Bounds<'_>,
    mut on_item: impl FnMut(Item<'_>, Moved) -> (Flow, usize),
) -> Progress {
    let Bounds { budget: mut left, mut or_one, ceiling, first } = bounds;
    let mut progress = Progress { any: false, more: false, flow: Flow::Continue };
    for index in (first..channels.0.len()).chain(0..first) {
        let channel = &channels.0[index];
        let from = positions.0[index];
        if left.messages == 0 || left.bytes == 0 {
            progress.more |= channel.head() != from;
            continue;
        }
        let messages = match ceiling.map(|ceiling| ceiling.0[index]) {
            Some(ceiling) if ceiling == from => continue,
            Some(ceiling) if ceiling.epoch() == from.epoch() => {
                let below = usize::try_from(ceiling.seq().saturating_sub(from.seq())).unwrap_or(usize::MAX);
                left.messages.min(below)
            }
            _ => left.messages,
        };
        let page = channel.read(Since::After(from), Budget { messages, bytes: left.bytes });
        // A channel gives one message whatever the budget.
        let first = page.messages.first();
        if !or_one && first.is_some_and(|(_, message)| message.weight() > left.bytes) {
            progress.more = true;
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
        let end = positions.0[index];
        progress.more |=
            (page.more || end != page.cursor) && ceiling.is_none_or(|ceiling| ceiling.0[index] != end);
    }
    progress
}

/// The discontinuity that the client must know of, and where the log goes on: `Ok(missed)` for a
/// gap, `Err(reason)` for a reset.
fn broken(continuity: Continuity) -> Option<(Result<u64, &'static str>, Cursor)> {
    match continuity {
        Continuity::Fresh | Continuity::Resumed => None,
        Continuity::Gap { to, missed, .. } => Some((Ok(missed), to)),
        Continuity::Reset { reason, to } => Some((Err(reason.as_str()), to)),
    }
}
