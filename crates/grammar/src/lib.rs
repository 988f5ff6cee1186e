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

pub mod class;
mod error;
mod ip;
mod list;
mod number;
mod origin;
mod params;
pub mod quoted;
mod range;
mod token;
mod url;
mod weight;

pub use error::{NumberError, NumberErrorKind, SyntaxError, SyntaxErrorKind};
pub use ip::{IpLiteral, ip_literal, ipv4_address, ipv6_address};
pub use list::{List, list};
pub use number::{dec_u64, hex_u64, qvalue};
pub use origin::{Host, Origin, OriginError};
pub use params::{Param, Params, Value, params, value_and_params};
pub use range::range_of;
pub use token::{eq_ignore_case, is_token, token_len, trim_ows};
pub use url::{Url, UrlError};
pub use weight::weight;
