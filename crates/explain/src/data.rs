//! Content without a structure that we know.

use super::note::{Kind, Notes, SHOWN, bytes, show};

/// A run of content: one note for each [`BLOCK`] of it, so that a body of any size costs a few bytes here.
#[derive(Debug)]
pub(super) struct Data {
    kind: Kind,
    depth: u8,
    section: &'static str,
    what: &'static str,
    start: u64,
    len: u64,
    seen: Vec<u8>,
}

impl Data {
    /// `what` it is: `content`.
    pub(super) const fn new(kind: Kind, depth: u8, section: &'static str, what: &'static str) -> Self {
        Self { kind, depth, section, what, start: 0, len: 0, seen: Vec::new() }
    }

    /// More of it, from the offset `at` of the direction on.
    pub(super) fn push(&mut self, mut at: u64, mut more: &[u8], notes: &mut Notes) {
        while !more.is_empty() {
            if self.len == 0 {
                self.start = at;
            }
            let room = usize::try_from(BLOCK - self.len).unwrap_or(usize::MAX);
            let (now, later) = more.split_at(more.len().min(room));
            let unseen = SHOWN + 1 - self.seen.len().min(SHOWN + 1);
            self.seen.extend_from_slice(&now[..now.len().min(unseen)]);
            self.len += now.len() as u64;
            (at, more) = (at + now.len() as u64, later);
            if self.len == BLOCK {
                self.flush(notes);
            }
        }
    }

    /// It ends here, or is interrupted.
    pub(super) fn flush(&mut self, notes: &mut Notes) {
        if self.len > 0 {
            let span = (self.start, self.start + self.len);
            let label = format!("{} of {}", bytes(self.len), self.what);
            notes.add(span, self.depth, self.kind, self.section, label, show(&self.seen, self.len));
        }
        self.len = 0;
        self.seen.clear();
    }
}

/// How much content one note may stand for: few enough notes for a film, and a live stream without structure shows something.
pub(super) const BLOCK: u64 = 64 * 1024;
