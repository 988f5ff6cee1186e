//! A request to create a log, and its result.

use std::sync::Arc;

use tidewire_channel::Cursor;

use crate::append::Batch;
use crate::info::LogInfo;
use crate::name::ChannelName;
use crate::settings::ChannelSettings;

/// A request to create a log, if there is none with this name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Create {
    /// The hub's clock: milliseconds since 1970 that never step back.
    pub now_ms: u64,
    /// The settings of the log.
    pub settings: Arc<ChannelSettings>,
    /// The log that this one begins with.
    pub fork: Option<Fork>,
    /// The first messages of its own. If the log exists already, they are not appended.
    pub messages: Batch,
    /// Whether it is closed after them.
    pub close: bool,
}

impl Create {
    /// Creates an empty log.
    #[must_use]
    pub const fn new(now_ms: u64, settings: Arc<ChannelSettings>) -> Self {
        Self { now_ms, settings, fork: None, messages: Batch::None, close: false }
    }

    /// Sets [`fork`](Self::fork).
    #[must_use]
    pub fn with_fork(mut self, fork: Fork) -> Self {
        self.fork = Some(fork);
        self
    }

    /// Sets [`messages`](Self::messages).
    #[must_use]
    pub fn with_messages(mut self, messages: Batch) -> Self {
        self.messages = messages;
        self
    }

    /// Sets [`close`](Self::close) to `true`.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }
}

/// Where a fork begins. It shares the messages of its source up to there, and has its own
/// afterwards. It does not inherit idempotency keys, producers or the last
/// [`stream_seq`](crate::Append::stream_seq).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The name of the source.
    pub source: ChannelName,
    /// The position up to which the fork shares messages.
    pub at: Cursor,
    /// The bytes of the next message that the fork gets, as its first own message. 0: none.
    pub bytes: usize,
}

/// The result of a creation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Created {
    /// Whether the log is new. If not, it existed with the same settings.
    pub created: bool,
    /// The position after its newest message, or that of its end.
    pub cursor: Cursor,
    /// The log.
    pub info: LogInfo,
}

impl Created {
    /// The result for a log.
    #[must_use]
    pub fn new(created: bool, info: LogInfo) -> Self {
        Self { created, cursor: info.end().unwrap_or_else(|| info.head_cursor()), info }
    }
}
