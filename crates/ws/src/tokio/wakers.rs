//! Whom to wake when something was written.

use core::task::{Context, Waker};

/// Who polls. Split halves live in two tasks, but a stream remembers one writer only: the other one
/// is woken from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Reader,
    Writer,
}

/// The tasks that wait until something was written.
#[derive(Debug, Default)]
pub(super) struct Wakers {
    stream: Option<Waker>,
    sink: Option<Waker>,
}

impl Wakers {
    /// Remembers who waits; wakes the other one when the writing went through.
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
