//! The chunk line before content that the caller writes itself.

use crate::error::{EncodeError, EncodeErrorKind};
use alloc::vec::Vec;
use core::num::NonZeroU64;

#[cfg(feature = "bytes")]
pub use buf::{Chunk, HeadBuf};

/// A chunk line without extensions. `size` bytes of content and CRLF follow it.
///
/// ```
/// use tidewire_chunked::{ChunkHead, LAST_CHUNK};
///
/// let mut wire = Vec::new();
/// if let Some(head) = ChunkHead::new(5) {
///     head.encode_to(&mut wire);
///     wire.extend_from_slice(b"hello\r\n");
/// }
/// wire.extend_from_slice(LAST_CHUNK);
/// assert_eq!(wire, b"5\r\nhello\r\n0\r\n\r\n");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHead(NonZeroU64);

impl ChunkHead {
    /// The largest number of bytes that a head has: 16 digits and CRLF.
    pub const MAX_LEN: usize = MAX_DIGITS + 2;

    /// The head of a chunk of `size` bytes. `None` for 0: an empty chunk is the last one, and would
    /// end the body.
    #[must_use]
    pub const fn new(size: u64) -> Option<Self> {
        match NonZeroU64::new(size) {
            Some(size) => Some(Self(size)),
            None => None,
        }
    }

    /// The number of bytes of content in the chunk.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.0.get()
    }

    /// The number of bytes of the head: 3 to 18.
    #[must_use]
    pub const fn encoded_len(self) -> usize {
        hex_len(self.0.get()).saturating_add(2)
    }

    /// Writes the head to the start of `out` and returns its length.
    ///
    /// # Errors
    /// [`EncodeErrorKind::BufferTooSmall`]. Then nothing is written.
    pub fn encode(self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let len = self.encoded_len();
        let out = out.get_mut(..len).ok_or(EncodeError::new(EncodeErrorKind::BufferTooSmall, len))?;
        let (digits, crlf) = out.split_at_mut(hex_len(self.0.get()));
        write_hex(digits, self.0.get());
        crlf.copy_from_slice(b"\r\n");
        Ok(len)
    }

    /// Appends the head.
    pub fn encode_to(self, out: &mut Vec<u8>) {
        let (head, len) = self.to_array();
        out.extend_from_slice(&head[..len]);
    }

    fn to_array(self) -> ([u8; Self::MAX_LEN], usize) {
        let mut head = [0; Self::MAX_LEN];
        let len = self.encode(&mut head).expect("MAX_LEN holds every head");
        (head, len)
    }
}

/// The hexadecimal digits of `u64::MAX`.
const MAX_DIGITS: usize = 16;

/// The number of hexadecimal digits of a value; 0 has one.
pub(crate) const fn hex_len(value: u64) -> usize {
    u64::BITS.saturating_sub((value | 1).leading_zeros()).div_ceil(4) as usize
}

/// Fills `digits` with the last hexadecimal digits of a value.
pub(crate) fn write_hex(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 0xf) as usize];
        value >>= 4;
    }
}

/// A chunk for a vectored write.
#[cfg(feature = "bytes")]
mod buf {
    use super::ChunkHead;
    use bytes::{Buf, BytesMut};

    /// A chunk head as a [`Buf`]: the first part of [`ChunkHead::around`].
    #[derive(Clone, Debug)]
    pub struct HeadBuf {
        bytes: [u8; ChunkHead::MAX_LEN],
        start: u8,
        end: u8,
    }

    /// A whole chunk: head, content and CRLF.
    pub type Chunk<B> = bytes::buf::Chain<bytes::buf::Chain<HeadBuf, B>, &'static [u8]>;

    impl ChunkHead {
        /// Appends the head.
        pub fn encode_bytes(self, out: &mut BytesMut) {
            let (head, len) = self.to_array();
            out.extend_from_slice(&head[..len]);
        }

        /// Puts a chunk's framing around the content, without a copy: a vectored write sends all
        /// three parts at once. `None` for empty content: an empty chunk would end the body.
        ///
        /// ```
        /// use bytes::Buf;
        /// use tidewire_chunked::ChunkHead;
        ///
        /// let mut chunk = ChunkHead::around(&b"hello"[..]).expect("the data is not empty");
        /// assert_eq!(chunk.copy_to_bytes(chunk.remaining()), "5\r\nhello\r\n");
        /// ```
        #[must_use]
        pub fn around<B: Buf>(content: B) -> Option<Chunk<B>> {
            let (bytes, len) = Self::new(content.remaining() as u64)?.to_array();
            let head = HeadBuf { bytes, start: 0, end: u8::try_from(len).expect("18 at most") };
            Some(head.chain(content).chain(b"\r\n"))
        }
    }

    impl Buf for HeadBuf {
        fn remaining(&self) -> usize {
            self.chunk().len()
        }

        fn chunk(&self) -> &[u8] {
            &self.bytes[usize::from(self.start)..usize::from(self.end)]
        }

        fn advance(&mut self, count: usize) {
            assert!(count <= self.remaining(), "cannot advance past the end");
            self.start = self.start.saturating_add(u8::try_from(count).expect("no more than remains"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_head_of_every_length_is_encoded() {
        for shift in 0..64 {
            for size in [1_u64 << shift, u64::MAX >> shift] {
                let head = ChunkHead::new(size).unwrap();
                let mut out = Vec::new();
                head.encode_to(&mut out);
                assert_eq!(out, format!("{size:x}\r\n").into_bytes());
                assert_eq!((head.encoded_len(), head.size()), (out.len(), size));
            }
        }
        assert_eq!(ChunkHead::new(0), None);
        assert_eq!(hex_len(0), 1);
    }

    #[test]
    fn a_small_buffer_is_left_unchanged() {
        let mut out = [7; 4];
        let error = ChunkHead::new(0x100).unwrap().encode(&mut out).unwrap_err();
        assert_eq!((error.kind(), error.offset(), out), (EncodeErrorKind::BufferTooSmall, 5, [7; 4]));
    }

    #[cfg(feature = "bytes")]
    #[test]
    fn a_chunk_can_be_written_in_pieces_of_any_size() {
        use bytes::Buf;
        for step in 1..12 {
            let mut chunk = ChunkHead::around(&b"sixteen bytes..!"[..]).unwrap();
            let mut out = Vec::new();
            while chunk.has_remaining() {
                let n = step.min(chunk.chunk().len());
                out.extend_from_slice(&chunk.chunk()[..n]);
                chunk.advance(n);
            }
            assert_eq!(out, b"10\r\nsixteen bytes..!\r\n");
        }
        assert!(ChunkHead::around(&b""[..]).is_none());
        let mut out = bytes::BytesMut::new();
        ChunkHead::new(16).unwrap().encode_bytes(&mut out);
        assert_eq!(out, "10\r\n");
    }
}
