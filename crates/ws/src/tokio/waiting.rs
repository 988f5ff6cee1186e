//! The tasks that wait for a WebSocket which is split into a reader and many writers.
//!
//! A stream remembers one task that waits to write: here it gets a [`Waiting`] as its waker, which
//! wakes all tasks that may go on. They are in three groups:
//!
//! ```text
//! reader   one task in `next`                    writes the queue, then reads
//! goals    any number: `flush`, a full queue     wait until the stream has taken so many bytes
//! turns    any number, first come first served   wait for room in the queue; the first one writes
//! ```
//! This lock is held only while the lists change: not during a call of the stream, and not during a
//! wake.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Waker};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// The stream has this waker and has not called it. So it will wake the tasks.
    armed: AtomicBool,
    tasks: Mutex<Tasks>,
}

/// A waker is taken when its task is woken. The task waits again when it is polled.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    reader: Option<Waker>,
    goals: BTreeMap<Ticket, (Goal, Option<Waker>)>,
    turns: BTreeMap<Ticket, (Need, Option<Waker>)>,
    last: Ticket,
}

/// A number that is never given twice. A lower one came earlier.
pub(super) type Ticket = u64;

/// What the stream must have done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    /// It has taken the bytes before this position.
    Written(u64),
    /// It has flushed them too.
    Flushed(u64),
}

/// What a writer takes its turn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// To queue a message.
    Room,
    /// To begin a message in pieces.
    Message,
}

impl Goal {
    pub(super) const fn is_reached(self, written: u64, flushed: u64) -> bool {
        match self {
            Self::Written(position) => written >= position,
            Self::Flushed(position) => flushed >= position,
        }
    }
}

impl Waiting {
    /// Call it before the stream gets this waker.
    pub(super) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Call it when the stream does not need its waker any more.
    pub(super) fn disarm(&self) {
        self.armed.store(false, Ordering::SeqCst);
    }

    pub(super) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::SeqCst)
    }

    /// Nothing panics while the lock is held, except the clone or drop of a foreign waker. The
    /// lists are whole then, too.
    pub(super) fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes every task, because the WebSocket can never be used again.
    pub(super) fn wake_all(&self) {
        let mut tasks = self.tasks();
        let mut woken = tasks.for_write();
        woken.extend(tasks.turns.values_mut().filter_map(|(_, waker)| waker.take()));
        drop(tasks);
        wake(woken);
    }
}

/// The stream can be written again.
impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // First, so that a task which is added after the wake sees it: it looks after it was added.
        self.disarm();
        let woken = self.tasks().for_write();
        wake(woken);
    }
}

pub(super) fn wake(woken: impl IntoIterator<Item = Waker>) {
    woken.into_iter().for_each(Waker::wake);
}

impl Tasks {
    /// All tasks that can write. Any of them may be dropped before it is polled, so one is not
    /// enough. Of the turns it is the first one: if it is dropped, it wakes the next.
    fn for_write(&mut self) -> Vec<Waker> {
        let goals = self.goals.values_mut().filter_map(|(_, waker)| waker.take());
        let mut woken: Vec<_> = self.reader.take().into_iter().chain(goals).collect();
        woken.extend(self.take_first_turn());
        woken
    }

    pub(super) fn set_reader(&mut self, cx: &Context<'_>) {
        set(&mut self.reader, cx);
    }

    pub(super) fn take_reader(&mut self) -> Option<Waker> {
        self.reader.take()
    }

    /// Lets a task wait for a goal, under its ticket if it has one.
    pub(super) fn add_goal(&mut self, ticket: Option<Ticket>, goal: Goal, cx: &Context<'_>) -> Ticket {
        let ticket = ticket.unwrap_or_else(|| self.ticket());
        let (at, waker) = self.goals.entry(ticket).or_insert((goal, None));
        *at = goal;
        set(waker, cx);
        ticket
    }

    pub(super) fn remove_goal(&mut self, ticket: Ticket) {
        self.goals.remove(&ticket);
    }

    /// Takes the wakers of the tasks whose goal is reached, or of all.
    pub(super) fn take_reached(&mut self, written: u64, flushed: u64, all: bool) -> Vec<Waker> {
        let goals = self.goals.values_mut();
        goals
            .filter(|(goal, _)| all || goal.is_reached(written, flushed))
            .filter_map(|(_, waker)| waker.take())
            .collect()
    }

    /// The first position that a task wants to be flushed.
    pub(super) fn next_flush(&self, flushed: u64) -> u64 {
        let positions = self.goals.values().filter_map(|(goal, _)| match goal {
            Goal::Flushed(position) if *position > flushed => Some(*position),
            _ => None,
        });
        positions.min().unwrap_or(u64::MAX)
    }

    /// Lets a task wait for its turn, at the end or under its ticket.
    pub(super) fn add_turn(&mut self, ticket: Option<Ticket>, need: Need, cx: &Context<'_>) -> Ticket {
        let ticket = ticket.unwrap_or_else(|| self.ticket());
        set(&mut self.turns.entry(ticket).or_insert((need, None)).1, cx);
        ticket
    }

    pub(super) fn remove_turn(&mut self, ticket: Ticket) {
        self.turns.remove(&ticket);
    }

    pub(super) fn first_turn(&self) -> Option<(Ticket, Need)> {
        self.turns.first_key_value().map(|(ticket, (need, _))| (*ticket, *need))
    }

    pub(super) fn take_first_turn(&mut self) -> Option<Waker> {
        self.turns.first_entry()?.get_mut().1.take()
    }

    fn ticket(&mut self) -> Ticket {
        self.last = self.last.wrapping_add(1);
        self.last
    }
}

fn set(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}
