//! What was wrong, and at which byte.

use core::fmt;

/// Why a stream was refused.
///
/// Every sequence of bytes is an event stream: what is not understood is ignored, what is no UTF-8 is replaced. So only limits can be
/// broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    // Over a limit.
    /// More data in one event than [`Limits::max_data`](crate::Limits::max_data).
    DataTooLong,
    /// A longer event type than [`Limits::max_name`](crate::Limits::max_name).
    EventTooLong,
    /// A longer id than [`Limits::max_name`](crate::Limits::max_name).
    IdTooLong,
}

/// A stream that was refused. Final: to leave the event out and go on would be a silent loss.
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
            ErrorKind::EventTooLong => "a longer event type than allowed",
            ErrorKind::IdTooLong => "a longer id than allowed",
        };
        write!(f, "{what} at byte {}", self.offset)
    }
}

impl core::error::Error for Error {}

/// Why an event cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    // Broke the grammar: what follows would be read as another field.
    /// CR, LF or NUL in the id; the offset is in the id.
    Id,
    /// CR, LF or NUL in the event type; the offset is in the event type.
    Event,
    // You misused us.
    /// The buffer is too small; the offset is the number of bytes needed.
    BufferTooSmall,
}

/// An event cannot be written. Nothing was.
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

    /// Where; each kind says in what.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            EncodeErrorKind::Id => write!(f, "CR, LF or NUL in an id, at byte {}", self.offset),
            EncodeErrorKind::Event => write!(f, "CR, LF or NUL in an event type, at byte {}", self.offset),
            EncodeErrorKind::BufferTooSmall => write!(f, "the buffer needs {} bytes", self.offset),
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
            (ErrorKind::EventTooLong, "a longer event type than allowed at byte 7"),
            (ErrorKind::IdTooLong, "a longer id than allowed at byte 7"),
        ] {
            assert_eq!(Error::new(kind, 7).to_string(), text);
        }
        for (kind, text) in [
            (EncodeErrorKind::Id, "CR, LF or NUL in an id, at byte 7"),
            (EncodeErrorKind::Event, "CR, LF or NUL in an event type, at byte 7"),
            (EncodeErrorKind::BufferTooSmall, "the buffer needs 7 bytes"),
        ] {
            assert_eq!(EncodeError::new(kind, 7).to_string(), text);
        }
    }
}
