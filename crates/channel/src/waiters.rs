//! The readers that have read everything and wait for the next message.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map;
use core::iter::FusedIterator;

use crate::cursor::Epoch;

/// Identifies a waiter, to cancel it. No key is given twice, not even by a channel that was created
/// anew under the same name. So a late cancellation never removes another waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WaitKey {
    epoch: Epoch,
    number: u64,
}

/// The waiters of one channel, in the order in which they came.
///
/// A map by increasing key: the first to come is the first woken. Polls time out all the time, and
/// cancelling one of a hundred thousand waiters costs a search. In a queue it would move all
/// waiters behind it.
#[derive(Debug)]
pub(crate) struct Waiters<W> {
    next: u64,
    waiting: BTreeMap<u64, W>,
}

impl<W> Waiters<W> {
    pub(crate) const fn new() -> Self {
        Self { next: 0, waiting: BTreeMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn add(&mut self, epoch: Epoch, waiter: W) -> WaitKey {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.waiting.insert(number, waiter);
        WaitKey { epoch, number }
    }

    pub(crate) fn remove(&mut self, epoch: Epoch, key: WaitKey) -> Option<W> {
        if key.epoch != epoch {
            return None;
        }
        self.waiting.remove(&key.number)
    }

    pub(crate) fn wake(&mut self) -> Woken<W> {
        Woken(core::mem::take(&mut self.waiting).into_values())
    }
}

/// The waiters that a message wakes, in the order in which they came. They are no longer
/// registered.
///
/// The channel does not wake them itself. Wake them after you have released the channel's lock,
/// because a waker runs the caller's code.
#[derive(Debug)]
#[must_use = "the readers in here wait for ever if they are not woken"]
pub struct Woken<W>(btree_map::IntoValues<u64, W>);

impl<W> Woken<W> {
    pub(crate) fn none() -> Self {
        Self(BTreeMap::new().into_values())
    }
}

impl<W> Iterator for Woken<W> {
    type Item = W;

    fn next(&mut self) -> Option<W> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<W> ExactSizeIterator for Woken<W> {}
impl<W> FusedIterator for Woken<W> {}
