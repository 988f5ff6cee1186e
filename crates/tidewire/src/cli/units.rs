//! Sizes and times as people write them: `8M`, `64KiB`, `1h`, `500ms`.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use tidewire::hub::store::{UnitError, parse_size, parse_span_ms};

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
        parse_size(text).map(Size).map_err(|error| about(text, error))
    }
}

/// A time: `30`, `30s`, `500ms`, `1.5m`, `1h`, `7d`. A bare number is seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(super) Duration);

impl Span {
    /// The time in milliseconds.
    pub(super) fn ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ms = parse_span_ms(text).map_err(|error| about(text, error))?;
        Ok(Span(Duration::from_millis(ms)))
    }
}

/// What is wrong with a text, and what to write instead.
fn about(text: &str, error: UnitError) -> String {
    match error {
        UnitError::Size => format!(
            "{text:?} is not a size; write a number of bytes, or a number with a unit \
             that is a power of 1024: 64k, 8M, 1G (or KiB, MiB, GiB)"
        ),
        UnitError::Time => {
            format!("{text:?} is not a time; write seconds, or a number with a unit: 500ms, 30s, 5m, 1h, 7d")
        }
        error => format!("{text}: {error}"),
    }
}

/// Parses a time for the other commands.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    text.parse::<Span>().map(|span| span.0)
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

    /// The tests of the grammar are in `tidewire-store`.
    #[test]
    fn an_error_has_the_text_and_says_what_to_write() {
        assert_eq!("8 MiB".parse(), Ok(Size(8 << 20)));
        assert_eq!("1.5h".parse(), Ok(Span(Duration::from_secs(5400))));
        let size = |text: &str| text.parse::<Size>().unwrap_err();
        let time = |text: &str| text.parse::<Span>().unwrap_err();
        for (error, says) in [
            (size("8MB"), ["\"8MB\"", "is not a size", "8M"]),
            (size("9223372036854775808"), ["9223372036854775808", "larger than", "memory"]),
            (time("1w"), ["\"1w\"", "is not a time", "1h"]),
            (time("36501d"), ["36501d", "longer than", "100 years"]),
        ] {
            assert!(says.iter().all(|part| error.contains(part)), "{error}");
        }
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
