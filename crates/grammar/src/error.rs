//! What was wrong, and at which byte of the input.

use core::fmt;

/// Why the input is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NumberErrorKind {
    /// The input is empty.
    Empty,
    /// The byte at the offset is not a digit of the base.
    NotADigit,
    /// With the digit at the offset, the number is larger than `u64::MAX`.
    Overflow,
}

/// The input is not `1*DIGIT` (or `1*HEXDIG`), or the number does not fit into 64 bits.
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

    /// The index of the first byte that cannot be accepted.
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

/// Why the input breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyntaxErrorKind {
    /// The rule needs another byte at the offset, such as a token, `;`, `=` or an opening quote.
    UnexpectedByte,
    /// A byte that a quoted-string cannot have, also not after a backslash: a control byte.
    BadQuotedByte,
    /// The input ends where the rule needs more bytes, such as a token, a value or a closing quote.
    UnexpectedEnd,
}

/// The input breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    kind: SyntaxErrorKind,
    offset: usize,
}

impl SyntaxError {
    pub(crate) const fn new(kind: SyntaxErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }

    /// The same error, with its offset in a slice that starts `by` bytes earlier.
    pub(crate) const fn shifted(self, by: usize) -> Self {
        Self { kind: self.kind, offset: self.offset.saturating_add(by) }
    }

    /// What was wrong.
    #[must_use]
    pub const fn kind(&self) -> SyntaxErrorKind {
        self.kind
    }

    /// The index of the first byte that cannot be accepted. If the input ended too early, its
    /// length.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            SyntaxErrorKind::UnexpectedByte => "an unexpected byte",
            SyntaxErrorKind::BadQuotedByte => "a byte that is not allowed in a quoted-string",
            SyntaxErrorKind::UnexpectedEnd => "the input ends too early",
        };
        write!(f, "{what} at byte {}", self.offset)
    }
}

impl core::error::Error for SyntaxError {}
