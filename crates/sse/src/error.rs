//! What was wrong, and at which byte.

use core::fmt;

/// Why a stream was refused.
///
/// Every sequence of bytes is an event stream: unknown fields are ignored, and bytes that are not
/// UTF-8 are replaced. So the only errors are limits that were passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    // Over a limit.
    /// More data in one event than [`Limits::max_data`](crate::Limits::max_data).
    DataTooLong,
    /// An event type longer than [`Limits::max_name`](crate::Limits::max_name).
    EventTooLong,
    /// An id longer than [`Limits::max_name`](crate::Limits::max_name).
    IdTooLong,
}

/// Why and where a stream was refused. The error is final: a decoder that skipped the event would
/// lose a message silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    offset: u64,
}

impl Error {
    pub(crate) const fn new(kind: ErrorKind, offset: u64) -> Self {
        Self { kind, offset }
    }

    /// What was wrong.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The first byte that cannot be accepted, counted from the start of the stream.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ErrorKind::DataTooLong => "more data in one event than allowed",
            ErrorKind::EventTooLong => "an event type longer than allowed",
            ErrorKind::IdTooLong => "an id longer than allowed",
        };
        write!(f, "{what} at byte {}", self.offset)
    }
}

impl core::error::Error for Error {}

/// Why an event cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    // Broke the grammar: a client would read another field, or other text.
    /// CR, LF or NUL in the id. The offset is in the id.
    Id,
    /// CR or LF in the event type, NUL in the type of [`EventFields`](crate::EventFields), or an
    /// empty type in an [`Event`](crate::Event). The offset is in the event type.
    EventType,
    /// CR in the data of an [`Event`](crate::Event): a client would read LF instead. The offset is
    /// in the data. ([`EventFields`](crate::EventFields) takes CR as the end of a line.)
    Data,
    // You misused us.
    /// The buffer is too small. The offset is the number of bytes needed.
    BufferTooSmall,
}

/// Why an event was not written. The output is unchanged.
///
/// ```
/// use tidewire_sse::{EncodeErrorKind, OutgoingEvent};
///
/// let mut wire = Vec::new();
/// let error = OutgoingEvent::data("high").with_id("7\ndata: forged").encode_to(&mut wire).unwrap_err();
/// assert_eq!((error.kind(), error.offset(), wire.len()), (EncodeErrorKind::Id, 1, 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeError {
    kind: EncodeErrorKind,
    offset: usize,
}

impl EncodeError {
    pub(crate) const fn new(kind: EncodeErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }

    /// What was wrong.
    #[must_use]
    pub const fn kind(&self) -> EncodeErrorKind {
        self.kind
    }

    /// The place of the error. Each [`kind`](EncodeErrorKind) says what the offset counts.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.offset;
        match self.kind {
            EncodeErrorKind::Id => write!(f, "CR, LF or NUL in an id, at byte {at}"),
            EncodeErrorKind::EventType => {
                write!(f, "CR, LF or NUL in an event type, or an empty event type, at byte {at}")
            }
            EncodeErrorKind::Data => write!(f, "CR in the data of an event, at byte {at}"),
            EncodeErrorKind::BufferTooSmall => write!(f, "the buffer needs {at} bytes"),
        }
    }
}

impl core::error::Error for EncodeError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn an_error_says_what_and_where() {
        for (kind, text) in [
            (ErrorKind::DataTooLong, "more data in one event than allowed at byte 7"),
            (ErrorKind::EventTooLong, "an event type longer than allowed at byte 7"),
            (ErrorKind::IdTooLong, "an id longer than allowed at byte 7"),
        ] {
            assert_eq!(Error::new(kind, 7).to_string(), text);
        }
        for (kind, text) in [
            (EncodeErrorKind::Id, "CR, LF or NUL in an id, at byte 7"),
            (EncodeErrorKind::EventType, "CR, LF or NUL in an event type, or an empty event type, at byte 7"),
            (EncodeErrorKind::Data, "CR in the data of an event, at byte 7"),
            (EncodeErrorKind::BufferTooSmall, "the buffer needs 7 bytes"),
        ] {
            assert_eq!(EncodeError::new(kind, 7).to_string(), text);
        }
    }
}
