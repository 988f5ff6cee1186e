//! Encodes events as bytes.

use alloc::vec::Vec;

use crate::decode::{DEFAULT_EVENT_TYPE, Event};
use crate::error::{EncodeError, EncodeErrorKind};
use crate::scan::{is_line_end, line_end};

/// A heartbeat: an empty comment. It keeps proxies from closing a silent stream. A browser's page
/// does not see it.
pub const HEARTBEAT: &[u8] = b":\n";

/// The media type of an event stream.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// The fields of one event, to be written as one block. A field that is `None` is left out.
///
/// ```
/// use tidewire_sse::EventFields;
///
/// let mut wire = Vec::new();
/// let event =
///     EventFields { id: Some("7"), event: Some("tide"), data: Some("high\nlow"), retry: None };
/// event.encode_to(&mut wire)?;
/// assert_eq!(wire, b"id: 7\nevent: tide\ndata: high\ndata: low\n\n");
/// # Ok::<(), tidewire_sse::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventFields<'a> {
    /// The last event ID, which a client sends when it reconnects. It is set at the end of the
    /// block, also if the block has no data. `Some("")` unsets it. No CR, LF or NUL.
    pub id: Option<&'a str>,
    /// The event type. Without one, or with an empty one, a client takes `message`. No CR, LF or
    /// NUL.
    pub event: Option<&'a str>,
    /// The time that a client waits before it reconnects, in milliseconds.
    pub retry: Option<u64>,
    /// The data. Each of its lines becomes a `data` line. CR and CRLF arrive as LF: within data the
    /// format has no other line end. `Some("")` is an event with empty data. With `None` a client
    /// dispatches no event.
    pub data: Option<&'a str>,
}

impl EventFields<'_> {
    /// The number of bytes that [`encode_to`](Self::encode_to) appends if it does not fail.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let mut count = Count(0);
        self.write(&mut count);
        count.0
    }

    /// Writes the block, with the blank line that ends it, to the start of `out`. Returns its
    /// length.
    ///
    /// # Errors
    /// As [`encode_to`](Self::encode_to), and [`EncodeErrorKind::BufferTooSmall`]. Then nothing is
    /// written.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        self.check()?;
        self.encode_checked(out)
    }

    fn encode_checked(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        let len = self.encoded_len();
        self.write(&mut front(out, len)?);
        Ok(len)
    }

    /// Appends the block, with the blank line that ends it.
    ///
    /// # Errors
    /// CR, LF or NUL in the id or the event type. A client would read what follows CR or LF as
    /// another field, and ignores an id with NUL. Then nothing is written.
    pub fn encode_to(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.check()?;
        self.append(out);
        Ok(())
    }

    fn append(&self, out: &mut Vec<u8>) {
        out.reserve(self.likely_len());
        self.write(out);
    }

    /// Appends the block, with the blank line that ends it.
    ///
    /// # Errors
    /// As [`encode_to`](Self::encode_to).
    #[cfg(feature = "bytes")]
    #[cfg_attr(docsrs, doc(cfg(feature = "bytes")))]
    pub fn encode_bytes(&self, out: &mut bytes::BytesMut) -> Result<(), EncodeError> {
        self.check()?;
        self.append_bytes(out);
        Ok(())
    }

    #[cfg(feature = "bytes")]
    fn append_bytes(&self, out: &mut bytes::BytesMut) {
        out.reserve(self.likely_len());
        self.write(out);
    }

    /// The encoded block, in a buffer of exactly its length.
    ///
    /// # Errors
    /// As [`encode_to`](Self::encode_to).
    #[cfg(feature = "bytes")]
    #[cfg_attr(docsrs, doc(cfg(feature = "bytes")))]
    pub fn to_bytes(&self) -> Result<bytes::Bytes, EncodeError> {
        self.check()?;
        Ok(self.checked_to_bytes())
    }

    #[cfg(feature = "bytes")]
    fn checked_to_bytes(&self) -> bytes::Bytes {
        let mut out = bytes::BytesMut::with_capacity(self.encoded_len());
        self.write(&mut out);
        out.freeze()
    }

    pub(crate) fn check(&self) -> Result<(), EncodeError> {
        let is_invalid = |byte| is_line_end(byte) || byte == 0;
        refuse(self.id, EncodeErrorKind::Id, is_invalid)?;
        refuse(self.event, EncodeErrorKind::EventType, is_invalid)
    }

    /// The most bytes that an event with one line of data has. Reserving them lets the buffer grow
    /// only once.
    pub(crate) fn likely_len(&self) -> usize {
        const NAME: usize = "event: \n".len();
        const REST: usize = "retry: \n\n".len() + MAX_DIGITS;
        let value = |value: Option<&str>| value.map_or(0, |value| value.len().saturating_add(NAME));
        REST.saturating_add(value(self.id)).saturating_add(value(self.event)).saturating_add(value(self.data))
    }

    pub(crate) fn write(&self, out: &mut impl Sink) {
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

/// Writes an event so that a decoder yields the same event: a proxy can forward what it reads.
///
/// Each event is a block of its own. A [`Message`](Event::Message) always has its id, also an empty
/// one, which unsets the last id. It has its type unless that is `message`.
///
/// ```
/// use tidewire_sse::{EncodeErrorKind, Event};
///
/// let mut wire = Vec::new();
/// Event::Message { event_type: "tide", data: "high", last_event_id: "7" }.encode_to(&mut wire)?;
/// Event::Retry(2000).encode_to(&mut wire)?;
/// assert_eq!(wire, b"id: 7\nevent: tide\ndata: high\n\nretry: 2000\n\n");
///
/// let message = Event::Message { event_type: "message", data: "a\rb", last_event_id: "" };
/// assert_eq!(message.encode_to(&mut wire).unwrap_err().kind(), EncodeErrorKind::Data);
/// # Ok::<(), tidewire_sse::EncodeError>(())
/// ```
impl<'a> Event<'a> {
    /// The number of bytes that [`encode_to`](Self::encode_to) appends if it does not fail.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.fields().encoded_len()
    }

    /// Writes the event to the start of `out`. Returns its length.
    ///
    /// # Errors
    /// As [`encode_to`](Self::encode_to), and [`EncodeErrorKind::BufferTooSmall`]. Then nothing is
    /// written.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, EncodeError> {
        self.checked_fields()?.encode_checked(out)
    }

    /// Appends the event.
    ///
    /// # Errors
    /// CR, LF or NUL in the id, CR or LF in the event type, an empty event type, CR in the data: a
    /// client would not read the same. Then nothing is written.
    pub fn encode_to(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.checked_fields()?.append(out);
        Ok(())
    }

    /// Appends the event.
    ///
    /// # Errors
    /// As [`encode_to`](Self::encode_to).
    #[cfg(feature = "bytes")]
    #[cfg_attr(docsrs, doc(cfg(feature = "bytes")))]
    pub fn encode_bytes(&self, out: &mut bytes::BytesMut) -> Result<(), EncodeError> {
        self.checked_fields()?.append_bytes(out);
        Ok(())
    }

    /// The encoded event, in a buffer of exactly its length.
    ///
    /// # Errors
    /// As [`encode_to`](Self::encode_to).
    #[cfg(feature = "bytes")]
    #[cfg_attr(docsrs, doc(cfg(feature = "bytes")))]
    pub fn to_bytes(&self) -> Result<bytes::Bytes, EncodeError> {
        Ok(self.checked_fields()?.checked_to_bytes())
    }

    /// Returns the fields, if a client reads all of them unchanged. A type may have NUL, which
    /// [`EventFields`] refuses: a decoder yields such a type, so a proxy must be able to forward
    /// it.
    fn checked_fields(&self) -> Result<EventFields<'a>, EncodeError> {
        let fields = self.fields();
        refuse(fields.id, EncodeErrorKind::Id, |byte| is_line_end(byte) || byte == 0)?;
        refuse(fields.event, EncodeErrorKind::EventType, is_line_end)?;
        if fields.event == Some("") {
            return Err(EncodeError::new(EncodeErrorKind::EventType, 0));
        }
        refuse(fields.data, EncodeErrorKind::Data, |byte| byte == b'\r')?;
        Ok(fields)
    }

    fn fields(&self) -> EventFields<'a> {
        match *self {
            Self::Message { event_type, data, last_event_id } => EventFields {
                id: Some(last_event_id),
                event: (event_type != DEFAULT_EVENT_TYPE).then_some(event_type),
                retry: None,
                data: Some(data),
            },
            Self::Id(id) => EventFields { id: Some(id), ..EventFields::default() },
            Self::Retry(ms) => EventFields { retry: Some(ms), ..EventFields::default() },
        }
    }
}

/// Returns an error with the offset of the first invalid byte, if there is one.
fn refuse(
    value: Option<&str>,
    kind: EncodeErrorKind,
    is_invalid: impl Fn(u8) -> bool,
) -> Result<(), EncodeError> {
    match value.and_then(|value| value.bytes().position(is_invalid)) {
        Some(at) => Err(EncodeError::new(kind, at)),
        None => Ok(()),
    }
}

/// Appends a comment, which a client ignores. Each line of the text becomes a line of comment.
pub fn comment_to(text: &str, out: &mut Vec<u8>) {
    lines(out, b": ", text.as_bytes());
}

fn field(out: &mut impl Sink, name: &[u8], value: &[u8]) {
    out.put(name);
    out.put(value);
    out.put(b"\n");
}

/// Writes a field for each line of the text. A space always follows the colon: a client removes one
/// space, and without ours it would remove the first space of the data.
///
/// A line ends at CR, LF or CRLF, as a client reads it. An encoder that looks for LF alone lets the
/// author of the data write other fields after a CR.
pub(crate) fn lines(out: &mut impl Sink, name: &[u8], mut text: &[u8]) {
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
    let mut start = digits.len();
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' | (value % 10) as u8;
        value /= 10;
        start = at;
        if value == 0 {
            break;
        }
    }
    &digits[start..]
}

/// The decimal digits of 2^64 - 1.
const MAX_DIGITS: usize = 20;

/// A buffer, or a count: one function writes to all of them.
pub(crate) trait Sink {
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

/// Counts the bytes.
pub(crate) struct Count(pub(crate) usize);

impl Sink for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.0 = self.0.saturating_add(bytes.len());
    }
}

/// The start of a buffer that must have `len` bytes.
pub(crate) fn front(out: &mut [u8], len: usize) -> Result<Front<'_>, EncodeError> {
    out.get_mut(..len).map(Front).ok_or(EncodeError::new(EncodeErrorKind::BufferTooSmall, len))
}

/// The unwritten part of a slice that is long enough.
pub(crate) struct Front<'a>(&'a mut [u8]);

impl Sink for Front<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let (front, rest) = core::mem::take(&mut self.0).split_at_mut(bytes.len());
        front.copy_from_slice(bytes);
        self.0 = rest;
    }
}
