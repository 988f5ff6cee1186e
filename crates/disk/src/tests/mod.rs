//! Tests of the whole store.

mod fixture;
mod suite;
