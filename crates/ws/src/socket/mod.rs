//! What the adapters for tokio and for blocking streams share.

mod error;
mod keys;
mod parts;
mod payload;

pub use error::Error;
pub(crate) use keys::MaskingKeys;
pub use parts::Parts;
pub(crate) use payload::{payload_room, took_payload};

/// The state of the reading half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Reading,
    /// The peer broke a rule. The queue and a close are written, then this error is returned.
    Failing(crate::Error),
    /// The close is sent. Up to this many bytes that still arrive are dropped, so that a reset does
    /// not destroy the close before the peer reads it.
    Draining(usize),
    Over,
}

/// The default of how many bytes may wait to be written.
pub(crate) const WRITE_LIMIT: usize = 1 << 20;
/// Above this, more messages in one write save no time that can be measured.
pub(crate) const MAX_BATCH: usize = 64 * 1024;
/// How many bytes of pings and pongs of the caller a full queue still takes.
pub(crate) const CONTROL_ROOM: usize = 4 * 1024;
pub(crate) const MAX_SLICES: usize = 16;
/// If this many bytes wait to be written, pongs are not added.
pub(crate) const MAX_PONGS: usize = 4 * 1024;
/// How many bytes after a peer's close, or after its error, are read and dropped.
pub(crate) const MAX_DRAIN: usize = 1 << 20;
