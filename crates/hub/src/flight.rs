//! A request to the store that is under way, for the one who waits for its outcome.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use crate::sync::{Mutex, MutexGuard};

/// A request under way. The store carries it out even if nobody waits for it any more.
pub(crate) struct Flight<T>(Mutex<State<T>>);

struct State<T> {
    outcome: Option<T>,
    waker: Option<Waker>,
    callback: Option<Box<dyn FnOnce(T) + Send>>,
}

impl<T: Clone> Flight<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Flight(Mutex::new(State { outcome: None, waker: None, callback: None })))
    }

    /// Gives the outcome and wakes the one who waits. The first outcome counts.
    pub(crate) fn land(&self, outcome: T) {
        let mut state = self.lock();
        if state.outcome.is_some() {
            return;
        }
        state.outcome = Some(outcome.clone());
        let (waker, callback) = (state.waker.take(), state.callback.take());
        drop(state);
        if let Some(callback) = callback {
            callback(outcome);
        }
        waker.into_iter().for_each(Waker::wake);
    }

    /// Runs this with the outcome: at once if it is there, otherwise where it is given.
    pub(crate) fn then(&self, callback: impl FnOnce(T) + Send + 'static) {
        let mut state = self.lock();
        let Some(outcome) = state.outcome.clone() else {
            state.callback = Some(Box::new(callback));
            return;
        };
        drop(state);
        callback(outcome);
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

    pub(crate) fn has_landed(&self) -> bool {
        self.lock().outcome.is_some()
    }

    pub(crate) async fn wait(&self) -> T {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<T> fmt::Debug for Flight<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flight(_)")
    }
}

/// Bytes of messages for which the store has not answered, or whose place the window does not know
/// yet. They stay in memory when their publishers leave, so there is a limit for all channels
/// together: a store that does not answer must not fill the memory.
pub(crate) const MAX_FLYING: usize = 64 * 1024 * 1024;

/// The bytes of all messages that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Flying(AtomicUsize);

impl Flying {
    pub(crate) fn is_full(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= MAX_FLYING
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The bytes of one append that the window cannot take yet.
#[derive(Debug)]
pub(crate) struct Freight {
    flying: Arc<Flying>,
    bytes: usize,
}

impl Freight {
    /// Takes over bytes that were [added](Flying::add). Dropping it removes them.
    pub(crate) fn new(flying: &Arc<Flying>, bytes: usize) -> Self {
        Freight { flying: flying.clone(), bytes }
    }
}

impl Drop for Freight {
    fn drop(&mut self) {
        self.flying.remove(self.bytes);
    }
}

/// The outcome of a future that is ready, as it is with a store that answers at once.
#[cfg(test)]
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("the store answers later"),
    }
}
