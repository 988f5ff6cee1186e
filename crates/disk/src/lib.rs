#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::cast_possible_truncation))]

mod bad_row;
mod crashes;
mod directory;
mod error;
mod log_row;
mod meta;
mod names;
mod once_row;
mod options;
mod schema;
mod settings;
mod sum;

pub use error::{BackupError, OpenError};
pub use options::{DiskOptions, SyncMode};
