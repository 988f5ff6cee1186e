//! What was wrong, and at which byte of the slice that was handed in.

use core::fmt;

/// Why bytes are no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NumberErrorKind {
    /// There is no digit at all.
    Empty,
    /// The byte at the offset is no digit of the base.
    NotADigit,
    /// The digits up to and with the one at the offset say more than `u64::MAX`.
    Overflow,
}

/// The bytes are not `1*DIGIT` (or `1*HEXDIG`), or the number does not fit into 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberError {
    kind: NumberErrorKind,
    offset: usize,
}

impl NumberError {
    pub(crate) const fn new(kind: NumberErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }

    /// What was wrong.
    #[must_use]
    pub const fn kind(&self) -> NumberErrorKind {
        self.kind
    }

    /// Index of the first byte that cannot be accepted.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            NumberErrorKind::Empty => "a number without a digit",
            NumberErrorKind::NotADigit => "not a digit",
            NumberErrorKind::Overflow => "a number over 64 bits",
        };
        write!(f, "{what} at byte {}", self.offset)
    }
}

impl core::error::Error for NumberError {}

/// Why bytes are no parameter or no quoted-string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyntaxErrorKind {
    /// Another byte was due at the offset: a token, `;`, `=`, or an opening quote.
    UnexpectedByte,
    /// A byte that may not stand in a quoted-string, nor be escaped in one: a control byte.
    BadQuotedByte,
    /// The input ends where a token, a value or a closing quote is still due.
    UnexpectedEnd,
}

/// The bytes do not follow the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    kind: SyntaxErrorKind,
    offset: usize,
}

impl SyntaxError {
    pub(crate) const fn new(kind: SyntaxErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }

    /// The same error in the coordinates of a slice that starts `by` bytes earlier.
    pub(crate) const fn shifted(self, by: usize) -> Self {
        Self { kind: self.kind, offset: self.offset + by }
    }

    /// What was wrong.
    #[must_use]
    pub const fn kind(&self) -> SyntaxErrorKind {
        self.kind
    }

    /// Index of the first byte that cannot be accepted; the length of the input if it ended too early.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            SyntaxErrorKind::UnexpectedByte => "an unexpected byte",
            SyntaxErrorKind::BadQuotedByte => "a byte that no quoted-string can hold",
            SyntaxErrorKind::UnexpectedEnd => "an early end",
        };
        write!(f, "{what} at byte {}", self.offset)
    }
}

impl core::error::Error for SyntaxError {}
