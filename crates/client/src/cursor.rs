//! A position in a channel, as the server writes it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A position in a channel, or in all channels of one subscription: "everything up to here has been
/// delivered".
///
/// It is a text of the server. It works with every feed, on every connection, after any pause.
/// Store it with the state of your program, and subscribe with
/// [`Since::After`](crate::Since::After). Treat it as opaque.
///
/// ```
/// use tidewire_client::{Cursor, Options, Since};
///
/// let stored = "1kq9f3hx2vz0c-4711"; // what `Cursor::as_str` returned yesterday
/// let cursor: Cursor = stored.parse()?;
/// assert_eq!(cursor.as_str(), stored);
/// let options = Options::DEFAULT.with_since(Since::After(cursor));
///
/// assert!("not a cursor".parse::<Cursor>().is_err());
/// # Ok::<(), tidewire_client::CursorError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cursor(Arc<str>);

/// The text is not a cursor: it is empty, over 4096 bytes long, or has bytes other than
/// `0-9 A-Z a-z . _ -`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: a cursor has 1 to {MAX_LEN} of the characters 0-9 A-Z a-z . _ -")]
pub struct CursorError;

impl Cursor {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The positions in the channels, in their order. Each is a text of its own.
    pub(crate) fn places(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// Makes the cursor of several channels from the positions in them.
    pub(crate) fn join<'a>(places: impl Iterator<Item = &'a str>) -> Self {
        Self(places.collect::<Vec<_>>().join(".").into())
    }
}

/// The longest text of a cursor. The cursors of 64 channels need 2,239 bytes.
const MAX_LEN: usize = 4096;

/// Splits the position in one channel into the epoch of its log and the number of its message. A
/// cursor of another server may have another form.
pub(crate) fn epoch_and_number(place: &str) -> Option<(&str, u64)> {
    let (epoch, number) = place.rsplit_once('-')?;
    Some((epoch, tidewire_grammar::dec_u64(number.as_bytes()).ok()?))
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if text.is_empty() || text.len() > MAX_LEN || !text.bytes().all(allowed) {
            return Err(CursorError);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_made_of_the_positions_in_its_channels() {
        let cursor: Cursor = "e-4.f-7".parse().unwrap();
        assert_eq!(
            cursor.places().map(epoch_and_number).collect::<Vec<_>>(),
            [Some(("e", 4)), Some(("f", 7))]
        );
        assert_eq!(Cursor::join(cursor.places()), cursor);
        for other in ["abc", "e-x", "e-", "4"] {
            assert_eq!(epoch_and_number(other), None, "{other}");
        }
    }

    #[test]
    fn texts_that_would_need_escaping_are_refused() {
        for bad in ["", "a b", "a&since=now", "a\r\n", "é", &"a".repeat(4097)] {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorError), "{bad:?}");
        }
    }
}
