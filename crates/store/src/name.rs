//! Channel names. A name is checked once, before anything depends on it.

use std::fmt;
use std::sync::Arc;

/// Longest channel name, in bytes.
pub const MAX_NAME: usize = 128;

/// A checked channel name: 1 to 128 of the characters `A-Z a-z 0-9 . _ ~ : @ -`, but not `.` or
/// `..`.
///
/// ```
/// use tidewire_store::ChannelName;
///
/// assert_eq!(ChannelName::new("room:42")?.as_str(), "room:42");
/// assert!(ChannelName::new("room/42").is_err());
/// # Ok::<(), tidewire_store::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName(Arc<str>);

/// The text is not a channel name: it breaks the rule of [`ChannelName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a channel name is neither . nor .. and has 1 to {MAX_NAME} of the characters A-Z a-z 0-9 . _ ~ : @ -"
)]
pub struct NameError;

impl ChannelName {
    /// Checks a decoded name.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn new(name: &str) -> Result<Self, NameError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._~:@-".contains(&b);
        if name.is_empty()
            || name.len() > MAX_NAME
            || name == "."
            || name == ".."
            || !name.bytes().all(allowed)
        {
            return Err(NameError);
        }
        Ok(ChannelName(name.into()))
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
