//! The tasks to wake after a write.

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
}

impl Wakers {
    /// Remembers the task of a half that waits. Wakes the other half after a complete write.
    pub(super) fn note(&mut self, cx: &Context<'_>, half: Half, pending: bool) {
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
