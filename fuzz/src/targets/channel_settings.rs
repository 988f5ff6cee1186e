//! Any text as the settings of a channel, and as a pattern with settings and a name after it. A
//! simple parser accepts the same settings with the same meaning, they are written in a spelling
//! that means the same, and a pattern matches what its segments say.

use std::collections::BTreeMap;

use tidewire_channel::Retention;
use tidewire_store::{ChannelName, ChannelPattern, ChannelPatterns, SettingsLimits, SettingsText};

const LIMITS: SettingsLimits = SettingsLimits::DEFAULT;

pub fn run(data: &[u8]) {
    settings(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let (text, name) = text.split_once('\n').unwrap_or((text, "a/b"));
        pattern(text, name);
    }
}

fn settings(data: &[u8]) {
    let parsed = SettingsText::parse(data, &LIMITS);
    match &parsed {
        Ok(settings) => {
            let text = settings.to_string();
            assert_eq!(SettingsText::parse(text.as_bytes(), &LIMITS.with_max_text(4096)), parsed, "{text}");
        }
        Err(error) => assert!(error.offset() <= data.len()),
    }
    if data.len() <= LIMITS.max_text {
        let text = parsed.as_ref().ok().map(ToString::to_string);
        assert_eq!(text, simple(data), "{parsed:?}");
    }
}

fn pattern(text: &str, name: &str) {
    let outcome = ChannelPatterns::none().add(text, Retention::DEFAULT, &LIMITS);
    let (pattern, settings) = text.split_once('?').unwrap_or((text, ""));
    let parsed: Result<ChannelPattern, _> = pattern.parse();
    let is_good = parsed.is_ok() && SettingsText::parse(settings.as_bytes(), &LIMITS).is_ok();
    assert_eq!(outcome.is_ok(), is_good && text.len() <= LIMITS.max_text, "{outcome:?}");
    let (Ok(parsed), Ok(name)) = (parsed, ChannelName::new(name)) else { return };
    assert_eq!(parsed.to_string().parse(), Ok(parsed.clone()));
    let segments: (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), name.segments().collect());
    assert_eq!(parsed.matches(&name), matches(&segments.0, &segments.1), "{pattern} {name}");
    // A name is a pattern of itself.
    let itself: ChannelPattern = name.as_str().parse().expect("a name is a pattern");
    assert_eq!(parsed.covers(&itself), parsed.matches(&name), "{pattern} {name}");
}

fn matches(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern, name) {
        ([], []) | (["**"], _) => true,
        (["*", pattern @ ..], [_, name @ ..]) => matches(pattern, name),
        ([one, pattern @ ..], [other, name @ ..]) => one == other && matches(pattern, name),
        _ => false,
    }
}

/// The settings in their one spelling, parsed in another way: all pairs first, then each setting.
fn simple(data: &[u8]) -> Option<String> {
    let mut pairs = BTreeMap::new();
    for pair in data.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
        let at = pair.iter().position(|&b| b == b'=')?;
        let value = decode(&pair[at + 1..])?;
        if value.is_empty() || pairs.insert(&pair[..at], value).is_some() {
            return None;
        }
    }
    let mut all = Vec::new();
    let mut take = |name: &str| pairs.remove(name.as_bytes());
    let (retain, messages) = (take("retain"), take("retain-messages"));
    let (bytes, age) = (take("retain-bytes"), take("retain-age"));
    let (expire, at, media) = (take("expire"), take("expire-at"), take("type"));
    let is_limited = messages.is_some() || bytes.is_some() || age.is_some();
    if !pairs.is_empty() || (retain.is_some() && is_limited) || (expire.is_some() && at.is_some()) {
        return None;
    }
    if let Some(retain) = retain {
        all.push((retain == "all").then_some("retain=all".to_owned())?);
    }
    if let Some(messages) = messages {
        all.push(format!("retain-messages={}", whole(&messages, u128::from(u64::MAX)).filter(|&n| n > 0)?));
    }
    if let Some(bytes) = bytes {
        all.push(format!("retain-bytes={}", size(&bytes).filter(|&n| n > 0)?));
    }
    if let Some(age) = age {
        let ms = span(&age)?;
        all.push(if ms == 0 { "retain-age=0".to_owned() } else { format!("retain-age={ms}ms") });
    }
    if let Some(expire) = expire {
        all.push(format!("expire={}ms", span(&expire).filter(|&ms| ms > 0)?));
    }
    if let Some(at) = at {
        all.push(format!("expire-at={}", date(&at)?));
    }
    if let Some(media) = media {
        all.push(format!("type={}", media_type(&media)?));
    }
    Some(all.join("&"))
}

fn decode(value: &[u8]) -> Option<String> {
    let mut hex = String::new();
    let mut bytes = value.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'%' => {
                for _ in 0..2 {
                    let digit = bytes.next()?;
                    hex.push(digit.is_ascii_hexdigit().then_some(char::from(*digit))?);
                }
            }
            b'+' => hex.push_str("20"),
            byte => hex.push_str(&format!("{byte:02x}")),
        }
    }
    let bytes = (0..hex.len()).step_by(2).map(|n| u8::from_str_radix(&hex[n..n + 2], 16).ok());
    String::from_utf8(bytes.collect::<Option<_>>()?).ok()
}

fn whole(text: &str, max: u128) -> Option<u128> {
    if text.is_empty() {
        return None;
    }
    text.chars().try_fold(0, |number: u128, digit| {
        let number = number * 10 + u128::from(digit.to_digit(10)?);
        (number <= max).then_some(number)
    })
}

/// A number and its unit in lower case.
fn unit<'a>(text: &'a str, of_number: &str) -> (&'a str, String) {
    let number = text.trim_start_matches(|c| of_number.contains(c));
    let (digits, unit) = text.split_at(text.len() - number.len());
    (digits, unit.trim_start().to_ascii_lowercase())
}

fn size(text: &str) -> Option<u128> {
    let (digits, unit) = unit(text, "0123456789");
    let units = ["", "k", "kib", "m", "mib", "g", "gib", "t", "tib"];
    let power = units.iter().position(|known| *known == unit)?.div_ceil(2);
    let number = whole(digits, i64::MAX as u128)? * 1024_u128.pow(power as u32);
    (number <= i64::MAX as u128).then_some(number)
}

fn span(text: &str) -> Option<u128> {
    let (digits, unit) = unit(text, "0123456789.");
    let units = [
        ("ms", 1),
        ("", 1000),
        ("s", 1000),
        ("m", 60_000),
        ("min", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];
    let (_, unit_ms) = units.into_iter().find(|(known, _)| *known == unit)?;
    let parts: Vec<&str> = digits.split('.').collect();
    let (before, after) = match parts[..] {
        [before] if !before.is_empty() => (before, ""),
        [before, after] if !(before.is_empty() && after.is_empty()) => (before, after),
        _ => return None,
    };
    let longest = 36_500 * 86_400_000;
    let ms = if before.is_empty() { 0 } else { whole(before, longest)? * unit_ms };
    // Long division, from the last digit on: the digits of a text are few enough.
    let (mut numerator, mut denominator) = (0_u128, 1_u128);
    for digit in after.chars().take(20) {
        numerator = numerator * 10 + u128::from(digit.to_digit(10)?);
        denominator *= 10;
    }
    // What follows is less than one unit of the last of these digits, and counts as one.
    if after.chars().skip(20).any(|digit| digit != '0') {
        numerator += 1;
    }
    let ms = ms + (numerator * unit_ms).div_ceil(denominator);
    (ms <= longest).then_some(ms)
}

fn date(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let form = "dddd-dd-ddTdd:dd:dd";
    let has_form = bytes.len() > form.len()
        && form.bytes().zip(bytes).all(|(form, byte)| match form {
            b'd' => byte.is_ascii_digit(),
            form => form == byte.to_ascii_uppercase(),
        });
    if !has_form {
        return None;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let mut rest = &text[19..];
    let mut millis = String::new();
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        millis = fraction[..fraction.len() - rest.len()].to_owned();
        if millis.is_empty() {
            return None;
        }
    }
    millis.push_str("000");
    let millis: i64 = millis[..3].parse().ok()?;
    let offset = match rest {
        "Z" | "z" => 0,
        _ if rest.is_ascii() && rest.len() == 6 && rest.as_bytes()[3] == b':' => {
            let sign = match &rest[..1] {
                "+" => 1,
                "-" => -1,
                _ => return None,
            };
            let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
            if !is_number(&rest[1..3]) || !is_number(&rest[4..]) {
                return None;
            }
            let (hours, minutes): (i64, i64) = (rest[1..3].parse().ok()?, rest[4..].parse().ok()?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            sign * (hours * 60 + minutes)
        }
        _ => return None,
    };
    let length = |year: i64, month: i64| match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 400 == 0 || (year % 4 == 0 && year % 100 != 0) => 29,
        2 => 28,
        _ => 31,
    };
    if !(1..=12).contains(&month)
        || day < 1
        || day > length(year, month)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    // Walk from the day of the text to the day in UTC, minute by minute of the offset at once.
    let (mut year, mut month, mut day) = (year, month, day);
    let mut minutes = hour * 60 + minute - offset;
    let mut second = second;
    let is_leap_second = second == 60;
    if is_leap_second {
        (minutes, second) = (minutes + 1, 0);
    }
    if minutes < 0 {
        minutes += 1440;
        day -= 1;
        if day == 0 {
            month -= 1;
            if month == 0 {
                (year, month) = (year - 1, 12);
            }
            day = length(year, month);
        }
    } else if minutes >= 1440 {
        minutes -= 1440;
        day += 1;
        if day > length(year, month) {
            (month, day) = (month + 1, 1);
            if month == 13 {
                (year, month) = (year + 1, 1);
            }
        }
    }
    if is_leap_second && (minutes != 0 || day != 1) {
        return None;
    }
    if !(1970..=9999).contains(&year) {
        return None;
    }
    let fraction = if millis > 0 { format!(".{millis:03}") } else { String::new() };
    let (hour, minute) = (minutes / 60, minutes % 60);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"))
}

fn media_type(text: &str) -> Option<String> {
    if text.len() > 256 || text.chars().any(char::is_control) {
        return None;
    }
    let essence = text.split(';').next()?.trim_end_matches(' ');
    let parts: Vec<&str> = essence.split('/').collect();
    let is_token = |part: &&str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_graphic() && !"\"(),/:;<=>?@[\\]{}".contains(c))
    };
    if parts.len() != 2 || !parts.iter().all(is_token) {
        return None;
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || "-._~/;=".contains(char::from(byte));
    let write = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    Some(text.bytes().map(write).collect())
}
