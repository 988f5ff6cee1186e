//! What a store answers: at once, or later.
//!
//! ```text
//!   store ── Answer::Now(value) ───────────────────────────────► hub: goes on, nothing allocated
//!
//!   store ── Answer::Later(later) ─► hub: awaits it, or then(callback)
//!     └───── responder.answer(value) ─► wakes the task, or runs the callback on this thread
//!            responder dropped ───────► the same with None: nobody knows what happened
//! ```
//!
//! It names no runtime: a store answers from a thread of its own, or from any task.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// The answer of a store to a request.
///
/// As a future, it returns `None` if the store has dropped its [`Responder`]: nobody knows whether
/// the request was carried out.
///
/// ```
/// use tidewire_store::{Answer, later};
///
/// let now = Answer::Now(7);
/// assert_eq!(now.now().ok(), Some(7));
///
/// let (responder, later) = later();
/// let answer = Answer::Later(later).map(|n: u32| n + 1);
/// let (tell, told) = std::sync::mpsc::channel();
/// answer.then(move |value| tell.send(value).expect("the receiver lives"));
/// responder.answer(7); // runs the callback
/// assert_eq!(told.recv(), Ok(Some(8)));
/// ```
#[derive(Debug)]
#[must_use = "an answer that nobody looks at may be a failure"]
pub enum Answer<T> {
    /// The request is done.
    Now(T),
    /// The request is under way.
    Later(Later<T>),
}

impl<T> Answer<T> {
    /// Returns the answer if it is there.
    ///
    /// # Errors
    /// The store answers later.
    pub fn now(self) -> Result<T, Later<T>> {
        match self {
            Self::Now(value) => Ok(value),
            Self::Later(later) => later.now(),
        }
    }

    /// Waits for the answer and blocks the thread meanwhile: for tests and programs without tasks.
    pub fn wait(self) -> Option<T> {
        let later = match self.now() {
            Ok(value) => return Some(value),
            Err(later) => later,
        };
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let (mut later, mut cx) = (later, Context::from_waker(&waker));
        loop {
            match Pin::new(&mut later).poll(&mut cx) {
                Poll::Ready(value) => return value,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

impl<T: Send + 'static> Answer<T> {
    /// Runs `callback` with the answer: at once if it is there, otherwise on the thread that
    /// answers. `None` means that nobody knows what happened.
    pub fn then(self, callback: impl FnOnce(Option<T>) + Send + 'static) {
        match self {
            Self::Now(value) => callback(Some(value)),
            Self::Later(later) => later.then(callback),
        }
    }

    /// Changes the value of the answer.
    pub fn map<U: Send + 'static>(self, change: impl FnOnce(T) -> U + Send + 'static) -> Answer<U> {
        match self.now() {
            Ok(value) => Answer::Now(change(value)),
            Err(old) => {
                let (responder, new) = later();
                old.then(move |value| match value {
                    Some(value) => responder.answer(change(value)),
                    None => drop(responder),
                });
                Answer::Later(new)
            }
        }
    }

    /// Passes the answer on to a responder, when it is there. For a store that asks another one.
    pub fn pass_to(self, responder: Responder<T>) {
        self.then(move |value| match value {
            Some(value) => responder.answer(value),
            None => drop(responder),
        });
    }
}

impl<T> From<T> for Answer<T> {
    fn from(value: T) -> Self {
        Self::Now(value)
    }
}

// No value is pinned.
impl<T> Unpin for Answer<T> {}

impl<T> Future for Answer<T> {
    type Output = Option<T>;

    /// Returns `None` if it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Self::Later(later) = &mut *self {
            return Pin::new(later).poll(cx);
        }
        match mem::replace(&mut *self, Self::Later(Later(None))) {
            Self::Now(value) => Poll::Ready(Some(value)),
            Self::Later(_) => Poll::Ready(None),
        }
    }
}

/// A value that a store will give. Dropping it cancels nothing: the store carries the request out.
pub struct Later<T>(Option<Arc<Shared<T>>>);

/// Gives the value of a [`Later`]. Dropping it without an answer tells that nobody knows what
/// happened.
#[must_use = "dropping it answers that nobody knows what happened"]
pub struct Responder<T>(Option<Arc<Shared<T>>>);

/// Returns the two ends of an answer that comes later.
pub fn later<T>() -> (Responder<T>, Later<T>) {
    let shared = Arc::new(Shared(Mutex::new(State::Waiting(None))));
    (Responder(Some(shared.clone())), Later(Some(shared)))
}

struct Shared<T>(Mutex<State<T>>);

enum State<T> {
    /// Nobody has answered. Holds the task that waits.
    Waiting(Option<Waker>),
    /// Nobody has answered. The answer goes to the callback.
    Callback(Box<dyn FnOnce(Option<T>) + Send>),
    /// The answer, or `None` if the responder was dropped.
    Answered(Option<T>),
}

impl<T> Shared<T> {
    /// No code of others runs while the lock is held, so the data behind a poisoned lock is good.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn answer(&self, value: Option<T>) {
        let mut state = self.lock();
        match mem::replace(&mut *state, State::Answered(None)) {
            State::Callback(callback) => {
                drop(state);
                callback(value);
            }
            State::Waiting(waker) => {
                *state = State::Answered(value);
                drop(state);
                waker.into_iter().for_each(Waker::wake);
            }
            State::Answered(_) => {}
        }
    }
}

impl<T> Responder<T> {
    /// Answers. Runs the callback of [`Later::then`] on this thread, so hold no lock that the
    /// callback may want.
    pub fn answer(mut self, value: T) {
        if let Some(shared) = self.0.take() {
            shared.answer(Some(value));
        }
    }
}

impl<T> Drop for Responder<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.answer(None);
        }
    }
}

impl<T> Later<T> {
    /// Returns the answer if it is there.
    ///
    /// # Errors
    /// It is not there yet, or the responder was dropped: then the future is ready with `None`.
    pub fn now(self) -> Result<T, Self> {
        let Some(shared) = &self.0 else { return Err(self) };
        let taken = match &mut *shared.lock() {
            State::Answered(value) => value.take(),
            _ => None,
        };
        taken.ok_or(self)
    }
}

impl<T: Send + 'static> Later<T> {
    /// Runs `callback` with the answer: at once if it is there, otherwise on the thread that
    /// answers. `None` means that nobody knows what happened.
    pub fn then(mut self, callback: impl FnOnce(Option<T>) + Send + 'static) {
        let Some(shared) = self.0.take() else { return callback(None) };
        let value = {
            let mut state = shared.lock();
            match &mut *state {
                State::Answered(value) => value.take(),
                _ => {
                    let before = mem::replace(&mut *state, State::Callback(Box::new(callback)));
                    drop(state);
                    // A waker runs code of others when it is dropped.
                    drop(before);
                    return;
                }
            }
        };
        callback(value);
    }
}

impl<T> Future for Later<T> {
    type Output = Option<T>;

    /// Returns `None` if it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(shared) = &self.0 else { return Poll::Ready(None) };
        // A waker runs code of others when it is cloned or dropped: not while the lock is held.
        let waker = cx.waker().clone();
        let mut state = shared.lock();
        let value = match &mut *state {
            State::Answered(value) => value.take(),
            State::Waiting(waiting) => {
                let before = waiting.replace(waker);
                drop(state);
                drop(before);
                return Poll::Pending;
            }
            // `then` consumes the Later, so it is not polled afterwards.
            State::Callback(_) => return Poll::Pending,
        };
        drop(state);
        self.0 = None;
        Poll::Ready(value)
    }
}

impl<T> fmt::Debug for Later<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Later(_)")
    }
}

impl<T> fmt::Debug for Responder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Responder(_)")
    }
}

/// Wakes a thread.
struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::task::Wake;
    use std::thread;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_task_is_woken_once_with_the_answer() {
        let (responder, mut later) = later();
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let mut cx = Context::from_waker(&waker);
        assert_eq!(Pin::new(&mut later).poll(&mut cx), Poll::Pending);
        assert_eq!(Pin::new(&mut later).poll(&mut cx), Poll::Pending);
        responder.answer(7);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(Pin::new(&mut later).poll(&mut cx), Poll::Ready(Some(7)));
        assert_eq!(Pin::new(&mut later).poll(&mut cx), Poll::Ready(None), "the value is taken");
    }

    #[test]
    fn a_callback_gets_the_answer_whichever_comes_first() {
        let (tell, told) = mpsc::channel();
        for callback_first in [true, false] {
            let tell = tell.clone();
            let (responder, later) = later();
            let callback = move |value| tell.send(value).unwrap();
            if callback_first {
                later.then(callback);
                responder.answer(7);
            } else {
                responder.answer(7);
                later.then(callback);
            }
            assert_eq!(told.try_recv(), Ok(Some(7)), "at once");
        }
    }

    #[test]
    fn a_dropped_responder_is_an_unknown_outcome() {
        let (responder, before) = later::<u32>();
        drop(responder);
        assert_eq!(Answer::Later(before).wait(), None);
        let (responder, after) = later::<u32>();
        let (tell, told) = mpsc::channel();
        Answer::Later(after).map(|n| n + 1).then(move |value| tell.send(value).unwrap());
        drop(responder);
        assert_eq!(told.try_recv(), Ok(None));
    }

    #[test]
    fn a_dropped_later_cancels_nothing_and_a_thread_may_wait() {
        let (responder, dropped) = later();
        drop(dropped);
        responder.answer(7);
        let (responder, waited) = later();
        let answers = thread::spawn(move || responder.answer(8));
        assert_eq!(Answer::Later(waited).wait(), Some(8));
        answers.join().unwrap();
    }

    #[test]
    fn an_answer_that_is_there_is_ready() {
        let mut answer = Answer::Now(7);
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(Pin::new(&mut answer).poll(&mut cx), Poll::Ready(Some(7)));
        assert_eq!(Pin::new(&mut answer).poll(&mut cx), Poll::Ready(None));
        let (responder, given) = later();
        responder.answer(9);
        assert_eq!(given.now().ok(), Some(9));
    }
}
