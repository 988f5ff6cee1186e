//! Channel names. A name is decoded and checked once, before anything depends on it.

use std::fmt;
use std::sync::Arc;

use crate::percent;

/// Longest channel name, in bytes.
pub const MAX_NAME: usize = 128;

/// A checked channel name: segments with a `/` between two of them, 1 to 128 bytes in all.
///
/// A segment has one or more of the characters `A-Z a-z 0-9 . _ ~ : @ -`, but is not `.` or `..`.
/// Names that begin with `__` or end in `@presence` are reserved for the server.
///
/// ```
/// use tidewire_store::ChannelName;
///
/// assert_eq!(ChannelName::new("rooms/42")?.as_str(), "rooms/42");
/// assert!(ChannelName::new("rooms//42").is_err());
/// # Ok::<(), tidewire_store::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName(Arc<str>);

/// The text is not a channel name. Displays as a clause that says what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// No name.
    #[error("a channel name has at least one character; write it after /c/, as in /c/demo")]
    Empty,
    /// More than [`MAX_NAME`] bytes.
    #[error("a channel name has at most {MAX_NAME} bytes; use a shorter one")]
    TooLong,
    /// A character that no name has.
    #[error(
        "a channel name has only the characters A-Z a-z 0-9 . _ ~ : @ - and a / between two segments; \
         use only these"
    )]
    BadCharacter,
    /// A `/` at the start or the end, or two in a row.
    #[error("a channel name has one / between two segments, and none at its start or end; write a/b")]
    EmptySegment,
    /// A segment that is `.` or `..`.
    #[error("a channel name has no segment . or ..; write the name in full, as in a/b")]
    DotSegment,
    /// A name of the server.
    #[error(
        "channel names that begin with __ or end in @presence are reserved for the server; use another name"
    )]
    Reserved,
    /// A `/` or a comma in percent-encoding. Only [`ChannelName::decode`] returns it.
    #[error("a / and a comma between names are written as they are; do not write %2F or %2C")]
    Encoded,
}

impl ChannelName {
    /// Checks a decoded name.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > MAX_NAME {
            return Err(NameError::TooLong);
        }
        for segment in name.split('/') {
            match segment {
                "" => return Err(NameError::EmptySegment),
                "." | ".." => return Err(NameError::DotSegment),
                _ if !segment.bytes().all(is_allowed) => return Err(NameError::BadCharacter),
                _ => {}
            }
        }
        if name.starts_with("__") || name.ends_with("@presence") {
            return Err(NameError::Reserved);
        }
        Ok(ChannelName(name.into()))
    }

    /// Decodes percent-encoding once, and checks the name. A `/` and a comma in percent-encoding
    /// are refused: proxies and caches disagree about whether they mean the plain characters.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn decode(text: &[u8]) -> Result<Self, NameError> {
        let encoded = [&b"%2f"[..], b"%2c"];
        if text.windows(3).any(|three| encoded.iter().any(|code| three.eq_ignore_ascii_case(code))) {
            return Err(NameError::Encoded);
        }
        Self::new(&percent::decode(text, false).ok_or(NameError::BadCharacter)?)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments of the name: at least one.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._~:@-".contains(&byte)
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_decoded_once_and_then_checked() {
        let long = format!("a/{}", "b".repeat(126));
        for (text, name) in [
            ("demo", "demo"),
            ("%64emo", "demo"),
            ("a/%62/c", "a/b/c"),
            (".../.a", ".../.a"),
            ("A.b_c~d:e@f-9", "A.b_c~d:e@f-9"),
            ("_a/__b", "_a/__b"),
            ("a@presence/b", "a@presence/b"),
            ("presence", "presence"),
            (&long, &long),
        ] {
            assert_eq!(ChannelName::decode(text.as_bytes()).map(|name| name.0), Ok(name.into()), "{text}");
        }
        use NameError as E;
        for (text, error) in [
            ("", E::Empty),
            (&format!("{long}c"), E::TooLong),
            ("/", E::EmptySegment),
            ("/a", E::EmptySegment),
            ("a/", E::EmptySegment),
            ("a//b", E::EmptySegment),
            (".", E::DotSegment),
            ("..", E::DotSegment),
            ("a/../b", E::DotSegment),
            ("%2e", E::DotSegment),
            ("a/%2E%2e", E::DotSegment),
            ("a/.%2e/b", E::DotSegment),
            ("a%2fb", E::Encoded),
            ("a%2Fb", E::Encoded),
            ("a%2cb", E::Encoded),
            ("a%2C", E::Encoded),
            ("%2e%2e%2fa", E::Encoded),
            ("a,b", E::BadCharacter),
            ("a%5cb", E::BadCharacter),
            ("a\\b", E::BadCharacter),
            ("a%00", E::BadCharacter),
            ("a%0d%0a", E::BadCharacter),
            ("a b", E::BadCharacter),
            ("a%20", E::BadCharacter),
            ("a+b", E::BadCharacter),
            ("a*", E::BadCharacter),
            ("%2564emo", E::BadCharacter),
            ("a%252fb", E::BadCharacter),
            ("é", E::BadCharacter),
            ("%c3%a9", E::BadCharacter),
            ("%ff", E::BadCharacter),
            ("%", E::BadCharacter),
            ("a%2", E::BadCharacter),
            ("a%zz", E::BadCharacter),
            ("__a", E::Reserved),
            ("__a/b", E::Reserved),
            ("%5F_a", E::Reserved),
            ("@presence", E::Reserved),
            ("a@presence", E::Reserved),
            ("a/b@presence", E::Reserved),
            ("a%40presenc%65", E::Reserved),
        ] {
            assert_eq!(ChannelName::decode(text.as_bytes()).map(|name| name.0), Err(error), "{text}");
        }
    }
}
