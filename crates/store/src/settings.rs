//! What a channel keeps, and how long it lives.

use tidewire_channel::Retention;

/// The settings of one channel. The request that creates its log decides them; they do not change
/// afterwards.
///
/// ```
/// use tidewire_store::{ChannelSettings, Expiry, Retain};
///
/// let settings = ChannelSettings::DEFAULT
///     .with_retain(Retain::All)
///     .with_expiry(Some(Expiry::Sliding { ms: 60_000 }))
///     .with_content_type(Some("application/json".into()));
/// assert_ne!(settings, ChannelSettings::DEFAULT);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelSettings {
    /// What the log keeps.
    pub retain: Retain,
    /// When the log is deleted by itself.
    pub expiry: Option<Expiry>,
    /// The media type of every message.
    pub content_type: Option<Box<str>>,
}

impl ChannelSettings {
    /// The default [`Retention`], no expiry, any media type.
    pub const DEFAULT: Self =
        Self { retain: Retain::Bounded(Retention::DEFAULT), expiry: None, content_type: None };

    /// Sets [`retain`](Self::retain).
    #[must_use]
    pub fn with_retain(mut self, retain: Retain) -> Self {
        self.retain = retain;
        self
    }

    /// Sets [`expiry`](Self::expiry).
    #[must_use]
    pub fn with_expiry(mut self, expiry: Option<Expiry>) -> Self {
        self.expiry = expiry;
        self
    }

    /// Sets [`content_type`](Self::content_type).
    #[must_use]
    pub fn with_content_type(mut self, content_type: Option<Box<str>>) -> Self {
        self.content_type = content_type;
        self
    }
}

impl Default for ChannelSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Which messages a log keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retain {
    /// The newest. The oldest are evicted.
    Bounded(Retention),
    /// All of them, until the log is deleted or expires. An append is refused if there is no room.
    All,
}

impl Default for Retain {
    fn default() -> Self {
        Self::Bounded(Retention::DEFAULT)
    }
}

impl Retain {
    /// The retention of a [`Log`](tidewire_channel::Log) that keeps this.
    #[must_use]
    pub const fn retention(self) -> Retention {
        match self {
            Self::Bounded(retention) => retention,
            Self::All => Retention::DEFAULT
                .with_max_messages(usize::MAX)
                .with_max_bytes(usize::MAX)
                .with_max_age_ms(None),
        }
    }
}

/// When a log is deleted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// After this time without an append or a [`touch`](crate::Store::touch), in milliseconds.
    Sliding {
        /// The time without use.
        ms: u64,
    },
    /// At this time, in milliseconds since 1970.
    At {
        /// The time.
        ms: u64,
    },
}

impl Expiry {
    /// Returns whether a log that was last used at `used_ms` has expired.
    #[must_use]
    pub const fn is_over(self, used_ms: u64, now_ms: u64) -> bool {
        match self {
            Self::Sliding { ms } => now_ms.saturating_sub(used_ms) >= ms,
            Self::At { ms } => now_ms >= ms,
        }
    }
}
