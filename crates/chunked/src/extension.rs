//! Chunk extensions, for who wants to read them.

use tidewire_grammar::{quoted, token_len};

/// The extensions of a [chunk](crate::Event::Chunk), one after the other.
///
/// The bytes were checked by the decoder. Others end the iterator where they break the grammar.
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

    /// Whitespace, the byte, whitespace.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms() {
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
}
