//! The tests that every store passes, and a store that fails: for the tests of stores, and of
//! programs over stores.

// Tests may panic, and that is what a wrapped number does in them.
#![allow(clippy::arithmetic_side_effects)]

mod faulty;
#[cfg(test)]
mod faulty_tests;
mod random;

pub use faulty::{Fault, FaultyStore, Held, Rates, RequestKind, Seen};
