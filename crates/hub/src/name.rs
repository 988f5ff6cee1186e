//! Lists of channel names in a path. Each name is decoded and checked once, before anything depends
//! on it.

use tidewire_store::{ChannelName, NameError};

/// The largest number of channels that one request may name.
pub const MAX_CHANNELS: usize = 16;

/// The text is not a list of channel names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameListError {
    /// A name that breaks the rule of [`ChannelName`].
    #[error(transparent)]
    Name(#[from] NameError),
    /// A list that names a channel twice.
    #[error("the list names a channel twice; name each once")]
    Twice,
    /// A list of more than [`MAX_CHANNELS`] names.
    #[error("the list names more than {MAX_CHANNELS} channels; use several connections")]
    TooMany,
}

/// Reads a comma-separated list from a path segment. The list is split first, then each name is
/// percent-decoded once. So an encoded comma does not split a name. It makes the name invalid.
///
/// # Errors
/// [`NameListError`].
pub(crate) fn list(segment: &[u8]) -> Result<Vec<ChannelName>, NameListError> {
    let mut names = Vec::new();
    for raw in segment.split(|&b| b == b',') {
        let decoded: Vec<u8> = percent_encoding::percent_decode(raw).collect();
        let name = ChannelName::new(std::str::from_utf8(&decoded).map_err(|_| NameError)?)?;
        if names.contains(&name) {
            return Err(NameListError::Twice);
        }
        if names.len() == MAX_CHANNELS {
            return Err(NameListError::TooMany);
        }
        names.push(name);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(segment: &str) -> Result<Vec<String>, NameListError> {
        list(segment.as_bytes()).map(|names| names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn names_are_decoded_once_and_then_checked() {
        assert_eq!(listed("demo").unwrap(), ["demo"]);
        assert_eq!(listed("%64emo").unwrap(), ["demo"], "decoded once");
        assert_eq!(listed("a,b,C").unwrap(), ["a", "b", "C"]);
        assert_eq!(listed("a,%61"), Err(NameListError::Twice), "compared after decoding");
        for bad in [
            "", "a,", ",a", "a,,b", ".", "..", "%2e%2e", "a%2fb", "a/b", "a%2cb", "a%00", "a%0d%0a", "a b",
            "a%20", "%2564emo", "é", "%ff", "%", "a%2",
        ] {
            assert_eq!(listed(bad), Err(NameListError::Name(NameError)), "{bad}");
        }
        assert_eq!(listed(&"a".repeat(128)).unwrap().len(), 1);
        assert_eq!(listed(&"a".repeat(129)), Err(NameListError::Name(NameError)));
        let many: Vec<String> = (0..17).map(|n| format!("c{n}")).collect();
        assert_eq!(listed(&many.join(",")), Err(NameListError::TooMany));
    }
}
