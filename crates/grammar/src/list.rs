//! *#rule* (RFC 9110 §5.6.1): comma-separated lists, as in `Connection`, `Accept` and
//! `Sec-WebSocket-Extensions`.
//!
//! ```text
//! a, "b,c" ,, d      →   a   "b,c"   d
//! ```
//! Recipients must skip empty elements (RFC 9110 §5.6.1.2): senders that join field lines may write
//! them. A comma within a quoted-string separates no elements. The caller limits the number of
//! elements: `list(v).take(n)`.

use crate::token::trim_ows;

/// Iterates over the elements of `value`, without the whitespace around them and without empty
/// elements. Never fails: an element may have any bytes. An element with an open quote ends at the
/// end of `value`.
///
/// ```
/// let elements: Vec<_> = tidewire_grammar::list(b"close, , Upgrade").collect();
/// assert_eq!(elements, [b"close".as_slice(), b"Upgrade"]);
/// ```
#[must_use]
pub const fn list(value: &[u8]) -> List<'_> {
    List { rest: value }
}

/// Iterator of [`list`].
#[derive(Clone, Debug)]
pub struct List<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for List<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = find_unquoted(self.rest, b',').unwrap_or(self.rest.len());
            let element = trim_ows(&self.rest[..end]);
            self.rest = self.rest.get(end.saturating_add(1)..).unwrap_or_default();
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    }
}

impl core::iter::FusedIterator for List<'_> {}

/// The index of the first `needle` that is not within a quoted-string.
pub(crate) fn find_unquoted(input: &[u8], needle: u8) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    input.iter().position(|&b| {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => return b == needle && !quoted,
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn elements(value: &str) -> Vec<&str> {
        list(value.as_bytes()).map(|e| core::str::from_utf8(e).unwrap()).collect()
    }

    #[test]
    fn elements_are_trimmed_and_empty_ones_skipped() {
        assert_eq!(elements(""), [""; 0]);
        assert_eq!(elements(" ,\t, "), [""; 0]);
        assert_eq!(elements("a"), ["a"]);
        assert_eq!(elements(",a ,\tb c,,"), ["a", "b c"]);
    }

    #[test]
    fn a_comma_in_quotes_does_not_separate_elements() {
        assert_eq!(elements(r#"a="x,y", b"#), [r#"a="x,y""#, "b"]);
        assert_eq!(elements(r#""a\",b", c"#), [r#""a\",b""#, "c"]);
        assert_eq!(elements(r#"a\,b"#), [r"a\", "b"]); // a backslash escapes within quotes only
        assert_eq!(elements(r#"a, "b, c"#), ["a", r#""b, c"#]); // an open quote: to the end
    }

    proptest! {
        #[test]
        fn joined_elements_are_split_again(
            tokens in prop::collection::vec("[a-z]{1,5}", 0..6),
            gap in "[ \t]{0,2}(, ?){0,2}",
        ) {
            let joined = tokens.join(&alloc::format!(",{gap}"));
            prop_assert_eq!(elements(&joined), tokens);
        }
    }
}
