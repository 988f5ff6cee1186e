//! A channel: a log, and the waiters for its next message.
//!
//! ```text
//!                    ┌──────────── read(since) ◄─────────────┐
//!                    ▼                                       │
//!   reader ──► messages after its cursor? ── yes ──► deliver │ move the cursor on
//!                    │ no                                    │
//!                    ▼                                       │
//!              wait(cursor, W) ── already more ──► Ready ────┤
//!                    │ registered                            │
//!                    └─── append hands W back ──► wake W ────┘
//! ```
//!
//! A reader waits *at a cursor*. If a message came between its read and its wait, the wait is
//! refused and the reader reads again. So no message is lost between replay and waiting. (In other
//! servers it can be lost there.)

use alloc::vec::Vec;

use crate::cursor::{Cursor, Epoch, Since};
use crate::error::{Refused, RefusedKind, WaitError};
use crate::keys::{Fingerprint, Keys};
use crate::limits::{Limits, Retention};
use crate::log::Log;
use crate::once::{Once, ProducerSeq};
use crate::producers::Producers;
use crate::read::{Budget, Read};
use crate::waiters::{WaitKey, Waiters, Woken};

/// A [`Log`] of messages `T` with waiters `W`, idempotency keys, producers and limits. `W` is what
/// the owner needs to wake a reader: a `Waker`, a channel's sender, the index of a worker.
///
/// The owner puts it under a lock. A channel runs no code of the owner while that lock is held:
/// [`append`](Channel::append) returns the waiters, and the owner wakes them after it has released
/// the lock.
///
/// ```
/// use std::sync::{Mutex, mpsc};
/// use tidewire_channel::{Budget, Channel, Epoch, Limits, Retention, Since};
///
/// type Bell = mpsc::Sender<()>;
/// let channel: Channel<&str, Bell> = Channel::new(Epoch::new(7), Retention::DEFAULT, Limits::DEFAULT);
/// let channel = Mutex::new(channel);
///
/// // A reader that has everything waits at its cursor.
/// let (bell, rings) = mpsc::channel();
/// let cursor = channel.lock().unwrap().read(Since::Now, Budget::UNLIMITED).cursor();
/// channel.lock().unwrap().wait(cursor, bell).expect("no message has come");
///
/// // The publisher releases the lock, and then wakes the waiters.
/// let (_, woken) = channel.lock().unwrap().append(0, 4, "high")?;
/// woken.for_each(|bell| drop(bell.send(())));
///
/// rings.recv().unwrap();
/// let guard = channel.lock().unwrap();
/// let read = guard.read(cursor.into(), Budget::UNLIMITED);
/// assert_eq!(read.iter().next().map(|entry| *entry.value), Some("high"));
/// # Ok::<(), tidewire_channel::Refused>(())
/// ```
#[derive(Debug)]
pub struct Channel<T, W> {
    log: Log<T>,
    waiters: Waiters<W>,
    keys: Keys,
    producers: Producers,
    limits: Limits,
    last_activity_ms: u64,
}

/// The result of an append that can be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The messages were appended. Holds the position after the last one. If the log was closed
    /// without a message, holds its end.
    New(Cursor),
    /// This was done before: the key is known, the producer has made this append, or a log that is
    /// closed already was closed without a message. Holds what the first answer held; for a
    /// producer, what the answer to its newest append held. The messages may have been evicted
    /// since.
    Duplicate(Cursor),
}

impl Appended {
    /// Returns the position after the messages.
    #[must_use]
    pub const fn cursor(self) -> Cursor {
        match self {
            Self::New(cursor) | Self::Duplicate(cursor) => cursor,
        }
    }
}

impl<T, W> Channel<T, W> {
    /// Creates an empty channel. It allocates nothing until it is used.
    #[must_use]
    pub const fn new(epoch: Epoch, retention: Retention, limits: Limits) -> Self {
        Self::from_log(Log::new(epoch, retention), limits)
    }

    /// Creates a channel from a log.
    #[must_use]
    pub const fn from_log(log: Log<T>, limits: Limits) -> Self {
        Self {
            log,
            waiters: Waiters::new(),
            keys: Keys::new(),
            producers: Producers::new(),
            limits,
            last_activity_ms: 0,
        }
    }

    /// Appends a message. Returns the position after it, and the waiters.
    ///
    /// # Errors
    /// [`RefusedKind::MessageTooLarge`] if `size` is over [`Limits::max_message`], and
    /// [`RefusedKind::Closed`] if the log is closed.
    pub fn append(&mut self, now_ms: u64, size: usize, value: T) -> Result<(Cursor, Woken<W>), Refused> {
        self.fits(size)?;
        let (appended, woken) = self.append_all(now_ms, Some((size, value)), false, Once::No)?;
        Ok((appended.cursor(), woken))
    }

    /// Appends a message unless one with the same key was appended within the window of
    /// [`Limits::max_keys`] and [`Limits::key_age_ms`]. A publisher that got no answer sends the
    /// same message again.
    ///
    /// A key is bound to its message, which `fingerprint` identifies. Without this binding, an
    /// attacker who guesses a key could publish with it first. Then the key's owner would be told
    /// that its message is already there.
    ///
    /// # Errors
    /// As [`append`](Channel::append), [`RefusedKind::KeyTooLong`] if the key is over
    /// [`Limits::max_key`], and [`RefusedKind::KeyTaken`] if another message has it.
    pub fn append_once(
        &mut self,
        now_ms: u64,
        key: &[u8],
        fingerprint: Fingerprint,
        size: usize,
        value: T,
    ) -> Result<(Appended, Woken<W>), Refused> {
        self.fits(size)?;
        self.append_all(now_ms, Some((size, value)), false, Once::Key { text: key, fingerprint })
    }

    /// Appends several messages, all or none, and closes the log after them if `close` is set. Each
    /// message has its size. Without a message, it closes the log alone; that can be repeated.
    ///
    /// A key or a producer's number belongs to the whole batch. So does the answer: the position
    /// after the last message. If the batch has closed the log, [`Log::end`] tells where, also for
    /// a batch that is repeated.
    ///
    /// # Errors
    /// As [`append_once`](Channel::append_once) with a key. With a producer,
    /// [`RefusedKind::ProducerIdTooLong`], [`ProducerFenced`](RefusedKind::ProducerFenced),
    /// [`ProducerGap`](RefusedKind::ProducerGap) or [`ProducerStart`](RefusedKind::ProducerStart).
    /// Nothing is changed then.
    pub fn append_batch(
        &mut self,
        now_ms: u64,
        messages: impl IntoIterator<Item = (usize, T)>,
        close: bool,
        once: Once<'_>,
    ) -> Result<(Appended, Woken<W>), Refused> {
        let messages: Vec<(usize, T)> = messages.into_iter().collect();
        for (size, _) in &messages {
            self.fits(*size)?;
        }
        self.append_all(now_ms, messages, close, once)
    }

    /// Returns the position that an append with this key or producer would be told as a duplicate,
    /// or `None` if it would be a new one. For an owner that delays publishers: what is known need
    /// not wait.
    ///
    /// # Errors
    /// As [`append_batch`](Self::append_batch), for the key or the producer.
    pub fn duplicate_of(&mut self, now_ms: u64, once: Once<'_>) -> Result<Option<Cursor>, Refused> {
        match once {
            Once::No => Ok(None),
            Once::Key { text, fingerprint } => {
                if text.len() > self.limits.max_key {
                    return Err(Refused::new(RefusedKind::KeyTooLong, self.limits.max_key));
                }
                self.keys.expire(now_ms, &self.limits);
                match self.keys.get(text) {
                    Some((_, first)) if first != fingerprint => {
                        Err(Refused::new(RefusedKind::KeyTaken, self.limits.max_keys))
                    }
                    known => Ok(known.map(|(cursor, _)| cursor)),
                }
            }
            Once::Producer(append) => {
                if append.id.len() > self.limits.max_producer_id {
                    return Err(Refused::new(RefusedKind::ProducerIdTooLong, self.limits.max_producer_id));
                }
                self.producers.expire(now_ms, &self.limits);
                self.producers.check(append).map_err(|kind| Refused::new(kind, 0))
            }
        }
    }

    /// Puts a key or a producer back that was remembered before a restart: `once` was answered with
    /// `cursor` at `now_ms`. Appends nothing, and wakes nobody.
    ///
    /// Pass them from the oldest to the newest, keys and producers each in their order: the limits
    /// forget the oldest first. What is older than the age in [`Limits`] at the newest `now_ms` is
    /// not remembered. A producer that is there already gets the newer numbers.
    ///
    /// ```
    /// use tidewire_channel::{Appended, Channel, Cursor, Epoch, Limits, Log, Once, ProducerSeq, Retention};
    ///
    /// // The storage has this: a log with two messages, and a producer that has appended both.
    /// let head = Cursor::new(Epoch::new(7), 2);
    /// let log = Log::continuing(head, Retention::DEFAULT).expect("no damage");
    /// let mut channel: Channel<&str, ()> = Channel::from_log(log, Limits::DEFAULT);
    /// let last = Once::Producer(ProducerSeq { id: b"gauge", epoch: 0, seq: 1 });
    /// channel.remember(1_000, last, head);
    ///
    /// // Its answer was lost in the restart, so it appends the second one again.
    /// let (again, _) = channel.append_batch(2_000, [(3, "low")], false, last)?;
    /// assert_eq!(again, Appended::Duplicate(head));
    /// # Ok::<(), tidewire_channel::Refused>(())
    /// ```
    pub fn remember(&mut self, now_ms: u64, once: Once<'_>, cursor: Cursor) {
        match once {
            Once::No => {}
            Once::Key { text, fingerprint } => {
                self.keys.remember(now_ms, text, cursor, fingerprint, &self.limits);
            }
            Once::Producer(append) => {
                self.producers.expire(now_ms, &self.limits);
                self.producers.insert(append, cursor, &self.limits);
            }
        }
    }

    /// Returns whether [`append_once`](Self::append_once) with this key would append: the key is
    /// not remembered, and not too long. For an owner that delays publishers: a publish with a
    /// known key need not wait.
    pub fn is_new_key(&mut self, now_ms: u64, key: &[u8]) -> bool {
        self.keys.expire(now_ms, &self.limits);
        key.len() <= self.limits.max_key && self.keys.get(key).is_none()
    }

    fn fits(&self, size: usize) -> Result<(), Refused> {
        if size > self.limits.max_message {
            return Err(Refused::new(RefusedKind::MessageTooLarge, self.limits.max_message));
        }
        Ok(())
    }

    /// Appends messages whose sizes are within the limit. One message allocates nothing but its
    /// place in the log.
    fn append_all(
        &mut self,
        now_ms: u64,
        messages: impl IntoIterator<Item = (usize, T)>,
        close: bool,
        once: Once<'_>,
    ) -> Result<(Appended, Woken<W>), Refused> {
        // Before the check for a closed log: the batch that closed it may be repeated.
        if let Some(cursor) = self.duplicate_of(now_ms, once)? {
            if let Once::Producer(ProducerSeq { id, .. }) = once {
                self.producers.touch(id);
            }
            self.touch(now_ms);
            return Ok((Appended::Duplicate(cursor), Woken::none()));
        }
        let was_closed = self.log.is_closed();
        let mut last = None;
        for (size, value) in messages {
            // Only the first can be refused, because the log is closed. Then nothing was changed.
            last = Some(self.log.append(now_ms, size, value)?);
        }
        if close {
            self.log.close();
        }
        let cursor = match last.or(self.log.end()) {
            Some(cursor) => cursor,
            None => self.log.head(),
        };
        match once {
            Once::No => {}
            Once::Key { text, fingerprint } => {
                self.keys.insert(now_ms, text, cursor, fingerprint, &self.limits);
            }
            Once::Producer(append) => self.producers.insert(append, cursor, &self.limits),
        }
        self.touch(now_ms);
        if was_closed {
            return Ok((Appended::Duplicate(cursor), Woken::none()));
        }
        Ok((Appended::New(cursor), self.waiters.wake()))
    }

    /// Reads from `since` on, as [`Log::read`].
    #[must_use]
    pub fn read(&self, since: Since, budget: Budget) -> Read<'_, T> {
        self.log.read(since, budget)
    }

    /// Registers a waiter that has read everything up to `after`. The next append returns it, once.
    ///
    /// # Errors
    /// [`WaitError::Ready`] if `after` is not the head: there is a message to read, or a gap or
    /// reset to report to the reader. Also if the log is closed, because nothing will come: the
    /// read tells the [end](Read::end). [`WaitError::Full`] at [`Limits::max_waiters`]. Both return
    /// the waiter.
    pub fn wait(&mut self, after: Cursor, waiter: W) -> Result<WaitKey, WaitError<W>> {
        if self.log.is_closed() || after != self.log.head() {
            return Err(WaitError::Ready(waiter));
        }
        if self.waiters.len() >= self.limits.max_waiters {
            return Err(WaitError::Full(waiter));
        }
        Ok(self.waiters.add(waiter))
    }

    /// Removes a waiter and returns it: its reader left, or its time is up. Returns `None` if a
    /// message has woken it already.
    ///
    /// A poll whose time is up calls this first. `None` means that there *is* a message, so the
    /// poll reads it. If a waiter is returned, the poll answers that there is no message.
    pub fn cancel(&mut self, key: WaitKey) -> Option<W> {
        self.waiters.remove(key)
    }

    /// Removes and returns all waiters without appending a message: to tell them that the log was
    /// closed, has begun an epoch, or is deleted.
    pub fn wake_all(&mut self) -> Woken<W> {
        self.waiters.wake()
    }

    /// Evicts messages, keys and producers that are too old. Returns the number of evicted
    /// messages. [`Log::expire`] describes how clocks are treated.
    pub fn expire(&mut self, now_ms: u64) -> usize {
        self.keys.expire(now_ms, &self.limits);
        self.producers.expire(now_ms, &self.limits);
        self.log.expire(now_ms)
    }

    /// Notes that the channel is in use. An append does this itself. The owner calls it for
    /// readers.
    pub fn touch(&mut self, now_ms: u64) {
        self.last_activity_ms = self.last_activity_ms.max(now_ms);
    }

    /// Returns whether the channel can be freed without loss: it has no waiters, messages or keys,
    /// and had no activity for [`Limits::idle_ms`]. It has no producers either, if the log is open:
    /// in a closed log their next append would be refused in any case.
    ///
    /// Call [`expire`](Channel::expire) first. A reader that comes back later finds a channel of
    /// another epoch and is told of a reset. That the log was closed is forgotten with it.
    #[must_use]
    pub fn is_idle(&self, now_ms: u64) -> bool {
        self.waiters.len() == 0
            && self.log.is_empty()
            && self.keys.len() == 0
            && (self.producers.len() == 0 || self.log.is_closed())
            && now_ms.saturating_sub(self.last_activity_ms) >= self.limits.idle_ms
    }

    /// Returns the number of waiters.
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.waiters.len()
    }

    /// Returns the number of idempotency keys remembered.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Returns the number of producers remembered.
    #[must_use]
    pub fn producers(&self) -> usize {
        self.producers.len()
    }

    /// Returns the log.
    #[must_use]
    pub const fn log(&self) -> &Log<T> {
        &self.log
    }

    /// Returns the log, to clear it, to skip numbers, to close it, to begin an epoch or to change
    /// its retention. [Wake](Self::wake_all) the waiters afterwards if the head has moved, or if it
    /// is closed now.
    pub const fn log_mut(&mut self) -> &mut Log<T> {
        &mut self.log
    }

    /// Returns the limits.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }
}

#[cfg(test)]
mod tests;
