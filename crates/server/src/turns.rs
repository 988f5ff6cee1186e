//! Turns: no connection keeps its worker from the others for long, whatever it sends.
//!
//! ```text
//!   poll of a task ──► first look at the clock: the turn begins ──► work ──► look ──► work ──► look: over
//!                                                                                               │
//!   poll of it: the next turn ◄── all others, and what the sockets say ◄── pause ◄──────────────┘
//! ```
//!
//! Each loop of a connection whose length the peer decides looks at the clock after each of its
//! steps. Beside what a step costs (a request, a system call) that is little. A connection with
//! one request in a read looks no more often than it did for the time of the request.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// All turns of those that are not done with their work, together. Another connection waits for so
/// long, and for the last steps of each turn.
const ROUND: Duration = Duration::from_millis(2);

/// The shortest turn, however many wait for the next one: much longer than it takes to get there.
const MIN_TURN: Duration = Duration::from_micros(50);

/// The turns of one worker. It polls one task at a time, so there is one present turn.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// When the present one is over; nobody has looked at the clock before. Kept in place of its
    /// begin: to compare two times is cheaper than to subtract them.
    end: Cell<Option<Instant>>,
    /// Tasks that wait for their next turn.
    waiting: Cell<u32>,
}

impl Turns {
    /// Whether the turn of the task that is polled is over. The first look begins it.
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

    /// The same now.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.is_over_at(Instant::now())
    }

    /// Waits for the next turn.
    pub(crate) async fn pause(&self) {
        let _waiting = Waiting::new(&self.waiting);
        tokio::task::yield_now().await;
    }

    /// The same where a task is polled and returns `Pending` next: it is woken for its next turn.
    pub(crate) fn end(cx: &mut Context<'_>) {
        // The first poll leaves the waker with the runtime. It is woken when all others had a turn
        // and the sockets were asked; to wake it here could leave the sockets unasked for many
        // turns.
        let _ = pin!(tokio::task::yield_now()).poll(cx);
    }

    /// How long a turn is that begins now.
    #[inline]
    fn length(&self) -> Duration {
        match self.waiting.get() {
            0 => ROUND,
            waiting => (ROUND / (waiting + 1)).max(MIN_TURN),
        }
    }
}

/// One more that waits, until it is dropped.
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
    fn a_turn_begins_at_the_first_look_of_a_poll() {
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
    fn those_that_wait_share_a_round() {
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
