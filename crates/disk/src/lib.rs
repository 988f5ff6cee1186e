#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::cast_possible_truncation))]

mod answering;
mod append;
mod backup;
mod bad_row;
mod crashes;
mod create;
mod delete;
mod directory;
mod ending;
mod entry;
#[cfg(test)]
mod entry_tests;
mod error;
mod fold;
mod graveyard;
mod index;
mod kept;
mod load;
mod log;
mod log_row;
mod meta;
mod names;
mod once_row;
mod options;
mod page;
mod queue;
mod reads;
mod request;
mod restore;
mod row;
mod rows;
mod schema;
mod scrub;
mod search;
mod seen;
mod settings;
mod shared;
mod steps;
mod store;
mod sum;
mod sweep;
mod sync;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod troubles;
mod writer;

pub use backup::{Backed, Progress, backup};
pub use error::{BackupError, OpenError};
pub use options::{DiskOptions, SyncMode};
pub use store::{DiskStore, StartReport};
