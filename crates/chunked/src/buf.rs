//! Heads and whole chunks as [`bytes`] buffers.

use crate::encode::ChunkHead;
use bytes::{Buf, BufMut};

/// CRLF after the content.
const CRLF: &[u8] = b"\r\n";

/// A chunk head that is read off as it is written out: the first part of [`ChunkHead::around`].
#[derive(Clone, Debug)]
pub struct HeadBuf {
    bytes: [u8; ChunkHead::MAX_LEN],
    start: u8,
    end: u8,
}

/// Head, content and CRLF, one behind the other.
pub type Chunk<B> = bytes::buf::Chain<bytes::buf::Chain<HeadBuf, B>, &'static [u8]>;

impl ChunkHead {
    /// Appends the head to any buffer. Panics, as every `BufMut` does, if the buffer is bounded and full.
    pub fn encode_to_buf(self, out: &mut impl BufMut) {
        let head = self.head_buf();
        out.put_slice(head.chunk());
    }

    /// The content with its framing around it, nothing copied: a vectored write sends all three parts at once.
    /// `None` for empty content, which no chunk can carry.
    ///
    /// ```
    /// use bytes::Buf;
    /// use tidewire_chunked::ChunkHead;
    ///
    /// let mut chunk = ChunkHead::around(&b"hello"[..]).expect("it is not empty");
    /// assert_eq!(chunk.copy_to_bytes(chunk.remaining()), "5\r\nhello\r\n");
    /// ```
    pub fn around<B: Buf>(content: B) -> Option<Chunk<B>> {
        let head = Self::new(content.remaining() as u64)?;
        Some(head.head_buf().chain(content).chain(CRLF))
    }

    fn head_buf(self) -> HeadBuf {
        let mut bytes = [0; Self::MAX_LEN];
        let len = self.encode(&mut bytes).expect("MAX_LEN holds every head");
        HeadBuf { bytes, start: 0, end: u8::try_from(len).expect("18 at most") }
    }
}

impl Buf for HeadBuf {
    fn remaining(&self) -> usize {
        usize::from(self.end - self.start)
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..usize::from(self.end)]
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.remaining(), "cannot advance past the end");
        self.start += u8::try_from(count).expect("no more than remains");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_written_in_pieces_of_any_size() {
        for step in 1..12 {
            let mut chunk = ChunkHead::around(&b"sixteen bytes..!"[..]).unwrap();
            let mut out = alloc::vec::Vec::new();
            while chunk.has_remaining() {
                let n = step.min(chunk.chunk().len());
                out.extend_from_slice(&chunk.chunk()[..n]);
                chunk.advance(n);
            }
            assert_eq!(out, b"10\r\nsixteen bytes..!\r\n");
        }
        assert!(ChunkHead::around(&b""[..]).is_none());
    }
}
