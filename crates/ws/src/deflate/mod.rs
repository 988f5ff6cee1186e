//! permessage-deflate (RFC 7692): each message is compressed separately.
//!
//! ```text
//! "Hello"  ──DEFLATE, flushed──►  f2 48 cd c9 c9 07 00 | 00 00 ff ff
//!                                 └── the payload ────┘  └ left out: every flush ends with it, the receiver appends it
//! ```
//! The first frame of a compressed message has RSV1 set. The sender chooses which messages it
//! compresses.
//!
//! # Memory, and why context takeover is off
//!
//! A compressor holds about 270 KiB and an inflater about 45 KiB. *Context takeover* keeps them
//! between messages, so a message can refer to earlier ones. Small, similar messages shrink more,
//! but each connection holds those 300 KiB for as long as it lives. Without context takeover,
//! contexts come from a pool of the thread and return to it after each message. A waiting
//! connection holds none, and a message that is compressed once fits every connection
//! ([`PreparedMessage`](crate::PreparedMessage)). This is the default. [`Config::context_takeover`]
//! changes it.
//!
//! # Secrets
//!
//! The length of a compressed message shows what repeats in it. An attacker who can place chosen
//! text next to a secret, and who sees the length of the frames, can guess the secret piece by
//! piece, even if the connection is encrypted (CRIME; RFC 7692 §8 (1)). Without context takeover,
//! only secrets in the same message are at risk. So send secrets in separate messages, shorter than
//! [`Config::threshold`], or without this extension.

mod compress;
mod context;
mod encode;
mod inflate;
mod negotiate;
mod pool;

pub use encode::encode_message;
pub use negotiate::{Config, Params};

pub(crate) use context::Deflate;
pub(crate) use encode::put_compressed_message;
pub(crate) use inflate::InflateError;
pub(crate) use negotiate::{MAX_OFFERS, agree, choose, offer};
pub(crate) use pool::with_scratch;
