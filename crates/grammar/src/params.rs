//! *parameters* (RFC 9110 §5.6.6): `*( OWS ";" OWS [ name [ "=" value ] ] )`.
//!
//! ```text
//! text/html ; level=1 ; q="0.5"
//! └ value ┘└──── parameters ──┘
//! ```
//! The value is a token or a quoted-string. A parameter may have no value, as in WebSocket
//! extensions (`client_max_window_bits`) and chunk extensions. A caller that needs a value checks
//! [`Param::value`].

use crate::error::{SyntaxError, SyntaxErrorKind};
use crate::list::find_unquoted;
use crate::quoted;
use crate::token::{is_token, token_len, trim_ows};
use alloc::vec::Vec;

/// Iterates over the parameters in `input`, which starts at the first `;` or with whitespace before
/// it. Empty parameters (`;;`) are skipped.
///
/// At the first byte that breaks the rule, the iterator yields `Err` with the index of the byte in
/// `input`, and then ends.
///
/// ```
/// let p: Result<Vec<_>, _> = tidewire_grammar::params(b"; q=0.5;x").collect();
/// assert_eq!(p.unwrap().len(), 2);
/// ```
#[must_use]
pub const fn params(input: &[u8]) -> Params<'_> {
    Params { input, at: 0 }
}

/// Splits a list element at its first `;`. Returns the value, without whitespace around it, and the
/// parameters.
///
/// ```
/// use tidewire_grammar::value_and_params;
///
/// let (media_type, mut params) = value_and_params(b"text/html ; charset=\"utf-8\"");
/// assert_eq!(media_type, b"text/html");
/// let charset = params.next().unwrap()?;
/// assert_eq!(charset.name, b"charset");
/// assert!(charset.value.is_some_and(|value| value.is(b"utf-8")));
/// # Ok::<(), tidewire_grammar::SyntaxError>(())
/// ```
#[must_use]
pub fn value_and_params(element: &[u8]) -> (&[u8], Params<'_>) {
    let (value, rest) = element.split_at(find_unquoted(element, b';').unwrap_or(element.len()));
    (trim_ows(value), params(rest))
}

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// A token; compare it with [`eq_ignore_case`](crate::eq_ignore_case).
    pub name: &'a [u8],
    /// The value after the `=`, if there is one.
    pub value: Option<Value<'a>>,
}

/// The value of a parameter: a token, or a well-formed quoted-string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a>(&'a [u8]);

impl<'a> Value<'a> {
    /// The bytes of the input, with quotes.
    #[must_use]
    pub const fn raw(self) -> &'a [u8] {
        self.0
    }

    /// Iterates over the bytes of the value, without quotes and escapes.
    pub fn bytes(self) -> impl Iterator<Item = u8> + 'a {
        let inner = match self.0 {
            [b'"', inner @ .., b'"'] => inner,
            token => token, // a backslash is not a tchar
        };
        quoted::unescape(inner)
    }

    /// Whether the value is `text`. `"chat"` with quotes and `chat` without are the same value.
    #[must_use]
    pub fn is(self, text: &[u8]) -> bool {
        self.bytes().eq(text.iter().copied())
    }

    /// Appends the value to `out`, without quotes and escapes.
    pub fn decode_to(self, out: &mut Vec<u8>) {
        out.extend(self.bytes());
    }
}

/// Iterator of [`params`].
#[derive(Clone, Debug)]
pub struct Params<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Params<'a> {
    fn skip_ows(&mut self) {
        let rest = &self.input[self.at..];
        self.skip(rest.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(rest.len()));
    }

    fn skip(&mut self, n: usize) {
        self.at = self.at.saturating_add(n);
    }

    fn unexpected(&self) -> SyntaxError {
        let at_end = self.at == self.input.len();
        SyntaxError::new(
            if at_end { SyntaxErrorKind::UnexpectedEnd } else { SyntaxErrorKind::UnexpectedByte },
            self.at,
        )
    }

    /// The token at `at`.
    fn token(&mut self) -> Result<&'a [u8], SyntaxError> {
        let rest = &self.input[self.at..];
        let token = &rest[..token_len(rest)];
        if !is_token(token) {
            return Err(self.unexpected());
        }
        self.skip(token.len());
        Ok(token)
    }

    fn value(&mut self) -> Result<Value<'a>, SyntaxError> {
        let rest = &self.input[self.at..];
        if rest.first() != Some(&b'"') {
            return self.token().map(Value);
        }
        let len = quoted::len(rest).map_err(|e| e.shifted(self.at))?;
        self.skip(len);
        Ok(Value(&rest[..len]))
    }

    fn param(&mut self) -> Result<Option<Param<'a>>, SyntaxError> {
        loop {
            self.skip_ows();
            match self.input.get(self.at) {
                None => return Ok(None),
                Some(b';') => self.skip(1),
                Some(_) => return Err(self.unexpected()),
            }
            self.skip_ows();
            if matches!(self.input.get(self.at), Some(b';') | None) {
                continue;
            }
            let name = self.token()?;
            let value = if self.input.get(self.at) == Some(&b'=') {
                self.skip(1);
                Some(self.value()?)
            } else {
                None
            };
            return Ok(Some(Param { name, value }));
        }
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = Result<Param<'a>, SyntaxError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.param();
        if item.is_err() {
            self.at = self.input.len();
        }
        item.transpose()
    }
}

impl core::iter::FusedIterator for Params<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use SyntaxErrorKind::{BadQuotedByte, UnexpectedByte, UnexpectedEnd};
    use alloc::string::String;
    use proptest::prelude::*;

    type Pairs = Vec<(String, Option<String>)>;

    fn pairs(input: &str) -> Result<Pairs, (SyntaxErrorKind, usize)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        params(input.as_bytes())
            .map(|p| {
                p.map(|p| {
                    let value = p.value.map(|v| {
                        let mut out = Vec::new();
                        v.decode_to(&mut out);
                        text(&out)
                    });
                    (text(p.name), value)
                })
            })
            .collect::<Result<_, SyntaxError>>()
            .map_err(|e| (e.kind(), e.offset()))
    }

    fn pair(name: &str, value: &str) -> (String, Option<String>) {
        (name.into(), Some(value.into()))
    }

    #[test]
    fn names_and_values() {
        assert_eq!(pairs(""), Ok(Vec::new()));
        assert_eq!(pairs(" ; ;"), Ok(Vec::new()));
        assert_eq!(pairs(";a=1 ;\tb=\"x; \\\"y\""), Ok([pair("a", "1"), pair("b", "x; \"y")].to_vec()));
        assert_eq!(pairs("; flag"), Ok([("flag".into(), None)].to_vec()));
    }

    #[test]
    fn a_broken_parameter_is_refused_with_its_offset() {
        assert_eq!(pairs("a=1"), Err((UnexpectedByte, 0)));
        assert_eq!(pairs(";=1"), Err((UnexpectedByte, 1)));
        assert_eq!(pairs(";a="), Err((UnexpectedEnd, 3)));
        assert_eq!(pairs(";a=;b"), Err((UnexpectedByte, 3)));
        assert_eq!(pairs(";a =1"), Err((UnexpectedByte, 3)));
        assert_eq!(pairs(";a= 1"), Err((UnexpectedByte, 3)));
        assert_eq!(pairs(";a=\"x"), Err((UnexpectedEnd, 5)));
        assert_eq!(pairs(";a=\"x\r\""), Err((BadQuotedByte, 5)));
        assert_eq!(pairs(";a=\"x\"y"), Err((UnexpectedByte, 6)));
        assert_eq!(pairs(";a=1 b"), Err((UnexpectedByte, 5)));
    }

    #[test]
    fn an_error_ends_the_iterator() {
        let mut iter = params(b";=;ok");
        assert!(iter.next().unwrap().is_err());
        assert!(iter.next().is_none());
    }

    #[test]
    fn an_element_is_split_at_its_first_unquoted_semicolon() {
        let (value, mut rest) = value_and_params(b" text/html ;q=1");
        assert_eq!(value, b"text/html");
        assert_eq!(rest.next().unwrap().unwrap().name, b"q");
        let (value, mut rest) = value_and_params(b"\"a;b\"");
        assert_eq!(value, b"\"a;b\"");
        assert!(rest.next().is_none());
    }

    #[test]
    fn a_quoted_value_equals_a_token() {
        let value = |input: &'static [u8]| params(input).next().unwrap().unwrap().value.unwrap();
        assert!(value(b";a=chat").is(b"chat"));
        assert!(value(b";a=\"ch\\at\"").is(b"chat"));
        assert!(!value(b";a=\"chat \"").is(b"chat"));
    }

    proptest! {
        #[test]
        fn written_parameters_are_read(list in prop::collection::vec(("[a-z]{1,4}", "[ -~]{0,8}"), 0..5)) {
            let mut text = Vec::new();
            for (name, value) in &list {
                text.extend_from_slice(b" ; ");
                text.extend_from_slice(name.as_bytes());
                text.push(b'=');
                quoted::encode(value.as_bytes(), &mut text).unwrap();
            }
            let expected: Pairs = list.iter().map(|(n, v)| pair(n, v)).collect();
            prop_assert_eq!(pairs(core::str::from_utf8(&text).unwrap()), Ok(expected));
        }

        #[test]
        fn the_iterator_ends_for_any_input(input: Vec<u8>) {
            prop_assert!(params(&input).count() <= input.len());
        }
    }
}
