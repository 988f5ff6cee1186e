//! The server and its store: appends and their answers, and what happens to logs.
//!
//! A window has what the store has promised, and nothing else. It learns that from the answer to an
//! append, if that append is the next one for the window. Otherwise it reads the store.

use tidewire_channel::{Budget, Channel, Cursor, Lineage, Log, Once, RefusedKind, Retention, Since};

use super::connection::{ConnectionState, Wait};
use super::fault::Fault;
use super::history::Violation;
use super::server::Server;
use super::store::{Append, Outcome, Submitted};

impl Server {
    /// Appends to a store that answers at once.
    pub(crate) fn publish(&mut self, name: &str, append: &Append) -> Result<Outcome, Violation> {
        let outcome = self.apply(name, append, true)?;
        self.learn(name, append, outcome);
        Ok(outcome)
    }

    /// Sends an append to a store that answers later.
    pub(crate) fn submit(&mut self, name: String, append: Append, connection: u32) -> Result<(), Violation> {
        if let (Some(Fault::AckBeforePromise), Some(log)) = (self.fault, self.store.log(&name)) {
            let next = log.lineage().end(log.bounds().head);
            self.respond(connection, 201, &next.to_string())?;
        }
        if self.fault == Some(Fault::SeenBeforePromise) {
            self.show(&name, &append);
        }
        self.store.submitted.push(Submitted { name, append, connection });
        Ok(())
    }

    /// One of the submitted appends meets its fate.
    pub(crate) fn carry_out_submitted(&mut self, which: usize, fate: usize) -> Result<(), Violation> {
        if which >= self.store.submitted.len() {
            return Ok(());
        }
        let submitted = self.store.submitted.remove(which);
        let Submitted { name, append, .. } = &submitted;
        let outcome = match fate {
            0 => Outcome::Failed,
            1 => Outcome::Unknown, // the request is lost
            2 => {
                let remembers = self.fault != Some(Fault::RetryAppendsTwiceAfterUnknown);
                self.apply(name, append, remembers)?;
                Outcome::Unknown // the answer is lost
            }
            _ => self.apply(name, append, true)?,
        };
        self.store.answers.push((submitted, outcome));
        Ok(())
    }

    /// One of the store's answers arrives.
    pub(crate) fn take_answer(&mut self, which: usize) -> Result<(), Violation> {
        if which >= self.store.answers.len() {
            return Ok(());
        }
        let (Submitted { name, append, connection }, outcome) = self.store.answers.remove(which);
        self.counts.reordered += u64::from(which > 0);
        self.learn(&name, &append, outcome);
        let (status, body) = match outcome {
            Outcome::Appended { cursor, duplicate, .. } => {
                (if duplicate { 200 } else { 201 }, cursor.to_string())
            }
            Outcome::Refused(RefusedKind::Closed) => (409, "closed".into()),
            Outcome::Refused(RefusedKind::ProducerGap { .. }) => (409, "gap".into()),
            Outcome::Refused(RefusedKind::ProducerStart) => (400, "start".into()),
            // An append that its producer has given up, before it began a new epoch.
            Outcome::Refused(RefusedKind::ProducerFenced { .. }) => (403, "fenced".into()),
            Outcome::Refused(kind) => return Err(format!("{name}: {append:?} is refused: {kind:?}")),
            Outcome::Failed => {
                self.counts.failed += 1;
                (503, "failed".into())
            }
            Outcome::Unknown => {
                self.counts.unknown += 1;
                (503, "unknown".into())
            }
        };
        self.respond(connection, status, &body)
    }

    /// The store carries out an append, and promises to keep it.
    fn apply(&mut self, name: &str, append: &Append, remembers: bool) -> Result<Outcome, Violation> {
        let start = self.store.absent(name);
        let asked =
            if remembers { append.clone() } else { Append { once: Default::default(), ..append.clone() } };
        let clock_ms = self.clock_ms();
        let outcome = self.store.apply(name, &asked, clock_ms);
        let Some(log) = self.store.log(name) else { return Ok(outcome) };
        match outcome {
            Outcome::Appended { before, duplicate: false, .. } => {
                let new = 1..=append.texts.len() as u64;
                let cursors: Vec<_> = new.map(|by| log.lineage().at(before.seq() + by)).collect();
                self.history.append(name, start, append, &cursors, log.end())?;
                self.counts.closed += u64::from(append.close);
                self.counts.closed_alone += u64::from(append.close && append.texts.is_empty());
            }
            Outcome::Appended { cursor, .. } => {
                self.history.duplicate(name, append, cursor)?;
                self.counts.duplicates += 1;
            }
            _ => {}
        }
        Ok(outcome)
    }

    /// An answer has come: the window learns what is in the log.
    fn learn(&mut self, name: &str, append: &Append, outcome: Outcome) {
        match outcome {
            Outcome::Appended { before, cursor, duplicate: false } => {
                let window = self.channels.get(name).map(Channel::log);
                let is_next = window.is_some_and(|log| {
                    log.head() == before && log.epoch() == cursor.epoch() && !log.is_closed()
                });
                if is_next || self.fault == Some(Fault::WindowFollowsAnswers) {
                    let clock_ms = self.clock_ms();
                    self.store.expire(name, clock_ms);
                    self.show(name, append);
                } else {
                    self.catch_up(name);
                }
            }
            Outcome::Appended { .. } => self.catch_up(name),
            // The message may be there, and nobody else would tell.
            Outcome::Unknown => {
                self.behind.insert(name.into());
            }
            Outcome::Refused(_) | Outcome::Failed => {}
        }
    }

    /// The window gets the messages of an append.
    fn show(&mut self, name: &str, append: &Append) {
        let clock_ms = self.clock_ms();
        let Some(window) = self.channels.get_mut(name) else { return };
        let texts = append.texts.iter().map(|text| (text.len(), text.clone()));
        if let Ok((_, woken)) = window.append_batch(clock_ms, texts, append.close, Once::No) {
            self.wakes.extend(woken);
        }
    }

    /// The window reads the store.
    pub(crate) fn catch_up(&mut self, name: &str) {
        self.behind.remove(name);
        let (Some(log), Some(window)) = (self.store.log(name), self.channels.get_mut(name)) else { return };
        let head = window.log().head();
        if !log.has(head) || head.seq() < log.bounds().earliest {
            return self.drop_window(name);
        }
        copy_after(log, window.log_mut());
        self.wakes.extend(window.wake_all());
    }

    /// The window is made anew when somebody reads. All readers look at it again.
    pub(super) fn drop_window(&mut self, name: &str) {
        if let Some(mut window) = self.channels.remove(name) {
            self.wakes.extend(window.wake_all());
        }
        // A feed that has told the end of this log goes on with its other channels. If the end is
        // no longer true, the reader must be told.
        for connection in self.connections.values_mut() {
            let ConnectionState::Stream(_, positions) = &mut connection.state else { continue };
            for position in positions.iter_mut().filter(|position| position.channel == name) {
                if position.wait == Wait::Ended {
                    position.wait = Wait::Due;
                }
            }
        }
    }

    /// The server restarts. The log loses its last `events`, which the store had promised to keep
    /// only for now, or nothing (`None`).
    pub(crate) fn restart(&mut self, name: &str, events: Option<usize>) {
        if let Some(events) = events
            && let Some(head) = self.store.lose_tail(name, events)
        {
            let is_closed = self.store.log(name).is_some_and(Log::is_closed);
            self.history.lose_tail(name, head, is_closed);
        }
        self.drop_window(name);
    }

    /// The log is lost, as at a restart without durable storage.
    pub(crate) fn lose(&mut self, name: &str) {
        if self.store.forget(name) {
            self.history.lose(name);
        }
        self.drop_window(name);
    }

    /// The log is deleted. Returns whether there was one.
    pub(crate) fn delete(&mut self, name: &str) -> bool {
        let was_there = self.store.delete(name, self.now_ms);
        if was_there {
            self.history.lose(name);
            self.drop_window(name);
        }
        was_there
    }

    /// An owner deletes the messages of a channel, or keeps fewer.
    pub(crate) fn shrink(&mut self, name: &str, retention: Option<Retention>) {
        self.store.set_retention(name, retention);
        let (Some(_), Some(window)) = (self.store.log(name), self.channels.get_mut(name)) else { return };
        match retention {
            Some(retention) => window.log_mut().set_retention(retention),
            None => window.log_mut().clear(),
        }
    }

    /// Where a reader of the channel is that has been told everything.
    pub(crate) fn target(&self, name: &str) -> Cursor {
        let log = self.store.log(name);
        log.map_or(self.store.absent(name), |log| log.end().unwrap_or(log.head()))
    }

    /// Expires old messages, and frees channels of which nothing is left.
    pub(crate) fn sweep(&mut self) {
        let now_ms = self.clock_ms();
        for name in self.store.sweep(now_ms) {
            if self.channels.get(&name).is_none_or(|window| window.waiters() == 0) {
                self.store.forget(&name);
                self.history.lose(&name);
                self.drop_window(&name);
            }
        }
        self.channels.retain(|_, channel| {
            channel.expire(now_ms);
            !channel.is_idle(now_ms)
        });
    }
}

/// Makes a window that has what the log has.
pub(super) fn copy(log: &Log<String>) -> Log<String> {
    let (lineage, earliest) = (log.lineage(), log.bounds().earliest);
    // The epochs that have ended before the first message kept, and the epoch of that message.
    let before = lineage.past().partition_point(|past| past.1 <= earliest);
    let first = lineage.past().get(before).map_or(lineage.current(), |past| past.0);
    let lineage = Lineage::from_parts(&lineage.past()[..before], first).expect("they were parts");
    let mut window = Log::restored(lineage, earliest, log.retention()).expect("the epochs end before");
    copy_after(log, &mut window);
    window
}

/// Copies what the log has after the head of the window.
fn copy_after(log: &Log<String>, window: &mut Log<String>) {
    for entry in log.read(Since::After(window.head()), Budget::UNLIMITED) {
        if entry.cursor.epoch() != window.epoch() {
            window.begin_epoch(entry.cursor.epoch());
        }
        let copied = window.append(entry.time_ms, entry.size, entry.value.clone());
        assert_eq!(copied, Ok(entry.cursor), "the window continues");
    }
    if log.epoch() != window.epoch() {
        window.begin_epoch(log.epoch());
    }
    if log.is_closed() {
        window.close();
    }
}
