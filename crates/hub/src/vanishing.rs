//! A log that is gone: deleted, expired, or lost by the store.

use std::task::Waker;

use crate::channel::Channel;
use crate::channel_state::{Life, State, Woken};
use crate::error::HubError;
use crate::sync::MutexGuard;

impl Channel {
    /// The log is gone from the store: its readers and publishers must not go on.
    pub(crate) fn vanished(&self, is_deleted: bool) {
        self.vanish(self.lock(), is_deleted);
    }

    /// The same with the lock.
    pub(crate) fn vanish(&self, mut guard: MutexGuard<'_, State>, is_deleted: bool) {
        if guard.life.is_over() {
            let waiting = std::mem::take(&mut guard.waiting);
            drop(guard);
            return waiting.into_iter().for_each(Waker::wake);
        }
        guard.life = if is_deleted { Life::Deleted } else { Life::Forgotten };
        self.note_open(&guard);
        let mut woken = Woken::default();
        woken.add(guard.log.wake_all());
        woken.add_workers(std::mem::take(&mut guard.at_end));
        let line = guard.room.wake_all();
        let upload = guard.upload.take_waiting();
        let waiting = std::mem::take(&mut guard.waiting);
        let early = guard.give_up_early();
        drop(guard);
        self.wake_page(self.common.pages.forget(self.number));
        self.wake(woken);
        line.into_iter().chain(upload).chain(waiting).for_each(Waker::wake);
        let unknown = Err(HubError::Store { unknown: true });
        early.into_iter().for_each(|publishing| publishing.land(unknown));
    }
}
