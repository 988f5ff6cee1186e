//! Sizes and times as people write them: `8M`, `64KiB`, `1h`, `500ms`. Options, configuration files
//! and the settings of channels have the same grammar.

/// The longest time, in milliseconds: 100 years of 365 days. A longer one is a mistake, and could
/// not be added to a clock.
pub const MAX_SPAN_MS: u64 = 100 * 365 * 24 * 3600 * 1000;

/// The text is not a size or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// Not a size.
    #[error(
        "a size is a number of bytes, or a number with a unit that is a power of 1024: \
         64k, 8M, 1G (or KiB, MiB, GiB)"
    )]
    Size,
    /// A size that no machine can address.
    #[error("the size is larger than the memory that this machine can address")]
    TooLarge,
    /// Not a time.
    #[error("a time is a number of seconds, or a number with a unit: 500ms, 30s, 5m, 1h, 7d")]
    Time,
    /// A time of more than [`MAX_SPAN_MS`].
    #[error("the time is longer than 100 years")]
    TooLong,
}

/// Parses a number of bytes: `1048576`, `1024k`, `1M`, `1 MiB`. Units are powers of 1024, in upper
/// or lower case.
///
/// # Errors
/// [`UnitError::Size`], [`UnitError::TooLarge`].
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let (digits, unit) = split(text, |b| b.is_ascii_digit());
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => return Err(UnitError::Size),
    };
    if digits.is_empty() {
        return Err(UnitError::Size);
    }
    let bytes = digits.parse().ok().and_then(|number: u64| number.checked_mul(1 << shift));
    bytes.filter(|&bytes| isize::try_from(bytes).is_ok()).ok_or(UnitError::TooLarge)
}

/// Parses a time into milliseconds: `30`, `30s`, `500ms`, `1.5m`, `1h`, `7d`. A bare number is
/// seconds. A part of a millisecond counts as a whole one, so that only `0` means 0.
///
/// # Errors
/// [`UnitError::Time`], [`UnitError::TooLong`].
pub fn parse_span_ms(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text, |b| b.is_ascii_digit() || b == b'.');
    let unit_ms: u128 = match unit.to_ascii_lowercase().as_str() {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(UnitError::Time),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if part.contains('.') || (whole.is_empty() && part.is_empty()) {
        return Err(UnitError::Time);
    }
    // Both have only digits. More digits than these say nothing that a millisecond can show.
    let (part, rest) = part.split_at(part.len().min(PART_DIGITS));
    let mut ten_to = 1_u128;
    let mut numerator = 0_u128;
    for digit in part.bytes() {
        ten_to = ten_to.saturating_mul(10);
        numerator = numerator.saturating_mul(10).saturating_add(u128::from(digit & 0xf));
    }
    let is_more = rest.bytes().any(|digit| digit != b'0');
    let part_ms = numerator.saturating_add(u128::from(is_more)).saturating_mul(unit_ms).div_ceil(ten_to);
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u128::MAX) };
    let ms = whole.saturating_mul(unit_ms).saturating_add(part_ms);
    u64::try_from(ms).ok().filter(|&ms| ms <= MAX_SPAN_MS).ok_or(UnitError::TooLong)
}

/// Digits after the point that count. Their number fits a `u128` together with the longest unit.
const PART_DIGITS: usize = 24;

/// Splits a text into the number at its start and the unit after it.
fn split(text: &str, is_number: fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|b| !is_number(b)).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("64k", 64 << 10),
            ("64K", 64 << 10),
            ("8M", 8 << 20),
            ("8 MiB", 8 << 20),
            ("1g", 1 << 30),
            ("1GiB", 1 << 30),
            ("2t", 2 << 40),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "-1", "+1", "1.5M", "8MB", "8 M x", "0x10", "1_000", "8Mi", "٣"] {
            assert_eq!(parse_size(text), Err(UnitError::Size), "{text}");
        }
        for text in ["99999999999999999999", "8388608T", "9223372036854775808"] {
            assert_eq!(parse_size(text), Err(UnitError::TooLarge), "{text}");
        }
    }

    #[test]
    fn a_time_is_exact_to_the_millisecond() {
        for (text, ms) in [
            ("0", 0),
            ("0.000h", 0),
            ("30", 30_000),
            ("30s", 30_000),
            ("0.5", 500),
            (".5", 500),
            ("5.", 5_000),
            ("0.1", 100),
            ("500ms", 500),
            ("0.5ms", 1),
            ("0.0000000000000000000000000000000000001", 1),
            ("1.0001s", 1_001),
            ("5m", 300_000),
            ("5 min", 300_000),
            ("1.5h", 5_400_000),
            ("0.0001h", 360),
            ("1D", 86_400_000),
            ("36500d", MAX_SPAN_MS),
        ] {
            assert_eq!(parse_span_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "s", "-1", "+1", "1h30m", "1e3", "inf", "NaN", "1w", "1..5", "1.5.", ".", "٣s"] {
            assert_eq!(parse_span_ms(text), Err(UnitError::Time), "{text}");
        }
        for text in ["36501d", "36500.00000001d", "18446744073709551616", &"9".repeat(400)] {
            assert_eq!(parse_span_ms(text), Err(UnitError::TooLong), "{text}");
        }
    }
}
