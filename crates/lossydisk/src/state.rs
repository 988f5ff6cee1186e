//! What the file system and its controls share.

use crate::loss::{Dice, Loss};
use crate::tree::{Result, Tree};
use fuser::Errno;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What programs did to a disk since it was mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Successful writes.
    pub writes: u64,
    /// The bytes of these writes.
    pub bytes: u64,
    /// Successful fsync and fdatasync calls, of files and folders.
    pub syncs: u64,
    /// Syncs that failed, because [`fail_syncs`](crate::LossyDisk::fail_syncs) or a power cut
    /// wanted it.
    pub failed_syncs: u64,
    /// Writes that found no room.
    pub full_writes: u64,
}

/// A disk.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) tree: Tree,
    /// Whether it has power.
    pub(crate) on: bool,
    /// How many power cuts there were. Handles from before a cut are of an earlier life.
    pub(crate) life: u64,
    /// How many handles of earlier lives are open.
    pub(crate) stale: u64,
    pub(crate) fail_syncs: bool,
    pub(crate) slow_syncs: Duration,
    pub(crate) counters: Counters,
}

/// A disk that threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Wakes those who wait for closed handles, and slow syncs.
    changed: Condvar,
}

impl Shared {
    pub(crate) fn new(limit: u64) -> Self {
        let state = State {
            tree: Tree::new(limit),
            on: true,
            life: 1,
            stale: 0,
            fail_syncs: false,
            slow_syncs: Duration::ZERO,
            counters: Counters::default(),
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all threads that wait in [`Shared::wait`].
    pub(crate) fn notify(&self) {
        self.changed.notify_all();
    }

    /// Waits as long as `more` says so, and at most until `end`.
    pub(crate) fn wait(&self, end: Instant, mut more: impl FnMut(&State) -> bool) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !more(&state) {
                return state;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    /// Cuts the power. Returns the numbers that files had.
    pub(crate) fn cut(&mut self, loss: Loss) -> Vec<u64> {
        let numbers = self.tree.numbers();
        self.stale += self.tree.opens();
        let tree = std::mem::replace(&mut self.tree, Tree::new(0));
        self.tree = tree.cut(&mut Dice::new(loss));
        self.on = false;
        self.life += 1;
        numbers
    }

    /// Fails without power, and for a handle of an earlier life.
    pub(crate) fn check(&self, life: Option<u64>) -> Result {
        if self.on && life.is_none_or(|life| life == self.life) { Ok(()) } else { Err(Errno::EIO) }
    }

    pub(crate) fn write(&mut self, life: u64, number: u64, offset: u64, data: &[u8]) -> Result<u32> {
        self.check(Some(life))?;
        let written = self.tree.write(number, offset, data);
        // A short write is followed by one that fails.
        if matches!(written, Err(error) if error.code() == Errno::ENOSPC.code()) {
            self.counters.full_writes += 1;
        }
        let written = written?;
        self.counters.writes += 1;
        self.counters.bytes += written as u64;
        Ok(written as u32)
    }

    /// The point up to which a sync that begins now must reach.
    pub(crate) fn sync_point(&mut self, life: u64, number: u64) -> Result<u64> {
        self.check(Some(life))?;
        self.tree.point(number)
    }

    /// Ends a sync of a file.
    pub(crate) fn sync_file(&mut self, life: u64, number: u64, point: u64) -> Result {
        let done = match self.check(Some(life)) {
            Ok(()) if self.fail_syncs => self.tree.fail_sync(number).and(Err(Errno::EIO)),
            Ok(()) => self.tree.sync_file(number, point),
            off => off,
        };
        self.count(done)
    }

    /// Ends a sync of a folder.
    pub(crate) fn sync_folder(&mut self, life: u64, number: u64) -> Result {
        let done = match self.check(Some(life)) {
            Ok(()) if self.fail_syncs => Err(Errno::EIO),
            Ok(()) => {
                self.tree.sync_folder(number);
                Ok(())
            }
            off => off,
        };
        self.count(done)
    }

    fn count(&mut self, done: Result) -> Result {
        match done {
            Ok(()) => self.counters.syncs += 1,
            Err(_) => self.counters.failed_syncs += 1,
        }
        done
    }

    /// Closes a handle of this or an earlier life.
    pub(crate) fn close(&mut self, life: u64, number: u64) {
        if life == self.life {
            self.tree.closed(number);
        } else {
            self.stale = self.stale.saturating_sub(1);
        }
    }
}
