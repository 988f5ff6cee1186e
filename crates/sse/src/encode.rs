//! Events to bytes.

use alloc::vec::Vec;

use crate::error::{EncodeError, EncodeErrorKind};
use crate::scan::{is_line_end, line_end};

/// A heartbeat: an empty comment. It keeps proxies from closing a silent stream, and a browser does not see it.
pub const HEARTBEAT: &[u8] = b":\n";

/// An event to be written. Each part is left out where it is `None`.
///
/// ```
/// use tidewire_sse::Event;
///
/// let mut wire = Vec::new();
/// let event = Event { id: Some("7"), event: Some("tide"), data: Some("high\nlow"), ..Event::default() };
/// event.encode_to(&mut wire)?;
/// assert_eq!(wire, b"id: 7\nevent: tide\ndata: high\ndata: low\n\n");
/// # Ok::<(), tidewire_sse::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Event<'a> {
    /// The id with which a client comes back: it counts from the blank line on, also in an event without data. `Some("")` unsets it.
    /// Neither CR, LF nor NUL.
    pub id: Option<&'a str>,
    /// The event type. The empty one and `message` are what a client gets without any. Neither CR, LF nor NUL.
    pub event: Option<&'a str>,
    /// The time to wait before a reconnection, in milliseconds.
    pub retry: Option<u64>,
    /// The data; each of its lines goes on a line of its own. The format knows only LF as an end within data: CRLF and CR arrive as
    /// LF. `Some("")` is an event with empty data; with `None`, a browser sees no event.
    pub data: Option<&'a str>,
}

impl Event<'_> {
    /// The bytes that [`encode_to`](Event::encode_to) writes, if it writes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let mut count = Count(0);
        self.write(&mut count);
        count.0
    }

    /// Writes the event, with the blank line that ends it, to the start of `out` and returns its length.
    ///
    /// # Errors
    /// As [`encode_to`](Event::encode_to), and [`EncodeErrorKind::BufferTooSmall`]. Nothing is written then.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        self.check()?;
        let len = self.encoded_len();
        let out = out.get_mut(..len).ok_or(EncodeError::new(EncodeErrorKind::BufferTooSmall, len))?;
        self.write(&mut Front(out));
        Ok(len)
    }

    /// Appends the event, with the blank line that ends it.
    ///
    /// # Errors
    /// CR, LF or NUL in the id or the event type: they would be read as the start of another field, or drop the id.
    /// Nothing is written then.
    pub fn encode_to(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.check()?;
        out.reserve(self.likely_len());
        self.write(out);
        Ok(())
    }

    /// Appends the event, with the blank line that ends it.
    ///
    /// # Errors
    /// As [`encode_to`](Event::encode_to).
    #[cfg(feature = "bytes")]
    #[cfg_attr(docsrs, doc(cfg(feature = "bytes")))]
    pub fn encode_bytes(&self, out: &mut bytes::BytesMut) -> Result<(), EncodeError> {
        self.check()?;
        out.reserve(self.likely_len());
        self.write(out);
        Ok(())
    }

    fn check(&self) -> Result<(), EncodeError> {
        for (value, kind) in [(self.id, EncodeErrorKind::Id), (self.event, EncodeErrorKind::Event)] {
            let bad = |byte| is_line_end(byte) || byte == 0;
            if let Some(at) = value.and_then(|value| value.bytes().position(bad)) {
                return Err(EncodeError::new(kind, at));
            }
        }
        Ok(())
    }

    /// The length for data of one line: to grow the buffer once in the usual case.
    fn likely_len(&self) -> usize {
        let value = |value: Option<&str>| value.map_or(0, |value| "event: \n".len() + value.len());
        "retry: \n\n".len() + MAX_DIGITS + value(self.id) + value(self.event) + value(self.data)
    }

    fn write(&self, out: &mut impl Sink) {
        if let Some(id) = self.id {
            field(out, b"id: ", id.as_bytes());
        }
        if let Some(event) = self.event {
            field(out, b"event: ", event.as_bytes());
        }
        if let Some(retry) = self.retry {
            let mut digits = [0; MAX_DIGITS];
            field(out, b"retry: ", decimal(&mut digits, retry));
        }
        if let Some(data) = self.data {
            lines(out, b"data: ", data.as_bytes());
        }
        out.put(b"\n");
    }
}

/// Appends a comment: a client ignores it. Each of its lines becomes a line of comment.
pub fn comment_to(text: &str, out: &mut Vec<u8>) {
    lines(out, b": ", text.as_bytes());
}

fn field(out: &mut impl Sink, name: &[u8], value: &[u8]) {
    out.put(name);
    out.put(value);
    out.put(b"\n");
}

/// One field a line. The name has its one space always: without it, data that begins with a space would lose it.
///
/// Split at CR and CRLF as well as at LF. A client ends lines at all three, so an encoder that looks for LF alone lets whoever chooses
/// the data write fields of their own behind a CR.
fn lines(out: &mut impl Sink, name: &[u8], mut text: &[u8]) {
    loop {
        let end = line_end(text);
        field(out, name, &text[..end]);
        text = match &text[end..] {
            [] => return,
            [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
        };
    }
}

fn decimal(digits: &mut [u8; MAX_DIGITS], mut value: u64) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return &digits[at..];
        }
    }
}

/// The decimal digits of 2^64 - 1.
const MAX_DIGITS: usize = 20;

/// Where bytes go: one writer serves all buffers and the count.
trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(feature = "bytes")]
impl Sink for bytes::BytesMut {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

struct Count(usize);

impl Sink for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// The rest of a slice that is known to be long enough.
struct Front<'a>(&'a mut [u8]);

impl Sink for Front<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let (front, rest) = core::mem::take(&mut self.0).split_at_mut(bytes.len());
        front.copy_from_slice(bytes);
        self.0 = rest;
    }
}
