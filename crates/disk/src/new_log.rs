//! New logs.

use std::sync::Arc;

use tidewire_channel::{Epoch, Lineage};
use tidewire_store::{ChannelName, ChannelSettings, LogInfo};

use crate::crashes::random_epoch;
use crate::index::Index;
use crate::kept::Kept;
use crate::log::{Log, Slot};
use crate::seen::{Seen, SeenState};
use crate::state::Writer;

impl Writer {
    /// A log that is in no table yet. It begins where the name is.
    pub(crate) fn new_log(&self, name: &ChannelName, settings: Arc<ChannelSettings>, now_ms: u64) -> Log {
        let start = self.shared.names().start(name);
        let lineage = lineage(&[(start.epoch(), start.seq())], random_epoch());
        let state = SeenState {
            info: LogInfo::new(lineage.clone(), settings.clone()),
            log: self.next_log,
            index: Index::new(0),
            source: None,
            is_deleted: false,
            oldest_ms: None,
        };
        Log {
            id: self.next_log,
            name: Some(name.clone()),
            seen: Arc::new(Seen::new(state)),
            epoch: lineage.current(),
            past_end: past_end(&lineage),
            head: 0,
            folded: 0,
            tail_bytes: 0,
            kept: Kept::new(0),
            fresh: Vec::new(),
            settings,
            writers: None,
            stream_seq: None,
            origin: None,
            forks: Vec::new(),
            last_time_ms: 0,
            clock_ms: now_ms,
            used_ms: now_ms,
            saved_used_ms: 0,
            crashes: self.crashes,
            is_closed: false,
            is_created: false,
            is_open: false,
            is_deleted: false,
            upload_open: false,
            is_new: true,
            is_changed: true,
            is_renamed: false,
            is_touched: false,
            is_to_fold: false,
            has_new_producers: false,
        }
    }

    /// Adds a new log to the table. Its row is written at the end of the group.
    pub(crate) fn add(&mut self, log: Log) -> rusqlite::Result<Slot> {
        self.begin()?;
        self.next_log = self.next_log.saturating_add(1);
        if let Some(name) = &log.name {
            self.shared.names().reuse(&self.db, name)?;
        }
        Ok(self.logs.insert_new(log))
    }
}

/// The last number that has a past epoch; 0 if there is none.
pub(crate) fn past_end(lineage: &Lineage) -> u64 {
    lineage.past().last().map_or(0, |&(_, end)| end)
}

/// The lineage of a new log. Its epoch is random, and the ends increase.
pub(crate) fn lineage(past: &[(Epoch, u64)], current: Epoch) -> Lineage {
    Lineage::from_parts(past, current).unwrap_or_else(|| {
        // Two random epochs are the same once in 2^64 logs.
        Lineage::new(current)
    })
}
