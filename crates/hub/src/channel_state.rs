//! The state of a channel, which its lock protects: the log, its waiters, and how a message is
//! appended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use tidewire_channel as log;
use tidewire_channel::{Cursor, Epoch};
use tidewire_store::Message;

use crate::config::HubConfig;
use crate::error::HubError;
use crate::room::{PlaceInLine, Room};
use crate::upload_state::UploadState;

/// The state of a channel, which its lock protects.
pub(crate) struct State {
    pub(crate) log: log::Channel<Arc<Message>, Waiter>,
    pub(crate) upload: UploadState,
    /// The workers that publishers wait for, and the publishers that wait.
    pub(crate) room: Room,
    /// The time of the newest message. A new message gets this time if its own time is earlier.
    /// That happens when the wall clock steps back, or when two publishers read the clock in one
    /// order and append in the other.
    last_ms: u64,
    /// The hub has forgotten the channel. Nothing may be appended or waited for.
    pub(crate) closed: bool,
}

/// Who is woken by a publish.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// A worker, through its inbox. It serves all its subscribers of the channel in one turn.
    Worker(u16),
    /// A task of a server that is not ours.
    Task(Waker),
}

/// Who appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppendedBy {
    Publisher,
    /// The upload that the channel belongs to.
    Upload,
}

/// An idempotency key, and the hash of the message that it is bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdempotencyKey<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) fingerprint: log::Fingerprint,
}

/// A message to be appended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Append<'a> {
    pub(crate) now_ms: u64,
    pub(crate) message: &'a Arc<Message>,
    pub(crate) key: Option<IdempotencyKey<'a>>,
    pub(crate) by: AppendedBy,
    /// Whether the server is stopping. The lock of the channel orders it with appends.
    pub(crate) stopped: &'a AtomicBool,
}

/// The place of a published message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The position after the message.
    pub cursor: Cursor,
    /// `true` if the idempotency key was known. Then nothing was appended, and `cursor` is the
    /// place of the first message with this key.
    pub duplicate: bool,
}

/// The result of an append, and the waiters to wake.
pub(crate) struct AppendOutcome {
    pub(crate) published: Published,
    pub(crate) woken: log::Woken<Waiter>,
}

impl State {
    /// An empty channel.
    pub(crate) fn new(epoch: Epoch, config: &HubConfig) -> Self {
        // The hub limits the payload with an error of its own. The number of waiters is not limited
        // here: workers are few, and the program bounds its own tasks. A refused waiter would not
        // sleep but poll again and again.
        let mut limits = log::Limits::default();
        limits.max_message = usize::MAX;
        limits.max_waiters = usize::MAX;
        limits.idle_ms = config.idle.as_millis() as u64;
        State {
            log: log::Channel::new(epoch, config.retention, limits),
            upload: UploadState::default(),
            room: Room::default(),
            last_ms: 0,
            closed: false,
        }
    }

    /// Whether nothing is lost if the hub forgets the channel.
    pub(crate) fn is_idle(&self, now: u64) -> bool {
        self.log.is_idle(now) && !self.upload.is_active() && self.room.is_unused()
    }

    /// Appends a message. Returns `None` if the hub has forgotten the channel.
    ///
    /// # Errors
    /// [`HubError`]; nothing is appended.
    pub(crate) fn append(&mut self, append: Append<'_>) -> Result<Option<AppendOutcome>, HubError> {
        if self.closed {
            return Ok(None);
        }
        self.refuse(&append)?;
        let Append { now_ms, key, .. } = append;
        let size = append.message.weight();
        let message = self.not_before_last(append.message);
        let time_ms = message.time_ms();
        let appended = match key {
            Some(key) => self.log.append_once(now_ms, key.text, key.fingerprint, size, message),
            None => self
                .log
                .append(now_ms, size, message)
                .map(|(cursor, woken)| (log::Appended::New(cursor), woken)),
        };
        // The log limits no size here, so only the key can be refused.
        let (appended, woken) = appended.map_err(|refused| match refused.kind() {
            log::RefusedKind::KeyTaken => HubError::KeyTaken,
            _ => HubError::KeyTooLong { len: key.map_or(0, |key| key.text.len()), limit: refused.limit() },
        })?;
        let duplicate = matches!(appended, log::Appended::Duplicate(_));
        if !duplicate {
            self.last_ms = time_ms;
        }
        Ok(Some(AppendOutcome { published: Published { cursor: appended.cursor(), duplicate }, woken }))
    }

    /// Whether [`append`](Self::append) must wait for room. If so, the publisher is in the line
    /// now.
    pub(crate) fn has_to_wait(
        &mut self,
        append: &Append<'_>,
        place: &mut Option<PlaceInLine>,
        waker: &Waker,
    ) -> bool {
        if self.closed || self.refuse(append).is_err() {
            return false;
        }
        if append.key.is_some_and(|key| !self.log.is_new_key(append.now_ms, key.text)) {
            return false;
        }
        !self.room.admit(self.log.log(), place, append.message.weight(), append.now_ms, waker)
    }

    /// Who must be woken after room was made: the first publisher in the line, and the upload.
    pub(crate) fn room_made(&mut self, now_ms: u64) -> impl Iterator<Item = Waker> + use<> {
        let next = self.room.next(self.log.log(), now_ms);
        next.into_iter().chain(self.upload.take_waiting())
    }

    fn refuse(&self, append: &Append<'_>) -> Result<(), HubError> {
        if append.by == AppendedBy::Upload {
            return Ok(());
        }
        if append.stopped.load(Ordering::Relaxed) {
            return Err(HubError::Stopping);
        }
        if self.upload.is_active() { Err(HubError::Uploading) } else { Ok(()) }
    }

    /// The message as the log takes it: its time is not before that of the previous message.
    fn not_before_last(&self, message: &Arc<Message>) -> Arc<Message> {
        if message.time_ms() < self.last_ms {
            Arc::new(message.with_time(self.last_ms))
        } else {
            message.clone()
        }
    }
}
