//! A store in memory that can be restarted, and can crash.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard};

use tidewire_channel::{Budget, Epoch, Since};

use crate::answer::Answer;
use crate::append::{Append, Appended, Once};
use crate::create::{Create, Created};
use crate::error::{AppendError, CreateError, Failed, ReadError};
use crate::info::{Opened, Page};
use crate::memory::{Limits, MemoryStore};
use crate::name::ChannelName;
use crate::store::{Store, Swept};

/// How a store stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// In order: nothing is lost, and it is sure that nothing is.
    Nothing,
    /// Without warning: this number of the last appends to each log is lost. Also with 0, the store
    /// does not know that nothing is lost.
    Tail(usize),
}

/// A [`MemoryStore`] that writes down what is done to it, and can be started again from that.
///
/// ```
/// use std::sync::Arc;
/// use tidewire_channel::{Budget, Continuity, ResetReason};
/// use tidewire_store::suite::{JournalStore, Loss};
/// use tidewire_store::*;
///
/// let store = JournalStore::new(Limits::DEFAULT);
/// let name = ChannelName::new("tide")?;
/// let message = Arc::new(Message::new("high".into(), 0));
/// let append = || Append::new(0, Batch::One(message.clone()), Arc::default());
/// let first = store.append(&name, append()).wait().expect("it answers")?.cursor;
/// let lost = store.append(&name, append()).wait().expect("it answers")?.cursor;
///
/// let store = store.restart(Loss::Tail(1));
/// let page = store.read(&name, lost.into(), Budget::UNLIMITED, 0).wait().expect("it answers")?;
/// assert_eq!(page.continuity, Continuity::Reset { reason: ResetReason::TailLost, to: first });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct JournalStore {
    inner: MemoryStore,
    limits: Limits,
    epoch: Epoch,
    journal: Mutex<Vec<Call>>,
}

/// A call that may have changed the store.
#[derive(Clone, Debug)]
enum Call {
    Open(ChannelName, u64),
    Release(ChannelName, u64),
    /// It has appended something.
    Append(ChannelName, Append),
    /// It has appended nothing, but is a use of the log, and may be remembered by its key.
    Repeat(ChannelName, Append),
    /// It was lost, and the log is there without its messages.
    Lost(ChannelName, Append),
    Create(ChannelName, Create),
    Delete(ChannelName, u64),
    Touch(ChannelName, u64),
    Sweep(u64),
    /// The store stopped without warning.
    Crash,
    /// The store was started again.
    Restart,
}

impl JournalStore {
    /// An empty store.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let epoch = MemoryStore::random_epoch();
        Self::replayed(limits, epoch, Vec::new())
    }

    /// Stops this store and returns the one that starts after it. Do not use this one any more.
    #[must_use]
    pub fn restart(&self, loss: Loss) -> Self {
        let mut journal = self.lock().clone();
        if let Loss::Tail(count) = loss {
            if count > 0 {
                // What they have repeated may be lost.
                journal.retain(|call| !matches!(call, Call::Repeat(..)));
            }
            let mut lost: HashMap<ChannelName, usize> = HashMap::new();
            for call in journal.iter_mut().rev() {
                match call {
                    Call::Append(name, append) => {
                        let lost = lost.entry(name.clone()).or_default();
                        if *lost < count {
                            *lost += 1;
                            *call = Call::Lost(name.clone(), append.clone());
                        }
                    }
                    // What came before a creation, a deletion or a fork is kept.
                    Call::Create(name, create) => {
                        lost.insert(name.clone(), count);
                        lost.extend(create.fork.iter().map(|fork| (fork.source.clone(), count)));
                    }
                    Call::Delete(name, _) => drop(lost.insert(name.clone(), count)),
                    _ => {}
                }
            }
            journal.push(Call::Crash);
        }
        // The hub of the old store has released nothing, and is gone.
        journal.push(Call::Restart);
        Self::replayed(self.limits, self.epoch, journal)
    }

    fn replayed(limits: Limits, epoch: Epoch, journal: Vec<Call>) -> Self {
        let inner = MemoryStore::with_epoch(limits, epoch);
        for call in &journal {
            match call.clone() {
                Call::Open(name, now_ms) => drop(inner.open(&name, now_ms)),
                Call::Release(name, now_ms) => inner.release(&name, now_ms),
                Call::Append(name, append) | Call::Repeat(name, append) => drop(inner.append(&name, append)),
                Call::Lost(name, append) => inner.begin(&name, &append),
                Call::Create(name, create) => drop(inner.create(&name, create)),
                Call::Delete(name, now_ms) => drop(inner.delete(&name, now_ms)),
                Call::Touch(name, now_ms) => drop(inner.touch(&name, now_ms)),
                Call::Sweep(now_ms) => drop(inner.sweep(now_ms)),
                Call::Crash => inner.begin_epochs(),
                Call::Restart => inner.release_all(),
            }
        }
        Self { inner, limits, epoch, journal: Mutex::new(journal) }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        self.journal.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Writes a call down and makes it. The lock keeps the order.
    fn call<T>(&self, call: Call, make: impl FnOnce(&MemoryStore) -> Answer<T>) -> Answer<T> {
        let mut journal = self.lock();
        journal.push(call);
        make(&self.inner)
    }
}

impl Store for JournalStore {
    fn open(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<Opened, Failed>> {
        self.call(Call::Open(name.clone(), now_ms), |inner| inner.open(name, now_ms))
    }

    fn release(&self, name: &ChannelName, now_ms: u64) {
        let mut journal = self.lock();
        journal.push(Call::Release(name.clone(), now_ms));
        self.inner.release(name, now_ms);
    }

    fn append(&self, name: &ChannelName, append: Append) -> Answer<Result<Appended, AppendError>> {
        let mut journal = self.lock();
        let answer = self.inner.append(name, append.clone()).now();
        let answer = answer.expect("a store in memory answers at once");
        if let Ok(appended) = &answer {
            let call = if appended.duplicate { Call::Repeat } else { Call::Append };
            journal.push(call(name.clone(), append));
        }
        Answer::Now(answer)
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
        self.inner.read(name, since, budget, now_ms)
    }

    fn create(&self, name: &ChannelName, create: Create) -> Answer<Result<Created, CreateError>> {
        self.call(Call::Create(name.clone(), create.clone()), |inner| inner.create(name, create))
    }

    fn delete(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<bool, Failed>> {
        self.call(Call::Delete(name.clone(), now_ms), |inner| inner.delete(name, now_ms))
    }

    fn touch(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<(), Failed>> {
        self.call(Call::Touch(name.clone(), now_ms), |inner| inner.touch(name, now_ms))
    }

    fn sweep(&self, now_ms: u64) -> Answer<Result<Swept, Failed>> {
        self.call(Call::Sweep(now_ms), |inner| inner.sweep(now_ms))
    }
}

impl fmt::Debug for JournalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalStore").field("inner", &self.inner).finish_non_exhaustive()
    }
}
