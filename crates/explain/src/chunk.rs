//! The chunked coding: the bytes around the content.

use tidewire_chunked::{Decoder, Error, Event, Extension, Limits, extensions};

use crate::content::Content;
use crate::note::{NoteKind, Notes};
use crate::refusal::Refusal;
use crate::text::{brief, byte_count};

/// Notes of a chunked body. The content goes to [`Content`].
#[derive(Debug)]
pub(crate) struct Chunks {
    decoder: Decoder,
    /// Bytes of the current chunk that are still to come.
    remaining: u64,
    /// The bytes of the CRLF after a chunk's content that are still to come.
    crlf_remaining: u8,
    depth: u8,
    /// Where the body starts. Decoders count from there, notes from the start of the direction.
    base: u64,
    /// The offset in the direction of the next byte.
    at: u64,
}

/// Why a chunked body is not read any further.
pub(crate) enum ChunkError {
    /// The framing is broken.
    Framing(Error),
    /// The content is refused.
    Content(Refusal),
}

impl Chunks {
    /// A body that begins at the offset `at`.
    pub(crate) const fn new(limits: Limits, depth: u8, at: u64) -> Self {
        Self { decoder: Decoder::new(limits), remaining: 0, crlf_remaining: 0, depth, base: at, at }
    }

    /// Decodes as much of `input` as possible. Returns how much that was.
    pub(crate) fn decode(
        &mut self,
        input: &[u8],
        content: &mut Content,
        notes: &mut Notes,
    ) -> Result<usize, ChunkError> {
        let mut taken = 0;
        loop {
            let (n, event) = match self.decoder.decode(&input[taken..]) {
                Ok(decoded) => decoded,
                Err(error) => {
                    self.partial(&input[taken..], error.offset(), notes);
                    return Err(ChunkError::Framing(error));
                }
            };
            let raw = &input[taken..taken + n];
            taken += n;
            match event {
                None => {
                    self.end_of_chunk(raw, notes);
                    return Ok(taken);
                }
                Some(Event::Data(data)) => {
                    content.push(self.at, data, notes).map_err(ChunkError::Content)?;
                    self.at += n as u64;
                    self.remaining -= n as u64;
                    if self.remaining == 0 {
                        content.interrupt(notes);
                        self.crlf_remaining = 2;
                    }
                }
                Some(Event::Chunk { size, extensions }) => {
                    let line = self.end_of_chunk(raw, notes);
                    self.chunk_line(line, size, extensions, notes);
                }
                Some(Event::Trailer { name, value }) => {
                    let label = format!("{}: {}", brief(name, 40), brief(value, 60));
                    let meaning = "a trailer field: kept apart from the fields of the head";
                    self.note_next(n, NoteKind::Trailer, TRAILERS, &label, meaning, notes);
                }
                Some(Event::End) => {
                    let meaning = "the body is complete";
                    self.note_next(n, NoteKind::EndOfBody, TRAILERS, "empty line", meaning, notes);
                }
            }
        }
    }

    pub(crate) const fn is_done(&self) -> bool {
        self.decoder.is_done()
    }

    /// Takes the end of the input. `rest` is what is still incomplete.
    pub(crate) fn finish(
        &mut self,
        rest: &[u8],
        content: &mut Content,
        notes: &mut Notes,
    ) -> Result<(), Error> {
        let outcome = self.decoder.finish().map(|_| ());
        content.end(notes);
        if let Err(error) = outcome {
            self.partial(rest, error.offset(), notes);
        }
        outcome
    }

    /// Removes the CRLF that ends a chunk from the start of `raw`, if it is due. The decoder may
    /// take the CR before the LF has come.
    fn end_of_chunk<'a>(&mut self, mut raw: &'a [u8], notes: &mut Notes) -> &'a [u8] {
        while self.crlf_remaining > 0
            && let Some((byte, rest)) = raw.split_first()
            && *byte == b"\n\r"[usize::from(self.crlf_remaining) - 1]
        {
            raw = rest;
            self.crlf_remaining -= 1;
            if self.crlf_remaining == 0 {
                self.note_next(2, NoteKind::ChunkEnd, FRAMING, "CR LF", "the chunk ends", notes);
            }
        }
        raw
    }

    /// Adds the notes of a chunk line and its parts.
    fn chunk_line(&mut self, line: &[u8], size: u64, raw_extensions: &[u8], notes: &mut Notes) {
        let start = self.at;
        let digits = line.len().saturating_sub(2 + raw_extensions.len());
        let text = brief(&line[..digits], 20);
        self.remaining = size;
        let label = format!("{text}{}", brief(raw_extensions, 40));
        if size == 0 {
            let meaning = "the last chunk: trailers or an empty line follow";
            self.note_next(line.len(), NoteKind::LastChunk, FRAMING, &label, meaning, notes);
        } else {
            let meaning = format!("a chunk of {} follows", byte_count(size));
            self.note_next(line.len(), NoteKind::ChunkLine, FRAMING, &label, &meaning, notes);
        }
        if raw_extensions.is_empty() {
            return;
        }
        let mut at = start + digits as u64;
        let meaning = format!("the size, in hexadecimal: {size}");
        notes.add((start, at), self.depth + 1, NoteKind::ChunkSize, FRAMING, text, meaning);
        for raw in split_extensions(raw_extensions) {
            let label = match extensions(raw).next() {
                Some(Extension { name, value: Some(value) }) => {
                    format!("{}={}", brief(name, 30), brief(value, 40))
                }
                Some(Extension { name, value: None }) => brief(name, 30),
                None => brief(raw, 30),
            };
            let span = (at, at + raw.len() as u64);
            let meaning = "a chunk extension: a recipient that does not know it ignores it";
            notes.add(span, self.depth + 1, NoteKind::ChunkExtension, "RFC 9112 §7.1.1", label, meaning);
            at = span.1;
        }
    }

    /// Adds the note of the bytes before a refused byte, which is `offset` bytes after the start of
    /// the body. If the input came in pieces, the CRLF before them may already have its note;
    /// otherwise it is added here.
    fn partial(&mut self, input: &[u8], offset: u64, notes: &mut Notes) {
        let mut input = self.end_of_chunk(input, notes).to_vec();
        if self.crlf_remaining == 1 {
            input.insert(0, b'\r');
        }
        let len = (self.base + offset).saturating_sub(self.at);
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(input.len());
        if len > 0 {
            let label = brief(&input[..len], 40);
            self.note_next(len, NoteKind::Part, FRAMING, &label, "as far as it could be read", notes);
        }
    }

    /// Adds a note about the next `len` bytes.
    fn note_next(
        &mut self,
        len: usize,
        kind: NoteKind,
        section: &'static str,
        label: &str,
        meaning: &str,
        notes: &mut Notes,
    ) {
        let end = self.at + len as u64;
        notes.add((self.at, end), self.depth, kind, section, label, meaning);
        self.at = end;
    }
}

/// Splits the extensions of a chunk line, each with the semicolon and the whitespace before it. The
/// decoder has checked the bytes.
fn split_extensions(mut raw: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while !raw.is_empty() {
        let (mut quoted, mut escaped, mut named) = (false, false, false);
        let end = raw.iter().position(|&byte| {
            let ends = byte == b';' && named && !quoted;
            named |= byte == b';';
            quoted ^= byte == b'"' && !escaped;
            escaped = byte == b'\\' && quoted && !escaped;
            ends
        });
        let (one, rest) = raw.split_at(end.unwrap_or(raw.len()));
        all.push(one);
        raw = rest;
    }
    all
}

const FRAMING: &str = "RFC 9112 §7.1";
const TRAILERS: &str = "RFC 9112 §7.1.2";

#[cfg(test)]
mod tests {
    use super::split_extensions;

    #[test]
    fn extensions_are_split_at_semicolons_outside_quotes() {
        assert_eq!(split_extensions(b" ;a;b=\"x;\\\";\" ;c"), [&b" ;a"[..], b";b=\"x;\\\";\" ", b";c"]);
        assert!(split_extensions(b"").is_empty());
    }
}
