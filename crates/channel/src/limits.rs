//! What a log keeps and what a channel allows, each number with its reason.

/// How long a message is kept: until *one* of these says that it has to go.
///
/// The newest message stays whatever its size, so that those who wait for it can read it; only age
/// removes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The number of messages kept; 0 counts as 1. Default 1,000: minutes of a busy channel, hours
    /// of a quiet one.
    pub max_messages: usize,
    /// The bytes kept, summed over the `size` given with each message. Default 1 MiB: with 1,000
    /// channels a GiB at worst.
    pub max_bytes: usize,
    /// The age in milliseconds at which a message goes; `None` keeps it for ever. Default one hour,
    /// as Nchan does: a laptop that slept through a meeting catches up.
    pub max_age_ms: Option<u64>,
}

impl Retention {
    /// The default values, as a constant.
    pub const DEFAULT: Self =
        Self { max_messages: 1_000, max_bytes: 1 << 20, max_age_ms: Some(60 * 60 * 1_000) };
}

impl Default for Retention {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What one [`Channel`](crate::Channel) allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The size of one message in bytes. Default 1 MiB, as much as the default retention keeps: a
    /// larger one would evict the whole log.
    pub max_message: usize,
    /// Waiters registered at one time. Default 100,000: above the descriptors that one process
    /// usually has.
    pub max_waiters: usize,
    /// The length of an idempotency key in bytes. Default 128: a UUID takes 36, a SHA-256 in
    /// hexadecimal 64.
    pub max_key: usize,
    /// Idempotency keys remembered; the oldest goes first. Default 1,000, as many as messages: a
    /// publisher that tries again does so within seconds.
    pub max_keys: usize,
    /// How long an idempotency key is remembered, in milliseconds. Default 10 minutes.
    pub key_age_ms: u64,
    /// Silence after which a channel without waiters, messages and keys counts as idle, in
    /// milliseconds. Default one minute: a reader that reconnects finds its channel.
    pub idle_ms: u64,
}

impl Limits {
    /// The default values, as a constant.
    pub const DEFAULT: Self = Self {
        max_message: 1 << 20,
        max_waiters: 100_000,
        max_key: 128,
        max_keys: 1_000,
        key_age_ms: 10 * 60 * 1_000,
        idle_ms: 60 * 1_000,
    };

    /// The same with another bound of a message's size.
    #[must_use]
    pub const fn with_max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// The same with another bound of waiters.
    #[must_use]
    pub const fn with_max_waiters(mut self, waiters: usize) -> Self {
        self.max_waiters = waiters;
        self
    }

    /// The same with another bound of a key's length.
    #[must_use]
    pub const fn with_max_key(mut self, bytes: usize) -> Self {
        self.max_key = bytes;
        self
    }

    /// The same with another bound of keys remembered.
    #[must_use]
    pub const fn with_max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// The same with another age at which a key is forgotten.
    #[must_use]
    pub const fn with_key_age_ms(mut self, ms: u64) -> Self {
        self.key_age_ms = ms;
        self
    }

    /// The same with another time of silence.
    #[must_use]
    pub const fn with_idle_ms(mut self, ms: u64) -> Self {
        self.idle_ms = ms;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewire_testkit::limits::check;

    #[test]
    fn the_document_says_the_same() {
        let Retention { max_messages, max_bytes, max_age_ms } = Retention::DEFAULT;
        check(
            "tidewire-channel: retention",
            &[
                ("max_messages", max_messages as u64),
                ("max_bytes", max_bytes as u64),
                ("max_age_ms", max_age_ms.unwrap_or(u64::MAX)),
            ],
        );
        let Limits { max_message, max_waiters, max_key, max_keys, key_age_ms, idle_ms } = Limits::DEFAULT;
        check(
            "tidewire-channel: a channel",
            &[
                ("max_message", max_message as u64),
                ("max_waiters", max_waiters as u64),
                ("max_key", max_key as u64),
                ("max_keys", max_keys as u64),
                ("key_age_ms", key_age_ms),
                ("idle_ms", idle_ms),
            ],
        );
    }
}
