//! Bytes that wait for a decoder.

use std::ops::Deref;

/// Bytes of which some at the start are taken already. Those go away once a call and not once a step: a call may hold thousands of chunks.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    pub(super) taken: usize,
}

impl Buffer {
    /// Drops what is taken.
    pub(super) fn compact(&mut self) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.taken = 0;
    }
}

/// What is not taken.
impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }
}
