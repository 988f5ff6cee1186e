//! What the writer and the readers share: the logs by name, and the names without a log.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tidewire_store::{ChannelName, ReadError};

use crate::names::Names;
use crate::seen::Seen;

/// The logs that have a name, as of the last commit.
pub(crate) type Logs = HashMap<ChannelName, Arc<Seen>>;

/// What the writer changes and the readers see.
///
/// Locks are taken in this order: logs, names. The lock of a [`Seen`] is taken with neither.
pub(crate) struct Shared {
    logs: RwLock<Logs>,
    names: Mutex<Names>,
}

impl Shared {
    pub(crate) fn new(names: Names) -> Self {
        Self { logs: RwLock::default(), names: Mutex::new(names) }
    }

    /// Returns the log of a name, also one that was deleted and lives for its forks.
    pub(crate) fn find(&self, name: &ChannelName) -> Option<Arc<Seen>> {
        self.logs.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Returns the log of a name.
    ///
    /// # Errors
    /// What a reader is told of a name without a log.
    pub(crate) fn find_or_tell(&self, name: &ChannelName, now_ms: u64) -> Result<Arc<Seen>, ReadError> {
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = logs.get(name) {
            return Ok(seen.clone());
        }
        let names = self.names();
        Err(if names.is_deleted(name, now_ms) {
            ReadError::Deleted
        } else {
            ReadError::Absent { start: names.start(name) }
        })
    }

    /// Changes the logs and the names at once, so that no reader sees one without the other.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Logs, &mut Names) -> R) -> R {
        let mut logs = self.logs.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut logs, &mut self.names())
    }

    /// The names alone.
    pub(crate) fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of logs.
    pub(crate) fn len(&self) -> usize {
        self.logs.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("logs", &self.len()).finish_non_exhaustive()
    }
}
