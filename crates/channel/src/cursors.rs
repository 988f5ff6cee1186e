//! The cursors of several channels on one connection, as one text.

use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::cursor::Cursor;
use crate::error::{CursorError, CursorErrorKind};

/// The cursors of several channels, in the order in which the reader named the channels, joined
/// with `.` in one text.
///
/// A connection that follows the channels `a,b,c` has one position in each of them. The text can be
/// used wherever the text of one [`Cursor`] can. The text of one cursor is also the text of a list
/// of one. The reader must name its channels in the same order when it comes back. If it does not,
/// each log sees that the epoch is not its own, and the reader is told of a reset.
///
/// ```
/// use tidewire_channel::{Cursor, Cursors, Epoch};
///
/// let both = [Cursor::new(Epoch::new(10), 7), Cursor::new(Epoch::new(11), 0)];
/// let both: Cursors = both.into_iter().collect();
/// assert_eq!(both.to_string(), "a-7.b-0");
/// assert_eq!("a-7.b-0".parse(), Ok(both));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cursors(Vec<Cursor>);

impl Cursors {
    /// The largest number of cursors in a text: 64. The longest text has 2,239 bytes, which is
    /// below the usual limits on header fields.
    pub const MAX: usize = 64;

    /// Creates an empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds the cursor of the next channel.
    pub fn push(&mut self, cursor: Cursor) {
        self.0.push(cursor);
    }

    /// Returns the cursors in their order.
    #[must_use]
    pub fn as_slice(&self) -> &[Cursor] {
        &self.0
    }

    /// Parses one or more cursors joined with `.`.
    ///
    /// # Errors
    /// As [`Cursor::parse`] for each cursor, and [`CursorErrorKind::TooMany`] at the dot after the
    /// last allowed cursor.
    pub fn parse(text: &[u8]) -> Result<Self, CursorError> {
        let mut cursors = Vec::new();
        let mut at = 0;
        loop {
            let dot = text[at..].iter().position(|&byte| byte == b'.');
            let end = dot.map_or(text.len(), |dot| dot.saturating_add(at));
            cursors.push(Cursor::parse(&text[at..end]).map_err(|error| error.shifted(at))?);
            if end == text.len() {
                return Ok(Self(cursors));
            }
            if cursors.len() == Self::MAX {
                return Err(CursorError::new(CursorErrorKind::TooMany, end));
            }
            at = end.saturating_add(1);
        }
    }
}

impl fmt::Display for Cursors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, cursor) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(cursor.write(&mut [0; Cursor::MAX_LEN]))?;
        }
        Ok(())
    }
}

impl FromStr for Cursors {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        Self::parse(text.as_bytes())
    }
}

impl From<Cursor> for Cursors {
    fn from(cursor: Cursor) -> Self {
        Self(Vec::from([cursor]))
    }
}

impl FromIterator<Cursor> for Cursors {
    fn from_iter<I: IntoIterator<Item = Cursor>>(cursors: I) -> Self {
        Self(cursors.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::Epoch;
    use alloc::string::ToString;

    #[test]
    fn the_offset_of_an_error_counts_from_the_start_of_the_text() {
        let error = |text: &str| {
            let error = Cursors::parse(text.as_bytes()).unwrap_err();
            (error.kind(), error.offset())
        };
        assert_eq!(error(""), (CursorErrorKind::UnexpectedEnd, 0));
        assert_eq!(error("a-1."), (CursorErrorKind::UnexpectedEnd, 4));
        assert_eq!(error("a-1..b-2"), (CursorErrorKind::UnexpectedEnd, 4));
        assert_eq!(error("a-1.b-02"), (CursorErrorKind::LeadingZero, 6));
        assert_eq!(error("a-1,b-2"), (CursorErrorKind::UnexpectedByte, 3));
    }

    #[test]
    fn the_longest_list_is_accepted_and_a_longer_one_is_not() {
        let longest: Cursors =
            core::iter::repeat_n(Cursor::new(Epoch::new(u64::MAX), u64::MAX), Cursors::MAX).collect();
        let text = longest.to_string();
        assert_eq!(text.len(), 2_239);
        assert_eq!(text.parse(), Ok(longest));
        let error = alloc::format!("{text}.a-1").parse::<Cursors>().unwrap_err();
        assert_eq!((error.kind(), error.offset()), (CursorErrorKind::TooMany, 2_239));
    }
}
