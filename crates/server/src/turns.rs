//! Turns: whatever a connection sends, it does not occupy its worker for long.
//!
//! ```text
//!   poll of a task ──► first check of the clock: the turn begins ──► work ──► check ──► work ──► check: over
//!                                                                                                  │
//!   next poll: the next turn ◄── other tasks and the sockets ◄── pause ◄───────────────────────────┘
//! ```
//!
//! Some loops of a connection run as often as the peer wants. Such a loop checks the clock after
//! each step. The check costs little compared with a step (a request, a system call). If a read
//! brings one request, there is only one check, and its result is also used as the time of the
//! request.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// One round: the sum of one turn of each task that has more work. Another connection waits for one
/// round, and for the last step of each turn.
const ROUND: Duration = Duration::from_millis(2);

/// The shortest turn, however many tasks wait. It is much longer than a switch of tasks takes.
const MIN_TURN: Duration = Duration::from_micros(50);

/// The turns of one worker. A worker polls one task at a time, so there is one present turn.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// When the present turn ends. `None` until the first check of the clock. The end is kept, and
    /// not the begin, because to compare two times is cheaper than to subtract them.
    end: Cell<Option<Instant>>,
    /// Tasks that wait for their next turn.
    waiting: Cell<u32>,
}

impl Turns {
    /// Returns whether the turn of the present task is over at `now`. The first check begins the
    /// turn.
    #[inline]
    pub(crate) fn is_over_at(&self, now: Instant) -> bool {
        match self.end.get() {
            Some(end) => now >= end,
            None => {
                self.end.set(Some(now + self.length()));
                false
            }
        }
    }

    /// Returns whether the turn of the present task is over now.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.is_over_at(Instant::now())
    }

    /// Waits for the next turn.
    pub(crate) async fn pause(&self) {
        let _waiting = Waiting::new(&self.waiting);
        tokio::task::yield_now().await;
    }

    /// Ends the turn of a task that returns `Pending` next, and wakes it for its next turn.
    pub(crate) fn end(cx: &mut Context<'_>) {
        // The first poll leaves the waker with the runtime. The runtime wakes it after all other
        // tasks have had a turn and the sockets were checked. A wake-up here could leave the
        // sockets unchecked for many turns.
        let _ = pin!(tokio::task::yield_now()).poll(cx);
    }

    /// The length of a turn that begins now.
    #[inline]
    fn length(&self) -> Duration {
        match self.waiting.get() {
            0 => ROUND,
            waiting => (ROUND / (waiting + 1)).max(MIN_TURN),
        }
    }
}

/// Counts as one waiting task until it is dropped.
struct Waiting<'a>(&'a Cell<u32>);

impl<'a> Waiting<'a> {
    fn new(count: &'a Cell<u32>) -> Self {
        count.set(count.get() + 1);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A task that works in turns: each poll of it can be one.
#[derive(Debug)]
pub(crate) struct InTurns<F> {
    turns: Rc<Turns>,
    task: Pin<Box<F>>,
}

impl<F> InTurns<F> {
    pub(crate) fn new(turns: Rc<Turns>, task: F) -> Self {
        InTurns { turns, task: Box::pin(task) }
    }
}

impl<F: Future> Future for InTurns<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.turns.end.set(None);
        self.task.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_begins_at_the_first_check_of_a_poll() {
        let turns = Rc::new(Turns::default());
        let start = Instant::now();
        let mut task = InTurns::new(turns.clone(), std::future::pending::<()>());
        for poll in 0..3 {
            let begun = start + 10 * ROUND * poll;
            let mut cx = Context::from_waker(std::task::Waker::noop());
            assert!(Pin::new(&mut task).poll(&mut cx).is_pending());
            let over = |after| turns.is_over_at(begun + after);
            assert!(!over(Duration::ZERO) && !over(ROUND / 2) && over(ROUND), "poll {poll}");
        }
    }

    #[test]
    fn waiting_tasks_share_a_round() {
        let turns = Turns::default();
        let waiting: Vec<Waiting<'_>> = (0..9).map(|_| Waiting::new(&turns.waiting)).collect();
        assert_eq!(turns.length(), ROUND / 10);
        turns.waiting.set(u32::MAX / 2);
        assert_eq!(turns.length(), MIN_TURN);
        turns.waiting.set(9);
        drop(waiting);
        assert_eq!(turns.length(), ROUND);
    }
}
