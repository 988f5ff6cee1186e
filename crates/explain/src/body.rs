//! What is in a body, by its media type.

use super::data::Data;
use super::lines::Lines;
use super::note::{Kind, Notes, Refusal};
use super::sse::EventStream;

/// Content without its framing. It comes in pieces that need not lie side by side: between them may be chunk lines.
#[derive(Debug)]
pub(super) enum Content {
    Plain(Data),
    Events(Box<EventStream>),
    Lines(Lines),
}

impl Content {
    /// Content of this media type.
    pub(super) fn new(media_type: &[u8], sse: tidewire_sse::Limits, depth: u8) -> Self {
        let essence = media_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        if essence.eq_ignore_ascii_case(b"text/event-stream") {
            Self::Events(Box::new(EventStream::new(sse, depth)))
        } else if essence.eq_ignore_ascii_case(b"application/x-ndjson") {
            Self::Lines(Lines::new(depth))
        } else {
            Self::Plain(Data::new(Kind::Data, depth, "RFC 9110 §6.4", "content"))
        }
    }

    /// More of it, from the offset `at` of the direction on.
    pub(super) fn push(&mut self, at: u64, data: &[u8], notes: &mut Notes) -> Result<(), Refusal> {
        match self {
            Self::Plain(run) => run.push(at, data, notes),
            Self::Events(events) => events.push(at, data, notes)?,
            Self::Lines(lines) => lines.push(at, data, notes),
        }
        Ok(())
    }

    /// A chunk ends here: what follows of the content lies behind other bytes.
    pub(super) fn boundary(&mut self, notes: &mut Notes) {
        match self {
            Self::Plain(run) => run.flush(notes),
            Self::Events(events) => events.boundary(notes),
            Self::Lines(lines) => lines.boundary(notes),
        }
    }

    /// Nothing follows.
    pub(super) fn end(&mut self, notes: &mut Notes) {
        match self {
            Self::Plain(run) => run.flush(notes),
            Self::Events(events) => events.end(notes),
            Self::Lines(lines) => lines.end(notes),
        }
    }

    /// The next byte is refused.
    pub(super) fn cut(&mut self, notes: &mut Notes) {
        match self {
            Self::Plain(run) => run.flush(notes),
            Self::Events(events) => events.cut(notes),
            Self::Lines(lines) => lines.cut(notes),
        }
    }
}
