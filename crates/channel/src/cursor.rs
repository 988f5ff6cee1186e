//! A position in a log, and its text.
//!
//! ```text
//!   1kq9f3hx2vz0c - 4711
//!   └── epoch ──┘   └ sequence number, decimal: the last message that the reader has
//!    base 36
//! ```
//!
//! A cursor holds no time: clocks step back, and two messages may share a millisecond. The epoch
//! says *which* log is meant. A log that is created anew counts from 1 again, so without the epoch
//! `4711` would mean another message. A cursor has one spelling: no leading zeros, lower case only.
//! So its text can be compared, and serves as `ETag` and SSE `id`.

use core::fmt;
use core::str::FromStr;

use crate::error::{CursorError, CursorErrorKind};

/// Identifies a log. The owner takes a new number whenever it creates a log, so that cursors of an
/// earlier log are recognised.
///
/// Use a random number, or a counter in durable storage. This crate has no source of random numbers
/// and no storage. Do not use 0: it is the epoch of [`Cursor::FOREIGN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(u64);

impl Epoch {
    /// Creates the epoch with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for Epoch {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

/// A position in one log: the reader has everything up to and including message `seq`.
///
/// Reading "since" a cursor is exclusive: the next message is `seq + 1`. A log counts from 1, so
/// `seq` 0 is the position before the first message. Cursors have no order, because cursors of two
/// epochs cannot be compared.
///
/// Its text ([`Display`](fmt::Display), [`FromStr`]) has only the bytes `[0-9a-z-]` and at most
/// [`Cursor::MAX_LEN`] of them. It needs no escaping in a URL, a header field, an SSE `id` or JSON.
///
/// ```
/// use tidewire_channel::{Cursor, Epoch};
///
/// let cursor = Cursor::new(Epoch::new(35), 4711);
/// assert_eq!(cursor.to_string(), "z-4711");
/// assert_eq!("z-4711".parse(), Ok(cursor));
/// assert!("z-04711".parse::<Cursor>().is_err()); // one spelling only
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    epoch: Epoch,
    seq: u64,
}

impl Cursor {
    /// The length of the longest text: 13 digits of base 36, the hyphen, 20 decimal digits.
    pub const MAX_LEN: usize = 34;

    /// A position in no log. Every log answers it with a reset, if no owner gives a log the epoch
    /// 0.
    ///
    /// Use it in place of a position that is no cursor, such as the event id of another server. The
    /// reader is told of a reset. If its connection is cut before the reset arrives, it comes back
    /// with the text of this cursor and is told again.
    pub const FOREIGN: Self = Self { epoch: Epoch(0), seq: 0 };

    /// Creates the position after message `seq` of the log `epoch`.
    #[must_use]
    pub const fn new(epoch: Epoch, seq: u64) -> Self {
        Self { epoch, seq }
    }

    /// Returns the epoch of the log.
    #[must_use]
    pub const fn epoch(self) -> Epoch {
        self.epoch
    }

    /// Returns the number of the last message read; 0 before the first.
    #[must_use]
    pub const fn seq(self) -> u64 {
        self.seq
    }

    /// Parses the text of a cursor.
    ///
    /// # Errors
    /// The text is not exactly as [`Display`](fmt::Display) writes it. The offset is that of the
    /// first wrong byte.
    pub const fn parse(text: &[u8]) -> Result<Self, CursorError> {
        let (epoch, at) = match number(text, 0, 36) {
            Ok(parsed) => parsed,
            Err(error) => return Err(error),
        };
        if at == text.len() {
            return Err(CursorError::new(CursorErrorKind::UnexpectedEnd, at));
        }
        if text[at] != b'-' {
            return Err(CursorError::new(CursorErrorKind::UnexpectedByte, at));
        }
        let (seq, at) = match number(text, at.saturating_add(1), 10) {
            Ok(parsed) => parsed,
            Err(error) => return Err(error),
        };
        if at != text.len() {
            return Err(CursorError::new(CursorErrorKind::UnexpectedByte, at));
        }
        Ok(Self { epoch: Epoch(epoch), seq })
    }
}

/// Reads one number of `base` from `start` on. Returns its value, and the index of the first byte
/// after it.
const fn number(text: &[u8], start: usize, base: u64) -> Result<(u64, usize), CursorError> {
    let mut value: u64 = 0;
    let mut at = start;
    while at < text.len() {
        let digit = match text[at] {
            byte @ b'0'..=b'9' => (byte & 0xf) as u64,
            // The low five bits of a letter begin at 1.
            byte @ b'a'..=b'z' => ((byte & 0x1f) as u64).saturating_add(9),
            _ => break,
        };
        if digit >= base {
            break;
        }
        if at == start.saturating_add(1) && text[start] == b'0' {
            return Err(CursorError::new(CursorErrorKind::LeadingZero, start));
        }
        value = match value.checked_mul(base) {
            Some(shifted) => match shifted.checked_add(digit) {
                Some(sum) => sum,
                None => return Err(CursorError::new(CursorErrorKind::Overflow, at)),
            },
            None => return Err(CursorError::new(CursorErrorKind::Overflow, at)),
        };
        at = at.saturating_add(1);
    }
    if at > start {
        Ok((value, at))
    } else if at == text.len() {
        Err(CursorError::new(CursorErrorKind::UnexpectedEnd, at))
    } else {
        Err(CursorError::new(CursorErrorKind::UnexpectedByte, at))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; Self::MAX_LEN];
        f.pad(self.write(&mut buffer))
    }
}

impl Cursor {
    /// Writes the text from the end of the buffer towards its front, last digit first.
    pub(crate) fn write(self, buffer: &mut [u8; Self::MAX_LEN]) -> &str {
        let at = digits(buffer, Self::MAX_LEN, self.seq, |n| (n / 10, (n % 10) as u8));
        let at = at.saturating_sub(1);
        buffer[at] = b'-';
        let at = digits(buffer, at, self.epoch.0, |n| (n / 36, (n % 36) as u8));
        core::str::from_utf8(&buffer[at..]).expect("only digits, letters and the hyphen were written")
    }
}

/// Writes `value` so that it ends before `end`. Returns where it starts. `split` returns a number
/// without its last digit, and that digit.
fn digits(
    buffer: &mut [u8; Cursor::MAX_LEN],
    end: usize,
    mut value: u64,
    split: impl Fn(u64) -> (u64, u8),
) -> usize {
    let mut at = end;
    loop {
        at = at.saturating_sub(1);
        let (rest, digit) = split(value);
        buffer[at] = b"0123456789abcdefghijklmnopqrstuvwxyz"[usize::from(digit)];
        value = rest;
        if value == 0 {
            return at;
        }
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        Self::parse(text.as_bytes())
    }
}

/// Where a reader wants to start.
///
/// Its text is `earliest`, `now` or a cursor. The words have no hyphen and a cursor has one, so
/// they cannot be confused.
///
/// ```
/// use tidewire_channel::{Cursor, Epoch, Since};
///
/// assert_eq!("now".parse(), Ok(Since::Now));
/// // The field `Last-Event-ID` of a request:
/// assert_eq!(Since::parse(b"7-42"), Ok(Since::After(Cursor::new(Epoch::new(7), 42))));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Since {
    /// At the earliest message that is still kept.
    Earliest,
    /// Now: only messages that are yet to come.
    Now,
    /// After the last message that the reader has.
    After(Cursor),
}

impl Since {
    /// Parses `earliest`, `now` or a cursor.
    ///
    /// # Errors
    /// As [`Cursor::parse`].
    pub const fn parse(text: &[u8]) -> Result<Self, CursorError> {
        match text {
            b"earliest" => Ok(Self::Earliest),
            b"now" => Ok(Self::Now),
            _ => match Cursor::parse(text) {
                Ok(cursor) => Ok(Self::After(cursor)),
                Err(error) => Err(error),
            },
        }
    }
}

impl From<Cursor> for Since {
    fn from(cursor: Cursor) -> Self {
        Self::After(cursor)
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.pad("earliest"),
            Self::Now => f.pad("now"),
            Self::After(cursor) => cursor.fmt(f),
        }
    }
}

impl FromStr for Since {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        Self::parse(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn error(text: &str) -> (CursorErrorKind, usize) {
        let error = Cursor::parse(text.as_bytes()).unwrap_err();
        (error.kind(), error.offset())
    }

    #[test]
    fn the_longest_text_fits() {
        let cursor = Cursor::new(Epoch::new(u64::MAX), u64::MAX);
        assert_eq!(cursor.to_string(), "3w5e11264sgsf-18446744073709551615");
        assert_eq!(cursor.to_string().len(), Cursor::MAX_LEN);
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn each_mistake_has_its_kind_and_offset() {
        use CursorErrorKind::*;
        for (text, kind, offset) in [
            ("", UnexpectedEnd, 0),
            ("a", UnexpectedEnd, 1),
            ("a-", UnexpectedEnd, 2),
            ("-1", UnexpectedByte, 0),
            ("A-1", UnexpectedByte, 0),
            ("a_1", UnexpectedByte, 1),
            ("a--1", UnexpectedByte, 2),
            ("a-+1", UnexpectedByte, 2),
            ("a- 1", UnexpectedByte, 2),
            ("a-1 ", UnexpectedByte, 3),
            ("a-1a", UnexpectedByte, 3),
            ("a-1.", UnexpectedByte, 3),
            ("00-1", LeadingZero, 0),
            ("0a-1", LeadingZero, 0),
            ("a-00", LeadingZero, 2),
            ("a-01", LeadingZero, 2),
            ("3w5e11264sgsg-1", Overflow, 12),
            ("a-18446744073709551616", Overflow, 21),
            ("a-184467440737095516150", Overflow, 22),
        ] {
            assert_eq!(error(text), (kind, offset), "{text:?}");
        }
    }

    #[test]
    fn the_foreign_cursor_has_a_text_like_any_other() {
        assert_eq!(Cursor::FOREIGN.to_string(), "0-0");
        assert_eq!("0-0".parse(), Ok(Cursor::FOREIGN));
    }

    #[test]
    fn since_is_a_word_or_a_cursor() {
        assert_eq!("earliest".parse(), Ok(Since::Earliest));
        assert_eq!("now".parse(), Ok(Since::Now));
        assert_eq!("0-0".parse(), Ok(Since::After(Cursor::new(Epoch::new(0), 0))));
        assert!("Now".parse::<Since>().is_err());
        for text in ["earliest", "now", "zz-9"] {
            assert_eq!(text.parse::<Since>().unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn every_cursor_parses_from_its_text(epoch: u64, seq: u64) {
            let cursor = Cursor::new(Epoch::new(epoch), seq);
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn a_text_that_parses_is_written_the_same(text in "[0-9a-zA-Z.-]{0,24}") {
            if let Ok(cursor) = Cursor::parse(text.as_bytes()) {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }
}
