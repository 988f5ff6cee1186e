//! How the server closes a WebSocket whose reader is not to come back.

/// The reason with which the server closes normally (1000) when all channels have ended.
pub(crate) const ENDED: &str = "the channel has ended";

/// The code with which the server closes when a channel was deleted.
pub(crate) const DELETED: u16 = 4404;
