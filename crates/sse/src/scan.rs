//! Finding the end of a line: where both directions spend their time.

/// The index of the first CR or LF, or the length.
///
/// Blocks without either are skipped by a fold that compares every byte and branches once a block: the compiler makes vector
/// instructions of it on every target, without `unsafe` and without a dependency.
pub(crate) fn line_end(bytes: &[u8]) -> usize {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    for (index, block) in blocks.iter().enumerate() {
        if block.iter().fold(false, |found, &byte| found | is_line_end(byte)) {
            return index * BLOCK + naive(block);
        }
    }
    let (words, rest) = rest.as_chunks::<8>();
    let start = bytes.len() - rest.len();
    for (index, word) in words.iter().enumerate() {
        let found = has_line_end(u64::from_le_bytes(*word));
        if found != 0 {
            return start - (words.len() - index) * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    start + naive(rest)
}

/// The lowest bit that is set is the top bit of the first byte that is CR or LF; 0 if there is none.
///
/// A byte less 1 borrows into its top bit if it is 0: the classic test for a zero byte, on the difference to each of the two.
/// A borrow can reach on into higher bytes, but never below the first hit.
const fn has_line_end(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    const TOPS: u64 = ONES << 7;
    let cr = word ^ (ONES * b'\r' as u64);
    let lf = word ^ (ONES * b'\n' as u64);
    ((cr.wrapping_sub(ONES) & !cr) | (lf.wrapping_sub(ONES) & !lf)) & TOPS
}

pub(crate) const fn is_line_end(byte: u8) -> bool {
    byte == b'\r' || byte == b'\n'
}

/// The twin: what [`line_end`] means.
fn naive(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| is_line_end(byte)).unwrap_or(bytes.len())
}

/// Two vectors of 16 bytes: short lines are not slowed by a long last part that is looked at byte by byte.
const BLOCK: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    /// The two line ends are rare among bytes that differ from them in one bit or by one.
    fn near() -> impl Strategy<Value = u8> {
        prop_oneof![
            1 => prop::sample::select(b"\r\n".to_vec()),
            40 => prop::sample::select(b"\x09\x0b\x0c\x0e\x8a\x8d\x8b\x0f\x08\0\x01\xffx".to_vec()),
        ]
    }

    #[test]
    fn every_place_in_a_few_blocks() {
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
        fn as_the_naive_twin(bytes in prop::collection::vec(near(), 0..200)) {
            prop_assert_eq!(line_end(&bytes), naive(&bytes));
        }
    }
}
