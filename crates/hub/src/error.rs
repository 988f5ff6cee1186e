//! The reasons for which a hub refuses.

use tidewire_channel::Cursor;
use tidewire_store::{AppendError, CreateError, Failed, Outcome, Refusal};

/// Why a hub refuses. Displays as a clause that says what is wrong and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The payload is longer than [`HubConfig::max_message`](crate::HubConfig::max_message).
    #[error("the message has {len} bytes, the limit is {limit}; send less, or raise --max-message")]
    MessageTooLarge {
        /// Bytes of the payload.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// There are [`HubConfig::max_channels`](crate::HubConfig::max_channels) channels already.
    #[error("the server already has its maximum of {0} channels; use an existing one or try again later")]
    TooManyChannels(usize),
    /// [`HubConfig::max_subscribers`](crate::HubConfig::max_subscribers) connections wait on the
    /// channel.
    #[error("the channel already has its maximum of {0} subscribers; try again later")]
    TooManySubscribers(usize),
    /// The server is stopping.
    #[error("the server is stopping; publish again when it is back")]
    Stopping,
    /// An upload to the channel is under way.
    #[error("an upload to this channel is under way; wait for its end, or use another channel")]
    Uploading,
    /// The idempotency key is too long.
    #[error("the Idempotency-Key has {len} bytes, the limit is {limit}; use a shorter key")]
    KeyTooLong {
        /// Bytes of the key.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// Another message has this idempotency key.
    #[error(
        "this Idempotency-Key belongs to another message of the channel; give each message a key of its own, \
         and send the same message again only with the same event, Content-Type and payload"
    )]
    KeyTaken,
    /// The log has ended.
    #[error("the channel has ended, and takes no more messages; use another channel")]
    Closed {
        /// The position of the end.
        end: Cursor,
    },
    /// The channel was deleted a short time ago.
    #[error("the channel was deleted; write to it or create it to begin a new one")]
    Deleted,
    /// A later run of this producer has begun.
    #[error("a later run of this producer has begun, with epoch {epoch}; stop this one")]
    ProducerFenced {
        /// The epoch of that run.
        epoch: u64,
    },
    /// A request of this producer is missing before this one.
    #[error("a request of this producer is missing; send number {expected} next")]
    ProducerGap {
        /// The number that was expected.
        expected: u64,
    },
    /// A run of a producer begins with number 0.
    #[error("a run of a producer begins with number 0; send that first, or raise the epoch and begin again")]
    ProducerStart,
    /// The sequence of the stream does not increase.
    #[error("the sequence of the stream is not greater than the last one; send a greater one")]
    StreamSeq,
    /// The disk is full, or the channel keeps all its messages, and there is no room for more.
    #[error(
        "there is no room for the message: the disk is full, or the channel keeps all its messages and \
         the others of its kind have used up --retain-all-bytes; make room on the disk, or delete a channel"
    )]
    NoRoom,
    /// The channel takes messages of another media type.
    #[error(
        "the channel takes messages of another media type; use the one that \
         a HEAD tells in Tidewire-Content-Type"
    )]
    OtherType,
    /// The channel exists with other settings.
    #[error("the channel exists with other settings; delete it first, or use another name")]
    Exists,
    /// There is nothing to append.
    #[error("there is nothing to append; send a message, or close the channel")]
    Empty,
    /// The store failed.
    #[error("the store failed{}", if *unknown {
        ", and nobody knows whether the message is kept; repeat it with the same key or producer"
    } else {
        ", and nothing was changed; try again later"
    })]
    Store {
        /// Whether the request may have been carried out.
        unknown: bool,
    },
    /// The store has not answered yet.
    #[error("the store answers later; use the methods that wait")]
    NotReady,
}

impl HubError {
    /// The HTTP status for this error.
    pub fn status(&self) -> u16 {
        match self {
            HubError::MessageTooLarge { .. } => 413,
            HubError::TooManyChannels(_) | HubError::TooManySubscribers(_) | HubError::Stopping => 503,
            HubError::Store { .. } | HubError::NotReady => 503,
            HubError::KeyTooLong { .. } | HubError::ProducerStart | HubError::Empty => 400,
            HubError::ProducerFenced { .. } => 403,
            HubError::Deleted => 404,
            HubError::Uploading | HubError::Closed { .. } | HubError::ProducerGap { .. } => 409,
            HubError::StreamSeq | HubError::Exists => 409,
            HubError::OtherType => 415,
            HubError::KeyTaken => 422,
            HubError::NoRoom => 507,
        }
    }

    /// The name of the reason in a problem, for those errors that a program handles.
    pub fn reason(&self) -> Option<&'static str> {
        Some(match self {
            HubError::Closed { .. } => "closed",
            HubError::Deleted => "deleted",
            HubError::ProducerFenced { .. } => "producer-fenced",
            HubError::ProducerGap { .. } => "producer-gap",
            HubError::ProducerStart => "producer-start",
            HubError::StreamSeq => "stream-seq",
            HubError::Exists => "exists",
            _ => return None,
        })
    }
}

impl From<Refusal> for HubError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Closed { end } => HubError::Closed { end },
            Refusal::KeyTaken => HubError::KeyTaken,
            Refusal::KeyTooLong { len, limit } => HubError::KeyTooLong { len, limit },
            Refusal::ProducerFenced { epoch } => HubError::ProducerFenced { epoch },
            Refusal::ProducerGap { expected } => HubError::ProducerGap { expected },
            Refusal::ProducerStart => HubError::ProducerStart,
            Refusal::StreamSeq => HubError::StreamSeq,
            Refusal::NoRoom => HubError::NoRoom,
            Refusal::Deleted => HubError::Deleted,
            Refusal::TooManyLogs(max) => HubError::TooManyChannels(max),
            Refusal::Empty => HubError::Empty,
            // The hub limits messages, so the store has a lower limit of its own.
            _ => HubError::Store { unknown: false },
        }
    }
}

impl From<&Failed> for HubError {
    fn from(failed: &Failed) -> Self {
        HubError::Store { unknown: failed.outcome == Outcome::Unknown }
    }
}

impl From<&AppendError> for HubError {
    fn from(error: &AppendError) -> Self {
        match error {
            AppendError::Refused(refusal) => (*refusal).into(),
            AppendError::Failed(failed) => failed.into(),
        }
    }
}

impl From<&CreateError> for HubError {
    fn from(error: &CreateError) -> Self {
        match error {
            CreateError::Exists => HubError::Exists,
            CreateError::Deleted | CreateError::SourceDeleted => HubError::Deleted,
            CreateError::TooManyLogs(max) => HubError::TooManyChannels(*max),
            CreateError::NoRoom => HubError::NoRoom,
            CreateError::Failed(failed) => failed.into(),
            // The hub makes no forks.
            _ => HubError::Store { unknown: false },
        }
    }
}
