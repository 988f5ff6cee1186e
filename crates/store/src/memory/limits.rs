//! What a store in memory allows.

/// What a [`MemoryStore`](crate::MemoryStore) allows.
///
/// ```
/// use tidewire_store::{Limits, MemoryStore};
///
/// let store = MemoryStore::new(Limits::DEFAULT.with_max_logs(1_000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The number of logs at one time. Default 100,000. A channel that was never written has no
    /// log.
    pub max_logs: usize,
    /// The bytes of all logs that keep all messages, and of all messages that forks share,
    /// together: the sum of the [weights](crate::Message::weight). They are never evicted, so
    /// without this limit publishers could fill the memory. Default 1 GiB.
    pub max_kept_bytes: usize,
    /// The number of deleted names that are remembered. The oldest is forgotten first. Default
    /// 10,000: a name takes up to 128 bytes, so together about 2 MB.
    pub max_deleted: usize,
    /// How long a deleted name is remembered, in milliseconds. Default 10 minutes: its readers come
    /// back within this time, and are told.
    pub deleted_ms: u64,
    /// The number of forgotten logs whose cursors are told apart from those of a new log of the
    /// same name. When there are more, the store takes a new epoch for channels that were never
    /// written. Default 250,000, which take 16 bytes each.
    pub max_forgotten: usize,
    /// The limits of idempotency keys and producers in each log. Its sizes and waiters are not
    /// used.
    pub channel: tidewire_channel::Limits,
}

impl Limits {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        max_logs: 100_000,
        max_kept_bytes: 1 << 30,
        max_deleted: 10_000,
        deleted_ms: 10 * 60 * 1_000,
        max_forgotten: 250_000,
        channel: tidewire_channel::Limits::DEFAULT,
    };

    /// Sets [`max_logs`](Self::max_logs).
    #[must_use]
    pub const fn with_max_logs(mut self, logs: usize) -> Self {
        self.max_logs = logs;
        self
    }

    /// Sets [`max_kept_bytes`](Self::max_kept_bytes).
    #[must_use]
    pub const fn with_max_kept_bytes(mut self, bytes: usize) -> Self {
        self.max_kept_bytes = bytes;
        self
    }

    /// Sets [`max_deleted`](Self::max_deleted).
    #[must_use]
    pub const fn with_max_deleted(mut self, names: usize) -> Self {
        self.max_deleted = names;
        self
    }

    /// Sets [`deleted_ms`](Self::deleted_ms).
    #[must_use]
    pub const fn with_deleted_ms(mut self, ms: u64) -> Self {
        self.deleted_ms = ms;
        self
    }

    /// Sets [`max_forgotten`](Self::max_forgotten).
    #[must_use]
    pub const fn with_max_forgotten(mut self, logs: usize) -> Self {
        self.max_forgotten = logs;
        self
    }

    /// Sets [`channel`](Self::channel).
    #[must_use]
    pub const fn with_channel(mut self, limits: tidewire_channel::Limits) -> Self {
        self.channel = limits;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
