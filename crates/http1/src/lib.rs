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

#[cfg(feature = "codec")]
#[cfg_attr(docsrs, doc(cfg(feature = "codec")))]
pub mod codec;
mod connection;
mod decode;
mod encode;
mod error;
mod event;
mod fast_path;
mod field_block;
mod fields;
mod forward;
mod framing;
mod head;
mod head_info;
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
mod http;
mod known_fields;
mod limits;
mod message;
mod observer;
mod outgoing;
#[cfg(feature = "bytes")]
mod owned_head;
mod parse;
mod prepared;
mod reuse;
mod role;
mod scan;
#[cfg(target_arch = "x86_64")]
mod simd;
mod span;
mod start_line;
mod state;
mod status;
mod target;

pub use connection::Connection;
pub use error::{EncodeError, EncodeErrorKind, Error, ErrorKind, Limit, Rule, Syntax};
pub use event::{ContentAction, Event};
pub use field_block::FieldBlock;
pub use fields::{FieldIter, Fields};
pub use head::{RequestHead, ResponseHead};
pub use limits::Limits;
pub use message::{BodyLength, Method, TargetForm, Version};
pub use observer::{Observer, Reading};
pub use outgoing::{Request, Response};
#[cfg(feature = "bytes")]
#[cfg_attr(docsrs, doc(cfg(feature = "bytes")))]
pub use owned_head::{HeadParts, OwnedRequestHead, OwnedResponseHead};
pub use prepared::PreparedResponse;
pub use reuse::{CloseReason, NextExchangeError};
pub use role::{Client, Role, Server};
pub use status::reason_phrase;
