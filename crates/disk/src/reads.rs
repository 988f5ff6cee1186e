//! The reader threads.
//!
//! ```text
//!   store ── look ──► Answer: no row is needed        Expire: the writer first, then a job
//!               └───► Rows: job ──► queue ──► thread: a turn ──► answer
//!                                     ▲                  │
//!                                     └── not all read ◄─┘
//! ```
//!
//! A turn reads a bounded number of messages. If other jobs wait, the job goes to the end of the
//! queue then, so that a reader of a whole log does not stop the others.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};

use rusqlite::Connection;
use tidewire_store::{Failed, Page, ReadError, Responder};

use crate::page::{Job, ReadRequest, Turn};
use crate::rows::Reader;
use crate::shared::Shared;
use crate::troubles::Troubles;

/// The threads that read messages.
pub(crate) struct ReadPool {
    inner: Arc<Inner>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Inner {
    shared: Arc<Shared>,
    troubles: Troubles,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Waiting>,
    is_stopped: bool,
}

type Waiting = (Job, Responder<Result<Page, ReadError>>);

impl ReadPool {
    /// Starts a thread for each connection. They only read.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(connections: Vec<Connection>, shared: Arc<Shared>) -> io::Result<Self> {
        let (troubles, queue, wake) = (Troubles::default(), Mutex::default(), Condvar::new());
        let inner = Arc::new(Inner { shared, troubles, queue, wake });
        let pool = Self { inner, threads: Mutex::default() };
        for connection in connections {
            let inner = pool.inner.clone();
            let thread = thread::Builder::new().name("disk-read".into());
            let thread = thread.spawn(move || inner.run(Reader::new(connection)))?;
            lock(&pool.threads).push(thread);
        }
        Ok(pool)
    }

    /// Reads a page, and answers on one of the threads. Ask [`Shared::look`] before: many reads
    /// need no thread.
    pub(crate) fn read(&self, request: ReadRequest, respond: Responder<Result<Page, ReadError>>) {
        let mut queue = lock(&self.inner.queue);
        if queue.is_stopped {
            drop(queue);
            return respond.answer(Err(closed()));
        }
        queue.jobs.push_back((Job::new(request), respond));
        drop(queue);
        self.inner.wake.notify_one();
    }

    /// The threads.
    pub(crate) fn threads(&self) -> Vec<ThreadId> {
        lock(&self.threads).iter().map(|thread| thread.thread().id()).collect()
    }

    /// Ends the threads, and waits for them. Reads that wait are answered with a failure.
    pub(crate) fn stop(&self) {
        let left = {
            let mut queue = lock(&self.inner.queue);
            queue.is_stopped = true;
            std::mem::take(&mut queue.jobs)
        };
        self.inner.wake.notify_all();
        left.into_iter().for_each(|(_, respond)| respond.answer(Err(closed())));
        let threads = std::mem::take(&mut *lock(&self.threads));
        for thread in threads {
            // The callback of an answer may drop the store: a thread cannot wait for itself.
            if thread.thread().id() != thread::current().id() {
                drop(thread.join());
            }
        }
    }
}

impl Drop for ReadPool {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Inner {
    fn run(&self, mut reader: Reader) {
        while let Some((mut job, respond)) = self.next() {
            // A panic drops the responder, which tells that there is no answer. The thread goes on.
            let turns = AssertUnwindSafe(|| match self.turns(&mut job, &mut reader) {
                Some(answer) => respond.answer(answer),
                None => self.put_back((job, respond)),
            });
            if catch_unwind(turns).is_err() {
                tracing::error!("a read of the disk has panicked; this is a bug of Tidewire");
            }
        }
    }

    /// The turns of a job until it is done. `None`: it waits for its next turn.
    fn turns(&self, job: &mut Job, reader: &mut Reader) -> Option<Result<Page, ReadError>> {
        loop {
            if let Turn::Done(answer) = job.turn(&self.shared, reader, &self.troubles) {
                return Some(answer);
            }
            if !lock(&self.queue).jobs.is_empty() {
                return None;
            }
        }
    }

    fn next(&self) -> Option<Waiting> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.is_stopped {
                return None;
            }
            if let Some(waiting) = queue.jobs.pop_front() {
                return Some(waiting);
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn put_back(&self, waiting: Waiting) {
        let mut queue = lock(&self.queue);
        if queue.is_stopped {
            drop(queue);
            return waiting.1.answer(Err(closed()));
        }
        queue.jobs.push_back(waiting);
    }
}

fn closed() -> ReadError {
    ReadError::Failed(Failed::clean("the store is closed"))
}

/// No code of others runs while a lock is held, so the data behind a poisoned lock is good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for ReadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadPool").field("waiting", &lock(&self.inner.queue).jobs.len()).finish()
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
