//! Chunk extensions.

use crate::error::{EncodeError, EncodeErrorKind};
use crate::state::State;
use tidewire_grammar::{quoted, token_len};

/// Iterates over the extensions of a [chunk](crate::Event::Chunk).
///
/// The decoder has checked the bytes. Other bytes end the iterator where they break the grammar.
///
/// ```
/// use tidewire_chunked::extensions;
///
/// let pairs: Vec<_> = extensions(b";a=b; c").map(|extension| (extension.name, extension.value)).collect();
/// assert_eq!(pairs, [(b"a".as_slice(), Some(b"b".as_slice())), (b"c", None)]);
/// ```
#[must_use]
pub const fn extensions(raw: &[u8]) -> Extensions<'_> {
    Extensions { rest: raw }
}

/// One extension: `;name`, `;name=token` or `;name="quoted"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// A token.
    pub name: &'a [u8],
    /// A token, or a quoted-string with its quotes ([`tidewire_grammar::quoted::decode`] reads it).
    pub value: Option<&'a [u8]>,
}

/// Iterator of [`extensions`].
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    rest: &'a [u8],
}

impl<'a> Extensions<'a> {
    fn skip_bws(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Skips the byte and the whitespace around it. `None` if there is another byte.
    fn skip(&mut self, byte: u8) -> Option<()> {
        self.skip_bws();
        self.rest = self.rest.strip_prefix(&[byte])?;
        self.skip_bws();
        Some(())
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        (!taken.is_empty()).then_some(taken)
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Extension<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.skip(b';')?;
        let name = self.take(token_len(self.rest))?;
        if self.skip(b'=').is_none() {
            return Some(Extension { name, value: None });
        }
        let len = if self.rest.first() == Some(&b'"') {
            quoted::len(self.rest).ok()?
        } else {
            token_len(self.rest)
        };
        Some(Extension { name, value: Some(self.take(len)?) })
    }
}

/// Checks that a decoder would read all of `raw` as the extensions of a chunk.
pub(crate) fn check_extensions(raw: &[u8]) -> Result<(), EncodeError> {
    let mut state = State::Size;
    for (at, &byte) in raw.iter().enumerate() {
        state = match state.after(byte) {
            // A digit would change the size, and CR would end the line.
            Ok(State::Size | State::LineLf) | Err(_) => {
                return Err(EncodeError::new(EncodeErrorKind::Extension, at));
            }
            Ok(next) => next,
        };
    }
    match state.after(b'\r') {
        Ok(_) => Ok(()),
        Err(_) => Err(EncodeError::new(EncodeErrorKind::Extension, raw.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_extension_is_read() {
        let all: alloc::vec::Vec<_> = extensions(b" ; a\t;b=1; c = \"x;\\\"y\" ;d").collect();
        let want = |name, value| Extension { name, value };
        assert_eq!(
            all,
            [
                want(&b"a"[..], None),
                want(b"b", Some(&b"1"[..])),
                want(b"c", Some(b"\"x;\\\"y\"")),
                want(b"d", None)
            ]
        );
        assert_eq!(extensions(b"").next(), None);
        assert_eq!(extensions(b";=").next(), None);
    }
    #[test]
    fn extensions_that_a_decoder_would_not_read_are_refused() {
        for good in ["", ";a", " ;\ta = b", ";a=\"x;\\\"y\"", ";f=1;0"] {
            assert_eq!(check_extensions(good.as_bytes()), Ok(()), "{good}");
        }
        for (bad, at) in [
            ("0", 0),
            ("f;a", 0),
            ("x", 0),
            (" ", 1),
            (";", 1),
            (";a ", 3),
            (";a=", 3),
            (";a=\"b", 5),
            (";a=\"b\r\"", 5),
            (";a\n", 2),
            (";a\r\n", 2),
            (";a\0", 2),
            ("\r\n0\r\n\r\n", 0),
        ] {
            let refused = EncodeError::new(EncodeErrorKind::Extension, at);
            assert_eq!(check_extensions(bad.as_bytes()), Err(refused), "{bad:?}");
        }
    }
}
