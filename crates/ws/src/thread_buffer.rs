//! Buffers that the connections of a thread lend each other: one of each kind, so that a connection
//! that waits holds none and one that is busy need not allocate.

use alloc::vec::Vec;
use core::cell::Cell;
use std::thread::LocalKey;

/// One buffer of the thread, empty, while nobody uses it.
pub(crate) type ThreadBuffer = LocalKey<Cell<Vec<u8>>>;

/// The thread's buffer, if it is there. A thread that ends has none.
#[inline]
pub(crate) fn take(kept: &'static ThreadBuffer) -> Vec<u8> {
    kept.try_with(Cell::take).unwrap_or_default()
}

/// Gives a buffer to the thread, unless it is larger than `max` bytes or smaller than what the
/// thread has.
#[inline]
pub(crate) fn put(kept: &'static ThreadBuffer, mut buffer: Vec<u8>, max: usize) {
    if buffer.capacity() > max {
        return;
    }
    buffer.clear();
    // At the end of the thread it is simply dropped.
    let _ = kept.try_with(|kept| {
        let other = kept.take();
        kept.set(if other.capacity() > buffer.capacity() { other } else { buffer });
    });
}
