//! Finds the end of a line. The decoder and the encoder spend most of their time here.

/// The index of the first CR or LF, or the length if there is none.
///
/// The fold compares every byte of a block and branches once a block. The compiler turns it into
/// vector instructions on every target, without `unsafe` and without a dependency.
pub(crate) fn line_end(bytes: &[u8]) -> usize {
    // An index in `bytes`, so it cannot wrap.
    let mut at = 0_usize;
    let mut blocks = bytes.chunks_exact(BLOCK);
    for block in blocks.by_ref() {
        if block.iter().fold(false, |found, &byte| found | is_line_end(byte)) {
            return at.wrapping_add(naive(block));
        }
        at = at.wrapping_add(BLOCK);
    }
    let mut words = blocks.remainder().chunks_exact(8);
    for word in words.by_ref().filter_map(|word| word.try_into().ok()) {
        let found = has_line_end(u64::from_le_bytes(word));
        if found != 0 {
            return at.wrapping_add(found.trailing_zeros() as usize / 8);
        }
        at = at.wrapping_add(8);
    }
    at.wrapping_add(naive(words.remainder()))
}

/// A word whose lowest set bit is the top bit of the first CR or LF. 0 if there is none.
///
/// XOR makes each CR (or LF) a zero byte. Subtracting 1 from a zero byte sets its top bit: the
/// usual test for zero bytes. The borrow can change higher bytes, but none below the first zero
/// byte.
const fn has_line_end(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    const TOPS: u64 = ONES << 7;
    const CRS: u64 = ONES * b'\r' as u64;
    const LFS: u64 = ONES * b'\n' as u64;
    let (cr, lf) = (word ^ CRS, word ^ LFS);
    ((cr.wrapping_sub(ONES) & !cr) | (lf.wrapping_sub(ONES) & !lf)) & TOPS
}

pub(crate) const fn is_line_end(byte: u8) -> bool {
    byte == b'\r' || byte == b'\n'
}

/// [`line_end`] byte by byte, and its oracle in the tests.
fn naive(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| is_line_end(byte)).unwrap_or(bytes.len())
}

/// Two vectors of 16 bytes. Larger blocks would slow short lines.
const BLOCK: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    /// Mostly bytes that differ from CR or LF in one bit or by one, and a few CR and LF.
    fn near() -> impl Strategy<Value = u8> {
        prop_oneof![
            1 => prop::sample::select(b"\r\n".to_vec()),
            40 => prop::sample::select(b"\x09\x0b\x0c\x0e\x8a\x8d\x8b\x0f\x08\0\x01\xffx".to_vec()),
        ]
    }

    #[test]
    fn a_line_end_is_found_at_every_place() {
        for len in 0..100 {
            let mut bytes = vec![b'x'; len];
            assert_eq!(line_end(&bytes), len);
            for at in 0..len {
                for end in *b"\r\n" {
                    bytes[at] = end;
                    assert_eq!(line_end(&bytes), at);
                    bytes[at] = b'x';
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_naive_search_agrees(bytes in prop::collection::vec(near(), 0..200)) {
            prop_assert_eq!(line_end(&bytes), naive(&bytes));
        }
    }
}
