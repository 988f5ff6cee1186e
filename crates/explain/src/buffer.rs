//! Bytes that wait for a decoder.

use std::ops::Deref;

/// The bytes of a direction that no decoder has taken, and their offset.
///
/// Taken bytes are dropped once per call of the annotator, not at each step: a call may have
/// thousands of chunks.
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

    /// Returns the offset of the first byte in the direction.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes the first `n` bytes.
    pub(crate) fn take(&mut self, n: usize) {
        self.taken += n;
        self.offset += n as u64;
    }

    /// Drops the bytes that were taken.
    pub(crate) fn compact(&mut self) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
    }

    /// Drops everything. The offset is wrong from here on.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.taken = 0;
    }
}

/// The bytes that were not taken.
impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }
}
