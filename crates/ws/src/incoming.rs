//! The message that is being received, put together from its frames.

use crate::utf8::PartialCharacter;
use crate::{Kind, Limits};
#[cfg(feature = "bytes")]
use crate::{Message, Text};
use alloc::string::String;
use alloc::vec::Vec;

/// The message that is being received. All its fragments go into one buffer. The buffer grows with
/// the bytes that arrive: neither the number of fragments nor a declared length matters.
#[derive(Debug)]
pub(crate) struct IncomingMessage {
    gathered: Gathered,
    utf8: PartialCharacter,
    empty_fragments: u32,
    pub(crate) kind: Kind,
    /// The current data frame is the last one of its message.
    pub(crate) fin: bool,
    /// The buffer holds bytes of this message, so the rest must go there as well.
    pub(crate) gathering: bool,
}

/// A text is collected as a `String`: each piece is checked once, when it arrives, and the whole is
/// not checked again.
#[derive(Debug)]
enum Gathered {
    Nothing,
    Text(String),
    Binary(Vec<u8>),
}

impl IncomingMessage {
    pub(crate) const fn new() -> Self {
        Self {
            gathered: Gathered::Nothing,
            utf8: PartialCharacter::new(),
            empty_fragments: 0,
            kind: Kind::Binary,
            fin: false,
            gathering: false,
        }
    }

    pub(crate) fn begin(&mut self, kind: Kind) {
        self.kind = kind;
        self.utf8 = PartialCharacter::new();
        self.empty_fragments = 0;
        self.gathering = false;
    }

    /// Counts a frame without payload. Returns false when there are too many.
    pub(crate) const fn count_empty(&mut self, limits: &Limits) -> bool {
        self.empty_fragments = self.empty_fragments.saturating_add(1);
        self.empty_fragments <= limits.max_empty_fragments
    }

    /// Adds a piece. The error is the index of the first byte that is not UTF-8.
    pub(crate) fn gather(&mut self, piece: &[u8]) -> Result<(), usize> {
        self.gathering = true;
        match self.kind {
            Kind::Text => {
                if !matches!(self.gathered, Gathered::Text(_)) {
                    self.gathered = Gathered::Text(String::new());
                }
                let Gathered::Text(text) = &mut self.gathered else { return Ok(()) };
                self.utf8.push(piece, |characters| text.push_str(characters))
            }
            Kind::Binary => {
                if !matches!(self.gathered, Gathered::Binary(_)) {
                    self.gathered = Gathered::Binary(Vec::new());
                }
                let Gathered::Binary(bytes) = &mut self.gathered else { return Ok(()) };
                bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// Checks a piece that is returned by itself.
    pub(crate) fn check(&mut self, piece: &[u8]) -> Result<(), usize> {
        match self.kind {
            Kind::Text => self.utf8.push(piece, |_| ()),
            Kind::Binary => Ok(()),
        }
    }

    /// Whether the text may end here.
    pub(crate) fn ends_whole(&self) -> bool {
        self.utf8.is_whole()
    }

    pub(crate) fn text(&self) -> &str {
        if let Gathered::Text(text) = &self.gathered { text } else { "" }
    }

    pub(crate) fn binary(&self) -> &[u8] {
        if let Gathered::Binary(bytes) = &self.gathered { bytes } else { &[] }
    }

    /// The buffer of a binary message, if it is in use.
    #[cfg(any(feature = "blocking", feature = "tokio"))]
    pub(crate) fn binary_mut(&mut self) -> Option<&mut Vec<u8>> {
        match &mut self.gathered {
            Gathered::Binary(bytes) if self.gathering => Some(bytes),
            _ => None,
        }
    }

    /// The collected bytes, of text or binary.
    #[cfg(feature = "deflate")]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self.kind {
            Kind::Text => self.text().as_bytes(),
            Kind::Binary => self.binary(),
        }
    }

    /// Takes the collected message, together with its buffer.
    #[cfg(feature = "bytes")]
    pub(crate) fn take(&mut self) -> Message {
        self.gathering = false;
        match core::mem::replace(&mut self.gathered, Gathered::Nothing) {
            Gathered::Text(text) => Message::Text(text.into()),
            Gathered::Binary(bytes) => Message::Binary(bytes.into()),
            Gathered::Nothing if self.kind == Kind::Text => Message::Text(Text::new()),
            Gathered::Nothing => Message::Binary(bytes::Bytes::new()),
        }
    }

    /// Forgets a message that was returned. A small buffer is kept for the next message of the same
    /// read.
    pub(crate) fn clear(&mut self) {
        self.gathering = false;
        match &mut self.gathered {
            Gathered::Text(text) if text.capacity() <= MAX_KEPT => text.clear(),
            Gathered::Binary(bytes) if bytes.capacity() <= MAX_KEPT => bytes.clear(),
            gathered => *gathered = Gathered::Nothing,
        }
    }

    /// Frees the buffer. A connection that waits or failed holds none.
    #[inline]
    pub(crate) fn free(&mut self) {
        self.gathered = Gathered::Nothing;
    }
}

/// A larger buffer is freed. The next message may be short, and a peer must not occupy memory for
/// bytes that it has not sent.
const MAX_KEPT: usize = 64 * 1024;
