//! How often each thing has happened.

use super::publisher::PublisherCounts;
use super::reader::ReaderCounts;

/// Counts what happened in a simulation, so that a test can check that everything happens often
/// enough.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) readers: ReaderCounts,
    pub(crate) server: ServerCounts,
    pub(crate) publishers: PublisherCounts,
    pub(crate) steps: u64,
    pub(crate) cuts: u64,
    pub(crate) switches: u64,
    pub(crate) losses: u64,
    pub(crate) tails_lost: u64,
    pub(crate) clean_restarts: u64,
    pub(crate) deletions: u64,
}

/// Counts what happened at the server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ServerCounts {
    /// A poll's time was up when its message was already there.
    pub(crate) poll_races: u64,
    /// An append failed, and nothing was appended.
    pub(crate) failed: u64,
    /// The answer to an append was lost.
    pub(crate) unknown: u64,
    /// An append was repeated, and its messages were there.
    pub(crate) duplicates: u64,
    /// An answer came before that of an earlier append.
    pub(crate) reordered: u64,
    pub(crate) closed: u64,
    /// Logs that were closed without a message.
    pub(crate) closed_alone: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.readers += other.readers;
        self.server += other.server;
        self.steps += other.steps;
        self.cuts += other.cuts;
        self.switches += other.switches;
        self.publishers += other.publishers;
        self.losses += other.losses;
        self.tails_lost += other.tails_lost;
        self.clean_restarts += other.clean_restarts;
        self.deletions += other.deletions;
    }
}

impl std::ops::AddAssign for ServerCounts {
    fn add_assign(&mut self, other: Self) {
        self.poll_races += other.poll_races;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.duplicates += other.duplicates;
        self.reordered += other.reordered;
        self.closed += other.closed;
        self.closed_alone += other.closed_alone;
    }
}
