//! A store that has lost single messages inside its logs.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use tidewire_channel::{Budget, Continuity, Since};

use crate::answer::Answer;
use crate::append::{Append, Appended, Once};
use crate::create::{Create, Created};
use crate::error::{AppendError, CreateError, Failed, ReadError};
use crate::info::{Opened, Page};
use crate::name::ChannelName;
use crate::store::{Listener, Store, Swept};

/// A store around another one that cannot read some messages any more, as after a fault of a disk.
/// It tells this as [`Store::read`] says: the page before ends, and the next one begins with a gap.
///
/// ```
/// use std::sync::Arc;
/// use tidewire_channel::{Budget, Continuity, Since};
/// use tidewire_store::suite::BadRows;
/// use tidewire_store::*;
///
/// let store = BadRows::new(MemoryStore::new(Limits::DEFAULT));
/// let name = ChannelName::new("tide")?;
/// for text in ["high", "low", "high again"] {
///     let message = Arc::new(Message::new(text.into(), 0));
///     store.append(&name, Append::new(0, Batch::One(message), Arc::default())).wait().expect("now")?;
/// }
/// store.spoil(&name, 2);
/// let read = |since| store.read(&name, since, Budget::UNLIMITED, 0).wait().expect("now");
/// let before = read(Since::Earliest)?;
/// assert_eq!((before.messages.len(), before.more), (1, true));
/// let after = read(before.cursor.into())?;
/// assert!(matches!(after.continuity, Continuity::Gap { missed: 1, .. }));
/// assert_eq!((after.messages.len(), after.messages[0].0.seq()), (1, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BadRows<S> {
    inner: S,
    /// The numbers of the bad messages.
    bad: Mutex<HashMap<ChannelName, BTreeSet<u64>>>,
}

impl<S: Store> BadRows<S> {
    /// Wraps a store. All its messages are good.
    pub fn new(inner: S) -> Self {
        Self { inner, bad: Mutex::default() }
    }

    /// The store inside.
    pub const fn inner(&self) -> &S {
        &self.inner
    }

    /// Spoils the message with this number.
    pub fn spoil(&self, name: &ChannelName, seq: u64) {
        self.lock().entry(name.clone()).or_default().insert(seq);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChannelName, BTreeSet<u64>>> {
        self.bad.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The page without bad messages.
fn without(bad: &BTreeSet<u64>, page: Page) -> Page {
    let Page { continuity, start, mut messages, info, .. } = page;
    let bad_at_start = (start.seq() + 1..=info.head).take_while(|seq| bad.contains(seq)).count();
    if bad_at_start == 0 {
        let good = messages.iter().take_while(|(cursor, _)| !bad.contains(&cursor.seq())).count();
        messages.truncate(good);
        return Page::new((start, continuity), messages, info);
    }
    let skipped = bad_at_start as u64;
    let to = info.lineage.at(start.seq() + skipped);
    let continuity = match continuity {
        Continuity::Gap { from, missed, .. } => Continuity::Gap { from, to, missed: missed + skipped },
        Continuity::Reset { reason, .. } => Continuity::Reset { reason, to },
        Continuity::Fresh | Continuity::Resumed => Continuity::Gap { from: start, to, missed: skipped },
    };
    messages.drain(..bad_at_start.min(messages.len()));
    without(bad, Page::new((to, continuity), messages, info))
}

impl<S: Store> Store for BadRows<S> {
    fn open(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<Opened, Failed>> {
        self.inner.open(name, now_ms)
    }

    fn release(&self, name: &ChannelName, now_ms: u64) {
        self.inner.release(name, now_ms);
    }

    fn append(&self, name: &ChannelName, append: Append) -> Answer<Result<Appended, AppendError>> {
        self.inner.append(name, append)
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
        let bad = self.lock().get(name).cloned().unwrap_or_default();
        self.inner.read(name, since, budget, now_ms).map(move |page| page.map(|page| without(&bad, page)))
    }

    fn create(&self, name: &ChannelName, create: Create) -> Answer<Result<Created, CreateError>> {
        self.inner.create(name, create)
    }

    fn delete(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<bool, Failed>> {
        self.inner.delete(name, now_ms)
    }

    fn touch(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<(), Failed>> {
        self.inner.touch(name, now_ms)
    }

    fn sweep(&self, now_ms: u64) -> Answer<Result<Swept, Failed>> {
        self.inner.sweep(now_ms)
    }

    fn listen(&self, listener: Arc<dyn Listener>) {
        self.inner.listen(listener);
    }
}

impl<S: fmt::Debug> fmt::Debug for BadRows<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BadRows").field("inner", &self.inner).finish_non_exhaustive()
    }
}
