//! Deadlines of connection tasks. Setting one is a store into a cell; one sweep for each worker
//! looks at all of them a few times in the shortest time-out. A timer of the runtime for each read
//! would cost more than the read.
//!
//! They count the time in which the worker *ran*. A process can be stopped (SIGSTOP, a debugger,
//! `docker pause`, a machine that sleeps), and a busy machine can keep a worker from running. Its
//! clients do not know that, and what they sent waits in the sockets. A sweep that comes late shows
//! it:
//!
//! ```text
//!   clock     ──┬───────┬───────┬──────────────────────┬───────┬──
//!   sweep       due     due     due      (stopped)      late    due
//!   ran time  ──┬───────┬───────┬──stands still────────┬───────┬──
//! ```
//!
//! So a stop moves every deadline by its length, to within one interval of the sweep. The socket is
//! always read before a deadline is judged: only a client whose bytes are missing can be late.
//! After SIGCONT the runtime runs its timers before it asks the kernel about sockets. So a late
//! sweep ends no connection; the next one does.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

/// All deadlines of a worker.
#[derive(Debug)]
pub(crate) struct Deadlines {
    slots: RefCell<Slab<Rc<Slot>>>,
    /// Between two sweeps.
    every: Duration,
    /// When the next sweep is to come.
    due: Cell<Instant>,
    /// Time in which the worker did not run.
    not_run: Cell<Duration>,
    /// The last sweep was late and ended no connection. Never two in a row: an overloaded
    /// worker would never end one.
    skipped: Cell<bool>,
}

#[derive(Debug, Default)]
struct Slot {
    /// In the time that the worker ran.
    at: Cell<Option<Instant>>,
    expired: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Deadlines {
    pub(crate) fn new(every: Duration) -> Rc<Self> {
        let due = Cell::new(Instant::now() + every);
        Rc::new(Deadlines {
            slots: RefCell::default(),
            every,
            due,
            not_run: Cell::default(),
            skipped: Cell::default(),
        })
    }

    pub(crate) fn register(self: &Rc<Self>) -> Deadline {
        let slot = Rc::new(Slot::default());
        let key = self.slots.borrow_mut().insert(slot.clone());
        Deadline { slot, key, all: self.clone() }
    }

    /// When to call [`sweep`](Self::sweep) next.
    pub(crate) fn due(&self) -> Instant {
        self.due.get()
    }

    /// Marks and wakes what is overdue.
    pub(crate) fn sweep(&self) {
        self.sweep_at(Instant::now());
    }

    fn sweep_at(&self, clock: Instant) {
        let late = clock.saturating_duration_since(self.due.get());
        self.not_run.set(self.not_run.get() + late);
        self.due.set(clock + self.every);
        self.skipped.set(late >= self.every && !self.skipped.get());
        if self.skipped.get() {
            return;
        }
        let now = self.ran_at(clock);
        for (_, slot) in self.slots.borrow().iter() {
            if slot.at.get().is_some_and(|at| at <= now) {
                slot.expired.set(true);
                slot.wake();
            }
        }
    }

    /// The clock, less the time in which the worker did not run.
    fn now(&self) -> Instant {
        self.ran_at(Instant::now())
    }

    fn ran_at(&self, clock: Instant) -> Instant {
        let clock = clock.min(self.due.get());
        clock.checked_sub(self.not_run.get()).unwrap_or(clock)
    }

    /// Wakes every connection that waits, so that it sees that the worker is draining.
    pub(crate) fn wake_all(&self) {
        for (_, slot) in self.slots.borrow().iter() {
            slot.wake();
        }
    }
}

impl Slot {
    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// The deadline of one connection.
#[derive(Debug)]
pub(crate) struct Deadline {
    slot: Rc<Slot>,
    key: usize,
    all: Rc<Deadlines>,
}

impl Deadline {
    /// The time in which the worker ran: for what is compared with a deadline.
    pub(crate) fn now(&self) -> Instant {
        self.all.now()
    }

    /// Sets it, and says what time it is.
    pub(crate) fn set(&self, after: Duration) -> Instant {
        let now = self.now();
        self.slot.at.set(now.checked_add(after));
        self.slot.expired.set(false);
        now
    }

    /// It has passed.
    pub(crate) fn expire(&self) {
        self.slot.expired.set(true);
    }

    pub(crate) fn clear(&self) {
        self.slot.at.set(None);
        self.slot.expired.set(false);
    }

    /// Whether the deadline has passed; if not, the task is woken when it does.
    pub(crate) fn expired(&self, cx: &mut Context<'_>) -> bool {
        if self.slot.expired.get() {
            return true;
        }
        let mut waker = self.slot.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        false
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.all.slots.borrow_mut().remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_deadline_moves_by_the_time_in_which_the_worker_did_not_run() {
        let deadlines = Deadlines::new(MINUTE);
        let deadline = deadlines.register();
        let mut cx = Context::from_waker(Waker::noop());
        deadline.set(MINUTE * 5 / 2);
        let continued = deadlines.due() + MINUTE * 1000;
        // It ran for one minute before the stop; two more, and a half of one is too much.
        for (minute, expired) in [(0, false), (1, false), (2, true)] {
            deadlines.sweep_at(continued + MINUTE * minute);
            assert_eq!(deadline.expired(&mut cx), expired, "minute {minute} after the stop");
        }
    }

    #[test]
    fn a_late_sweep_ends_no_connection_and_the_next_one_does() {
        let deadlines = Deadlines::new(MINUTE);
        let deadline = deadlines.register();
        let mut cx = Context::from_waker(Waker::noop());
        deadline.set(MINUTE / 2);
        deadlines.sweep_at(deadlines.due() + MINUTE);
        assert!(!deadline.expired(&mut cx), "what has come may not be known yet");
        // However late all sweeps are, a client gains no more than one of them.
        deadlines.sweep_at(deadlines.due() + MINUTE);
        assert!(deadline.expired(&mut cx));
    }

    #[test]
    fn the_time_stands_still_until_a_late_sweep_comes() {
        let deadlines = Deadlines::new(Duration::from_secs(3600));
        let deadline = deadlines.register();
        deadlines.due.set(Instant::now());
        let (first, second) = (deadline.now(), deadline.now());
        assert_eq!(first, second, "what is set now is not set too late");
    }
}
