//! What a channel is, under its lock: a log, those who wait for it, and what is appended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use tidewire_channel as log;
use tidewire_channel::{Cursor, Epoch};

use crate::config::HubConfig;
use crate::error::HubError;
use crate::message::Message;
use crate::room::{PlaceInLine, Room};
use crate::upload_state::UploadState;

/// What a channel is, under its lock.
pub(crate) struct State {
    pub(crate) log: log::Channel<Arc<Message>, Waiter>,
    pub(crate) upload: UploadState,
    /// Which workers a publisher waits for, and the publishers that wait.
    pub(crate) room: Room,
    /// The time of the newest message. The wall clock may have stepped back since, and of two
    /// publishers that looked at it the second may be the first here.
    last_ms: u64,
    /// Forgotten by the hub. Nothing may be appended or waited for any more.
    pub(crate) closed: bool,
}

/// Who is woken by a publish.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// A worker, through its inbox: it serves all its subscribers of the channel in one turn.
    Worker(u16),
    /// A task of somebody else's server.
    Task(Waker),
}

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

/// A message to be appended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Append<'a> {
    pub(crate) now_ms: u64,
    pub(crate) message: &'a Arc<Message>,
    pub(crate) key: Option<IdempotencyKey<'a>>,
    pub(crate) by: AppendedBy,
    /// Whether the server stops, which the lock of the channel orders with what is appended.
    pub(crate) stopped: &'a AtomicBool,
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

impl State {
    /// An empty channel.
    pub(crate) fn new(epoch: Epoch, config: &HubConfig) -> Self {
        // The hub limits the payload itself, with its own error. Waiters are workers, of which
        // there are few, and tasks of the program, which bounds them where it starts them. If one
        // were refused, it would not sleep: it would look for news again and again.
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

    /// Whether nothing is lost if the channel is forgotten.
    pub(crate) fn is_idle(&self, now: u64) -> bool {
        self.log.is_idle(now) && !self.upload.is_active() && self.room.is_unused()
    }

    /// Appends a message; `None` if the channel was forgotten by the hub.
    ///
    /// # Errors
    /// [`HubError`]; nothing is appended then.
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
        // The size is not limited here, so only the key can be refused.
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

    /// Whether [`append`](Self::append) has to wait for room. If so, the publisher is in line.
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

    /// Who is to be woken after room was made: the first publisher in line, and the upload.
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

    /// The message as the log takes it: never older than the one before it.
    fn not_before_last(&self, message: &Arc<Message>) -> Arc<Message> {
        if message.time_ms() < self.last_ms {
            Arc::new(message.with_time(self.last_ms))
        } else {
            message.clone()
        }
    }
}
