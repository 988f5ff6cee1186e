//! A channel: the window of a log and its waiters, under one lock. Nothing is encoded or written
//! while the lock is held.
//!
//! What needs the store has files of its own: `opening.rs`, `appending.rs`, `fetching.rs` and
//! `changing.rs`.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use tidewire_channel::{Cursor, Retention, WaitError, WaitKey};
use tidewire_store::{ChannelName, ChannelSettings, Expiry};

use crate::channel_state::{Life, State, Waiter, Woken, is_same_type};
use crate::common;
use crate::error::HubError;
use crate::pages::PageWaiters;
use crate::room::PlaceInLine;
use crate::sync::{Mutex, MutexGuard};
use crate::upload_state::{Pace, RawReaderId, RawStart, RawStartError};

/// What all channels of a hub share.
pub(crate) type Common = common::Common<Channel>;

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
    /// Tells this channel from an older one of the same name.
    pub(crate) number: u64,
    this: Weak<Channel>,
    pub(crate) common: Arc<Common>,
    /// Whether readers and publishers may use it, so that most look-ups need no lock.
    is_open: AtomicBool,
    /// The time from which on the store is to be told that the log is in use.
    prolong_at_ms: AtomicU64,
    state: Mutex<State>,
    subscribers: AtomicUsize,
}

/// What [`Channel::info`] returns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelInfo {
    /// The position after the newest message.
    pub head: Cursor,
    /// The position before the earliest message that is kept.
    pub earliest: Cursor,
    /// The position of the end, if the channel has ended.
    pub end: Option<Cursor>,
    /// The settings.
    pub settings: Arc<ChannelSettings>,
}

/// The outcome of [`Channel::watch`].
#[derive(Debug)]
pub(crate) enum Watch {
    /// The next publish wakes the waiter.
    Waiting(WaitKey),
    /// There is a message after that position already.
    Ready,
    /// The position is the end. A worker is woken if the channel is deleted.
    Ended,
    /// The hub has forgotten the channel, or it was deleted.
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
    /// A channel that must be [opened](Self::open).
    pub(crate) fn new(name: ChannelName, common: &Arc<Common>) -> Arc<Self> {
        let state = State::new(common.config.idle.as_millis() as u64, common.settings_of(&name));
        Arc::new_cyclic(|this| Channel {
            name,
            number: common.next_number(),
            this: this.clone(),
            common: common.clone(),
            is_open: AtomicBool::new(false),
            prolong_at_ms: AtomicU64::new(u64::MAX),
            state: Mutex::new(state),
            subscribers: AtomicUsize::new(0),
        })
    }

    /// The same channel, to be kept.
    pub(crate) fn arc(&self) -> Arc<Self> {
        self.this.upgrade().expect("a channel is used through an Arc")
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
        let bounds = state.bounds();
        state.lineage().at(if bounds.head > bounds.earliest { bounds.head - 1 } else { bounds.head })
    }

    /// The position before the oldest message that is kept.
    pub fn earliest(&self) -> Cursor {
        self.lock().earliest()
    }

    /// The position of the end, if the channel has ended: no message comes any more.
    pub fn end(&self) -> Option<Cursor> {
        self.lock().log.log().end()
    }

    /// Whether the channel was deleted. Its name may belong to another channel by now.
    pub fn is_deleted(&self) -> bool {
        self.lock().life == Life::Deleted
    }

    /// What there is to know about the channel.
    pub fn info(&self) -> ChannelInfo {
        let state = self.lock();
        ChannelInfo {
            head: state.log.log().head(),
            earliest: state.earliest(),
            end: state.log.log().end(),
            settings: state.settings.clone(),
        }
    }

    /// The positions before the oldest and after the newest message, or of the end; `None` if the
    /// hub has forgotten the channel. Marks the channel as used.
    pub(crate) fn bounds(&self, now_ms: u64) -> Option<(Cursor, Cursor)> {
        let mut state = self.lock();
        state.log.touch(now_ms);
        (state.life == Life::Open).then(|| (state.earliest(), state.last()))
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
        if state.life != Life::Open {
            return Watch::Closed;
        }
        let worker = match waiter {
            Waiter::Worker(worker) => Some(worker),
            Waiter::Task(_) => None,
        };
        if state.log.log().end() == Some(position) {
            if let Some(worker) = worker.filter(|worker| !state.at_end.contains(worker)) {
                state.at_end.push(worker);
            }
            return Watch::Ended;
        }
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
        state.at_end.retain(|&at_end| at_end != worker);
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

    /// The time of a sliding expiry begins when a reader leaves, and a sweep may come much later.
    pub(crate) fn remove_subscriber(&self) {
        if self.prolong_at_ms.load(Ordering::Relaxed) < u64::MAX {
            self.prolong(self.common.now_ms());
        }
        self.subscribers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Marks the channel as used. Returns `false` if nobody may use it any more.
    pub(crate) fn touch(&self, now: u64) -> bool {
        let mut state = self.lock();
        state.log.touch(now);
        !state.life.is_over()
    }

    /// Whether readers and publishers may use it.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// How far its life is.
    pub(crate) fn life(&self) -> Life {
        self.lock().life
    }

    /// Notes whether it is open, and when to tell the store that it is in use. So most look-ups
    /// need no lock. The caller has the lock.
    pub(crate) fn note_open(&self, state: &State) {
        let at_ms = match state.settings.expiry {
            Some(Expiry::Sliding { ms }) => state.touched_ms.saturating_add(ms / 10),
            _ => u64::MAX,
        };
        self.prolong_at_ms.store(at_ms, Ordering::Relaxed);
        self.is_open.store(state.life == Life::Open, Ordering::Release);
    }

    /// Whether the store is to be told that the log is in use.
    pub(crate) fn is_to_prolong(&self, now_ms: u64) -> bool {
        now_ms >= self.prolong_at_ms.load(Ordering::Relaxed)
    }

    /// Notes that the log is in use, so that its sliding expiry begins again. The store is told
    /// after a tenth of the time at the earliest.
    pub(crate) fn prolong(&self, now_ms: u64) {
        if !self.is_to_prolong(now_ms) {
            return;
        }
        let mut guard = self.lock();
        if guard.life != Life::Open {
            return;
        }
        guard.touched_ms = now_ms;
        self.note_open(&guard);
        drop(guard);
        // If it fails, the next use tells it again.
        let this = self.arc();
        self.common.store.touch(self.name(), now_ms).then(move |told| {
            if !matches!(told, Some(Ok(()))) {
                let mut guard = this.lock();
                guard.touched_ms = 0;
                this.note_open(&guard);
            }
        });
    }

    /// Gives up the place of a publisher in the line.
    pub(crate) fn leave_line(&self, place: PlaceInLine) {
        let mut guard = self.lock();
        guard.room.leave_line(place);
        let woken = guard.room_made(0);
        drop(guard);
        woken.for_each(Waker::wake);
    }

    /// Reserves the channel for an upload. Returns `false` if the hub has forgotten the channel.
    ///
    /// # Errors
    /// [`HubError::Uploading`] if another upload has it, [`HubError::OtherType`] if the channel
    /// takes messages of another type, [`HubError::Closed`] if it has ended.
    pub(crate) fn begin_upload(&self, content_type: Option<&str>) -> Result<bool, HubError> {
        let mut state = self.lock();
        if state.life.is_over() {
            return Ok(false);
        }
        if state.upload.is_active() {
            return Err(HubError::Uploading);
        }
        if let Some(end) = state.log.log().end() {
            return Err(HubError::Closed { end });
        }
        if let (Some(own), Some(of_channel)) = (content_type, &state.settings.content_type)
            && !is_same_type(own, of_channel)
        {
            return Err(HubError::OtherType);
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
        let mut state = self.lock();
        let bounds = state.bounds();
        let State { log, upload, .. } = &mut *state;
        upload.add_reader(log.log(), bounds, start)
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

    /// What the window of a channel with these settings keeps.
    pub(crate) fn window(&self, settings: &ChannelSettings) -> Retention {
        self.common.window_of(settings)
    }

    /// Wakes those that waited for news. Call it without the lock.
    pub(crate) fn wake(&self, woken: Woken) {
        if woken.is_empty() {
            return;
        }
        let this = self.arc();
        for waiter in woken {
            match waiter {
                Waiter::Worker(worker) => self.common.send_news(worker, &this),
                Waiter::Task(waker) => waker.wake(),
            }
        }
    }

    /// Wakes those that waited for a page. Call it without the lock.
    pub(crate) fn wake_page(&self, woken: PageWaiters) {
        if !woken.workers.is_empty() {
            let this = self.arc();
            woken.workers.iter().for_each(|&worker| self.common.send_news(worker, &this));
        }
        woken.wake_tasks();
    }

    /// No code panics while it holds the lock, so the data behind a poisoned lock is good.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Channel").field(&self.name).finish()
    }
}
