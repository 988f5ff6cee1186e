//! An event stream, line by line.

use tidewire_sse::{Decoder, Event, Limits};

use crate::line::{Line, MAX_LABEL};
use crate::note::{NoteKind, Notes};
use crate::refusal::Refusal;
use crate::text::{brief, byte_count, quote};

/// Notes of an event stream. This type finds the lines. The decoder says what they mean.
#[derive(Debug)]
pub(crate) struct EventStream {
    decoder: Decoder,
    /// The number of bytes that the decoder has taken.
    decoded: u64,
    depth: u8,
    line: Line,
    is_first_line: bool,
    /// Whether the line has ended with a CR. If an LF comes next, it belongs to the line.
    after_cr: bool,
    /// Whether such a line already has its note, because its chunk ended with the CR.
    noted_at_cr: bool,
    /// What the decoder returned at the end of this line.
    result: Option<LineResult>,
}

/// The text of an [`Event`].
#[derive(Debug)]
enum LineResult {
    Message(String),
    Id(String),
    Retry(u64),
}

impl EventStream {
    pub(crate) fn new(limits: Limits, depth: u8) -> Self {
        Self {
            decoder: Decoder::new(limits),
            decoded: 0,
            depth,
            line: Line::default(),
            is_first_line: true,
            after_cr: false,
            noted_at_cr: false,
            result: None,
        }
    }

    /// Takes more of the stream, from the offset `at` of the direction on.
    pub(crate) fn push(&mut self, mut at: u64, mut data: &[u8], notes: &mut Notes) -> Result<(), Refusal> {
        while let Some(&byte) = data.first() {
            if self.after_cr {
                if byte == b'\n' {
                    self.decode(at, &data[..1], notes)?;
                    (at, data) = (at + 1, &data[1..]);
                }
                self.line_is_complete(notes);
                continue;
            }
            let end =
                data.iter().position(|byte| matches!(byte, b'\r' | b'\n')).map_or(data.len(), |end| end + 1);
            let (now, later) = data.split_at(end);
            self.decode(at, now, notes)?;
            (at, data) = (at + end as u64, later);
            match now.last() {
                Some(b'\r') => self.after_cr = true,
                Some(b'\n') => self.line_is_complete(notes),
                _ => {}
            }
        }
        Ok(())
    }

    /// A chunk ends here. A line that ended with a CR gets its note now.
    pub(crate) fn interrupt(&mut self, notes: &mut Notes) {
        if !self.after_cr {
            return self.line.interrupt(self.depth, PARSING, notes);
        }
        let result = self.result.take();
        if !self.noted_at_cr {
            self.note_line(result, notes);
        }
        self.noted_at_cr = true;
        self.line.clear();
        self.is_first_line = false;
    }

    /// The stream ends here.
    pub(crate) fn end(&mut self, notes: &mut Notes) {
        if self.after_cr {
            self.line_is_complete(notes);
        }
        let meaning = "the stream ends within a line: the line and its event are discarded";
        self.line.break_off(self.depth, PARSING, meaning, notes);
    }

    /// The next byte is refused.
    pub(crate) fn refused(&mut self, notes: &mut Notes) {
        self.line.break_off(self.depth, PARSING, "as far as it was accepted", notes);
    }

    /// Passes bytes of one line to the decoder, and keeps the result.
    fn decode(&mut self, at: u64, bytes: &[u8], notes: &Notes) -> Result<(), Refusal> {
        let mut rest = bytes;
        let start = self.decoded;
        while !rest.is_empty() {
            let (n, received) = match self.decoder.decode(rest) {
                Ok(decoded) => decoded,
                Err(error) => {
                    let good = error.offset().saturating_sub(start);
                    let len = usize::try_from(good).unwrap_or(usize::MAX).min(bytes.len());
                    self.line.push(at, &bytes[..len], MAX_KEPT);
                    return Err(Refusal::sse(notes.direction(), at + good, error));
                }
            };
            self.result = received.map(LineResult::new).or(self.result.take());
            self.decoded += n as u64;
            rest = &rest[n..];
        }
        self.line.push(at, bytes, MAX_KEPT);
        Ok(())
    }

    fn line_is_complete(&mut self, notes: &mut Notes) {
        self.after_cr = false;
        let result = self.result.take();
        let noted_at_cr = std::mem::take(&mut self.noted_at_cr);
        match self.line.piece_is_empty() {
            true => {}
            false if noted_at_cr => {
                let meaning = "the other half of the CR LF that ended the line";
                notes.add(self.line.piece(), self.depth, NoteKind::Part, PARSING, "LF", meaning);
            }
            false => self.note_line(result, notes),
        }
        self.line.clear();
        self.is_first_line = false;
    }

    /// Adds the note of a line, or of its last piece.
    fn note_line(&self, result: Option<LineResult>, notes: &mut Notes) {
        let mut span = self.line.piece();
        let mut line = self.line.kept.as_slice();
        if self.is_first_line
            && let Some(rest) = line.strip_prefix(&BOM)
        {
            line = rest;
            if !self.line.continued {
                let mark = (span.0, span.0 + BOM.len() as u64);
                notes.add(mark, self.depth, NoteKind::ByteOrderMark, PARSING, "byte order mark", "ignored");
                span.0 = mark.1;
            }
        }
        let len = line.len() as u64 + self.line.len - self.line.kept.len() as u64;
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let (kind, meaning) = meaning(text, len, result);
        let rest = if self.line.continued { "the rest of: " } else { "" };
        let label =
            if text.is_empty() { "blank line".into() } else { format!("{rest}{}", brief(text, MAX_LABEL)) };
        notes.add(span, self.depth, kind, PARSING, label, meaning);
    }
}

impl LineResult {
    fn new(received: Event<'_>) -> Self {
        match received {
            Event::Message { event_type, data, last_event_id } => Self::Message(format!(
                "dispatches \"{}\" with {} of data{}",
                brief(event_type.as_bytes(), 30),
                byte_count(data.len() as u64),
                match last_event_id {
                    "" => String::new(),
                    id => format!("; lastEventId is {}", brief(id.as_bytes(), 60)),
                }
            )),
            Event::Id(id) => Self::Id(brief(id.as_bytes(), 60)),
            Event::Retry(ms) => Self::Retry(ms),
            _ => Self::Message("an event of an unknown kind".into()),
        }
    }
}

/// Returns the kind and the meaning of a line. `line` is its start, without the line end. `len` is
/// the length of the whole line, with the line end.
fn meaning(line: &[u8], len: u64, result: Option<LineResult>) -> (NoteKind, String) {
    if line.is_empty() {
        return match result {
            Some(LineResult::Message(text)) => (NoteKind::Dispatch, text),
            Some(LineResult::Id(id)) => (
                NoteKind::EventEnd,
                format!("no data, so no event; a client that reconnects sends Last-Event-ID: {id}"),
            ),
            _ => (NoteKind::EventEnd, "no data since the last blank line, so no event".into()),
        };
    }
    let colon = line.iter().position(|&byte| byte == b':');
    let (name, value) = match colon {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &[][..]),
    };
    let value = value.strip_prefix(b" ").unwrap_or(value);
    match name {
        b"" => (NoteKind::EventComment, "a comment: ignored, but it keeps the connection alive".into()),
        b"id" if value.contains(&0) => (NoteKind::EventId, "ignored: an id must not contain NUL".into()),
        b"id" => (NoteKind::EventId, "a client that reconnects sends it as Last-Event-ID".into()),
        b"event" => (NoteKind::EventName, "the type of the event: its listeners receive it".into()),
        b"data" => {
            let not_kept = len.saturating_sub(line.len() as u64 + 2);
            let quoted = quote(value, value.len() as u64 + not_kept);
            (NoteKind::EventData, format!("a line of data: {quoted}"))
        }
        b"retry" => match result {
            Some(LineResult::Retry(ms)) => {
                (NoteKind::EventRetry, format!("wait {ms} ms before reconnecting"))
            }
            _ => (NoteKind::EventRetry, "ignored: not a number".into()),
        },
        _ => (NoteKind::EventUnknown, "a field that the standard does not define: ignored".into()),
    }
}

/// The number of bytes kept of a line.
const MAX_KEPT: usize = 256;
const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];
/// "Interpreting an event stream".
const PARSING: &str = "HTML §9.2.6";
