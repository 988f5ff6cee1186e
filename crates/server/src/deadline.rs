//! Deadlines of connection tasks. Setting one is a store into a cell; one sweep for each worker looks at
//! all of them a few times in the shortest time-out. A timer of the runtime for each read would cost more than the read.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

/// All deadlines of a worker.
#[derive(Debug, Default)]
pub(crate) struct Deadlines(RefCell<Slab<Rc<Slot>>>);

#[derive(Debug, Default)]
struct Slot {
    at: Cell<Option<Instant>>,
    expired: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Deadlines {
    pub(crate) fn register(self: &Rc<Self>) -> Deadline {
        let slot = Rc::new(Slot::default());
        let key = self.0.borrow_mut().insert(slot.clone());
        Deadline { slot, key, all: self.clone() }
    }

    /// Marks and wakes what is overdue.
    pub(crate) fn sweep(&self, now: Instant) {
        for (_, slot) in self.0.borrow().iter() {
            if slot.at.get().is_some_and(|at| at <= now) {
                slot.expired.set(true);
                slot.wake();
            }
        }
    }

    /// Wakes every connection that waits, so that it sees that the worker is draining.
    pub(crate) fn wake_all(&self) {
        for (_, slot) in self.0.borrow().iter() {
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
    /// Sets it, and says what time it is.
    pub(crate) fn set(&self, after: Duration) -> Instant {
        let now = Instant::now();
        self.slot.at.set(now.checked_add(after));
        self.slot.expired.set(false);
        now
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
        self.all.0.borrow_mut().remove(self.key);
    }
}
