// The examples of the page need these features. Without them, only its tests are left out.
#![cfg_attr(
    any(
        not(doctest),
        all(
            feature = "accept",
            feature = "axum",
            feature = "blocking",
            feature = "deflate",
            feature = "rustls"
        )
    ),
    doc = include_str!("../README.md")
)]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::must_use_candidate, clippy::return_self_not_must_use)]
// Attackers look for lengths that wrap around. A release build of a caller does not check for them,
// so the code here must not be able to wrap.
#![cfg_attr(not(test), forbid(clippy::arithmetic_side_effects), deny(clippy::cast_possible_truncation))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(any(feature = "accept", feature = "blocking"))]
pub mod accept;
#[cfg(feature = "blocking")]
pub mod blocking;
pub mod close;
#[cfg(feature = "codec")]
pub mod codec;
#[cfg(any(feature = "blocking", feature = "connect"))]
pub mod connect;
mod connection;
mod decode;
#[cfg(feature = "deflate")]
pub mod deflate;
mod encode;
mod error;
mod event;
pub mod frame;
pub mod handshake;
mod incoming;
mod kind;
mod limits;
pub mod mask;
#[cfg(feature = "bytes")]
mod message;
#[cfg(feature = "bytes")]
mod outbox;
#[cfg(feature = "bytes")]
mod owned;
mod pong;
mod prepared;
mod receive;
mod role;
mod send;
#[cfg(any(feature = "blocking", feature = "tokio"))]
mod socket;
mod state;
#[cfg(feature = "bytes")]
mod text;
#[cfg(all(feature = "bytes", feature = "std"))]
mod thread_buffer;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "upgrade")]
pub mod upgrade;
mod utf8;

#[cfg(feature = "accept")]
pub use accept::accept;
#[cfg(feature = "connect")]
pub use connect::connect;
pub use connection::Connection;
pub use decode::{FrameDecoder, FrameEvent};
pub use encode::{encode_close, encode_message};
pub use error::{EncodeError, EncodeErrorKind, Error, ErrorKind};
pub use event::Event;
pub use kind::Kind;
pub use limits::Limits;
#[cfg(feature = "bytes")]
pub use message::Message;
#[cfg(feature = "bytes")]
pub use outbox::Outbox;
pub use prepared::PreparedMessage;
pub use role::{Client, Role, Server};
#[cfg(feature = "bytes")]
pub use text::Text;
