//! The date and time of RFC 3339: `2027-01-31T12:00:00Z`. No clock, no time zones.

use std::fmt;

/// The last moment that has a text: the end of the year 9999.
const LAST_MS: i64 = 253_402_300_799_999;

const DAY_MS: i64 = 86_400_000;

/// Parses a date-time of RFC 3339 §5.6 into milliseconds since 1970. Returns `None` if it is none,
/// or is before 1970 or after 9999.
///
/// A part of a millisecond is dropped. A leap second (`23:59:60` in UTC, at the end of a month) is
/// the first second of the next day, because the count since 1970 has no leap seconds.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (date, rest) = text.split_at_checked(10)?;
    let [year, month, day] = numbers(date, [4, 2, 2], b'-')?;
    let (time, rest) = rest.strip_prefix(['T', 't'])?.split_at_checked(8)?;
    let [hour, minute, second] = numbers(time, [2, 2, 2], b':')?;
    let (fraction_ms, zone) = fraction(rest)?;
    let offset_minutes = offset(zone)?;
    let is_day = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !is_day || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let minutes = hour.saturating_mul(60).saturating_add(minute).saturating_sub(offset_minutes);
    let seconds = minutes.saturating_mul(60).saturating_add(second);
    let days = days_since_1970(year, month, day);
    let ms =
        days.saturating_mul(DAY_MS).saturating_add(seconds.saturating_mul(1000)).saturating_add(fraction_ms);
    // The second 60 exists only before midnight in UTC, at the end of a month.
    if second == 60 {
        let next = ms.saturating_sub(fraction_ms);
        if next.rem_euclid(DAY_MS) != 0 || civil(next.div_euclid(DAY_MS)).2 != 1 {
            return None;
        }
    }
    u64::try_from(ms).ok().filter(|_| ms <= LAST_MS)
}

/// Three numbers of these lengths, with `between` between them.
fn numbers(text: &str, lengths: [usize; 3], between: u8) -> Option<[i64; 3]> {
    let mut parts = text.split(char::from(between));
    let mut values = [0; 3];
    for (value, length) in values.iter_mut().zip(lengths) {
        let part = parts.next()?;
        *value = digits(part).filter(|_| part.len() == length)?;
    }
    parts.next().is_none().then_some(values)
}

fn digits(text: &str) -> Option<i64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// The milliseconds of a fraction of a second, and the text after it.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = rest.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
    let (part, zone) = rest.split_at(end);
    if part.is_empty() {
        return None;
    }
    let mut bytes = part.bytes();
    let ms = [100, 10, 1].iter().fold(0_i64, |ms, unit| {
        let digit = bytes.next().map_or(0, |b| i64::from(b & 0xf));
        ms.saturating_add(digit.saturating_mul(*unit))
    });
    Some((ms, zone))
}

/// The minutes of a time zone east of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" || zone == "z" {
        return Some(0);
    }
    let (sign, rest) = match zone.as_bytes().first()? {
        b'+' => (1, zone.get(1..)?),
        b'-' => (-1, zone.get(1..)?),
        _ => return None,
    };
    let (hour, minute) = rest.split_once(':')?;
    if hour.len() != 2 || minute.len() != 2 {
        return None;
    }
    let (hour, minute) = (digits(hour)?, digits(minute)?);
    if hour > 23 || minute > 59 {
        return None;
    }
    Some(hour.saturating_mul(60).saturating_add(minute).saturating_mul(sign))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // Count from March on, so that the leap day is the last day of its year.
    let year = if month <= 2 { year.saturating_sub(1) } else { year };
    let month = if month <= 2 { month.saturating_add(9) } else { month.saturating_sub(3) };
    let leap_days =
        year.div_euclid(4).saturating_sub(year.div_euclid(100)).saturating_add(year.div_euclid(400));
    // 153 days in five months from March on, and from August on.
    let before_month = month.saturating_mul(153).saturating_add(2) / 5;
    year.saturating_mul(365)
        .saturating_add(leap_days)
        .saturating_add(before_month)
        .saturating_add(day)
        .saturating_sub(719_469)
}

/// The day of the Gregorian calendar that is this many days after 1970-01-01: the inverse of
/// [`days_since_1970`].
fn civil(days: i64) -> (i64, i64, i64) {
    // An era is 400 years, or 146,097 days. The first one here begins on 0000-03-01.
    let days = days.saturating_add(719_468);
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year =
        day.saturating_sub(day / 1_460).saturating_add(day / 36_524).saturating_sub(day / 146_096) / 365;
    let before_year = year.saturating_mul(365).saturating_add(year / 4).saturating_sub(year / 100);
    let day = day.saturating_sub(before_year);
    let month = day.saturating_mul(5).saturating_add(2) / 153;
    let day = day.saturating_sub(month.saturating_mul(153).saturating_add(2) / 5).saturating_add(1);
    let year = era.saturating_mul(400).saturating_add(year);
    if month < 10 {
        (year, month.saturating_add(3), day)
    } else {
        (year.saturating_add(1), month.saturating_sub(9), day)
    }
}

/// Milliseconds since 1970. Displays as RFC 3339, in UTC and without a fraction of zero.
pub(crate) struct DateTime(pub(crate) u64);

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = i64::try_from(self.0).unwrap_or(LAST_MS).min(LAST_MS);
        let (year, month, day) = civil(ms.div_euclid(DAY_MS));
        let (seconds, ms) = (ms.rem_euclid(DAY_MS) / 1000, ms % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if ms > 0 {
            write!(f, ".{ms:03}")?;
        }
        f.write_str("Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slow calendar, day by day: the oracle.
    fn days() -> impl Iterator<Item = (i64, i64, i64)> {
        (1970..=9999).flat_map(|year: i64| {
            let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
            let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            (1_i64..)
                .zip(lengths)
                .flat_map(move |(month, days)| (1..=days).map(move |day| (year, month, day)))
        })
    }

    #[test]
    fn every_day_has_its_number() {
        let mut last = 0;
        for (n, (year, month, day)) in (0_i64..).zip(days()) {
            assert_eq!(days_since_1970(year, month, day), n);
            assert_eq!(civil(n), (year, month, day));
            last = n;
        }
        assert_eq!((last + 1) * DAY_MS - 1, LAST_MS);
    }

    #[test]
    fn times_of_rfc_3339_are_parsed_and_written_again() {
        for (text, ms, again) in [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"),
            // The examples of RFC 3339 §5.8.
            ("1985-04-12T23:20:50.52Z", 482_196_050_520, "1985-04-12T23:20:50.520Z"),
            ("1996-12-19T16:39:57-08:00", 851_042_397_000, "1996-12-20T00:39:57Z"),
            ("1990-12-31T23:59:60Z", 662_688_000_000, "1991-01-01T00:00:00Z"),
            ("1990-12-31T15:59:60-08:00", 662_688_000_000, "1991-01-01T00:00:00Z"),
            ("2026-11-30t20:00:00.0009z", 1_796_068_800_000, "2026-11-30T20:00:00Z"),
            ("2000-02-29T00:00:00-00:00", 951_782_400_000, "2000-02-29T00:00:00Z"),
            ("1969-12-31T23:00:00-01:00", 0, "1970-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(parse(text), Some(ms), "{text}");
            assert_eq!(DateTime(ms).to_string(), again, "{text}");
            assert_eq!(parse(again), Some(ms), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_times() {
        for text in [
            "",
            "2026",
            "2026-11-30",
            "2026-11-30T20:00Z",
            "2026-11-30T20:00:00",
            "2026-11-30 20:00:00Z",
            "2026-11-30T20:00:00 01:00",
            "2026-11-30T20:00:00+1:00",
            "2026-11-30T20:00:00+0100",
            "2026-11-30T20:00:00+24:00",
            "2026-11-30T20:00:00+00:60",
            "2026-11-30T20:00:00.Z",
            "2026-11-30T20:00:00,5Z",
            "2026-11-31T20:00:00Z",
            "2026-02-29T20:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-00-30T20:00:00Z",
            "2026-13-30T20:00:00Z",
            "2026-11-00T20:00:00Z",
            "2026-11-30T24:00:00Z",
            "2026-11-30T20:60:00Z",
            "2026-11-30T20:00:60Z",
            "2026-11-29T23:59:60Z",
            "2026-11-30T23:59:61Z",
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:59-00:01",
            "10000-01-01T00:00:00Z",
            "+026-11-30T20:00:00Z",
            "2026-11-30T20:00:00ZZ",
            "2026-11-30T20:00:00Z ",
            "2026-1-030T20:00:00Z",
            "2026-11-30T2\u{e9}:00:00Z",
            "٢٠٢٦-11-30T20:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest::proptest! {
        /// A library of others agrees.
        #[test]
        fn the_time_crate_agrees(
            y in 1960_u32..10_000, mo in 0_u32..14, d in 0_u32..33, h in 0_u32..25, mi in 0_u32..61,
            s in 0_u32..60, frac in "|\\.[0-9]{1,9}", zone in "Z|z|[+-][0-2][0-9]:[0-6][0-9]",
        ) {
            let text = format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}{frac}{zone}");
            let theirs = time::OffsetDateTime::parse(&text, &time::format_description::well_known::Rfc3339);
            let theirs = theirs.ok().map(|at| at.unix_timestamp_nanos().div_euclid(1_000_000));
            let theirs = theirs.and_then(|ms| u64::try_from(ms).ok());
            let theirs = theirs.filter(|&ms| ms <= LAST_MS as u64);
            proptest::prop_assert_eq!(parse(&text), theirs, "{}", text);
        }
    }
}
