//! The store in memory.
//!
//! ```text
//!   name ── hash ──► shard: by name ──► row: the log, its settings, what it shares with forks
//!                      each shard has its own lock
//!
//!                    names: where the log of a name without a row begins, which were deleted
//!                      one lock, which is taken only for names without a row
//! ```
//!
//! It answers at once. A log takes one look-up and one lock. There are many shards, as in the
//! directory of the hub: a hash map moves all its entries under the lock when it grows.
//!
//! A thread holds the lock of one shard at most, and takes the lock of the names last. So there is
//! no order of threads in which two wait for each other. What concerns two logs, a fork and its
//! source, takes place in steps, and the count of forks keeps the source meanwhile.

mod limits;
mod names;
mod room;
mod row;
mod shared;

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tidewire_channel::{Budget, Epoch, Since};

pub use self::limits::Limits;
use self::names::Names;
use self::room::Room;
use self::row::Row;
use crate::answer::Answer;
use crate::append::{Append, Appended, Once};
use crate::create::{Create, Created, Fork};
use crate::error::{AppendError, CreateError, Failed, ReadError, Refusal};
use crate::info::{Opened, Page};
use crate::name::ChannelName;
use crate::store::{Store, Swept};

/// A [`Store`] in the memory of the process. Its logs end with the process.
///
/// ```
/// use std::sync::Arc;
/// use tidewire_store::*;
///
/// let store = MemoryStore::new(Limits::DEFAULT);
/// let name = ChannelName::new("tide")?;
/// let message = Message::new("high".into(), 1_795_000_000_000);
/// let append = Append::new(0, Batch::One(Arc::new(message)), Arc::default());
/// let appended = store.append(&name, append).wait().expect("it answers")?;
/// assert_eq!(appended.cursor.seq(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MemoryStore {
    hasher: RandomState,
    /// The number of shards is a power of two.
    shards: Box<[Mutex<Shard>]>,
    names: Mutex<Names>,
    len: AtomicUsize,
    room: Arc<Room>,
    limits: Limits,
    /// The shard with which the next piece of a sweep begins.
    sweep_at: AtomicUsize,
}

type Shard = HashMap<ChannelName, Box<Row>, RandomState>;

impl MemoryStore {
    /// An empty store. Its epochs are random.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::with_epoch(limits, Self::random_epoch())
    }

    pub(crate) fn random_epoch() -> Epoch {
        // The standard library seeds its hashers with random numbers of the system.
        Epoch::new(RandomState::new().hash_one(0).max(1))
    }

    /// An empty store whose channels begin in this epoch. All its epochs follow from it, so take a
    /// new one for each store.
    #[must_use]
    pub fn with_epoch(limits: Limits, epoch: Epoch) -> Self {
        let hasher = RandomState::new();
        let shards = limits.max_logs.wrapping_div(SHARD).clamp(1, MAX_SHARDS).next_power_of_two();
        let shards = (0..shards).map(|_| Mutex::new(HashMap::with_hasher(hasher.clone()))).collect();
        Self {
            hasher,
            shards,
            names: Mutex::new(Names::new(epoch, limits)),
            len: AtomicUsize::new(0),
            room: Arc::new(Room::new(limits.max_kept_bytes)),
            limits,
            sweep_at: AtomicUsize::new(0),
        }
    }

    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The number of logs.
    #[must_use]
    pub fn logs(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// The bytes that count against [`Limits::max_kept_bytes`].
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.room.used()
    }

    /// As if the process had crashed, and had not lost anything that is here: each log begins an
    /// epoch, because it may have.
    #[cfg(any(test, feature = "suite"))]
    pub(crate) fn begin_epochs(&self) {
        self.shards.iter().for_each(|shard| lock(shard).values_mut().for_each(|row| row.begin_epoch()));
    }

    /// As if an append had created the log, and its messages were lost in a crash.
    #[cfg(any(test, feature = "suite"))]
    pub(crate) fn begin(&self, name: &ChannelName, append: &Append) {
        let row = self.new_row(name, append.settings.clone(), append.now_ms);
        let mut shard = self.shard(name);
        if !shard.contains_key(name) {
            drop(self.add(&mut shard, name, row));
        }
    }

    /// As if the hub had ended: nobody uses any log.
    #[cfg(any(test, feature = "suite"))]
    pub(crate) fn release_all(&self) {
        self.shards.iter().for_each(|shard| lock(shard).values_mut().for_each(|row| row.is_open = false));
    }

    fn open_now(&self, name: &ChannelName, now_ms: u64) -> Opened {
        // Nobody uses it, so nobody has to be told.
        self.delete_if(name, now_ms, |row| row.is_expired(now_ms));
        let mut shard = self.shard(name);
        if let Some(row) = shard.get_mut(name) {
            if row.is_deleted {
                return Opened::SoftDeleted;
            }
            row.is_open = true;
            row.expire(now_ms);
            return Opened::Log(row.info());
        }
        let names = self.names();
        if names.is_deleted(name, now_ms) {
            return Opened::Deleted;
        }
        Opened::Absent { start: names.start(name) }
    }

    fn append_now(&self, name: &ChannelName, append: &Append) -> Result<Appended, Refusal> {
        let mut shard = self.shard(name);
        if let Some(row) = shard.get_mut(name) {
            return if row.is_deleted { Err(Refusal::Deleted) } else { row.append(append) };
        }
        let mut row = self.new_row(name, append.settings.clone(), append.now_ms);
        let appended = row.append(append)?;
        // Whoever appends uses the channel.
        row.is_open = true;
        self.add(&mut shard, name, row).map_err(|_| Refusal::TooManyLogs(self.limits.max_logs))?;
        Ok(appended)
    }

    fn read_now(
        &self,
        name: &ChannelName,
        since: Since,
        budget: Budget,
        now_ms: u64,
    ) -> Result<Page, ReadError> {
        let mut shard = self.shard(name);
        match shard.get_mut(name) {
            Some(row) if row.is_deleted => Err(ReadError::SoftDeleted),
            Some(row) => Ok(row.page(since, budget, now_ms)),
            None => {
                let names = self.names();
                let is_deleted = names.is_deleted(name, now_ms);
                Err(if is_deleted {
                    ReadError::Deleted
                } else {
                    ReadError::Absent { start: names.start(name) }
                })
            }
        }
    }

    fn create_now(&self, name: &ChannelName, create: &Create) -> Result<Created, CreateError> {
        let Create { now_ms, settings, fork, .. } = create;
        if let Some(row) = self.shard(name).get_mut(name) {
            return existing(row, create);
        }
        let mut row = self.new_row(name, settings.clone(), *now_ms).created();
        if let Some(fork) = fork {
            self.share(&mut row, fork, *now_ms)?;
        }
        let result = row.begin(create).and_then(|()| self.add_created(name, row, create));
        // There is no new fork.
        if let (Some(fork), Ok(Created { created: false, .. }) | Err(_)) = (fork, &result) {
            self.release_source(fork.source.clone());
        }
        result
    }

    /// Adds a log that was created, unless another request has created it meanwhile.
    fn add_created(&self, name: &ChannelName, row: Row, create: &Create) -> Result<Created, CreateError> {
        let mut shard = self.shard(name);
        if let Some(row) = shard.get_mut(name) {
            return existing(row, create);
        }
        let info = row.info();
        let added = self.add(&mut shard, name, row);
        added.map_err(|_| CreateError::TooManyLogs(self.limits.max_logs))?;
        Ok(Created::new(true, info))
    }

    /// Lets a new log begin with the messages of another one, and counts it as its fork.
    fn share(&self, row: &mut Row, fork: &Fork, now_ms: u64) -> Result<(), CreateError> {
        let shared = {
            let mut shard = self.shard(&fork.source);
            let source = shard.get_mut(&fork.source).ok_or(CreateError::SourceAbsent)?;
            if source.is_deleted {
                return Err(CreateError::SourceDeleted);
            }
            let shared = source.share(fork, now_ms)?;
            source.forks = source.forks.saturating_add(1);
            shared
        };
        row.begin_with(shared, fork.clone(), &self.limits, now_ms)
            .inspect_err(|_| self.release_source(fork.source.clone()))
    }

    /// Deletes a log if `is_right` says so. Returns whether it was deleted.
    fn delete_if(&self, name: &ChannelName, now_ms: u64, is_right: impl FnOnce(&Row) -> bool) -> bool {
        let mut shard = self.shard(name);
        let Some(row) = shard.get_mut(name).filter(|row| !row.is_deleted && is_right(row)) else {
            return false;
        };
        if row.forks > 0 {
            let messages = row.messages();
            let freed = row.empty(&self.limits);
            drop(shard);
            free(messages, freed);
            return true;
        }
        let row = shard.remove(name);
        self.len.fetch_sub(1, Ordering::Relaxed);
        self.names().delete(name, now_ms);
        drop(shard);
        let Some(row) = row else { return true };
        let source = row.origin.as_ref().map(|fork| fork.source.clone());
        free(row.messages(), row);
        if let Some(source) = source {
            self.release_source(source);
        }
        true
    }

    /// A fork of this log is gone. If it was deleted and this was its last fork, it is gone too,
    /// and so on up the chain.
    fn release_source(&self, mut name: ChannelName) {
        loop {
            let mut shard = self.shard(&name);
            let Some(row) = shard.get_mut(&name) else { return };
            row.forks = row.forks.saturating_sub(1);
            if row.forks > 0 || !row.is_deleted {
                return;
            }
            let row = shard.remove(&name);
            self.len.fetch_sub(1, Ordering::Relaxed);
            self.names().forget(&name);
            drop(shard);
            match row.as_ref().and_then(|row| row.origin.as_ref()) {
                Some(fork) => name = fork.source.clone(),
                None => return,
            }
        }
    }

    fn sweep_now(&self, now_ms: u64) -> Swept {
        let first = self.sweep_at.load(Ordering::Relaxed);
        let (mut at, mut work) = (first, 0_usize);
        // Room for new logs goes before what writers of old ones have left.
        let is_full = self.logs() >= self.limits.max_logs.saturating_sub(self.limits.max_logs / 8);
        let mut due = Vec::new();
        for shard in self.shards.get(first..).unwrap_or_default() {
            let mut shard = lock(shard);
            work = work.saturating_add(1);
            shard.retain(|name, row| {
                work = work.saturating_add(WORK_OF_A_LOG).saturating_add(row.expire(now_ms));
                if row.is_expired(now_ms) {
                    due.push(name.clone());
                }
                let is_kept = !row.is_forgettable(now_ms, is_full);
                if !is_kept {
                    self.len.fetch_sub(1, Ordering::Relaxed);
                    self.names().forget(name);
                }
                is_kept
            });
            shrink(&mut shard);
            at = at.saturating_add(1);
            if work >= WORK_A_STEP {
                break;
            }
        }
        let more = at < self.shards.len();
        self.sweep_at.store(if more { at } else { 0 }, Ordering::Relaxed);
        if !more {
            self.names().expire(now_ms);
        }
        due.retain(|name| self.delete_if(name, now_ms, |row| row.is_expired(now_ms)));
        Swept { expired: due, more }
    }

    fn release_now(&self, name: &ChannelName, now_ms: u64) {
        let mut shard = self.shard(name);
        let Some(row) = shard.get_mut(name) else { return };
        row.is_open = false;
        row.expire(now_ms);
        if row.is_forgettable(now_ms, false) {
            shard.remove(name);
            self.len.fetch_sub(1, Ordering::Relaxed);
            self.names().forget(name);
        }
    }

    /// A log that is in no shard yet.
    fn new_row(&self, name: &ChannelName, settings: Arc<crate::ChannelSettings>, now_ms: u64) -> Row {
        let start = self.names().start(name);
        Row::new(name, start, settings, &self.limits, self.room.clone(), now_ms)
    }

    /// Adds a log. Its name has none.
    fn add(&self, shard: &mut Shard, name: &ChannelName, row: Row) -> Result<(), TooMany> {
        let one_more = |len: usize| len.checked_add(1).filter(|&len| len <= self.limits.max_logs);
        if self.len.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            return Err(TooMany);
        }
        shard.insert(name.clone(), Box::new(row));
        self.names().reuse(name);
        Ok(())
    }

    fn shard(&self, name: &ChannelName) -> MutexGuard<'_, Shard> {
        // Bits from the middle: the map of the shard uses both ends of the same hash.
        let number = usize::try_from(self.hasher.hash_one(name) >> 24 & 0xffff_ffff).unwrap_or(0);
        lock(&self.shards[number & self.shards.len().saturating_sub(1)])
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        lock(&self.names)
    }
}

/// There are as many logs as the limit allows.
struct TooMany;

/// The result of a creation of a log that exists.
fn existing(row: &Row, create: &Create) -> Result<Created, CreateError> {
    if row.is_deleted {
        return Err(CreateError::Deleted);
    }
    if !row.is_same(&create.settings, create.fork.as_ref()) {
        return Err(CreateError::Exists);
    }
    Ok(Created::new(false, row.info()))
}

impl Store for MemoryStore {
    fn open(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<Opened, Failed>> {
        Answer::Now(Ok(self.open_now(name, now_ms)))
    }

    fn release(&self, name: &ChannelName, now_ms: u64) {
        self.release_now(name, now_ms);
    }

    fn append(&self, name: &ChannelName, append: Append) -> Answer<Result<Appended, AppendError>> {
        Answer::Now(self.append_now(name, &append).map_err(AppendError::Refused))
    }

    fn is_known(&self, name: &ChannelName, once: &Once, now_ms: u64) -> bool {
        self.shard(name).get_mut(name).is_some_and(|row| row.is_known(once, now_ms))
    }

    fn read(
        &self,
        name: &ChannelName,
        since: Since,
        budget: Budget,
        now_ms: u64,
    ) -> Answer<Result<Page, ReadError>> {
        Answer::Now(self.read_now(name, since, budget, now_ms))
    }

    fn create(&self, name: &ChannelName, create: Create) -> Answer<Result<Created, CreateError>> {
        Answer::Now(self.create_now(name, &create))
    }

    fn delete(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<bool, Failed>> {
        Answer::Now(Ok(self.delete_if(name, now_ms, |_| true)))
    }

    fn touch(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<(), Failed>> {
        if let Some(row) = self.shard(name).get_mut(name) {
            row.touch(now_ms);
        }
        Answer::Now(Ok(()))
    }

    fn sweep(&self, now_ms: u64) -> Answer<Result<Swept, Failed>> {
        Answer::Now(Ok(self.sweep_now(now_ms)))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("logs", &self.logs())
            .field("kept_bytes", &self.kept_bytes())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Average number of logs in a full shard. A map of this size moves in microseconds.
const SHARD: usize = 256;

/// This many empty shards take 300 kB.
const MAX_SHARDS: usize = 4_096;

/// Work of one step of a sweep, counted in expired messages. It takes a fraction of a millisecond.
const WORK_A_STEP: usize = 2_048;

/// The cost of visiting a log, counted in expired messages.
const WORK_OF_A_LOG: usize = 8;

/// Logs for which an empty shard keeps memory.
const SPARE: usize = 8;

/// A log with more messages is freed on a thread of its own.
const FREED_AT_ONCE: usize = 16_384;

/// Frees the messages of a log. That takes about 100 ns for each, and a log that keeps all may have
/// ten million: whoever deletes it must not wait, since a worker serves others too.
fn free(messages: usize, log: impl Send + 'static) {
    if messages > FREED_AT_ONCE {
        // Without a thread, the closure is dropped here, and the log with it.
        drop(std::thread::Builder::new().name("free".into()).spawn(move || drop(log)));
    }
}

/// Frees the memory of removed logs.
fn shrink(shard: &mut Shard) {
    if shard.capacity() > shard.len().max(SPARE).saturating_mul(4) {
        shard.shrink_to_fit();
    }
}

/// No code of others runs while a lock is held, so the data behind a poisoned lock is good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests;
