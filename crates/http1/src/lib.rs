#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod block;
#[cfg(feature = "codec")]
#[cfg_attr(docsrs, doc(cfg(feature = "codec")))]
pub mod codec;
mod connection;
mod decode;
mod encode;
mod error;
mod facts;
mod fast;
mod fields;
mod first_line;
mod framing;
mod head;
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
mod http;
mod limits;
mod message;
mod meta;
#[cfg(feature = "bytes")]
mod owned;
mod parse;
mod role;
mod scan;
#[cfg(target_arch = "x86_64")]
mod simd;
mod span;
mod state;
mod status;
mod target;
mod whole;

pub use block::FieldBlock;
pub use connection::{Connection, Event, Payload};
pub use encode::{Request, Response};
pub use error::{EncodeError, Error, ErrorKind, Limit, Rule, Syntax};
pub use fields::{FieldIter, Fields};
pub use head::{RequestHead, ResponseHead};
pub use limits::Limits;
pub use message::{BodyLength, Method, TargetForm, Version};
#[cfg(feature = "bytes")]
pub use owned::{HeadParts, OwnedRequestHead, OwnedResponseHead};
pub use role::{Client, Role, Server};
pub use status::reason_phrase;
pub use whole::WholeResponse;
