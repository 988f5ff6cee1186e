//! How often each thing has happened.

use super::reader::ReaderCounts;

/// Counts what happened in a simulation, so that a test can check that everything happens often
/// enough.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) readers: ReaderCounts,
    pub(crate) steps: u64,
    pub(crate) cuts: u64,
    pub(crate) switches: u64,
    pub(crate) retries: u64,
    pub(crate) restarts: u64,
    pub(crate) poll_races: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.readers += other.readers;
        self.steps += other.steps;
        self.cuts += other.cuts;
        self.switches += other.switches;
        self.retries += other.retries;
        self.restarts += other.restarts;
        self.poll_races += other.poll_races;
    }
}
