//! The threads that bring what was written to the disk.
//!
//! ```text
//!   writer ── committed ──► disk-sync:        fdatasync of the -wal file, at most 50 ms later
//!      ▲                    disk-checkpoint:  copies the pages of a long -wal file to the database,
//!      │                                      while the writer goes on
//!      └── wants_checkpoint ◄── then the writer copies the few new ones between two groups, so that
//!                               the next write begins the -wal file anew
//! ```
//!
//! Two threads, because a checkpoint may take seconds on a slow disk, and a sync must not wait for
//! it. SQLite keeps the `-wal` file open and begins it anew in place, so a handle stays good for as
//! long as the database is open. It has no locks, so closing this handle breaks none.

use std::fs::OpenOptions;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::directory::{BUSY, Directory};
use crate::error::{Cause, OpenError};
use crate::options::SyncMode;

/// What the writer and the threads know of the disk.
#[derive(Debug, Default)]
pub(crate) struct SyncState {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// When the oldest commit was made that is not synced.
    dirty_since: Option<Instant>,
    /// Whether there was a commit since the checkpoint thread has looked.
    is_longer: bool,
    /// The size of the part of the write-ahead log that is in use, about.
    wal_bytes: u64,
    /// The size of all of it, when a checkpoint was made last.
    wal_size: u64,
    /// When the writer has last waited for readers.
    waited_for_readers: Option<Instant>,
    is_checkpointing: bool,
    wants_checkpoint: bool,
    is_stopping: bool,
    failure: Option<String>,
    /// When it was last said that a checkpoint must wait.
    warned: Option<Instant>,
}

impl SyncState {
    /// The writer has committed about this number of bytes.
    pub(crate) fn committed(&self, bytes: u64) {
        let mut state = self.lock();
        state.wal_bytes = state.wal_bytes.saturating_add(bytes);
        let was_idle = state.dirty_since.is_none() || !state.is_longer;
        state.dirty_since.get_or_insert_with(Instant::now);
        state.is_longer = true;
        drop(state);
        if was_idle {
            self.changed.notify_all();
        }
    }

    /// What has failed, if a sync or a checkpoint has: then nobody knows what is on the disk, and
    /// nothing more may be acknowledged.
    pub(crate) fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    /// Whether the writer should [finish a checkpoint](Self::finish_checkpoint) now.
    pub(crate) fn wants_checkpoint(&self) -> bool {
        self.lock().wants_checkpoint
    }

    /// Copies what was written since the checkpoint thread has copied the rest, with the connection
    /// of the writer. Between two groups: no transaction is open.
    ///
    /// The write-ahead log begins anew when no reader is in it. Readers that overlap are always in
    /// it, and it would grow for ever. So if it is long, this waits for those of now, for a moment.
    pub(crate) fn finish_checkpoint(&self, db: &Connection) {
        let must_wait = {
            let mut state = self.lock();
            state.wants_checkpoint = false;
            let is_due = state.waited_for_readers.is_none_or(|waited| waited.elapsed() > WAIT_EVERY);
            let must_wait = state.wal_size > WAIT_FOR_READERS_AT && is_due;
            if must_wait {
                state.waited_for_readers = Some(Instant::now());
            }
            must_wait
        };
        let made = if must_wait {
            db.busy_timeout(WAIT_FOR_READERS)
                .and_then(|()| Wal::checkpoint(db, "RESTART"))
                .and_then(|wal| db.busy_timeout(BUSY).map(|()| wal))
        } else {
            Wal::checkpoint(db, "PASSIVE")
        };
        match made {
            Ok(wal) => self.lock().wal_bytes = wal.left(),
            Err(error) => self.checkpoint_failed(&error),
        }
    }

    /// Waits while the write-ahead log is too long and a checkpoint makes it shorter. Without this,
    /// a writer that is faster than the disk would fill it. A reader, such as a backup, may hold
    /// the log: then the writer goes on.
    pub(crate) fn wait_for_room(&self) {
        let must_wait = |state: &mut State| state.wal_bytes > WAIT_AT && state.is_checkpointing;
        drop(self.wait_while(self.lock(), must_wait));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn wait_while<'a>(
        &'a self,
        guard: MutexGuard<'a, State>,
        condition: impl FnMut(&mut State) -> bool,
    ) -> MutexGuard<'a, State> {
        self.changed.wait_while(guard, condition).unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn fail(&self, what: String) {
        tracing::error!(
            "{what}; nothing more is written: look for errors of the disk, then restart the server"
        );
        self.lock().failure.get_or_insert(what);
        self.changed.notify_all();
    }

    fn checkpoint_failed(&self, error: &rusqlite::Error) {
        match Cause::of(error) {
            // Somebody else makes one, or there is no room for the database. The log keeps all.
            Cause::Busy | Cause::Full => {
                let mut state = self.lock();
                if state.warned.is_none_or(|warned| warned.elapsed() > WARN_EVERY) {
                    state.warned = Some(Instant::now());
                    drop(state);
                    tracing::warn!(%error, "a checkpoint of the database must wait");
                }
            }
            _ => self.fail(format!("a checkpoint of the database has failed: {error}")),
        }
    }
}

/// The threads.
#[derive(Debug)]
pub(crate) struct SyncThreads {
    state: Arc<SyncState>,
    threads: Vec<JoinHandle<()>>,
}

impl SyncThreads {
    /// Starts them. The writer has written something, so that there is a write-ahead log.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(crate) fn start(dir: &Directory, mode: SyncMode) -> Result<Self, OpenError> {
        let state = Arc::new(SyncState::default());
        let mut this = Self { state: state.clone(), threads: Vec::new() };
        let db = dir.open_checkpointer()?;
        let checkpoints = state.clone();
        this.spawn(dir, "disk-checkpoint", move || checkpoints.make_checkpoints(&db))?;
        if mode == SyncMode::Interval {
            let path = dir.wal();
            let wal = OpenOptions::new().write(true).open(&path);
            let wal = wal.map_err(|error| OpenError::io(&path, &error))?;
            this.spawn(dir, "disk-sync", move || state.sync_often(|| wal.sync_data()))?;
        }
        Ok(this)
    }

    /// What the writer tells, and asks.
    pub(crate) fn state(&self) -> &Arc<SyncState> {
        &self.state
    }

    /// Syncs what is not synced, and stops the threads. Returns what has failed.
    pub(crate) fn stop(&mut self) -> Option<String> {
        self.state.lock().is_stopping = true;
        self.state.changed.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                self.state.fail("a thread of the store has panicked".to_owned());
            }
        }
        self.state.failure()
    }

    fn spawn(
        &mut self,
        dir: &Directory,
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), OpenError> {
        let thread = std::thread::Builder::new().name(name.into()).spawn(run);
        self.threads.push(thread.map_err(|error| OpenError::io(&dir.database(), &error))?);
        Ok(())
    }
}

impl Drop for SyncThreads {
    fn drop(&mut self) {
        self.stop();
    }
}

impl SyncState {
    fn sync_often(&self, mut sync: impl FnMut() -> io::Result<()>) {
        let mut warned: Option<Instant> = None;
        loop {
            let guard =
                self.wait_while(self.lock(), |state| state.dirty_since.is_none() && !state.is_stopping);
            let Some(since) = guard.dirty_since else { return };
            let left = INTERVAL.saturating_sub(since.elapsed());
            let waited = self.changed.wait_timeout_while(guard, left, |state| !state.is_stopping);
            let (mut guard, _) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
            // A commit during the sync may be too late for it.
            guard.dirty_since = None;
            drop(guard);
            let begun = Instant::now();
            if let Err(error) = sync() {
                return self.fail(format!("a sync of the write-ahead log has failed: {error}"));
            }
            let took = begun.elapsed();
            if took > SLOW && warned.is_none_or(|warned| warned.elapsed() > WARN_EVERY) {
                warned = Some(Instant::now());
                let ms = took.as_millis();
                tracing::warn!(
                    ms,
                    "the disk took long for a sync: messages are on it later than 100 ms after their answer"
                );
            }
        }
    }

    fn make_checkpoints(&self, db: &Connection) {
        let mut warned_at = HELD;
        loop {
            let guard = self.wait_while(self.lock(), |state| !state.is_longer && !state.is_stopping);
            // Not at each commit.
            let waited = self.changed.wait_timeout_while(guard, INTERVAL, |state| !state.is_stopping);
            let (mut guard, _) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
            // After a failed sync, nobody knows what of the log is on the disk.
            if guard.is_stopping || guard.failure.is_some() {
                return;
            }
            guard.is_longer = false;
            drop(guard);
            let made = Wal::checkpoint(db, "NOOP").and_then(|wal| {
                let mut state = self.lock();
                (state.wal_bytes, state.is_checkpointing) = (wal.left(), wal.left() > CHECKPOINT_AT);
                state.wal_size = wal.size();
                if !state.is_checkpointing {
                    return Ok(wal);
                }
                drop(state);
                Wal::checkpoint(db, "PASSIVE")
            });
            let mut state = self.lock();
            if let Ok(wal) = &made
                && state.is_checkpointing
            {
                (state.wal_bytes, state.wants_checkpoint) = (wal.left(), true);
            }
            state.is_checkpointing = false;
            drop(state);
            self.changed.notify_all();
            match made {
                Ok(wal) if wal.size() > warned_at => {
                    warned_at = wal.size().saturating_mul(2);
                    let mib = wal.size() >> 20;
                    tracing::warn!(
                        mib,
                        "a reader, such as a backup, holds the write-ahead log, which grows until it ends"
                    );
                }
                Ok(wal) if wal.size() < CHECKPOINT_AT => warned_at = HELD,
                Ok(_) => {}
                Err(error) => self.checkpoint_failed(&error),
            }
        }
    }
}

/// What `PRAGMA wal_checkpoint` says.
#[derive(Clone, Copy, Debug)]
struct Wal {
    /// Pages in the write-ahead log.
    pages: u64,
    /// Of these, how many are in the database file too.
    copied: u64,
}

impl Wal {
    fn checkpoint(db: &Connection, mode: &str) -> rusqlite::Result<Self> {
        let mut statement = db.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
        statement.query_row((), |row| {
            // -1: there is no write-ahead log.
            let pages = |pages: i64| u64::try_from(pages).unwrap_or(0);
            Ok(Self { pages: pages(row.get(1)?), copied: pages(row.get(2)?) })
        })
    }

    /// The bytes that are in use. A log that was copied whole is begun anew by the next write.
    fn left(self) -> u64 {
        if self.copied >= self.pages { 0 } else { self.size() }
    }

    /// The bytes of the log.
    fn size(self) -> u64 {
        self.pages.saturating_mul(PAGE)
    }
}

/// A page of 4 KiB, and the header of its frame.
const PAGE: u64 = 4096 + 24;

/// From the first commit that is not synced until the sync begins.
const INTERVAL: Duration = Duration::from_millis(50);

/// A checkpoint copies at least this: a page that was written often is copied once.
const CHECKPOINT_AT: u64 = 16 << 20;

/// With a longer log, the writer waits for the checkpoint.
const WAIT_AT: u64 = 256 << 20;

/// With a longer log, a checkpoint waits for the readers that hold it.
const WAIT_FOR_READERS_AT: u64 = 64 << 20;

/// For this time at most, because publishers wait meanwhile.
const WAIT_FOR_READERS: Duration = Duration::from_millis(100);

/// And that often at most: a backup holds the log for minutes.
const WAIT_EVERY: Duration = Duration::from_secs(5);

/// A log of this size after a checkpoint is held by a reader.
const HELD: u64 = 512 << 20;

/// A sync that takes longer breaks the promise of 100 ms.
const SLOW: Duration = Duration::from_millis(50);

const WARN_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
