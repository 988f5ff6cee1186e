//! The messages that WebSocket clients send.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::channel_state::Published;
use crate::error::HubError;
use crate::publication::Publication;

/// A message of a client.
pub(crate) enum Incoming {
    Text(String),
    Binary(Bytes),
    /// An earlier message that waited for room.
    Waiting(Waiting),
}

/// A publish that waits for room, for the store, or until earlier ones are answered.
pub(crate) struct Waiting {
    pub(crate) publication: Publication,
    /// The id of its command.
    pub(crate) id: Option<Box<RawValue>>,
    /// The outcome, if it was there before those of earlier publishes.
    pub(crate) outcome: Option<Result<Published, HubError>>,
}

impl Incoming {
    /// Bytes that it occupies while it waits.
    pub(super) fn len(&self) -> usize {
        size_of::<Self>()
            + match self {
                Incoming::Text(text) => text.len(),
                Incoming::Binary(data) => data.len(),
                Incoming::Waiting(waiting) => waiting.publication.len(),
            }
    }
}
