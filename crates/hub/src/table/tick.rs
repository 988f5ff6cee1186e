//! A tick: once a second all rows are looked at, and now and then all channels, in as many turns as
//! that takes.

use std::collections::HashMap;

use crate::feeds::Wire;
use crate::gzip::Sum;
use crate::rope::Rope;

/// What a tick has begun.
#[derive(Default)]
pub(super) struct Tick {
    /// The next row to look at.
    pub(super) row: Option<usize>,
    /// The next channel that the hub is to look at.
    pub(super) sweep: Option<usize>,
    /// Of each feed, the heartbeat.
    pub(super) heartbeats: HashMap<Wire, (Rope, Sum)>,
}

impl Tick {
    pub(super) fn is_busy(&self) -> bool {
        self.row.is_some() || self.sweep.is_some()
    }
}
