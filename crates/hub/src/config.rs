//! The limits of a hub.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tidewire_channel::Retention;
use tidewire_store::{ChannelName, ChannelSettings};

/// The limits of a hub: what each channel keeps, and how much the hub accepts.
///
/// Start with [`DEFAULT`](Self::DEFAULT) and change what you need:
///
/// ```
/// use tidewire_hub::HubConfig;
///
/// let config = HubConfig::DEFAULT.with_max_message(64 * 1024).with_max_channels(10);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HubConfig {
    /// What the log of each channel keeps, unless its settings say otherwise. Default: 1,000
    /// messages, 8 MiB and one hour, whichever limit is reached first. 8 MiB hold several messages
    /// of the longest size.
    pub retention: Retention,
    /// Longest payload in bytes. Default 1 MiB.
    pub max_message: usize,
    /// The largest number of channels at one time. Default 100,000.
    pub max_channels: usize,
    /// The largest number of connections that wait on one channel. Default 1,000,000.
    pub max_subscribers: usize,
    /// Time after which an unused channel is forgotten. A channel is unused when it has no
    /// messages, readers, idempotency keys, upload or waiting publishers. Default 60 s.
    pub idle: Duration,
    /// What each channel keeps in memory: the newest messages of its log. Readers that are further
    /// behind get pages from the store. Never more than the log keeps; of a log that keeps
    /// everything, no more than `retention`. Default: no further limit.
    pub window: Retention,
    /// The settings of channels by name. Default: none, so `retention` decides.
    pub patterns: Patterns,
}

impl HubConfig {
    /// The default of each limit, as the fields document them.
    pub const DEFAULT: Self = HubConfig {
        retention: Retention::DEFAULT.with_max_bytes(8 * 1024 * 1024),
        max_message: 1024 * 1024,
        max_channels: 100_000,
        max_subscribers: 1_000_000,
        idle: Duration::from_secs(60),
        window: Retention::DEFAULT
            .with_max_messages(usize::MAX)
            .with_max_bytes(usize::MAX)
            .with_max_age_ms(None),
        patterns: Patterns::NONE,
    };

    /// Sets [`retention`](Self::retention).
    #[must_use]
    pub const fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Sets [`max_message`](Self::max_message), in bytes.
    #[must_use]
    pub const fn with_max_message(mut self, max_message: usize) -> Self {
        self.max_message = max_message;
        self
    }

    /// Sets [`max_channels`](Self::max_channels).
    #[must_use]
    pub const fn with_max_channels(mut self, max_channels: usize) -> Self {
        self.max_channels = max_channels;
        self
    }

    /// Sets [`max_subscribers`](Self::max_subscribers).
    #[must_use]
    pub const fn with_max_subscribers(mut self, max_subscribers: usize) -> Self {
        self.max_subscribers = max_subscribers;
        self
    }

    /// Sets [`idle`](Self::idle).
    #[must_use]
    pub const fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Sets [`window`](Self::window).
    #[must_use]
    pub const fn with_window(mut self, window: Retention) -> Self {
        self.window = window;
        self
    }

    /// Sets [`patterns`](Self::patterns).
    #[must_use]
    pub fn with_patterns(mut self, patterns: Patterns) -> Self {
        self.patterns = patterns;
        self
    }
}

impl Default for HubConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The settings of channels by name: a function that the hub asks when it makes a channel.
#[derive(Clone, Default)]
pub struct Patterns(Option<Arc<SettingsOf>>);

type SettingsOf = dyn Fn(&ChannelName) -> Option<Arc<ChannelSettings>> + Send + Sync;

impl Patterns {
    /// No channel has settings of its own.
    pub const NONE: Self = Patterns(None);

    /// Asks this function. `None` means that [`HubConfig::retention`] decides.
    pub fn new(
        settings_of: impl Fn(&ChannelName) -> Option<Arc<ChannelSettings>> + Send + Sync + 'static,
    ) -> Self {
        Patterns(Some(Arc::new(settings_of)))
    }

    /// The settings for a name, if it has its own.
    pub fn settings_of(&self, name: &ChannelName) -> Option<Arc<ChannelSettings>> {
        self.0.as_ref()?(name)
    }
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Patterns(_)" } else { "Patterns(none)" })
    }
}
