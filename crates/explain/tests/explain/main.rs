//! Tests the annotator with the wire documents, cut at every place, and with random bytes.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod noise;
mod notes;
mod subject;
mod wire;
