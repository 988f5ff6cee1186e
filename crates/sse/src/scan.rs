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
    bytes.len() - rest.len() + naive(rest)
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
    use alloc::vec::Vec;
    use proptest::prelude::*;

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
        fn as_the_naive_twin(bytes: Vec<u8>) {
            prop_assert_eq!(line_end(&bytes), naive(&bytes));
        }
    }
}
