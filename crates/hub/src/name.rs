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

/// Reads a comma-separated list from the rest of a path. The list is split first, then each name is
/// percent-decoded once. So an encoded comma does not split a name. It makes the name invalid.
///
/// # Errors
/// [`NameListError`].
pub(crate) fn list(path: &[u8]) -> Result<Vec<ChannelName>, NameListError> {
    let mut names = Vec::new();
    for raw in path.split(|&b| b == b',') {
        let name = ChannelName::decode(raw)?;
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
        assert_eq!(listed("a/b,c").unwrap(), ["a/b", "c"], "a / does not split a list");
        assert_eq!(listed("a,%61"), Err(NameListError::Twice), "compared after decoding");
        for (bad, error) in [
            ("", NameError::Empty),
            ("a,", NameError::Empty),
            (",a", NameError::Empty),
            ("a,,b", NameError::Empty),
            ("a,b/", NameError::EmptySegment),
            ("a,%2e%2e", NameError::DotSegment),
            ("a%2cb", NameError::Encoded),
            ("a,b%2Fc", NameError::Encoded),
            ("a, b", NameError::BadCharacter),
            ("a,__b", NameError::Reserved),
        ] {
            assert_eq!(listed(bad), Err(NameListError::Name(error)), "{bad}");
        }
        let many: Vec<String> = (0..17).map(|n| format!("c{n}")).collect();
        assert_eq!(listed(&many[..16].join(",")).unwrap().len(), 16);
        assert_eq!(listed(&many.join(",")), Err(NameListError::TooMany));
    }
}
