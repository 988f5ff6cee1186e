//! Deletions.
//!
//! ```text
//!   deleted, with forks      keeps its name and what its forks need
//!   deleted, without forks   has no name from now on; its runs go in pieces, then its row:
//!                            see [`fold`](crate::fold)
//! ```

use tidewire_store::ChannelName;

use crate::kept::Kept;
use crate::log::{Log, Slot};
use crate::writer::Writer;

/// How a log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Its readers are told that it was deleted.
    Deleted { now_ms: u64 },
    /// Nothing is lost with it.
    Forgotten,
}

impl Writer {
    /// Deletes the log of a name. Returns whether there was one.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn delete(&mut self, name: &ChannelName, now_ms: u64) -> rusqlite::Result<bool> {
        let Some(slot) = self.logs.find(name) else { return Ok(false) };
        self.delete_if(slot, now_ms, |_| true)
    }

    /// Deletes a log if `is_right` says so. Returns whether it was deleted.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn delete_if(
        &mut self,
        slot: Slot,
        now_ms: u64,
        is_right: impl FnOnce(&Log) -> bool,
    ) -> rusqlite::Result<bool> {
        let Some(log) = self.logs.get(slot).filter(|log| !log.is_deleted && is_right(log)) else {
            return Ok(false);
        };
        if log.forks.is_empty() {
            self.leave(slot, Leave::Deleted { now_ms })?;
            return Ok(true);
        }
        self.begin()?;
        let Some(log) = self.logs.touch(slot) else { return Ok(false) };
        (log.is_deleted, log.is_changed) = (true, true);
        log.kept = Kept::new(log.head);
        self.mark_to_fold(slot);
        Ok(true)
    }

    /// Frees the name of a log, and lets its messages go in pieces. If its source was deleted and
    /// this was its last fork, the source goes too, and so on up the chain.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn leave(&mut self, slot: Slot, leave: Leave) -> rusqlite::Result<()> {
        self.begin()?;
        let (mut slot, mut leave) = (slot, leave);
        loop {
            let Some(name) = self.logs.unname(slot) else { return Ok(()) };
            match leave {
                Leave::Deleted { now_ms } => self.shared.names().delete(&self.db, &name, now_ms)?,
                Leave::Forgotten => self.shared.names().forget(&self.db, &name)?,
            }
            let Some(log) = self.logs.touch(slot) else { return Ok(()) };
            if log.keeps_all() {
                self.kept_for_good = self.kept_for_good.saturating_sub(log.own_bytes());
            }
            log.kept = Kept::new(log.head);
            let Some(source) = log.origin.as_deref().map(|origin| origin.source) else { return Ok(()) };
            self.mark_to_fold(source);
            let Some(log) = self.logs.touch(source) else { return Ok(()) };
            log.forks.retain(|fork| *fork != slot);
            if !log.forks.is_empty() || !log.is_deleted {
                return Ok(());
            }
            (slot, leave) = (source, Leave::Forgotten);
        }
    }
}
