//! Numbers: only digits, checked for overflow at each digit.

use crate::class::is_digit;
use crate::error::{NumberError, NumberErrorKind};

/// Reads all of `input` as `1*DIGIT`, as in *Content-Length* (RFC 9110 §8.6). The grammar allows
/// leading zeros.
///
/// # Errors
/// Empty input, a byte that is not a digit (such as a sign, a space or a comma), a value over
/// `u64::MAX`.
///
/// ```
/// assert_eq!(tidewire_grammar::dec_u64(b"42"), Ok(42));
/// assert!(tidewire_grammar::dec_u64(b"+42").is_err());
/// ```
pub const fn dec_u64(input: &[u8]) -> Result<u64, NumberError> {
    digits(input, 10)
}

/// Reads all of `input` as `1*HEXDIG`, as in *chunk-size* (RFC 9112 §7.1). The grammar allows
/// leading zeros. The caller limits their number.
///
/// ```
/// assert_eq!(tidewire_grammar::hex_u64(b"00fF"), Ok(255));
/// assert!(tidewire_grammar::hex_u64(b"+5").is_err());
/// ```
///
/// # Errors
/// As [`dec_u64`]; `0x5` is refused at the `x`.
pub const fn hex_u64(input: &[u8]) -> Result<u64, NumberError> {
    digits(input, 16)
}

/// Reads a *qvalue* (RFC 9110 §12.4.2) in thousandths, 0 to 1000: `1`, `0.5` and `0.333` are 1000,
/// 500 and 333. `None` for anything else: `1.1`, `0.1234`, `.5`, `-0`.
///
/// ```
/// assert_eq!(tidewire_grammar::qvalue(b"0.75"), Some(750));
/// assert_eq!(tidewire_grammar::qvalue(b"1.1"), None);
/// ```
#[must_use]
pub const fn qvalue(input: &[u8]) -> Option<u16> {
    let (whole, fraction) = match input {
        [whole @ (b'0' | b'1')] => (*whole, &[] as &[u8]),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] => (*whole, fraction),
        _ => return None,
    };
    if fraction.len() > 3 {
        return None;
    }
    let mut thousandths = if whole == b'1' { 1000_u16 } else { 0 };
    let (mut scale, mut i) = (100, 0_usize);
    while i < fraction.len() {
        if !is_digit(fraction[i]) {
            return None;
        }
        let digit = (fraction[i] & 0xf) as u16;
        thousandths = thousandths.saturating_add(digit.saturating_mul(scale));
        scale /= 10;
        i = i.saturating_add(1);
    }
    if thousandths > 1000 { None } else { Some(thousandths) }
}

const fn digits(input: &[u8], base: u32) -> Result<u64, NumberError> {
    if input.is_empty() {
        return Err(NumberError::new(NumberErrorKind::Empty, 0));
    }
    let (mut value, mut i) = (0u64, 0_usize);
    while i < input.len() {
        // `to_digit` accepts only ASCII and no sign, unlike `from_str_radix`.
        let Some(digit) = (input[i] as char).to_digit(base) else {
            return Err(NumberError::new(NumberErrorKind::NotADigit, i));
        };
        value = match value.checked_mul(base as u64) {
            Some(shifted) => match shifted.checked_add(digit as u64) {
                Some(sum) => sum,
                None => return Err(NumberError::new(NumberErrorKind::Overflow, i)),
            },
            None => return Err(NumberError::new(NumberErrorKind::Overflow, i)),
        };
        i = i.saturating_add(1);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use NumberErrorKind::{Empty, NotADigit, Overflow};
    use alloc::{format, vec::Vec};
    use proptest::prelude::*;

    fn dec(input: &str) -> Result<u64, (NumberErrorKind, usize)> {
        dec_u64(input.as_bytes()).map_err(|e| (e.kind(), e.offset()))
    }

    fn hex(input: &str) -> Result<u64, (NumberErrorKind, usize)> {
        hex_u64(input.as_bytes()).map_err(|e| (e.kind(), e.offset()))
    }

    #[test]
    fn decimal() {
        assert_eq!(dec("0"), Ok(0));
        assert_eq!(dec("007"), Ok(7));
        assert_eq!(dec("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(dec("18446744073709551616"), Err((Overflow, 19)));
        assert_eq!(dec("184467440737095516150"), Err((Overflow, 20)));
        assert_eq!(dec(""), Err((Empty, 0)));
        for (bad, at) in [
            ("+5", 0),
            ("-1", 0),
            (" 5", 0),
            ("5 ", 1),
            ("0x5", 1),
            ("5,6", 1),
            ("5_0", 1),
            ("1e3", 1),
            ("٣", 0),
        ] {
            assert_eq!(dec(bad), Err((NotADigit, at)), "{bad:?}");
        }
    }

    #[test]
    fn hexadecimal() {
        assert_eq!(hex("fF"), Ok(255));
        assert_eq!(hex("FFFFFFFFFFFFFFFF"), Ok(u64::MAX));
        assert_eq!(hex("10000000000000000"), Err((Overflow, 16)));
        assert_eq!(hex("FFFFFFFFFFFFFFFFF"), Err((Overflow, 16)));
        assert_eq!(hex("00000000000000000005"), Ok(5));
        assert_eq!(hex("g"), Err((NotADigit, 0)));
        assert_eq!(hex("0x5"), Err((NotADigit, 1)));
        assert_eq!(hex(""), Err((Empty, 0)));
    }

    #[test]
    fn qvalues() {
        for (good, value) in
            [("0", 0), ("1", 1000), ("0.5", 500), ("0.333", 333), ("0.", 0), ("1.", 1000), ("1.000", 1000)]
        {
            assert_eq!(qvalue(good.as_bytes()), Some(value), "{good:?}");
        }
        for bad in ["", ".5", "1.001", "1.1", "0.1234", "2", "-0", "+1", "0,5", "0.5 ", "01", "0.a"] {
            assert_eq!(qvalue(bad.as_bytes()), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_formatted_number_is_read(value: u64) {
            prop_assert_eq!(dec(&format!("{value}")), Ok(value));
            prop_assert_eq!(hex(&format!("{value:x}")), Ok(value));
            prop_assert_eq!(hex(&format!("{value:X}")), Ok(value));
        }

        /// The oracle is the standard library, with strings that the grammar allows.
        #[test]
        fn the_standard_library_reads_the_same_number(text in "[0-9]{1,25}") {
            prop_assert_eq!(dec(&text).ok(), text.parse::<u64>().ok());
            prop_assert_eq!(hex(&text).ok(), u64::from_str_radix(&text, 16).ok());
        }

        #[test]
        fn a_number_with_another_byte_is_refused(input: Vec<u8>) {
            prop_assume!(!input.iter().all(u8::is_ascii_digit));
            prop_assert!(dec_u64(&input).is_err());
        }
    }
}
