//! What is said about bytes.

use serde::Serialize;

use crate::terminal::{self, is_obeyed};

/// Which way the bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// What one field of the protocol is: the smallest thing that has a name.
///
/// Notes of one direction come in the order of their offsets, and every byte has one. A note lies within the last one of lesser depth before
/// it, or behind it: a request line, and in it the method. Notes of the same depth overlap only where one byte holds several fields, as the
/// first two of a WebSocket frame do. [`Kind::Refused`] is the last note of its direction: it points at the byte that the decoder blames,
/// which may lie further back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Whose bytes: a response can decide what the client's bytes behind it are.
    pub direction: Direction,
    /// The first byte, counted from the first byte of the connection in this direction. Framing in between is counted too.
    pub offset: u64,
    /// How many bytes; 0 where the end of the input is meant.
    pub len: u64,
    /// How deep in the layers: 0 for the head of a message, more for its body, more for what is in that.
    pub depth: u8,
    /// What it is, for a program.
    pub kind: Kind,
    /// What it is, with its value: `Content-Length: 5`.
    pub label: String,
    /// What follows from it: `the body is 5 bytes`. May be empty.
    pub meaning: String,
    /// Where that is written: `RFC 9112 §6.2`.
    pub section: &'static str,
}

/// What a [`Note`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
#[allow(missing_docs)] // each variant is the protocol's word for it
pub enum Kind {
    // The head of a message.
    EmptyLine,
    RequestLine,
    Method,
    Target,
    StatusLine,
    Status,
    Reason,
    Version,
    Field,
    EndOfHead,
    // Content that has no structure we know.
    Data,
    // The chunked coding.
    ChunkLine,
    ChunkSize,
    ChunkExtension,
    ChunkEnd,
    LastChunk,
    Trailer,
    EndOfBody,
    // An event stream.
    ByteOrderMark,
    EventId,
    EventName,
    EventData,
    EventRetry,
    EventComment,
    /// A field that the standard does not know.
    EventUnknown,
    /// The blank line at which an event is dispatched.
    Dispatch,
    /// A blank line without an event: there was no data.
    EventEnd,
    // A stream of JSON lines.
    JsonLine,
    Heartbeat,
    // WebSocket frames.
    FrameHeader,
    Fin,
    Rsv,
    Opcode,
    Mask,
    Length,
    MaskingKey,
    Payload,
    CloseCode,
    CloseReason,
    /// What a compressed message was before.
    Inflated,
    // At the edges.
    /// A piece of a line or a field, whose rest is in the next chunk or did not come.
    Part,
    /// Bytes of a protocol that is not followed.
    Opaque,
    /// Bytes that nobody reads.
    Unread,
    /// Bytes that a recipient may take, and that do not mean what their sender thought.
    Warning,
    /// The first byte that cannot be accepted. Nothing after it is read.
    Refused,
}

/// Why bytes cannot be accepted: the verdict of a decoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Whose bytes.
    pub direction: Direction,
    /// The first byte that cannot be accepted; the length of the input if it ended too early.
    pub offset: u64,
    /// 1; or 0 where nothing is wrong with a byte but with the end of something. A limit may be passed by the byte that comes next, so that
    /// it is not there yet.
    pub len: u64,
    /// The decoder's name for it, such as `Rule(LengthRepeated)`.
    pub kind: String,
    /// The decoder's sentence.
    pub sentence: String,
    /// What the recipient does: `a server answers 400 Bad Request and closes`.
    pub answer: String,
    /// The status that a server answers with.
    pub status: Option<u16>,
    /// The code that a WebSocket endpoint closes with.
    pub close_code: Option<u16>,
    /// Which rule was broken.
    pub section: &'static str,
}

/// Collects the notes of one direction.
#[derive(Debug)]
pub(super) struct Notes {
    direction: Direction,
    made: Vec<Note>,
}

impl Notes {
    pub(super) const fn new(direction: Direction) -> Self {
        Self { direction, made: Vec::new() }
    }

    pub(super) const fn direction(&self) -> Direction {
        self.direction
    }

    /// Adds a note about the bytes from `span.0` up to `span.1`.
    pub(super) fn add(
        &mut self,
        span: (u64, u64),
        depth: u8,
        kind: Kind,
        section: &'static str,
        label: impl Into<String>,
        meaning: impl Into<String>,
    ) {
        self.made.push(Note {
            direction: self.direction,
            offset: span.0,
            len: span.1 - span.0,
            depth,
            kind,
            label: label.into(),
            meaning: meaning.into(),
            section,
        });
    }

    /// Adds the last note of this direction.
    pub(super) fn refuse(&mut self, refusal: &Refusal) {
        let span = (refusal.offset, refusal.offset + refusal.len);
        self.add(span, 0, Kind::Refused, refusal.section, refusal.sentence.as_str(), refusal.answer.as_str());
    }

    /// Says more about the field at this offset than its name tells.
    pub(super) fn amend(&mut self, offset: u64, meaning: String) {
        if let Some(note) =
            self.made.iter_mut().rev().find(|note| note.offset == offset && note.kind == Kind::Field)
        {
            note.meaning = meaning;
        }
    }

    pub(super) fn take(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.made)
    }
}

/// Bytes for people: as text in quotes if they are text, else in hexadecimal; shortened to some 60 characters.
pub(super) fn show(bytes: &[u8], whole: u64) -> String {
    let cut = if whole > bytes.len() as u64 || bytes.len() > SHOWN { "…" } else { "" };
    let shown = &bytes[..bytes.len().min(SHOWN)];
    let text = match std::str::from_utf8(shown) {
        Ok(text) => Some(text),
        // A character that the cut goes through is no reason to show hexadecimal.
        Err(error) if error.error_len().is_none() && !cut.is_empty() => {
            std::str::from_utf8(&shown[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    let is_text = |text: &&str| text.chars().all(|c| !is_obeyed(c) || matches!(c, '\r' | '\n' | '\t'));
    match text.filter(is_text) {
        Some(text) => {
            let escaped: String = text
                .chars()
                .map(|c| match c {
                    '\r' => "\\r".to_owned(),
                    '\n' => "\\n".to_owned(),
                    '\t' => "\\t".to_owned(),
                    c => c.to_string(),
                })
                .collect();
            format!("\"{escaped}\"{cut}")
        }
        None => {
            let few = &shown[..shown.len().min(SHOWN / 4)];
            let hex: Vec<_> = few.iter().map(|byte| format!("{byte:02x}")).collect();
            let cut = if few.len() < shown.len() { "…" } else { cut };
            format!("{}{cut}", hex.join(" "))
        }
    }
}

/// A text of the peer for a label: without characters that would be obeyed, and no longer than `max` characters.
pub(super) fn brief(bytes: &[u8], max: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let end = text.char_indices().nth(max).map(|(at, _)| at);
    let mut brief = terminal::line(&text[..end.unwrap_or(text.len())]);
    if end.is_some() {
        brief.push('…');
    }
    brief
}

/// `1 byte`, `2 bytes`, `65,536 bytes`.
pub(super) fn bytes(count: u64) -> String {
    format!("{} byte{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// `65,536`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// How many bytes of content a label quotes.
pub(super) const SHOWN: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_what_they_are() {
        assert_eq!(show(b"a\r\nb", 4), "\"a\\r\\nb\"");
        assert_eq!(show("höhe".as_bytes(), 5), "\"höhe\"");
        assert_eq!(show(&[0xff, 0, 7], 3), "ff 00 07");
        assert_eq!(show(&[b'x'; SHOWN + 1], 61), format!("\"{}\"…", "x".repeat(SHOWN)));
        assert_eq!(show(b"ab\xc3", 100), "\"ab\"…");
        assert_eq!(show(b"", 0), "\"\"");
        assert_eq!(show("a\u{202e}b".as_bytes(), 5), "61 e2 80 ae 62");
    }

    #[test]
    fn what_a_terminal_would_obey_does_not_reach_it() {
        let text = "a\u{1b}[31m\u{9b}2J\r\n\u{7f}\u{202e}\u{2066}\u{2028}b";
        assert_eq!(brief(text.as_bytes(), 30), "a·[31m·2J······b");
        assert_eq!(
            brief("e\u{301} \u{1f468}\u{200d}\u{1f469}".as_bytes(), 30),
            "e\u{301} \u{1f468}\u{200d}\u{1f469}"
        );
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(
            (bytes(1), bytes(0), bytes(65_536)),
            ("1 byte".into(), "0 bytes".into(), "65,536 bytes".into())
        );
    }
}
