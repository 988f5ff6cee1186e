//! A line that may come in several pieces, with other bytes between them.

use crate::note::{NoteKind, Notes};
use crate::text::{brief, keep_start};

/// The current line. A piece of it ends where a chunk ends. Each piece has its own note.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// The first bytes of the line.
    pub(crate) kept: Vec<u8>,
    /// The length of the line so far, in all pieces, with the line end.
    pub(crate) len: u64,
    /// Where the current piece starts, and its length so far.
    piece_start: u64,
    piece_len: u64,
    /// Whether earlier pieces of this line already have notes.
    pub(crate) continued: bool,
}

impl Line {
    /// Takes more of the line, from `at` on. Keeps at most `max` bytes of a line.
    pub(crate) fn push(&mut self, at: u64, bytes: &[u8], max: usize) {
        if self.piece_len == 0 {
            self.piece_start = at;
        }
        keep_start(&mut self.kept, bytes, max);
        self.piece_len += bytes.len() as u64;
        self.len += bytes.len() as u64;
    }

    /// Returns whether the current piece has no bytes, and so needs no note.
    pub(crate) const fn piece_is_empty(&self) -> bool {
        self.piece_len == 0
    }

    /// Returns where the current piece starts and ends.
    pub(crate) const fn piece(&self) -> (u64, u64) {
        (self.piece_start, self.piece_start + self.piece_len)
    }

    /// A chunk ends within the line.
    pub(crate) fn interrupt(&mut self, depth: u8, section: &'static str, notes: &mut Notes) {
        if self.piece_is_empty() {
            return;
        }
        let label = if self.continued { "more of a line" } else { "the beginning of a line" };
        let meaning = "the chunk ends within the line, which continues in the next chunk";
        notes.add(self.piece(), depth, NoteKind::Part, section, label, meaning);
        self.continued = true;
        self.piece_len = 0;
    }

    /// The line has no end. `meaning` says why.
    pub(crate) fn break_off(&mut self, depth: u8, section: &'static str, meaning: &str, notes: &mut Notes) {
        if !self.piece_is_empty() {
            notes.add(self.piece(), depth, NoteKind::Part, section, brief(&self.kept, MAX_LABEL), meaning);
        }
        self.clear();
    }

    /// Starts another line.
    pub(crate) fn clear(&mut self) {
        self.kept.clear();
        (self.len, self.piece_len, self.continued) = (0, 0, false);
    }
}

/// The number of characters of a line in its label.
pub(crate) const MAX_LABEL: usize = 70;
