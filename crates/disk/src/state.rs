//! What the thread that changes the database knows, and its transactions.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;
use tidewire_channel::Cursor;
use tidewire_store::{Failed, Message};

use crate::graveyard::Graveyard;
use crate::log::{Logs, Slot};
use crate::options::DiskOptions;
use crate::queue::Queue;
use crate::reads::ReadPool;
use crate::request::{Reply, Request};
use crate::shared::Shared;
use crate::steps::{Step, Steps};
use crate::sync::SyncState;
use crate::upkeep::{Folding, Scrub, Tuning, Unfolded};

/// The writer: its connection, and all that it knows.
pub(crate) struct Writer {
    pub(crate) db: Connection,
    pub(crate) options: DiskOptions,
    pub(crate) tuning: Tuning,
    pub(crate) steps: Steps,
    pub(crate) shared: Arc<Shared>,
    pub(crate) reads: Arc<ReadPool>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) sync: Arc<SyncState>,
    pub(crate) logs: Logs,
    /// The id of the next message.
    pub(crate) next_id: u64,
    pub(crate) next_log: i64,
    /// The number of crashes: a new log accounts for all of them.
    pub(crate) crashes: u64,
    /// The bytes of all logs that keep all messages.
    pub(crate) kept_for_good: u64,
    pub(crate) has_keys: bool,
    pub(crate) unfolded: Unfolded,
    /// Messages that were evicted without an append since the last fold began.
    pub(crate) evicted: u64,
    /// The logs that the next fold visits.
    pub(crate) to_fold: Vec<Slot>,
    pub(crate) folding: Option<Folding>,
    pub(crate) graveyard: Graveyard,
    /// The logs whose messages go in pieces.
    pub(crate) dropping: VecDeque<Slot>,
    /// The logs that have no message any more, but a row.
    pub(crate) buried: Vec<Slot>,
    /// The search for dead messages, after a stop that was not in order.
    pub(crate) scrub: Option<Scrub>,
    /// When a sweep has asked for a fold, by the clock of the hub.
    pub(crate) swept_fold_ms: u64,
    pub(crate) must_fold_soon: bool,
    /// The slot with which the next piece of a sweep begins.
    pub(crate) sweep_at: usize,
    pub(crate) health: Health,
    pub(crate) is_in_transaction: bool,
    /// Bytes of the messages of the open transaction.
    pub(crate) written: u64,
    pub(crate) inbox: VecDeque<Request>,
    pub(crate) replies: Vec<Reply>,
    pub(crate) unwritten: Vec<Unwritten>,
}

/// Whether the disk takes what is written.
#[derive(Clone, Debug)]
pub(crate) enum Health {
    Good,
    /// It was full at this time.
    Full(Instant),
    /// It has failed, and nobody knows what is on it.
    Stopped(Failed),
}

/// A message of the open transaction. The rows are written together at its end.
#[derive(Debug)]
pub(crate) struct Unwritten {
    pub(crate) id: u64,
    pub(crate) log: i64,
    pub(crate) cursor: Cursor,
    pub(crate) appended_ms: u64,
    pub(crate) message: Arc<Message>,
}

/// Why a transaction was not committed.
pub(crate) struct Broken {
    pub(crate) error: rusqlite::Error,
    /// Whether it may be on the disk.
    pub(crate) is_unknown: bool,
}

impl From<rusqlite::Error> for Broken {
    fn from(error: rusqlite::Error) -> Self {
        Self { error, is_unknown: false }
    }
}

impl Writer {
    /// Begins a transaction, if none is open.
    pub(crate) fn begin(&mut self) -> rusqlite::Result<()> {
        if self.is_in_transaction {
            return Ok(());
        }
        self.steps.at(Step::Begin)?;
        self.db.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
        self.is_in_transaction = true;
        Ok(())
    }

    /// Commits a transaction that touches no log.
    pub(crate) fn commit_alone(&mut self) -> rusqlite::Result<()> {
        self.commit_open().map_err(|broken| broken.error)
    }

    /// Commits the open transaction.
    pub(crate) fn commit_open(&mut self) -> Result<(), Broken> {
        self.steps.at(Step::Commit)?;
        let committed = self.db.prepare_cached("COMMIT").and_then(|mut commit| commit.execute(()));
        // A sync that fails comes after the messages are written.
        committed.map_err(|error| Broken { error, is_unknown: true })?;
        self.is_in_transaction = false;
        self.steps.at(Step::Sync).map_err(|error| Broken { error, is_unknown: true })?;
        let written = std::mem::take(&mut self.written);
        self.sync.committed(written.saturating_add(PAGES_A_COMMIT));
        // A transaction without a message needs no room, or little.
        if matches!(self.health, Health::Full(_)) && written > 0 {
            tracing::info!("the disk has room again");
            self.health = Health::Good;
        }
        Ok(())
    }

    /// Notes that the next fold must visit a log.
    pub(crate) fn mark_to_fold(&mut self, slot: Slot) {
        if let Some(log) = self.logs.get_mut(slot).filter(|log| !log.is_to_fold) {
            log.is_to_fold = true;
            self.to_fold.push(slot);
        }
    }
}

/// Bytes of pages that each commit writes beside messages, about.
const PAGES_A_COMMIT: u64 = 4 * 4_096;
