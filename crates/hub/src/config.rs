//! What a hub keeps and allows.

use std::time::Duration;

use tidewire_channel::Retention;

/// What a hub keeps and allows.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct HubConfig {
    /// What each channel keeps: 1,000 messages, 8 MiB, one hour, whichever is reached first. 8 MiB,
    /// so that a few messages of the longest size fit.
    pub retention: Retention,
    /// Longest payload in bytes. 1 MiB.
    pub max_message: usize,
    /// Channels at one time. 100,000.
    pub max_channels: usize,
    /// Connections that wait on one channel. 1,000,000.
    pub max_subscribers: usize,
    /// A channel without messages and without readers is forgotten after this. 60 s.
    pub idle: Duration,
}

impl Default for HubConfig {
    fn default() -> Self {
        HubConfig {
            retention: Retention::DEFAULT.with_max_bytes(8 * 1024 * 1024),
            max_message: 1024 * 1024,
            max_channels: 100_000,
            max_subscribers: 1_000_000,
            idle: Duration::from_secs(60),
        }
    }
}
