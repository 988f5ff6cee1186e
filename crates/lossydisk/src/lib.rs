#![doc = include_str!("../README.md")]
#![cfg(target_os = "linux")]

mod disk;
mod file;
mod fs;
mod loss;
mod mapped;
mod mount;
mod names;
mod pages;
mod state;
mod tree;

pub use disk::LossyDisk;
pub use loss::Loss;
pub use state::Counters;
