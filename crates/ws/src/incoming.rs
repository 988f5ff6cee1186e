//! The message that is being received, out of its frames.

#[cfg(feature = "bytes")]
use crate::Message;
use crate::utf8::PartialCharacter;
use crate::{Kind, Limits};
use alloc::string::String;
use alloc::vec::Vec;

/// The message that is being received. Its fragments gather in one buffer, whose growth follows the
/// bytes that really came: how many fragments there are does not matter, and what a header declares
/// reserves nothing.
#[derive(Debug)]
pub(crate) struct IncomingMessage {
    gathered: Gathered,
    utf8: PartialCharacter,
    empty_fragments: u32,
    pub(crate) kind: Kind,
    /// The present data frame is the last one of its message.
    pub(crate) fin: bool,
    /// A byte of this message was put into the buffer, so the rest has to go there as well.
    pub(crate) gathering: bool,
}

/// A text gathers as a `String`: each piece is checked once, when it arrives, and the whole needs
/// no second look.
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

    /// Counts a frame without payload; false when there were too many.
    pub(crate) const fn count_empty(&mut self, limits: &Limits) -> bool {
        self.empty_fragments = self.empty_fragments.saturating_add(1);
        self.empty_fragments <= limits.max_empty_fragments
    }

    /// Adds a piece. An error is the index of its first impossible byte.
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

    /// Checks a piece that is handed out by itself.
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

    /// The buffer of a binary message that gathers.
    #[cfg(feature = "tokio")]
    pub(crate) fn binary_mut(&mut self) -> Option<&mut Vec<u8>> {
        match &mut self.gathered {
            Gathered::Binary(bytes) if self.gathering => Some(bytes),
            _ => None,
        }
    }

    /// What has gathered, of either kind.
    #[cfg(feature = "deflate")]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self.kind {
            Kind::Text => self.text().as_bytes(),
            Kind::Binary => self.binary(),
        }
    }

    /// The message that has gathered, with its buffer.
    #[cfg(feature = "bytes")]
    pub(crate) fn take(&mut self) -> Message {
        self.gathering = false;
        match core::mem::replace(&mut self.gathered, Gathered::Nothing) {
            Gathered::Text(text) => Message::Text(text),
            Gathered::Binary(bytes) => Message::Binary(bytes.into()),
            Gathered::Nothing if self.kind == Kind::Text => Message::Text(String::new()),
            Gathered::Nothing => Message::Binary(bytes::Bytes::new()),
        }
    }

    /// Forgets a message that was handed out, but keeps a buffer that is not large for the next one
    /// of the same read.
    pub(crate) fn clear(&mut self) {
        self.gathering = false;
        match &mut self.gathered {
            Gathered::Text(text) if text.capacity() <= MAX_KEPT => text.clear(),
            Gathered::Binary(bytes) if bytes.capacity() <= MAX_KEPT => bytes.clear(),
            gathered => *gathered = Gathered::Nothing,
        }
    }

    /// Frees what has gathered: a connection that waits holds no buffer, nor does one that failed.
    #[inline]
    pub(crate) fn free(&mut self) {
        self.gathered = Gathered::Nothing;
    }
}

/// A larger buffer is not kept for the next message, which may never be as large: a peer would have
/// memory for what it has not sent.
const MAX_KEPT: usize = 64 * 1024;
