//! Reading one or several channels from a set of positions, in the words of the feeds.
//!
//! Every feed reads through here: a short poll once, a stream at its start, a group for all its live members, a slow
//! reader on its own. What a client got is therefore the same whichever way it came.

use std::sync::Arc;

use tidewire_channel::{Budget, Continuity, Cursor, Cursors, Since};

use crate::api::params::From;
use crate::channel::Channel;
use crate::feeds::{Break, Envelope, Flow};

/// The channels of a connection, in the order in which the client named them.
#[derive(Clone, Debug)]
pub(crate) struct Channels(pub(crate) Arc<[Arc<Channel>]>);

impl Channels {
    /// The positions after the newest messages.
    pub(crate) fn heads(&self) -> Positions {
        Positions(self.0.iter().map(|channel| channel.head()).collect())
    }

    /// The positions before the oldest messages kept.
    pub(crate) fn earliest(&self) -> Positions {
        Positions(self.0.iter().map(|channel| channel.earliest()).collect())
    }

    /// Where a client begins that wants to go on from `since`.
    pub(crate) fn start(&self, since: &From) -> Positions {
        match since {
            From::Earliest => self.earliest(),
            From::Now => self.heads(),
            From::Newest => Positions(self.0.iter().map(|channel| channel.before_newest()).collect()),
            From::After(cursors) => Positions(cursors.as_slice().into()),
        }
    }

    fn label(&self, index: usize, labelled: bool) -> Option<&str> {
        if labelled { Some(self.0[index].name().as_str()) } else { None }
    }
}

/// A position in each channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Positions(pub(crate) Box<[Cursor]>);

impl Positions {
    /// The one cursor that the client sees.
    pub(crate) fn to_text(&self) -> String {
        if let [one] = *self.0 {
            return one.to_string();
        }
        let mut all = Cursors::new();
        for cursor in &self.0 {
            all.push(*cursor);
        }
        all.to_string()
    }
}

/// What a read says.
pub(crate) enum Item<'a> {
    Message(Envelope<'a>),
    Break { what: Break<'a>, cursor: &'a str },
}

/// How far a read came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Whether anything was said.
    pub(crate) any: bool,
    /// Whether the budget ended the read.
    pub(crate) more: bool,
    pub(crate) flow: Flow,
}

/// Reads on from `positions` and moves them. `ceiling` bounds the read: nothing after it is said.
pub(crate) fn read(
    channels: &Channels,
    labelled: bool,
    positions: &mut Positions,
    ceiling: Option<&Positions>,
    budget: Budget,
    mut say: impl FnMut(Item<'_>) -> Flow,
) -> Progress {
    let mut left = budget;
    let mut progress = Progress { any: false, more: false, flow: Flow::Continue };
    for (index, channel) in channels.0.iter().enumerate() {
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
        if let Some((what, to)) = broken(page.continuity) {
            let from_text = positions.to_text();
            positions.0[index] = to;
            let what = match what {
                Ok(missed) => Break::Gap { from: &from_text, missed },
                Err(reason) => Break::Reset { reason },
            };
            progress.any = true;
            if say(Item::Break { what, cursor: &positions.to_text() }) == Flow::End {
                return Progress { flow: Flow::End, ..progress };
            }
        }
        for (cursor, message) in &page.messages {
            positions.0[index] = *cursor;
            let cursor = positions.to_text();
            let channel = channels.label(index, labelled);
            progress.any = true;
            left.bytes = left.bytes.saturating_sub(message.weight());
            left.messages = left.messages.saturating_sub(1);
            if say(Item::Message(Envelope { cursor: &cursor, channel, message })) == Flow::End {
                return Progress { flow: Flow::End, ..progress };
            }
        }
        progress.more |= page.more && ceiling.is_none_or(|ceiling| ceiling.0[index] != page.cursor);
    }
    progress
}

/// The part of a continuity that must be told: `Ok(missed)` for a gap, `Err(reason)` for a reset, and where it goes on.
fn broken(continuity: Continuity) -> Option<(Result<u64, &'static str>, Cursor)> {
    match continuity {
        Continuity::Fresh | Continuity::Resumed => None,
        Continuity::Gap { to, missed, .. } => Some((Ok(missed), to)),
        Continuity::Reset { reason, to } => Some((Err(reason.as_str()), to)),
    }
}
