//! A store that can be restarted, and can lose its newest commits.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tidewire_store::suite::{Fixture, Loss};
use tidewire_store::{Limits, Store};

use crate::fold::Tuning;
use crate::steps::{Plan, Steps};
use crate::{DiskOptions, DiskStore, SyncMode};

const SOON: Duration = Duration::from_millis(1);

/// Folds after every message, into runs of two.
pub(crate) const TINY: Tuning =
    Tuning { fold_messages: 1, fold_bytes: 1, run: 2, step_messages: 1, step_deletes: 3, full_retry: SOON };

/// A store in a directory of its own.
pub(crate) struct OnDisk {
    pub(crate) dir: TempDir,
    pub(crate) options: DiskOptions,
    pub(crate) tuning: Tuning,
    pub(crate) plan: Arc<Mutex<Plan>>,
    store: Option<Arc<DiskStore>>,
    /// The write-ahead log when the store was opened: what cannot be lost any more.
    synced: Wal,
}

impl OnDisk {
    pub(crate) fn new(options: DiskOptions, tuning: Tuning) -> Self {
        let mut this = Self {
            dir: directory(),
            options,
            tuning,
            plan: Arc::default(),
            store: None,
            synced: Wal::default(),
        };
        this.open();
        this
    }

    /// A store with the small limits that the suite asks for.
    pub(crate) fn of(sync: SyncMode, tuning: Tuning) -> Self {
        let limits = Limits::DEFAULT.with_max_kept_bytes(ROOM).with_channel(CHANNEL);
        Self::new(DiskOptions::DEFAULT.with_sync(sync).with_limits(limits), tuning)
    }

    pub(crate) fn disk(&self) -> &Arc<DiskStore> {
        self.store.as_ref().expect("it is open")
    }

    pub(crate) fn open(&mut self) {
        let steps = Steps::planned(self.plan.clone());
        let store = DiskStore::open_with(self.dir.path(), self.options, self.tuning, steps);
        self.store = Some(Arc::new(store.expect("it opens")));
        self.synced = Wal::read(self.dir.path());
    }

    /// Ends the store as if the process were killed, and loses the newest commits.
    pub(crate) fn crash(&mut self, lost: usize) {
        self.disk().abandon();
        self.store = None;
        Wal::read(self.dir.path()).cut(&self.synced, lost, self.dir.path());
    }

    /// Drops the store, which was closed or has failed.
    pub(crate) fn forget(&mut self) {
        self.store = None;
    }

    /// After all logs are deleted, a close and a start leave no row.
    pub(crate) fn is_empty_at_the_end(&mut self) {
        let db = rusqlite::Connection::open(self.dir.path().join("tidewire.db")).expect("it opens");
        let sql = "SELECT (SELECT count(*) FROM message) + (SELECT count(*) FROM run) + \
                   (SELECT count(*) FROM log) + (SELECT count(*) FROM producer)";
        // The writer deletes while nothing else is to do.
        let begun = std::time::Instant::now();
        loop {
            let rows: i64 = db.query_row(sql, (), |row| row.get(0)).expect("it counts");
            if rows == 0 {
                return;
            }
            assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{rows} rows stay");
            std::thread::yield_now();
        }
    }

    pub(crate) fn close(&mut self) {
        self.disk().close().expect("it closes");
        self.store = None;
    }
}

/// A directory in memory, if there is such a file system: the stores of all tests together sync
/// some thousand times.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    dir.expect("a temporary directory")
}

/// Bytes of messages that logs may keep for good.
pub(crate) const ROOM: usize = 400_000;

pub(crate) const CHANNEL: tidewire_channel::Limits =
    tidewire_channel::Limits::DEFAULT.with_max_keys(4).with_max_producers(4);

impl Fixture for OnDisk {
    fn store(&self) -> Arc<dyn Store> {
        self.disk().clone()
    }

    fn restart(&mut self, loss: Loss) -> bool {
        match loss {
            Loss::Nothing => self.close(),
            Loss::Tail(lost) => self.crash(lost),
        }
        self.open();
        true
    }

    fn limits(&self) -> tidewire_channel::Limits {
        CHANNEL
    }

    fn room(&self) -> Option<usize> {
        Some(ROOM)
    }
}

/// The valid frames of a write-ahead log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wal {
    /// They change when the log is begun anew.
    salts: [u8; 8],
    /// The end of each commit in the file.
    commits: Vec<u64>,
}

const HEADER: usize = 32;
const FRAME: usize = 24;

impl Wal {
    fn read(dir: &Path) -> Self {
        let bytes = fs::read(dir.join("tidewire.db-wal")).unwrap_or_default();
        let Some(salts) = bytes.get(16..24).and_then(|salts| <[u8; 8]>::try_from(salts).ok()) else {
            return Self::default();
        };
        let number = |at: usize| {
            let bytes = bytes.get(at..at + 4)?;
            Some(u32::from_be_bytes(bytes.try_into().expect("four bytes")))
        };
        let page = number(8).expect("a header") as usize;
        let (mut at, mut commits) = (HEADER, Vec::new());
        while bytes.get(at + 8..at + 16) == Some(&salts[..]) && bytes.len() >= at + FRAME + page {
            let size_after_commit = number(at + 4).expect("a frame");
            at += FRAME + page;
            if size_after_commit > 0 {
                commits.push(at as u64);
            }
        }
        Self { salts, commits }
    }

    /// Cuts the last commits off, but none that was there at the start.
    fn cut(&self, synced: &Self, lost: usize, dir: &Path) {
        let at_start = if self.salts == synced.salts { synced.commits.len() } else { 0 };
        let keep = self.commits.len().saturating_sub(lost).max(at_start);
        if keep == self.commits.len() {
            return;
        }
        let file = fs::OpenOptions::new().write(true).open(dir.join("tidewire.db-wal"));
        let end = keep.checked_sub(1).map_or(HEADER as u64, |last| self.commits[last]);
        file.expect("there is a log").set_len(end).expect("it is cut");
    }
}
