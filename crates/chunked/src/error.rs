//! What was wrong, and at which byte.

use core::fmt;

/// Why a body was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    // Broke the grammar.
    /// No hexadecimal digit where a chunk size begins; or, after the size, a byte that begins
    /// neither an extension nor the end of the line.
    Size,
    /// A byte that is not allowed in a chunk extension.
    Extension,
    /// CR or LF in a quoted-string of an extension.
    OpenQuote,
    /// CR without LF or LF without CR, in a chunk line or in the trailer section.
    LineEnd,
    /// The content of a chunk is not followed by CR LF.
    DataEnd,
    /// A byte that is not allowed in the name of a trailer field, or a line without a name.
    TrailerName,
    /// A control byte in the value of a trailer field.
    TrailerValue,
    /// The input ended within the body.
    UnexpectedEnd,

    // Broke a rule.
    /// A trailer field that frames or routes a message, or that controls the connection
    /// ([`is_forbidden_trailer`]).
    ///
    /// [`is_forbidden_trailer`]: crate::is_forbidden_trailer
    ForbiddenTrailer,

    // Over a limit.
    /// A chunk size of more than 16 digits, also if they are zeros: it may not fit into 64 bits.
    SizeOverflow,
    /// More content than [`Limits::max_body`](crate::Limits::max_body).
    BodyTooLarge,
    /// More extension and trailer bytes than [`Limits::max_overhead`](crate::Limits::max_overhead).
    Overhead,
    /// More trailer fields than [`Limits::max_trailers`](crate::Limits::max_trailers).
    TooManyTrailers,
}

/// Why and where a body was refused. The error is final: the start of the next message is unknown,
/// so close the connection after the answer.
///
/// ```
/// use tidewire_chunked::{Decoder, ErrorKind, Limits};
///
/// let mut decoder = Decoder::new(Limits::DEFAULT.with_max_body(100));
/// let error = decoder.decode(b"65\r\n").unwrap_err(); // 101 bytes are announced
/// assert_eq!((error.kind(), error.offset(), error.status_hint()), (ErrorKind::BodyTooLarge, 1, 413));
/// assert_eq!(error.to_string(), "more content than the limit (max_body) at byte 1");
/// ```
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

    /// The first byte that cannot be accepted, counted from the start of the body. If the input
    /// ended too early, its length.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The status that a server answers: 413 for [`ErrorKind::BodyTooLarge`], else 400.
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
            Self::Size => "an invalid chunk size",
            Self::Extension => "a byte that is not allowed in a chunk extension",
            Self::OpenQuote => "CR or LF in a quoted-string of a chunk extension",
            Self::LineEnd => "a line that does not end in CR LF",
            Self::DataEnd => "chunk data not followed by CR LF",
            Self::TrailerName => "a byte that is not allowed in the name of a trailer field",
            Self::TrailerValue => "a byte that is not allowed in the value of a trailer field",
            Self::UnexpectedEnd => "the end of the input within a chunked body",
            Self::ForbiddenTrailer => "a field that is not allowed in trailers",
            Self::SizeOverflow => "a chunk size of more than 16 digits",
            Self::BodyTooLarge => "more content than the limit (max_body)",
            Self::Overhead => "more bytes of chunk extensions and trailers than the limit (max_overhead)",
            Self::TooManyTrailers => "more trailer fields than the limit (max_trailers)",
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
    // Broke the grammar.
    /// The name of a trailer field is not a token. The offset is in the name.
    Name,
    /// The value of a trailer field has a control byte (CR, LF and NUL among them), or whitespace
    /// at an end, which a decoder would remove. The offset is in the value.
    Value,
    /// The extensions of a chunk break the grammar. The offset is in the extensions; it is their
    /// length if they end too early.
    Extension,

    // Broke a rule.
    /// A trailer field that is not allowed in trailers
    /// ([`is_forbidden_trailer`](crate::is_forbidden_trailer)).
    ForbiddenTrailer,

    // The caller made a mistake.
    /// More data than the open chunk has room for. The offset is the number of bytes that fit.
    ChunkOverflow,
    /// A chunk, a trailer field or the end, but the open chunk needs more data.
    ChunkUnfinished,
    /// A chunk or data after the last chunk.
    AfterLastChunk,
    /// An event after the end of the body.
    AfterEnd,
    /// The buffer is too small. The offset is the number of bytes needed.
    BufferTooSmall,
}

/// Why something was not written. The output is unchanged.
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

    /// The place of the error; 0 if it has none. Each [`kind`](EncodeErrorKind) says what the
    /// offset counts.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.offset;
        match self.kind {
            EncodeErrorKind::Name => write!(f, "byte {at} of a name is not a token character"),
            EncodeErrorKind::Value => write!(f, "byte {at} of a value cannot be sent"),
            EncodeErrorKind::Extension => write!(f, "chunk extensions break the grammar at byte {at}"),
            EncodeErrorKind::ForbiddenTrailer => f.write_str("a field that is not allowed in trailers"),
            EncodeErrorKind::ChunkOverflow => write!(f, "only {at} bytes fit into the open chunk"),
            EncodeErrorKind::ChunkUnfinished => f.write_str("the open chunk needs more data"),
            EncodeErrorKind::AfterLastChunk => f.write_str("a chunk or data after the last chunk"),
            EncodeErrorKind::AfterEnd => f.write_str("an event after the end of the body"),
            EncodeErrorKind::BufferTooSmall => write!(f, "the buffer needs {at} bytes"),
        }
    }
}

impl core::error::Error for EncodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_content_is_413_and_every_other_error_400() {
        let hint = |kind| Error::new(kind, 0).status_hint();
        assert_eq!(hint(ErrorKind::BodyTooLarge), 413);
        for kind in [ErrorKind::Size, ErrorKind::SizeOverflow, ErrorKind::Overhead, ErrorKind::UnexpectedEnd]
        {
            assert_eq!(hint(kind), 400);
        }
    }
}
