//! How the window of a channel gets messages: from the answers of the store, in the order of the
//! log.
//!
//! ```text
//!   answers ─► after == head? ── yes ──► window, its readers are woken
//!                  │ no
//!                  ▼
//!                early: waits for the answers before it, or until the store was read
//! ```

use std::task::{Poll, Waker};

use tidewire_channel::{Continuity, Epoch, Log, Retention};
use tidewire_store::{AppendError, Appended, Batch, ChannelSettings, Outcome, Page as Stored, Refusal};

use crate::channel_state::{Early, GiveUp, Life, Published, Publishing, State, Woken};
use crate::error::HubError;
use crate::flight::Freight;

/// The longest wait for the answer of a store, to within the interval of the sweeps. Then those who
/// wait are told that nobody knows.
const LONGEST_ANSWER_MS: u64 = 30_000;

/// The longest wait for the answer of a store that answers others meanwhile: the time in which it
/// opens 100,000 logs, each in a millisecond.
const LONGEST_LINE_MS: u64 = 120_000;

impl State {
    /// An append is on its way to the store.
    pub(crate) fn departs(&mut self, messages: &Batch) {
        self.flying += 1;
        // The next message is not older, whatever comes first. Without a wait for the store, only a
        // message that is kept counts.
        let last_ms = messages.as_slice().last().map_or(0, |last| last.time_ms());
        self.last_ms = self.last_ms.max(last_ms);
        self.room.departs(messages.as_slice().len(), messages.weight());
    }

    /// The store has answered an append that was on its way.
    pub(crate) fn arrives(&mut self, messages: &Batch) {
        self.flying -= 1;
        self.room.arrives(messages.as_slice().len(), messages.weight());
    }

    /// Takes the answer of the store to an append: `None` if nobody knows what happened. Returns
    /// the outcome; `None` if it must wait until the window has the messages before.
    pub(crate) fn take(
        &mut self,
        now_ms: u64,
        messages: &Batch,
        answer: &Option<Result<Appended, AppendError>>,
        window: impl Fn(&ChannelSettings) -> Retention,
        woken: &mut Woken,
    ) -> Option<Result<Published, HubError>> {
        let appended = match answer {
            Some(Ok(appended)) => appended,
            Some(Err(error)) => {
                self.is_uncertain |= match error {
                    AppendError::Failed(failed) => failed.outcome == Outcome::Unknown,
                    // Another node has closed it.
                    AppendError::Refused(Refusal::Closed { .. }) => !self.log.log().is_closed(),
                    AppendError::Refused(_) => false,
                };
                return Some(Err(error.into()));
            }
            None => {
                self.is_uncertain = true;
                return Some(Err(HubError::Store { unknown: true }));
            }
        };
        let Appended { after, cursor, duplicate, end, earliest } = *appended;
        let published = Published { cursor, duplicate, end };
        if self.life.is_over() || self.log.log().has(cursor) && self.life != Life::Remembered {
            return Some(Ok(published));
        }
        if self.life == Life::Remembered {
            self.begin(after, window(&self.settings));
            self.life = Life::Open;
            if self.upload.is_active() {
                self.upload.begin(after);
            }
        }
        // A duplicate of a message that the window lacks waits for it.
        if duplicate || after != self.log.log().head() {
            return None;
        }
        self.append(now_ms, messages, (cursor.epoch(), end.is_some()), woken);
        self.note_earliest(earliest);
        Some(Ok(published))
    }

    /// Gives messages at the head of the log to the window.
    fn append(&mut self, now_ms: u64, messages: &Batch, (epoch, closes): (Epoch, bool), woken: &mut Woken) {
        if self.log.log().epoch() != epoch {
            self.log.log_mut().begin_epoch(epoch);
        }
        for message in messages.as_slice() {
            self.last_ms = self.last_ms.max(message.time_ms());
            if let Ok((_, more)) = self.log.append(now_ms, message.weight(), message.clone()) {
                woken.add(more);
            }
        }
        if closes {
            self.log.log_mut().close();
            woken.add(self.log.wake_all());
        }
    }

    /// Keeps an append until the window has the messages before it.
    pub(crate) fn keep_early(
        &mut self,
        messages: Batch,
        answer: Option<Result<Appended, AppendError>>,
        publishing: Publishing,
        freight: Freight,
    ) {
        let Some(Ok(appended)) = answer else { return };
        let after = if appended.duplicate { appended.cursor } else { appended.after };
        self.serial += 1;
        self.early
            .insert((after.seq(), self.serial), Early { messages, appended, publishing, _freight: freight });
    }

    /// Gives the window the appends that came too early and fit now. Returns those that are done.
    /// If `is_caught_up`, the window has all that the store had.
    pub(crate) fn settle_early(
        &mut self,
        now_ms: u64,
        is_caught_up: bool,
        woken: &mut Woken,
    ) -> Vec<(Publishing, Published)> {
        let mut done = Vec::new();
        while let Some(first) = self.early.first_entry() {
            let head = self.log.log().head();
            let Appended { after, cursor, duplicate, end, earliest } = first.get().appended;
            let has = self.log.log().has(cursor);
            if first.key().0 > head.seq() {
                break;
            }
            let fits = !has && !duplicate && after == head;
            if !has && !fits && !is_caught_up {
                // It is in another log than the window knows.
                self.is_uncertain = true;
                break;
            }
            let Early { messages, publishing, .. } = first.remove();
            if fits {
                self.append(now_ms, &messages, (cursor.epoch(), end.is_some()), woken);
                self.note_earliest(earliest);
            }
            done.push((publishing, Published { cursor, duplicate, end }));
        }
        done
    }

    /// Takes the appends that came too early: nobody knows when the window will have them.
    pub(crate) fn give_up_early(&mut self) -> Vec<Publishing> {
        std::mem::take(&mut self.early).into_values().map(|early| early.publishing).collect()
    }

    /// Notes who waits for the answer to an append that is on its way.
    pub(crate) fn note_flight(&mut self, now_ms: u64, publishing: Publishing) {
        while self.flights.front().is_some_and(|(_, first)| first.has_landed()) {
            self.flights.pop_front();
        }
        self.flights.push_back((now_ms, publishing));
    }

    /// Takes those who have waited for an answer for too long. The answer may still come, and then
    /// the window takes the messages. Until then, the later ones must not wait for it.
    pub(crate) fn take_unanswered(&mut self, now_ms: u64) -> Vec<Publishing> {
        let late = self.flights.iter().take_while(|(since_ms, _)| is_late(*since_ms, now_ms)).count();
        let unanswered = self.flights.drain(..late).map(|(_, publishing)| publishing);
        let unanswered: Vec<_> = unanswered.filter(|publishing| !publishing.has_landed()).collect();
        self.is_uncertain |= !unanswered.is_empty();
        if self.is_catching_up && is_late(self.catching_up_ms, now_ms) {
            (self.is_catching_up, self.is_uncertain) = (false, true);
        }
        unanswered
    }

    /// Waits until the channel is open, or until the change that is under way is done.
    pub(crate) fn wait(&mut self, waker: &Waker) -> Poll<HubError> {
        if self.is_late {
            return Poll::Ready(HubError::Store { unknown: false });
        }
        if !self.waiting.iter().any(|waiting| waiting.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
        Poll::Pending
    }

    /// Takes those who have waited for too long until the log is open or changed, and what tells
    /// the one who changes it. Until the store answers, nobody waits any more. They wait for longer
    /// while the store answers others, as it did at `answered_ms`: then they are in its line.
    pub(crate) fn take_late(&mut self, now_ms: u64, answered_ms: u64) -> (Vec<Waker>, Option<GiveUp>) {
        let is_asking = self.life == Life::Opening || self.is_changing;
        if !is_asking || self.is_late || !is_too_long(self.asked_ms, answered_ms, now_ms) {
            return (Vec::new(), None);
        }
        self.is_late = true;
        (std::mem::take(&mut self.waiting), self.give_up.take())
    }

    /// Whether the store must be read, because the window lacks messages.
    pub(crate) fn must_catch_up(&self) -> bool {
        let lacks = self.is_uncertain || self.flying == 0 && !self.early.is_empty();
        lacks && !self.is_catching_up && self.life == Life::Open
    }

    /// Takes from a page what is after the head of the window: nobody sees a message before the
    /// window has it. Otherwise a reader would be ahead of the log. Returns whether there was some.
    /// A page that begins after the head stays as it is if the log has evicted all before.
    pub(crate) fn cut_at_head(&self, page: &mut Stored) -> bool {
        let head = self.log.log().head();
        if let Continuity::Gap { to, missed, .. } = &mut page.continuity
            && to.seq() > head.seq()
        {
            if page.info.earliest > head.seq() {
                return false;
            }
            // The store has lost messages that the window does not know yet.
            *missed = missed.saturating_sub(to.seq() - head.seq()).max(1);
            (*to, page.start, page.cursor) = (head, head, head);
            page.messages.clear();
            return true;
        }
        let known = page.messages.partition_point(|(cursor, _)| cursor.seq() <= head.seq());
        if known == page.messages.len() {
            return false;
        }
        page.messages.truncate(known);
        page.cursor = page.messages.last().map_or(page.start, |(cursor, _)| *cursor);
        true
    }

    /// Begins the window with a page that reaches the head, if it has nothing yet. So after a
    /// restart, a channel is soon in memory again.
    pub(crate) fn fill(&mut self, page: &Stored) {
        let log = self.log.log();
        let is_right = page.cursor == log.head() && page.info.lineage == *log.lineage();
        if !log.is_empty() || !is_right || self.life != Life::Open {
            return;
        }
        let filled = Log::restored(page.info.lineage.clone(), page.start.seq(), log.retention());
        let Some(mut filled) = filled else { return };
        for (cursor, message) in &page.messages {
            let after = filled.append(message.time_ms(), message.weight(), message.clone());
            // In the window, a message has the current epoch. In a page it may have an older one.
            if after.ok() != Some(*cursor) {
                return;
            }
        }
        if log.is_closed() {
            filled.close();
        }
        *self.log.log_mut() = filled;
    }

    /// Takes messages that the store has after the head. Returns whether the window was begun anew,
    /// so that pages of the log may be wrong.
    pub(crate) fn catch_up(&mut self, page: &Stored, window: Retention, woken: &mut Woken) -> bool {
        let head = self.log.log().head();
        let is_new = page.continuity.is_broken() && page.start != head;
        if is_new {
            self.adopt(&page.info, page.start.seq(), window);
            woken.add(self.log.wake_all());
            woken.add_workers(std::mem::take(&mut self.at_end));
        }
        self.note_earliest(page.info.earliest);
        for (cursor, message) in &page.messages {
            if cursor.seq() == self.log.log().head().seq() + 1 {
                let batch = Batch::One(message.clone());
                self.append(message.time_ms(), &batch, (cursor.epoch(), false), woken);
            }
        }
        self.last_ms = self.last_ms.max(page.info.last_time_ms);
        if !page.more && self.log.log().head().seq() == page.info.head {
            let epoch = page.info.lineage.current();
            let closes = page.info.is_closed && !self.log.log().is_closed();
            self.append(0, &Batch::None, (epoch, closes), woken);
        }
        is_new
    }
}

/// Whether a wait for a store is too long, that has answered others at `answered_ms`.
pub(crate) fn is_too_long(since_ms: u64, answered_ms: u64, now_ms: u64) -> bool {
    let is_over = now_ms.saturating_sub(since_ms) >= LONGEST_LINE_MS;
    is_over || is_late(since_ms.max(answered_ms), now_ms)
}

fn is_late(since_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(since_ms) >= LONGEST_ANSWER_MS
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidewire_channel::{Cursor, Lineage, ResetReason};
    use tidewire_store::{ChannelSettings, LogInfo, Message};

    use super::*;

    #[test]
    fn a_window_begins_before_an_epoch_that_has_ended() {
        let [s, a, b, c] = [1, 2, 3, 4].map(Epoch::new);
        let lineage = Lineage::from_parts(&[(s, 0), (a, 3), (b, 5)], c).unwrap();
        for (from, after) in [(Cursor::new(a, 7), 3), (Cursor::new(Epoch::new(9), 9), 0)] {
            let mut state = State::new(0, Arc::default());
            state.life = Life::Open;
            state.begin(from, Retention::DEFAULT);
            let to = lineage.at(after);
            let continuity = Continuity::Reset { reason: ResetReason::TailLost, to };
            let message = Arc::new(Message::new("x".into(), 0));
            let messages: Vec<_> = (after + 1..=6).map(|seq| (lineage.at(seq), message.clone())).collect();
            let mut info = LogInfo::new(lineage.clone(), Arc::new(ChannelSettings::DEFAULT));
            (info.head, info.is_closed) = (6, true);
            let page = Stored::new((to, continuity), messages, info);
            assert!(state.catch_up(&page, Retention::DEFAULT, &mut Woken::default()));
            let log = state.log.log();
            assert_eq!((log.lineage(), log.earliest(), log.head()), (&lineage, to, lineage.at(6)));
            assert_eq!((log.len() as u64, log.end()), (6 - after, Some(lineage.end(6))));
        }
    }
}
