//! The annotator against the wire documents, at every cut, and against noise.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod noise;
mod notes;
mod subject;
mod wire;
