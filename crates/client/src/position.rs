//! The position of a reader, and which items of a feed are new to it.
//!
//! The same items may come again: a stream that is opened again begins a little before the cut, or
//! a cache on the way repeats an old answer. Such items must not be delivered again, and are not
//! progress.
//!
//! A log numbers its messages without holes, also across a restart of the server. A restart may
//! begin a new epoch: `A-5` is followed by `B-6`. So the number decides what is next, and the epoch
//! tells messages with the same number apart:
//!
//! | a reader at `A-5` gets | |
//! |---|---|
//! | `A-6`, `B-6` | the next message |
//! | `A-8`, `B-8` | two messages are missing |
//! | `A-4` | a duplicate |
//! | `B-4`, and no reset before it | an error of the feed: it reads another log |
//! | any number of an epoch that the reader has passed, or whose end a reset told | a duplicate |
//! | a higher number of a log that it left with a reset | an error, but accepted the second time |

use crate::Cursor;
use crate::cursor::epoch_and_number;
use crate::item::Item;
use crate::lineage::{Lineage, Move};

/// Whether an item is new to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// New: deliver it.
    New,
    /// Delivered before: drop it.
    Duplicate,
    /// New, and this many messages before it are missing.
    Hole(u64),
    /// From a log that the reader has left with a reset, and ahead. It may be an old answer of a
    /// cache. If it comes again, the log is in use again.
    Returned,
    /// From a log that the reader does not know, without a reset before it.
    Foreign,
}

/// The position of a reader in the logs of its channels.
#[derive(Debug, Default)]
pub(crate) struct Position {
    /// After the last message delivered.
    cursor: Option<Cursor>,
    /// The names of the channels, in the order of the cursor.
    names: Vec<String>,
    /// What is known of each channel, in the order of the cursor. A channel without an entry has
    /// nothing to remember.
    channels: Vec<Lineage>,
    /// Whether the last thing delivered was the end of a channel.
    is_at_end: bool,
    /// How many times the position has moved.
    move_count: u64,
    /// Gaps and resets since the last message, or since an answer last continued from this
    /// position.
    losses: usize,
}

impl Position {
    /// A reader of the channels with these names, in the order of the cursor.
    pub(crate) fn new(cursor: Option<Cursor>, names: Vec<String>) -> Self {
        Self { cursor, names, ..Self::default() }
    }

    pub(crate) const fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// How many times the position has moved. If the number has changed, there was progress.
    pub(crate) const fn move_count(&self) -> u64 {
        self.move_count
    }

    /// Whether the last thing delivered was the end of a channel.
    pub(crate) const fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Returns whether more gaps and resets have come in a row than there are channels. A restart
    /// of the server causes one for each channel. If there are more, the server does not know the
    /// cursor that it has just given, or several servers answer in turn.
    pub(crate) fn has_too_many_losses(&self) -> bool {
        self.losses > self.channel_count()
    }

    /// Notes that an answer without items ended at `end`.
    pub(crate) fn confirm(&mut self, end: Option<&Cursor>) {
        if end == self.cursor() {
            self.losses = 0;
        }
    }

    /// Sets the first position. If the reader has a position already, it stays: another position
    /// could skip messages without a report.
    pub(crate) fn start(&mut self, cursor: &Cursor) {
        self.cursor.get_or_insert_with(|| cursor.clone());
    }

    /// Returns whether `item` is new to this reader.
    pub(crate) fn step(&self, item: &Item) -> Step {
        let Some(held) = &self.cursor else { return Step::New };
        match item {
            Item::Message(message) => self.step_to(&message.cursor, message.channel.as_deref()),
            Item::End { channel, cursor } => self.step_to(cursor, channel.as_deref()),
            Item::Gap { cursor, .. } => match self.step_to(cursor, None) {
                Step::Hole(_) => Step::New,
                step => step,
            },
            Item::Reset { reason, cursor } => match reason.as_str() {
                _ if self.after_reset(reason, cursor) == *held => Step::Duplicate,
                TAIL_LOST if !self.is_certain(cursor) => Step::Returned,
                _ => Step::New,
            },
            Item::Hello(_) | Item::Retry(_) | Item::Deleted { .. } => Step::New,
        }
    }

    /// Returns whether a poll's answer is a repetition: it has items, but none of them is new.
    /// `end` is the position after the answer.
    ///
    /// An answer that ends at the reader's position has nothing new, even if its cursors have an
    /// unknown form.
    pub(crate) fn is_repeated(&self, items: &[Item], end: Option<&Cursor>) -> bool {
        let mut contents = items.iter().filter(|item| !matches!(item, Item::Hello(_))).peekable();
        contents.peek().is_some()
            && (end.is_some() && end == self.cursor()
                || contents.all(|item| self.step(item) == Step::Duplicate))
    }

    /// The position of this reader after an item of `channel` at `cursor`. A feed that is behind in
    /// one channel and ahead in another moves the reader only in the second.
    pub(crate) fn after(&self, cursor: Cursor, channel: Option<&str>) -> Cursor {
        let own = self.index(channel, cursor.places().count());
        let mut index = 0;
        let keeps = |lineage: &Lineage, mine: &str, theirs: &str| {
            let is_own = own == Some(index);
            index += 1;
            match lineage.compare(mine, theirs) {
                Move::Back => true,
                Move::Returned(_) => own.is_some() && !is_own,
                _ => false,
            }
        };
        self.merge(&cursor, keeps).unwrap_or(cursor)
    }

    /// Notes that the message at `cursor` was delivered.
    pub(crate) fn advance(&mut self, cursor: Cursor) {
        self.losses = 0;
        self.move_to(cursor);
    }

    /// Notes that a gap up to `cursor` was reported.
    pub(crate) fn skip(&mut self, cursor: Cursor) {
        self.losses = self.losses.saturating_add(1);
        self.move_to(cursor);
    }

    /// The position of this reader after a reset to `cursor`. It is the reader's own position if
    /// the reset is a repetition.
    pub(crate) fn after_reset(&self, reason: &str, cursor: &Cursor) -> Cursor {
        let keeps = |lineage: &Lineage, mine: &str, theirs: &str| {
            let (Some((epoch, from)), Some((other, to))) = (epoch_and_number(mine), epoch_and_number(theirs))
            else {
                return false;
            };
            match reason {
                // The log has lost its newest messages and gives their numbers again.
                AHEAD_OF_LOG => false,
                TAIL_LOST if epoch == other => lineage.is_over || to >= from,
                // A reset may enter a log that the reader has left.
                _ => epoch == other && to < from,
            }
        };
        self.merge(cursor, keeps).unwrap_or_else(|| cursor.clone())
    }

    /// Notes that a reset to `cursor` was reported, which is what [`Self::after_reset`] gave.
    pub(crate) fn reset(&mut self, reason: &str, cursor: Cursor) {
        self.losses = self.losses.saturating_add(1);
        let is_certain = reason == TAIL_LOST && self.is_certain(&cursor);
        let mut moved = Vec::new();
        self.each(&cursor, |_, mine, theirs| {
            let epoch = |place| epoch_and_number(place).map(|(epoch, _)| epoch);
            moved.push((mine != theirs, epoch(mine) == epoch(theirs)));
        });
        self.move_to(cursor);
        for (index, (has_moved, is_same_epoch)) in moved.into_iter().enumerate() {
            if has_moved {
                let lineage = self.lineage(index);
                lineage.has_ended = false;
                lineage.is_over = is_certain && is_same_epoch;
                if !is_certain {
                    lineage.leave_all();
                }
            }
        }
    }

    /// Returns whether a lost tail is that of one channel, and does not lead to an epoch that the
    /// reader has left. Otherwise the reset may be an old one that is repeated.
    fn is_certain(&self, cursor: &Cursor) -> bool {
        let (mut moved, mut has_returned) = (0, false);
        self.each(cursor, |lineage, mine, theirs| {
            moved += usize::from(mine != theirs);
            has_returned |= epoch_and_number(theirs).is_some_and(|(epoch, _)| lineage.has_passed(epoch));
        });
        moved == 1 && !has_returned
    }

    /// Returns which of the channels ends at `cursor`.
    pub(crate) fn ending(&self, channel: Option<&str>, cursor: &Cursor) -> Option<usize> {
        match cursor.places().count() {
            1 => Some(0),
            count => self.index(channel, count).or_else(|| {
                let mut places = self.cursor.as_ref()?.places().zip(cursor.places());
                places.position(|(mine, theirs)| mine != theirs)
            }),
        }
    }

    /// The name of a channel, if there are several.
    pub(crate) fn name(&self, index: usize) -> Option<String> {
        self.names.get(index).filter(|_| self.names.len() > 1).cloned()
    }

    /// Notes that the end of a channel was delivered. `cursor` is the position after it.
    pub(crate) fn end(&mut self, index: usize, cursor: Cursor) {
        self.advance(cursor);
        self.is_at_end = true;
        self.lineage(index).has_ended = true;
    }

    /// Returns whether the end of this channel was not delivered.
    pub(crate) fn is_open(&self, index: usize) -> bool {
        !self.channels.get(index).is_some_and(|lineage| lineage.has_ended)
    }

    /// The channels whose end was not delivered.
    pub(crate) fn open_channels(&self) -> impl Iterator<Item = usize> {
        (0..self.channel_count()).filter(|&index| self.is_open(index))
    }

    /// Returns whether the answer of a poll may end at `cursor`, after its items were taken. Items
    /// move a reader, and nothing else: an answer that goes further lacks some. Only the end of a
    /// single channel has no item, and then `is_closed`.
    pub(crate) fn step_to_end_of_poll(&self, cursor: &Cursor, is_closed: bool) -> Step {
        let (mut missing, mut is_foreign) = (0_u64, false);
        let silent = u64::from(is_closed && self.channel_count() == 1);
        self.each(cursor, |lineage, mine, theirs| match lineage.compare(mine, theirs) {
            Move::Ahead(ahead) => missing = missing.saturating_add(ahead.saturating_sub(silent)),
            Move::Returned(ahead) if is_closed => missing = missing.saturating_add(ahead - silent),
            Move::Foreign => is_foreign = is_closed,
            // An old answer of a cache is no news.
            Move::Returned(_) | Move::None | Move::Back | Move::Unknown => {}
        });
        match missing {
            _ if is_foreign => Step::Foreign,
            0 => Step::New,
            _ => Step::Hole(missing),
        }
    }

    /// Returns whether an item of `channel` at `next` is new.
    fn step_to(&self, next: &Cursor, channel: Option<&str>) -> Step {
        let own = self.index(channel, next.places().count());
        let (mut ahead, mut is_foreign, mut is_unknown) = (0_u64, false, false);
        let (mut has_returned, mut is_old, mut index) = (false, false, 0);
        let is_comparable = self.each(next, |lineage, mine, theirs| {
            let difference = lineage.compare(mine, theirs);
            match difference {
                Move::None | Move::Back => is_old |= own == Some(index),
                Move::Ahead(by) | Move::Returned(by) => {
                    ahead = ahead.saturating_add(by);
                    has_returned |= difference == Move::Returned(by);
                }
                Move::Foreign => is_foreign = true,
                Move::Unknown => is_unknown = true,
            }
            index += 1;
        });
        match ahead {
            _ if is_unknown || !is_comparable => Step::New,
            _ if is_foreign => Step::Foreign,
            _ if is_old => Step::Duplicate,
            0 => Step::Duplicate,
            _ if has_returned => Step::Returned,
            1 => Step::New,
            _ => Step::Hole(ahead - 1),
        }
    }

    /// The place of a channel in the cursors of `count` channels.
    fn index(&self, channel: Option<&str>, count: usize) -> Option<usize> {
        let names = self.names.iter().filter(|_| count > 1 && count == self.names.len());
        names.into_iter().position(|name| Some(name.as_str()) == channel)
    }

    /// Calls `visit` with the two positions of each channel. Returns `false` if `cursor` is of
    /// other channels, or the reader has no position.
    fn each(&self, cursor: &Cursor, mut visit: impl FnMut(&Lineage, &str, &str)) -> bool {
        let Some(held) = &self.cursor else { return false };
        if held.places().count() != cursor.places().count() {
            return false;
        }
        for (index, (mine, theirs)) in held.places().zip(cursor.places()).enumerate() {
            visit(self.channels.get(index).unwrap_or(Lineage::EMPTY), mine, theirs);
        }
        true
    }

    /// Returns `cursor` with the reader's own position in each channel for which `keeps` says so,
    /// or `None` if there is no such channel.
    fn merge(&self, cursor: &Cursor, mut keeps: impl FnMut(&Lineage, &str, &str) -> bool) -> Option<Cursor> {
        let mut kept = Vec::new();
        self.each(cursor, |lineage, mine, theirs| kept.push(keeps(lineage, mine, theirs) && mine != theirs));
        if !kept.contains(&true) {
            return None;
        }
        let places = self.cursor.as_ref()?.places().zip(cursor.places()).zip(kept);
        Some(Cursor::join(places.map(|((mine, theirs), kept)| if kept { mine } else { theirs })))
    }

    fn move_to(&mut self, cursor: Cursor) {
        self.move_count += 1;
        self.is_at_end = false;
        let Some(held) = self.cursor.replace(cursor) else { return };
        let Some(cursor) = self.cursor.clone() else { return };
        if held.places().count() == cursor.places().count() {
            for (index, (mine, theirs)) in held.places().zip(cursor.places()).enumerate() {
                if mine != theirs {
                    self.lineage(index).enter(mine, theirs);
                }
            }
        } else {
            self.channels.clear();
        }
    }

    fn lineage(&mut self, index: usize) -> &mut Lineage {
        if self.channels.len() <= index {
            self.channels.resize_with(index + 1, Lineage::default);
        }
        &mut self.channels[index]
    }

    fn channel_count(&self) -> usize {
        self.cursor.as_ref().map_or(1, |cursor| cursor.places().count())
    }
}

/// The reason of a reset that goes back in the same epoch, which then goes on.
const AHEAD_OF_LOG: &str = "ahead-of-log";

/// The reason of a reset to the end of an epoch that has lost its newest messages.
const TAIL_LOST: &str = "tail-lost";

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
