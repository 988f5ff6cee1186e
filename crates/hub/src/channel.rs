//! A channel: a log and those who wait for it, under one lock that is never held while anything is
//! encoded or written.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tidewire_channel as log;
use tidewire_channel::{Budget, Continuity, Cursor, Epoch, Since, WaitError, WaitKey};

use crate::config::HubConfig;
use crate::error::HubError;
use crate::message::Message;
use crate::name::ChannelName;
use crate::sync::{Mutex, MutexGuard};
use crate::upload_state::{RawReaderId, RawStart, RawStartError, UploadState};

/// Who appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppendedBy {
    Publisher,
    /// The upload that the channel belongs to.
    Upload,
}

/// An idempotency key, and what it is bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdempotencyKey<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) fingerprint: log::Fingerprint,
}

/// Who is woken by a publish.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// A worker, through its inbox: it serves all its subscribers of the channel in one turn.
    Worker(u16),
    /// A task of somebody else's server.
    Task(Waker),
}

/// One channel: a log and those who wait, under one lock that is never held while anything is
/// encoded or written.
pub struct Channel {
    name: ChannelName,
    state: Mutex<State>,
    subscribers: AtomicUsize,
}

struct State {
    log: log::Channel<Arc<Message>, Waiter>,
    upload: UploadState,
    /// The time of the newest message. The wall clock may have stepped back since, and of two
    /// publishers that looked at it the second may be the first here.
    last_ms: u64,
    /// Forgotten by the hub. Nothing may be appended or waited for any more.
    closed: bool,
}

impl State {
    fn is_idle(&self, now: u64) -> bool {
        self.log.is_idle(now) && !self.upload.is_active()
    }

    /// The message as the log takes it: never older than the one before it.
    fn not_before_last(&self, message: &Arc<Message>) -> Arc<Message> {
        if message.time_ms() < self.last_ms {
            Arc::new(message.with_time(self.last_ms))
        } else {
            message.clone()
        }
    }
}

/// A published message's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The position after the message.
    pub cursor: Cursor,
    /// The idempotency key was known: this is the place of the first message with it, and nothing
    /// was appended.
    pub duplicate: bool,
}

/// An append, and who waited for it.
pub(crate) struct AppendOutcome {
    pub(crate) published: Published,
    pub(crate) woken: log::Woken<Waiter>,
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

impl Channel {
    pub(crate) fn new(name: ChannelName, config: &HubConfig) -> Self {
        // The hub limits the payload itself, with its own error. Waiters are workers, of which
        // there are few, and tasks of the program, which bounds them where it starts them. If one
        // were refused, it would not sleep: it would look for news again and again.
        let mut limits = log::Limits::default();
        limits.max_message = usize::MAX;
        limits.max_waiters = usize::MAX;
        limits.idle_ms = config.idle.as_millis() as u64;
        // 0 is the epoch of the cursor that is of no log.
        let epoch = Epoch::new(random_u64().max(1));
        let log = log::Channel::new(epoch, config.retention, limits);
        let state = State { log, upload: UploadState::default(), last_ms: 0, closed: false };
        Channel { name, state: Mutex::new(state), subscribers: AtomicUsize::new(0) }
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
    pub(crate) fn watch(&self, position: Cursor, waiter: Waiter) -> Watch {
        let mut state = self.lock();
        if state.closed {
            return Watch::Closed;
        }
        match state.log.wait(position, waiter) {
            Ok(key) => Watch::Waiting(key),
            Err(WaitError::Ready(_)) => Watch::Ready,
            Err(_) => Watch::Closed,
        }
    }

    pub(crate) fn unwatch(&self, key: WaitKey) {
        self.lock().log.cancel(key);
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

    pub(crate) fn append(
        &self,
        now: u64,
        message: &Arc<Message>,
        key: Option<IdempotencyKey<'_>>,
        by: AppendedBy,
        stopped: &AtomicBool,
    ) -> Result<Option<AppendOutcome>, HubError> {
        let mut state = self.lock();
        if state.closed {
            return Ok(None);
        }
        if stopped.load(Ordering::Relaxed) && by != AppendedBy::Upload {
            return Err(HubError::Stopping);
        }
        if state.upload.is_active() && by != AppendedBy::Upload {
            return Err(HubError::Uploading);
        }
        let size = message.weight();
        let message = state.not_before_last(message);
        let time_ms = message.time_ms();
        let appended = match key {
            Some(key) => state.log.append_once(now, key.text, key.fingerprint, size, message),
            None => state
                .log
                .append(now, size, message)
                .map(|(cursor, woken)| (log::Appended::New(cursor), woken)),
        };
        // The size is not limited here, so only the key can be refused.
        let (appended, woken) = appended.map_err(|refused| match refused.kind() {
            log::RefusedKind::KeyTaken => HubError::KeyTaken,
            _ => HubError::KeyTooLong { len: key.map_or(0, |key| key.text.len()), limit: refused.limit() },
        })?;
        let duplicate = matches!(appended, log::Appended::Duplicate(_));
        if !duplicate {
            state.last_ms = time_ms;
        }
        Ok(Some(AppendOutcome { published: Published { cursor: appended.cursor(), duplicate }, woken }))
    }

    /// Evicts what is too old; says whether the channel is idle.
    pub(crate) fn expire(&self, now: u64) -> bool {
        let mut state = self.lock();
        state.log.expire(now);
        state.is_idle(now)
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
        Ok(true)
    }

    pub(crate) fn end_upload(&self) {
        self.lock().upload.end();
    }

    /// Ready when the upload can append a message of this size without the loss of one that a raw
    /// reader has not read.
    pub(crate) fn poll_room(&self, size: usize, cx: &mut Context<'_>) -> Poll<()> {
        let State { log, upload, .. } = &mut *self.lock();
        upload.poll_room(log.log(), size, cx)
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
        match self.channel.watch(self.position, Waiter::Task(cx.waker().clone())) {
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
