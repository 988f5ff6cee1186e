//! A channel: a log and its waiters, under one lock. Nothing is encoded or written while the lock
//! is held.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tidewire_channel::{Budget, Continuity, Cursor, Epoch, Since, WaitError, WaitKey};
use tidewire_store::{ChannelName, Message};

use crate::channel_state::{Append, AppendOutcome, State, Waiter};
use crate::config::HubConfig;
use crate::error::HubError;
use crate::room::PlaceInLine;
use crate::sync::{Mutex, MutexGuard};
use crate::upload_state::{Pace, RawReaderId, RawStart, RawStartError};

/// One channel: a log of messages, and the readers that wait for new ones.
///
/// ```
/// use tidewire_hub::{Budget, ChannelName, Continuity, Hub, HubConfig, Message, Since};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let mut config = HubConfig::DEFAULT;
/// config.retention.max_messages = 2;
/// let (hub, name) = (Hub::new(config, 0), ChannelName::new("tide")?);
/// let channel = hub.channel(&name)?;
/// let start = channel.head();
///
/// let waiting = channel.changed(start);
/// for text in ["low", "high", "low again"] {
///     hub.publish(&name, Message::new(text.into(), hub.wall_ms()), None)?;
/// }
/// waiting.await;
///
/// // Two of three messages are kept, so this reader missed one.
/// let page = channel.read(start.into(), Budget::messages(100));
/// assert!(matches!(page.continuity, Continuity::Gap { missed: 1, .. }));
/// let texts: Vec<_> = page.messages.iter().filter_map(|(_, message)| message.text()).collect();
/// assert_eq!(texts, ["high", "low again"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Channel {
    name: ChannelName,
    state: Mutex<State>,
    subscribers: AtomicUsize,
}

/// What [`Channel::read`] returns. Messages are shared, not copied.
#[derive(Debug)]
#[non_exhaustive]
pub struct Page {
    /// How the messages continue the position that was asked for.
    pub continuity: Continuity,
    /// The messages, each with the position after it.
    pub messages: Vec<(Cursor, Arc<Message>)>,
    /// The position after the last message: read on from here.
    pub cursor: Cursor,
    /// Whether the budget ended the read, so that more messages follow.
    pub more: bool,
    pub end: Option<Cursor>,
}

/// The outcome of [`Channel::watch`].
#[derive(Debug)]
pub(crate) enum Watch {
    /// The next publish wakes the waiter.
    Waiting(WaitKey),
    /// There is a message after that position already.
    Ready,
    /// The hub has forgotten the channel.
    Closed,
}

/// The result of a sweep of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Messages that were evicted.
    pub(crate) evicted: usize,
    pub(crate) is_idle: bool,
}

impl Channel {
    pub(crate) fn new(name: ChannelName, config: &HubConfig) -> Self {
        // Epoch 0 belongs to the cursor that is in no log.
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

    pub fn end(&self) -> Option<Cursor> {
        None
    }

    pub fn is_deleted(&self) -> bool {
        false
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

    /// The positions before the oldest and after the newest message; `None` if the hub has
    /// forgotten the channel. Marks the channel as used.
    pub(crate) fn bounds(&self, now_ms: u64) -> Option<(Cursor, Cursor)> {
        let mut state = self.lock();
        state.log.touch(now_ms);
        (!state.closed).then(|| (state.log.log().earliest(), state.log.log().head()))
    }

    /// Reads the messages after a position, as far as the budget allows. Start with
    /// [`Since::Earliest`] if you have no position.
    pub fn read(&self, since: Since, budget: Budget) -> Page {
        let state = self.lock();
        let read = state.log.read(since, budget);
        Page {
            continuity: read.continuity(),
            cursor: read.cursor(),
            more: read.more(),
            end: None,
            messages: read.iter().map(|entry| (entry.cursor, entry.value.clone())).collect(),
        }
    }

    /// Resolves when there is a message after `position`. After that, look up the channel again by
    /// its name, and read it: the hub may have forgotten the channel, and then this resolves at
    /// once. It is for code that serves a channel on its own server.
    pub fn changed(self: &Arc<Self>, position: Cursor) -> Changed {
        Changed { channel: self.clone(), position, wait: None }
    }

    /// Asks to be woken by the next publish after `position`.
    ///
    /// Publishers wait for a worker that watches: they evict nothing after `served`. That is the
    /// position up to which the worker has served all its subscribers that keep up; it is at most
    /// `position`. The worker moves `served` forward with each watch, or with
    /// [`served`](Self::served), and must [leave](Self::leave) in the end. A worker has one
    /// registration at a time. If the waiter is a task, `served` has no effect: publishers do not
    /// wait for tasks.
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

    /// Notes how far a worker that watches has served its subscribers. Publishers that wait for
    /// that go on.
    pub(crate) fn served(&self, worker: u16, served: Cursor) {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.room.served(state.log.log(), worker, served);
        let woken = state.room_made(0);
        drop(guard);
        woken.for_each(Waker::wake);
    }

    /// The time until which a worker may hold the channel, if it begins now.
    pub(crate) fn may_hold_until(&self, now_ms: u64) -> u64 {
        self.lock().room.may_hold_until(now_ms)
    }

    /// A worker holds the channel: some fast readers are behind for a moment, so the worker stops
    /// reporting how far it has served. Returns the time at which the hold must end.
    pub(crate) fn hold(&self, now_ms: u64) -> u64 {
        self.lock().room.hold(now_ms)
    }

    /// A worker no longer holds the channel.
    pub(crate) fn release(&self, now_ms: u64) {
        self.lock().room.release(now_ms);
    }

    /// Forgets a worker and its registration. Publishers no longer wait for it.
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

    /// The number of connections that wait on this channel.
    pub fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Relaxed)
    }

    pub(crate) fn add_subscriber(&self) {
        self.subscribers.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove_subscriber(&self) {
        self.subscribers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Marks the channel as used. Returns `false` if it is closed.
    pub(crate) fn touch(&self, now: u64) -> bool {
        let mut state = self.lock();
        state.log.touch(now);
        !state.closed
    }

    /// Appends a message without waiting for room. Returns `None` if the hub has forgotten the
    /// channel.
    ///
    /// # Errors
    /// [`HubError`]; nothing is appended.
    pub(crate) fn append(&self, append: Append<'_>) -> Result<Option<AppendOutcome>, HubError> {
        let mut guard = self.lock();
        let outcome = guard.append(append);
        let woken = guard.room_made(append.now_ms);
        drop(guard);
        woken.for_each(Waker::wake);
        outcome
    }

    /// The same, but only if there is room for the message. Otherwise the publisher gets a place in
    /// the line. It polls again with that place when it is woken, or [leaves](Self::leave_line).
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

    /// Gives up the place of a publisher in the line.
    pub(crate) fn leave_line(&self, place: PlaceInLine) {
        let mut guard = self.lock();
        guard.room.leave_line(place);
        let woken = guard.room_made(0);
        drop(guard);
        woken.for_each(Waker::wake);
    }

    /// Evicts expired messages. Wakes a publisher that has waited for too long.
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

    /// Reserves the channel for an upload. Returns `false` if the hub has forgotten the channel.
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
        // From now on their messages are refused.
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

    /// Adds a raw reader. Returns the position at which it starts.
    ///
    /// # Errors
    /// [`RawStartError`]: the log cannot continue from that position.
    pub(crate) fn add_raw_reader(&self, start: RawStart) -> Result<(RawReaderId, Cursor), RawStartError> {
        let State { log, upload, .. } = &mut *self.lock();
        upload.add_reader(log.log(), start)
    }

    /// Notes how far a raw reader has read. An upload that waits for it goes on.
    pub(crate) fn advance_raw_reader(&self, reader: RawReaderId, position: Cursor) {
        let waiting = self.lock().upload.advance_reader(reader, position);
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn remove_raw_reader(&self, reader: RawReaderId) {
        let waiting = self.lock().upload.remove_reader(reader);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// No code panics while it holds the lock, so the data behind a poisoned lock is good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
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

/// Epochs are random: two logs of one name must not share one, not even across restarts.
fn random_u64() -> u64 {
    getrandom::u64().unwrap_or_else(|_| fastrand::u64(..))
}
