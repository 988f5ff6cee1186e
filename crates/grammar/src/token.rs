//! Tokens, the whitespace around them, and names that ignore case.

use crate::class::is_tchar;

/// The length of the *token* at the start of `input`: the number of leading *tchar* bytes. 0 if
/// there is no token.
///
/// ```
/// assert_eq!(tidewire_grammar::token_len(b"chunked, gzip"), 7);
/// ```
#[must_use]
pub fn token_len(input: &[u8]) -> usize {
    input.iter().position(|&b| !is_tchar(b)).unwrap_or(input.len())
}

/// Whether all of `input` is one *token* (RFC 9110 §5.6.2: `1*tchar`). The empty string is not a
/// token.
///
/// ```
/// assert!(tidewire_grammar::is_token(b"x-count"));
/// assert!(!tidewire_grammar::is_token(b"x count"));
/// ```
#[must_use]
pub fn is_token(input: &[u8]) -> bool {
    !input.is_empty() && token_len(input) == input.len()
}

/// `input` without the *OWS* (SP and HTAB) at both ends, which is not part of a field value
/// (RFC 9110 §5.5).
///
/// ```
/// assert_eq!(tidewire_grammar::trim_ows(b" \tchunked "), b"chunked");
/// assert_eq!(tidewire_grammar::trim_ows(b"\x0bchunked"), b"\x0bchunked"); // `str::trim` removes it
/// ```
#[must_use]
pub const fn trim_ows(mut input: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = input {
        input = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = input {
        input = rest;
    }
    input
}

/// Whether the two are equal if the case of ASCII letters is ignored. Field names, transfer codings
/// and connection options are compared like this. Bytes over 0x7F must be the same.
///
/// ```
/// assert!(tidewire_grammar::eq_ignore_case(b"Keep-Alive", b"keep-alive"));
/// ```
#[must_use]
pub fn eq_ignore_case(a: &[u8], b: &[u8]) -> bool {
    a.eq_ignore_ascii_case(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn tokens() {
        assert!(is_token(b"x-y.z"));
        assert!(!is_token(b""));
        assert!(!is_token(b"a b"));
        assert!(!is_token(b"caf\xC3\xA9"));
        assert_eq!(token_len(b""), 0);
        assert_eq!(token_len(b":x"), 0);
        assert_eq!(token_len(b"name: x"), 4);
    }

    #[test]
    fn only_sp_and_htab_are_trimmed() {
        assert_eq!(trim_ows(b" \ta b\t "), b"a b");
        assert_eq!(trim_ows(b" \t "), b"");
        assert_eq!(trim_ows(b""), b"");
        assert_eq!(trim_ows(b"\x0Bchunked"), b"\x0Bchunked");
        assert_eq!(trim_ows(b"\r\nx\x0C\xA0"), b"\r\nx\x0C\xA0");
    }

    #[test]
    fn case_is_ignored_in_ascii_alone() {
        assert!(eq_ignore_case(b"Content-LENGTH", b"content-length"));
        assert!(!eq_ignore_case(b"content-length", b"content_length"));
        assert!(!eq_ignore_case(b"@", b"`")); // they differ in the case bit only
        assert!(!eq_ignore_case(b"\xC4", b"\xE4"));
        assert!(!eq_ignore_case(b"a", b"ab"));
    }

    proptest! {
        #[test]
        fn token_len_is_the_longest_prefix_of_tchars(input: Vec<u8>) {
            let n = token_len(&input);
            prop_assert!(input[..n].iter().all(|&b| is_tchar(b)));
            prop_assert!(input.get(n).is_none_or(|&b| !is_tchar(b)));
        }

        #[test]
        fn trimming_removes_whitespace_only(
            before in "[ \t]{0,3}",
            core in "([!-~]([ -~]*[!-~])?)?",
            after in "[ \t]{0,3}",
        ) {
            let padded = [before.as_bytes(), core.as_bytes(), after.as_bytes()].concat();
            prop_assert_eq!(trim_ows(&padded), core.as_bytes());
        }
    }
}
