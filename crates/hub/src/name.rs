//! Channel names. A name is decoded and checked once, before anything depends on it.

use std::fmt;
use std::sync::Arc;

/// Longest channel name, in bytes.
pub const MAX_NAME: usize = 128;

/// The largest number of channels that one request may name.
pub const MAX_CHANNELS: usize = 16;

/// A checked channel name: 1 to 128 of the characters `A-Z a-z 0-9 . _ ~ : @ -`, but not `.` or
/// `..`.
///
/// ```
/// use tidewire_hub::ChannelName;
///
/// assert_eq!(ChannelName::new("room:42")?.as_str(), "room:42");
/// assert!(ChannelName::new("room/42").is_err());
/// # Ok::<(), tidewire_hub::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName(Arc<str>);

/// The text is not a channel name, or not a list of channel names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A name that breaks the rule of [`ChannelName`].
    #[error(
        "a channel name is neither . nor .. and has 1 to {MAX_NAME} of the characters A-Z a-z 0-9 . _ ~ : @ -"
    )]
    BadName,
    /// A list that names a channel twice.
    #[error("the list names a channel twice; name each once")]
    Twice,
    /// A list of more than [`MAX_CHANNELS`] names.
    #[error("the list names more than {MAX_CHANNELS} channels; use several connections")]
    TooMany,
}

impl ChannelName {
    /// Checks a decoded name.
    ///
    /// # Errors
    /// [`NameError::BadName`].
    pub fn new(name: &str) -> Result<Self, NameError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._~:@-".contains(&b);
        if name.is_empty()
            || name.len() > MAX_NAME
            || name == "."
            || name == ".."
            || !name.bytes().all(allowed)
        {
            return Err(NameError::BadName);
        }
        Ok(ChannelName(name.into()))
    }

    /// Reads a comma-separated list from a path segment. The list is split first, then each name is
    /// percent-decoded once. So an encoded comma does not split a name. It makes the name invalid.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn list(segment: &[u8]) -> Result<Vec<Self>, NameError> {
        let mut names = Vec::new();
        for raw in segment.split(|&b| b == b',') {
            let decoded: Vec<u8> = percent_encoding::percent_decode(raw).collect();
            let name = ChannelName::new(std::str::from_utf8(&decoded).map_err(|_| NameError::BadName)?)?;
            if names.contains(&name) {
                return Err(NameError::Twice);
            }
            if names.len() == MAX_CHANNELS {
                return Err(NameError::TooMany);
            }
            names.push(name);
        }
        Ok(names)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
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

    fn list(segment: &str) -> Result<Vec<String>, NameError> {
        ChannelName::list(segment.as_bytes()).map(|names| names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn names_are_decoded_once_and_then_checked() {
        assert_eq!(list("demo").unwrap(), ["demo"]);
        assert_eq!(list("%64emo").unwrap(), ["demo"], "decoded once");
        assert_eq!(list("a,b,C").unwrap(), ["a", "b", "C"]);
        assert_eq!(list("a,%61"), Err(NameError::Twice), "compared after decoding");
        for bad in [
            "", "a,", ",a", "a,,b", ".", "..", "%2e%2e", "a%2fb", "a/b", "a%2cb", "a%00", "a%0d%0a", "a b",
            "a%20", "%2564emo", "é", "%ff", "%", "a%2",
        ] {
            assert_eq!(list(bad), Err(NameError::BadName), "{bad}");
        }
        assert_eq!(list(&"a".repeat(128)).unwrap().len(), 1);
        assert_eq!(list(&"a".repeat(129)), Err(NameError::BadName));
        let many: Vec<String> = (0..17).map(|n| format!("c{n}")).collect();
        assert_eq!(list(&many.join(",")), Err(NameError::TooMany));
    }
}
