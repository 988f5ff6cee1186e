//! The readers that have read everything and wait for the next message.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map;
use core::iter::FusedIterator;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Identifies a waiter, to cancel it. No key is given twice in a process, not even by a channel
/// that was created anew under the same name. So a late cancellation never removes another waiter.
///
/// An epoch could not promise this: it goes from one process to the next, and channels that were
/// never written share one. So each channel takes a number of its own when its first waiter comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WaitKey {
    channel: usize,
    number: u64,
}

/// The number of the next channel that gets a waiter. It wraps after 2^32 channels on a machine
/// with 32 bits, and a cancellation is not late by as many.
static NEXT_CHANNEL: AtomicUsize = AtomicUsize::new(1);

/// The waiters of one channel, in the order in which they came.
///
/// A map by increasing key: the first to come is the first woken. Polls time out all the time, and
/// cancelling one of a hundred thousand waiters costs a search. In a queue it would move all
/// waiters behind it.
#[derive(Debug)]
pub(crate) struct Waiters<W> {
    /// 0 before the first waiter, so that a channel can be created in a constant.
    channel: usize,
    next: u64,
    waiting: BTreeMap<u64, W>,
}

impl<W> Waiters<W> {
    pub(crate) const fn new() -> Self {
        Self { channel: 0, next: 0, waiting: BTreeMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn add(&mut self, waiter: W) -> WaitKey {
        if self.channel == 0 {
            self.channel = NEXT_CHANNEL.fetch_add(1, Ordering::Relaxed);
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.waiting.insert(number, waiter);
        WaitKey { channel: self.channel, number }
    }

    pub(crate) fn remove(&mut self, key: WaitKey) -> Option<W> {
        if key.channel != self.channel {
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
