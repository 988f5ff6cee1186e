//! permessage-deflate (RFC 7692): each message compressed by itself.
//!
//! ```text
//! "Hello"  ──DEFLATE, flushed──►  f2 48 cd c9 c9 07 00 | 00 00 ff ff
//!                                 └── the payload ────┘  └ left out: every flush ends so, the receiver puts it back
//! ```
//! The first frame of a compressed message has RSV1 set. Which messages are compressed is the sender's choice.
//!
//! # Memory, and why context takeover is off
//!
//! A compressor holds about 270 KiB and an inflater about 45 KiB. *Context takeover* keeps them between messages, so that each can refer to
//! the one before: small, similar messages shrink more, and each connection pays those 300 KiB for as long as it lives. Without it, contexts
//! come from a pool of the thread and go back after each message: a connection that waits holds none, and a message compressed
//! once fits every connection ([`PreparedMessage`](crate::PreparedMessage)). That is the default here; [`Config::context_takeover`] changes it.
//!
//! # Secrets
//!
//! Compression shows in the length what repeats. Who can put words of his choice beside a secret, and sees how long the frames are, can guess it
//! piece by piece (CRIME; RFC 7692 §8 (1)), encrypted or not. Without context takeover that is the secret in the same message only. So
//! send secrets in messages of their own, shorter than [`Config::threshold`], or without this extension.

mod codec;
mod inflate;
mod negotiate;
mod pool;

use crate::Kind;
use alloc::vec::Vec;

pub use negotiate::{Config, Params};

pub(crate) use codec::Deflate;
pub(crate) use inflate::InflateError;
pub(crate) use negotiate::{MAX_OFFERS, agree, choose, offer};
pub(crate) use pool::with_scratch;

use codec::compress_alone;
use negotiate::is_long_enough;

/// Appends one whole message as a server's frame, compressed if it is long enough for that (see [`Config::threshold`]) and becomes shorter by it.
/// Says whether it was.
///
/// It is compressed with the full window and without context, so a hub encodes it once and shares the bytes among all connections whose
/// parameters [take such a message](Params::takes_shared). As with [`encode_message`](crate::encode_message), the caller vouches that the
/// payload of a [`Kind::Text`] is UTF-8.
///
/// ```
/// use tidewire_ws::{Kind, deflate};
/// let mut out = Vec::new();
/// assert!(deflate::encode_message(Kind::Text, &[b'a'; 1000], &deflate::Config::DEFAULT, &mut out));
/// assert_eq!(out[0], 0xc1, "FIN, RSV1, text");
/// assert!(out.len() < 100);
/// ```
pub fn encode_message(kind: Kind, payload: &[u8], config: &Config, out: &mut Vec<u8>) -> bool {
    let compressed =
        is_long_enough(payload.len(), config.threshold) && put_compressed(kind, payload, config.level, out);
    if !compressed {
        crate::encode_message(kind, payload, out);
    }
    compressed
}

/// Appends a compressed frame that every connection with the full window takes. False, and nothing appended, if it is no shorter so.
pub(crate) fn put_compressed(kind: Kind, payload: &[u8], level: u8, out: &mut Vec<u8>) -> bool {
    let before = out.len();
    compress_alone(level, payload, |compressed| {
        crate::encode::put_frame(kind.opcode(), true, true, None, compressed, out);
    });
    out.len() > before
}
