//! Bytes without a known structure.

use crate::note::{NoteKind, Notes};
use crate::text::{MAX_QUOTED, byte_count, keep_start, quote};

/// A run of bytes. It has one note for each [`BLOCK`] of bytes, so a body of any size takes little
/// memory here.
#[derive(Debug)]
pub(crate) struct Unstructured {
    kind: NoteKind,
    depth: u8,
    section: &'static str,
    what: &'static str,
    /// The current block: where it starts, its length so far, and its first bytes.
    start: u64,
    len: u64,
    first: Vec<u8>,
}

impl Unstructured {
    /// `what` the bytes are: `content`.
    pub(crate) const fn new(kind: NoteKind, depth: u8, section: &'static str, what: &'static str) -> Self {
        Self { kind, depth, section, what, start: 0, len: 0, first: Vec::new() }
    }

    /// Takes more bytes, from the offset `at` of the direction on.
    pub(crate) fn push(&mut self, mut at: u64, mut data: &[u8], notes: &mut Notes) {
        while !data.is_empty() {
            if self.len == 0 {
                self.start = at;
            }
            let room = usize::try_from(BLOCK - self.len).unwrap_or(usize::MAX);
            let (now, later) = data.split_at(data.len().min(room));
            // One byte more than the quoted ones shows that there are more.
            keep_start(&mut self.first, now, MAX_QUOTED + 1);
            self.len += now.len() as u64;
            (at, data) = (at + now.len() as u64, later);
            if self.len == BLOCK {
                self.flush(notes);
            }
        }
    }

    /// The run ends here, or is interrupted.
    pub(crate) fn flush(&mut self, notes: &mut Notes) {
        if self.len > 0 {
            let span = (self.start, self.start + self.len);
            let label = format!("{} of {}", byte_count(self.len), self.what);
            notes.add(span, self.depth, self.kind, self.section, label, quote(&self.first, self.len));
        }
        self.len = 0;
        self.first.clear();
    }
}

/// The number of bytes per note. Large enough that a video has few notes, and small enough that a
/// live stream without structure shows notes soon.
const BLOCK: u64 = 64 * 1024;
