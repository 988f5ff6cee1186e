//! The tasks to wake after a write.

use super::waiting::Waiting;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::task::{Context, Waker};

/// The half that polls. Two halves can be in two tasks, but a stream remembers only one writer. The
/// other task is woken from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Reader,
    Writer,
}

/// The tasks that wait for a write.
#[derive(Debug, Default)]
pub(super) struct Wakers {
    stream: Option<Waker>,
    sink: Option<Waker>,
    /// After `split`: the tasks of the reader and of all writers. Then the two above are not used.
    shared: Option<(Arc<Waiting>, Waker)>,
}

impl Wakers {
    /// After `split`, `waiting` has the tasks to wake.
    pub(super) fn share(&mut self, waiting: Option<Arc<Waiting>>) {
        let shared = waiting.map(|waiting| (waiting.clone(), waiting.into()));
        *self = Self { stream: None, sink: None, shared };
    }

    pub(super) const fn are_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Returns the waker for the stream, if it must wake both halves. The stream remembers only the
    /// task that polled last. That task may then wait for something else, and never poll again.
    pub(super) fn of_both(&self, cx: &Context<'_>, half: Half) -> Option<Waker> {
        if let Some((waiting, waker)) = &self.shared {
            waiting.arm();
            return Some(waker.clone());
        }
        let other = match half {
            Half::Reader => &self.sink,
            Half::Writer => &self.stream,
        };
        let other = other.as_ref().filter(|other| !other.will_wake(cx.waker()))?;
        Some(Arc::new(Both(cx.waker().clone(), other.clone())).into())
    }

    /// Wakes all that wait, after the stream has failed.
    pub(super) fn wake_all(&mut self) {
        for waker in [self.stream.take(), self.sink.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    /// Remembers the task of a half that waits. Wakes the other half after a complete write.
    pub(super) fn note(&mut self, cx: &Context<'_>, half: Half, pending: bool) {
        if let Some((waiting, _)) = &self.shared {
            if !pending {
                waiting.disarm();
            }
            return;
        }
        let (own, other) = match half {
            Half::Reader => (&mut self.stream, &mut self.sink),
            Half::Writer => (&mut self.sink, &mut self.stream),
        };
        if pending {
            match own {
                Some(waker) => waker.clone_from(cx.waker()),
                None => *own = Some(cx.waker().clone()),
            }
        } else {
            *own = None;
            if let Some(waker) = other.take() {
                waker.wake();
            }
        }
    }
}

struct Both(Waker, Waker);

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
        self.1.wake_by_ref();
    }
}
