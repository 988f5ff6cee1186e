//! A line that may lie in several pieces, with other bytes between them.

use crate::note::{NoteKind, Notes};
use crate::text::{brief, keep_start};

/// The line under way. A piece of it ends where a chunk ends; each piece has a note of its own.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// The first bytes of the line, as many as are worth looking at.
    pub(crate) kept: Vec<u8>,
    /// The length of the line so far, in all pieces, with its end.
    pub(crate) len: u64,
    /// Where the present piece starts, and its length so far.
    piece_start: u64,
    piece_len: u64,
    /// There are earlier pieces, which have their notes already.
    pub(crate) continued: bool,
}

impl Line {
    /// More of the line, from `at` on. At most `max` bytes of a line are kept.
    pub(crate) fn push(&mut self, at: u64, bytes: &[u8], max: usize) {
        if self.piece_len == 0 {
            self.piece_start = at;
        }
        keep_start(&mut self.kept, bytes, max);
        self.piece_len += bytes.len() as u64;
        self.len += bytes.len() as u64;
    }

    /// Whether the present piece has no bytes, so that there is nothing to make a note of.
    pub(crate) const fn piece_is_empty(&self) -> bool {
        self.piece_len == 0
    }

    /// Where the present piece starts and ends.
    pub(crate) const fn piece(&self) -> (u64, u64) {
        (self.piece_start, self.piece_start + self.piece_len)
    }

    /// A chunk ends here and the line does not.
    pub(crate) fn interrupt(&mut self, depth: u8, section: &'static str, notes: &mut Notes) {
        if self.piece_is_empty() {
            return;
        }
        let label = if self.continued { "more of a line" } else { "the beginning of a line" };
        let meaning = "the chunk ends and the line does not: it goes on in the next one";
        notes.add(self.piece(), depth, NoteKind::Part, section, label, meaning);
        self.continued = true;
        self.piece_len = 0;
    }

    /// The line stays without its end, for the reason that `meaning` gives.
    pub(crate) fn break_off(&mut self, depth: u8, section: &'static str, meaning: &str, notes: &mut Notes) {
        if !self.piece_is_empty() {
            notes.add(self.piece(), depth, NoteKind::Part, section, brief(&self.kept, MAX_LABEL), meaning);
        }
        self.clear();
    }

    /// Another line begins.
    pub(crate) fn clear(&mut self) {
        self.kept.clear();
        (self.len, self.piece_len, self.continued) = (0, 0, false);
    }
}

/// Characters of a line that its label has.
pub(crate) const MAX_LABEL: usize = 70;
