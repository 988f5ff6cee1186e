#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::cast_possible_truncation))]

mod backup;
mod bad_row;
mod crashes;
mod directory;
mod entry;
#[cfg(test)]
mod entry_tests;
mod error;
mod index;
mod load;
mod log_row;
mod meta;
mod names;
mod once_row;
mod options;
mod page;
mod reads;
mod row;
mod rows;
mod schema;
mod seen;
mod settings;
mod shared;
mod sum;
mod sync;
#[cfg(test)]
mod testing;
mod troubles;

pub use backup::{Backed, Progress, backup};
pub use error::{BackupError, OpenError};
pub use options::{DiskOptions, SyncMode};
