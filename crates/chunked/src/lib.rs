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

mod chunk_head;
#[cfg(feature = "codec")]
#[cfg_attr(docsrs, doc(cfg(feature = "codec")))]
pub mod codec;
mod decode;
mod encode;
mod error;
mod extension;
mod limits;
mod state;
mod trailer;

pub use chunk_head::ChunkHead;
#[cfg(feature = "bytes")]
#[cfg_attr(docsrs, doc(cfg(feature = "bytes")))]
pub use chunk_head::{Chunk, HeadBuf};
pub use decode::{Decoder, Event};
pub use encode::{Encoder, LAST_CHUNK, encode_trailers};
pub use error::{EncodeError, EncodeErrorKind, Error, ErrorKind};
pub use extension::{Extension, Extensions, extensions};
pub use limits::Limits;
pub use trailer::is_forbidden_trailer;
