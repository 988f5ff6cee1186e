//! What a log keeps and what a channel allows. Each default has its reason.

/// How long a log keeps a message. A message is evicted as soon as *one* of these limits requires
/// it.
///
/// The newest message is kept whatever its size, so that waiting readers can read it. Only its age
/// removes it.
///
/// ```
/// use tidewire_channel::{Epoch, Log, Retention};
///
/// let newest = Retention::DEFAULT.with_max_messages(1).with_max_age_ms(None);
/// let mut log = Log::new(Epoch::new(7), newest);
/// log.append(0, 4, "high")?;
/// log.append(0, 3, "low")?;
/// assert_eq!((log.len(), log.stats().evicted), (1, 1));
/// # Ok::<(), tidewire_channel::Refused>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// The number of messages kept. 0 counts as 1. Default 1,000: enough for some minutes of a busy
    /// channel, or some hours of a quiet one.
    pub max_messages: usize,
    /// The bytes kept: the sum of the `size` given with each message. Default 1 MiB, so 1,000
    /// channels keep 1 GiB at most.
    pub max_bytes: usize,
    /// The age in milliseconds at which a message is evicted. `None` keeps messages for ever.
    /// Default one hour, as in Nchan: a laptop that slept during a meeting catches up.
    pub max_age_ms: Option<u64>,
}

impl Retention {
    /// The defaults.
    pub const DEFAULT: Self =
        Self { max_messages: 1_000, max_bytes: 1 << 20, max_age_ms: Some(60 * 60 * 1_000) };

    /// Sets [`max_messages`](Self::max_messages).
    #[must_use]
    pub const fn with_max_messages(mut self, messages: usize) -> Self {
        self.max_messages = messages;
        self
    }

    /// Sets [`max_bytes`](Self::max_bytes).
    #[must_use]
    pub const fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets [`max_age_ms`](Self::max_age_ms).
    #[must_use]
    pub const fn with_max_age_ms(mut self, ms: Option<u64>) -> Self {
        self.max_age_ms = ms;
        self
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What one [`Channel`](crate::Channel) allows.
///
/// ```
/// use tidewire_channel::{Channel, Epoch, Limits, RefusedKind, Retention};
///
/// let limits = Limits::DEFAULT.with_max_message(1024);
/// let mut channel: Channel<Vec<u8>, ()> = Channel::new(Epoch::new(7), Retention::DEFAULT, limits);
/// let refused = channel.append(0, 2048, vec![0; 2048]).unwrap_err();
/// assert_eq!((refused.kind(), refused.limit()), (RefusedKind::MessageTooLarge, 1024));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest size of a message in bytes. Default 1 MiB, as much as the default retention
    /// keeps: a larger message would evict the whole log.
    pub max_message: usize,
    /// The number of waiters at one time. Default 100,000: more than the file descriptors that one
    /// process usually has.
    pub max_waiters: usize,
    /// The longest idempotency key in bytes. Default 128: a UUID takes 36, a SHA-256 in hexadecimal
    /// 64.
    pub max_key: usize,
    /// The number of idempotency keys remembered. The oldest is forgotten first. Default 1,000, the
    /// number of messages kept by default: a publisher retries within seconds.
    pub max_keys: usize,
    /// How long an idempotency key is remembered, in milliseconds. Default 10 minutes.
    pub key_age_ms: u64,
    /// The longest id of a producer in bytes. Default 128, as for a key.
    pub max_producer_id: usize,
    /// The number of producers remembered. The least recently used is forgotten first, and may then
    /// only begin anew. Default 1,000, as for keys: few programs write one channel at a time.
    pub max_producers: usize,
    /// How long a producer is remembered after its last message, in milliseconds. Default 7 days: a
    /// program that stops for the weekend goes on with its next sequence number.
    pub producer_age_ms: u64,
    /// The time without activity after which a channel without waiters, messages and keys counts as
    /// idle, in milliseconds. Default one minute: a reader that reconnects finds its channel.
    pub idle_ms: u64,
}

impl Limits {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        max_message: 1 << 20,
        max_waiters: 100_000,
        max_key: 128,
        max_keys: 1_000,
        key_age_ms: 10 * 60 * 1_000,
        max_producer_id: 128,
        max_producers: 1_000,
        producer_age_ms: 7 * 24 * 60 * 60 * 1_000,
        idle_ms: 60 * 1_000,
    };

    /// Sets [`max_message`](Self::max_message).
    #[must_use]
    pub const fn with_max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Sets [`max_waiters`](Self::max_waiters).
    #[must_use]
    pub const fn with_max_waiters(mut self, waiters: usize) -> Self {
        self.max_waiters = waiters;
        self
    }

    /// Sets [`max_key`](Self::max_key).
    #[must_use]
    pub const fn with_max_key(mut self, bytes: usize) -> Self {
        self.max_key = bytes;
        self
    }

    /// Sets [`max_keys`](Self::max_keys).
    #[must_use]
    pub const fn with_max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// Sets [`key_age_ms`](Self::key_age_ms).
    #[must_use]
    pub const fn with_key_age_ms(mut self, ms: u64) -> Self {
        self.key_age_ms = ms;
        self
    }

    /// Sets [`max_producer_id`](Self::max_producer_id).
    #[must_use]
    pub const fn with_max_producer_id(mut self, bytes: usize) -> Self {
        self.max_producer_id = bytes;
        self
    }

    /// Sets [`max_producers`](Self::max_producers).
    #[must_use]
    pub const fn with_max_producers(mut self, producers: usize) -> Self {
        self.max_producers = producers;
        self
    }

    /// Sets [`producer_age_ms`](Self::producer_age_ms).
    #[must_use]
    pub const fn with_producer_age_ms(mut self, ms: u64) -> Self {
        self.producer_age_ms = ms;
        self
    }

    /// Sets [`idle_ms`](Self::idle_ms).
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
