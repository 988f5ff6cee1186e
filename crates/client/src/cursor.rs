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

/// Whether a message is new to a reader with a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// New: deliver it.
    New,
    /// Delivered before: drop it.
    Duplicate,
    /// New, and this many messages before it are missing.
    Hole(u64),
}

impl Cursor {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the message at `next` is new to a reader at `self`.
    ///
    /// Only this method parses the text: positions joined by `.`, each an epoch, `-`, and a
    /// sequence number, which grows by 1 with each message. If the text has another form, only
    /// equality is known, and no missing message is found.
    pub(crate) fn step_to(&self, next: &Self) -> Step {
        if self == next {
            return Step::Duplicate;
        }
        let (mut mine, mut theirs) = (self.0.split('.'), next.0.split('.'));
        let mut ahead = 0_u64;
        loop {
            match (mine.next(), theirs.next()) {
                (None, None) => break,
                (Some(mine), Some(theirs)) => match (epoch_and_number(mine), epoch_and_number(theirs)) {
                    (Some((epoch, from)), Some((other, to))) if epoch == other => {
                        ahead = ahead.saturating_add(to.saturating_sub(from));
                    }
                    // Another log, or another form: it cannot be compared, so it counts as new.
                    _ if mine == theirs => {}
                    _ => return Step::New,
                },
                _ => return Step::New,
            }
        }
        match ahead {
            0 => Step::Duplicate,
            1 => Step::New,
            _ => Step::Hole(ahead - 1),
        }
    }

    /// The epochs of the logs in this position. There are none if the text has another form.
    pub(crate) fn epochs(&self) -> impl Iterator<Item = &str> {
        self.0.split('.').filter_map(|text| epoch_and_number(text).map(|(epoch, _)| epoch))
    }
}

/// The longest text of a cursor. The cursors of 64 channels need 2,239 bytes.
const MAX_LEN: usize = 4096;

fn epoch_and_number(text: &str) -> Option<(&str, u64)> {
    let (epoch, number) = text.rsplit_once('-')?;
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

    fn step(from: &str, to: &str) -> Step {
        from.parse::<Cursor>().unwrap().step_to(&to.parse().unwrap())
    }

    #[test]
    fn the_cursor_of_one_channel_is_compared_by_its_number() {
        assert_eq!(step("e-41", "e-42"), Step::New);
        assert_eq!(step("e-42", "e-42"), Step::Duplicate);
        assert_eq!(step("e-43", "e-42"), Step::Duplicate);
        assert_eq!(step("e-42", "e-45"), Step::Hole(2));
        assert_eq!(step("e-42", "f-1"), Step::New, "another log");
    }

    #[test]
    fn several_channels_move_one_at_a_time() {
        assert_eq!(step("e-4.f-7", "e-4.f-8"), Step::New);
        assert_eq!(step("e-4.f-7", "e-4.f-7"), Step::Duplicate);
        assert_eq!(step("e-4.f-7", "e-3.f-7"), Step::Duplicate);
        assert_eq!(step("e-4.f-7", "e-5.f-9"), Step::Hole(2));
        assert_eq!(step("e-4.f-7", "e-4.g-1"), Step::New);
        assert_eq!(step("e-4", "e-4.f-7"), Step::New, "other channels");
    }

    #[test]
    fn cursors_of_another_form_are_only_compared_for_equality() {
        assert_eq!(step("abc", "abc"), Step::Duplicate);
        assert_eq!(step("abc", "abd"), Step::New);
        assert_eq!(step("e-x", "e-9"), Step::New);
    }

    #[test]
    fn texts_that_would_need_escaping_are_refused() {
        for bad in ["", "a b", "a&since=now", "a\r\n", "é", &"a".repeat(4097)] {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorError), "{bad:?}");
        }
    }
}
