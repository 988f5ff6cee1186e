//! An event stream, line by line.

use tidewire_sse::{Decoder, Limits, Received};

use super::line::Line;
use super::note::{Direction, Kind, Notes, Refusal, brief, bytes, show};
use super::sections;

/// Follows an event stream: the lines are cut here, what they mean is said by the decoder.
#[derive(Debug)]
pub(super) struct EventStream {
    decoder: Decoder,
    depth: u8,
    line: Line,
    /// The line has ended with a CR; whether an LF belongs to it is not known.
    after_cr: bool,
    /// Such a line has its note already: its chunk ended with the CR.
    told: bool,
    /// Bytes that the decoder has taken.
    taken: u64,
    /// The line is the first one.
    first: bool,
    /// What the decoder said at the end of this line.
    said: Option<Said>,
}

/// [`Received`], in words.
#[derive(Debug)]
enum Said {
    Message(String),
    Id(String),
    Retry(u64),
}

impl EventStream {
    pub(super) fn new(limits: Limits, depth: u8) -> Self {
        Self {
            decoder: Decoder::new(limits),
            depth,
            line: Line::default(),
            after_cr: false,
            told: false,
            taken: 0,
            first: true,
            said: None,
        }
    }

    pub(super) fn push(&mut self, mut at: u64, mut data: &[u8], notes: &mut Notes) -> Result<(), Refusal> {
        while let Some(&byte) = data.first() {
            if self.after_cr {
                if byte == b'\n' {
                    self.take(at, &data[..1], notes.direction())?;
                    (at, data) = (at + 1, &data[1..]);
                }
                self.tell(notes);
                continue;
            }
            let end =
                data.iter().position(|byte| matches!(byte, b'\r' | b'\n')).map_or(data.len(), |end| end + 1);
            let (now, later) = data.split_at(end);
            self.take(at, now, notes.direction())?;
            (at, data) = (at + end as u64, later);
            match now.last() {
                Some(b'\r') => self.after_cr = true,
                Some(b'\n') => self.tell(notes),
                _ => {}
            }
        }
        Ok(())
    }

    /// Hands bytes of one line to the decoder, and keeps what it says of them.
    fn take(&mut self, at: u64, bytes: &[u8], direction: Direction) -> Result<(), Refusal> {
        let mut rest = bytes;
        let start = self.taken;
        while !rest.is_empty() {
            let (n, received) = match self.decoder.decode(rest) {
                Ok(decoded) => decoded,
                Err(error) => {
                    let good = error.offset().saturating_sub(start);
                    let len = usize::try_from(good).unwrap_or(usize::MAX).min(bytes.len());
                    self.line.push(at, &bytes[..len], KEPT);
                    return Err(sections::sse(direction, at + good, error));
                }
            };
            self.said = received.map(Said::new).or(self.said.take());
            self.taken += n as u64;
            rest = &rest[n..];
        }
        self.line.push(at, bytes, KEPT);
        Ok(())
    }

    /// The line is complete.
    fn tell(&mut self, notes: &mut Notes) {
        self.after_cr = false;
        let said = self.said.take();
        let told = std::mem::take(&mut self.told);
        match self.line.is_told() {
            true => {}
            false if told => {
                let meaning = "the other half of the CR LF that ended the line";
                notes.add(self.line.span(), self.depth, Kind::Part, PARSING, "LF", meaning);
            }
            false => self.note(said, notes),
        }
        self.line.clear();
        self.first = false;
    }

    fn note(&mut self, said: Option<Said>, notes: &mut Notes) {
        let mut span = self.line.span();
        let mut line = self.line.seen.as_slice();
        if self.first
            && let Some(rest) = line.strip_prefix(&BOM)
        {
            line = rest;
            if !self.line.continued {
                let mark = (span.0, span.0 + 3);
                notes.add(mark, self.depth, Kind::ByteOrderMark, PARSING, "byte order mark", "dropped");
                span.0 += 3;
            }
        }
        let whole = line.len() as u64 + self.line.len - self.line.seen.len() as u64;
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let (kind, meaning) = describe(text, whole, said);
        let rest = if self.line.continued { "the rest of: " } else { "" };
        let label = if text.is_empty() { "blank line".into() } else { format!("{rest}{}", brief(text, 70)) };
        notes.add(span, self.depth, kind, PARSING, label, meaning);
    }

    /// The chunk ends. The line end of a line that is complete but for a possible LF is not waited for.
    pub(super) fn boundary(&mut self, notes: &mut Notes) {
        if self.after_cr {
            let said = self.said.take();
            if !self.told {
                self.note(said, notes);
            }
            self.told = true;
            self.line.clear();
            self.first = false;
            return;
        }
        self.line.interrupt(self.depth, PARSING, "a line", notes);
    }

    /// The next byte is refused.
    pub(super) fn cut(&mut self, notes: &mut Notes) {
        self.part("as far as it was accepted", notes);
    }

    pub(super) fn end(&mut self, notes: &mut Notes) {
        if self.after_cr {
            self.tell(notes);
        }
        self.part(
            "the stream ends within a line: it is thrown away, with the event that it belongs to",
            notes,
        );
    }

    /// A line without its end.
    fn part(&mut self, meaning: &str, notes: &mut Notes) {
        if !self.line.is_told() {
            let label = brief(&self.line.seen, 70);
            notes.add(self.line.span(), self.depth, Kind::Part, PARSING, label, meaning);
        }
        self.line.clear();
    }
}

impl Said {
    fn new(received: Received<'_>) -> Self {
        match received {
            Received::Message { event_type, data, last_event_id } => Self::Message(format!(
                "dispatches \"{}\" with {} of data{}",
                brief(event_type.as_bytes(), 30),
                bytes(data.len() as u64),
                match last_event_id {
                    "" => String::new(),
                    id => format!("; lastEventId is {}", brief(id.as_bytes(), 60)),
                }
            )),
            Received::Id(id) => Self::Id(brief(id.as_bytes(), 60)),
            Received::Retry(ms) => Self::Retry(ms),
            _ => Self::Message("something new".into()),
        }
    }
}

/// What a line without its end means.
fn describe(line: &[u8], whole: u64, said: Option<Said>) -> (Kind, String) {
    if line.is_empty() {
        let id = |id| format!("no data, so no event; but a client comes back with Last-Event-ID: {id}");
        return match said {
            Some(Said::Message(text)) => (Kind::Dispatch, text),
            Some(Said::Id(new)) => (Kind::EventEnd, id(new)),
            _ => (Kind::EventEnd, "no data since the last blank line, so no event".into()),
        };
    }
    let colon = line.iter().position(|&byte| byte == b':');
    let (name, value) = match colon {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &[][..]),
    };
    let value = value.strip_prefix(b" ").unwrap_or(value);
    match name {
        b"" => (Kind::EventComment, "a comment: ignored, but it keeps the connection alive".into()),
        b"id" if value.contains(&0) => (Kind::EventId, "ignored: an id must not hold NUL".into()),
        b"id" => (Kind::EventId, "what a client comes back with after a cut, as Last-Event-ID".into()),
        b"event" => (Kind::EventName, "the type of the event: who listens for it hears it".into()),
        b"data" => {
            let more = whole.saturating_sub(line.len() as u64 + 2);
            (Kind::EventData, format!("a line of data: {}", show(value, value.len() as u64 + more)))
        }
        b"retry" => match said {
            Some(Said::Retry(ms)) => {
                (Kind::EventRetry, format!("after a cut, wait {} ms before coming back", ms))
            }
            _ => (Kind::EventRetry, "ignored: not a number".into()),
        },
        _ => (Kind::EventUnknown, "a field that the standard does not know: ignored".into()),
    }
}

/// Bytes of a line that are looked at.
const KEPT: usize = 256;
const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];
/// "Interpreting an event stream".
const PARSING: &str = "HTML §9.2.6";
