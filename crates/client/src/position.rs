//! The position of a reader, and which items of a feed are new to it.
//!
//! The same items may come again: a stream that is opened again begins a little before the cut, or
//! a cache on the way repeats an old answer. Such items must not be delivered again, and are not
//! progress.

use std::collections::VecDeque;

use crate::Cursor;
use crate::cursor::Step;
use crate::item::Item;

/// The position of a reader in its log.
#[derive(Debug, Default)]
pub(crate) struct Position {
    /// After the last message delivered.
    cursor: Option<Cursor>,
    /// Epochs of logs that the reader has left. It leaves a log with a reset, and returns only with
    /// another reset, so any other item from such a log is old.
    left_epochs: VecDeque<String>,
    /// How many times the position has moved.
    move_count: u64,
    /// Gaps and resets since the last message, or since an answer last continued from this
    /// position.
    losses: usize,
}

impl Position {
    pub(crate) fn new(cursor: Option<Cursor>) -> Self {
        Self { cursor, ..Self::default() }
    }

    pub(crate) const fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// How many times the position has moved. If the number has changed, there was progress.
    pub(crate) const fn move_count(&self) -> u64 {
        self.move_count
    }

    /// Returns whether more gaps and resets have come in a row than there are channels. A restart
    /// of the server causes one for each channel. If there are more, the server does not know the
    /// cursor that it has just given, or several servers answer in turn.
    pub(crate) fn has_too_many_losses(&self) -> bool {
        let channels = self.cursor.as_ref().map_or(1, |cursor| cursor.as_str().split('.').count());
        self.losses > channels
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
            Item::Message(message) if self.has_left(&message.cursor) => Step::Duplicate,
            Item::Message(message) => held.step_to(&message.cursor),
            Item::Gap { cursor, .. } if self.has_left(cursor) => Step::Duplicate,
            Item::Gap { cursor, .. } => new_unless_duplicate(held.step_to(cursor)),
            // A reset for this reason may go to an earlier position of the same log, because the
            // log lost its newest messages.
            Item::Reset { reason, cursor } if reason == AHEAD_OF_LOG => new_if(held != cursor),
            Item::Reset { cursor, .. } => new_unless_duplicate(held.step_to(cursor)),
            Item::Hello(_) | Item::Retry(_) => Step::New,
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

    /// Notes that a reset to `cursor` was reported.
    pub(crate) fn reset(&mut self, cursor: Cursor) {
        let entered: Vec<&str> = cursor.epochs().collect();
        self.left_epochs.retain(|epoch| !entered.contains(&&**epoch));
        let held = self.cursor.take();
        let left = held.iter().flat_map(Cursor::epochs).filter(|epoch| !entered.contains(epoch));
        self.left_epochs.extend(left.map(str::to_owned));
        self.left_epochs.drain(..self.left_epochs.len().saturating_sub(MAX_LEFT_EPOCHS));
        self.losses = self.losses.saturating_add(1);
        self.move_to(cursor);
    }

    fn move_to(&mut self, cursor: Cursor) {
        self.move_count += 1;
        self.cursor = Some(cursor);
    }

    fn has_left(&self, cursor: &Cursor) -> bool {
        !self.left_epochs.is_empty()
            && cursor.epochs().any(|epoch| self.left_epochs.iter().any(|left| left == epoch))
    }
}

fn new_unless_duplicate(step: Step) -> Step {
    new_if(step != Step::Duplicate)
}

const fn new_if(is_new: bool) -> Step {
    if is_new { Step::New } else { Step::Duplicate }
}

/// The reason of a reset that may go back in the same log.
const AHEAD_OF_LOG: &str = "ahead-of-log";

/// The largest number of epochs that are remembered: those of eight restarts of a server, with the
/// 16 channels that one connection can have.
const MAX_LEFT_EPOCHS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(text: &str) -> Cursor {
        text.parse().unwrap()
    }

    fn reset(reason: &str, to: &str) -> Item {
        Item::Reset { reason: reason.into(), cursor: cursor(to) }
    }

    fn gap(to: &str) -> Item {
        Item::Gap { from: cursor("e-0"), cursor: cursor(to), missed: 1 }
    }

    #[test]
    fn items_before_the_position_are_duplicates() {
        let mut position = Position::new(Some(cursor("e-5.x-1")));
        for old in [
            gap("e-4.x-1"),
            gap("e-5.x-1"),
            reset("unknown-epoch", "e-5.x-1"),
            reset(AHEAD_OF_LOG, "e-5.x-1"),
        ] {
            assert_eq!(position.step(&old), Step::Duplicate, "{old:?}");
        }
        for new in [gap("e-9.x-1"), reset("unknown-epoch", "e-5.y-0"), reset(AHEAD_OF_LOG, "e-3.x-1")] {
            assert_eq!(position.step(&new), Step::New, "{new:?}");
        }
        position.reset(cursor("e-5.y-0"));
        assert_eq!(position.step(&gap("e-9.x-1")), Step::Duplicate, "x was left");
        assert_eq!(position.step(&gap("e-9.y-0")), Step::New);
        assert_eq!((position.move_count(), position.losses), (1, 1));
        position.reset(cursor("e-5.x-7"));
        assert_eq!(position.step(&gap("e-9.x-7")), Step::New, "x is back");
        assert_eq!(position.step(&gap("e-9.y-1")), Step::Duplicate);
        position.advance(cursor("e-9.x-7"));
        assert_eq!((position.move_count(), position.losses), (3, 0));
    }

    #[test]
    fn an_answer_without_items_is_not_a_repeated_answer() {
        let position = Position::new(Some(cursor("e-5")));
        let hello = || Item::Hello(cursor("e-5"));
        assert!(!position.is_repeated(&[hello()], Some(&cursor("e-5"))));
        assert!(position.is_repeated(&[gap("e-5"), hello()], Some(&cursor("e-5"))));
        assert!(
            position.is_repeated(&[gap("z"), hello()], Some(&cursor("e-5"))),
            "the answer ends at the reader's position"
        );
        assert!(
            !position.is_repeated(&[gap("e-5"), gap("e-6")], Some(&cursor("e-6"))),
            "a part of the answer is new"
        );
        assert!(!Position::new(None).is_repeated(&[gap("e-5")], None));
    }

    #[test]
    fn the_number_of_remembered_epochs_is_bounded() {
        let mut position = Position::new(Some(cursor("e-0")));
        for n in 0..1000 {
            position.reset(cursor(&format!("e{n}-0")));
        }
        assert_eq!(position.left_epochs.len(), MAX_LEFT_EPOCHS);
    }
}
