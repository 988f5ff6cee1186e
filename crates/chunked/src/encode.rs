//! Encodes events to bytes.

use crate::chunk_head::{ChunkHead, hex_len, write_hex};
use crate::decode::Event;
use crate::error::{EncodeError, EncodeErrorKind};
use crate::extension::check_extensions;
use crate::trailer::is_forbidden_trailer;
use alloc::vec::Vec;
use tidewire_grammar::class::is_field_vchar;
use tidewire_grammar::token_len;

/// The last chunk and an empty trailer section: the end of a body without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Writes one chunked body, event by event, so that a decoder yields the same events.
///
/// A proxy that writes what a [`Decoder`](crate::Decoder) yields keeps the boundaries of the
/// chunks, the extensions and the trailers. Only leading zeros and the case of a chunk size, and
/// the whitespace around the value of a trailer, may differ.
///
/// | event | writes |
/// |---|---|
/// | [`Event::Chunk`] | a chunk line. [`Event::Data`] must then fill the chunk exactly, in pieces of any size. Size 0 begins the trailer section |
/// | [`Event::Data`] | content of the open chunk; or, where no chunk is open, a whole chunk. Empty data writes nothing |
/// | [`Event::Trailer`] | a trailer field, after the last chunk if that was not written |
/// | [`Event::End`] | the empty line, after the last chunk if that was not written |
///
/// Extensions are written as they are, with the whitespace that they have. Do not write whitespace
/// in extensions of your own: RFC 9110 §5.6.3 (1) forbids it.
///
/// If an event cannot be written, nothing is written, and the encoder can go on.
///
/// ```
/// use tidewire_chunked::{Encoder, Event};
///
/// let (mut encoder, mut wire) = (Encoder::new(), Vec::new());
/// encoder.encode_to(Event::Data(b"hello"), &mut wire)?; // a whole chunk
/// encoder.encode_to(Event::End, &mut wire)?;
/// assert_eq!(wire, b"5\r\nhello\r\n0\r\n\r\n");
/// # Ok::<(), tidewire_chunked::EncodeError>(())
/// ```
///
/// With a chunk that is filled in pieces, and a trailer:
///
/// ```
/// use tidewire_chunked::{EncodeErrorKind, Encoder, Event};
///
/// let (mut encoder, mut wire) = (Encoder::new(), Vec::new());
/// encoder.encode_to(Event::Data(b"hello"), &mut wire)?;
/// encoder.encode_to(Event::Chunk { size: 6, extensions: b";a=b" }, &mut wire)?;
/// encoder.encode_to(Event::Data(b" wor"), &mut wire)?;
/// let error = encoder.encode_to(Event::End, &mut wire).unwrap_err();
/// assert_eq!(error.kind(), EncodeErrorKind::ChunkUnfinished);
/// encoder.encode_to(Event::Data(b"ld"), &mut wire)?;
/// encoder.encode_to(Event::Trailer { name: b"Digest", value: b"abc" }, &mut wire)?;
/// encoder.encode_to(Event::End, &mut wire)?;
/// assert_eq!(wire, b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nDigest: abc\r\n\r\n");
/// # Ok::<(), tidewire_chunked::EncodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Encoder {
    state: State,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A chunk.
    Chunk,
    /// This many bytes of content of the open chunk, at least 1.
    Data(u64),
    /// Trailer fields, after the last chunk line.
    Trailers,
    /// Nothing.
    Done,
}

impl Encoder {
    /// An encoder at the start of a body.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Chunk }
    }

    /// Returns whether [`Event::End`] was written.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The number of bytes that [`encode_to`](Self::encode_to) would append.
    ///
    /// # Errors
    /// As [`encode_to`](Self::encode_to).
    pub fn encoded_len(&self, event: Event<'_>) -> Result<usize, EncodeError> {
        let next = self.state.after(event)?;
        Ok(len(self.state, event, next))
    }

    /// Writes the event to the start of `out`. Returns its length.
    ///
    /// # Errors
    /// As [`encode_to`](Self::encode_to), and [`EncodeErrorKind::BufferTooSmall`]. Then nothing is
    /// written.
    pub fn encode(&mut self, event: Event<'_>, out: &mut [u8]) -> Result<usize, EncodeError> {
        let next = self.state.after(event)?;
        let len = len(self.state, event, next);
        let mut rest = out.get_mut(..len).ok_or(EncodeError::new(EncodeErrorKind::BufferTooSmall, len))?;
        write(self.state, event, next, |part| {
            let (front, back) = core::mem::take(&mut rest).split_at_mut(part.len());
            front.copy_from_slice(part);
            rest = back;
        });
        self.state = next;
        Ok(len)
    }

    /// Appends the event.
    ///
    /// # Errors
    /// An event that is not allowed here, extensions that break the grammar, a trailer field that a
    /// decoder would refuse or change. Then nothing is written.
    pub fn encode_to(&mut self, event: Event<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let next = self.state.after(event)?;
        out.reserve(max_len(event));
        write(self.state, event, next, |part| out.extend_from_slice(part));
        self.state = next;
        Ok(())
    }

    /// Appends the event.
    ///
    /// # Errors
    /// As [`encode_to`](Self::encode_to).
    #[cfg(feature = "bytes")]
    #[cfg_attr(docsrs, doc(cfg(feature = "bytes")))]
    pub fn encode_bytes(&mut self, event: Event<'_>, out: &mut bytes::BytesMut) -> Result<(), EncodeError> {
        let next = self.state.after(event)?;
        out.reserve(max_len(event));
        write(self.state, event, next, |part| out.extend_from_slice(part));
        self.state = next;
        Ok(())
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// The next state, or why the event cannot be written.
    fn after(self, event: Event<'_>) -> Result<Self, EncodeError> {
        use EncodeErrorKind::{AfterEnd, AfterLastChunk, ChunkOverflow, ChunkUnfinished};
        match (self, event) {
            (Self::Done, _) => Err(EncodeError::new(AfterEnd, 0)),

            (state, Event::Data(b"")) => Ok(state),
            (Self::Chunk, Event::Data(_)) => Ok(Self::Chunk),
            (Self::Data(left), Event::Data(data)) => match left.checked_sub(data.len() as u64) {
                Some(0) => Ok(Self::Chunk),
                Some(left) => Ok(Self::Data(left)),
                None => Err(EncodeError::new(
                    ChunkOverflow,
                    usize::try_from(left).expect("the space left is less than the length of a slice"),
                )),
            },
            (Self::Data(_), _) => Err(EncodeError::new(ChunkUnfinished, 0)),

            (Self::Chunk, Event::Chunk { size, extensions }) => {
                check_extensions(extensions)?;
                Ok(if size == 0 { Self::Trailers } else { Self::Data(size) })
            }
            (Self::Trailers, Event::Chunk { .. } | Event::Data(_)) => {
                Err(EncodeError::new(AfterLastChunk, 0))
            }

            (Self::Chunk | Self::Trailers, Event::Trailer { name, value }) => {
                check_trailer(name, value)?;
                Ok(Self::Trailers)
            }
            (Self::Chunk | Self::Trailers, Event::End) => Ok(Self::Done),
        }
    }
}

/// Writes an event that leads from the state `before` to `next`.
#[inline]
fn write(before: State, event: Event<'_>, next: State, mut put: impl FnMut(&[u8])) {
    match (before, event) {
        (_, Event::Data(b"")) => {}
        (State::Chunk, Event::Data(data)) => {
            chunk_line(data.len() as u64, &[], &mut put);
            put(data);
            put(CRLF);
        }
        (_, Event::Data(data)) => {
            put(data);
            if next == State::Chunk {
                put(CRLF);
            }
        }
        (_, Event::Chunk { size, extensions }) => chunk_line(size, extensions, put),
        (before, Event::Trailer { name, value }) => {
            if before == State::Chunk {
                chunk_line(0, &[], &mut put);
            }
            for part in [name, b": ", value, CRLF] {
                put(part);
            }
        }
        (State::Trailers, Event::End) => put(CRLF),
        (_, Event::End) => put(LAST_CHUNK),
    }
}

fn len(before: State, event: Event<'_>, next: State) -> usize {
    let mut len = 0_usize;
    write(before, event, next, |part| len = len.saturating_add(part.len()));
    len
}

/// An upper bound of the bytes that an event writes. Used to reserve memory once; faster than the
/// exact [`len`].
fn max_len(event: Event<'_>) -> usize {
    const DATA: usize = ChunkHead::MAX_LEN + CRLF.len();
    const TRAILER: usize = "0\r\n: \r\n".len();
    match event {
        Event::Data(data) => data.len().saturating_add(DATA),
        Event::Chunk { extensions, .. } => extensions.len().saturating_add(ChunkHead::MAX_LEN),
        Event::Trailer { name, value } => name.len().saturating_add(value.len()).saturating_add(TRAILER),
        Event::End => LAST_CHUNK.len(),
    }
}

fn chunk_line(size: u64, extensions: &[u8], mut put: impl FnMut(&[u8])) {
    let mut line = [0; ChunkHead::MAX_LEN];
    let digits = hex_len(size);
    write_hex(&mut line[..digits], size);
    if extensions.is_empty() {
        let end = digits.saturating_add(CRLF.len());
        line[digits..end].copy_from_slice(CRLF);
        put(&line[..end]);
    } else {
        for part in [&line[..digits], extensions, CRLF] {
            put(part);
        }
    }
}

const CRLF: &[u8] = b"\r\n";

/// Appends the last chunk and a trailer section: the end of a body.
///
/// A `Trailer` header field should have announced the names (RFC 9110 §6.6.2). If anything depends
/// on the trailers, the client should have sent `TE: trailers` (§6.5.1).
///
/// # Errors
/// A name that is not a token or may not be used in trailers, a value that has a control byte or
/// whitespace at an end. Then nothing is appended.
///
/// ```
/// let mut wire = Vec::new();
/// tidewire_chunked::encode_trailers([(&b"Digest"[..], &b"abc"[..])], &mut wire)?;
/// assert_eq!(wire, b"0\r\nDigest: abc\r\n\r\n");
/// # Ok::<(), tidewire_chunked::EncodeError>(())
/// ```
pub fn encode_trailers<'a>(
    fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let before = out.len();
    let mut encoder = Encoder::new();
    let trailers = fields.into_iter().map(|(name, value)| Event::Trailer { name, value });
    let written = trailers.chain([Event::End]).try_for_each(|event| encoder.encode_to(event, out));
    if written.is_err() {
        out.truncate(before);
    }
    written
}

/// Returns whether a decoder would accept a trailer field and not change it.
fn check_trailer(name: &[u8], value: &[u8]) -> Result<(), EncodeError> {
    let token = token_len(name);
    if token < name.len() || name.is_empty() {
        return Err(EncodeError::new(EncodeErrorKind::Name, token));
    }
    if is_forbidden_trailer(name) {
        return Err(EncodeError::new(EncodeErrorKind::ForbiddenTrailer, 0));
    }
    let last = value.len().wrapping_sub(1);
    let bad = |(i, byte): (usize, &u8)| {
        !is_field_vchar(*byte) && (i == 0 || i == last || !matches!(byte, b' ' | b'\t'))
    };
    match value.iter().enumerate().position(bad) {
        Some(at) => Err(EncodeError::new(EncodeErrorKind::Value, at)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use EncodeErrorKind::*;

    #[test]
    fn trailers_that_cannot_arrive_are_refused() {
        let refused = |name: &str, value: &str, kind, offset| {
            let mut out = b"before".to_vec();
            let good = (&b"a"[..], &b"b"[..]);
            let error = encode_trailers([good, (name.as_bytes(), value.as_bytes())], &mut out).unwrap_err();
            assert_eq!(
                (error.kind(), error.offset(), &out[..]),
                (kind, offset, &b"before"[..]),
                "{name}: {value}"
            );
        };
        refused("", "x", Name, 0);
        refused("a b", "x", Name, 1);
        refused("a:", "x", Name, 1);
        refused("a\r\nb", "x", Name, 1);
        refused("a", "x\r\nb: c", Value, 1);
        refused("a", "x\ny", Value, 1);
        refused("a", "x\0", Value, 1);
        refused("a", " x", Value, 0);
        refused("a", "xy\t", Value, 2);
        refused("Content-Length", "5", ForbiddenTrailer, 0);
        let mut out = Vec::new();
        encode_trailers([(&b"a"[..], &b""[..]), (b"b", b"x \ty\x80")], &mut out).unwrap();
        assert_eq!(out, b"0\r\na: \r\nb: x \ty\x80\r\n\r\n");
        out.clear();
        encode_trailers([], &mut out).unwrap();
        assert_eq!(out, LAST_CHUNK);
    }

    #[test]
    fn an_event_in_the_wrong_place_is_refused_and_writes_nothing() {
        let chunk = |size| Event::Chunk { size, extensions: b"" };
        let trailer = Event::Trailer { name: b"a", value: b"b" };
        for (before, event, kind, offset) in [
            (&[chunk(5)][..], Event::Data(b"hello!"), ChunkOverflow, 5),
            (&[chunk(5), Event::Data(b"hel")], Event::Data(b"lo!"), ChunkOverflow, 2),
            (&[chunk(5), Event::Data(b"hell")], chunk(1), ChunkUnfinished, 0),
            (&[chunk(5)], trailer, ChunkUnfinished, 0),
            (&[chunk(u64::MAX)], Event::End, ChunkUnfinished, 0),
            (&[chunk(0)], Event::Data(b"x"), AfterLastChunk, 0),
            (&[trailer], chunk(1), AfterLastChunk, 0),
            (&[trailer], chunk(0), AfterLastChunk, 0),
            (&[Event::End], Event::End, AfterEnd, 0),
            (&[Event::End], Event::Data(b""), AfterEnd, 0),
            (&[], Event::Chunk { size: 1, extensions: b";a=" }, Extension, 3),
        ] {
            let (mut encoder, mut out) = (Encoder::new(), Vec::new());
            for event in before {
                encoder.encode_to(*event, &mut out).unwrap();
            }
            let (state, len) = (encoder.state, out.len());
            let error = encoder.encode_to(event, &mut out).unwrap_err();
            assert_eq!((error.kind(), error.offset()), (kind, offset), "{before:?} {event:?}");
            assert_eq!((encoder.state, out.len()), (state, len));
            assert_eq!(encoder.encoded_len(event), Err(error));
            assert_eq!(encoder.encode(event, &mut [0; 100]), Err(error));
        }
    }

    #[test]
    fn a_small_buffer_is_left_unchanged() {
        let event = Event::Chunk { size: 0x100, extensions: b";a" };
        let (mut encoder, mut out) = (Encoder::new(), [7; 6]);
        let error = encoder.encode(event, &mut out).unwrap_err();
        assert_eq!((error.kind(), error.offset(), out), (BufferTooSmall, 7, [7; 6]));
        let mut out = [7; 8];
        assert_eq!((encoder.encode(event, &mut out), &out), (Ok(7), b"100;a\r\n\x07"));
        assert_eq!(encoder.encoded_len(Event::Data(&[0; 0x100])), Ok(0x102));
    }

    #[test]
    fn empty_data_writes_nothing() {
        let (mut encoder, mut out) = (Encoder::default(), Vec::new());
        encoder.encode_to(Event::Data(b""), &mut out).unwrap();
        encoder.encode_to(Event::Chunk { size: 1, extensions: b"" }, &mut out).unwrap();
        encoder.encode_to(Event::Data(b""), &mut out).unwrap();
        encoder.encode_to(Event::Data(b"x"), &mut out).unwrap();
        assert!(!encoder.is_done());
        encoder.encode_to(Event::End, &mut out).unwrap();
        assert!(encoder.is_done());
        assert_eq!(out, b"1\r\nx\r\n0\r\n\r\n");
    }
}
