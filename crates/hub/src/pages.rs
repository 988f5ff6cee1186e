//! Pages: parts of logs that are older than the windows of their channels. They are fetched from
//! the store, and all readers at the same place share one fetch.
//!
//! ```text
//!   reader ─► is the page there? ── yes ─► its messages
//!                 │ no
//!                 ▼                             store.read
//!              Queued ──── a fetch is free ───► Fetching ─────────► Loaded ─► its waiters are woken
//!                 ▲                               │ failed
//!                 └─── its pause is over ─ Paused ◄┘
//!                                            │ failed too often
//!                                            └────────────────────► Failed ─► its waiters are woken
//! ```
//!
//! A loaded page stays until the readers that waited for it have read it, or for a second. After
//! that it gives way to others when the pages take too many bytes. So every fetch lets a reader
//! move on, however many readers there are.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use tidewire_channel::{Budget, Cursor};

use crate::page::{Content, Loaded, Part};
use crate::sync::{Mutex, MutexGuard};

/// Bytes of one page: the weight of its messages. A single longer message is a page too.
pub(crate) const PAGE: usize = 256 * 1024;

/// Bytes of one page while many others wait in the line: what one reader takes at once. The rest of
/// a longer page would give way before its reader comes back for it.
pub(crate) const SHORT_PAGE: usize = 64 * 1024;

/// Bytes of all loaded pages. Over this, pages that nobody waits for give way.
pub(crate) const MAX_PAGES: usize = 32 * 1024 * 1024;

/// Fetches at one time. Further ones wait in a line.
pub(crate) const MAX_FETCHES: usize = 32;

/// Failures after which the readers of a page are given up.
pub(crate) const MAX_ATTEMPTS: u32 = 4;

/// The pause after the first failure of a fetch. It doubles with each further one.
const PAUSE_MS: u64 = 100;

/// How long a page is kept for waiters that do not come.
const UNREAD_MS: u64 = 1_000;

/// How long a page that failed too often counts as failed.
const FAILED_MS: u64 = 2_000;

/// The pages of all channels `C` of a hub.
#[derive(Debug)]
pub(crate) struct Pages<C> {
    inner: Mutex<Inner<C>>,
    max_bytes: usize,
}

/// The channel, by its number in the hub, and the number of the message before the page.
type Key = (u64, u64);

#[derive(Debug)]
struct Inner<C> {
    all: BTreeMap<Key, Page<C>>,
    /// Pages that wait for a free fetch.
    line: VecDeque<Key>,
    /// Fetches under way.
    fetching: usize,
    /// Bytes of the loaded pages.
    bytes: usize,
    /// Loaded pages in the order in which they were last used. The key says which use.
    used: BTreeMap<u64, Key>,
    uses: u64,
    /// The number of pages in a pause, and of those that were given up.
    paused: usize,
    failed: usize,
}

#[derive(Debug)]
struct Page<C> {
    state: PageState<C>,
    waiters: PageWaiters,
    attempts: u32,
}

#[derive(Debug)]
enum PageState<C> {
    Queued(Place<C>),
    Fetching,
    /// Until this time.
    Paused(Place<C>, u64),
    /// Until this time. Waiters that came since then are patient.
    Failed(Place<C>, u64),
    Loaded(Loaded),
}

/// What a fetch needs.
#[derive(Debug)]
pub(crate) struct Place<C> {
    pub(crate) channel: Arc<C>,
    pub(crate) start: Cursor,
    /// Bytes to read.
    pub(crate) bytes: usize,
}

/// Who waits for a page. Each waits once.
#[derive(Debug, Default)]
pub(crate) struct PageWaiters {
    pub(crate) workers: Vec<u16>,
    tasks: HashMap<usize, Waker>,
}

/// What to do about a page.
#[derive(Debug)]
pub(crate) enum Want<C> {
    /// It is loaded.
    Loaded,
    /// It is under way. The waiter, if there is one, will be woken.
    Waits,
    /// It could not be read. The waiter is not woken.
    Failed,
    /// The same. Fetch these now, which may be others: those that wait for longer come first. Say
    /// how each [ended](Pages::landed).
    Fetch(Vec<Place<C>>),
}

/// What follows after a fetch has ended.
#[derive(Debug)]
pub(crate) struct Landed<C> {
    /// Whom to wake.
    pub(crate) woken: PageWaiters,
    /// What to fetch next.
    pub(crate) next: Vec<Place<C>>,
}

impl<C> Pages<C> {
    pub(crate) fn new() -> Self {
        Self::with_max_bytes(MAX_PAGES)
    }

    pub(crate) fn with_max_bytes(max_bytes: usize) -> Self {
        let inner = Inner {
            all: BTreeMap::new(),
            line: VecDeque::new(),
            fetching: 0,
            bytes: 0,
            used: BTreeMap::new(),
            uses: 0,
            paused: 0,
            failed: 0,
        };
        Pages { inner: Mutex::new(inner), max_bytes }
    }

    /// The messages of a channel after `start`, as far as the budget and a loaded page allow. Also
    /// what to fetch next, because a page that was read may give way.
    pub(crate) fn get(
        &self,
        channel: u64,
        start: Cursor,
        budget: Budget,
        now_ms: u64,
    ) -> Option<(Part, Vec<Place<C>>)> {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let (&key, page) = inner.all.range_mut((channel, 0)..=(channel, start.seq())).next_back()?;
        let PageState::Loaded(loaded) = &mut page.state else { return None };
        let part = loaded.part(start, budget)?;
        loaded.expected = loaded.expected.saturating_sub(1);
        inner.used.remove(&loaded.use_number);
        inner.uses += 1;
        loaded.use_number = inner.uses;
        inner.used.insert(inner.uses, key);
        Some((part, inner.next(self.max_bytes, now_ms)))
    }

    /// Asks for the page of a channel after `start`. The waiter is woken when the page is there or
    /// is given up. A patient one also waits if the page was given up a moment ago.
    pub(crate) fn want(
        &self,
        (channel, number): (&Arc<C>, u64),
        start: Cursor,
        waiter: Option<PageWaiter>,
        is_patient: bool,
        now_ms: u64,
    ) -> Want<C> {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let key = (number, start.seq());
        let place = || Place { channel: channel.clone(), start, bytes: PAGE };
        if inner.has(key, start) {
            return Want::Loaded;
        }
        match inner.all.get_mut(&key) {
            Some(Page { state: PageState::Failed(_, until_ms), waiters, .. }) if now_ms < *until_ms => {
                let Some(waiter) = waiter.filter(|_| is_patient) else { return Want::Failed };
                waiters.add(waiter);
                return Want::Waits;
            }
            // It begins anew. A loaded page that does not have the place is of an older log.
            Some(Page { state: PageState::Loaded(_), .. }) => drop(inner.remove(key)),
            Some(page) if matches!(page.state, PageState::Failed(..)) => {
                page.state = PageState::Queued(place());
                page.attempts = 0;
                inner.failed -= 1;
            }
            _ => {}
        }
        let page = inner.all.entry(key).or_insert_with(|| Page::new(place()));
        if let Some(waiter) = waiter {
            page.waiters.add(waiter);
        }
        match page.state {
            PageState::Paused(_, until_ms) if until_ms <= now_ms => inner.paused -= 1,
            PageState::Queued(_) if !page.is_listed() => {}
            _ => return Want::Waits,
        }
        page.attempts += 1;
        page.state = PageState::Queued(place());
        inner.line.push_back(key);
        match inner.next(self.max_bytes, now_ms) {
            next if next.is_empty() => Want::Waits,
            next => Want::Fetch(next),
        }
    }

    /// A fetch has ended with a page, or failed.
    pub(crate) fn landed(
        &self,
        number: u64,
        start: Cursor,
        content: Option<Content>,
        channel: &Arc<C>,
        now_ms: u64,
    ) -> Landed<C> {
        let mut guard = self.lock();
        let inner = &mut *guard;
        inner.fetching -= 1;
        let mut woken = PageWaiters::default();
        let key = (number, start.seq());
        // The page may have been forgotten meanwhile.
        if let Some(page) = inner.all.get_mut(&key).filter(|page| matches!(page.state, PageState::Fetching)) {
            match content {
                Some(content) => {
                    woken = std::mem::take(&mut page.waiters);
                    inner.uses += 1;
                    let loaded = Loaded::new(content, woken.len(), inner.uses, now_ms);
                    inner.bytes += loaded.bytes;
                    inner.used.insert(inner.uses, key);
                    page.state = PageState::Loaded(loaded);
                }
                None if page.attempts >= MAX_ATTEMPTS => {
                    woken = std::mem::take(&mut page.waiters);
                    let place = Place { channel: channel.clone(), start, bytes: PAGE };
                    page.state = PageState::Failed(place, now_ms + FAILED_MS);
                    inner.failed += 1;
                }
                None => {
                    let pause_ms = PAUSE_MS << (page.attempts - 1);
                    let place = Place { channel: channel.clone(), start, bytes: PAGE };
                    page.state = PageState::Paused(place, now_ms + pause_ms);
                    inner.paused += 1;
                }
            }
        }
        Landed { woken, next: inner.next(self.max_bytes, now_ms) }
    }

    /// What to fetch because its pause is over, or because others have given way.
    pub(crate) fn due(&self, now_ms: u64) -> Vec<Place<C>> {
        let mut guard = self.lock();
        let inner = &mut *guard;
        if inner.paused + inner.failed > 0 {
            let is_over = |page: &Page<C>| match page.state {
                PageState::Paused(_, until_ms) | PageState::Failed(_, until_ms) => until_ms <= now_ms,
                _ => false,
            };
            let over: Vec<Key> =
                inner.all.iter().filter(|(_, page)| is_over(page)).map(|(&key, _)| key).collect();
            for key in over {
                let Some(page) = inner.remove(key) else { continue };
                let attempts =
                    if matches!(page.state, PageState::Paused(..)) { page.attempts + 1 } else { 1 };
                let (PageState::Paused(place, _) | PageState::Failed(place, _)) = page.state else {
                    continue;
                };
                // Nobody waits for it any more.
                if page.waiters.len() > 0 {
                    let state = PageState::Queued(place);
                    inner.all.insert(key, Page { state, waiters: page.waiters, attempts });
                    inner.line.push_back(key);
                }
            }
        }
        inner.next(self.max_bytes, now_ms)
    }

    /// The number of fetches under way.
    pub(crate) fn fetches(&self) -> usize {
        self.lock().fetching
    }

    /// Forgets the pages of a channel. Returns whom to wake.
    pub(crate) fn forget(&self, channel: u64) -> PageWaiters {
        let mut guard = self.lock();
        let keys: Vec<Key> =
            guard.all.range((channel, 0)..=(channel, u64::MAX)).map(|(&key, _)| key).collect();
        let mut woken = PageWaiters::default();
        for key in keys {
            if let Some(page) = guard.remove(key) {
                woken.join(page.waiters);
            }
        }
        woken
    }

    /// No code panics while it holds the lock, so the data behind a poisoned lock is good.
    fn lock(&self) -> MutexGuard<'_, Inner<C>> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<C> Inner<C> {
    /// Whether a loaded page has the messages after `start`, or says that they are gone.
    fn has(&self, (channel, seq): Key, start: Cursor) -> bool {
        let found = self.all.range((channel, 0)..=(channel, seq)).next_back();
        found.is_some_and(|(_, page)| match &page.state {
            PageState::Loaded(loaded) => loaded.part(start, Budget::messages(0)).is_some(),
            _ => false,
        })
    }

    /// Lets loaded pages give way until there is room for one more. Returns whether there is.
    fn make_room(&mut self, max_bytes: usize, now_ms: u64) -> bool {
        let wanted = max_bytes.saturating_sub(self.fetching.saturating_add(1) * PAGE);
        if self.bytes <= wanted {
            return true;
        }
        let mut going = Vec::new();
        let mut bytes = self.bytes;
        for &key in self.used.values() {
            if let Some(Page { state: PageState::Loaded(loaded), .. }) = self.all.get(&key)
                && (loaded.expected == 0 || now_ms.saturating_sub(loaded.since_ms) >= UNREAD_MS)
            {
                bytes -= loaded.bytes;
                going.push(key);
            }
            if bytes <= wanted {
                break;
            }
        }
        for key in going {
            self.remove(key);
        }
        self.bytes <= wanted || self.fetching == 0 && self.bytes == 0
    }

    /// The next pages in the line, as far as fetches are free.
    fn next(&mut self, max_bytes: usize, now_ms: u64) -> Vec<Place<C>> {
        let mut next = Vec::new();
        while self.fetching < MAX_FETCHES && !self.line.is_empty() && self.make_room(max_bytes, now_ms) {
            let Some(key) = self.line.pop_front() else { break };
            let Some(page) = self.all.get_mut(&key) else { continue };
            if !matches!(page.state, PageState::Queued(_)) {
                continue;
            }
            if let PageState::Queued(mut place) = std::mem::replace(&mut page.state, PageState::Fetching) {
                self.fetching += 1;
                place.bytes = if self.line.len() >= MAX_FETCHES { SHORT_PAGE } else { PAGE };
                next.push(place);
            }
        }
        next
    }

    fn remove(&mut self, key: Key) -> Option<Page<C>> {
        let page = self.all.remove(&key)?;
        match &page.state {
            PageState::Loaded(loaded) => {
                self.bytes -= loaded.bytes;
                self.used.remove(&loaded.use_number);
            }
            PageState::Paused(..) => self.paused -= 1,
            PageState::Failed(..) => self.failed -= 1,
            _ => {}
        }
        Some(page)
    }
}

impl<C> Page<C> {
    fn new(place: Place<C>) -> Self {
        Page { state: PageState::Queued(place), waiters: PageWaiters::default(), attempts: 0 }
    }

    /// Whether it is in the line. A new page is not.
    fn is_listed(&self) -> bool {
        self.attempts > 0
    }
}

/// Who waits for a page.
#[derive(Debug)]
pub(crate) enum PageWaiter {
    Worker(u16),
    Task(Waker),
}

impl PageWaiters {
    fn add(&mut self, waiter: PageWaiter) {
        match waiter {
            PageWaiter::Worker(worker) if self.workers.contains(&worker) => {}
            PageWaiter::Worker(worker) => self.workers.push(worker),
            // A waker that is kept here keeps its data, so no other waker has the same address.
            PageWaiter::Task(waker) => drop(self.tasks.insert(waker.data() as usize, waker)),
        }
    }

    fn len(&self) -> usize {
        self.workers.len() + self.tasks.len()
    }

    fn join(&mut self, other: PageWaiters) {
        other.workers.into_iter().for_each(|worker| self.add(PageWaiter::Worker(worker)));
        other.tasks.into_values().for_each(|waker| self.add(PageWaiter::Task(waker)));
    }

    /// Wakes the tasks. The caller tells the workers.
    pub(crate) fn wake_tasks(self) {
        self.tasks.into_values().for_each(Waker::wake);
    }
}
