#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "codec")]
mod codec;
mod decode;
mod encode;
mod error;
mod limits;
mod scan;
mod state;

#[cfg(feature = "codec")]
#[cfg_attr(docsrs, doc(cfg(feature = "codec")))]
pub use codec::{Codec, CodecError, OwnedReceived};
pub use decode::{Decoder, Received};
pub use encode::{Event, HEARTBEAT, comment_to};
pub use error::{EncodeError, EncodeErrorKind, Error, ErrorKind};
pub use limits::Limits;
