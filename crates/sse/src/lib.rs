#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::must_use_candidate, clippy::return_self_not_must_use)]
// Attackers look for lengths that wrap around. A release build of a caller does not check for them,
// so the code here must not be able to wrap.
#![cfg_attr(not(test), forbid(clippy::arithmetic_side_effects), deny(clippy::cast_possible_truncation))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "http-body")]
mod body;
#[cfg(feature = "http-body")]
mod chunks;
#[cfg(feature = "codec")]
#[cfg_attr(docsrs, doc(cfg(feature = "codec")))]
pub mod codec;
mod decode;
mod encode;
mod error;
#[cfg(feature = "http-body")]
mod heartbeat;
#[cfg(feature = "http-body")]
mod item;
mod limits;
mod media_type;
mod message;
mod outgoing;
#[cfg(feature = "bytes")]
mod prepared;
#[cfg(feature = "stream")]
mod response;
mod scan;
mod state;
#[cfg(feature = "stream")]
mod stream;

#[cfg(feature = "http-body")]
#[cfg_attr(docsrs, doc(cfg(feature = "http-body")))]
pub use body::{EventBody, FromFn};
#[cfg(feature = "http-body")]
#[cfg_attr(docsrs, doc(cfg(feature = "http-body")))]
pub use chunks::BodyChunks;
pub use decode::{Decoder, Event};
pub use encode::{CONTENT_TYPE, EventFields, HEARTBEAT, comment_to};
pub use error::{EncodeError, EncodeErrorKind, Error, ErrorKind};
#[cfg(feature = "http-body")]
#[cfg_attr(docsrs, doc(cfg(feature = "http-body")))]
pub use heartbeat::HEARTBEAT_PERIOD;
#[cfg(feature = "http-body")]
#[cfg_attr(docsrs, doc(cfg(feature = "http-body")))]
pub use item::{BodyError, BodyItem};
pub use limits::Limits;
pub use media_type::is_event_stream;
pub use message::Message;
pub use outgoing::OutgoingEvent;
#[cfg(feature = "bytes")]
#[cfg_attr(docsrs, doc(cfg(feature = "bytes")))]
pub use prepared::PreparedEvent;
#[cfg(feature = "stream")]
#[cfg_attr(docsrs, doc(cfg(feature = "stream")))]
pub use response::NotAnEventStream;
#[cfg(feature = "stream")]
#[cfg_attr(docsrs, doc(cfg(feature = "stream")))]
pub use stream::{EventStream, StreamError};
