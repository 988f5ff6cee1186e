//! Creations: logs with settings, and forks.
//!
//! A fork copies nothing. It has the messages up to its `base` in its source, which keeps their
//! rows for it: see [`fold`](crate::fold).

use std::sync::Arc;

use rusqlite::OptionalExtension;
use tidewire_channel::{Epoch, Lineage};
use tidewire_store::{
    Append, Batch, ChannelName, ChannelSettings, Create, CreateError, Created, Fork, LogInfo, Message,
};

use crate::append::{expire, fit, is_too_large};
use crate::crashes::random_epoch;
use crate::index::Index;
use crate::kept::{Entries, Kept};
use crate::log::{Log, Origin, Slot};
use crate::row;
use crate::seen::{Seen, SeenState};
use crate::writer::Writer;

/// What a fork begins with.
struct Start {
    source: Slot,
    past: Vec<(Epoch, u64)>,
    head: u64,
    kept: Kept,
    last_time_ms: u64,
    /// Its first own message, if it begins inside of one.
    part: Option<Message>,
}

impl Writer {
    /// Creates a log.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn create(
        &mut self,
        name: &ChannelName,
        create: &Create,
    ) -> rusqlite::Result<Result<Created, CreateError>> {
        if let Some(log) = self.logs.find(name).and_then(|slot| self.logs.get(slot)) {
            return Ok(existing(log, create));
        }
        let mut log = self.new_log(name, create.settings.clone(), create.now_ms);
        log.is_created = true;
        let mut part = None;
        if let Some(fork) = &create.fork {
            let start = match self.share(fork, create.now_ms)? {
                Ok(start) => start,
                Err(error) => return Ok(Err(error)),
            };
            part = self.begin_with(&mut log, start, fork)?;
        }
        let weight = create.messages.weight().saturating_add(part.as_ref().map_or(0, Message::weight));
        let room = (self.options.limits.max_kept_bytes as u64).saturating_sub(self.kept_for_good);
        if log.keeps_all() && weight as u64 > room || is_too_large(&create.messages) {
            return Ok(Err(CreateError::NoRoom));
        }
        if self.logs.len() >= self.options.limits.max_logs {
            return Ok(Err(CreateError::TooManyLogs(self.options.limits.max_logs)));
        }
        let slot = self.add(log)?;
        let part = part.map_or(Batch::None, |part| Batch::One(Arc::new(part)));
        for (messages, close) in [(part, false), (create.messages.clone(), create.close)] {
            if messages.as_slice().is_empty() && !close {
                continue;
            }
            let mut append = Append::new(create.now_ms, messages, create.settings.clone());
            append.close = close;
            // A new log refuses nothing of this.
            if self.append_to(slot, &append)?.is_err() {
                return Ok(Err(CreateError::NoRoom));
            }
        }
        let info = self.logs.get(slot).map(Log::info);
        Ok(info.map(|info| Created::new(true, info)).ok_or(CreateError::NoRoom))
    }

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

    /// Lets a new log begin with the messages of its source. Returns its first own message.
    fn begin_with(&mut self, log: &mut Log, start: Start, fork: &Fork) -> rusqlite::Result<Option<Message>> {
        let Some(source) = self.logs.get(start.source) else { return Ok(None) };
        let lineage = lineage(&start.past, log.epoch);
        (log.past_end, log.head, log.folded) = (past_end(&lineage), start.head, start.head);
        log.kept = start.kept;
        log.last_time_ms = start.last_time_ms;
        let origin = Origin { fork: fork.clone(), source: start.source, id: source.id, base: start.head };
        log.origin = Some(Box::new(origin));
        {
            let mut state = log.seen.lock();
            state.info.lineage = lineage;
            state.index = Index::new(start.head);
            state.source = Some((source.seen.clone(), start.head));
        }
        expire(&self.db, log)?;
        fit(&self.db, log)?;
        Ok(start.part)
    }

    /// What a fork begins with. The source shows all of its messages: the group begins with this.
    fn share(&mut self, fork: &Fork, now_ms: u64) -> rusqlite::Result<Result<Start, CreateError>> {
        let Some(slot) = self.logs.find(&fork.source) else { return Ok(Err(CreateError::SourceAbsent)) };
        let Some(source) = self.logs.touch(slot) else { return Ok(Err(CreateError::SourceAbsent)) };
        if source.is_deleted {
            return Ok(Err(CreateError::SourceDeleted));
        }
        source.clock_ms = source.clock_ms.max(now_ms);
        expire(&self.db, source)?;
        let lineage = source.lineage();
        let is_position = (fork.at.seq() <= source.head && lineage.at(fork.at.seq()) == fork.at)
            || source.end() == Some(fork.at);
        if !is_position || fork.at.seq() < source.kept.earliest {
            return Ok(Err(CreateError::ForkPosition));
        }
        // The end of a closed log is after its head.
        let mut head = fork.at.seq().min(source.head);
        let entries = Entries { db: &self.db, seen: &source.seen, fresh: &source.fresh };
        let message = |number: u64| -> rusqlite::Result<Option<Message>> {
            if number <= source.kept.earliest || number > source.head {
                return Ok(None);
            }
            let Some(id) = entries.id(number)? else { return Ok(None) };
            let sql = format!("SELECT {} FROM message WHERE id = ?", row::COLUMNS);
            let mut statement = self.db.prepare_cached(&sql)?;
            let row = statement.query_row([id.cast_signed()], |row| Ok(row::read(row))).optional()?;
            Ok(row.flatten().map(|row| row.message))
        };
        let mut part = None;
        if fork.bytes > 0 {
            let Some(next) = message(head.saturating_add(1))? else {
                return Ok(Err(CreateError::ForkBytes));
            };
            match fork.bytes.cmp(&next.data().len()) {
                std::cmp::Ordering::Less => part = Some(next.cut(fork.bytes)),
                std::cmp::Ordering::Equal => head = head.saturating_add(1),
                std::cmp::Ordering::Greater => return Ok(Err(CreateError::ForkBytes)),
            }
        }
        let at = lineage.at(head);
        let past = lineage.past().iter().copied().filter(|&(_, end)| end < head);
        let past = past.chain([(at.epoch(), head)]).collect();
        let last_time_ms = if head == source.head {
            source.last_time_ms
        } else {
            let neighbour = match message(head)? {
                Some(last) => Some(last),
                None => message(head.saturating_add(1))?,
            };
            neighbour.map_or(source.last_time_ms, |message| message.time_ms())
        };
        let mut kept = source.kept.without_front();
        if head < source.head {
            kept.bytes = entries.bytes(kept.earliest, head)?;
        }
        if kept.earliest >= head {
            kept = Kept::new(head);
        }
        Ok(Ok(Start { source: slot, past, head, kept, last_time_ms, part }))
    }
}

/// The result of a creation of a log that exists.
fn existing(log: &Log, create: &Create) -> Result<Created, CreateError> {
    if log.is_deleted {
        return Err(CreateError::Deleted);
    }
    if *log.settings != *create.settings
        || log.origin.as_deref().map(|origin| &origin.fork) != create.fork.as_ref()
    {
        return Err(CreateError::Exists);
    }
    Ok(Created::new(false, log.info()))
}

/// The last number that has a past epoch; 0 if there is none.
pub(crate) fn past_end(lineage: &Lineage) -> u64 {
    lineage.past().last().map_or(0, |&(_, end)| end)
}

/// The lineage of a new log. Its epoch is random, and the ends increase.
fn lineage(past: &[(Epoch, u64)], current: Epoch) -> Lineage {
    Lineage::from_parts(past, current).unwrap_or_else(|| {
        // Two random epochs are the same once in 2^64 logs.
        Lineage::new(current)
    })
}
