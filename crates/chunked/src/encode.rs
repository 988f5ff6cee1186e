//! Framing to bytes. The content passes beside: a caller writes a head, its own bytes, and CRLF, in one vectored write.

use crate::error::{EncodeError, EncodeErrorKind};
use crate::trailer::is_forbidden_trailer;
use alloc::vec::Vec;
use core::num::NonZeroU64;
use tidewire_grammar::class::is_field_vchar;
use tidewire_grammar::token_len;

/// The last chunk and an empty trailer section: the end of a body without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A chunk line without extensions. After it follow `len` bytes of content and CRLF.
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
    /// The most bytes a head has: 16 digits and CRLF.
    pub const MAX_LEN: usize = 18;

    /// For a chunk of `len` bytes. `None` for 0: an empty chunk is the last one, and would end the body.
    #[must_use]
    pub const fn new(len: u64) -> Option<Self> {
        match NonZeroU64::new(len) {
            Some(len) => Some(Self(len)),
            None => None,
        }
    }

    /// Bytes of content that the chunk has.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.0.get()
    }

    /// Bytes of the head: 3 to 18.
    #[must_use]
    pub const fn encoded_len(self) -> usize {
        self.digits() + 2
    }

    /// Writes the head to the start of `out` and returns its length.
    ///
    /// # Errors
    /// [`EncodeErrorKind::BufferTooSmall`]; nothing is written then.
    pub fn encode(self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let len = self.encoded_len();
        let out = out.get_mut(..len).ok_or(EncodeError::new(EncodeErrorKind::BufferTooSmall, len))?;
        let mut rest = self.0.get();
        let (digits, crlf) = out.split_at_mut(len - 2);
        for digit in digits.iter_mut().rev() {
            *digit = b"0123456789abcdef"[(rest & 0xf) as usize];
            rest >>= 4;
        }
        crlf.copy_from_slice(b"\r\n");
        Ok(len)
    }

    /// Appends the head.
    pub fn encode_to(self, out: &mut Vec<u8>) {
        let mut head = [0; Self::MAX_LEN];
        let len = self.encode(&mut head).expect("MAX_LEN holds every head");
        out.extend_from_slice(&head[..len]);
    }

    const fn digits(self) -> usize {
        (u64::BITS - self.0.leading_zeros()).div_ceil(4) as usize
    }
}

/// Appends the last chunk and a trailer section: the end of a body.
///
/// A `Trailer` header field should have announced the names (RFC 9110 §6.6.2), and the client should have said
/// `TE: trailers` if anything depends on them (§6.5.1).
///
/// # Errors
/// A name that is no token or may not stand in trailers, a value that holds a control byte or has whitespace at an end.
/// Nothing is appended then.
///
/// ```
/// let mut wire = Vec::new();
/// tidewire_chunked::encode_trailers([(&b"Digest"[..], &b"abc"[..])], &mut wire)?;
/// assert_eq!(wire, b"0\r\nDigest: abc\r\n\r\n");
/// # Ok::<(), tidewire_chunked::EncodeError>(())
/// ```
pub fn encode_trailers<'a>(
    fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let before = out.len();
    out.extend_from_slice(b"0\r\n");
    for (name, value) in fields {
        if let Err(error) = check_trailer(name, value) {
            out.truncate(before);
            return Err(error);
        }
        for part in [name, b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Whether a trailer field arrives as it is given.
fn check_trailer(name: &[u8], value: &[u8]) -> Result<(), EncodeError> {
    let token = token_len(name);
    if token < name.len() || name.is_empty() {
        return Err(EncodeError::new(EncodeErrorKind::Name, token));
    }
    if is_forbidden_trailer(name) {
        return Err(EncodeError::new(EncodeErrorKind::ForbiddenTrailer, 0));
    }
    let last = value.len().wrapping_sub(1);
    let bad = |(i, byte): (usize, &u8)| {
        !is_field_vchar(*byte) && (i == 0 || i == last || !matches!(byte, b' ' | b'\t'))
    };
    match value.iter().enumerate().position(bad) {
        Some(at) => Err(EncodeError::new(EncodeErrorKind::Value, at)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn every_width() {
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
    }

    #[test]
    fn a_small_buffer_is_left_alone() {
        let mut out = [7; 4];
        let error = ChunkHead::new(0x100).unwrap().encode(&mut out).unwrap_err();
        assert_eq!((error.kind(), error.offset(), out), (EncodeErrorKind::BufferTooSmall, 5, [7; 4]));
    }

    #[test]
    fn trailers_that_cannot_arrive_are_refused() {
        use EncodeErrorKind::{ForbiddenTrailer, Name, Value};
        let refused = |name: &str, value: &str, kind, offset| {
            let mut out = b"before".to_vec();
            let good = (&b"a"[..], &b"b"[..]);
            let error = encode_trailers([good, (name.as_bytes(), value.as_bytes())], &mut out).unwrap_err();
            assert_eq!(
                (error.kind(), error.offset(), &out[..]),
                (kind, offset, &b"before"[..]),
                "{name}: {value}"
            );
        };
        refused("", "x", Name, 0);
        refused("a b", "x", Name, 1);
        refused("a:", "x", Name, 1);
        refused("a\r\nb", "x", Name, 1);
        refused("a", "x\r\nb: c", Value, 1);
        refused("a", "x\ny", Value, 1);
        refused("a", "x\0", Value, 1);
        refused("a", " x", Value, 0);
        refused("a", "xy\t", Value, 2);
        refused("Content-Length", "5", ForbiddenTrailer, 0);
        let mut out = Vec::new();
        encode_trailers([(&b"a"[..], &b""[..]), (b"b", b"x \ty\x80")], &mut out).unwrap();
        assert_eq!(out, b"0\r\na: \r\nb: x \ty\x80\r\n\r\n");
    }
}
