//! Where in a line the decoder is.
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
//! CR, LF and CRLF end a line. A CR ends it *at once*: to wait for an LF would hold an event back until the next one. The LF that may follow
//! is dropped at the start of the next line.
//!
//! Lines are cut before the UTF-8 is looked at. The standard decodes first, and the result is the same: CR, LF, colon and space are ASCII, which is
//! never a part of a longer sequence, valid or not.

/// The state between two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// At the start of the stream; so many bytes of the byte order mark have come.
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

/// The fields that the standard knows. Names are compared byte by byte: `Data` and `data ` are unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Data,
    Event,
    Id,
    Retry,
}

impl Field {
    /// The field that a line starts with, if its name and the colon are all there, and where the colon is.
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

/// The name of a field as far as it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name {
    bytes: [u8; LONGEST],
    len: u8,
}

impl Name {
    /// With one more byte; `None` if no known name is that long.
    pub(crate) fn push(mut self, byte: u8) -> Option<Self> {
        *self.bytes.get_mut(usize::from(self.len))? = byte;
        self.len += 1;
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

/// The length of `event` and `retry`.
const LONGEST: usize = 5;

/// The value of a `retry` field as far as it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    Empty,
    Millis(u64),
    /// There was something else than ASCII digits.
    Bad,
}

impl Retry {
    /// With more bytes. A number over 2^64 - 1 stays there: the standard has no upper bound, and half a billion years are enough.
    pub(crate) fn push(self, bytes: &[u8]) -> Self {
        // HTML §9.2.6 (9)
        bytes.iter().fold(self, |retry, &byte| match (retry, byte) {
            (Self::Empty, b'0'..=b'9') => Self::Millis(u64::from(byte - b'0')),
            (Self::Millis(ms), b'0'..=b'9') => {
                Self::Millis(ms.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
            }
            _ => Self::Bad,
        })
    }
}
