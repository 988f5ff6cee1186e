//! A store that answers from threads of its own.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tidewire_channel::{Budget, Since};

use crate::answer::{Answer, later};
use crate::append::{Append, Appended, Once};
use crate::create::{Create, Created};
use crate::error::{AppendError, CreateError, Failed, ReadError};
use crate::info::{Opened, Page};
use crate::message::Message;
use crate::name::ChannelName;
use crate::store::{Listener, Store, Swept};

/// A store around another one that answers everything later, as one on a disk does: one thread
/// changes logs, others read. The messages of a page are copies.
///
/// Dropping it carries out what was asked, and then ends the threads.
///
/// ```
/// use tidewire_store::suite::ThreadedStore;
/// use tidewire_store::*;
///
/// let store = ThreadedStore::new(MemoryStore::new(Limits::DEFAULT), 2);
/// let opened = store.open(&ChannelName::new("tide")?, 0);
/// assert!(matches!(opened, Answer::Later(_)));
/// assert!(matches!(opened.wait(), Some(Ok(Opened::Absent { .. }))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ThreadedStore<S> {
    inner: Arc<S>,
    writer: Option<Sender<Job<S>>>,
    readers: Option<Sender<Job<S>>>,
    threads: Vec<JoinHandle<()>>,
    cost: Duration,
}

type Job<S> = Box<dyn FnOnce(&S) + Send>;

impl<S: Store> ThreadedStore<S> {
    /// Wraps a store that answers at once. `readers` is the number of threads that read.
    ///
    /// # Panics
    /// The system starts no thread.
    pub fn new(inner: S, readers: usize) -> Self {
        let inner = Arc::new(inner);
        let (writer, writes) = channel();
        let (reader, reads) = channel();
        let mut threads = vec![thread(&inner, writes)];
        let reads = Arc::new(Mutex::new(reads));
        threads.extend((0..readers).map(|_| thread(&inner, reads.clone())));
        Self { inner, writer: Some(writer), readers: Some(reader), threads, cost: Duration::ZERO }
    }

    /// Sets the time that a thread works for each message that it reads.
    #[must_use]
    pub const fn with_cost(mut self, cost: Duration) -> Self {
        self.cost = cost;
        self
    }

    /// The store inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn ask<T: Send + 'static>(
        to: Option<&Sender<Job<S>>>,
        run: impl FnOnce(&S) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let (responder, answer) = later();
        // If the thread is gone, the responder is dropped, and that is the answer.
        let job: Job<S> = Box::new(move |inner| run(inner).pass_to(responder));
        to.map(|to| to.send(job).ok());
        Answer::Later(answer)
    }

    fn write<T: Send + 'static>(&self, run: impl FnOnce(&S) -> Answer<T> + Send + 'static) -> Answer<T> {
        Self::ask(self.writer.as_ref(), run)
    }
}

/// Where a thread gets its jobs.
trait Jobs<S>: Send + 'static {
    fn next(&self) -> Option<Job<S>>;
}

impl<S: 'static> Jobs<S> for Receiver<Job<S>> {
    fn next(&self) -> Option<Job<S>> {
        self.recv().ok()
    }
}

impl<S: 'static> Jobs<S> for Arc<Mutex<Receiver<Job<S>>>> {
    fn next(&self) -> Option<Job<S>> {
        self.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
    }
}

fn thread<S: Store>(inner: &Arc<S>, jobs: impl Jobs<S>) -> JoinHandle<()> {
    let inner = inner.clone();
    let run = move || {
        while let Some(job) = jobs.next() {
            job(&inner);
        }
    };
    thread::Builder::new().name("store".to_owned()).spawn(run).expect("the system starts a thread")
}

/// A page whose messages are shared with nobody.
fn copied(mut page: Page, cost: Duration) -> Page {
    let until = Instant::now() + cost * u32::try_from(page.messages.len()).unwrap_or(u32::MAX);
    for (_, message) in &mut page.messages {
        *message = Arc::new(Message::cut(message, usize::MAX));
    }
    while Instant::now() < until {
        std::hint::spin_loop();
    }
    page
}

impl<S: Store> Store for ThreadedStore<S> {
    fn open(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<Opened, Failed>> {
        let name = name.clone();
        self.write(move |inner| inner.open(&name, now_ms))
    }

    fn release(&self, name: &ChannelName, now_ms: u64) {
        let name = name.clone();
        let done = self.write(move |inner| {
            inner.release(&name, now_ms);
            Answer::Now(())
        });
        drop(done);
    }

    fn append(&self, name: &ChannelName, append: Append) -> Answer<Result<Appended, AppendError>> {
        let name = name.clone();
        self.write(move |inner| inner.append(&name, append))
    }

    fn is_known(&self, name: &ChannelName, once: &Once, now_ms: u64) -> bool {
        self.inner.is_known(name, once, now_ms)
    }

    fn read(
        &self,
        name: &ChannelName,
        since: Since,
        budget: Budget,
        now_ms: u64,
    ) -> Answer<Result<Page, ReadError>> {
        let (name, cost) = (name.clone(), self.cost);
        let read = move |inner: &S| {
            inner.read(&name, since, budget, now_ms).map(move |page| page.map(|page| copied(page, cost)))
        };
        Self::ask(self.readers.as_ref(), read)
    }

    fn create(&self, name: &ChannelName, create: Create) -> Answer<Result<Created, CreateError>> {
        let name = name.clone();
        self.write(move |inner| inner.create(&name, create))
    }

    fn delete(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<bool, Failed>> {
        let name = name.clone();
        self.write(move |inner| inner.delete(&name, now_ms))
    }

    fn touch(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<(), Failed>> {
        let name = name.clone();
        self.write(move |inner| inner.touch(&name, now_ms))
    }

    fn sweep(&self, now_ms: u64) -> Answer<Result<Swept, Failed>> {
        self.write(move |inner| inner.sweep(now_ms))
    }

    fn listen(&self, listener: Arc<dyn Listener>) {
        self.inner.listen(listener);
    }
}

impl<S> Drop for ThreadedStore<S> {
    fn drop(&mut self) {
        (self.writer, self.readers) = (None, None);
        for thread in self.threads.drain(..) {
            // An answer runs code of the hub on these threads, and may drop the store there.
            if thread.thread().id() != thread::current().id() {
                // A thread that has panicked has told it.
                drop(thread.join());
            }
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for ThreadedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadedStore").field("inner", &self.inner).finish_non_exhaustive()
    }
}
