//! A text that is cheap to clone.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::Deref;
use core::str::Utf8Error;

/// UTF-8 text that is shared, so that `clone` copies no text. It dereferences to [`str`].
///
/// A `String` becomes a `Text` without a copy of its bytes, and also the other way if the `Text`
/// was not cloned. Equality, order and hash are those of `str`, so a map with `Text` keys is
/// searched with a `&str`.
///
/// ```
/// use tidewire_ws::Text;
/// let text = Text::from(format!("{} of {}", 1, 2));
/// let same = text.clone();
/// assert!(same.starts_with("1 of") && same == "1 of 2" && same.as_ptr() == text.as_ptr());
/// const PING: Text = Text::from_static("ping");
/// assert_eq!(String::from(PING), "ping");
/// ```
#[derive(Clone)]
pub struct Text(Inner);

#[derive(Clone)]
enum Inner {
    Static(&'static str),
    /// Copied from a `&str`: one allocation.
    Shared(Arc<str>),
    /// A `String` that was moved here. Its bytes are not copied.
    Owned(Arc<String>),
}

impl Text {
    /// Returns an empty text.
    #[must_use]
    pub const fn new() -> Self {
        Self::from_static("")
    }

    /// Returns a text without an allocation.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Inner::Static(text))
    }

    /// Returns the text as a slice. No copy.
    #[inline]
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Inner::Static(text) => text,
            Inner::Shared(text) => text,
            Inner::Owned(text) => text,
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Text {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other)
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

macro_rules! equals {
    ($($other:ty),*) => {$(
        impl PartialEq<$other> for Text {
            fn eq(&self, other: &$other) -> bool {
                self.as_str() == &**other
            }
        }

        impl PartialEq<Text> for $other {
            fn eq(&self, other: &Text) -> bool {
                &**self == other.as_str()
            }
        }
    )*};
}

equals!(&str, String, Cow<'_, str>);

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<Text> for str {
    fn eq(&self, other: &Text) -> bool {
        self == other.as_str()
    }
}

/// Copies the text. [`Text::from_static`] does not.
impl From<&str> for Text {
    #[inline(always)]
    fn from(text: &str) -> Self {
        // An empty text needs no memory.
        if text.is_empty() { Self::new() } else { Self(Inner::Shared(text.into())) }
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

/// Does not copy the text.
impl From<String> for Text {
    #[inline]
    fn from(text: String) -> Self {
        if text.is_empty() { Self::new() } else { Self(Inner::Owned(Arc::new(text))) }
    }
}

impl From<Box<str>> for Text {
    fn from(text: Box<str>) -> Self {
        String::from(text).into()
    }
}

/// Does not copy the text.
impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Self(Inner::Shared(text))
    }
}

impl From<Cow<'_, str>> for Text {
    fn from(text: Cow<'_, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

/// Copies only if the text is shared, or was made from a `&str`.
impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text.0 {
            Inner::Owned(text) => Arc::unwrap_or_clone(text),
            Inner::Static(_) | Inner::Shared(_) => text.as_str().into(),
        }
    }
}

impl From<Text> for Vec<u8> {
    fn from(text: Text) -> Self {
        String::from(text).into_bytes()
    }
}

/// Does not copy the text.
impl From<Text> for Bytes {
    fn from(text: Text) -> Self {
        match text.0 {
            Inner::Static(text) => Self::from_static(text.as_bytes()),
            Inner::Owned(text) => match Arc::try_unwrap(text) {
                Ok(text) => text.into(),
                Err(text) => Self::from_owner(Text(Inner::Owned(text))),
            },
            Inner::Shared(_) => Self::from_owner(text),
        }
    }
}

/// Copies only if the bytes are shared.
impl TryFrom<Bytes> for Text {
    type Error = Utf8Error;

    fn try_from(bytes: Bytes) -> Result<Self, Utf8Error> {
        Vec::from(bytes).try_into()
    }
}

/// Does not copy the text.
impl TryFrom<Vec<u8>> for Text {
    type Error = Utf8Error;

    fn try_from(bytes: Vec<u8>) -> Result<Self, Utf8Error> {
        String::from_utf8(bytes).map(Self::from).map_err(|e| e.utf8_error())
    }
}

impl TryFrom<&[u8]> for Text {
    type Error = Utf8Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Utf8Error> {
        core::str::from_utf8(bytes).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString as _;
    use std::collections::{BTreeSet, HashMap};

    fn every_way(text: &'static str) -> [Text; 6] {
        [
            Text::from_static(text),
            text.into(),
            String::from(text).into(),
            Arc::<str>::from(text).into(),
            Bytes::from_static(text.as_bytes()).try_into().unwrap(),
            Cow::Borrowed(text).into(),
        ]
    }

    #[test]
    #[allow(clippy::cmp_owned, clippy::nonminimal_bool)] // each comparison is a method of its own
    fn texts_are_equal_however_they_were_made() {
        for text in ["", "a", "κόσμε 🌊"] {
            for one in every_way(text) {
                for other in every_way(text) {
                    assert_eq!((&one, one.cmp(&other)), (&other, Ordering::Equal));
                    assert_eq!(HashMap::from([(other, 7)]).get(one.as_str()), Some(&7));
                }
                let string = String::from(text);
                assert!([one == text, one == *text, one == string, one == Cow::Borrowed(text)] == [true; 4]);
                assert!([text == one, *text == one, string == one, Cow::Borrowed(text) == one] == [true; 4]);
                assert_eq!((format!("{one:?}"), one.to_string()), (format!("{text:?}"), text.into()));
                assert_eq!(String::from(one.clone()), text);
                assert_eq!(Bytes::from(one.clone()), text.as_bytes());
                assert_eq!(Vec::from(one), text.as_bytes());
            }
        }
        assert!(BTreeSet::from([Text::from("b"), "a".into()]).into_iter().is_sorted());
    }

    #[test]
    fn a_string_is_never_copied_while_it_is_not_shared() {
        let text = String::from("a long text, or a short one");
        let at = text.as_ptr();
        let text = Text::from(text);
        assert_eq!((text.as_ptr(), text.clone().as_ptr()), (at, at));
        assert_eq!(Bytes::from(text.clone()).as_ptr(), at, "shared with the bytes");
        let bytes = Bytes::from(text);
        assert_eq!(bytes.as_ptr(), at);
        let text = Text::try_from(bytes).unwrap();
        assert_eq!(text.as_ptr(), at);
        let text = String::from(text);
        assert_eq!(text.as_ptr(), at);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused_at_their_place() {
        let bytes = b"ab\xff";
        assert_eq!(Text::try_from(Bytes::from_static(bytes)).unwrap_err().valid_up_to(), 2);
        assert_eq!(Text::try_from(&bytes[..]).unwrap_err().valid_up_to(), 2);
    }
}
