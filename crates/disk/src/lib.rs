#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::cast_possible_truncation))]

mod entry;
mod index;
mod names;
mod options;
mod page;
mod reads;
mod row;
mod rows;
mod seen;
mod shared;
mod troubles;

pub use options::{DiskOptions, SyncMode};
