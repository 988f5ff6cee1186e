//! Sizes and times as people write them: `8M`, `64KiB`, `1h`, `500ms`.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A number of bytes: `1048576`, `1024k`, `1M`, `1MiB`. Units are powers of 1024, as in nginx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(super) u64);

impl Size {
    /// The size as a `usize`.
    pub(super) fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, unit) = split(text, |c| c.is_ascii_digit());
        let wrong = || {
            format!(
                "{text:?} is not a size; write a number of bytes, or a number with a unit \
                 that is a power of 1024: 64k, 8M, 1G (or KiB, MiB, GiB)"
            )
        };
        let shift = match unit.to_ascii_lowercase().as_str() {
            "" => 0,
            "k" | "kib" => 10,
            "m" | "mib" => 20,
            "g" | "gib" => 30,
            "t" | "tib" => 40,
            _ => return Err(wrong()),
        };
        if digits.is_empty() {
            return Err(wrong());
        }
        let bytes = digits.parse().ok().and_then(|number: u64| number.checked_mul(1 << shift));
        let fits = bytes.filter(|&bytes| isize::try_from(bytes).is_ok());
        fits.map(Size)
            .ok_or_else(|| format!("{text} is larger than the memory that this machine can address"))
    }
}

/// A time: `30`, `30s`, `500ms`, `1.5m`, `1h`, `7d`. A bare number is seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(super) Duration);

/// The longest time. A longer one is a mistake, and could not be added to a clock.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, unit) = split(text, |c| c.is_ascii_digit() || c == '.');
        let wrong = || {
            format!("{text:?} is not a time; write seconds, or a number with a unit: 500ms, 30s, 5m, 1h, 7d")
        };
        let seconds = match unit.to_ascii_lowercase().as_str() {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(wrong()),
        };
        let number: f64 = digits.parse().map_err(|_| wrong())?;
        let time = Duration::try_from_secs_f64(number * seconds).ok().filter(|time| *time <= LONGEST);
        time.map(Span).ok_or_else(|| format!("{text} is longer than 100 years"))
    }
}

/// Parses a time for the other commands.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    text.parse::<Span>().map(|span| span.0)
}

/// Splits a text into the number at its start and the unit after it.
fn split(text: &str, is_number: fn(char) -> bool) -> (&str, &str) {
    let (number, unit) = text.split_at(text.find(|c| !is_number(c)).unwrap_or(text.len()));
    (number, unit.trim_start())
}

/// Reads a size or a time from a file, where it may be a number or a string.
struct Text<T>(&'static str, PhantomData<T>);

impl<T: FromStr<Err = String>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text("a size, such as 8388608 or '8M'", PhantomData))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text("a time, such as 30 or '1h'", PhantomData))
    }
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
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "M", "-1", "+1", "1.5M", "8MB", "8 M x", "0x10", "1_000", "8Mi", "٣"] {
            let error = text.parse::<Size>().unwrap_err();
            assert!(error.contains("is not a size") && error.contains("8M"), "{text}: {error}");
        }
        for text in ["99999999999999999999", "8388608T", "9223372036854775808"] {
            let error = text.parse::<Size>().unwrap_err();
            assert!(error.contains("larger than"), "{text}: {error}");
        }
    }

    #[test]
    fn a_time_without_a_unit_is_in_seconds() {
        for (text, ms) in [
            ("0", 0),
            ("30", 30_000),
            ("30s", 30_000),
            ("0.5", 500),
            ("0.1", 100),
            ("500ms", 500),
            ("5m", 300_000),
            ("5 min", 300_000),
            ("1.5h", 5_400_000),
            ("1D", 86_400_000),
        ] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_millis(ms))), "{text}");
        }
        for text in ["", "s", "-1", "1h30m", "1e3", "inf", "NaN", "1w", "1..5", "."] {
            let error = text.parse::<Span>().unwrap_err();
            assert!(error.contains("is not a time") && error.contains("1h"), "{text}: {error}");
        }
        for text in ["36501d", "18446744073709551616", &"9".repeat(400)] {
            let error = text.parse::<Span>().unwrap_err();
            assert!(error.contains("100 years"), "{text}: {error}");
        }
        assert_eq!("36500d".parse(), Ok(Span(LONGEST)));
    }

    #[test]
    fn a_size_or_time_in_a_file_is_a_number_or_a_string() {
        #[derive(serde::Deserialize)]
        struct File {
            size: Size,
            time: Span,
        }
        for text in ["size = 65536\ntime = 90", "size = '64k'\ntime = '1.5m'", "size = '64KiB'\ntime = 90.0"]
        {
            let file: File = toml::from_str(text).unwrap();
            assert_eq!((file.size, file.time), (Size(65536), Span(Duration::from_secs(90))), "{text}");
        }
        for text in
            ["size = -1\ntime = 1", "size = 1.5\ntime = 1", "size = true\ntime = 1", "size = 1\ntime = -1"]
        {
            assert!(toml::from_str::<File>(text).is_err(), "{text}");
        }
    }
}
