//! The thread that changes the database.
//!
//! ```text
//!   queue ──► group: all that waits, at most 4,096 requests or 8 MiB
//!               one transaction ──► commit ──► show each touched log to the readers ──► answers
//!                     │ failed
//!                     └──► the logs become what they were ──► answers: nothing was done
//!   between two groups: a piece of a fold, of the drop of a log, of the deletion of dead messages
//! ```
//!
//! No lock is held while answers run, because they run code of the hub.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewire_store::{Failed, Opened, Swept};

use crate::error::Cause;
use crate::log::Log;
use crate::queue::Stop;
use crate::request::{Failure, Reply, Request};
use crate::state::{Broken, Health, Writer};
use crate::steps::Step;

/// Requests of one group.
const GROUP: usize = 4_096;

/// Bytes of messages of one group.
const GROUP_BYTES: usize = 8 << 20;

/// Between two steps of the search for dead messages.
const SCRUB_PAUSE: Duration = Duration::from_millis(2);

/// How long a stop looks for dead messages.
const SCRUB_AT_STOP: Duration = Duration::from_secs(2);

/// Rows that a group deletes for each that it adds, so that deletion keeps up with publishing.
const DELETES_A_MESSAGE: u64 = 2;

impl Writer {
    /// Works until the queue stops it. Returns how it was stopped, and itself.
    pub(crate) fn run(mut self) -> (Stop, Self) {
        let mut taken = Vec::new();
        loop {
            let patience = if self.inbox.is_empty() { self.patience() } else { Some(Duration::ZERO) };
            let stop = self.queue.take(&mut taken, patience);
            self.inbox.extend(taken.drain(..));
            if stop == Some(Stop::Abandon) {
                return (Stop::Abandon, self);
            }
            self.look_at_disk();
            if !self.inbox.is_empty() {
                self.group();
            } else if stop.is_some() {
                return (Stop::Close, self);
            }
            self.maintain();
        }
    }

    /// How long the writer may sleep if there is no request. `None`: until there is one.
    fn patience(&self) -> Option<Duration> {
        match self.health {
            Health::Stopped(_) => None,
            Health::Full(_) => self.has_upkeep().then_some(self.tuning.full_retry),
            Health::Good if self.has_upkeep() => Some(Duration::ZERO),
            Health::Good => self.scrub.is_some().then_some(SCRUB_PAUSE),
        }
    }

    /// What the threads that sync and make checkpoints have to say.
    fn look_at_disk(&mut self) {
        if let Some(what) = self.sync.failure() {
            // The thread has logged it.
            self.refuse_all(&what);
            return;
        }
        if self.sync.wants_checkpoint() {
            self.sync.finish_checkpoint(&self.db);
        }
        if !matches!(self.health, Health::Stopped(_)) {
            self.sync.wait_for_room();
        }
    }

    /// Carries out a group of the requests that wait, and answers them.
    fn group(&mut self) {
        let (mut count, mut weight) = (0_usize, 0_usize);
        let kept_for_good = self.kept_for_good;
        let first_id = self.next_id;
        let refuses = self.refuses();
        while count < GROUP && weight < GROUP_BYTES {
            let Some(request) = self.inbox.pop_front() else { break };
            // A fork looks at the messages of its source, which are shown after the commit.
            let is_fork = matches!(&request, Request::Create { create, .. } if create.fork.is_some());
            if is_fork && count > 0 {
                self.inbox.push_front(request);
                break;
            }
            count = count.saturating_add(1);
            weight = weight.saturating_add(request.weight());
            if let Some(failure) = &refuses
                && !(matches!(failure, Failure::Full) && matches!(request, Request::Delete { .. }))
            {
                self.refuse(request, failure);
                continue;
            }
            if let Err(error) = self.carry_out_request(request) {
                self.kept_for_good = kept_for_good;
                return self.fail(error.into());
            }
        }
        if let Err(broken) = self.commit(self.next_id.saturating_sub(first_id)) {
            self.kept_for_good = kept_for_good;
            return self.fail(broken);
        }
        self.answer_all(None);
    }

    /// Carries out a request in the open transaction. Its answer waits for the commit.
    fn carry_out_request(&mut self, request: Request) -> rusqlite::Result<()> {
        let (reply, result) = match request {
            Request::Open { name, now_ms, respond } => match self.open(&name, now_ms) {
                Ok(opened) => (Reply::Open(name, now_ms, respond, opened), Ok(())),
                Err(error) => (Reply::Open(name, now_ms, respond, Opened::Deleted), Err(error)),
            },
            Request::Release { name, now_ms } => return self.release(&name, now_ms),
            Request::Append { name, append, respond } => match self.append(&name, &append) {
                Ok(result) => (Reply::Append(respond, result.map_err(Into::into)), Ok(())),
                Err(error) => (Reply::Append(respond, Err(Failure::Full.append())), Err(error)),
            },
            Request::Create { name, create, respond } => match self.create(&name, &create) {
                Ok(result) => (Reply::Create(respond, result), Ok(())),
                Err(error) => (Reply::Create(respond, Err(Failure::Full.create())), Err(error)),
            },
            Request::Delete { name, now_ms, respond } => match self.delete(&name, now_ms) {
                Ok(deleted) => (Reply::Delete(respond, Ok(deleted)), Ok(())),
                Err(error) => (Reply::Delete(respond, Ok(false)), Err(error)),
            },
            Request::Touch { name, now_ms, respond } => {
                (Reply::Touch(respond, Ok(())), self.touch(&name, now_ms))
            }
            Request::Sweep { now_ms, respond } => match self.sweep(now_ms) {
                Ok(swept) => (Reply::Sweep(respond, Ok(swept)), Ok(())),
                Err(error) => (Reply::Sweep(respond, Ok(Swept::default())), Err(error)),
            },
            Request::Read { request, respond } => {
                let slot = self.logs.find(&request.name);
                let now_ms = request.now_ms;
                let result = slot.map_or(Ok(0), |slot| self.expire(slot, now_ms));
                (Reply::Read(request, respond), result.map(drop))
            }
        };
        self.replies.push(reply);
        result
    }

    /// Commits a group that has added this number of messages, and shows its logs to the readers.
    fn commit(&mut self, added: u64) -> Result<(), Broken> {
        self.write_messages()?;
        self.write_rows()?;
        if self.is_in_transaction {
            let max = usize::try_from(added.saturating_mul(DELETES_A_MESSAGE)).unwrap_or(usize::MAX);
            let max = max.min(self.tuning.step_deletes);
            if max > 0 && !self.graveyard.is_empty() {
                self.delete_dead(max)?;
                self.commit_open()?;
                self.note_deleted(max);
            } else {
                self.commit_open()?;
            }
        }
        self.show();
        Ok(())
    }

    /// Writes the rows of logs that have changed.
    fn write_rows(&mut self) -> rusqlite::Result<()> {
        for index in 0..self.logs.touched() {
            let Some(log) = self.logs.touched_at(index) else { continue };
            if !log.is_changed {
                continue;
            }
            self.begin()?;
            self.steps.at(Step::Log)?;
            let Some(log) = self.logs.touched_at(index) else { continue };
            let mut row = log.row();
            log.saved_used_ms = log.used_ms;
            if log.is_new {
                row.insert(&self.db)?;
            } else if log.is_renamed {
                row.drop_name(&self.db)?;
            } else {
                row.update(&self.db)?;
            }
        }
        Ok(())
    }

    /// Shows what is committed to the readers.
    pub(crate) fn show(&mut self) {
        let (mut named, mut gone) = (Vec::new(), Vec::new());
        let (dropping, shared) = (&mut self.dropping, &self.shared);
        let mut has_names = false;
        self.logs.committed(|slot, log, name_before| {
            show_log(log);
            match (&log.name, name_before) {
                (Some(name), None) => named.push((name.clone(), log.seen.clone())),
                (None, before) if before.is_some() || log.is_new => {
                    dropping.push_back(slot);
                    has_names = true;
                    gone.extend(before.map(|name| (name, log.seen.clone())));
                }
                (Some(_), Some(_)) | (None, _) => {}
            }
        });
        if named.is_empty() && !has_names {
            shared.names().commit();
        } else {
            shared.change(|logs, names| {
                names.commit();
                for (name, seen) in gone {
                    if logs.get(&name).is_some_and(|there| Arc::ptr_eq(there, &seen)) {
                        logs.remove(&name);
                    }
                }
                logs.extend(named);
            });
        }
    }

    /// A group has failed. All that it has changed in memory is taken back.
    fn fail(&mut self, broken: Broken) {
        let failure = self.roll_back(broken);
        self.answer_all(Some(&failure));
    }

    fn roll_back(&mut self, broken: Broken) -> Failure {
        let Broken { error, is_unknown } = broken;
        if !self.db.is_autocommit() {
            // Some errors have rolled it back already.
            drop(self.db.prepare_cached("ROLLBACK").and_then(|mut rollback| rollback.execute(())));
        }
        self.is_in_transaction = false;
        self.unwritten.clear();
        let reread = self.logs.undo();
        self.shared.names().roll_back();
        let failure = match Cause::of(&error) {
            Cause::Full => {
                if matches!(self.health, Health::Good) {
                    tracing::error!(%error, "the disk is full: publishes are refused until there is room");
                }
                self.health = Health::Full(Instant::now());
                // If all of the write-ahead log gets into the database, it begins anew.
                self.sync.finish_checkpoint(&self.db);
                Failure::Full
            }
            Cause::Busy => Failure::Failed(Failed::clean(format!(
                "another program holds the database: {error}; end that program"
            ))),
            _ => {
                self.stop(&format!("the database has failed: {error}"));
                let detail = format!("the database has failed: {error}");
                let failed = if is_unknown { Failed::unknown(detail) } else { Failed::clean(detail) };
                return Failure::Failed(failed);
            }
        };
        if let Err(error) = self.reread_writers(&reread) {
            self.stop(&format!("the database cannot be read: {error}"));
        }
        failure
    }

    /// Nothing is written any more.
    fn stop(&mut self, what: &str) {
        if matches!(self.health, Health::Stopped(_)) {
            return;
        }
        tracing::error!(
            "{what}; nothing more is written: look for errors of the disk, then restart the server"
        );
        self.refuse_all(what);
    }

    fn refuse_all(&mut self, what: &str) {
        if !matches!(self.health, Health::Stopped(_)) {
            self.health = Health::Stopped(Failed::clean(format!("{what}; restart the server")));
        }
    }

    /// Does a piece of the work between two groups.
    fn maintain(&mut self) {
        let is_good = match self.health {
            Health::Good => true,
            Health::Full(at) => at.elapsed() >= self.tuning.full_retry,
            Health::Stopped(_) => false,
        };
        if !is_good {
            return;
        }
        if !self.has_upkeep() {
            if self.inbox.is_empty() {
                self.scrub_step();
            }
            return;
        }
        if let Err(error) = self.upkeep() {
            self.roll_back(error.into());
        }
    }

    /// Folds all, and deletes what is dead. For a stop in order.
    ///
    /// # Errors
    /// What has failed.
    pub(crate) fn finish(&mut self) -> Result<(), Failed> {
        if let Health::Stopped(failed) = &self.health {
            return Err(failed.clone());
        }
        let begun = Instant::now();
        while self.scrub.is_some() && begun.elapsed() < SCRUB_AT_STOP {
            self.scrub_step();
        }
        // A long log that is being dropped goes on at the next start.
        for slot in std::mem::take(&mut self.dropping) {
            let Some(log) = self.logs.get(slot) else { continue };
            let mut state = log.seen.lock();
            let (_, tail) = state.index.tail();
            self.graveyard.add(tail.iter().map(|entry| entry.id));
            state.index.cut_tail(u64::MAX);
        }
        loop {
            if self.folding.is_none() && !self.to_fold.is_empty() {
                self.begin_fold();
            }
            if self.folding.is_none() && self.graveyard.is_empty() && self.buried.is_empty() {
                return Ok(());
            }
            if let Err(error) = self.upkeep() {
                return Err(self.roll_back(error.into()).failed());
            }
        }
    }
}

/// Shows a log to the readers.
pub(crate) fn show_log(log: &mut Log) {
    let (len, oldest_ms) = (log.len(), log.kept.oldest_ms);
    let mut state = log.seen.lock();
    log.fresh.drain(..).for_each(|entry| state.index.push(entry));
    let info = &mut state.info;
    (info.head, info.earliest) = (log.head, log.kept.earliest);
    (info.is_closed, info.upload_open) = (log.is_closed, log.upload_open);
    info.last_time_ms = log.last_time_ms;
    state.is_deleted = log.is_deleted || log.name.is_none();
    // If it is not known, the next read goes through the writer, which finds out.
    state.oldest_ms = (len > 0).then(|| oldest_ms.unwrap_or(0));
}
