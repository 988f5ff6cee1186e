//! A line that may lie in several pieces, with other bytes between them.

use super::note::{Kind, Notes};

/// The line under way.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Its first bytes, as many as are worth looking at.
    pub(super) seen: Vec<u8>,
    /// Its length so far, in all pieces, with its end.
    pub(super) len: u64,
    /// Where the present piece starts, and how long it is.
    start: u64,
    piece: u64,
    /// Earlier pieces have their notes already.
    pub(super) continued: bool,
}

impl Line {
    /// More of it, from `at` on; keeps at most `keep` bytes.
    pub(super) fn push(&mut self, at: u64, bytes: &[u8], keep: usize) {
        if self.piece == 0 {
            self.start = at;
        }
        let room = keep.saturating_sub(self.seen.len());
        self.seen.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.piece += bytes.len() as u64;
        self.len += bytes.len() as u64;
    }

    /// Whether nothing of it is without a note.
    pub(super) const fn is_told(&self) -> bool {
        self.piece == 0
    }

    /// Where the present piece starts and ends.
    pub(super) const fn span(&self) -> (u64, u64) {
        (self.start, self.start + self.piece)
    }

    /// The piece ends here and the line does not.
    pub(super) fn interrupt(&mut self, depth: u8, section: &'static str, what: &str, notes: &mut Notes) {
        if self.piece == 0 {
            return;
        }
        let label = format!("{} of {what}", if self.continued { "more" } else { "the beginning" });
        notes.add(
            self.span(),
            depth,
            Kind::Part,
            section,
            label,
            "the chunk ends and the line does not: it goes on in the next one",
        );
        self.continued = true;
        self.piece = 0;
    }

    /// Another line begins.
    pub(super) fn clear(&mut self) {
        self.seen.clear();
        (self.len, self.piece, self.continued) = (0, 0, false);
    }
}
