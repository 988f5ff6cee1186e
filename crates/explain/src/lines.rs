//! A stream of JSON objects, one a line: what Tidewire sends as `application/x-ndjson`.

use super::json;
use super::line::Line;
use super::note::{Kind, Notes, brief};

/// Follows the lines.
#[derive(Debug)]
pub(super) struct Lines {
    depth: u8,
    line: Line,
}

impl Lines {
    pub(super) fn new(depth: u8) -> Self {
        Self { depth, line: Line::default() }
    }

    pub(super) fn push(&mut self, mut at: u64, mut data: &[u8], notes: &mut Notes) {
        while !data.is_empty() {
            let end = data.iter().position(|&byte| byte == b'\n').map_or(data.len(), |end| end + 1);
            let (now, later) = data.split_at(end);
            self.line.push(at, now, KEPT);
            if now.ends_with(b"\n") {
                self.tell(notes);
            }
            (at, data) = (at + end as u64, later);
        }
    }

    pub(super) fn boundary(&mut self, notes: &mut Notes) {
        self.line.interrupt(self.depth, SECTION, "a line", notes);
    }

    /// The next byte is refused.
    pub(super) fn cut(&mut self, notes: &mut Notes) {
        if !self.line.is_told() {
            let label = brief(&self.line.seen, 70);
            notes.add(self.line.span(), self.depth, Kind::Part, SECTION, label, "as far as it came");
        }
        self.line.clear();
    }

    /// A last line may lack its LF; it counts if it is a whole object.
    pub(super) fn end(&mut self, notes: &mut Notes) {
        if !self.line.is_told() {
            self.tell(notes);
        }
    }

    fn tell(&mut self, notes: &mut Notes) {
        let line = self.line.seen.trim_ascii_end();
        let (kind, label, meaning) = if line.is_empty() && self.line.len <= 2 {
            (Kind::Heartbeat, "blank line".into(), "a heartbeat: the connection is alive".into())
        } else {
            let whole = self.line.len <= self.line.seen.len() as u64;
            (Kind::JsonLine, brief(line, 70), json::describe(line, whole))
        };
        notes.add(self.line.span(), self.depth, kind, SECTION, label, meaning);
        self.line.clear();
    }
}

/// Bytes of a line that are kept: a message of 64 KiB and what is around it.
const KEPT: usize = 128 * 1024;
const SECTION: &str = "HTTP API, HTTP stream";
