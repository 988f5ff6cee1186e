//! The limits of a hub.

use std::time::Duration;

use tidewire_channel::Retention;

/// The limits of a hub: what each channel keeps, and how much the hub accepts.
///
/// Start with [`DEFAULT`](Self::DEFAULT) and change what you need:
///
/// ```
/// use tidewire_hub::HubConfig;
///
/// let config = HubConfig::DEFAULT.with_max_message(64 * 1024).with_max_channels(10);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct HubConfig {
    /// What each channel keeps. Default: 1,000 messages, 8 MiB and one hour, whichever limit is
    /// reached first. 8 MiB hold several messages of the longest size.
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
}

impl HubConfig {
    /// The default of each limit, as the fields document them.
    pub const DEFAULT: Self = HubConfig {
        retention: Retention::DEFAULT.with_max_bytes(8 * 1024 * 1024),
        max_message: 1024 * 1024,
        max_channels: 100_000,
        max_subscribers: 1_000_000,
        idle: Duration::from_secs(60),
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
}

impl Default for HubConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}
