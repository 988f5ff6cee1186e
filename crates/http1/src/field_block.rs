//! Fields to send. They are checked when they are pushed, so no field can end its line early.

use crate::error::{EncodeError, EncodeErrorKind};
use alloc::vec::Vec;
use tidewire_chunked::is_forbidden_trailer;
use tidewire_grammar::class::{is_field_content, is_field_vchar};
use tidewire_grammar::{eq_ignore_case, is_token, range_of, token_len, trim_ows};

/// Field lines, checked and encoded once. A caller adds them to a head, or sends them as trailers.
///
/// `push` refuses a name that is not a token, and a value with CR, LF, NUL or another control
/// byte. So no field can inject another one (response splitting). Encode the fields that all
/// responses share once, and send the block with each response.
///
/// ```
/// use tidewire_http1::FieldBlock;
///
/// let mut block = FieldBlock::new();
/// block.push("Content-Type", "text/plain")?;
/// let error = block.push("X-Note", "a\r\nSet-Cookie: b").unwrap_err();
/// assert_eq!(error.offset(), 1); // the CR
/// assert_eq!(block.as_bytes(), b"Content-Type: text/plain\r\n");
/// # Ok::<(), tidewire_http1::EncodeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct FieldBlock {
    bytes: Vec<u8>,
    /// `Connection: close` was pushed.
    pub(crate) close: bool,
    /// `Upgrade` was pushed.
    pub(crate) upgrade: bool,
}

impl FieldBlock {
    /// Returns an empty block.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), close: false, upgrade: false }
    }

    /// Returns an empty block with room for this many bytes of field lines.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::new() }
    }

    /// Returns a block of these fields.
    ///
    /// # Errors
    /// The error of [`push`](Self::push) for the first refused field.
    pub fn from_pairs<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, EncodeError> {
        let mut block = Self::new();
        for (name, value) in pairs {
            block.push(name, value)?;
        }
        Ok(block)
    }

    /// Appends a field.
    ///
    /// The connection writes the field `Connection` itself, but takes the options that are pushed.
    /// `close` has the effect of [`Connection::close`](crate::Connection::close). `upgrade` and
    /// `keep-alive` are ignored: the connection writes them where they apply. All other options
    /// are sent. A head with an `Upgrade` field also gets `Connection: Upgrade` (RFC 9110 §7.8).
    ///
    /// # Errors
    /// [`EncodeErrorKind::FieldName`], [`EncodeErrorKind::FieldValue`], and
    /// [`EncodeErrorKind::ReservedField`] for `Content-Length`, `Transfer-Encoding` and `Host`.
    /// The block is unchanged then.
    pub fn push(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), EncodeError> {
        let (name, value) = (name.as_ref(), value.as_ref());
        if !is_token(name) {
            return Err(EncodeError::new(EncodeErrorKind::FieldName, token_len(name)));
        }
        let edges = [value.first(), value.last()];
        if !value.iter().all(|&b| is_field_content(b))
            || !edges.into_iter().flatten().all(|&b| is_field_vchar(b))
        {
            return Err(EncodeError::new(EncodeErrorKind::FieldValue, refused_byte(value)));
        }
        let reserved = Err(EncodeError::from_kind(EncodeErrorKind::ReservedField));
        match name.len() {
            4 if eq_ignore_case(name, b"host") => return reserved,
            14 if eq_ignore_case(name, b"content-length") => return reserved,
            17 if eq_ignore_case(name, b"transfer-encoding") => return reserved,
            10 if eq_ignore_case(name, b"connection") => return self.push_connection(name, value),
            7 if eq_ignore_case(name, b"upgrade") => self.upgrade = true,
            _ => {}
        }
        self.push_line(name, value);
        Ok(())
    }

    /// Takes the options of a `Connection` field.
    fn push_connection(&mut self, name: &[u8], value: &[u8]) -> Result<(), EncodeError> {
        let options = || value.split(|&b| b == b',').map(trim_ows).filter(|option| !option.is_empty());
        if let Some(option) = options().find(|option| !is_token(option)) {
            let at = range_of(option, value).start.saturating_add(token_len(option));
            return Err(EncodeError::new(EncodeErrorKind::FieldValue, at));
        }
        for option in options() {
            match option.len() {
                5 if eq_ignore_case(option, b"close") => self.close = true,
                7 if eq_ignore_case(option, b"upgrade") => {}
                10 if eq_ignore_case(option, b"keep-alive") => {}
                _ => self.push_line(name, option),
            }
        }
        Ok(())
    }

    /// Appends a field that is sent as a trailer.
    #[cfg(any(feature = "codec", test))]
    pub(crate) fn push_trailer(&mut self, name: &[u8], value: &[u8]) -> Result<(), EncodeError> {
        if is_forbidden_trailer(name) {
            return Err(EncodeError::from_kind(EncodeErrorKind::ForbiddenTrailer));
        }
        self.push(name, value)
    }

    /// Checks that all fields of the block may be sent as trailers (RFC 9110 §6.5.1).
    pub(crate) fn check_trailers(&self) -> Result<(), EncodeError> {
        // `Connection: close` leaves no line.
        if self.close || self.names().any(is_forbidden_trailer) {
            return Err(EncodeError::from_kind(EncodeErrorKind::ForbiddenTrailer));
        }
        Ok(())
    }

    /// Appends the fields of another block. They are not checked again.
    pub fn append(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes);
        self.close |= other.close;
        self.upgrade |= other.upgrade;
    }

    /// Returns the encoded field lines, each with its CR LF.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The names of the fields, in their order.
    fn names(&self) -> impl Iterator<Item = &[u8]> {
        // No value contains a line end, and no name contains a colon.
        self.bytes
            .split(|&b| b == b'\n')
            .filter_map(|line| line.split(|&b| b == b':').next())
            .filter(|name| !name.is_empty())
    }

    /// Removes all fields and keeps the allocated memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        (self.close, self.upgrade) = (false, false);
    }

    fn push_line(&mut self, name: &[u8], value: &[u8]) {
        for part in [name, b": ", value, b"\r\n"] {
            self.bytes.extend_from_slice(part);
        }
    }
}

/// Index of the first byte for which a field value is refused: a control byte, or whitespace at
/// either end.
#[cold]
fn refused_byte(value: &[u8]) -> usize {
    let last = value.len().saturating_sub(1);
    let refused =
        |(at, &b): (usize, &u8)| !is_field_content(b) || (at == 0 || at == last) && !is_field_vchar(b);
    value.iter().enumerate().position(refused).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kind of a refusal and its offset.
    fn refusal(result: Result<(), EncodeError>) -> (EncodeErrorKind, usize) {
        let error = result.unwrap_err();
        (error.kind(), error.offset())
    }

    #[test]
    fn bytes_that_would_end_a_line_cannot_be_pushed() {
        let mut block = FieldBlock::new();
        for (value, at) in [("a\r\nb: c", 1), ("a\n", 1), ("\r", 0), ("a\0b", 1), ("\x7f", 0), ("a \x0b", 2)]
        {
            assert_eq!(refusal(block.push("X", value)), (EncodeErrorKind::FieldValue, at), "{value:?}");
        }
        for (name, at) in [("", 0), ("a b", 1), ("a:", 1), ("a\r\n", 1), ("\0", 0), ("caf\u{e9}", 3)] {
            assert_eq!(refusal(block.push(name, "x")), (EncodeErrorKind::FieldName, at), "{name:?}");
        }
        assert_eq!(block.as_bytes(), b"");
    }

    /// Recipients remove whitespace at the ends, so it would not arrive.
    #[test]
    fn whitespace_at_the_ends_is_refused() {
        let mut block = FieldBlock::new();
        for (value, at) in [(" a", 0), ("a ", 1), ("\ta", 0), (" ", 0)] {
            assert_eq!(refusal(block.push("X", value)), (EncodeErrorKind::FieldValue, at), "{value:?}");
        }
        block.push("X", "").unwrap();
        block.push("Y", "a\t b").unwrap();
        block.push("Z", b"caf\xe9").unwrap();
        assert_eq!(block.as_bytes(), b"X: \r\nY: a\t b\r\nZ: caf\xe9\r\n");
    }

    #[test]
    fn framing_fields_cannot_be_pushed() {
        let mut block = FieldBlock::new();
        for name in ["content-LENGTH", "Transfer-Encoding", "host"] {
            assert_eq!(refusal(block.push(name, "1")), (EncodeErrorKind::ReservedField, 0), "{name}");
        }
    }

    #[test]
    fn connection_options_are_taken_and_not_written() {
        let mut block = FieldBlock::new();
        block.push("Connection", "keep-alive, Upgrade").unwrap();
        assert!(!block.close && !block.upgrade && block.as_bytes().is_empty());
        for (value, at) in [("\"x, close", 0), ("close, x y", 8)] {
            assert_eq!(
                refusal(block.push("Connection", value)),
                (EncodeErrorKind::FieldValue, at),
                "{value}"
            );
        }
        assert!(!block.close);
        block.push("connection", "CLOSE, , x-mine").unwrap();
        assert!(block.close);
        assert_eq!(block.as_bytes(), b"connection: x-mine\r\n");
        block.push("Upgrade", "websocket").unwrap();
        assert!(block.upgrade);
        block.clear();
        assert!(!block.close && !block.upgrade && block.as_bytes().is_empty());
    }

    #[test]
    fn fields_that_are_forbidden_in_trailers_are_refused() {
        let mut block = FieldBlock::new();
        for name in ["Content-Length", "host", "Connection", "upgrade", "Trailer"] {
            let refused = refusal(block.push_trailer(name.as_bytes(), b"a"));
            assert_eq!(refused, (EncodeErrorKind::ForbiddenTrailer, 0), "{name}");
        }
        block.push_trailer(b"Digest", b"x").unwrap();
        block.check_trailers().unwrap();
        block.push("Upgrade", "x").unwrap();
        assert_eq!(refusal(block.check_trailers()), (EncodeErrorKind::ForbiddenTrailer, 0));
    }
}
