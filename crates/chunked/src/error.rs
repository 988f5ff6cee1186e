//! What was wrong, and at which byte.

use core::fmt;

/// Why a body was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    // Broke the grammar.
    /// No hexadecimal digit where the size of a chunk begins, or a byte after it that starts neither an extension nor
    /// the end of the line.
    Size,
    /// A byte that has no place in a chunk extension.
    Extension,
    /// A quoted-string of an extension is still open at CR or LF.
    OpenQuote,
    /// CR without LF or LF without CR, in a chunk line or in the trailer section.
    LineEnd,
    /// The content of a chunk is not followed by CR LF.
    DataEnd,
    /// A byte that has no place in the name of a trailer field, or a line that has no name.
    TrailerName,
    /// A control byte in the value of a trailer field.
    TrailerValue,
    /// The input ended within the body.
    UnexpectedEnd,

    // Broke a rule.
    /// A trailer field that frames, routes or would re-frame a message ([`is_forbidden_trailer`]).
    ///
    /// [`is_forbidden_trailer`]: crate::is_forbidden_trailer
    ForbiddenTrailer,

    // Over a limit.
    /// A chunk size of more than 16 digits, leading zeros included: it may not fit into 64 bits.
    SizeOverflow,
    /// More content than [`Limits::max_body`](crate::Limits::max_body).
    BodyTooLarge,
    /// More extension and trailer bytes than [`Limits::max_overhead`](crate::Limits::max_overhead).
    Overhead,
    /// More trailer fields than [`Limits::max_trailers`](crate::Limits::max_trailers).
    TooManyTrailers,
}

/// A body that was refused. Final: where one chunk ends wrongly, nobody knows where the next message starts, so the
/// connection must be closed after the answer.
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

    /// The first byte that cannot be accepted, counted from the start of the body; the length of the input if it
    /// ended too early.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The status a server answers with: 413 for [`ErrorKind::BodyTooLarge`], else 400.
    #[must_use]
    pub const fn status_hint(&self) -> u16 {
        match self.kind {
            ErrorKind::BodyTooLarge => 413,
            _ => 400,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "no valid chunk size",
            Self::Extension => "a byte that no chunk extension can hold",
            Self::OpenQuote => "a line end in a quoted-string of a chunk extension",
            Self::LineEnd => "a line that does not end in CR LF",
            Self::DataEnd => "chunk data not followed by CR LF",
            Self::TrailerName => "a byte that no trailer field name can hold",
            Self::TrailerValue => "a byte that no trailer field value can hold",
            Self::UnexpectedEnd => "an end within a chunked body",
            Self::ForbiddenTrailer => "a field that may not stand in trailers",
            Self::SizeOverflow => "a chunk size of more than 16 digits",
            Self::BodyTooLarge => "more content than allowed",
            Self::Overhead => "more chunk extension and trailer bytes than allowed",
            Self::TooManyTrailers => "more trailer fields than allowed",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.offset)
    }
}

impl core::error::Error for Error {}

/// Why something cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// The name of an extension or trailer field is no token; the offset is in the name.
    Name,
    /// The value holds a byte that the wire cannot carry there (CR, LF, NUL, another control byte) or has whitespace
    /// at an end, which would not arrive; the offset is in the value.
    Value,
    /// A trailer field that a recipient must not see in trailers ([`is_forbidden_trailer`](crate::is_forbidden_trailer)).
    ForbiddenTrailer,
    /// The buffer is too small; the offset is the number of bytes needed.
    BufferTooSmall,
}

/// Something cannot be written. Nothing was.
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
            EncodeErrorKind::Name => write!(f, "byte {} of a name is no token character", self.offset),
            EncodeErrorKind::Value => write!(f, "byte {} of a value cannot be sent", self.offset),
            EncodeErrorKind::ForbiddenTrailer => f.write_str("a field that may not stand in trailers"),
            EncodeErrorKind::BufferTooSmall => write!(f, "the buffer needs {} bytes", self.offset),
        }
    }
}

impl core::error::Error for EncodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_content_is_413_and_all_else_400() {
        let hint = |kind| Error::new(kind, 0).status_hint();
        assert_eq!(hint(ErrorKind::BodyTooLarge), 413);
        for kind in [ErrorKind::Size, ErrorKind::SizeOverflow, ErrorKind::Overhead, ErrorKind::UnexpectedEnd]
        {
            assert_eq!(hint(kind), 400);
        }
    }
}
