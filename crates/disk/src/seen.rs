//! What readers may see of a log.
//!
//! The writer changes it after each commit, so a reader never sees what a power cut could take back
//! in mode `always`. A reader holds its lock for as long as it takes to find the rows of a page.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidewire_store::LogInfo;

use crate::index::{Index, Pieces};

/// What readers may see of a log.
///
/// A thread holds the lock of one log at most, so the writer and the readers of forks never wait
/// for each other in a circle.
pub(crate) struct Seen(Mutex<SeenState>);

/// The state of a log as of the last commit.
pub(crate) struct SeenState {
    /// What the store tells of the log.
    pub(crate) info: LogInfo,
    /// The id of the log.
    pub(crate) log: i64,
    /// Where its own messages are.
    pub(crate) index: Index,
    /// The log that has the messages up to a number, if this one is a fork.
    pub(crate) source: Option<(Arc<Seen>, u64)>,
    /// Whether it was deleted, and lives for its forks.
    pub(crate) is_deleted: bool,
    /// When the first kept message was appended, if there is one.
    pub(crate) oldest_ms: Option<u64>,
}

impl Seen {
    pub(crate) fn new(state: SeenState) -> Self {
        Self(Mutex::new(state))
    }

    /// No code of others runs while the lock is held, so the data behind a poisoned lock is good.
    pub(crate) fn lock(&self) -> MutexGuard<'_, SeenState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds where the messages from one number to another are, until the pieces are full.
    ///
    /// Forks of forks may be deep, so this is a loop. It takes the lock of one log after the other.
    /// Meanwhile, the writer may evict what is collected already.
    pub(crate) fn collect(self: &Arc<Self>, from: u64, to: u64, pieces: &mut Pieces) {
        // The logs that have some of the messages, each with the first number that is its own. The
        // last one has the first message.
        let (mut levels, mut seen) = (Vec::new(), self.clone());
        loop {
            let source = seen.lock().source.clone();
            let Some((source, base)) = source.filter(|&(_, base)| from <= base) else { break };
            if base < to {
                levels.push((seen, base.saturating_add(1)));
            }
            seen = source;
        }
        levels.push((seen, from));
        while let Some((seen, first)) = levels.pop()
            && !pieces.is_full()
        {
            let last = levels.last().map_or(to, |&(_, next)| to.min(next.saturating_sub(1)));
            let state = seen.lock();
            state.index.collect(state.log, first.max(from), last, pieces);
        }
    }

    /// The state, without a lock, for whoever alone has it.
    pub(crate) fn get_mut(&mut self) -> &mut SeenState {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SeenState {
    /// Whether the oldest kept message is over its age. Then a read goes through the writer first,
    /// which evicts it.
    pub(crate) fn is_over_age(&self, now_ms: u64) -> bool {
        let max_age_ms = self.info.settings.retain.retention().max_age_ms;
        let (Some(max_age_ms), Some(oldest_ms)) = (max_age_ms, self.oldest_ms) else { return false };
        now_ms.saturating_sub(oldest_ms) >= max_age_ms
    }
}

impl Drop for Seen {
    /// Forks of forks may be deep. The drop of each would drop the next inside of its own, and so
    /// overflow the stack. So a loop drops them.
    fn drop(&mut self) {
        let mut source = self.get_mut().source.take();
        while let Some((seen, _)) = source {
            source = Arc::into_inner(seen).and_then(|mut seen| seen.get_mut().source.take());
        }
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Seen").field("log", &state.log).field("info", &state.info).finish_non_exhaustive()
    }
}
