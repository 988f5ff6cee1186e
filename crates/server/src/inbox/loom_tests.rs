//! Models of the inbox: pushing threads and the task run in every possible order. Nothing is lost
//! or comes twice, and the task never sleeps while the list has an item. loom reports a task that
//! sleeps for ever as a deadlock. `cargo xtask loom` runs these models.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use loom::sync::Notify;
use loom::thread;

use super::Inbox;
use crate::sync::Mutex;

/// Wakes the thread that sleeps on it.
struct ThreadWaker(Notify);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// Takes from the inbox until `count` items have come, and sleeps where there are none.
fn take(inbox: &Inbox<u32>, count: usize) -> Vec<u32> {
    let thread = Arc::new(ThreadWaker(Notify::new()));
    let waker = Waker::from(thread.clone());
    let (mut all, mut items) = (Vec::new(), Vec::new());
    while all.len() < count {
        if inbox.poll_take(&mut Context::from_waker(&waker), &mut items).is_pending() {
            thread.0.wait();
        }
        all.append(&mut items);
    }
    all.sort_unstable();
    all
}

#[test]
fn a_task_gets_what_two_threads_push() {
    loom::model(|| {
        let inbox = Inbox::new();
        let pushers = [1, 2].map(|item| {
            let inbox = inbox.clone();
            thread::spawn(move || inbox.push(item))
        });
        assert_eq!(take(&inbox, 2), [1, 2]);
        pushers.into_iter().for_each(|pusher| pusher.join().expect("the thread ends"));
    });
}

#[test]
fn a_waker_pushes_its_key() {
    loom::model(|| {
        let inbox = Inbox::new();
        let socket = inbox.waker(7);
        let reactor = thread::spawn(move || {
            socket.wake_by_ref();
            socket.wake();
        });
        assert_eq!(take(&inbox, 2), [7, 7]);
        reactor.join().expect("the thread ends");
    });
}

/// A task may be polled with another waker than before. The last waker counts.
#[test]
fn the_last_waker_of_a_task_is_woken() {
    loom::model(|| {
        let inbox = Inbox::new();
        let pusher = {
            let inbox = inbox.clone();
            thread::spawn(move || inbox.push(1))
        };
        let mut items = Vec::new();
        let before = inbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut items);
        if before.is_pending() {
            items = take(&inbox, 1);
        }
        assert_eq!(items, [1]);
        pusher.join().expect("the thread ends");
    });
}

/// The same task with the usual mistake: it checks the list, and registers its waker in a second
/// step. loom finds the order in which the task would sleep for ever, so the models above can fail.
#[test]
fn loom_finds_the_lost_wake_up_of_a_task_that_registers_too_late() {
    let found = Arc::new(AtomicBool::new(false));
    let note = found.clone();
    loom::model(move || {
        let list = Arc::new(Mutex::new((Vec::new(), None::<Waker>)));
        let pusher = {
            let list = list.clone();
            thread::spawn(move || {
                let mut list = list.lock().expect("no thread panics");
                list.0.push(1);
                list.1.take().map(Waker::wake)
            })
        };
        let looked = list.lock().expect("no thread panics").0.is_empty();
        if looked {
            list.lock().expect("no thread panics").1 = Some(Waker::noop().clone());
        }
        pusher.join().expect("the thread ends");
        // The pushing thread is done. If the task is still registered now, nobody will wake it.
        let asleep = looked && list.lock().expect("no thread panics").1.is_some();
        note.fetch_or(asleep, Ordering::Relaxed);
    });
    assert!(found.load(Ordering::Relaxed), "a lost wake-up goes unnoticed");
}
