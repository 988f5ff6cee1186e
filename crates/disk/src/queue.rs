//! The queue of the writer.

use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidewire_store::Failed;

use crate::request::Request;

/// What waits for the writer.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<Request>,
    stop: Option<Stop>,
    /// Whether the writer waits for the bell.
    is_asleep: bool,
}

/// How the writer stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// In order: what waits is carried out, and the database is told that nothing is lost.
    Close,
    /// As if the process ended now. For tests.
    Abandon,
}

impl Queue {
    /// Adds a request. If the writer has stopped, the answer says so.
    pub(crate) fn push(&self, request: Request) {
        let mut state = self.lock();
        if state.stop.is_some() {
            drop(state);
            return request.refuse(&Failed::clean("the store is closed"));
        }
        state.requests.push(request);
        self.wake(state);
    }

    /// Lets the writer stop.
    pub(crate) fn stop(&self, stop: Stop) {
        let mut state = self.lock();
        state.stop.get_or_insert(stop);
        self.wake(state);
    }

    /// The writer has ended. Returns what waits for it.
    pub(crate) fn stop_now(&self) -> Vec<Request> {
        let mut state = self.lock();
        state.stop.get_or_insert(Stop::Abandon);
        mem::take(&mut state.requests)
    }

    /// Whether something waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().requests.is_empty()
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let was_asleep = mem::take(&mut state.is_asleep);
        drop(state);
        if was_asleep {
            self.bell.notify_one();
        }
    }

    /// Moves what waits to `requests`, which is empty. If nothing waits, waits until something
    /// does, or for `patience` at most. Returns how the writer is to stop, after these requests.
    pub(crate) fn take(&self, requests: &mut Vec<Request>, patience: Option<Duration>) -> Option<Stop> {
        let mut state = self.lock();
        while state.requests.is_empty() && state.stop.is_none() {
            state.is_asleep = true;
            let Some(patience) = patience else {
                state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if !patience.is_zero() {
                let waited = self.bell.wait_timeout(state, patience);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            break;
        }
        state.is_asleep = false;
        mem::swap(&mut state.requests, requests);
        state.stop
    }

    /// No code of others runs while the lock is held, so the data behind a poisoned lock is good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
