//! A stream of JSON objects, one per line: what Tidewire sends as `application/x-ndjson`.

use crate::api_object;
use crate::line::{Line, MAX_LABEL};
use crate::note::{NoteKind, Notes};
use crate::text::brief;

/// Notes of a stream of JSON lines.
#[derive(Debug)]
pub(crate) struct JsonLines {
    depth: u8,
    line: Line,
}

impl JsonLines {
    pub(crate) fn new(depth: u8) -> Self {
        Self { depth, line: Line::default() }
    }

    /// Takes more of the stream, from the offset `at` of the direction on.
    pub(crate) fn push(&mut self, mut at: u64, mut data: &[u8], notes: &mut Notes) {
        while !data.is_empty() {
            let end = data.iter().position(|&byte| byte == b'\n').map_or(data.len(), |end| end + 1);
            let (now, later) = data.split_at(end);
            self.line.push(at, now, MAX_KEPT);
            if now.ends_with(b"\n") {
                self.line_is_complete(notes);
            }
            (at, data) = (at + end as u64, later);
        }
    }

    /// A chunk ends here.
    pub(crate) fn interrupt(&mut self, notes: &mut Notes) {
        self.line.interrupt(self.depth, SECTION, notes);
    }

    /// The stream ends here. The last line may lack its LF; it is decoded all the same.
    pub(crate) fn end(&mut self, notes: &mut Notes) {
        if !self.line.piece_is_empty() {
            self.line_is_complete(notes);
        }
    }

    /// The next byte is refused.
    pub(crate) fn refused(&mut self, notes: &mut Notes) {
        self.line.break_off(self.depth, SECTION, "as far as it came", notes);
    }

    fn line_is_complete(&mut self, notes: &mut Notes) {
        let line = self.line.kept.trim_ascii_end();
        let (kind, label, meaning) = if line.is_empty() && self.line.len <= 2 {
            (NoteKind::Heartbeat, "blank line".into(), "a heartbeat: the connection is alive".into())
        } else {
            let is_whole = self.line.len <= self.line.kept.len() as u64;
            (NoteKind::JsonLine, brief(line, MAX_LABEL), api_object::meaning(line, is_whole))
        };
        notes.add(self.line.piece(), self.depth, kind, SECTION, label, meaning);
        self.line.clear();
    }
}

/// The number of bytes kept of a line: enough for a message of 64 KiB in a JSON object.
const MAX_KEPT: usize = 128 * 1024;
const SECTION: &str = "HTTP API, HTTP stream";
