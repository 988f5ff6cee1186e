//! A body: its framing, and the content in it.

use tidewire_http1::BodyLength;

use crate::chunk::{ChunkError, Chunks};
use crate::content::Content;
use crate::limits::Limits;
use crate::note::Notes;
use crate::refusal::Refusal;

/// The body of a message. The HTTP decoder has checked each byte before this type gets it.
#[derive(Debug)]
pub(crate) struct Body {
    /// `None` for a body without chunks.
    chunks: Option<Chunks>,
    content: Content,
}

impl Body {
    /// Creates the body that starts at the offset `at`.
    pub(crate) fn new(at: u64, length: BodyLength, media_type: Option<&[u8]>, limits: &Limits) -> Self {
        let chunks = (length == BodyLength::Chunked).then(|| Chunks::new(limits.chunked(), 1, at));
        let depth = if chunks.is_some() { 2 } else { 1 };
        Self { chunks, content: Content::new(media_type.unwrap_or_default(), limits.sse, depth) }
    }

    /// Takes bytes that the HTTP decoder has accepted, from the offset `at` on, and the content
    /// that it found in them.
    pub(crate) fn push(
        &mut self,
        at: u64,
        raw: &[u8],
        data: Option<&[u8]>,
        notes: &mut Notes,
    ) -> Result<(), Refusal> {
        let outcome = match (&mut self.chunks, data) {
            (Some(chunks), _) => match chunks.decode(raw, &mut self.content, notes) {
                // The framing was accepted already.
                Ok(_) | Err(ChunkError::Framing(_)) => Ok(()),
                Err(ChunkError::Content(refusal)) => Err(refusal),
            },
            (None, Some(data)) => self.content.push(at, data, notes),
            (None, None) => Ok(()),
        };
        outcome.inspect_err(|_| self.content.refused(notes))
    }

    /// The HTTP decoder refuses a byte of `rest`. But the content before that byte may also have an
    /// error. Then that error counts, and is returned.
    pub(crate) fn refused(&mut self, rest: &[u8], notes: &mut Notes) -> Option<Refusal> {
        let earlier = match &mut self.chunks {
            Some(chunks) => match chunks.decode(rest, &mut self.content, notes) {
                Ok(_) | Err(ChunkError::Framing(_)) => None,
                Err(ChunkError::Content(refusal)) => Some(refusal),
            },
            None => None,
        };
        self.content.refused(notes);
        earlier
    }

    /// The body is complete.
    pub(crate) fn end(&mut self, notes: &mut Notes) {
        self.content.end(notes);
    }

    /// The input ends within the body. `rest` is what is still incomplete.
    pub(crate) fn truncated(&mut self, rest: &[u8], notes: &mut Notes) {
        match &mut self.chunks {
            Some(chunks) => {
                // The HTTP decoder reports the same error.
                let _ = chunks.finish(rest, &mut self.content, notes);
            }
            None => self.content.end(notes),
        }
    }
}

/// A chunked body or an event stream with no head before it.
#[derive(Debug)]
pub(crate) enum HeadlessBody {
    Chunked { chunks: Chunks, content: Content },
    EventStream(Content),
}

impl HeadlessBody {
    pub(crate) fn chunked(limits: &Limits) -> Self {
        let chunks = Chunks::new(limits.chunked(), 0, 0);
        Self::Chunked { chunks, content: Content::new(b"", limits.sse, 1) }
    }

    pub(crate) fn event_stream(limits: &Limits) -> Self {
        Self::EventStream(Content::event_stream(limits.sse, 0))
    }

    /// Decodes as much as possible of `input`, which starts at the offset `at`. Returns how much
    /// that was.
    pub(crate) fn decode(&mut self, input: &[u8], at: u64, notes: &mut Notes) -> Result<usize, Refusal> {
        match self {
            Self::Chunked { chunks, content } => {
                chunks.decode(input, content, notes).map_err(|error| match error {
                    ChunkError::Content(refusal) => {
                        content.refused(notes);
                        refusal
                    }
                    ChunkError::Framing(error) => Refusal::chunked(notes.direction(), error),
                })
            }
            Self::EventStream(content) => {
                let outcome = content.push(at, input, notes);
                outcome.inspect_err(|_| content.refused(notes)).map(|()| input.len())
            }
        }
    }

    /// Returns whether the last byte of it was taken. An event stream has no last byte.
    pub(crate) const fn is_done(&self) -> bool {
        match self {
            Self::Chunked { chunks, .. } => chunks.is_done(),
            Self::EventStream(_) => false,
        }
    }

    /// Takes the end of the input. `rest` is what is still incomplete.
    pub(crate) fn finish(&mut self, rest: &[u8], notes: &mut Notes) -> Result<(), Refusal> {
        match self {
            Self::Chunked { chunks, content } => {
                let outcome = chunks.finish(rest, content, notes);
                outcome.map_err(|error| Refusal::chunked(notes.direction(), error))
            }
            Self::EventStream(content) => {
                content.end(notes);
                Ok(())
            }
        }
    }
}
