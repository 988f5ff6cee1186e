//! The epochs of a log that a reader has passed.

use std::collections::VecDeque;

use crate::cursor::epoch_and_number;

/// What a reader knows of the log of one channel.
#[derive(Debug, Default)]
pub(crate) struct Lineage {
    /// The epochs that the reader has left, the oldest first.
    passed: VecDeque<Epoch>,
    /// A reset told that the epoch of the reader's position ends at this position. Its further
    /// messages are lost, also if a cache still has them.
    pub(crate) is_over: bool,
    /// The end of the channel was delivered.
    pub(crate) has_ended: bool,
}

/// An epoch that the reader has left.
#[derive(Debug)]
struct Epoch {
    name: Box<str>,
    /// The next epoch of the same log followed, so its items are old. After a reset this is not
    /// sure: a server that was behind may have sent the reader back, and then catches up.
    is_certain: bool,
}

/// How the position in one channel differs from the reader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    None,
    /// By this number of messages.
    Ahead(u64),
    /// Delivered before, or lost.
    Back,
    /// In a log that the reader has left with a reset, and by this number of messages ahead.
    Returned(u64),
    /// In a log that the reader does not know, and not ahead.
    Foreign,
    /// The text has another form, so only equality is known.
    Unknown,
}

impl Lineage {
    /// Nothing needs to be remembered.
    pub(crate) const EMPTY: &Self = &Self { passed: VecDeque::new(), is_over: false, has_ended: false };

    /// Compares the reader's position with that of an item.
    pub(crate) fn compare(&self, mine: &str, theirs: &str) -> Move {
        if mine == theirs {
            return Move::None;
        }
        let (Some((epoch, from)), Some((other, to))) = (epoch_and_number(mine), epoch_and_number(theirs))
        else {
            return Move::Unknown;
        };
        let passed = self.passed.iter().find(|passed| *passed.name == *other);
        match to.checked_sub(from).filter(|ahead| *ahead > 0) {
            _ if epoch == other && self.is_over => Move::Back,
            _ if passed.is_some_and(|passed| passed.is_certain) => Move::Back,
            Some(ahead) if passed.is_some() => Move::Returned(ahead),
            Some(ahead) => Move::Ahead(ahead),
            None if passed.is_some() || epoch == other => Move::Back,
            None => Move::Foreign,
        }
    }

    /// Returns whether the reader has left this epoch.
    pub(crate) fn has_passed(&self, epoch: &str) -> bool {
        self.passed.iter().any(|passed| *passed.name == *epoch)
    }

    /// Notes that a reset brought the reader to another log, or back in its own.
    pub(crate) fn leave_all(&mut self) {
        self.passed.iter_mut().for_each(|passed| passed.is_certain = false);
    }

    /// Notes that the reader moves from `mine` to `theirs`.
    pub(crate) fn enter(&mut self, mine: &str, theirs: &str) {
        let (Some((epoch, _)), Some((other, _))) = (epoch_and_number(mine), epoch_and_number(theirs)) else {
            return;
        };
        if epoch == other {
            return;
        }
        self.is_over = false;
        self.passed.retain(|passed| *passed.name != *other);
        self.passed.push_back(Epoch { name: epoch.into(), is_certain: true });
        if self.passed.len() > MAX_PASSED_EPOCHS {
            self.passed.pop_front();
        }
    }
}

/// The largest number of epochs of a channel that are remembered, as many as a log remembers.
pub(crate) const MAX_PASSED_EPOCHS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_remembered_epochs_is_bounded() {
        let mut lineage = Lineage::default();
        for n in 0..1000 {
            lineage.enter(&format!("e{n}-7"), &format!("e{}-8", n + 1));
        }
        assert_eq!(lineage.passed.len(), MAX_PASSED_EPOCHS);
        assert!(lineage.has_passed("e999") && !lineage.has_passed("e0") && !lineage.has_passed("e1000"));
    }
}
