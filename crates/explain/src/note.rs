//! Notes: what bytes are, and what they mean.

use serde::Serialize;

use crate::direction::Direction;
use crate::refusal::Refusal;

/// What one field of the protocol is: the smallest thing that has a name.
///
/// Notes of one direction come in the order of their offsets, and every byte has one. A note lies
/// within the last one of lesser depth before it, or behind it: a request line, and in it the
/// method. Notes of the same depth overlap only where one byte holds several fields, as the first
/// two of a WebSocket frame do. [`NoteKind::Refused`] is the last note of its direction: it points
/// at the byte that the decoder blames, which may lie further back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Whose bytes: a response can decide what the client's bytes behind it are.
    pub direction: Direction,
    /// The first byte, counted from the first byte of the connection in this direction. Framing in
    /// between is counted too.
    pub offset: u64,
    /// How many bytes; 0 where the end of the input is meant.
    pub len: u64,
    /// How deep in the layers: 0 for the head of a message, more for its body, more for what is in
    /// that.
    pub depth: u8,
    /// What it is, for a program.
    pub kind: NoteKind,
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
#[allow(missing_docs)] // Each name is the protocol's word for it.
pub enum NoteKind {
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

/// Collects the notes of one direction.
#[derive(Debug)]
pub(crate) struct Notes {
    direction: Direction,
    made: Vec<Note>,
}

impl Notes {
    pub(crate) const fn new(direction: Direction) -> Self {
        Self { direction, made: Vec::new() }
    }

    pub(crate) const fn direction(&self) -> Direction {
        self.direction
    }

    /// Adds a note about the bytes from `span.0` up to `span.1`.
    pub(crate) fn add(
        &mut self,
        span: (u64, u64),
        depth: u8,
        kind: NoteKind,
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
    pub(crate) fn refuse(&mut self, refusal: &Refusal) {
        let span = (refusal.offset, refusal.offset + refusal.len);
        self.add(
            span,
            0,
            NoteKind::Refused,
            refusal.section,
            refusal.sentence.as_str(),
            refusal.answer.as_str(),
        );
    }

    /// Replaces the meaning of the header field at this offset.
    pub(crate) fn amend(&mut self, offset: u64, meaning: String) {
        if let Some(note) =
            self.made.iter_mut().rev().find(|note| note.offset == offset && note.kind == NoteKind::Field)
        {
            note.meaning = meaning;
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.made)
    }
}
