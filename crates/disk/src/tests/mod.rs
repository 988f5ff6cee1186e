//! Tests of the whole store.

mod differential;
mod fixture;
mod suite;
