//! The chunked coding: what its bytes are, around the content.

use tidewire_chunked::{Decoder, Error, Event, Extension, Limits, extensions};

use super::body::Content;
use super::note::{Kind, Notes, Refusal, brief, bytes};

/// Follows a chunked body: framing becomes notes, content goes to `Content`.
#[derive(Debug)]
pub(super) struct Chunks {
    decoder: Decoder,
    /// Bytes of the present chunk that are still to come.
    left: u64,
    /// Of the CRLF after the content of a chunk, so many bytes are due.
    ends: u8,
    depth: u8,
    /// Where the body starts: decoders count from there, notes from the start of the direction.
    base: u64,
    /// The offset in the direction of the next byte.
    at: u64,
}

/// Why a chunked body is not followed any further.
pub(super) enum Stop {
    /// The framing is broken.
    Framing(Error),
    /// What is inside is refused.
    Content(Refusal),
}

impl Chunks {
    /// A body that begins at the offset `at`.
    pub(super) const fn new(limits: Limits, depth: u8, at: u64) -> Self {
        Self { decoder: Decoder::new(limits), left: 0, ends: 0, depth, base: at, at }
    }

    /// Takes what it can of `input`; says how much that was.
    pub(super) fn decode(
        &mut self,
        input: &[u8],
        content: &mut Content,
        notes: &mut Notes,
    ) -> Result<usize, Stop> {
        let mut taken = 0;
        loop {
            let (n, event) = match self.decoder.decode(&input[taken..]) {
                Ok(decoded) => decoded,
                Err(error) => {
                    self.partial(&input[taken..], error.offset(), notes);
                    return Err(Stop::Framing(error));
                }
            };
            let piece = &input[taken..taken + n];
            taken += n;
            let Some(event) = event else {
                self.framing(piece, notes);
                return Ok(taken);
            };
            match event {
                Event::Data(data) => {
                    content.push(self.at, data, notes).map_err(Stop::Content)?;
                    self.at += n as u64;
                    self.left -= n as u64;
                    if self.left == 0 {
                        content.boundary(notes);
                        self.ends = 2;
                    }
                }
                Event::Chunk { size, extensions } => {
                    let line = self.framing(piece, notes);
                    self.line(line, size, extensions, notes);
                }
                Event::Trailer { name, value } => {
                    let label = format!("{}: {}", brief(name, 40), brief(value, 60));
                    self.whole(
                        n,
                        Kind::Trailer,
                        "RFC 9112 §7.1.2",
                        &label,
                        "a trailer field: kept apart from the head's",
                        notes,
                    );
                }
                Event::End => {
                    self.whole(
                        n,
                        Kind::EndOfBody,
                        "RFC 9112 §7.1.2",
                        "empty line",
                        "the body is complete",
                        notes,
                    );
                }
            }
        }
    }

    pub(super) const fn is_done(&self) -> bool {
        self.decoder.is_done()
    }

    /// The end of the input, behind bytes that are still incomplete.
    pub(super) fn finish(
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

    /// Takes the CRLF that ends a chunk off framing bytes, if it is due. The decoder may take its CR before the LF is there.
    fn framing<'a>(&mut self, mut piece: &'a [u8], notes: &mut Notes) -> &'a [u8] {
        while self.ends > 0
            && let Some((byte, rest)) = piece.split_first()
            && *byte == b"\n\r"[usize::from(self.ends) - 1]
        {
            piece = rest;
            self.ends -= 1;
            if self.ends == 0 {
                self.whole(2, Kind::ChunkEnd, "RFC 9112 §7.1", "CR LF", "the chunk ends", notes);
            }
        }
        piece
    }

    fn whole(
        &mut self,
        len: usize,
        kind: Kind,
        section: &'static str,
        label: &str,
        meaning: &str,
        notes: &mut Notes,
    ) {
        let end = self.at + len as u64;
        notes.add((self.at, end), self.depth, kind, section, label, meaning);
        self.at = end;
    }

    /// A chunk line and what it is made of.
    fn line(&mut self, line: &[u8], size: u64, raw: &[u8], notes: &mut Notes) {
        let start = self.at;
        let digits = line.len().saturating_sub(2 + raw.len());
        let text = brief(&line[..digits], 20);
        self.left = size;
        let label = format!("{text}{}", brief(raw, 40));
        if size == 0 {
            self.whole(
                line.len(),
                Kind::LastChunk,
                "RFC 9112 §7.1",
                &label,
                "the last chunk: trailers or an empty line follow",
                notes,
            );
        } else {
            let meaning = format!("a chunk of {} follows", bytes(size));
            self.whole(line.len(), Kind::ChunkLine, "RFC 9112 §7.1", &label, &meaning, notes);
        }
        if raw.is_empty() {
            return;
        }
        let mut at = start + digits as u64;
        let size = format!("the size, in hexadecimal: {size}");
        notes.add((start, at), self.depth + 1, Kind::ChunkSize, "RFC 9112 §7.1", text, size);
        for one in each(raw) {
            let label = match extensions(one).next() {
                Some(Extension { name, value: Some(value) }) => {
                    format!("{}={}", brief(name, 30), brief(value, 40))
                }
                Some(Extension { name, value: None }) => brief(name, 30),
                None => brief(one, 30),
            };
            let next = at + one.len() as u64;
            let meaning = "a chunk extension: who does not know it ignores it";
            notes.add((at, next), self.depth + 1, Kind::ChunkExtension, "RFC 9112 §7.1.1", label, meaning);
            at = next;
        }
    }

    /// What stands before a refused byte, `offset` bytes after the start of the body. Had it come in pieces, a CRLF would be taken already.
    fn partial(&mut self, input: &[u8], offset: u64, notes: &mut Notes) {
        let mut input = self.framing(input, notes).to_vec();
        if self.ends == 1 {
            input.insert(0, b'\r');
        }
        let len = (self.base + offset).saturating_sub(self.at);
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(input.len());
        if len > 0 {
            let label = brief(&input[..len], 40);
            self.whole(len, Kind::Part, "RFC 9112 §7.1", &label, "as far as it could be read", notes);
        }
    }
}

/// The extensions of a chunk line, each with the semicolon and the whitespace before it. The bytes were checked by the decoder.
fn each(mut raw: &[u8]) -> Vec<&[u8]> {
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

#[cfg(test)]
mod tests {
    use super::each;

    #[test]
    fn extensions_are_cut_at_the_semicolons_outside_of_quotes() {
        assert_eq!(each(b" ;a;b=\"x;\\\";\" ;c"), [&b" ;a"[..], b";b=\"x;\\\";\" ", b";c"]);
        assert!(each(b"").is_empty());
    }
}
