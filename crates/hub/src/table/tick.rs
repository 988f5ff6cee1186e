//! A tick. Once per second all rows are checked, and every few seconds all channels, in as many
//! turns as needed.

use std::collections::HashMap;

use crate::feeds::Wire;
use crate::gzip::Sum;
use crate::rope::Rope;

/// The progress of the current tick.
#[derive(Default)]
pub(super) struct Tick {
    /// The next row to check.
    pub(super) row: Option<usize>,
    /// The next place of the sweep of the hub.
    pub(super) sweep: Option<usize>,
    /// The heartbeat of each wire format.
    pub(super) heartbeats: HashMap<Wire, (Rope, Sum)>,
}

impl Tick {
    pub(super) fn is_busy(&self) -> bool {
        self.row.is_some() || self.sweep.is_some()
    }
}
