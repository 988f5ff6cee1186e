//! A list that many threads fill and one task empties. It carries the readiness of thousands of
//! sockets, or news from other threads, without a task for each.

#[cfg(all(test, loom))]
mod loom_tests;

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::sync::{Mutex, MutexGuard};

/// A list that many threads fill and one task empties. The task is woken once for a whole list.
///
/// ```text
///   reactor ── wake(7) ──┐
///   reactor ── wake(3) ──┼──► [7, 3, 12] ── poll_take ──► the one task that owns sockets 3, 7 and 12
///   thread  ── push(12) ─┘
/// ```
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let inbox = std::sync::Arc::new(tidewire_server::Inbox::new());
/// let other = inbox.clone();
/// std::thread::spawn(move || [7, 3, 12].map(|number| other.push(number)));
///
/// let (mut all, mut items) = (Vec::new(), Vec::new());
/// while all.len() < 3 {
///     std::future::poll_fn(|cx| inbox.poll_take(cx, &mut items)).await;
///     all.append(&mut items);
/// }
/// assert_eq!(all, [7, 3, 12]);
/// # }
/// ```
#[derive(Debug)]
pub struct Inbox<T>(Arc<Mutex<State<T>>>);

#[derive(Debug)]
struct State<T> {
    items: Vec<T>,
    task: Option<Waker>,
}

impl<T> Inbox<T> {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Inbox(Arc::new(Mutex::new(State { items: Vec::new(), task: None })))
    }

    /// Appends an item. Wakes the task if the list was empty.
    pub fn push(&self, item: T) {
        let task = {
            let mut state = self.lock();
            state.items.push(item);
            if state.items.len() == 1 { state.task.take() } else { None }
        };
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Swaps the list with `items`, which must be empty. If the list is empty, registers the task
    /// and returns `Pending`.
    pub fn poll_take(&self, cx: &mut Context<'_>, items: &mut Vec<T>) -> Poll<()> {
        let mut state = self.lock();
        if state.items.is_empty() {
            match &mut state.task {
                Some(task) => task.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        std::mem::swap(&mut state.items, items);
        Poll::Ready(())
    }

    /// No code panics while it holds the lock, so a poisoned lock holds good data.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<T> Clone for Inbox<T> {
    fn clone(&self) -> Self {
        Inbox(self.0.clone())
    }
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl Inbox<u32> {
    /// A waker that puts `key` on the list. Give it to a socket's `poll_*_ready`. A key may appear
    /// twice, and after its socket is gone.
    #[must_use]
    pub fn waker(&self, key: u32) -> Waker {
        Waker::from(Arc::new(KeyWaker { key, inbox: self.clone() }))
    }
}

struct KeyWaker {
    key: u32,
    inbox: Inbox<u32>,
}

impl Wake for KeyWaker {
    fn wake(self: Arc<Self>) {
        self.inbox.push(self.key);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.inbox.push(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct WakeUps(AtomicUsize);

    impl Wake for WakeUps {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn one_wake_up_for_a_whole_list() {
        let wake_ups = Arc::new(WakeUps::default());
        let waker = Waker::from(wake_ups.clone());
        let mut cx = Context::from_waker(&waker);
        let inbox = Inbox::new();
        let mut keys = Vec::new();
        assert!(inbox.poll_take(&mut cx, &mut keys).is_pending());
        inbox.waker(7).wake();
        inbox.waker(3).wake_by_ref();
        assert_eq!(wake_ups.0.load(Ordering::Relaxed), 1);
        assert!(inbox.poll_take(&mut cx, &mut keys).is_ready());
        assert_eq!(keys, [7, 3]);
        keys.clear();
        assert!(inbox.poll_take(&mut cx, &mut keys).is_pending());
    }
}
