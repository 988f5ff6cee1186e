//! Tests of the whole store.

mod differential;
mod dropping;
mod faults;
mod fixture;
mod random;
mod steady;
mod suite;
mod threads;
