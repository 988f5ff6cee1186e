//! A request to the store that is under way, for the one who waits for its outcome.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::sync::{Mutex, MutexGuard};

/// A request under way. The store carries it out even if nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Flight<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    outcome: Option<T>,
    waker: Option<Waker>,
}

impl<T: Clone> Flight<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Flight(Mutex::new(State { outcome: None, waker: None })))
    }

    /// Gives the outcome and wakes the one who waits. The first outcome counts.
    pub(crate) fn land(&self, outcome: T) {
        let mut state = self.lock();
        if state.outcome.is_none() {
            state.outcome = Some(outcome);
        }
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<T> {
        let mut state = self.lock();
        if let Some(outcome) = &state.outcome {
            return Poll::Ready(outcome.clone());
        }
        let before = state.waker.replace(cx.waker().clone());
        drop(state);
        drop(before);
        Poll::Pending
    }

    pub(crate) async fn wait(&self) -> T {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
