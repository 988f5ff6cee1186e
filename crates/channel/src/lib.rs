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

mod channel;
mod continuity;
mod cursor;
mod cursors;
mod error;
mod keys;
mod limits;
mod lineage;
mod log;
mod once;
mod producers;
mod read;
mod waiters;

pub use channel::{Appended, Channel};
pub use continuity::{Continuity, ResetReason};
pub use cursor::{Cursor, Epoch, Since};
pub use cursors::Cursors;
pub use error::{CursorError, CursorErrorKind, Refused, RefusedKind, WaitError};
pub use keys::Fingerprint;
pub use limits::{Limits, Retention};
pub use lineage::{Bounds, Lineage};
pub use log::{Log, Stats};
pub use once::{Once, ProducerSeq};
pub use read::{Budget, Entries, Entry, Read};
pub use waiters::{WaitKey, Woken};
