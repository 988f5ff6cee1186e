//! The option `--channel`: patterns of channel names, with the settings of these channels.

use std::time::{SystemTime, UNIX_EPOCH};

use tidewire::hub::Retention;
use tidewire::hub::store::{ChannelPatterns, Expiry, PatternError, SettingsLimits};

/// Parses the patterns in their order. The limits that a pattern does not name are those of
/// `retention`.
///
/// # Errors
/// A sentence that says which pattern is wrong, and what to write.
pub(super) fn parse(texts: &[String], retention: Retention) -> Result<ChannelPatterns, String> {
    let mut patterns = ChannelPatterns::none();
    for text in texts {
        let settings = patterns.add(text, retention, &SettingsLimits::DEFAULT);
        let settings = settings.map_err(|error| match error {
            PatternError::Hidden(number) => {
                let earlier = texts.get(number - 1).map_or("", String::as_str);
                format!(
                    "--channel '{text}' is never used, because '{earlier}' before it matches the same \
                         channels; put '{text}' first"
                )
            }
            error => format!("--channel '{text}': {error}"),
        })?;
        if matches!(settings.expiry, Some(Expiry::At { ms }) if ms <= now_ms()) {
            tracing::warn!(
                pattern = text,
                "the time of expire-at is over: what is published on these channels is deleted at once"
            );
        }
    }
    Ok(patterns)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
