//! Buffers that the connections of a thread share. There is one of each kind. So a connection that
//! waits has no buffer, and a busy one does not allocate.

use alloc::vec::Vec;
use core::cell::Cell;
use std::thread::LocalKey;

/// A buffer of the thread. Empty while a connection uses it.
pub(crate) type ThreadBuffer = LocalKey<Cell<Vec<u8>>>;

/// Takes the thread's buffer. Returns an empty one if it is in use, or if the thread ends.
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
    // If the thread ends, the buffer is dropped.
    let _ = kept.try_with(|kept| {
        let other = kept.take();
        kept.set(if other.capacity() > buffer.capacity() { other } else { buffer });
    });
}
