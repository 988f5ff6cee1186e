//! *quoted-string* (RFC 9110 §5.6.4): `DQUOTE *( qdtext / "\" any ) DQUOTE`.
//!
//! ```text
//! bytes   "  a  \  "  b  "
//! means      a     "  b
//! ```

use crate::class::{is_field_content, is_qdtext};
use crate::error::{SyntaxError, SyntaxErrorKind};
use alloc::vec::Vec;

/// The length of the quoted-string at the start of `input`, with both quotes.
///
/// # Errors
/// `input` does not start with a quote, has a control byte before the closing quote, or has no
/// closing quote.
///
/// ```
/// use tidewire_grammar::quoted;
/// assert_eq!(quoted::len(br#""a\"b";c"#), Ok(6));
/// ```
pub fn len(input: &[u8]) -> Result<usize, SyntaxError> {
    match input.first() {
        Some(b'"') => {}
        Some(_) => return Err(SyntaxError::new(SyntaxErrorKind::UnexpectedByte, 0)),
        None => return Err(SyntaxError::new(SyntaxErrorKind::UnexpectedEnd, 0)),
    }
    let mut i = 1_usize;
    while let Some(&b) = input.get(i) {
        match b {
            b'"' => return Ok(i.saturating_add(1)),
            b'\\' => {
                i = i.saturating_add(1);
                match input.get(i) {
                    Some(&escaped) if is_field_content(escaped) => {}
                    Some(_) => return Err(SyntaxError::new(SyntaxErrorKind::BadQuotedByte, i)),
                    None => break,
                }
            }
            b if is_qdtext(b) => {}
            _ => return Err(SyntaxError::new(SyntaxErrorKind::BadQuotedByte, i)),
        }
        i = i.saturating_add(1);
    }
    Err(SyntaxError::new(SyntaxErrorKind::UnexpectedEnd, input.len()))
}

/// Appends the value of the quoted-string `input` to `out`, without quotes and escapes.
///
/// ```
/// use tidewire_grammar::quoted;
///
/// let mut value = Vec::new();
/// quoted::decode(br#""a \"b\"""#, &mut value)?;
/// assert_eq!(value, br#"a "b""#);
/// # Ok::<(), tidewire_grammar::SyntaxError>(())
/// ```
///
/// # Errors
/// `input` is not exactly one quoted-string. Then `out` is unchanged.
pub fn decode(input: &[u8], out: &mut Vec<u8>) -> Result<(), SyntaxError> {
    let end = len(input)?;
    if end != input.len() {
        return Err(SyntaxError::new(SyntaxErrorKind::UnexpectedByte, end));
    }
    out.extend(unescape(&input[1..end.saturating_sub(1)]));
    Ok(())
}

/// Appends `value` to `out` as a quoted-string, with a backslash only where one is needed.
///
/// ```
/// use tidewire_grammar::quoted;
///
/// let mut field = b"title=".to_vec();
/// quoted::encode(br#"a "b""#, &mut field)?;
/// assert_eq!(field, br#"title="a \"b\"""#);
/// assert!(quoted::encode(b"a\r\nSet-Cookie: b", &mut field).is_err());
/// # Ok::<(), tidewire_grammar::SyntaxError>(())
/// ```
///
/// # Errors
/// `value` has a control byte (CR, LF and NUL among them), which a quoted-string cannot have. Then
/// `out` is unchanged.
pub fn encode(value: &[u8], out: &mut Vec<u8>) -> Result<(), SyntaxError> {
    if let Some(at) = value.iter().position(|&b| !is_field_content(b)) {
        return Err(SyntaxError::new(SyntaxErrorKind::BadQuotedByte, at));
    }
    out.push(b'"');
    for &b in value {
        if !is_qdtext(b) {
            out.push(b'\\');
        }
        out.push(b);
    }
    out.push(b'"');
    Ok(())
}

/// The value of the bytes between two quotes, which must be well-formed, without escapes.
pub(crate) fn unescape(inner: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut bytes = inner.iter().copied();
    core::iter::from_fn(move || match bytes.next()? {
        b'\\' => bytes.next(),
        b => Some(b),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use SyntaxErrorKind::{BadQuotedByte, UnexpectedByte, UnexpectedEnd};
    use proptest::prelude::*;

    fn decoded(input: &[u8]) -> Result<Vec<u8>, (SyntaxErrorKind, usize)> {
        let mut out = Vec::new();
        decode(input, &mut out).map(|()| out).map_err(|e| (e.kind(), e.offset()))
    }

    #[test]
    fn escapes_are_removed() {
        assert_eq!(decoded(br#""""#), Ok(b"".to_vec()));
        assert_eq!(decoded(br#""a\"b\\c""#), Ok(br#"a"b\c"#.to_vec()));
        assert_eq!(decoded(b"\"\\a\t\xFF\""), Ok(b"a\t\xFF".to_vec()));
    }

    #[test]
    fn a_broken_string_is_refused_with_its_offset() {
        assert_eq!(decoded(b""), Err((UnexpectedEnd, 0)));
        assert_eq!(decoded(b"a"), Err((UnexpectedByte, 0)));
        assert_eq!(decoded(b"\""), Err((UnexpectedEnd, 1)));
        assert_eq!(decoded(b"\"a\\"), Err((UnexpectedEnd, 3)));
        assert_eq!(decoded(b"\"a\\\""), Err((UnexpectedEnd, 4)));
        assert_eq!(decoded(b"\"a\r\nb\""), Err((BadQuotedByte, 2)));
        assert_eq!(decoded(b"\"a\\\nb\""), Err((BadQuotedByte, 3)));
        assert_eq!(decoded(b"\"\x7F\""), Err((BadQuotedByte, 1)));
        assert_eq!(decoded(b"\"a\"b"), Err((UnexpectedByte, 3)));
    }

    #[test]
    fn only_quotes_and_backslashes_are_escaped() {
        let mut out = Vec::new();
        encode(b"a\tb \"c\\d\" (e), \xFF", &mut out).unwrap();
        assert_eq!(out, b"\"a\tb \\\"c\\\\d\\\" (e), \xFF\"");
    }

    #[test]
    fn a_control_byte_cannot_be_encoded() {
        for bad in [b"a\r".as_slice(), b"a\n", b"a\0", b"a\x7F"] {
            let mut out = b"kept".to_vec();
            assert_eq!(encode(bad, &mut out).map_err(|e| e.offset()), Err(1));
            assert_eq!(out, b"kept");
        }
    }

    proptest! {
        #[test]
        fn an_encoded_value_decodes_to_itself(value: Vec<u8>) {
            let mut text = Vec::new();
            match encode(&value, &mut text) {
                Ok(()) => prop_assert_eq!(decoded(&text), Ok(value)),
                Err(e) => prop_assert!(!is_field_content(value[e.offset()])),
            }
        }

        #[test]
        fn len_never_passes_the_end(input: Vec<u8>) {
            let quoted = [b"\"", input.as_slice()].concat();
            match len(&quoted) {
                Ok(n) => prop_assert!(n <= quoted.len() && quoted[n - 1] == b'"'),
                Err(e) => prop_assert!(e.offset() <= quoted.len()),
            }
        }
    }
}
