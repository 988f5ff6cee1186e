//! Opening a channel: what the store has under its name.
//!
//! ```text
//!   look-up ─► Opening ── the store has a log, or none ──────────────────────────► Open
//!                 │  │                └─ an upload was cut by a crash: its mark ───┘
//!                 │  └─── a deletion is remembered ──► Remembered ── written to ──► Open
//!                 └────── the store failed ──────────► Failed: the next look-up tries again
//! ```
//!
//! All who look the channel up meanwhile wait for the same answer.

use std::task::{Poll, Waker};

use tidewire_store::{Append as Request, Batch, Failed, Mark, Message, Opened, UploadStep};

use crate::channel::Channel;
use crate::channel_state::{Life, Woken};
use crate::error::HubError;

impl Channel {
    /// Asks the store what it has. With a store that answers at once, the channel is open
    /// afterwards.
    pub(crate) fn open(&self, now_ms: u64) {
        self.lock().asked_ms = now_ms;
        match self.common.store.open(self.name(), now_ms).now() {
            Ok(opened) => self.opened(now_ms, Some(opened)),
            Err(later) => {
                let this = self.arc();
                later.then(move |opened| this.opened(this.common.now_ms(), opened));
            }
        }
    }

    fn opened(&self, now_ms: u64, opened: Option<Result<Opened, Failed>>) {
        if let Some(Ok(_)) = &opened {
            self.common.note_answer(now_ms);
        }
        let mut state = self.lock();
        let is_cut = match &opened {
            Some(Ok(opened)) => state.opened(opened, |settings| self.window(settings)),
            _ => {
                state.life = Life::Failed;
                false
            }
        };
        if is_cut {
            // Nobody may use the channel before its upload has its mark.
            state.life = Life::Opening;
            drop(state);
            return self.mark_cut_upload(now_ms);
        }
        state.touched_ms = now_ms;
        state.is_late = false;
        self.note_open(&state);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        if let Some(Err(failed)) = opened {
            tracing::warn!(channel = %self.name(), %failed, "the store did not open the channel");
        }
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The publisher of an upload is gone, since the process or the machine has stopped.
    fn mark_cut_upload(&self, now_ms: u64) {
        let mut message = Message::mark(Mark::Aborted, now_ms);
        let settings = self.lock().settings.clone();
        if let Some(of_channel) = &settings.content_type
            && let Ok(typed) = message.clone().with_content_type(of_channel)
        {
            message = typed;
        }
        let batch = Batch::One(message.into());
        let request = Request::new(now_ms, batch.clone(), settings).with_upload(UploadStep::Mark);
        let this = self.arc();
        let marked = move |answer| {
            let mut state = this.lock();
            (state.life, state.is_late) = (Life::Open, false);
            let mut woken = Woken::default();
            let outcome = state.take(now_ms, &batch, &answer, |settings| this.window(settings), &mut woken);
            if !matches!(outcome, Some(Ok(_))) {
                state.life = Life::Failed;
            }
            this.note_open(&state);
            let waiting = std::mem::take(&mut state.waiting);
            drop(state);
            waiting.into_iter().for_each(Waker::wake);
            this.wake(woken);
        };
        self.common.store.append(self.name(), request).then(marked);
    }

    /// Whether the channel can be used to write, or to read. If not yet, the waker is woken.
    ///
    /// # Errors
    /// [`HubError::Deleted`] for a reader of a name whose deletion is remembered;
    /// [`HubError::Store`].
    pub(crate) fn poll_open(&self, writes: bool, waker: &Waker) -> Poll<Result<(), HubError>> {
        if self.is_open() {
            return Poll::Ready(Ok(()));
        }
        let mut state = self.lock();
        Poll::Ready(match state.life {
            Life::Opening => return state.wait(waker).map(Err),
            Life::Open => Ok(()),
            Life::Remembered if writes => Ok(()),
            // As for a forgotten one: the next channel takes what is written.
            Life::Deleted if writes => Err(HubError::NotReady),
            Life::Remembered | Life::Deleted => Err(HubError::Deleted),
            Life::Failed => Err(HubError::Store { unknown: false }),
            // The look-up comes too late. The next one makes a new channel.
            Life::Forgotten => Err(HubError::NotReady),
        })
    }
}
