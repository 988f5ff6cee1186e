//! The state of the decoder within a line.
//!
//! ```text
//!           no BOM
//!   Bom ──────────────► LineStart ──── CR, LF: the line was blank, the event is complete
//!    │ └─ all of it ──►  ▲  │  │
//!    │                   │  │  └─ ":" ─────────────────────────────┐
//!    │ part of it: no    │  └─ else ─► Name ── not one of the four ┤
//!    │ field's name      │              │ ":"            ┌─────────▼───────┐
//!    └───────────────────┼──────────────┼───────────────►│ Skip (any length)│
//!                        │              ▼                └─────────┬───────┘
//!                        │          Space(field)                   │
//!                        │              ▼ one " " is dropped       │
//!                        │          Value(field)                   │
//!                        └───── CR, LF ─┴──────────────────────────┘
//! ```
//!
//! CR, LF and CRLF end a line. A CR ends the line *at once*: waiting for an LF would hold an event
//! back until the next one comes. If LF follows, it is dropped at the start of the next line.
//!
//! The decoder splits lines before it decodes UTF-8. The standard decodes first. The result is the
//! same: CR, LF, colon and space are ASCII, and an ASCII byte is never part of a longer sequence.

/// The state between two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// At the start of the stream, after this many bytes of the byte order mark.
    Bom(u8),
    /// At the start of a line.
    LineStart,
    /// In the name of a field.
    Name(Name),
    /// After the colon.
    Space(Field),
    /// In the value.
    Value(Field),
    /// In a comment or a field of an unknown name.
    Skip,
}

/// The fields of the standard. Names must match exactly: `Data` and `data ` are unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Data,
    Event,
    Id,
    Retry,
}

impl Field {
    /// The field whose name and colon `line` starts with, and the index of the colon.
    pub(crate) const fn starts(line: &[u8]) -> Option<(Self, usize)> {
        match line {
            [b'd', b'a', b't', b'a', b':', ..] => Some((Self::Data, 4)),
            [b'e', b'v', b'e', b'n', b't', b':', ..] => Some((Self::Event, 5)),
            [b'i', b'd', b':', ..] => Some((Self::Id, 2)),
            [b'r', b'e', b't', b'r', b'y', b':', ..] => Some((Self::Retry, 5)),
            _ => None,
        }
    }
}

/// The bytes of a field's name that have come so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name {
    bytes: [u8; LONGEST],
    len: u8,
}

impl Name {
    /// Appends a byte. `None` if no known name is that long.
    pub(crate) fn push(mut self, byte: u8) -> Option<Self> {
        *self.bytes.get_mut(usize::from(self.len))? = byte;
        self.len = self.len.saturating_add(1);
        Some(self)
    }

    pub(crate) fn field(&self) -> Option<Field> {
        match &self.bytes[..usize::from(self.len)] {
            b"data" => Some(Field::Data),
            b"event" => Some(Field::Event),
            b"id" => Some(Field::Id),
            b"retry" => Some(Field::Retry),
            _ => None,
        }
    }
}

/// The length of the longest names, `event` and `retry`.
const LONGEST: usize = 5;

/// The value of a `retry` field that has come so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    Empty,
    Millis(u64),
    /// The value has a byte that is not an ASCII digit.
    Bad,
}

impl Retry {
    /// Appends bytes. A number over 2^64 - 1 becomes 2^64 - 1: the standard has no upper bound, and
    /// that is half a billion years.
    pub(crate) fn push(self, bytes: &[u8]) -> Self {
        // HTML §9.2.6 (9)
        bytes.iter().fold(self, |retry, &byte| match (retry, byte) {
            (Self::Empty, b'0'..=b'9') => Self::Millis(u64::from(byte & 0xf)),
            (Self::Millis(ms), b'0'..=b'9') => {
                Self::Millis(ms.saturating_mul(10).saturating_add(u64::from(byte & 0xf)))
            }
            _ => Self::Bad,
        })
    }
}
