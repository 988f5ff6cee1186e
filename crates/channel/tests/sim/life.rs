//! What happens to logs: appends that a store carries out later, closing, deletion, restarts.

use super::history::Violation;
use super::store::{Append, Outcome};
use super::world::World;

impl World {
    /// Somebody appends one or a few messages, to a store that answers at once.
    pub(super) fn publish(&mut self, name: &str) -> Result<(), Violation> {
        let texts = (0..[1, 1, 1, 1, 2, 4][self.rng.below(6)])
            .map(|_| {
                self.published += 1;
                format!("{} {}", self.published, "-".repeat(self.rng.below(50)))
            })
            .collect();
        self.append(name, Append { texts, ..Append::default() })
    }

    /// Somebody closes a log, with its last message or without one.
    pub(super) fn close(&mut self) -> Result<(), Violation> {
        let name = self.channel();
        let texts = (0..self.rng.below(3)).map(|number| format!("the last but {number}")).collect();
        self.append(&name, Append { texts, close: true, ..Append::default() })
    }

    fn append(&mut self, name: &str, append: Append) -> Result<(), Violation> {
        let outcome = self.server.publish(name, &append)?;
        self.note(|| format!("{name} gets {append:?}: {outcome:?}"));
        // A closed log would stay so, and its readers have nothing to do.
        if matches!(outcome, Outcome::Refused(_)) && self.rng.below(3) == 0 {
            self.delete(name);
        }
        Ok(())
    }

    pub(super) fn delete(&mut self, name: &str) {
        if self.server.delete(name) {
            self.note(|| format!("{name} is deleted"));
            self.counts.deletions += 1;
        }
    }

    /// The server restarts, and its store has everything, has lost some newest messages, or may
    /// have.
    pub(super) fn restart(&mut self) {
        let name = self.channel();
        let events = [None, None, Some(0), Some(1), Some(2), Some(5)][self.rng.below(6)];
        self.note(|| format!("{name} restarts; the events lost: {events:?}"));
        match events {
            None => self.counts.clean_restarts += 1,
            Some(_) => self.counts.tails_lost += 1,
        }
        self.server.restart(&name, events);
    }

    /// An append goes on in the store. Some fail, and the answers to some are lost.
    pub(super) fn carry_out_submitted(&mut self) -> Result<(), Violation> {
        let which = self.rng.below(self.server.store.submitted.len());
        let fate = self.rng.below(12);
        if let Some(submitted) = self.server.store.submitted.get(which) {
            let what = format!("the store has {submitted:?}; fate {fate}");
            self.note(|| what);
        }
        self.server.carry_out_submitted(which, fate)
    }

    /// An answer of the store arrives.
    pub(super) fn take_answer(&mut self) -> Result<(), Violation> {
        let which = self.rng.below(self.server.store.answers.len());
        if let Some(answer) = self.server.store.answers.get(which) {
            let what = format!("the store answers {answer:?}");
            self.note(|| what);
        }
        self.server.take_answer(which)
    }

    /// A window that may lack messages reads the store. That may fail too; then it tries again.
    pub(super) fn catch_up(&mut self) {
        if self.rng.below(3) == 0 {
            return;
        }
        if let Some(name) = self.server.behind.first().cloned() {
            self.note(|| format!("the window of {name} reads the store"));
            self.server.catch_up(&name);
        }
    }

    pub(super) fn publish_everywhere(&mut self) -> Result<(), Violation> {
        for name in self.channels.clone() {
            let append = Append { texts: vec!["the last".into()], ..Append::default() };
            self.server.publish(&name, &append)?;
        }
        Ok(())
    }

    /// No more faults: the store carries out everything and answers, and deleted channels are
    /// written again, so that their readers can come back.
    pub(super) fn settle_store(&mut self) -> Result<(), Violation> {
        while !self.server.store.submitted.is_empty() {
            self.server.carry_out_submitted(0, usize::MAX)?;
        }
        while !self.server.store.answers.is_empty() {
            self.server.take_answer(0)?;
        }
        while let Some(name) = self.server.behind.first().cloned() {
            self.server.catch_up(&name);
        }
        for name in self.server.store.deleted() {
            self.publish(&name)?;
        }
        Ok(())
    }
}
