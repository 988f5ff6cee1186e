#![doc = include_str!("../README.md")]

pub mod deadline;
pub mod heap;
pub mod inflate;
pub mod limits;
pub mod linear;
pub mod mutate;
mod notation;
pub mod raw;
mod rng;
pub mod run;
pub mod split;
mod subject;
pub mod vectors;

pub use notation::show;
pub use rng::Rng;
pub use subject::{Event, Failure, Outcome, Subject};
