//! Buffers that the connections of a thread lend each other: one of each kind, so that a connection that waits holds none and one that
//! is busy need not allocate.

use alloc::vec::Vec;
use core::cell::Cell;
use std::thread::LocalKey;

/// One buffer of the thread, empty, while nobody uses it.
pub(crate) type Spare = LocalKey<Cell<Vec<u8>>>;

/// The thread's buffer, if it is there. A thread that ends has none.
#[inline]
pub(crate) fn take(spare: &'static Spare) -> Vec<u8> {
    spare.try_with(Cell::take).unwrap_or_default()
}

/// Gives a buffer to the thread, unless it is larger than `max` bytes or smaller than what the thread has.
#[inline]
pub(crate) fn put(spare: &'static Spare, mut buffer: Vec<u8>, max: usize) {
    if buffer.capacity() > max {
        return;
    }
    buffer.clear();
    // At the end of the thread it is simply dropped.
    let _ = spare.try_with(|spare| {
        let kept = spare.take();
        spare.set(if kept.capacity() > buffer.capacity() { kept } else { buffer });
    });
}
