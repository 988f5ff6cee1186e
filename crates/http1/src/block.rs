//! Fields to send: checked when they are pushed, so that nothing in a head can end its line.

use crate::error::EncodeError;
use alloc::vec::Vec;
use tidewire_grammar::class::{is_field_content, is_field_vchar};
use tidewire_grammar::{eq_ignore_case, is_token, trim_ows};

/// Field lines, checked and encoded once: what a caller adds to a head, or sends as trailers.
///
/// A name that is no token, or a value with CR, LF, NUL or another control byte, cannot be pushed, so no head can be split by what
/// is in one. Encode the fields that all answers share once, and send the block with each.
///
/// ```
/// use tidewire_http1::FieldBlock;
///
/// let mut block = FieldBlock::new();
/// block.push("Content-Type", "text/plain")?;
/// assert!(block.push("X-Note", "a\r\nSet-Cookie: b").is_err());
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
    /// An empty block.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), close: false, upgrade: false }
    }

    /// An empty block with room for so many bytes of lines.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::new() }
    }

    /// A block of these fields.
    ///
    /// # Errors
    /// As [`push`](Self::push), for the first field that fails.
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
    /// `Connection` is the connection's to write, but its options are heard: `close` is as
    /// [`Connection::close`](crate::Connection::close), `upgrade` and `keep-alive` are written when they are true, and other options are kept.
    /// With an `Upgrade` field the head gets `Connection: Upgrade` (RFC 9110 §7.8).
    ///
    /// # Errors
    /// [`EncodeError::FieldName`], [`EncodeError::FieldValue`] (a connection option is a token), and [`EncodeError::FieldReserved`] for `Content-Length`,
    /// `Transfer-Encoding` and `Host`. The block is then as it was.
    pub fn push(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), EncodeError> {
        let (name, value) = (name.as_ref(), value.as_ref());
        if !is_token(name) {
            return Err(EncodeError::FieldName);
        }
        let edges = [value.first(), value.last()];
        if !value.iter().all(|&b| is_field_content(b))
            || !edges.into_iter().flatten().all(|&b| is_field_vchar(b))
        {
            return Err(EncodeError::FieldValue);
        }
        match name.len() {
            4 if eq_ignore_case(name, b"host") => return Err(EncodeError::FieldReserved),
            14 if eq_ignore_case(name, b"content-length") => return Err(EncodeError::FieldReserved),
            17 if eq_ignore_case(name, b"transfer-encoding") => return Err(EncodeError::FieldReserved),
            10 if eq_ignore_case(name, b"connection") => {
                let options =
                    || value.split(|&b| b == b',').map(trim_ows).filter(|option| !option.is_empty());
                if !options().all(is_token) {
                    return Err(EncodeError::FieldValue);
                }
                for option in options() {
                    match option.len() {
                        5 if eq_ignore_case(option, b"close") => self.close = true,
                        7 if eq_ignore_case(option, b"upgrade") => {}
                        10 if eq_ignore_case(option, b"keep-alive") => {}
                        _ => self.line(name, option),
                    }
                }
                return Ok(());
            }
            7 if eq_ignore_case(name, b"upgrade") => self.upgrade = true,
            _ => {}
        }
        self.line(name, value);
        Ok(())
    }

    /// Appends the fields of another block, which need not be checked again.
    pub fn append(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes);
        self.close |= other.close;
        self.upgrade |= other.upgrade;
    }

    /// The encoded lines, each with its CR LF.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The names of the fields, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        // No value has a line end in it, and no name a colon.
        self.bytes
            .split(|&b| b == b'\n')
            .filter_map(|line| line.split(|&b| b == b':').next())
            .filter(|name| !name.is_empty())
    }

    /// Empties the block and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        (self.close, self.upgrade) = (false, false);
    }

    fn line(&mut self, name: &[u8], value: &[u8]) {
        for part in [name, b": ", value, b"\r\n"] {
            self.bytes.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_line_cannot_be_pushed() {
        let mut block = FieldBlock::new();
        for value in ["a\r\nb: c", "a\n", "\r", "a\0b", "\x7f", "\x0b"] {
            assert_eq!(block.push("X", value), Err(EncodeError::FieldValue), "{value:?}");
        }
        for name in ["", "a b", "a:", "a\r\n", "\0", "caf\u{e9}"] {
            assert_eq!(block.push(name, "x"), Err(EncodeError::FieldName), "{name:?}");
        }
        assert_eq!(block.as_bytes(), b"");
    }

    /// It would not arrive: recipients take whitespace at the ends away.
    #[test]
    fn whitespace_at_the_ends_is_refused() {
        let mut block = FieldBlock::new();
        for value in [" a", "a ", "\ta", " "] {
            assert_eq!(block.push("X", value), Err(EncodeError::FieldValue), "{value:?}");
        }
        block.push("X", "").unwrap();
        block.push("Y", "a\t b").unwrap();
        block.push("Z", b"caf\xe9").unwrap();
        assert_eq!(block.as_bytes(), b"X: \r\nY: a\t b\r\nZ: caf\xe9\r\n");
    }

    #[test]
    fn framing_is_the_connections_to_write() {
        let mut block = FieldBlock::new();
        for name in ["content-LENGTH", "Transfer-Encoding", "host"] {
            assert_eq!(block.push(name, "1"), Err(EncodeError::FieldReserved), "{name}");
        }
    }

    #[test]
    fn connection_options_are_heard_and_not_written() {
        let mut block = FieldBlock::new();
        block.push("Connection", "keep-alive, Upgrade").unwrap();
        assert!(!block.close && !block.upgrade && block.as_bytes().is_empty());
        assert_eq!(block.push("Connection", "\"x, close"), Err(EncodeError::FieldValue));
        block.push("connection", "CLOSE, , x-mine").unwrap();
        assert!(block.close);
        assert_eq!(block.as_bytes(), b"connection: x-mine\r\n");
        block.push("Upgrade", "websocket").unwrap();
        assert!(block.upgrade);
        block.clear();
        assert!(!block.close && !block.upgrade && block.as_bytes().is_empty());
    }
}
