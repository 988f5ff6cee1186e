#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "bytes")]
mod buf;
#[cfg(feature = "codec")]
pub mod codec;
mod decode;
mod encode;
mod error;
mod extension;
mod limits;
mod state;
mod trailer;

#[cfg(feature = "bytes")]
pub use buf::{Chunk, HeadBuf};
pub use decode::{Decoder, Event};
pub use encode::{ChunkHead, LAST_CHUNK, encode_trailers};
pub use error::{EncodeError, EncodeErrorKind, Error, ErrorKind};
pub use extension::{Extension, Extensions, extensions};
pub use limits::Limits;
pub use trailer::is_forbidden_trailer;
