//! Folding: the messages of the tail get into runs, and what no log needs goes.
//!
//! ```text
//!   tails of all logs: 65,536 messages ──► fold begins: the list of these logs
//!     between two groups: some logs, one transaction
//!        dead runs and dead messages of the tail ──► graveyard
//!        the rest of the tail ──► runs
//!        the row of the log: head, earliest, …
//!     all logs: meta.folded = the newest message when the fold began
//! ```
//!
//! A message is needed by its log, and by forks that have it in this log. A soft-deleted log needs
//! nothing itself.

use rusqlite::params;

use crate::entry::Entry;
use crate::evict::fit;
use crate::index::{RUN, Run, write_run};
use crate::kept::run_entries;
use crate::log::Slot;
use crate::log_row::LogRow;
use crate::meta::Meta;
use crate::once_row::ProducerRow;
use crate::state::Writer;
use crate::steps::Step;
use crate::upkeep::{Folding, Tuning, Unfolded};

/// What a step of a fold has done to a log, before it is committed.
struct Folded {
    slot: Slot,
    /// The newest message of its tail.
    head: u64,
    /// New runs, or the last one with more messages.
    runs: Vec<Run>,
    /// The numbers with which runs that are gone began.
    gone: Vec<u64>,
    /// Messages of the tail before this number are gone.
    live_from: u64,
    graves: Vec<u64>,
    /// Whether there are more dead runs than one step deletes.
    is_cut: bool,
    /// How much work it was, in messages.
    work: usize,
}

/// Logs that cost as much as a message.
const WORK_OF_A_LOG: usize = 8;

impl Writer {
    /// Whether there is work between two groups.
    pub(crate) fn has_upkeep(&self) -> bool {
        self.folding.is_some()
            || self.must_fold()
            || !self.dropping.is_empty()
            || !self.graveyard.is_empty()
            || !self.buried.is_empty()
    }

    fn must_fold(&self) -> bool {
        let Tuning { fold_messages, fold_bytes, .. } = self.tuning;
        let Unfolded { messages, bytes } = self.unfolded;
        messages >= fold_messages
            || bytes >= fold_bytes
            || self.evicted >= fold_messages as u64
            || self.must_fold_soon
    }

    /// Begins a fold of all logs with a tail.
    pub(crate) fn begin_fold(&mut self) {
        (self.unfolded, self.evicted, self.must_fold_soon) = (Unfolded::default(), 0, false);
        let logs = std::mem::take(&mut self.to_fold);
        self.folding = Some(Folding { logs, to: self.next_id.saturating_sub(1) });
    }

    /// Does a piece of the work between two groups, in a transaction of its own.
    ///
    /// # Errors
    /// The database failed, and the transaction is open.
    pub(crate) fn upkeep(&mut self) -> rusqlite::Result<()> {
        if self.folding.is_none() && self.must_fold() {
            self.begin_fold();
        }
        if self.folding.is_some() {
            return self.fold_step();
        }
        if !self.buried.is_empty() {
            return self.bury();
        }
        let is_room = self.graveyard.len() < self.tuning.step_deletes.saturating_mul(16);
        if let Some(slot) = self.dropping.front().copied().filter(|_| is_room) {
            return self.drop_step(slot);
        }
        // Whoever waits does not wait long.
        let max = if self.queue.is_empty() { self.tuning.step_deletes } else { self.tuning.step_messages };
        self.begin()?;
        self.delete_dead(max)?;
        self.commit_alone()?;
        self.note_deleted(max);
        Ok(())
    }

    /// Visits some logs of the fold.
    fn fold_step(&mut self) -> rusqlite::Result<()> {
        let Some(folding) = self.folding.take() else { return Ok(()) };
        let Folding { mut logs, to } = folding;
        let (mut work, mut done, mut left) = (0_usize, Vec::new(), logs.len());
        let result = self.begin().and_then(|()| {
            while work < self.tuning.step_messages && left > 0 {
                left = left.saturating_sub(1);
                let Some(&slot) = logs.get(left) else { break };
                if let Some(folded) = self.fold_log(slot)? {
                    work = work.saturating_add(folded.work);
                    done.push(folded);
                }
                work = work.saturating_add(WORK_OF_A_LOG);
            }
            if left == 0 {
                self.steps.at(Step::Log)?;
                Meta::change(&self.db, |meta| meta.folded = meta.folded.max(to))?;
            }
            self.commit_alone()
        });
        if let Err(error) = result {
            for &slot in logs.get(left..).unwrap_or_default() {
                if let Some(log) = self.logs.get_mut(slot) {
                    log.is_to_fold = true;
                }
            }
            self.folding = Some(Folding { logs, to });
            return Err(error);
        }
        logs.truncate(left);
        if left > 0 {
            self.folding = Some(Folding { logs, to });
        }
        done.into_iter().for_each(|folded| self.show_folded(folded));
        Ok(())
    }

    /// Writes the tail of a log into runs, and deletes the runs that no log needs. `None`: it needs
    /// no visit.
    fn fold_log(&mut self, slot: Slot) -> rusqlite::Result<Option<Folded>> {
        let needed = self.needed(slot);
        let Some(log) = self.logs.get_mut(slot) else { return Ok(None) };
        // A slot may be there twice, if it was given to a new log.
        if !std::mem::take(&mut log.is_to_fold) || log.name.is_none() {
            return Ok(None);
        }
        let is_needed = |first: u64, last: u64| {
            let after = needed.partition_point(|&(from, _)| from <= last);
            after.checked_sub(1).and_then(|at| needed.get(at)).is_some_and(|&(_, to)| to >= first)
        };
        let most = self.tuning.step_messages.div_ceil(RUN);
        let (mut dead, last_run, tail_first, tail) = {
            let state = log.seen.lock();
            let index = &state.index;
            let is_dead = |run: &&Run| !is_needed(run.first, run.end().saturating_sub(1));
            let dead: Vec<Run> = if log.forks.is_empty() {
                index.runs().take_while(is_dead).take(most.saturating_add(1)).copied().collect()
            } else {
                index.runs().filter(is_dead).take(most.saturating_add(1)).copied().collect()
            };
            let (first, tail) = index.tail();
            (dead, index.last_run().copied(), first, tail.iter().copied().collect::<Vec<Entry>>())
        };
        // A long log whose messages were all too old must not stop the publishers of others.
        let is_cut = dead.len() > most;
        dead.truncate(most);
        let id = log.id;
        let head = tail_first.saturating_add(tail.len() as u64).saturating_sub(1);
        let mut folded = Folded {
            slot,
            head,
            runs: Vec::new(),
            gone: Vec::new(),
            live_from: tail_first,
            graves: Vec::new(),
            is_cut,
            work: tail.len(),
        };
        for run in &dead {
            folded.work = folded.work.saturating_add(run.count as usize);
            folded.graves.extend(run_entries(&self.db, id, run)?.iter().map(|entry| entry.id));
            self.steps.at(Step::Run)?;
            let mut statement = self.db.prepare_cached("DELETE FROM run WHERE log = ?1 AND first = ?2")?;
            statement.execute(params![id, run.first.cast_signed()])?;
            folded.gone.push(run.first);
        }
        // What is needed of the tail, and all that follows it.
        let from = needed.iter().find(|&&(_, to)| to >= tail_first);
        let from = from.map_or(u64::MAX, |&(from, _)| from.max(tail_first));
        let dead = usize::try_from(from.saturating_sub(tail_first)).unwrap_or(usize::MAX).min(tail.len());
        folded.live_from = tail_first.saturating_add(dead as u64);
        let (dead, mut live) = tail.split_at(dead);
        folded.graves.extend(dead.iter().map(|entry| entry.id));
        let mut first = folded.live_from;
        let is_gone = |run: &Run| folded.gone.last() == Some(&run.first);
        let to_extend = last_run.filter(|run| {
            (run.count as usize) < self.tuning.run && run.end() == first && !is_gone(run) && !live.is_empty()
        });
        if let Some(run) = to_extend {
            let mut entries = run_entries(&self.db, id, &run)?;
            // A damaged run stays as it is.
            if entries.iter().any(|entry| entry.id > 0) {
                let (more, rest) =
                    live.split_at(self.tuning.run.saturating_sub(entries.len()).min(live.len()));
                entries.extend_from_slice(more);
                (first, live) = (first.saturating_add(more.len() as u64), rest);
                let run = Run::new(run.first, &entries);
                self.steps.at(Step::Run)?;
                write_run(&self.db, id, &run, &entries)?;
                folded.runs.push(run);
            }
        }
        for entries in live.chunks(self.tuning.run.max(1)) {
            let run = Run::new(first, entries);
            self.steps.at(Step::Run)?;
            write_run(&self.db, id, &run, entries)?;
            first = run.end();
            folded.runs.push(run);
        }
        self.write_folded_row(slot, head)?;
        Ok(Some(folded))
    }

    /// Writes the row of a log as it is after a fold.
    fn write_folded_row(&mut self, slot: Slot, head: u64) -> rusqlite::Result<()> {
        let Some(log) = self.logs.get(slot) else { return Ok(()) };
        let mut row = log.row();
        row.head = head;
        row.bytes = if log.kept.earliest > head { 0 } else { log.kept.bytes };
        self.steps.at(Step::Log)?;
        row.update(&self.db)?;
        if log.has_new_producers {
            // Those that the memory has forgotten.
            let max = i64::try_from(self.options.limits.channel.max_producers).unwrap_or(i64::MAX);
            let sql = "DELETE FROM producer WHERE log = ?1 AND appended < (SELECT appended FROM producer \
                       WHERE log = ?1 ORDER BY appended DESC LIMIT 1 OFFSET ?2)";
            self.db.prepare_cached(sql)?.execute(params![log.id, max])?;
            if let Some(before) = log.clock_ms.checked_sub(self.options.limits.channel.producer_age_ms) {
                let sql = "DELETE FROM producer WHERE log = ?1 AND appended <= ?2";
                self.db.prepare_cached(sql)?.execute(params![log.id, before.cast_signed()])?;
            }
        }
        Ok(())
    }

    /// The step is committed.
    fn show_folded(&mut self, folded: Folded) {
        let Some(log) = self.logs.get_mut(folded.slot) else { return };
        log.has_new_producers = false;
        (log.folded, log.tail_bytes) = (folded.head, 0);
        log.saved_used_ms = log.used_ms;
        if folded.work < RUN / 4 {
            // It is slow. When it evicts next, it reads its front again.
            log.kept.free_front();
            log.fresh = Vec::new();
        }
        {
            let mut state = log.seen.lock();
            state.index.forget(&folded.gone);
            state.index.cut_tail(folded.live_from);
            folded.runs.into_iter().for_each(|run| state.index.folded(run));
        }
        self.graveyard.add(folded.graves);
        if folded.is_cut {
            self.mark_to_fold(folded.slot);
            self.must_fold_soon = true;
        }
    }

    /// The numbers that must stay in a log, as ranges from one to another, in order and apart.
    fn needed(&self, slot: Slot) -> Vec<(u64, u64)> {
        let (mut ranges, mut logs) = (Vec::new(), vec![(slot, u64::MAX)]);
        while let Some((slot, limit)) = logs.pop() {
            let Some(log) = self.logs.get(slot) else { continue };
            let (from, to) = (log.kept.earliest.saturating_add(1), log.head.min(limit));
            if from <= to && log.name.is_some() && !log.is_deleted {
                ranges.push((from, to));
            }
            let base = |fork: Slot| {
                self.logs.get(fork).and_then(|fork| fork.origin.as_deref()).map_or(0, |origin| origin.base)
            };
            logs.extend(log.forks.iter().map(|&fork| (fork, limit.min(base(fork)))));
        }
        ranges.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for (from, to) in ranges {
            match merged.last_mut() {
                Some((_, last)) if from <= last.saturating_add(1) => *last = to.max(*last),
                _ => merged.push((from, to)),
            }
        }
        merged
    }

    /// Moves some messages of a log that is dropped into the graveyard.
    fn drop_step(&mut self, slot: Slot) -> rusqlite::Result<()> {
        let runs: Vec<Run> = {
            let Some(log) = self.logs.get(slot) else {
                self.dropping.pop_front();
                return Ok(());
            };
            let count = self.tuning.step_deletes.div_ceil(RUN);
            log.seen.lock().index.runs().take(count).copied().collect()
        };
        let Some(id) = self.logs.get(slot).map(|log| log.id) else { return Ok(()) };
        let mut graves = Vec::new();
        if !runs.is_empty() {
            self.begin()?;
            for run in &runs {
                graves.extend(run_entries(&self.db, id, run)?.iter().map(|entry| entry.id));
                self.steps.at(Step::Run)?;
                let mut statement =
                    self.db.prepare_cached("DELETE FROM run WHERE log = ?1 AND first = ?2")?;
                statement.execute(params![id, run.first.cast_signed()])?;
            }
            self.commit_alone()?;
        }
        let Some(log) = self.logs.get_mut(slot) else { return Ok(()) };
        let mut state = log.seen.lock();
        let gone: Vec<u64> = runs.iter().map(|run| run.first).collect();
        state.index.forget(&gone);
        let is_done = state.index.last_run().is_none();
        if is_done {
            let (_, tail) = state.index.tail();
            graves.extend(tail.iter().map(|entry| entry.id));
            state.index.cut_tail(u64::MAX);
        }
        drop(state);
        self.graveyard.add(graves);
        if is_done {
            self.dropping.pop_front();
            self.graveyard.add_log(slot);
        }
        Ok(())
    }

    /// Deletes dead messages, in the open transaction.
    pub(crate) fn delete_dead(&mut self, max: usize) -> rusqlite::Result<()> {
        let ranges = self.graveyard.ranges(max);
        if ranges.is_empty() {
            return Ok(());
        }
        self.steps.at(Step::Delete)?;
        let mut statement = self.db.prepare_cached("DELETE FROM message WHERE id BETWEEN ?1 AND ?2")?;
        for (first, last) in ranges {
            statement.execute([first.cast_signed(), last.cast_signed()])?;
        }
        Ok(())
    }

    /// The deletion is committed.
    pub(crate) fn note_deleted(&mut self, max: usize) {
        let logs = self.graveyard.deleted(max);
        self.buried.extend(logs);
    }

    /// Deletes the rows of logs that have no messages any more.
    fn bury(&mut self) -> rusqlite::Result<()> {
        let count = self.buried.len().min(BURIED_A_STEP);
        let from = self.buried.len().saturating_sub(count);
        let slots: Vec<Slot> = self.buried.get(from..).unwrap_or_default().to_vec();
        self.begin()?;
        for &slot in &slots {
            let Some(log) = self.logs.get(slot) else { continue };
            self.steps.at(Step::Delete)?;
            ProducerRow::delete_log(&self.db, log.id)?;
            LogRow::delete(&self.db, log.id)?;
        }
        self.commit_alone()?;
        self.buried.truncate(from);
        slots.into_iter().for_each(|slot| self.logs.remove(slot));
        Ok(())
    }

    /// Evicts what is over the retention of a log from the disk, at the start.
    pub(crate) fn fit_loaded(&mut self, slot: Slot) -> rusqlite::Result<()> {
        let Some(log) = self.logs.get(slot) else { return Ok(()) };
        let retention = log.retention();
        if log.len() <= retention.max_messages as u64 && log.kept.bytes <= retention.max_bytes as u64 {
            return Ok(());
        }
        let Some(log) = self.logs.touch(slot) else { return Ok(()) };
        if fit(&self.db, log)? > 0 {
            self.mark_to_fold(slot);
        }
        Ok(())
    }
}

/// Rows of logs that one step deletes.
const BURIED_A_STEP: usize = 512;
