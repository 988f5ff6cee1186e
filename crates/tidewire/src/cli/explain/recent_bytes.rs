//! The last bytes of a direction, for the notes that are about them.

use std::collections::VecDeque;

/// The bytes of one direction that may still be shown.
#[derive(Debug, Default)]
pub(super) struct RecentBytes {
    /// Pieces and their offsets, in their order.
    pieces: VecDeque<(u64, Vec<u8>)>,
    /// Bytes in all pieces.
    held: usize,
    /// The number of bytes that there were in all.
    end: u64,
}

impl RecentBytes {
    /// Takes more bytes. If very many are held already, these are not: they belong to one huge
    /// field, of which only the start is shown.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.held < MAX_HELD {
            self.pieces.push_back((self.end, bytes.to_vec()));
            self.held += bytes.len();
        }
        self.end += bytes.len() as u64;
    }

    /// The number of bytes that there were in all.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// Returns at most `max` bytes from `offset` on, as far as they are held without a hole.
    pub(super) fn get(&self, mut offset: u64, max: usize) -> Vec<u8> {
        let mut out = Vec::new();
        // What is kept may be thousands of pieces of a byte each.
        let first = self.pieces.partition_point(|(start, piece)| start + piece.len() as u64 <= offset);
        for (start, piece) in self.pieces.range(first..) {
            let Some(skip) = offset.checked_sub(*start) else { break };
            let Some(rest) = usize::try_from(skip).ok().and_then(|skip| piece.get(skip..)) else { break };
            let take = rest.len().min(max - out.len());
            out.extend_from_slice(&rest[..take]);
            offset += take as u64;
            if out.len() == max {
                break;
            }
        }
        out
    }

    /// What lies before `offset` was shown. A little of it is kept, for a refusal that points back.
    pub(super) fn discard_before(&mut self, offset: u64) {
        while let Some((start, piece)) = self.pieces.front()
            && start + (piece.len() as u64) + KEPT_BEFORE <= offset
        {
            self.held -= piece.len();
            self.pieces.pop_front();
        }
    }
}

/// Bytes that may be held for notes that have not come.
const MAX_HELD: usize = 1 << 20;
/// Bytes that are kept behind what was shown.
const KEPT_BEFORE: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_again_and_given_up() {
        let mut recent = RecentBytes::default();
        recent.push(b"hello ");
        recent.push(b"world");
        assert_eq!(recent.get(4, 4), b"o wo");
        assert_eq!(recent.get(9, 9), b"ld");
        assert_eq!(recent.get(11, 9), b"");
        recent.discard_before(KEPT_BEFORE + 6);
        assert_eq!((recent.get(0, 9), recent.get(6, 9)), (vec![], b"world".to_vec()));
        recent.push(&vec![0; MAX_HELD]);
        recent.push(b"not held");
        assert_eq!((recent.end(), recent.get(MAX_HELD as u64 + 11, 9)), (MAX_HELD as u64 + 19, vec![]));
    }
}
