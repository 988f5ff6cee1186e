//! What changes a whole log: its creation and deletion, and that the hub forgets it.

use std::sync::Arc;
use std::task::{Poll, Waker};

use tidewire_store::{
    Answer, Batch, ChannelSettings, Create, CreateError, Created, Failed, Mark, Message, Once, UploadStep,
};

use crate::channel::{Channel, Swept};
use crate::channel_state::{Append, AppendedBy, Life, State, Woken};
use crate::error::HubError;
use crate::flight::Flight;
use crate::sync::MutexGuard;

/// A request that the store carries out.
pub(crate) type Change<T> = Arc<Flight<Result<T, HubError>>>;

impl Channel {
    /// Deletes the log. Its readers are told when the store has done it. `None` if the channel is
    /// over, or if another change is under way; then the waker is woken after it.
    ///
    /// # Errors
    /// [`HubError::Store`]: the store does not answer for the other change.
    pub(crate) fn delete(&self, waker: &Waker) -> Result<Option<Change<bool>>, HubError> {
        let Some(guard) = self.begin_change(waker)? else { return Ok(None) };
        let answer = self.common.store.delete(self.name(), self.common.now_ms());
        Ok(Some(self.when_changed(guard, answer, Self::deleted_by)))
    }

    fn deleted_by(
        &self,
        mut guard: MutexGuard<'_, State>,
        answer: Option<Result<bool, Failed>>,
    ) -> Result<bool, HubError> {
        let outcome = outcome(answer, |failed| failed.into());
        guard.is_uncertain |= outcome == Err(HubError::Store { unknown: true });
        if outcome == Ok(true) {
            // At once: a message that comes now belongs to another log.
            guard.is_changing = false;
            self.vanish(guard, true);
        } else {
            self.end_change(guard);
            self.catch_up_if_needed();
        }
        outcome
    }

    /// Creates the log with these settings. `None` as for [`delete`](Self::delete).
    ///
    /// # Errors
    /// As [`delete`](Self::delete).
    pub(crate) fn create(
        &self,
        settings: &Arc<ChannelSettings>,
        waker: &Waker,
    ) -> Result<Option<Change<Created>>, HubError> {
        let Some(guard) = self.begin_change(waker)? else { return Ok(None) };
        let create = Create::new(self.common.now_ms(), settings.clone());
        let answer = self.common.store.create(self.name(), create);
        Ok(Some(self.when_changed(guard, answer, Self::created_by)))
    }

    fn created_by(
        &self,
        mut guard: MutexGuard<'_, State>,
        answer: Option<Result<Created, CreateError>>,
    ) -> Result<Created, HubError> {
        let outcome = outcome(answer, |error| error.into());
        if let Ok(created) = &outcome
            && created.created
            && !guard.life.is_over()
        {
            let window = self.window(&created.info.settings);
            guard.created(&created.info, window);
            guard.touched_ms = self.common.now_ms();
            self.note_open(&guard);
        }
        guard.is_uncertain |=
            outcome.as_ref().is_err_and(|&error| error == HubError::Store { unknown: true });
        // Those who wait at the position before, if there are any, read again.
        let mut woken = Woken::default();
        woken.add(guard.log.wake_all());
        woken.add_workers(std::mem::take(&mut guard.at_end));
        self.end_change(guard);
        self.wake(woken);
        self.catch_up_if_needed();
        outcome
    }

    fn begin_change(&self, waker: &Waker) -> Result<Option<MutexGuard<'_, State>>, HubError> {
        let mut guard = self.lock();
        if guard.life.is_over() {
            return Ok(None);
        }
        if guard.is_changing {
            return match guard.wait(waker) {
                Poll::Ready(error) => Err(error),
                Poll::Pending => Ok(None),
            };
        }
        (guard.is_changing, guard.is_late) = (true, false);
        guard.asked_ms = self.common.now_ms();
        Ok(Some(guard))
    }

    /// Carries on when the store has answered. If it answers at once, nobody sees the channel in
    /// between.
    fn when_changed<T: Clone + Send + 'static, A: Send + 'static>(
        &self,
        mut guard: MutexGuard<'_, State>,
        answer: Answer<A>,
        done: impl FnOnce(&Self, MutexGuard<'_, State>, Option<A>) -> Result<T, HubError> + Send + 'static,
    ) -> Change<T> {
        let flight = Flight::new();
        match answer.now() {
            Ok(answer) => flight.land(done(self, guard, Some(answer))),
            Err(later) => {
                let (this, lands) = (self.arc(), flight.clone());
                let gives_up = flight.clone();
                guard.give_up = Some(Box::new(move || gives_up.land(Err(HubError::Store { unknown: true }))));
                drop(guard);
                later.then(move |answer| lands.land(done(&this, this.lock(), answer)));
            }
        }
        flight
    }

    fn end_change(&self, mut guard: MutexGuard<'_, State>) {
        (guard.is_changing, guard.is_late, guard.give_up) = (false, false, None);
        let waiting = std::mem::take(&mut guard.waiting);
        drop(guard);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Another node has changed the log.
    pub(crate) fn changed_elsewhere(&self) {
        self.lock().is_uncertain = true;
        self.catch_up_if_needed();
    }

    /// Evicts expired messages, and does what was left to do because the store had failed. Wakes a
    /// publisher that has waited for too long.
    pub(crate) fn sweep(self: &Arc<Self>, now_ms: u64) -> Swept {
        let mut guard = self.lock();
        let evicted = guard.expire(now_ms);
        let is_idle = guard.is_idle(now_ms);
        let owes_mark = guard.upload.owes_mark && !guard.is_changing;
        let unanswered = guard.take_unanswered(now_ms);
        let (late, give_up) = guard.take_late(now_ms, self.common.answered_ms());
        let must_catch_up = guard.must_catch_up();
        let is_read = guard.log.waiters() > 0 || self.subscribers() > 0;
        let woken = guard.room_made(now_ms);
        drop(guard);
        woken.for_each(Waker::wake);
        late.into_iter().for_each(Waker::wake);
        if let Some(give_up) = give_up {
            give_up();
        }
        let unknown = Err(HubError::Store { unknown: true });
        unanswered.into_iter().for_each(|publishing| publishing.land(unknown));
        if must_catch_up {
            self.catch_up_if_needed();
        }
        if owes_mark {
            self.mark_aborted_upload(now_ms);
        }
        if is_read {
            self.prolong(now_ms);
        }
        Swept { evicted, is_idle }
    }

    /// Appends the mark of an upload that has no publisher any more.
    pub(crate) fn mark_aborted_upload(self: &Arc<Self>, now_ms: u64) {
        let message = Arc::new(Message::mark(Mark::Aborted, now_ms));
        self.mark_upload(Append {
            now_ms,
            messages: &Batch::One(message),
            once: &Once::No,
            close: false,
            by: AppendedBy::Upload(UploadStep::Mark),
            stopped: &Default::default(),
        });
    }

    /// Forgets the channel if nothing is lost by that. Returns whether it did.
    pub(crate) fn forget_if_idle(&self, now_ms: u64) -> bool {
        let mut guard = self.lock();
        if !guard.is_idle(now_ms) {
            return false;
        }
        if !guard.life.is_over() {
            guard.life = Life::Forgotten;
            self.note_open(&guard);
        }
        true
    }

    /// The hub has removed the channel from its directory.
    pub(crate) fn released(&self, now_ms: u64) {
        if self.life() != Life::Failed {
            self.common.store.release(self.name(), now_ms);
        }
    }
}

fn outcome<T, E>(answer: Option<Result<T, E>>, error: impl Fn(&E) -> HubError) -> Result<T, HubError> {
    match answer {
        Some(Ok(value)) => Ok(value),
        Some(Err(failed)) => Err(error(&failed)),
        None => Err(HubError::Store { unknown: true }),
    }
}
