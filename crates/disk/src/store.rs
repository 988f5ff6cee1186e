//! The store: what a hub calls.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tidewire_channel::{Budget, Since};
use tidewire_store::{
    Answer, Append, AppendError, Appended, ChannelName, Create, CreateError, Created, Failed, Opened, Page,
    ReadError, Store, Swept, later,
};

use crate::directory::{Directory, set_sync};
use crate::ending::Ending;
use crate::error::OpenError;
use crate::fold::Tuning;
use crate::load::load_all;
use crate::options::DiskOptions;
use crate::page::{Look, ReadRequest};
use crate::queue::{Queue, Stop};
use crate::reads::ReadPool;
use crate::request::Request;
use crate::restore::Parts;
use crate::shared::Shared;
use crate::steps::Steps;
use crate::sync::SyncThreads;
use crate::writer::Writer;

/// Threads that read.
const READERS: usize = 2;

/// A [`Store`] in a directory on a disk. One process uses a directory at a time.
///
/// ```
/// use std::sync::Arc;
/// use tidewire_disk::{DiskOptions, DiskStore};
/// use tidewire_store::*;
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path();
/// let name = ChannelName::new("tide")?;
/// let message = Message::new("high".into(), 1_795_000_000_000);
/// let store = DiskStore::open(dir, DiskOptions::DEFAULT)?;
/// let append = Append::new(0, Batch::One(Arc::new(message)), Arc::default());
/// let cursor = store.append(&name, append).wait().expect("it answers")?.cursor;
/// store.close()?;
///
/// let store = DiskStore::open(dir, DiskOptions::DEFAULT)?;
/// let Some(Ok(Opened::Log(info))) = store.open(&name, 0).wait() else { panic!() };
/// assert_eq!(info.head_cursor(), cursor);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DiskStore {
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    reads: Arc<ReadPool>,
    report: StartReport,
    options: DiskOptions,
    /// The threads that run code of others.
    threads: Vec<ThreadId>,
    /// The writer's thread. It ends the others, and closes the database.
    running: Mutex<Option<JoinHandle<Result<(), Failed>>>>,
}

/// What the start has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartReport {
    /// The number of logs.
    pub logs: usize,
    /// The number of messages that they keep.
    pub messages: u64,
    /// Whether the store was closed in order, so that nothing is lost. If not, each log has begun
    /// an epoch: readers that have seen a message that is lost are told.
    pub was_clean: bool,
    /// The messages that are damaged, and surely lost.
    pub lost: u64,
    /// How long the start has taken.
    pub took: Duration,
}

impl DiskStore {
    /// Opens the store in a directory, and makes the directory if there is none.
    ///
    /// # Errors
    /// [`OpenError`]: sentences for the operator.
    pub fn open(dir: impl AsRef<Path>, options: DiskOptions) -> Result<Self, OpenError> {
        Self::open_with(dir.as_ref(), options, Tuning::DEFAULT, Steps::default())
    }

    pub(crate) fn open_with(
        path: &Path,
        options: DiskOptions,
        tuning: Tuning,
        steps: Steps,
    ) -> Result<Self, OpenError> {
        let begun = Instant::now();
        let dir = Directory::open(path)?;
        let database = dir.database();
        let failed = |error: rusqlite::Error| OpenError::sqlite(&database, &error);
        let mut db = dir.open_writer()?;
        let mut loaded = load_all(&db, &options.limits).map_err(|error| OpenError::load(&database, error))?;
        let (logs, messages, lost) = (loaded.logs.len(), loaded.messages(), loaded.lost);
        let is_crash = loaded.begin(&mut db, now_ms()).map_err(failed)?;
        // With this, all that was there is on the disk.
        set_sync(&db, options.sync).map_err(failed)?;
        let sync = SyncThreads::start(&dir, options.sync)?;
        let shared = Arc::new(Shared::new(loaded.names));
        let readers = (0..READERS).map(|_| dir.open_reader()).collect::<Result<_, _>>()?;
        let io = |error: std::io::Error| OpenError::io(path, &error);
        let reads = Arc::new(ReadPool::start(readers, shared.clone()).map_err(io)?);
        let queue = Arc::new(Queue::default());
        let parts = Parts {
            db,
            options,
            tuning,
            steps,
            shared: shared.clone(),
            reads: reads.clone(),
            queue: queue.clone(),
            sync: sync.state().clone(),
            crashes: loaded.crashes,
            is_crash,
            next_id: loaded.next_id,
            next_log: loaded.next_log,
        };
        let writer = Writer::restore(parts, loaded.logs).map_err(failed)?;
        let mut threads = reads.threads();
        let thread = thread::Builder::new().name("disk-write".into());
        let ending = Ending { queue: queue.clone(), reads: reads.clone(), sync, dir };
        let writer = thread.spawn(move || ending.after(writer)).map_err(io)?;
        threads.push(writer.thread().id());
        let took = begun.elapsed();
        let report = StartReport { logs, messages, was_clean: !is_crash, lost, took };
        let running = Mutex::new(Some(writer));
        Ok(Self { queue, shared, reads, report, options, threads, running })
    }

    /// What the start has found.
    #[must_use]
    pub const fn start_report(&self) -> &StartReport {
        &self.report
    }

    /// How the store works.
    #[must_use]
    pub const fn options(&self) -> &DiskOptions {
        &self.options
    }

    /// The number of logs.
    #[must_use]
    pub fn logs(&self) -> usize {
        self.shared.len()
    }

    /// Carries out what waits, writes that nothing is lost, and ends the threads. What is asked
    /// afterwards is refused. To drop the store does the same.
    ///
    /// # Errors
    /// The disk has failed. Then the next start tells readers what they may have lost.
    pub fn close(&self) -> Result<(), Failed> {
        self.end(Stop::Close)
    }

    /// Ends as if the process were killed now.
    #[cfg(test)]
    pub(crate) fn abandon(&self) {
        drop(self.end(Stop::Abandon));
    }

    fn end(&self, stop: Stop) -> Result<(), Failed> {
        self.queue.stop(stop);
        if self.threads.contains(&thread::current().id()) {
            // The callback of an answer has dropped the store. A thread cannot wait for itself.
            return Ok(());
        }
        // A second caller waits here until the first one is done.
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = running.take() else { return Ok(()) };
        writer.join().unwrap_or_else(|_| Err(Failed::unknown("the writer of the store has panicked")))
    }
}

impl Store for DiskStore {
    fn open(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<Opened, Failed>> {
        let (respond, answer) = later();
        self.queue.push(Request::Open { name: name.clone(), now_ms, respond });
        Answer::Later(answer)
    }

    fn release(&self, name: &ChannelName, now_ms: u64) {
        self.queue.push(Request::Release { name: name.clone(), now_ms });
    }

    fn append(&self, name: &ChannelName, append: Append) -> Answer<Result<Appended, AppendError>> {
        let (respond, answer) = later();
        self.queue.push(Request::Append { name: name.clone(), append, respond });
        Answer::Later(answer)
    }

    fn read(
        &self,
        name: &ChannelName,
        since: Since,
        budget: Budget,
        now_ms: u64,
    ) -> Answer<Result<Page, ReadError>> {
        let request = ReadRequest { name: name.clone(), since, budget, now_ms };
        match self.shared.look(&request) {
            Look::Answer(answer) => Answer::Now(answer),
            Look::Expire => {
                let (respond, answer) = later();
                self.queue.push(Request::Read { request, respond });
                Answer::Later(answer)
            }
            Look::Rows => {
                let (respond, answer) = later();
                self.reads.read(request, respond);
                Answer::Later(answer)
            }
        }
    }

    fn create(&self, name: &ChannelName, create: Create) -> Answer<Result<Created, CreateError>> {
        let (respond, answer) = later();
        self.queue.push(Request::Create { name: name.clone(), create: Box::new(create), respond });
        Answer::Later(answer)
    }

    fn delete(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<bool, Failed>> {
        let (respond, answer) = later();
        self.queue.push(Request::Delete { name: name.clone(), now_ms, respond });
        Answer::Later(answer)
    }

    fn touch(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<(), Failed>> {
        let (respond, answer) = later();
        self.queue.push(Request::Touch { name: name.clone(), now_ms, respond });
        Answer::Later(answer)
    }

    fn sweep(&self, now_ms: u64) -> Answer<Result<Swept, Failed>> {
        let (respond, answer) = later();
        self.queue.push(Request::Sweep { now_ms, respond });
        Answer::Later(answer)
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the store was not closed in order");
        }
    }
}

impl fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskStore")
            .field("logs", &self.logs())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The time of the system, for what only people read.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
