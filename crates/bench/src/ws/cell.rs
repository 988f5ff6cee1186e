//! The cells: each is one load that is measured with each peer.

use super::peer::Peer;
use std::collections::BTreeMap;

/// The server's CPU time per message in microseconds, for every run of a cell and a peer.
pub(super) type Results = BTreeMap<(Cell, Peer), Vec<f64>>;

/// One load: connections, bytes per message, and messages in flight on each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell {
    pub(super) depth: usize,
    pub(super) connections: usize,
    pub(super) size: usize,
}

impl Cell {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [1, 16].into_iter().flat_map(|depth| {
            [10, 200].into_iter().flat_map(move |connections| {
                [20, 1 << 10, 16 << 10, 1 << 20].into_iter().map(move |size| Self {
                    depth,
                    connections,
                    size,
                })
            })
        })
    }

    pub(super) fn name(&self) -> String {
        format!("{} x {} B x {}", self.connections, self.size, self.depth)
    }
}
