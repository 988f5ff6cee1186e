//! The state of the writer from what the start has loaded.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use rusqlite::Connection;
use tidewire_store::{Fork, LogInfo};

use crate::crashes::Crashes;
use crate::graveyard::Graveyard;
use crate::index::Place;
use crate::kept::Kept;
use crate::load::LoadedLog;
use crate::log::{Log, Logs, Origin, Slot, new_writers};
use crate::new_log::past_end;
use crate::options::DiskOptions;
use crate::queue::Queue;
use crate::reads::ReadPool;
use crate::reread::remember;
use crate::seen::{Seen, SeenState};
use crate::shared::Shared;
use crate::state::{Health, Writer};
use crate::steps::Steps;
use crate::sync::SyncState;
use crate::upkeep::{Scrub, Tuning, Unfolded};
use crate::writer::show_log;

/// What a writer works with.
pub(crate) struct Parts {
    pub(crate) db: Connection,
    pub(crate) options: DiskOptions,
    pub(crate) tuning: Tuning,
    pub(crate) steps: Steps,
    pub(crate) shared: Arc<Shared>,
    pub(crate) reads: Arc<ReadPool>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) sync: Arc<SyncState>,
    pub(crate) crashes: Crashes,
    /// Whether the last stop was not in order.
    pub(crate) is_crash: bool,
    pub(crate) next_id: u64,
    pub(crate) next_log: i64,
}

impl Writer {
    /// A writer that goes on with these logs. Folds their tails, and shows them to the readers.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn restore(parts: Parts, loaded: Vec<LoadedLog>) -> rusqlite::Result<Self> {
        let mut writer = Self {
            db: parts.db,
            options: parts.options,
            tuning: parts.tuning,
            steps: parts.steps,
            shared: parts.shared,
            reads: parts.reads,
            queue: parts.queue,
            sync: parts.sync,
            logs: Logs::default(),
            next_id: parts.next_id,
            next_log: parts.next_log,
            crashes: parts.crashes.last(),
            kept_for_good: 0,
            has_keys: true,
            unfolded: Unfolded::default(),
            evicted: 0,
            to_fold: Vec::new(),
            folding: None,
            graveyard: Graveyard::default(),
            dropping: VecDeque::new(),
            buried: Vec::new(),
            scrub: None,
            swept_fold_ms: 0,
            must_fold_soon: false,
            sweep_at: 0,
            health: Health::Good,
            is_in_transaction: false,
            written: 0,
            inbox: VecDeque::new(),
            replies: Vec::new(),
            unwritten: Vec::new(),
        };
        let mut slots: HashMap<i64, Slot> = HashMap::with_capacity(loaded.len());
        let mut named = Vec::with_capacity(loaded.len());
        for log in loaded {
            let id = log.row.id;
            let source = log.row.source.and_then(|source| slots.get(&source.log).copied());
            let slot = writer.insert_loaded(log, source);
            slots.insert(id, slot);
            if let Some(log) = writer.logs.get(slot)
                && let Some(name) = &log.name
            {
                named.push((name.clone(), log.seen.clone()));
            }
            writer.fit_loaded(slot)?;
        }
        writer.show();
        writer.shared.change(|logs, _| logs.extend(named));
        if !writer.to_fold.is_empty() {
            writer.begin_fold();
        }
        while writer.folding.is_some() {
            writer.upkeep()?;
        }
        if parts.is_crash {
            writer.scrub = Some(Scrub::new(parts.next_id.saturating_sub(1), slots));
        }
        Ok(writer)
    }

    fn insert_loaded(&mut self, loaded: LoadedLog, source: Option<Slot>) -> Slot {
        let LoadedLog { row, index, kept_bytes, keys, producers } = loaded;
        let head = index.next().saturating_sub(1);
        let mut kept = if row.is_deleted || row.name.is_none() {
            Kept::new(head)
        } else {
            Kept::loaded(row.earliest, kept_bytes)
        };
        // Without this, the first run of each log would be read.
        kept.oldest_ms = row.oldest_ms.filter(|_| kept.earliest < head);
        if let Place::Tail(entry) = index.find(kept.earliest.saturating_add(1)) {
            kept.oldest_ms = Some(entry.appended_ms);
        }
        let tail_bytes =
            index.tail().1.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.size as u64));
        let has_tail = !index.tail().1.is_empty();
        // A log that is being dropped has no source any more.
        let of_source = source.filter(|_| row.name.is_some()).zip(row.source);
        let of_source = of_source.and_then(|(slot, row)| Some((slot, self.logs.get(slot)?, row)));
        let seen_of_source = of_source.as_ref().map(|(_, source, row)| (source.seen.clone(), row.base));
        let origin = of_source.and_then(|(slot, source, row)| {
            let fork = Fork { source: source.name.clone()?, at: row.at, bytes: row.bytes };
            Some(Box::new(Origin { fork, source: slot, id: row.log, base: row.base }))
        });
        let state = SeenState {
            info: LogInfo::new(row.lineage.clone(), row.settings.clone()),
            log: row.id,
            index,
            source: seen_of_source,
            is_deleted: row.is_deleted,
            oldest_ms: None,
        };
        let writers = (!keys.is_empty() || !producers.is_empty()).then(|| {
            let mut writers = Box::new(new_writers(&self.options.limits));
            remember(&mut writers, &keys, &producers);
            writers
        });
        let mut log = Log {
            id: row.id,
            seen: Arc::new(Seen::new(state)),
            epoch: row.lineage.current(),
            past_end: past_end(&row.lineage),
            head,
            folded: row.head,
            tail_bytes,
            kept,
            fresh: Vec::new(),
            settings: row.settings,
            writers,
            stream_seq: row.stream_seq,
            origin,
            forks: Vec::new(),
            last_time_ms: row.last_time_ms,
            clock_ms: row.last_appended_ms,
            used_ms: row.used_ms,
            saved_used_ms: row.used_ms,
            crashes: row.crashes,
            is_closed: row.is_closed,
            is_created: row.is_created,
            is_open: false,
            is_deleted: row.is_deleted,
            upload_open: row.upload_open,
            is_new: false,
            is_changed: false,
            is_renamed: false,
            is_touched: false,
            is_to_fold: false,
            has_new_producers: false,
            name: row.name,
        };
        if log.keeps_all() && log.name.is_some() {
            self.kept_for_good = self.kept_for_good.saturating_add(log.own_bytes());
        }
        show_log(&mut log);
        let source = log.origin.as_deref().map(|origin| origin.source);
        let is_named = log.name.is_some();
        let slot = self.logs.insert(log);
        if let Some(source) = source.and_then(|source| self.logs.get_mut(source)) {
            source.forks.push(slot);
        }
        if !is_named {
            self.dropping.push_back(slot);
        } else if has_tail {
            self.mark_to_fold(slot);
        }
        slot
    }
}
