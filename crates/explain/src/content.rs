//! The content of a body, by its media type.

use crate::json_lines::JsonLines;
use crate::media_type::{EVENT_STREAM, JSON_LINES, essence};
use crate::note::{NoteKind, Notes};
use crate::refusal::Refusal;
use crate::sse::EventStream;
use crate::unstructured::Unstructured;

/// Content without its framing. It comes in pieces, and there may be chunk lines between the
/// pieces.
#[derive(Debug)]
pub(crate) enum Content {
    Unstructured(Unstructured),
    EventStream(Box<EventStream>),
    JsonLines(JsonLines),
}

impl Content {
    /// Creates content of this media type.
    pub(crate) fn new(media_type: &[u8], sse: tidewire_sse::Limits, depth: u8) -> Self {
        let essence = essence(media_type);
        if essence.eq_ignore_ascii_case(EVENT_STREAM) {
            Self::event_stream(sse, depth)
        } else if essence.eq_ignore_ascii_case(JSON_LINES) {
            Self::JsonLines(JsonLines::new(depth))
        } else {
            Self::Unstructured(Unstructured::new(NoteKind::Data, depth, "RFC 9110 §6.4", "content"))
        }
    }

    pub(crate) fn event_stream(limits: tidewire_sse::Limits, depth: u8) -> Self {
        Self::EventStream(Box::new(EventStream::new(limits, depth)))
    }

    /// Takes more content, from the offset `at` of the direction on.
    pub(crate) fn push(&mut self, at: u64, data: &[u8], notes: &mut Notes) -> Result<(), Refusal> {
        match self {
            Self::Unstructured(bytes) => bytes.push(at, data, notes),
            Self::EventStream(stream) => stream.push(at, data, notes)?,
            Self::JsonLines(lines) => lines.push(at, data, notes),
        }
        Ok(())
    }

    /// A chunk ends here: other bytes come before the next piece of content.
    pub(crate) fn interrupt(&mut self, notes: &mut Notes) {
        match self {
            Self::Unstructured(bytes) => bytes.flush(notes),
            Self::EventStream(stream) => stream.interrupt(notes),
            Self::JsonLines(lines) => lines.interrupt(notes),
        }
    }

    /// The content ends here.
    pub(crate) fn end(&mut self, notes: &mut Notes) {
        match self {
            Self::Unstructured(bytes) => bytes.flush(notes),
            Self::EventStream(stream) => stream.end(notes),
            Self::JsonLines(lines) => lines.end(notes),
        }
    }

    /// The next byte is refused.
    pub(crate) fn refused(&mut self, notes: &mut Notes) {
        match self {
            Self::Unstructured(bytes) => bytes.flush(notes),
            Self::EventStream(stream) => stream.refused(notes),
            Self::JsonLines(lines) => lines.refused(notes),
        }
    }
}
