//! What has happened in lives.

use super::reader::Counts;

/// What a life held, so that a test can ask whether everything happens often enough.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) readers: Counts,
    pub(crate) steps: u64,
    pub(crate) cuts: u64,
    pub(crate) switches: u64,
    pub(crate) retries: u64,
    pub(crate) restarts: u64,
    pub(crate) close_calls: u64,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.readers += other.readers;
        self.steps += other.steps;
        self.cuts += other.cuts;
        self.switches += other.switches;
        self.retries += other.retries;
        self.restarts += other.restarts;
        self.close_calls += other.close_calls;
    }
}
