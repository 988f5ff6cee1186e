//! Reading a channel: from the window, or from pages that are fetched from the store.
//!
//! ```text
//!   position ── in the window, or after it ──► at once, under the lock of the channel
//!       │ before it
//!       ▼
//!   pages: loaded ──► at once
//!       │ not yet: Page::waits
//!       ▼
//!   await_page ──► woken when the store has answered: read again
//! ```

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tidewire_channel::{Budget, Continuity, Cursor, Since, WaitKey};
use tidewire_store::{Page as Stored, ReadError};

use crate::channel::{Channel, Watch};
use crate::channel_state::{Behind, Life, Page, Reading, Waiter, Woken};
use crate::error::HubError;
use crate::page::{Content, Part};
use crate::pages::{PAGE, PageWaiter, Place, Want};

/// Whether the page at a position can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageAt {
    /// A read finds it now.
    Ready,
    /// The waiter is woken when it is there, or when it is given up.
    Waiting,
    /// The store has failed too often. Give the reader up; it comes back.
    Failed,
}

impl Channel {
    /// Reads the messages after a position, as far as the budget allows. Start with
    /// [`Since::Earliest`] if you have no position.
    ///
    /// If the messages are not in memory, and the store does not answer at once, the page has no
    /// message, and [`Page::waits`] is set.
    pub fn read(&self, since: Since, budget: Budget) -> Page {
        self.read_to(since, budget, None)
    }

    /// The same, but the read stops at `ceiling`, a position of the log.
    pub(crate) fn read_to(&self, since: Since, budget: Budget, ceiling: Option<Cursor>) -> Page {
        let reading = self.lock().read(since, budget, ceiling);
        match reading {
            Reading::Here(page) => page,
            Reading::Behind(behind) => self.read_behind(behind),
        }
    }

    #[cold]
    fn read_behind(&self, behind: Behind) -> Page {
        let Behind { start, continuity, budget, ceiling } = behind;
        let page = |continuity, messages: Vec<_>, cursor, waits| Page {
            continuity,
            messages,
            cursor,
            more: true,
            waits,
            end: None,
        };
        if budget.messages == 0 {
            return page(continuity, Vec::new(), start, false);
        }
        let (pages, now_ms) = (&self.common.pages, self.common.now_ms());
        let mut part = pages.get(self.number, start, budget, now_ms);
        if part.is_none() && matches!(self.want(start, None, false), Want::Loaded) {
            part = pages.get(self.number, start, budget, now_ms);
        }
        match part {
            Some((part, next)) => {
                fetch(next);
                let Part { continuity: of_page, messages, cursor } = part.up_to(ceiling);
                page(self.joined(continuity, of_page), messages, cursor, false)
            }
            None => page(continuity, Vec::new(), start, true),
        }
    }

    /// How a page continues a position: the log did as `continuity` says, and then the page.
    fn joined(&self, continuity: Continuity, page: Continuity) -> Continuity {
        let Continuity::Gap { to, missed: more, .. } = page else { return continuity };
        match continuity {
            // It has no position, so it misses nothing that was evicted. But the store may have
            // lost a message that it should keep.
            Continuity::Fresh if to.seq() <= self.earliest().seq() => continuity,
            Continuity::Fresh | Continuity::Resumed => page,
            Continuity::Gap { from, missed, .. } => Continuity::Gap { from, to, missed: missed + more },
            Continuity::Reset { reason, .. } => Continuity::Reset { reason, to },
        }
    }

    /// Whether a read at this position finds what is there, or a page must be waited for.
    pub(crate) fn await_page(&self, position: Cursor, waiter: PageWaiter) -> PageAt {
        self.await_page_as(position, waiter, false)
    }

    fn await_page_as(&self, position: Cursor, waiter: PageWaiter, is_patient: bool) -> PageAt {
        let state = self.lock();
        let reading = state.read(Since::After(position), Budget::messages(0), None);
        let is_open = state.life == Life::Open;
        drop(state);
        let Reading::Behind(Behind { start, .. }) = reading else { return PageAt::Ready };
        if !is_open {
            return PageAt::Ready;
        }
        match self.want(start, Some(waiter), is_patient) {
            Want::Loaded => PageAt::Ready,
            Want::Waits | Want::Fetch(_) => PageAt::Waiting,
            Want::Failed => PageAt::Failed,
        }
    }

    /// Asks for the page after `start`, and fetches it if nobody has.
    fn want(&self, start: Cursor, waiter: Option<PageWaiter>, is_patient: bool) -> Want<Channel> {
        let (this, now_ms) = (self.arc(), self.common.now_ms());
        let pages = &self.common.pages;
        let mut want = pages.want((&this, self.number), start, waiter, is_patient, now_ms);
        while let Want::Fetch(next) = want {
            fetch(next);
            // A store that answers at once has answered. But the page may be gone again: the log
            // has vanished, or other readers have taken its place. Then this asks for a fetch.
            want = pages.want((&this, self.number), start, None, is_patient, now_ms);
        }
        want
    }

    /// Takes a page of the store. Returns what to fetch next.
    fn page_came(&self, start: Cursor, answer: Option<Result<Stored, ReadError>>) -> Vec<Place<Channel>> {
        let content = match answer {
            Some(Ok(page)) => {
                self.common.note_answer(self.common.now_ms());
                self.checked(start, page)
            }
            Some(Err(ReadError::Failed(failed))) => {
                tracing::warn!(channel = %self.name(), %failed, "the store did not read a page");
                None
            }
            Some(Err(error)) => {
                self.vanished(matches!(error, ReadError::Deleted | ReadError::SoftDeleted));
                None
            }
            None => None,
        };
        let (this, now_ms) = (self.arc(), self.common.now_ms());
        let landed = self.common.pages.landed(self.number, start, content, &this, now_ms);
        self.wake_page(landed.woken);
        landed.next
    }

    /// The content of a page, if it is what was asked for.
    fn checked(&self, start: Cursor, mut page: Stored) -> Option<Content> {
        let mut state = self.lock();
        state.note_earliest(page.info.earliest);
        let is_gap = matches!(page.continuity, Continuity::Gap { .. });
        let is_reset = matches!(page.continuity, Continuity::Reset { .. });
        let is_longer = state.cut_at_head(&mut page);
        let is_ahead = page.start.seq() > state.log.log().head().seq();
        if is_reset || is_ahead || !is_gap && page.messages.is_empty() {
            // The log in the store is not the one that the window knows.
            state.is_uncertain = true;
            drop(state);
            self.catch_up_if_needed();
            return None;
        }
        state.fill(&page);
        // Messages in flight come with their answers.
        if is_longer && state.flying == 0 {
            state.is_uncertain = true;
            drop(state);
            self.catch_up_if_needed();
        }
        Some(Content {
            asked: start,
            continuity: page.continuity,
            start: page.start,
            messages: page.messages,
        })
    }

    /// Resolves when there is a message after `position`, or the end of the channel, or when the
    /// store has fetched what follows. After that, look up the channel again by its name, and read
    /// it: the hub may have forgotten the channel, and then this resolves at once. It also resolves
    /// at once at the [end](Channel::end). It is for code that serves a channel on its own server.
    pub fn changed(self: &Arc<Self>, position: Cursor) -> Changed {
        Changed { channel: self.clone(), position, wait: None }
    }

    /// Reads what the store has and the window lacks, if the window may lack something.
    pub(crate) fn catch_up_if_needed(&self) {
        loop {
            let mut state = self.lock();
            if !state.must_catch_up() {
                return;
            }
            let now_ms = self.common.now_ms();
            (state.is_catching_up, state.catching_up_ms) = (true, now_ms);
            state.is_uncertain = false;
            state.catch_ups += 1;
            let number = state.catch_ups;
            let head = state.log.log().head();
            drop(state);
            let answer = self.common.store.read(self.name(), Since::After(head), Budget::bytes(PAGE), now_ms);
            match answer.now() {
                Ok(page) => {
                    if !self.caught_up(number, Some(page)) {
                        return;
                    }
                }
                Err(later) => {
                    let this = self.arc();
                    return later.then(move |page| {
                        if this.caught_up(number, page) {
                            this.catch_up_if_needed();
                        }
                    });
                }
            }
        }
    }

    /// Takes what the store has after the head. Returns whether there may be more.
    fn caught_up(&self, number: u64, answer: Option<Result<Stored, ReadError>>) -> bool {
        let mut state = self.lock();
        if !state.is_catching_up || state.catch_ups != number {
            // It comes so late that it was given up.
            return false;
        }
        state.is_catching_up = false;
        let page = match answer {
            Some(Ok(page)) => page,
            // Nothing was appended to a log that does not exist.
            Some(Err(ReadError::Absent { .. })) if state.log.log().head().seq() == 0 => return false,
            Some(Err(ReadError::Failed(_))) | None => {
                state.is_uncertain = true;
                let given_up = state.give_up_early();
                drop(state);
                tracing::warn!(channel = %self.name(), "the store did not tell the newest messages");
                let unknown = Err(HubError::Store { unknown: true });
                given_up.into_iter().for_each(|publishing| publishing.land(unknown));
                return false;
            }
            Some(Err(error)) => {
                drop(state);
                self.vanished(matches!(error, ReadError::Deleted | ReadError::SoftDeleted));
                return false;
            }
        };
        let mut woken = Woken::default();
        let window = self.window(&page.info.settings);
        let is_new = state.catch_up(&page, window, &mut woken);
        let has_more = page.more && state.log.log().head().seq() < page.info.head;
        let done = state.settle_early(self.common.now_ms(), !has_more, &mut woken);
        state.is_uncertain |= has_more;
        let (room, is_uncertain) = (state.room_made(0), state.is_uncertain);
        drop(state);
        if is_new {
            self.wake_page(self.common.pages.forget(self.number));
        }
        self.wake(woken);
        done.into_iter().for_each(|(publishing, published)| publishing.land(Ok(published)));
        room.for_each(Waker::wake);
        is_uncertain
    }
}

/// Fetches pages from the store, and the next ones in the line.
pub(crate) fn fetch(mut places: Vec<Place<Channel>>) {
    while let Some(Place { channel, start, bytes }) = places.pop() {
        let common = &channel.common;
        let answer =
            common.store.read(channel.name(), Since::After(start), Budget::bytes(bytes), common.now_ms());
        match answer.now() {
            Ok(page) => places.extend(channel.page_came(start, Some(page))),
            Err(later) => later.then(move |page| fetch(channel.page_came(start, page))),
        }
    }
}

/// The future of [`Channel::changed`]. Dropping it ends the wait.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Changed {
    channel: Arc<Channel>,
    position: Cursor,
    wait: Option<WaitKey>,
}

impl Future for Changed {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(wait) = self.wait.take() {
            self.channel.unwatch(wait);
        }
        match self.channel.watch(self.position, self.position, Waiter::Task(cx.waker().clone())) {
            Watch::Waiting(wait) => {
                self.wait = Some(wait);
                Poll::Pending
            }
            Watch::Ready => {
                let waiter = PageWaiter::Task(cx.waker().clone());
                match self.channel.await_page_as(self.position, waiter, true) {
                    PageAt::Waiting => Poll::Pending,
                    PageAt::Ready | PageAt::Failed => Poll::Ready(()),
                }
            }
            Watch::Ended | Watch::Closed => Poll::Ready(()),
        }
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        if let Some(wait) = self.wait.take() {
            self.channel.unwatch(wait);
        }
    }
}
