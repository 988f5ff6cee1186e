//! Decodes bytes to events.

use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::state::State;
use crate::trailer::is_forbidden_trailer;
use tidewire_grammar::class::is_hexdig;
use tidewire_grammar::{token_len, trim_ows};

/// The largest number of digits of a chunk size: 64 bits.
const MAX_DIGITS: usize = 16;

/// The largest value of `max_overhead`.
const MAX_OVERHEAD: u32 = u32::MAX - 18;

/// What a decoder yields, in the order of the wire. The slices are parts of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A chunk line. Size 0 is the last chunk.
    Chunk {
        /// The number of bytes of content that follow.
        size: u64,
        /// The bytes between the size and the CRLF, unchanged. The decoder has checked their
        /// grammar. [`extensions`](crate::extensions) reads them. RFC 9112 §7.1.1 (1) demands to
        /// ignore unknown extensions, and most recipients know none.
        extensions: &'a [u8],
    },
    /// Content: the next piece of a chunk, never empty. The places where pieces end have no
    /// meaning.
    Data(&'a [u8]),
    /// A trailer field. Never merge it into the header fields: RFC 9112 §7.1.2 (2).
    Trailer {
        /// A token.
        name: &'a [u8],
        /// The value, without the whitespace around it. It may be empty.
        value: &'a [u8],
    },
    /// The end of the body. Bytes that follow in the input belong to the next message.
    End,
}

/// Decodes one chunked body (RFC 9112 §7.1).
///
/// 40 bytes, no heap. The caller keeps the bytes that were not consumed, and appends to them. A
/// chunk line or trailer line is consumed when it is complete, so a buffer of `max_overhead` + 18
/// bytes is always enough.
///
/// ```
/// use tidewire_chunked::{Decoder, Event, Limits};
///
/// let wire = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
/// let (mut decoder, mut at, mut body) = (Decoder::new(Limits::DEFAULT), 0, Vec::new());
/// while let (used, Some(event)) = decoder.decode(&wire[at..])? {
///     at += used;
///     if let Event::Data(data) = event {
///         body.extend_from_slice(data);
///     }
/// }
/// assert_eq!((body.as_slice(), at, decoder.is_done()), (b"hello world".as_slice(), wire.len(), true));
/// # Ok::<(), tidewire_chunked::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    /// Bytes consumed. In the state `Failed`: the offset of the error.
    at: u64,
    /// The digits of the chunk size read so far, as a number. In the state `Data`: the bytes still
    /// to come.
    size: u64,
    /// The rest of `max_body`.
    body_left: u64,
    /// The rest of `max_overhead`.
    overhead_left: u32,
    /// Bytes of the unfinished line that were read before. No byte is read twice.
    scanned: u32,
    /// The rest of `max_trailers`.
    trailers_left: u16,
    state: State,
}

impl Decoder {
    /// A decoder at the start of a body, right after the head.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            at: 0,
            size: 0,
            body_left: limits.max_body,
            // A line has up to 18 bytes more, and `scanned` must count all of it.
            overhead_left: if limits.max_overhead > MAX_OVERHEAD {
                MAX_OVERHEAD
            } else {
                limits.max_overhead
            },
            scanned: 0,
            trailers_left: limits.max_trailers,
            state: State::SizeStart,
        }
    }

    /// Returns the next event of `input` and the number of bytes consumed. `input` starts with the
    /// first byte that was not consumed.
    ///
    /// `Ok((n, Some(event)))`: call again with the rest. `Ok((n, None))`: if
    /// [`is_done`](Self::is_done), the body is complete. Otherwise append bytes to the rest and
    /// call again.
    ///
    /// # Errors
    /// At the first byte that cannot be accepted or that passes a limit. Each later call returns
    /// the same error.
    #[inline]
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Option<Event<'a>>), Error> {
        match self.state {
            State::Data => Ok(self.data(input)),
            State::Done => Ok((0, None)),
            State::Failed(kind) => Err(Error::new(kind, self.at)),
            _ => match self.plain_line(input) {
                Some((n, event)) => Ok((n, Some(event))),
                None => self.line(input),
            },
        }
    }

    /// The end of the input.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEnd`] if the body is not complete: the last chunk is missing
    /// (RFC 9112 §8 (1)). Or the error that [`decode`](Self::decode) returned before.
    pub fn finish(&mut self) -> Result<Option<Event<'static>>, Error> {
        match self.state {
            State::Done => Ok(None),
            State::Failed(kind) => Err(Error::new(kind, self.at)),
            _ => Err(self.fail(ErrorKind::UnexpectedEnd, self.scanned as usize)),
        }
    }

    /// Returns whether [`Event::End`] was yielded.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Content: all of the chunk that `input` has.
    fn data<'a>(&mut self, input: &'a [u8]) -> (usize, Option<Event<'a>>) {
        let n = usize::try_from(self.size).map_or(input.len(), |size| size.min(input.len()));
        if n == 0 {
            return (0, None);
        }
        self.advance(n);
        self.size = self.size.saturating_sub(n as u64);
        if self.size == 0 {
            self.state = State::DataCr;
        }
        (n, Some(Event::Data(&input[..n])))
    }

    /// A shortcut for nearly all chunks: `input` has the CRLF after content, digits and CRLF. In
    /// all other cases `None`, and [`line`](Self::line) reads the line. The tests with split input
    /// check this function: a line that is split is read by `line`, and both must give the same
    /// events.
    #[inline]
    fn plain_line<'a>(&mut self, input: &'a [u8]) -> Option<(usize, Event<'a>)> {
        let line = match self.state {
            State::DataCr => input.strip_prefix(b"\r\n")?,
            State::SizeStart => input,
            _ => return None,
        };
        let mut size = 0;
        let mut digits = 0_usize;
        // Eight digits are enough for 4 GiB. Usual chunks are smaller.
        while let Some(byte) = line.get(digits).filter(|byte| is_hexdig(**byte) && digits < 8) {
            size = size << 4 | u64::from(hex_value(*byte));
            digits = digits.saturating_add(1);
        }
        let rest = line.get(digits..)?.strip_prefix(b"\r\n")?;
        if digits == 0 {
            return None;
        }
        self.body_left = self.body_left.checked_sub(size)?;
        let n = input.len().saturating_sub(rest.len());
        self.advance(n);
        self.size = size;
        self.state = if size == 0 { State::TrailerStart } else { State::Data };
        Some((n, Event::Chunk { size, extensions: &[] }))
    }

    /// Reads framing: the CRLF after content, chunk lines, trailer lines.
    fn line<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Option<Event<'a>>), Error> {
        // The start of the line: after the CRLF of the chunk before, if `input` has that CRLF.
        let mut start = 0_usize;
        let mut i = self.scanned as usize;
        while let Some(&byte) = input.get(i) {
            let next = match self.state.after(byte) {
                Ok(next) => next,
                Err(kind) => return Err(self.fail(kind, i)),
            };
            if let Err(kind) = self.account(next, byte, &input[start..i]) {
                return Err(self.fail(kind, i));
            }
            i = i.saturating_add(1);
            let line = &input[start..i];
            let before = core::mem::replace(&mut self.state, next);
            let event = match (before, next) {
                (State::DataCr | State::DataLf, _) => {
                    start = i;
                    continue;
                }
                (State::LineLf, _) => self.chunk(line),
                (State::TrailerLf, _) => trailer(line),
                (State::EndLf, _) => Event::End,
                _ => continue,
            };
            self.scanned = 0;
            self.advance(i);
            return Ok((i, Some(event)));
        }
        let scanned = i.saturating_sub(start);
        self.scanned = u32::try_from(scanned).expect("a line is no longer than the budget and 18 bytes");
        self.advance(start);
        Ok((start, None))
    }

    /// Updates the numbers that a byte changes, and checks the limits. `line` is the part of the
    /// line before the byte.
    #[inline]
    fn account(&mut self, next: State, byte: u8, line: &[u8]) -> Result<(), ErrorKind> {
        if next == State::Size {
            // RFC 9112 §7.1 (2): sizes may be huge and must not overflow. 16 digits fit into 64
            // bits, so the shift below loses nothing.
            if line.len() >= MAX_DIGITS {
                return Err(ErrorKind::SizeOverflow);
            }
            let size = if line.is_empty() { 0 } else { self.size };
            self.size = size << 4 | u64::from(hex_value(byte));
            if self.size > self.body_left {
                return Err(ErrorKind::BodyTooLarge);
            }
        } else if next.is_overhead() || self.state == State::TrailerLf {
            self.overhead_left = self.overhead_left.checked_sub(1).ok_or(ErrorKind::Overhead)?;
            if next == State::TrailerName && line.is_empty() {
                self.trailers_left = self.trailers_left.checked_sub(1).ok_or(ErrorKind::TooManyTrailers)?;
            }
            if self.state == State::TrailerName && next == State::TrailerValue && is_forbidden_trailer(line) {
                return Err(ErrorKind::ForbiddenTrailer);
            }
        }
        Ok(())
    }

    /// The event of a complete chunk line.
    fn chunk<'a>(&mut self, line: &'a [u8]) -> Event<'a> {
        let digits = line.iter().take_while(|byte| is_hexdig(**byte)).count();
        self.body_left = self.body_left.saturating_sub(self.size);
        if self.size == 0 {
            self.state = State::TrailerStart;
        }
        Event::Chunk { size: self.size, extensions: part(line, digits) }
    }

    /// Refuses the byte at `i` of the input, and all bytes after it.
    #[cold]
    fn fail(&mut self, kind: ErrorKind, i: usize) -> Error {
        self.advance(i);
        self.state = State::Failed(kind);
        Error::new(kind, self.at)
    }

    /// Counts consumed bytes. Nothing depends on the count: it is only the place of an error. To
    /// stop it at 2^64 - 1, which takes centuries, would cost 3 % of the speed.
    #[inline]
    const fn advance(&mut self, n: usize) {
        self.at = self.at.wrapping_add(n as u64);
    }
}

/// The event of a complete trailer line.
fn trailer(line: &[u8]) -> Event<'_> {
    let name = token_len(line);
    Event::Trailer { name: &line[..name], value: trim_ows(part(line, name.saturating_add(1))) }
}

/// A line from `from` to its CRLF. Empty, instead of a panic, if the caller did not keep the bytes
/// of the line.
fn part(line: &[u8], from: usize) -> &[u8] {
    line.get(from..line.len().saturating_sub(2)).unwrap_or_default()
}

/// The value of a byte that is a hexadecimal digit.
const fn hex_value(byte: u8) -> u8 {
    // Letters have bit 6 set, and their low four bits begin at 1 (`A` is 0x41, `a` is 0x61). So add
    // 9: `A` is 10.
    (byte & 0xf).saturating_add((byte >> 6).saturating_mul(9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hexadecimal_digit_of_either_case_has_its_value() {
        for value in 0..16_u8 {
            let lower = b"0123456789abcdef"[usize::from(value)];
            assert_eq!(hex_value(lower), value);
            assert_eq!(hex_value(lower.to_ascii_uppercase()), value);
        }
    }

    #[test]
    fn done_after_the_end_and_not_before() {
        let mut decoder = Decoder::new(Limits::default());
        assert!(!decoder.is_done());
        assert_eq!(decoder.decode(b"0\r\n\r\n"), Ok((3, Some(Event::Chunk { size: 0, extensions: b"" }))));
        assert!(!decoder.is_done());
        assert_eq!(decoder.decode(b"\r\n"), Ok((2, Some(Event::End))));
        assert!(decoder.is_done());
    }

    /// The longest line has `u32::MAX` bytes, so `scanned`, a `u32`, can count it.
    #[test]
    fn a_line_can_always_be_counted() {
        let limits = Limits::DEFAULT.with_max_overhead(u32::MAX);
        assert_eq!(Decoder::new(limits).overhead_left.checked_add(MAX_DIGITS as u32 + 2), Some(u32::MAX));
    }

    #[test]
    fn a_decoder_has_40_bytes_at_most() {
        assert!(size_of::<Decoder>() <= 40, "{}", size_of::<Decoder>());
    }
}
