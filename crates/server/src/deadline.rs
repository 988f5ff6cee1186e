//! Deadlines of connection tasks. Setting a deadline only stores a value in a cell. A sweep in each
//! worker checks all deadlines, about four times within the shortest time-out (see
//! `Limits::sweep_interval`). A timer of the runtime for each read would cost more than the read.
//!
//! Deadlines count only the time in which the worker *ran*. A process can be stopped (SIGSTOP, a
//! debugger, `docker pause`, a machine that sleeps), and a busy machine can keep a worker from
//! running. The clients do not know that, and the bytes that they sent wait in the sockets. A sweep
//! that comes late shows that the worker did not run:
//!
//! ```text
//!   clock     ──┬───────┬───────┬──────────────────────┬───────┬──
//!   sweep       due     due     due      (stopped)      late    due
//!   ran time  ──┬───────┬───────┬──stands still────────┬───────┬──
//! ```
//!
//! So a stop moves every deadline by the length of the stop, to within one interval of the sweep. A
//! connection always reads its socket before it checks a deadline: a client is late only if its
//! bytes are missing. After SIGCONT the runtime runs its timers before it asks the kernel about
//! sockets. So a late sweep ends no connection. The next sweep does.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

/// All deadlines of a worker.
#[derive(Debug)]
pub(crate) struct Deadlines {
    slots: RefCell<Slab<Rc<Slot>>>,
    /// The time between two sweeps.
    every: Duration,
    /// When the next sweep should run.
    due: Cell<Instant>,
    /// Time in which the worker did not run.
    not_run: Cell<Duration>,
    /// The last sweep was late and ended no connection. Two sweeps in a row are never skipped.
    /// Otherwise an overloaded worker would never end a connection.
    skipped: Cell<bool>,
}

#[derive(Debug, Default)]
struct Slot {
    /// The deadline, in the time in which the worker ran.
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

    /// Marks and wakes the connections that are late, some at a time. Between two steps other tasks
    /// run.
    pub(crate) async fn sweep(&self) {
        let Some(now) = self.begin_sweep(Instant::now()) else { return };
        let mut next = Some(0);
        while let Some(first) = next {
            next = self.walk(first, |slot| slot.expire_if_late(now));
            if next.is_some() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// The time to compare deadlines with. `None`: this sweep ends no connection.
    fn begin_sweep(&self, clock: Instant) -> Option<Instant> {
        let late = clock.saturating_duration_since(self.due.get());
        self.not_run.set(self.not_run.get() + late);
        self.due.set(clock + self.every);
        self.skipped.set(late >= self.every && !self.skipped.get());
        (!self.skipped.get()).then(|| self.ran_at(clock))
    }

    /// Calls `visit` for the slots from `first` on, until it has visited [`MAX_VISITS`] of them or
    /// `visit` has woken [`MAX_WAKES`]. Returns the slot to continue with.
    fn walk(&self, first: usize, visit: impl Fn(&Slot) -> bool) -> Option<usize> {
        let slots = self.slots.borrow();
        let end = slots.capacity().min(first + MAX_VISITS);
        let mut woken = 0;
        for key in first..end {
            woken += usize::from(slots.get(key).is_some_and(|slot| visit(slot)));
            if woken == MAX_WAKES {
                return Some(key + 1);
            }
        }
        (end < slots.capacity()).then_some(end)
    }

    /// The clock, less the time in which the worker did not run.
    fn now(&self) -> Instant {
        self.ran_at(Instant::now())
    }

    fn ran_at(&self, clock: Instant) -> Instant {
        let clock = clock.min(self.due.get());
        clock.checked_sub(self.not_run.get()).unwrap_or(clock)
    }

    /// Wakes every connection that waits, some at a time, so that each sees that the worker drains.
    pub(crate) async fn wake_all(&self) {
        let mut next = Some(0);
        while let Some(first) = next {
            next = self.walk(first, Slot::wake);
            if next.is_some() {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// The largest number of slots in one step of a sweep: some hundred microseconds if none is in the
/// CPU's cache.
const MAX_VISITS: usize = 4096;

/// The largest number of connections that one step wakes. Clients can make thousands of connections
/// late at one moment, and each makes system calls when it is woken: 64 take about a millisecond.
const MAX_WAKES: usize = 64;

impl Slot {
    /// Marks and wakes the connection if it is late. Returns whether it did.
    fn expire_if_late(&self, now: Instant) -> bool {
        let is_late = self.at.get().is_some_and(|at| at <= now);
        if is_late {
            self.expired.set(true);
            self.wake();
        }
        is_late
    }

    /// Wakes the task that waits, if there is one. Returns whether there was.
    fn wake(&self) -> bool {
        let waker = self.waker.borrow_mut().take();
        let waits = waker.is_some();
        if let Some(waker) = waker {
            waker.wake();
        }
        waits
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
    /// The time in which the worker ran. Use it for everything that is compared with a deadline.
    pub(crate) fn now(&self) -> Instant {
        self.all.now()
    }

    /// Sets the deadline `after` from now. Returns the present time.
    pub(crate) fn set(&self, after: Duration) -> Instant {
        let now = self.now();
        self.slot.at.set(now.checked_add(after));
        self.slot.expired.set(false);
        now
    }

    /// Lets the deadline pass now.
    pub(crate) fn expire(&self) {
        self.slot.expired.set(true);
    }

    pub(crate) fn clear(&self) {
        self.slot.at.set(None);
        self.slot.expired.set(false);
    }

    /// Returns whether the deadline has passed. If it has not, the task is woken when it does.
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
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    impl Deadlines {
        /// A whole sweep, without a runtime.
        fn sweep_at(&self, clock: Instant) {
            let Some(now) = self.begin_sweep(clock) else { return };
            let mut next = Some(0);
            while let Some(first) = next {
                next = self.walk(first, |slot| slot.expire_if_late(now));
            }
        }
    }

    #[test]
    fn a_deadline_is_extended_by_the_time_the_worker_did_not_run() {
        let deadlines = Deadlines::new(MINUTE);
        let deadline = deadlines.register();
        let mut cx = Context::from_waker(Waker::noop());
        deadline.set(MINUTE * 5 / 2);
        let continued = deadlines.due() + MINUTE * 1000;
        // The worker ran for one minute before the stop. The deadline is 2.5 minutes.
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
        assert!(!deadline.expired(&mut cx), "the runtime may not know yet what the sockets hold");
        // However late all sweeps are, a client gains no more than one sweep.
        deadlines.sweep_at(deadlines.due() + MINUTE);
        assert!(deadline.expired(&mut cx));
    }

    /// Counts the tasks that are woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Runs `between` after each step of `sweep`, where a runtime would run other tasks.
    fn steps(sweep: impl Future<Output = ()>, mut between: impl FnMut()) {
        let mut sweep = pin!(sweep);
        while sweep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            between();
        }
        between();
    }

    #[test]
    fn one_step_wakes_few_connections_however_many_are_late() {
        let deadlines = Deadlines::new(Duration::from_secs(3600));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let all: Vec<Deadline> = (0..10 * MAX_WAKES).map(|_| deadlines.register()).collect();
        let wait = || {
            for deadline in &all {
                deadline.set(Duration::ZERO);
                deadline.expired(&mut Context::from_waker(&waker));
            }
        };
        let at_most_some_more = || {
            let last = woken.0.load(Ordering::Relaxed);
            let mut before = last;
            let woken = woken.clone();
            move || {
                let now = woken.0.load(Ordering::Relaxed);
                assert!(now - before <= MAX_WAKES, "{} in one step", now - before);
                before = now;
            }
        };
        wait();
        steps(deadlines.sweep(), at_most_some_more());
        assert_eq!(woken.0.load(Ordering::Relaxed), all.len());
        assert!(all.iter().all(|deadline| deadline.slot.expired.get()));
        wait();
        steps(deadlines.wake_all(), at_most_some_more());
        assert_eq!(woken.0.load(Ordering::Relaxed), 2 * all.len());
    }

    #[test]
    fn a_sweep_goes_on_while_connections_come_and_go() {
        let deadlines = Deadlines::new(Duration::from_secs(3600));
        let mut all: Vec<Option<Deadline>> =
            (0..3 * MAX_VISITS).map(|_| Some(deadlines.register())).collect();
        let mut between = 0;
        for deadline in all.iter().flatten() {
            deadline.set(Duration::ZERO);
        }
        let late = all.len();
        steps(deadlines.sweep(), || {
            between += 1;
            // The connection with the highest number ends, and one comes that is not late.
            all[late - between] = None;
            all.push(Some(deadlines.register()));
        });
        assert!(between * (MAX_WAKES + 1) >= late, "{between} steps");
        let (old, new) = all.split_at(late);
        assert!(old.iter().flatten().all(|deadline| deadline.slot.expired.get()));
        assert!(new.iter().flatten().all(|deadline| !deadline.slot.expired.get()));
    }

    #[test]
    fn the_time_stands_still_until_a_late_sweep_comes() {
        let deadlines = Deadlines::new(Duration::from_secs(3600));
        let deadline = deadlines.register();
        deadlines.due.set(Instant::now());
        let (first, second) = (deadline.now(), deadline.now());
        assert_eq!(first, second, "a deadline that is set now is not set too late");
    }
}
