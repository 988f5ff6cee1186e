//! What is measured.

/// A table of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    Publish,
    Always,
    Latency,
    Readers,
    Start,
}

/// How much to measure.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    /// All of them if it is empty.
    pub(crate) only: Vec<Part>,
}

/// The numbers of channels that are published to.
pub(super) const CHANNELS: [usize; 2] = [1, 1_000];

/// The numbers of publishers of the table on syncs.
pub(super) const PUBLISHERS: [usize; 5] = [1, 4, 16, 64, 256];
