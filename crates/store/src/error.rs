//! Why a store refuses, or fails.
//!
//! A refusal is an answer: the store works, and the request is wrong for this log. A failure is
//! not.

use std::borrow::Cow;

use tidewire_channel::Cursor;

/// The store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store failed{}: {detail}", outcome.clause())]
pub struct Failed {
    /// Whether the request may have been carried out.
    pub outcome: Outcome,
    /// What happened, for the log of the operator.
    pub detail: Cow<'static, str>,
}

impl Failed {
    /// Nothing happened.
    pub fn clean(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { outcome: Outcome::Failed, detail: detail.into() }
    }

    /// Nobody knows what happened.
    pub fn unknown(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { outcome: Outcome::Unknown, detail: detail.into() }
    }

    /// The failure of a store that dropped its [`Responder`](crate::Responder).
    pub const fn dropped() -> Self {
        Self { outcome: Outcome::Unknown, detail: Cow::Borrowed("it gave no answer") }
    }
}

/// What is known about a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing happened, and nothing will.
    Failed,
    /// It may have happened, or may still happen: nobody knows. It can be repeated safely if it has
    /// an idempotency key or a producer.
    Unknown,
}

impl Outcome {
    const fn clause(self) -> &'static str {
        match self {
            Self::Failed => ", and nothing was done",
            Self::Unknown => ", and nobody knows whether the request was carried out",
        }
    }
}

/// Why nothing was appended, or may not have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The log does not take this append. Nothing happened.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] Failed),
}

/// Why a log does not take an append. Nothing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The log has ended.
    #[error("the log has ended")]
    Closed {
        /// The position of the end.
        end: Cursor,
    },
    /// Another message has this idempotency key.
    #[error("another message has this idempotency key")]
    KeyTaken,
    /// The idempotency key is too long.
    #[error("the idempotency key has {len} bytes, the limit is {limit}")]
    KeyTooLong {
        /// Bytes of the key.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// The name of the producer is too long.
    #[error("the name of the producer has {len} bytes, the limit is {limit}")]
    ProducerIdTooLong {
        /// Bytes of the name.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// A later run of this producer has begun.
    #[error("a later run of the producer has begun, with epoch {epoch}")]
    ProducerFenced {
        /// The epoch of that run.
        epoch: u64,
    },
    /// A request of this producer is missing before this one.
    #[error("a request of the producer is missing: {expected} was expected")]
    ProducerGap {
        /// The number that was expected.
        expected: u64,
    },
    /// A run of a producer begins with number 0.
    #[error("a run of a producer begins with number 0")]
    ProducerStart,
    /// The [`stream_seq`](crate::Append::stream_seq) is not greater than the last one.
    #[error("the stream sequence is not greater than the last one")]
    StreamSeq,
    /// The log keeps all messages, and there is no room for more; or the store has no room at all.
    #[error("there is no room for the messages")]
    NoRoom,
    /// The log was deleted, but has forks, so its name is not free.
    #[error("the log was deleted, and its name is in use until its forks are deleted")]
    Deleted,
    /// There are this many logs, and no more are allowed.
    #[error("the store has its maximum of {0} logs")]
    TooManyLogs(usize),
    /// The store takes no message of this size.
    #[error("the message is too large for the store")]
    MessageTooLarge,
    /// An append without a message that does not close the log.
    #[error("there is nothing to append")]
    Empty,
}

/// Why nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no log with this name.
    #[error("there is no log with this name")]
    Absent {
        /// The position before the first message of the log that the next append would create.
        start: Cursor,
    },
    /// The log was deleted a short time ago.
    #[error("the log was deleted")]
    Deleted,
    /// The log was deleted, but has forks.
    #[error("the log was deleted")]
    SoftDeleted,
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] Failed),
}

/// Why a log was not created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// It exists, with other settings or another origin.
    #[error("the log exists with other settings")]
    Exists,
    /// A log with this name was deleted, but has forks, so its name is not free.
    #[error("the log was deleted, and its name is in use until its forks are deleted")]
    Deleted,
    /// There are this many logs, and no more are allowed.
    #[error("the store has its maximum of {0} logs")]
    TooManyLogs(usize),
    /// There is no room for what the log shares with others; or the store has no room at all.
    #[error("there is no room for the messages")]
    NoRoom,
    /// The source of the fork does not exist.
    #[error("the source of the fork does not exist")]
    SourceAbsent,
    /// The source of the fork was deleted, and lives only for its forks.
    #[error("the source of the fork was deleted")]
    SourceDeleted,
    /// The position is none of the source, or its messages are no longer kept.
    #[error("the source of the fork does not have this position")]
    ForkPosition,
    /// The next message does not exist, or has fewer bytes.
    #[error("the next message of the source has fewer bytes")]
    ForkBytes,
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] Failed),
}
