//! The bytes that notes are about.

use std::collections::VecDeque;

/// What went in one direction, as far as it may still be shown.
#[derive(Debug, Default)]
pub(super) struct Tape {
    pieces: VecDeque<(u64, Vec<u8>)>,
    held: usize,
    end: u64,
}

impl Tape {
    /// More bytes. Where too many are held already, these are not: they belong to one huge field, of which only the start is shown.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.held < MOST {
            self.pieces.push_back((self.end, bytes.to_vec()));
            self.held += bytes.len();
        }
        self.end += bytes.len() as u64;
    }

    /// How many bytes there were in all.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// At most `max` bytes from `offset` on, as far as they are held without a hole.
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

    /// What lies before `offset` was shown; a little of it is kept, for a refusal that points back.
    pub(super) fn shown(&mut self, offset: u64) {
        while let Some((start, piece)) = self.pieces.front()
            && start + (piece.len() as u64) + BACK <= offset
        {
            self.held -= piece.len();
            self.pieces.pop_front();
        }
    }
}

/// Bytes that may be held for notes that have not come.
const MOST: usize = 1 << 20;
/// Bytes that are kept behind what was shown.
const BACK: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_again_and_given_up() {
        let mut tape = Tape::default();
        tape.push(b"hello ");
        tape.push(b"world");
        assert_eq!(tape.get(4, 4), b"o wo");
        assert_eq!(tape.get(9, 9), b"ld");
        assert_eq!(tape.get(11, 9), b"");
        tape.shown(BACK + 6);
        assert_eq!((tape.get(0, 9), tape.get(6, 9)), (vec![], b"world".to_vec()));
        tape.push(&vec![0; MOST]);
        tape.push(b"not held");
        assert_eq!((tape.end(), tape.get(MOST as u64 + 11, 9)), (MOST as u64 + 19, vec![]));
    }
}
