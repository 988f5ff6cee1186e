//! permessage-deflate (RFC 7692): each message compressed by itself.
//!
//! ```text
//! "Hello"  ──DEFLATE, flushed──►  f2 48 cd c9 c9 07 00 | 00 00 ff ff
//!                                 └── the payload ────┘  └ left out: every flush ends so, the receiver puts it back
//! ```
//! The first frame of a compressed message has RSV1 set. Which messages are compressed is the
//! sender's choice.
//!
//! # Memory, and why context takeover is off
//!
//! A compressor holds about 270 KiB and an inflater about 45 KiB. *Context takeover* keeps them
//! between messages, so that each can refer to the one before: small, similar messages shrink more,
//! and each connection pays those 300 KiB for as long as it lives. Without it, contexts come from a
//! pool of the thread and go back after each message: a connection that waits holds none, and a
//! message compressed once fits every connection ([`PreparedMessage`](crate::PreparedMessage)).
//! That is the default here; [`Config::context_takeover`] changes it.
//!
//! # Secrets
//!
//! Compression shows in the length what repeats. Who can put words of his choice beside a secret,
//! and sees how long the frames are, can guess it piece by piece (CRIME; RFC 7692 §8 (1)),
//! encrypted or not. Without context takeover that is the secret in the same message only. So send
//! secrets in messages of their own, shorter than [`Config::threshold`], or without this extension.

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
