use crate::frame::Opcode;

/// The type of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A text message, which is UTF-8.
    Text,
    /// A binary message, which may have any bytes.
    Binary,
}

impl Kind {
    /// The opcode of the first frame of such a message.
    #[inline]
    #[must_use]
    pub const fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}
