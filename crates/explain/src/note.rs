//! Notes: what bytes are, and what they mean.

use serde::Serialize;

use crate::direction::Direction;
use crate::refusal::Refusal;

/// Describes one part of a protocol, such as a field or a bit.
///
/// Notes of one direction come in the order of their offsets, and every byte has a note. Take the
/// last note before this one with a lesser depth. This note lies either within its bytes or after
/// them. For example, the method lies within the request line. Notes of the same depth overlap only
/// where one byte has several fields, as in the first two bytes of a WebSocket frame.
/// [`NoteKind::Refused`] is the last note of its direction. It points at the byte that the decoder
/// refused, which may be further back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The direction of the bytes. A response can decide what the client's bytes after its request
    /// are.
    pub direction: Direction,
    /// The offset of the first byte, counted from the first byte of the connection in this
    /// direction, framing included.
    pub offset: u64,
    /// The number of bytes; 0 for the end of the input.
    pub len: u64,
    /// The depth in the layers: 0 for the head of a message, higher for its body, still higher for
    /// what is in the body.
    pub depth: u8,
    /// What the bytes are, for a program.
    pub kind: NoteKind,
    /// What the bytes are, with their value: `Content-Length: 5`.
    pub label: String,
    /// What follows from the bytes: `the body is 5 bytes`. May be empty.
    pub meaning: String,
    /// The section that defines it: `RFC 9112 §6.2`.
    pub section: &'static str,
}

/// What a [`Note`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
#[allow(missing_docs)] // Each name is the protocol's term.
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
    /// A field that the standard does not define.
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
    /// A compressed message, inflated.
    Inflated,
    // At the edges.
    /// A piece of a line or a field. The rest is in the next chunk or did not come.
    Part,
    /// Bytes of a protocol that is not decoded.
    Opaque,
    /// Bytes that nobody reads.
    Unread,
    /// Bytes that a recipient may accept, but that do not have the effect that the sender wants.
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
