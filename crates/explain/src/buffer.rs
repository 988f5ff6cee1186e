//! Bytes that wait for a decoder.

use std::ops::Deref;

/// The bytes of a direction that no decoder has taken, and where they start.
///
/// Bytes that were taken are dropped once a call of the annotator and not at each step: a call may
/// hold thousands of chunks.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    taken: usize,
    offset: u64,
}

impl Buffer {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The offset in the direction of the first byte.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The first `n` bytes are done with.
    pub(crate) fn take(&mut self, n: usize) {
        self.taken += n;
        self.offset += n as u64;
    }

    /// Frees what was taken.
    pub(crate) fn compact(&mut self) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
    }

    /// Drops everything, for good: offsets are wrong from here on.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.taken = 0;
    }
}

/// What was not taken.
impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }
}
