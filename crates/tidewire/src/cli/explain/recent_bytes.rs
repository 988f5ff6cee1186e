//! The last bytes of a direction, for the notes that describe them.

use std::collections::VecDeque;

/// The bytes of one direction that may still be shown.
#[derive(Debug, Default)]
pub(super) struct RecentBytes {
    /// Pieces with their offsets, in order.
    pieces: VecDeque<(u64, Vec<u8>)>,
    /// The number of bytes in all pieces.
    held: usize,
    /// The number of bytes that were pushed in total.
    end: u64,
}

impl RecentBytes {
    /// Takes more bytes. Beyond [`MAX_HELD`] they are only counted: they belong to one huge field,
    /// and only its start is shown.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.held < MAX_HELD {
            self.pieces.push_back((self.end, bytes.to_vec()));
            self.held += bytes.len();
        }
        self.end += bytes.len() as u64;
    }

    /// The number of bytes that were pushed in total.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// Returns at most `max` bytes from `offset` on; fewer if some of them are not held.
    pub(super) fn get(&self, mut offset: u64, max: usize) -> Vec<u8> {
        let mut out = Vec::new();
        // There may be thousands of pieces of one byte each.
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

    /// Drops bytes before `offset`: they were shown. Keeps [`KEPT_BEFORE`] of them, because a
    /// refusal may point back.
    pub(super) fn discard_before(&mut self, offset: u64) {
        while let Some((start, piece)) = self.pieces.front()
            && start + (piece.len() as u64) + KEPT_BEFORE <= offset
        {
            self.held -= piece.len();
            self.pieces.pop_front();
        }
    }
}

/// The most bytes that are held for notes that are not complete yet.
const MAX_HELD: usize = 1 << 20;
/// Bytes that are kept after they were shown.
const KEPT_BEFORE: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_bytes_are_found_and_old_ones_are_dropped() {
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
