//! A channel under an owner's lock, with threads in every possible order. loom tries them all.
//!
//! The crate itself has no threads. These tests show that its contract is enough: a reader takes
//! the lock for the read and again for the wait, and anything may happen in between. A publisher
//! appends under the lock and wakes readers after it. No message is lost, and no reader sleeps
//! while there is a message. loom reports a thread that sleeps for ever as a deadlock.

use loom::sync::{Arc, Mutex, Notify};
use loom::thread;
use std::sync::atomic::{AtomicBool, Ordering};
use tidewire_channel::{Budget, Channel, Cursor, Epoch, Limits, Once, Retention, Since, WaitError};

/// A waiter is something to sleep on.
type Shared = Arc<Mutex<Channel<u32, Arc<Notify>>>>;

fn shared() -> Shared {
    Arc::new(Mutex::new(Channel::new(Epoch::new(1), Retention::DEFAULT, Limits::DEFAULT)))
}

fn start() -> Cursor {
    Cursor::new(Epoch::new(1), 0)
}

fn publish(channel: &Shared, message: u32) {
    let (_, woken) =
        channel.lock().expect("no thread panics").append(0, 1, message).expect("the message is small");
    for bell in woken {
        bell.notify(); // the lock is released
    }
}

/// Reads the messages after the cursor, and moves the cursor.
fn read(channel: &Shared, cursor: &mut Cursor) -> Vec<u32> {
    let channel = channel.lock().expect("no thread panics");
    let read = channel.read(Since::After(*cursor), Budget::UNLIMITED);
    *cursor = read.cursor();
    read.iter().map(|entry| *entry.value).collect()
}

/// Reads until `count` messages have come. It releases the lock between a read and the wait after
/// it.
fn follow(channel: &Shared, count: usize) -> Vec<u32> {
    let (mut cursor, mut got) = (start(), Vec::new());
    while got.len() < count {
        let new = read(channel, &mut cursor);
        got.extend(&new);
        if new.is_empty() {
            let bell = Arc::new(Notify::new());
            let waiting = channel.lock().expect("no thread panics").wait(cursor, Arc::clone(&bell));
            match waiting {
                Ok(_) => bell.wait(),
                Err(WaitError::Ready(_)) => {}
                Err(WaitError::Full(_)) => panic!("there is one waiter"),
            }
        }
    }
    got
}

#[test]
fn a_reader_never_sleeps_while_there_is_a_message() {
    loom::model(|| {
        let channel = shared();
        let reader = {
            let channel = Arc::clone(&channel);
            thread::spawn(move || follow(&channel, 2))
        };
        publish(&channel, 1);
        publish(&channel, 2);
        assert_eq!(reader.join().expect("the thread ends"), [1, 2]);
    });
}

/// A log is closed while a reader goes to sleep. The end is news like any message.
#[test]
fn a_reader_never_sleeps_after_the_end() {
    loom::model(|| {
        let channel = shared();
        let reader = {
            let channel = Arc::clone(&channel);
            thread::spawn(move || {
                let mut cursor = start();
                loop {
                    let guard = channel.lock().expect("no thread panics");
                    let read = guard.read(Since::After(cursor), Budget::UNLIMITED);
                    if let Some(end) = read.end() {
                        return (read.cursor(), end);
                    }
                    cursor = read.cursor();
                    drop(guard);
                    let bell = Arc::new(Notify::new());
                    let waiting = channel.lock().expect("no thread panics").wait(cursor, Arc::clone(&bell));
                    if waiting.is_ok() {
                        bell.wait();
                    }
                }
            })
        };
        publish(&channel, 1);
        let closed = channel.lock().expect("no thread panics").append_batch(0, [], true, Once::No);
        closed.expect("the log is open").1.for_each(|bell| bell.notify());
        let at = |seq| Cursor::new(Epoch::new(1), seq);
        assert_eq!(reader.join().expect("the thread ends"), (at(1), at(2)));
    });
}

#[test]
fn two_publishers_wake_a_reader_and_give_each_number_once() {
    // Three threads have too many orders to try all. loom's documentation says that two or three
    // preemptions find most bugs.
    let mut some = loom::model::Builder::new();
    some.preemption_bound = Some(2);
    some.check(|| {
        let channel = shared();
        let publishers: Vec<_> = [1, 2]
            .into_iter()
            .map(|message| {
                let channel = Arc::clone(&channel);
                thread::spawn(move || publish(&channel, message))
            })
            .collect();
        let mut got = follow(&channel, 2);
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
        for publisher in publishers {
            publisher.join().expect("the thread ends");
        }
        assert_eq!(channel.lock().expect("no thread panics").log().head().seq(), 2);
    });
}

/// A poll's timer and a publish race for its waiter. Exactly one of them gets it, and in both cases
/// the message is read.
#[test]
fn a_poll_that_ends_as_its_message_comes_loses_nothing() {
    loom::model(|| {
        let channel = shared();
        let bell = Arc::new(Notify::new());
        let key = channel
            .lock()
            .expect("no thread panics")
            .wait(start(), Arc::clone(&bell))
            .expect("the channel has no message");
        let publisher = {
            let channel = Arc::clone(&channel);
            thread::spawn(move || publish(&channel, 1))
        };
        // The time is up.
        let cancelled = channel.lock().expect("no thread panics").cancel(key).is_some();
        let mut cursor = start();
        let first = if cancelled {
            Vec::new() // an empty answer, with the cursor of the request
        } else {
            bell.wait(); // the publisher took the waiter and wakes it
            read(&channel, &mut cursor)
        };
        publisher.join().expect("the thread ends");
        let second = read(&channel, &mut cursor); // the next poll
        assert_eq!([first, second].concat(), [1]);
    });
}

/// The same reader with the usual mistake: after its read it waits for "the next message", not for
/// the one after its cursor. loom finds the order in which it sleeps for ever, so the tests above
/// can fail.
#[test]
fn a_reader_that_waits_without_its_cursor_sleeps_for_ever() {
    let found = std::sync::Arc::new(AtomicBool::new(false));
    let note = std::sync::Arc::clone(&found);
    loom::model(move || {
        let channel = shared();
        let publisher = {
            let channel = Arc::clone(&channel);
            thread::spawn(move || publish(&channel, 1))
        };
        let mut cursor = start();
        let missed = read(&channel, &mut cursor).is_empty();
        if missed {
            let mut channel = channel.lock().expect("no thread panics");
            let head = channel.log().head();
            assert!(
                channel.wait(head, Arc::new(Notify::new())).is_ok(),
                "a wait at the head is accepted, whatever the reader has"
            );
        }
        publisher.join().expect("the thread ends");
        // The publisher is done. A reader that still waits now waits for ever.
        let waits = channel.lock().expect("no thread panics").waiters() > 0;
        note.fetch_or(missed && waits, Ordering::Relaxed);
    });
    assert!(found.load(Ordering::Relaxed), "a lost wake-up goes unnoticed");
}
