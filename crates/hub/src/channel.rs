//! A channel: a log and those who wait for it, under one lock that is never held while anything is
//! encoded or written.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tidewire_channel::{Budget, Continuity, Cursor, Epoch, Since, WaitError, WaitKey};

use crate::channel_state::{Append, AppendOutcome, State, Waiter};
use crate::config::HubConfig;
use crate::error::HubError;
use crate::message::Message;
use crate::name::ChannelName;
use crate::room::PlaceInLine;
use crate::sync::{Mutex, MutexGuard};
use crate::upload_state::{Pace, RawReaderId, RawStart, RawStartError};

/// One channel: a log and those who wait, under one lock that is never held while anything is
/// encoded or written.
pub struct Channel {
    name: ChannelName,
    state: Mutex<State>,
    subscribers: AtomicUsize,
}

/// What a read copied out of the log: messages by reference.
#[derive(Debug)]
pub struct Page {
    /// How the messages continue what the reader has.
    pub continuity: Continuity,
    /// The messages, each with the position after it.
    pub messages: Vec<(Cursor, Arc<Message>)>,
    /// The position after the last one.
    pub cursor: Cursor,
    /// Whether the budget ended the read.
    pub more: bool,
}

/// What [`Channel::watch`] did.
#[derive(Debug)]
pub(crate) enum Watch {
    /// The next publish wakes.
    Waiting(WaitKey),
    /// There is something after that position already.
    Ready,
    /// The channel is no more.
    Closed,
}

/// What a sweep found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Messages that went.
    pub(crate) evicted: usize,
    pub(crate) is_idle: bool,
}

impl Channel {
    pub(crate) fn new(name: ChannelName, config: &HubConfig) -> Self {
        // 0 is the epoch of the cursor that is of no log.
        let epoch = Epoch::new(random_u64().max(1));
        Channel { name, state: Mutex::new(State::new(epoch, config)), subscribers: AtomicUsize::new(0) }
    }

    /// The name.
    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// The position after the newest message.
    pub fn head(&self) -> Cursor {
        self.lock().log.log().head()
    }

    /// The position before the newest message, or after it if it is no longer kept.
    pub(crate) fn before_newest(&self) -> Cursor {
        let state = self.lock();
        let (head, log) = (state.log.log().head(), state.log.log());
        if log.is_empty() { head } else { Cursor::new(head.epoch(), head.seq() - 1) }
    }

    /// The position before the oldest message that is kept.
    pub fn earliest(&self) -> Cursor {
        self.lock().log.log().earliest()
    }

    /// The positions before the oldest message and after the newest one; `None` if the channel was
    /// forgotten. Notes that the channel is in use.
    pub(crate) fn bounds(&self, now_ms: u64) -> Option<(Cursor, Cursor)> {
        let mut state = self.lock();
        state.log.touch(now_ms);
        (!state.closed).then(|| (state.log.log().earliest(), state.log.log().head()))
    }

    /// Reads on from a position, as far as the budget allows. Whoever has no position starts with
    /// [`Since::Earliest`].
    pub fn read(&self, since: Since, budget: Budget) -> Page {
        let state = self.lock();
        let read = state.log.read(since, budget);
        Page {
            continuity: read.continuity(),
            cursor: read.cursor(),
            more: read.more(),
            messages: read.iter().map(|entry| (entry.cursor, entry.value.clone())).collect(),
        }
    }

    /// Waits until there is something after `position`: for code that serves a channel on a server
    /// of its own. Read again when it resolves, and look the channel up by its name before: an idle
    /// channel is forgotten, and from then on this resolves at once.
    pub fn changed(self: &Arc<Self>, position: Cursor) -> Changed {
        Changed { channel: self.clone(), position, wait: None }
    }

    /// Asks to be woken by the next publish after `position`.
    ///
    /// From then on, publishers wait for a worker: they evict nothing after `served`, the position
    /// up to which it has served all its subscribers that keep up (at most `position`). It moves it
    /// on with each watch, or with [`served`](Self::served), and has to [leave](Self::leave) in the
    /// end. A worker has one registration at a time. Nobody waits for a task; its `served` says
    /// nothing.
    pub(crate) fn watch(&self, position: Cursor, served: Cursor, waiter: Waiter) -> Watch {
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.closed {
            return Watch::Closed;
        }
        let worker = match waiter {
            Waiter::Worker(worker) => Some(worker),
            Waiter::Task(_) => None,
        };
        let waits = match state.log.wait(position, waiter) {
            Ok(key) => Ok(key),
            Err(WaitError::Ready(_)) => Err(Watch::Ready),
            Err(_) => Err(Watch::Closed),
        };
        let Some(worker) = worker else { return waits.map_or_else(|no| no, Watch::Waiting) };
        let before = state.room.read_by(state.log.log(), worker, served, waits.as_ref().ok().copied());
        if let Some(before) = before {
            state.log.cancel(before);
        }
        let woken = state.room_made(0);
        drop(guard);
        woken.for_each(Waker::wake);
        waits.map_or_else(|no| no, Watch::Waiting)
    }

    pub(crate) fn unwatch(&self, key: WaitKey) {
        self.lock().log.cancel(key);
    }

    /// Notes up to where a worker that watches has served its subscribers: publishers that wait for
    /// that go on.
    pub(crate) fn served(&self, worker: u16, served: Cursor) {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.room.served(state.log.log(), worker, served);
        let woken = state.room_made(0);
        drop(guard);
        woken.for_each(Waker::wake);
    }

    /// Until when a worker may hold the channel that begins now.
    pub(crate) fn may_hold_until(&self, now_ms: u64) -> u64 {
        self.lock().room.may_hold_until(now_ms)
    }

    /// A worker holds the channel: readers that keep up are behind for a moment, so it does not say
    /// how far it has served. Returns until when it may.
    pub(crate) fn hold(&self, now_ms: u64) -> u64 {
        self.lock().room.hold(now_ms)
    }

    /// A worker holds the channel no more.
    pub(crate) fn release(&self, now_ms: u64) {
        self.lock().room.release(now_ms);
    }

    /// Forgets a worker and its registration: publishers no longer wait for it.
    pub(crate) fn leave(&self, worker: u16) {
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Some(wait) = state.room.left_by(worker) {
            state.log.cancel(wait);
        }
        let woken = state.room_made(0);
        drop(guard);
        woken.for_each(Waker::wake);
    }

    /// How many connections wait here.
    pub fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Relaxed)
    }

    pub(crate) fn add_subscriber(&self) {
        self.subscribers.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove_subscriber(&self) {
        self.subscribers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes that the channel is in use; `false` if it is closed.
    pub(crate) fn touch(&self, now: u64) -> bool {
        let mut state = self.lock();
        state.log.touch(now);
        !state.closed
    }

    /// Appends a message without waiting for room; `None` if the channel was forgotten by the hub.
    ///
    /// # Errors
    /// [`HubError`]; nothing is appended then.
    pub(crate) fn append(&self, append: Append<'_>) -> Result<Option<AppendOutcome>, HubError> {
        let mut guard = self.lock();
        let outcome = guard.append(append);
        let woken = guard.room_made(append.now_ms);
        drop(guard);
        woken.for_each(Waker::wake);
        outcome
    }

    /// The same where there is room for the message. Otherwise the publisher has a place in line,
    /// with which it comes again when it is woken, or [leaves](Self::leave_line).
    pub(crate) fn poll_append(
        &self,
        append: Append<'_>,
        place: &mut Option<PlaceInLine>,
        cx: &Context<'_>,
    ) -> Poll<Result<Option<AppendOutcome>, HubError>> {
        let mut guard = self.lock();
        if guard.has_to_wait(&append, place, cx.waker()) {
            return Poll::Pending;
        }
        let outcome = guard.append(append);
        if let Some(place) = place.take() {
            guard.room.leave_line(place);
        }
        let woken = guard.room_made(append.now_ms);
        drop(guard);
        woken.for_each(Waker::wake);
        Poll::Ready(outcome)
    }

    /// Gives up a publisher's place in line.
    pub(crate) fn leave_line(&self, place: PlaceInLine) {
        let mut guard = self.lock();
        guard.room.leave_line(place);
        let woken = guard.room_made(0);
        drop(guard);
        woken.for_each(Waker::wake);
    }

    /// Evicts what is too old. Wakes a publisher that has waited for long enough.
    pub(crate) fn expire(&self, now: u64) -> Swept {
        let mut guard = self.lock();
        let evicted = guard.log.expire(now);
        let is_idle = guard.is_idle(now);
        let woken = guard.room_made(now);
        drop(guard);
        woken.for_each(Waker::wake);
        Swept { evicted, is_idle }
    }

    pub(crate) fn close_if_idle(&self, now: u64) -> bool {
        let mut state = self.lock();
        state.closed = state.is_idle(now);
        state.closed
    }

    /// Takes the channel for an upload; `false` if it was forgotten by the hub.
    ///
    /// # Errors
    /// [`HubError::Uploading`] if another upload has it.
    pub(crate) fn begin_upload(&self) -> Result<bool, HubError> {
        let mut state = self.lock();
        if state.closed {
            return Ok(false);
        }
        if state.upload.is_active() {
            return Err(HubError::Uploading);
        }
        let head = state.log.log().head();
        state.upload.begin(head);
        // They are refused now.
        let waiting = state.room.wake_all();
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        Ok(true)
    }

    pub(crate) fn end_upload(&self) {
        self.lock().upload.end();
    }

    /// Ready when there is room for a message of this size from the upload.
    pub(crate) fn poll_room(&self, size: usize, pace: Pace, now_ms: u64, cx: &Context<'_>) -> Poll<()> {
        let State { log, upload, room, .. } = &mut *self.lock();
        upload.poll_room(log.log(), room, (size, pace), now_ms, cx)
    }

    /// Adds a raw reader, and says at which position it starts.
    ///
    /// # Errors
    /// [`RawStartError`]: the log cannot be continued from that position.
    pub(crate) fn add_raw_reader(&self, start: RawStart) -> Result<(RawReaderId, Cursor), RawStartError> {
        let State { log, upload, .. } = &mut *self.lock();
        upload.add_reader(log.log(), start)
    }

    /// Notes how far a raw reader has read: an upload that waits for it goes on.
    pub(crate) fn advance_raw_reader(&self, reader: RawReaderId, position: Cursor) {
        let waiting = self.lock().upload.advance_reader(reader, position);
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn remove_raw_reader(&self, reader: RawReaderId) {
        let waiting = self.lock().upload.remove_reader(reader);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// No code panics while it holds the lock, so a poisoned one holds good data.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The future of [`Channel::changed`]. Dropped, it no longer waits.
#[derive(Debug)]
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
            Watch::Ready | Watch::Closed => Poll::Ready(()),
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

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Channel").field(&self.name).finish()
    }
}

/// Epochs come from the system's generator: two logs of one name must not share one, across
/// restarts too.
fn random_u64() -> u64 {
    getrandom::u64().unwrap_or_else(|_| fastrand::u64(..))
}
