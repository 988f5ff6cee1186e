//! The reasons for which a hub refuses.

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
    /// The channel was deleted.
    #[error("the channel was deleted; publish to it, or create it, to begin a new one")]
    Deleted,
    /// Another message has this idempotency key.
    #[error(
        "this Idempotency-Key belongs to another message of the channel; give each message a key of its own, \
         and send the same message again only with the same event, Content-Type and payload"
    )]
    KeyTaken,
}

impl HubError {
    /// The HTTP status for this error.
    pub fn status(&self) -> u16 {
        match self {
            HubError::MessageTooLarge { .. } => 413,
            HubError::TooManyChannels(_) | HubError::TooManySubscribers(_) | HubError::Stopping => 503,
            HubError::KeyTooLong { .. } => 400,
            HubError::Uploading => 409,
            HubError::KeyTaken => 422,
            HubError::Deleted => 404,
        }
    }
}
