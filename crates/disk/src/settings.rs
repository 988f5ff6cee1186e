//! The settings of a log as text, without loss.
//!
//! It has the form of the settings in a request, so that an operator can read it: see
//! [`SettingsText`](tidewire_store::SettingsText). A program that embeds the hub may make settings
//! that no request can ask for, such as a media type without a slash. So this is a form of its own:
//! it says everything, and refuses nothing.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use tidewire_channel::Retention;
use tidewire_store::{ChannelSettings, Expiry, Retain};

/// Writes settings: `retain-messages=1000&retain-bytes=1048576&retain-age=3600000ms`.
pub(crate) fn write(settings: &ChannelSettings) -> String {
    let mut text = match settings.retain {
        Retain::All => "retain=all".to_owned(),
        Retain::Bounded(Retention { max_messages, max_bytes, max_age_ms, .. }) => {
            let age = max_age_ms.map_or("none".to_owned(), |ms| format!("{ms}ms"));
            format!("retain-messages={max_messages}&retain-bytes={max_bytes}&retain-age={age}")
        }
    };
    // Writing to a string does not fail.
    let _ = match settings.expiry {
        None => Ok(()),
        Some(Expiry::Sliding { ms }) => write!(text, "&expire={ms}ms"),
        Some(Expiry::At { ms }) => write!(text, "&expire-at={ms}"),
    };
    if let Some(content_type) = &settings.content_type {
        // The last one, so it may have any character.
        let _ = write!(text, "&type={content_type}");
    }
    text
}

/// Reads what [`write`] has written. `None`: it is damaged.
pub(crate) fn read(text: &str) -> Option<ChannelSettings> {
    let (pairs, content_type) = match text.split_once("&type=") {
        Some((pairs, content_type)) => (pairs, Some(content_type.into())),
        None => (text, None),
    };
    let ms = |value: &str| value.strip_suffix("ms")?.parse::<u64>().ok();
    let (mut is_all, mut retention, mut expiry) = (false, Retention::DEFAULT, None);
    for pair in pairs.split('&') {
        let (name, value) = pair.split_once('=')?;
        match name {
            "retain" => is_all = value == "all",
            "retain-messages" => retention.max_messages = value.parse().ok()?,
            "retain-bytes" => retention.max_bytes = value.parse().ok()?,
            "retain-age" if value == "none" => retention.max_age_ms = None,
            "retain-age" => retention.max_age_ms = Some(ms(value)?),
            "expire" => expiry = Some(Expiry::Sliding { ms: ms(value)? }),
            "expire-at" => expiry = Some(Expiry::At { ms: value.parse().ok()? }),
            _ => return None,
        }
    }
    let retain = if is_all { Retain::All } else { Retain::Bounded(retention) };
    Some(ChannelSettings::DEFAULT.with_retain(retain).with_expiry(expiry).with_content_type(content_type))
}

/// Settings that were read. Most logs have the same, which then take memory once.
#[derive(Debug, Default)]
pub(crate) struct ReadSettings(HashMap<String, Arc<ChannelSettings>>);

impl ReadSettings {
    /// As [`read`].
    pub(crate) fn get(&mut self, text: &str) -> Option<Arc<ChannelSettings>> {
        if let Some(settings) = self.0.get(text) {
            return Some(settings.clone());
        }
        let settings = Arc::new(read(text)?);
        // An `expire-at` may differ from log to log. Then there is nothing to share.
        if self.0.len() < MAX_SHARED {
            self.0.insert(text.to_owned(), settings.clone());
        }
        Some(settings)
    }
}

const MAX_SHARED: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_settings_come_back() {
        let bounded = |messages, bytes, age| {
            let retention = Retention::DEFAULT.with_max_messages(messages).with_max_bytes(bytes);
            Retain::Bounded(retention.with_max_age_ms(age))
        };
        let retains = [
            Retain::All,
            Retain::default(),
            bounded(0, 0, Some(0)),
            bounded(usize::MAX, usize::MAX, None),
            bounded(1, 2, Some(u64::MAX)),
        ];
        let expiries = [None, Some(Expiry::Sliding { ms: 0 }), Some(Expiry::At { ms: u64::MAX })];
        let types = [None, Some(""), Some("text/plain; charset=utf-8"), Some("a&type=b"), Some("=é&")];
        for retain in retains {
            for expiry in expiries {
                for content_type in types {
                    let settings = ChannelSettings::DEFAULT.with_retain(retain).with_expiry(expiry);
                    let settings = settings.with_content_type(content_type.map(Into::into));
                    let text = write(&settings);
                    assert_eq!(read(&text).as_ref(), Some(&settings), "{text}");
                }
            }
        }
    }

    #[test]
    fn damaged_settings_are_refused() {
        for text in ["", "retain", "retain-messages=x", "retain-age=1", "expire=1", "kept=1"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn the_same_settings_are_shared() {
        let mut all = ReadSettings::default();
        let text = write(&ChannelSettings::DEFAULT);
        let (one, two) = (all.get(&text).expect("good"), all.get(&text).expect("good"));
        assert!(Arc::ptr_eq(&one, &two));
    }
}
