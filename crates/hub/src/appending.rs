//! Appending to a channel: when there is room, and as the store keeps it.
//!
//! ```text
//!                          ┌─ answered at once ─► window, under the same lock ─► readers are woken
//!   append ─► store.append ┤
//!                          └─ later: in flight ─► answered on a thread of the store ─► the same
//! ```
//!
//! Nobody sees a message, and no publisher is told of it, before the store has kept it. A publisher
//! that leaves while its message is in flight cancels nothing.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tidewire_store::{Append as Request, AppendError, Appended, Batch, UploadStep};

use crate::channel::Channel;
use crate::channel_state::{Append, AppendedBy, Life, Published, Publishing, State, Woken};
use crate::error::HubError;
use crate::flight::{Flight, Freight};
use crate::room::PlaceInLine;
use crate::sync::MutexGuard;

/// What became of an append.
#[derive(Debug)]
pub(crate) enum Sent {
    /// The channel cannot be used any more. Look it up again by its name.
    Over,
    Done(Published),
    /// The store answers later.
    Flying(Publishing),
}

impl Channel {
    /// Appends without waiting for room.
    ///
    /// # Errors
    /// [`HubError`]; nothing is appended, other than [`HubError::Store`] says.
    pub(crate) fn append(&self, append: Append<'_>) -> Result<Sent, HubError> {
        let guard = self.lock();
        if guard.is_changing {
            return Err(HubError::NotReady);
        }
        self.send(guard, append)
    }

    /// The same, but after a change of the log that is under way.
    pub(crate) fn poll_append_now(
        &self,
        append: Append<'_>,
        cx: &Context<'_>,
    ) -> Poll<Result<Sent, HubError>> {
        let mut guard = self.lock();
        if guard.is_changing { guard.wait(cx.waker()).map(Err) } else { self.send(guard, append).into() }
    }

    /// The same, but only if there is room for the messages. Otherwise the publisher gets a place
    /// in the line. It polls again with that place when it is woken, or
    /// [leaves](Self::leave_line).
    pub(crate) fn poll_append(
        &self,
        append: Append<'_>,
        place: &mut Option<PlaceInLine>,
        cx: &Context<'_>,
    ) -> Poll<Result<Sent, HubError>> {
        let mut guard = self.lock();
        if guard.is_changing {
            let Poll::Ready(error) = guard.wait(cx.waker()) else { return Poll::Pending };
            if let Some(place) = place.take() {
                guard.room.leave_line(place);
            }
            self.make_room(guard, append.now_ms);
            return Poll::Ready(Err(error));
        }
        let is_known = || self.common.store.is_known(self.name(), append.once, append.now_ms);
        if guard.has_to_wait(&append, is_known, place, cx.waker()) {
            return Poll::Pending;
        }
        if let Some(place) = place.take() {
            guard.room.leave_line(place);
        }
        Poll::Ready(self.send(guard, append))
    }

    /// Sends an append to the store.
    fn send(&self, mut guard: MutexGuard<'_, State>, append: Append<'_>) -> Result<Sent, HubError> {
        if guard.life.is_over() {
            return Ok(Sent::Over);
        }
        let is_full = self.common.flying.is_full();
        let refused = if is_full { Err(HubError::Store { unknown: false }) } else { Ok(()) };
        let batch = match refused.and_then(|()| guard.prepare(&append)) {
            Ok(batch) => batch,
            Err(error) => {
                self.make_room(guard, append.now_ms);
                return Err(error);
            }
        };
        let mut request = Request::new(append.now_ms, batch.clone(), guard.settings.clone());
        if append.close {
            request = request.closing();
        }
        if let AppendedBy::Upload(step) = append.by {
            request = request.with_upload(step);
        } else {
            request = request.with_once(append.once.clone());
        }
        match self.common.store.append(self.name(), request).now() {
            Ok(answer) => self.answered(guard, append.now_ms, batch, Some(answer)),
            Err(later) => {
                let (this, publishing) = (self.arc(), Flight::new());
                let lands = publishing.clone();
                self.common.flying.add(batch.weight());
                guard.departs(&batch);
                guard.note_flight(append.now_ms, publishing.clone());
                drop(guard);
                later.then(move |answer| this.landed(&batch, answer, &lands));
                Ok(Sent::Flying(publishing))
            }
        }
    }

    /// The store has answered at once.
    fn answered(
        &self,
        mut guard: MutexGuard<'_, State>,
        now_ms: u64,
        batch: Batch,
        answer: Option<Result<Appended, AppendError>>,
    ) -> Result<Sent, HubError> {
        let mut woken = Woken::default();
        let was_open = guard.life == Life::Open;
        let outcome = guard.take(now_ms, &batch, &answer, |settings| self.window(settings), &mut woken);
        if !was_open {
            self.note_open(&guard);
        }
        let must_catch_up = guard.must_catch_up();
        match outcome {
            Some(outcome) => {
                self.make_room(guard, now_ms);
                self.wake(woken);
                if must_catch_up {
                    self.catch_up_if_needed();
                }
                outcome.map(Sent::Done)
            }
            None => {
                let publishing = Flight::new();
                self.common.flying.add(batch.weight());
                let freight = Freight::new(&self.common.flying, batch.weight());
                guard.note_flight(now_ms, publishing.clone());
                guard.keep_early(batch, answer, publishing.clone(), freight);
                self.make_room(guard, now_ms);
                self.catch_up_if_needed();
                Ok(Sent::Flying(publishing))
            }
        }
    }

    /// The store has answered an append that was in flight.
    fn landed(&self, batch: &Batch, answer: Option<Result<Appended, AppendError>>, publishing: &Publishing) {
        let (now_ms, mut woken) = (self.common.now_ms(), Woken::default());
        let mut guard = self.lock();
        let was_open = guard.life == Life::Open;
        guard.arrives(batch);
        let outcome = guard.take(now_ms, batch, &answer, |settings| self.window(settings), &mut woken);
        if outcome.is_none() {
            let freight = Freight::new(&self.common.flying, batch.weight());
            guard.keep_early(batch.clone(), answer, publishing.clone(), freight);
        } else {
            self.common.flying.remove(batch.weight());
            guard.forget_flight(publishing);
        }
        let done = guard.settle_early(now_ms, false, &mut woken);
        // Look-ups read what this writes, so it is not written each time.
        if !was_open {
            self.note_open(&guard);
        }
        let must_catch_up = guard.must_catch_up();
        self.make_room(guard, now_ms);
        self.wake(woken);
        if let Some(outcome) = outcome {
            publishing.land(outcome);
        }
        done.into_iter().for_each(|(publishing, published)| publishing.land(Ok(published)));
        if must_catch_up {
            self.catch_up_if_needed();
        }
    }

    /// Releases the lock, and wakes those for whom there is room now.
    fn make_room(&self, mut guard: MutexGuard<'_, State>, now_ms: u64) {
        let woken = guard.room_made(now_ms);
        drop(guard);
        woken.for_each(Waker::wake);
    }

    /// Appends the mark of an upload whose publisher has left, and frees the channel when the store
    /// has it. If it fails, the next sweep tries again.
    pub(crate) fn mark_upload(self: &Arc<Self>, append: Append<'_>) {
        self.lock().upload.owes_mark = false;
        let append = Append { by: AppendedBy::Upload(UploadStep::Mark), ..append };
        match self.append(append) {
            Ok(Sent::Flying(publishing)) => {
                let this = self.clone();
                publishing.then(move |outcome| this.upload_marked(outcome.map(|_| ())));
            }
            Ok(Sent::Done(_) | Sent::Over) => self.upload_marked(Ok(())),
            Err(error) => self.upload_marked(Err(error)),
        }
    }

    fn upload_marked(&self, outcome: Result<(), HubError>) {
        match outcome {
            // Nobody knows: a second mark after a first one does no harm.
            Err(HubError::Store { .. } | HubError::NotReady) => self.lock().upload.owes_mark = true,
            // The log has its mark, or takes nothing any more.
            Ok(()) | Err(_) => self.end_upload(),
        }
    }
}
