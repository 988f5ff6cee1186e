//! Classes of bytes, with the names of the RFCs.
//!
//! All are `const fn(u8) -> bool`. The two irregular classes read a table, which is computed at
//! compile time from the rule of the RFC. The others are ranges, which are faster than a table.
//!
//! ```
//! use tidewire_grammar::class::{is_field_content, is_tchar};
//!
//! // What may be in the name and in the value of a field.
//! assert!(b"X-Count".iter().all(|&b| is_tchar(b)));
//! assert!(b"1, 2; a=\"b\"".iter().all(|&b| is_field_content(b)));
//! assert!(!is_field_content(b'\r') && !is_field_content(0) && !is_tchar(b':'));
//! ```

/// *tchar* (RFC 9110 §5.6.2): a byte of a token. Letters, digits and ``!#$%&'*+-.^_`|~``.
#[must_use]
pub const fn is_tchar(b: u8) -> bool {
    TCHAR[b as usize]
}

/// *VCHAR* (RFC 5234 §B.1): a visible ASCII character, `0x21..=0x7E`.
#[must_use]
pub const fn is_vchar(b: u8) -> bool {
    matches!(b, 0x21..=0x7E)
}

/// *obs-text* (RFC 9110 §5.5): `0x80..=0xFF`. Opaque bytes, allowed in values, not in names.
#[must_use]
pub const fn is_obs_text(b: u8) -> bool {
    b >= 0x80
}

/// *field-vchar* (RFC 9110 §5.5): *VCHAR* or *obs-text*. The first and the last byte of a field
/// value are of this class.
#[must_use]
pub const fn is_field_vchar(b: u8) -> bool {
    is_vchar(b) || is_obs_text(b)
}

/// A byte within a field value: *field-vchar*, SP or HTAB (RFC 9110 §5.5, *field-content*). Not
/// NUL, CR, LF, another control byte or DEL.
#[must_use]
pub const fn is_field_content(b: u8) -> bool {
    is_field_vchar(b) || is_ows(b)
}

/// One byte of *OWS*, *RWS* or *BWS* (RFC 9110 §5.6.3): SP or HTAB. Not the vertical tab, not the
/// form feed.
#[must_use]
pub const fn is_ows(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

/// *DIGIT* (RFC 5234 §B.1).
#[must_use]
pub const fn is_digit(b: u8) -> bool {
    b.is_ascii_digit()
}

/// *HEXDIG* (RFC 5234 §B.1), in upper or lower case: ABNF strings ignore case (RFC 5234 §2.3).
#[must_use]
pub const fn is_hexdig(b: u8) -> bool {
    b.is_ascii_hexdigit()
}

/// *qdtext* (RFC 9110 §5.6.4): a byte of a quoted-string that needs no backslash.
#[must_use]
pub const fn is_qdtext(b: u8) -> bool {
    is_field_content(b) && b != b'"' && b != b'\\'
}

/// *unreserved* and *sub-delims* (RFC 3986 §2.3, §2.2): the bytes of a *reg-name* that are not part
/// of a percent-encoding.
#[must_use]
pub const fn is_reg_name(b: u8) -> bool {
    REG_NAME[b as usize]
}

/// Whether each byte is a *tchar*.
const TCHAR: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 128 {
        table[b as usize] = matches!(
            b,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|'
                | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z'
        );
        b += 1;
    }
    table
};

const REG_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0_u8;
    while b < 128 {
        let sub_delim =
            matches!(b, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=');
        table[b as usize] = sub_delim || b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        b += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9110 §5.6.2 also defines tchar as VCHAR except delimiters.
    #[test]
    fn a_tchar_is_a_vchar_that_is_not_a_delimiter() {
        for b in 0..=255u8 {
            let delimiter = br#""(),/:;<=>?@[\]{}"#.contains(&b);
            assert_eq!(is_tchar(b), is_vchar(b) && !delimiter, "{b:#04x}");
        }
    }

    #[test]
    fn field_content_is_every_byte_except_controls_and_del() {
        for b in 0..=255u8 {
            let control = (b < 0x20 && b != b'\t') || b == 0x7F;
            assert_eq!(is_field_content(b), !control, "{b:#04x}");
            assert_eq!(is_field_vchar(b), !control && b != b' ' && b != b'\t', "{b:#04x}");
        }
    }

    #[test]
    fn whitespace_is_two_bytes_only() {
        assert_eq!((0..=255u8).filter(|&b| is_ows(b)).collect::<alloc::vec::Vec<_>>(), [b'\t', b' ']);
    }

    #[test]
    fn digits_and_hexadecimal_digits() {
        for b in 0..=255u8 {
            assert_eq!(is_digit(b), b"0123456789".contains(&b), "{b:#04x}");
            assert_eq!(is_hexdig(b), b"0123456789abcdefABCDEF".contains(&b), "{b:#04x}");
        }
    }

    /// RFC 9110 §5.6.4: `HTAB / SP / %x21 / %x23-5B / %x5D-7E / obs-text`.
    #[test]
    fn qdtext_is_as_the_rfc_lists_it() {
        for b in 0..=255u8 {
            let listed = matches!(b, b'\t' | b' ' | 0x21 | 0x23..=0x5B | 0x5D..=0x7E | 0x80..=0xFF);
            assert_eq!(is_qdtext(b), listed, "{b:#04x}");
        }
    }

    /// RFC 3986 §2: a visible byte is unreserved, reserved, a `%`, or not allowed in a URI.
    #[test]
    fn a_reg_name_has_no_delimiters_of_a_uri() {
        for b in 0..=255u8 {
            let elsewhere = br##"%:/?#[]@"<>\^`{|}"##.contains(&b);
            assert_eq!(is_reg_name(b), is_vchar(b) && !elsewhere, "{b:#04x}");
        }
    }
}
