//! The settings of a channel as a request and an option of the server write them:
//! `retain-messages=10&expire=1h`.

use std::fmt;

use tidewire_channel::Retention;

use crate::date::{self, DateTime};
use crate::message::MAX_CONTENT_TYPE;
use crate::percent;
use crate::settings::{ChannelSettings, Expiry, Retain};
use crate::units::{parse_size, parse_span_ms};

/// How long the texts of settings and patterns may be, and how many patterns there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingsLimits {
    /// Longest text of settings, or of a pattern with its settings, in bytes. Default 1 KiB: a name
    /// and a media type of the longest size, both percent-encoded.
    pub max_text: usize,
    /// The largest number of patterns. Default 1,000: each new channel is compared with them in
    /// turn, which takes some microseconds then.
    pub max_patterns: usize,
}

impl SettingsLimits {
    /// The defaults.
    pub const DEFAULT: Self = Self { max_text: 1024, max_patterns: 1_000 };

    /// Sets [`max_text`](Self::max_text), in bytes.
    #[must_use]
    pub const fn with_max_text(mut self, bytes: usize) -> Self {
        self.max_text = bytes;
        self
    }

    /// Sets [`max_patterns`](Self::max_patterns).
    #[must_use]
    pub const fn with_max_patterns(mut self, patterns: usize) -> Self {
        self.max_patterns = patterns;
        self
    }
}

impl Default for SettingsLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a text says about the settings of a channel. What it does not say stays as it was: see
/// [`over`](Self::over).
///
/// The text is a list of `SETTING=VALUE` with `&` between two of them, in any order, as in the
/// query of a URL. In a value, `+` is a space and `%2B` is a plus sign, as HTML forms encode them.
///
/// | setting | value |
/// |---|---|
/// | `retain` | `all`: the channel keeps all messages |
/// | `retain-messages` | the number of messages that it keeps, 1 or more |
/// | `retain-bytes` | the bytes that it keeps, 1 or more; as in [`parse_size`] |
/// | `retain-age` | how long it keeps a message, as in [`parse_span_ms`]; `0` means no limit |
/// | `expire` | how long it lives without a read or a write; more than 0 |
/// | `expire-at` | when it ends: a date-time of RFC 3339 |
/// | `type` | the media type of its messages |
///
/// Displays as the one spelling that has no choice: the settings in this order, bytes as a number,
/// times in milliseconds and UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsText {
    retain_all: bool,
    messages: Option<usize>,
    bytes: Option<usize>,
    /// `Some(None)`: for ever.
    age_ms: Option<Option<u64>>,
    expiry: Option<Expiry>,
    content_type: Option<Box<str>>,
}

/// The name of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Setting {
    /// `retain`
    Retain,
    /// `retain-messages`
    RetainMessages,
    /// `retain-bytes`
    RetainBytes,
    /// `retain-age`
    RetainAge,
    /// `expire`
    Expire,
    /// `expire-at`
    ExpireAt,
    /// `type`
    Type,
}

impl Setting {
    /// Every setting, in the order of [`SettingsText`].
    pub const ALL: [Self; 7] = [
        Self::Retain,
        Self::RetainMessages,
        Self::RetainBytes,
        Self::RetainAge,
        Self::Expire,
        Self::ExpireAt,
        Self::Type,
    ];

    /// The name as it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retain => "retain",
            Self::RetainMessages => "retain-messages",
            Self::RetainBytes => "retain-bytes",
            Self::RetainAge => "retain-age",
            Self::Expire => "expire",
            Self::ExpireAt => "expire-at",
            Self::Type => "type",
        }
    }

    /// What to write.
    const fn form(self) -> &'static str {
        match self {
            Self::Retain => "write retain=all, or a limit such as retain-messages=1000",
            Self::RetainMessages => "write a number of messages from 1 on, as in retain-messages=1000",
            Self::RetainBytes => {
                "write a number of bytes from 1 on, as in retain-bytes=65536 or retain-bytes=8M"
            }
            Self::RetainAge => "write a time of at most 100 years, as in retain-age=1h; 0 means no limit",
            Self::Expire => "write a time above 0 and of at most 100 years, as in expire=30m or expire=7d",
            Self::ExpireAt => {
                "write a time of RFC 3339 from 1970 on, as in expire-at=2027-01-31T12:00:00Z, \
                 and a plus sign as %2B"
            }
            Self::Type => {
                "write a media type of at most 256 bytes, as in type=application/json, \
                 and a plus sign as %2B"
            }
        }
    }
}

/// The text is not one of settings. The offset is that of the setting in the text.
///
/// Displays as a clause that says what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingsError {
    kind: SettingsErrorKind,
    offset: usize,
}

/// What is wrong with a text of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsErrorKind {
    /// More than [`SettingsLimits::max_text`] bytes.
    #[error("the settings of a channel have at most {0} bytes; leave out what is the default")]
    TooLong(usize),
    /// No setting has this name.
    #[error(
        "there is no such setting of a channel; the settings are retain, retain-messages, retain-bytes, \
         retain-age, expire, expire-at and type"
    )]
    Unknown,
    /// The setting occurs twice.
    #[error("the setting {name} occurs twice; write it once", name = .0.name())]
    Twice(Setting),
    /// The setting has no value.
    #[error("the setting {name} has no value; {form}", name = .0.name(), form = .0.form())]
    NoValue(Setting),
    /// The setting has another form, or its value is out of bounds.
    #[error("the setting {name} has a wrong value; {form}", name = .0.name(), form = .0.form())]
    BadValue(Setting),
    /// `retain=all` beside a limit of what is kept.
    #[error(
        "the setting retain=all keeps all messages; leave it out, \
         or leave out retain-messages, retain-bytes and retain-age"
    )]
    AllAndLimit,
    /// Both `expire` and `expire-at`.
    #[error("a channel has either expire or expire-at; leave one of the two out")]
    TwoExpiries,
}

impl SettingsError {
    const fn new(kind: SettingsErrorKind, offset: usize) -> Self {
        SettingsError { kind, offset }
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(self) -> SettingsErrorKind {
        self.kind
    }

    /// The index of the first byte of the wrong setting.
    #[must_use]
    pub const fn offset(self) -> usize {
        self.offset
    }

    /// The same error in a text that has `before` bytes before this one.
    pub(crate) const fn after(self, before: usize) -> Self {
        SettingsError { kind: self.kind, offset: self.offset.saturating_add(before) }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl std::error::Error for SettingsError {}

impl SettingsText {
    /// Parses a text. An empty text says nothing.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn parse(text: &[u8], limits: &SettingsLimits) -> Result<Self, SettingsError> {
        if text.len() > limits.max_text {
            return Err(SettingsError::new(SettingsErrorKind::TooLong(limits.max_text), limits.max_text));
        }
        let mut settings = SettingsText::default();
        let mut offset = 0_usize;
        for pair in text.split(|&b| b == b'&') {
            if !pair.is_empty() {
                settings.set(pair).map_err(|kind| SettingsError::new(kind, offset))?;
            }
            offset = offset.saturating_add(pair.len()).saturating_add(1);
        }
        Ok(settings)
    }

    /// Reads one `SETTING=VALUE`.
    fn set(&mut self, pair: &[u8]) -> Result<(), SettingsErrorKind> {
        let at = pair.iter().position(|&b| b == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at(at);
        let value = value.strip_prefix(b"=").unwrap_or_default();
        let named = Setting::ALL.into_iter().find(|setting| setting.name().as_bytes() == name);
        let setting = named.ok_or(SettingsErrorKind::Unknown)?;
        if value.is_empty() {
            return Err(SettingsErrorKind::NoValue(setting));
        }
        let bad = SettingsErrorKind::BadValue(setting);
        let value = percent::decode(value, true).ok_or(bad)?;
        let is_set = match setting {
            Setting::Retain => std::mem::replace(&mut self.retain_all, value == "all"),
            Setting::RetainMessages => self.messages.replace(count(&value).ok_or(bad)?).is_some(),
            Setting::RetainBytes => self.bytes.replace(bytes(&value).ok_or(bad)?).is_some(),
            Setting::RetainAge => {
                let ms = parse_span_ms(&value).map_err(|_| bad)?;
                self.age_ms.replace((ms > 0).then_some(ms)).is_some()
            }
            Setting::Expire => {
                let ms = parse_span_ms(&value).ok().filter(|&ms| ms > 0).ok_or(bad)?;
                self.set_expiry(Expiry::Sliding { ms })?
            }
            Setting::ExpireAt => self.set_expiry(Expiry::At { ms: date::parse(&value).ok_or(bad)? })?,
            Setting::Type => {
                let media = Some(value).filter(|value| is_media_type(value)).ok_or(bad)?;
                self.content_type.replace(media.into()).is_some()
            }
        };
        if is_set {
            return Err(SettingsErrorKind::Twice(setting));
        }
        if setting == Setting::Retain && !self.retain_all {
            return Err(bad);
        }
        let is_limited = self.messages.is_some() || self.bytes.is_some() || self.age_ms.is_some();
        if self.retain_all && is_limited { Err(SettingsErrorKind::AllAndLimit) } else { Ok(()) }
    }

    /// Sets the expiry. Returns whether the same setting was there already.
    fn set_expiry(&mut self, expiry: Expiry) -> Result<bool, SettingsErrorKind> {
        match (self.expiry.replace(expiry), expiry) {
            (None, _) => Ok(false),
            (Some(Expiry::Sliding { .. }), Expiry::Sliding { .. })
            | (Some(Expiry::At { .. }), Expiry::At { .. }) => Ok(true),
            _ => Err(SettingsErrorKind::TwoExpiries),
        }
    }

    /// The settings of a channel that has these, and `base` for all that the text does not say. If
    /// `base` keeps all messages and the text has only some limits, the others are those of
    /// `retention`.
    #[must_use]
    pub fn over(&self, base: &ChannelSettings, retention: Retention) -> ChannelSettings {
        let mut settings = base.clone();
        if self.retain_all {
            settings.retain = Retain::All;
        } else if self.messages.is_some() || self.bytes.is_some() || self.age_ms.is_some() {
            let mut limits = match settings.retain {
                Retain::Bounded(limits) => limits,
                Retain::All => retention,
            };
            limits.max_messages = self.messages.unwrap_or(limits.max_messages);
            limits.max_bytes = self.bytes.unwrap_or(limits.max_bytes);
            limits.max_age_ms = self.age_ms.unwrap_or(limits.max_age_ms);
            settings.retain = Retain::Bounded(limits);
        }
        settings.expiry = self.expiry.or(settings.expiry);
        if let Some(content_type) = &self.content_type {
            settings.content_type = Some(content_type.clone());
        }
        settings
    }

    /// The moment of `expire-at`, in milliseconds since 1970. This crate has no clock: the caller
    /// says whether it is over.
    #[must_use]
    pub fn expires_at_ms(&self) -> Option<u64> {
        match self.expiry {
            Some(Expiry::At { ms }) => Some(ms),
            _ => None,
        }
    }
}

/// A number of messages: digits only, 1 or more.
fn count(value: &str) -> Option<usize> {
    let is_number = value.bytes().all(|b| b.is_ascii_digit());
    value.parse().ok().filter(|&count: &usize| is_number && count > 0)
}

fn bytes(value: &str) -> Option<usize> {
    parse_size(value).ok().and_then(|bytes| usize::try_from(bytes).ok()).filter(|&bytes| bytes > 0)
}

/// Whether the text is a media type (RFC 9110 §8.3.1) that the head of a response can carry. The
/// parameters after it are not checked.
fn is_media_type(text: &str) -> bool {
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    let essence = text.split(';').next().unwrap_or_default().trim_end_matches([' ', '\t']);
    let is_type = essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
    is_type && text.len() <= MAX_CONTENT_TYPE && !text.chars().any(char::is_control)
}

impl fmt::Display for SettingsText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        let mut write = |setting: Setting, value: &dyn fmt::Display| {
            write!(f, "{}{}={value}", std::mem::replace(&mut between, "&"), setting.name())
        };
        if self.retain_all {
            write(Setting::Retain, &"all")?;
        }
        if let Some(messages) = self.messages {
            write(Setting::RetainMessages, &messages)?;
        }
        if let Some(bytes) = self.bytes {
            write(Setting::RetainBytes, &bytes)?;
        }
        match self.age_ms {
            None => {}
            Some(None) => write(Setting::RetainAge, &"0")?,
            Some(Some(ms)) => write(Setting::RetainAge, &format_args!("{ms}ms"))?,
        }
        match self.expiry {
            None => {}
            Some(Expiry::Sliding { ms }) => write(Setting::Expire, &format_args!("{ms}ms"))?,
            Some(Expiry::At { ms }) => write(Setting::ExpireAt, &DateTime(ms))?,
        }
        match &self.content_type {
            None => Ok(()),
            Some(content_type) => write(Setting::Type, &Encoded(content_type)),
        }
    }
}

/// A value, with percent-encoding where a URL, a list or a form needs it.
struct Encoded<'a>(&'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~/;=".contains(&byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SettingsText, SettingsError> {
        SettingsText::parse(text.as_bytes(), &SettingsLimits::DEFAULT)
    }

    #[test]
    fn settings_are_parsed_and_written_in_one_spelling() {
        for (text, written) in [
            ("", ""),
            ("&&", ""),
            ("retain=all", "retain=all"),
            ("retain=%61ll&", "retain=all"),
            ("retain-messages=010", "retain-messages=10"),
            (
                "retain-age=0&retain-bytes=8M&retain-messages=1",
                "retain-messages=1&retain-bytes=8388608&retain-age=0",
            ),
            ("retain-bytes=8+MiB", "retain-bytes=8388608"),
            ("retain-age=1.5h", "retain-age=5400000ms"),
            ("expire=7d&type=text/plain", "expire=604800000ms&type=text/plain"),
            ("expire-at=2027-01-31T13:00:00%2B01:00", "expire-at=2027-01-31T12:00:00Z"),
            ("type=image/svg%2Bxml", "type=image/svg%2Bxml"),
            ("type=text%2Fplain%3B+charset%3Dutf-8", "type=text/plain;%20charset=utf-8"),
            ("type=text/plain;x=a=b", "type=text/plain;x=a=b"),
        ] {
            let parsed = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(parsed.to_string(), written, "{text}");
            assert_eq!(parse(written), Ok(parsed), "{written}");
        }
    }

    #[test]
    fn wrong_settings_say_what_to_write() {
        use SettingsErrorKind as K;
        for (text, kind, offset) in [
            ("retain=all&kept=3", K::Unknown, 11),
            ("Retain=all", K::Unknown, 0),
            ("=all", K::Unknown, 0),
            ("re%74ain=all", K::Unknown, 0),
            ("retain=all&retain=all", K::Twice(Setting::Retain), 11),
            ("expire=1s&expire=2s", K::Twice(Setting::Expire), 10),
            ("type=a/b&&type=a/b", K::Twice(Setting::Type), 10),
            ("retain", K::NoValue(Setting::Retain), 0),
            ("retain-age=", K::NoValue(Setting::RetainAge), 0),
            ("retain=none", K::BadValue(Setting::Retain), 0),
            ("retain-messages=0", K::BadValue(Setting::RetainMessages), 0),
            ("retain-messages=+1", K::BadValue(Setting::RetainMessages), 0),
            ("retain-messages=%2B1", K::BadValue(Setting::RetainMessages), 0),
            ("retain-messages=99999999999999999999", K::BadValue(Setting::RetainMessages), 0),
            ("retain-bytes=0", K::BadValue(Setting::RetainBytes), 0),
            ("retain-bytes=8MB", K::BadValue(Setting::RetainBytes), 0),
            ("retain-age=-1", K::BadValue(Setting::RetainAge), 0),
            ("expire=0", K::BadValue(Setting::Expire), 0),
            ("expire=101y", K::BadValue(Setting::Expire), 0),
            ("expire=36501d", K::BadValue(Setting::Expire), 0),
            ("expire-at=2027-01-31T13:00:00+01:00", K::BadValue(Setting::ExpireAt), 0),
            ("expire-at=tomorrow", K::BadValue(Setting::ExpireAt), 0),
            ("type=text", K::BadValue(Setting::Type), 0),
            ("type=image/svg+xml", K::BadValue(Setting::Type), 0),
            ("type=a/b%0d%0a", K::BadValue(Setting::Type), 0),
            ("type=a/b%", K::BadValue(Setting::Type), 0),
            ("type=a/b%+1", K::BadValue(Setting::Type), 0),
            ("type=a/b;%ff", K::BadValue(Setting::Type), 0),
            ("retain=all&retain-messages=1", K::AllAndLimit, 11),
            ("retain-age=0&retain=all", K::AllAndLimit, 13),
            ("expire=1s&expire-at=2027-01-31T12:00:00Z", K::TwoExpiries, 10),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!((error.kind(), error.offset()), (kind, offset), "{text}");
            let said = error.to_string();
            assert!(
                said.contains("write") || said.contains("leave") || said.contains("settings are"),
                "{said}"
            );
        }
        let long = format!("type=a/{}", "b".repeat(1018));
        assert_eq!(parse(&long).unwrap_err().kind(), K::TooLong(1024));
        assert_eq!(parse(&long[..1024]).unwrap_err().kind(), K::BadValue(Setting::Type), "256 at most");
    }

    #[test]
    fn what_a_text_does_not_say_stays() {
        let retention = Retention::DEFAULT.with_max_messages(7).with_max_bytes(8).with_max_age_ms(Some(9));
        let base = ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention));
        let over = |text: &str, base: &ChannelSettings| parse(text).unwrap().over(base, retention);
        assert_eq!(over("", &base), base);
        let all = over("retain=all&expire=1s&type=a/b", &base);
        assert_eq!(all.retain, Retain::All);
        assert_eq!(
            (all.expiry, all.content_type.as_deref()),
            (Some(Expiry::Sliding { ms: 1000 }), Some("a/b"))
        );
        let some = over("retain-bytes=5&retain-age=0", &all);
        let limits = Retention::DEFAULT.with_max_messages(7).with_max_bytes(5).with_max_age_ms(None);
        assert_eq!(some.retain, Retain::Bounded(limits));
        assert_eq!((some.expiry, &some.content_type), (all.expiry, &all.content_type));
    }
}
