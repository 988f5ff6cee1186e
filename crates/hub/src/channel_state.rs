//! The state of a channel, which its lock protects: the window of the newest messages, what is
//! known of the log in the store, and the waiters. `window.rs` says how the window gets messages.
//!
//! ```text
//!   the log in the store    earliest ├── pages ──────┬── window ─────────┤ head    in flight …
//!                                                    │ in memory         │
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use tidewire_channel as log;
use tidewire_channel::{Bounds, Budget, Continuity, Cursor, Epoch, Lineage, Log, Retention, Since};
use tidewire_store::{Appended, Batch, ChannelSettings, LogInfo, Message, Once, Opened, Retain, UploadStep};

use crate::error::HubError;
use crate::flight::{Flight, Freight};
use crate::room::{PlaceInLine, Room};
use crate::upload_state::UploadState;

/// The state of a channel, which its lock protects.
pub(crate) struct State {
    /// The window.
    pub(crate) log: log::Channel<Arc<Message>, Waiter>,
    /// The number of the last message that the log in the store no longer keeps, as far as the hub
    /// knows.
    pub(crate) earliest: u64,
    pub(crate) settings: Arc<ChannelSettings>,
    pub(crate) upload: UploadState,
    /// The workers that publishers wait for, and the publishers that wait.
    pub(crate) room: Room,
    /// The time of the newest message. A new message gets this time if its own time is earlier.
    /// That happens when the wall clock steps back, or when two publishers read the clock in one
    /// order and append in the other.
    pub(crate) last_ms: u64,
    pub(crate) life: Life,
    /// Whether a request to create or delete the log is under way. Appends wait for it.
    pub(crate) is_changing: bool,
    /// Those that wait until the channel is open, or until that request is done.
    pub(crate) waiting: Vec<Waker>,
    /// The time at which the store was asked to open the log, or to change it.
    pub(crate) asked_ms: u64,
    /// Whether the store has not answered that for so long that nobody waits for it any more.
    pub(crate) is_late: bool,
    /// Tells the one who waits for the change that nobody knows what becomes of it.
    pub(crate) give_up: Option<GiveUp>,
    /// The number of appends that the store has not answered.
    pub(crate) flying: usize,
    /// The publishers of these appends, in the order in which they were sent. Some may have their
    /// answers.
    pub(crate) flights: VecDeque<(u64, Publishing)>,
    /// Appends whose messages the window cannot take yet, by the number of the message before them.
    pub(crate) early: BTreeMap<(u64, u64), Early>,
    pub(crate) serial: u64,
    /// Whether the store may have messages that the window lacks, other than those in flight.
    pub(crate) is_uncertain: bool,
    /// Whether the store is being read for such messages.
    pub(crate) is_catching_up: bool,
    /// The time at which that began, and the number of these reads so far.
    pub(crate) catching_up_ms: u64,
    pub(crate) catch_ups: u64,
    /// The workers that wait at the end of a closed log, for its deletion.
    pub(crate) at_end: Vec<u16>,
    /// The last time at which the store was told that the log is in use.
    pub(crate) touched_ms: u64,
}

/// How far the life of a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// The store has not said yet what it keeps.
    Opening,
    Open,
    /// The store remembers that the log was deleted. A message or a creation begins a new one.
    Remembered,
    /// The hub has forgotten the channel. Nothing may be appended or waited for.
    Forgotten,
    /// The log was deleted under its readers. The same holds.
    Deleted,
    /// The store could not open it. The same holds.
    Failed,
}

impl Life {
    /// Whether nobody may use the channel any more. Look it up again by its name.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Life::Forgotten | Life::Deleted | Life::Failed)
    }
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
    Upload(UploadStep),
}

/// What is to be appended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Append<'a> {
    pub(crate) now_ms: u64,
    pub(crate) messages: &'a Batch,
    pub(crate) once: &'a Once,
    /// Whether the log ends with it.
    pub(crate) close: bool,
    pub(crate) by: AppendedBy,
    /// Whether the server is stopping. The lock of the channel orders it with appends.
    pub(crate) stopped: &'a AtomicBool,
}

/// The place of a published message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The position after the message; without a message, the end.
    pub cursor: Cursor,
    /// `true` if the idempotency key was known, or the producer has sent this before. Then nothing
    /// was appended, and `cursor` is the place of the first message. For a producer, it is that of
    /// its newest one.
    pub duplicate: bool,
    /// The position of the end, if the channel has ended.
    pub end: Option<Cursor>,
}

/// The outcome of a publish, for the one who waits for it.
pub(crate) type Publishing = Arc<Flight<Result<Published, HubError>>>;

/// Lands a change of which nobody knows what became.
pub(crate) type GiveUp = Box<dyn FnOnce() + Send>;

/// The waiters to wake, after the lock is released.
#[derive(Default)]
pub(crate) struct Woken {
    /// Those of one message. In the usual case there are no others, and nothing is allocated.
    first: Option<log::Woken<Waiter>>,
    more: Vec<Waiter>,
}

impl Woken {
    pub(crate) fn add(&mut self, woken: log::Woken<Waiter>) {
        if self.first.is_none() { self.first = Some(woken) } else { self.more.extend(woken) }
    }

    pub(crate) fn add_workers(&mut self, workers: impl IntoIterator<Item = u16>) {
        self.more.extend(workers.into_iter().map(Waiter::Worker));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.as_ref().is_none_or(|first| first.len() == 0) && self.more.is_empty()
    }
}

impl IntoIterator for Woken {
    type Item = Waiter;
    type IntoIter = std::iter::Chain<
        std::iter::Flatten<std::option::IntoIter<log::Woken<Waiter>>>,
        std::vec::IntoIter<Waiter>,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().flatten().chain(self.more)
    }
}

/// An append that was answered before an earlier one.
pub(crate) struct Early {
    pub(crate) messages: Batch,
    pub(crate) appended: Appended,
    pub(crate) publishing: Publishing,
    pub(crate) _freight: Freight,
}

/// What a read finds.
pub(crate) enum Reading {
    /// All that it asked for.
    Here(Page),
    /// The next messages are before the window.
    Behind(Behind),
}

/// A read of messages that are before the window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behind {
    pub(crate) start: Cursor,
    pub(crate) continuity: Continuity,
    pub(crate) budget: Budget,
    /// The position at which it stops. A page may have a gap, so the budget alone does not say it.
    pub(crate) ceiling: Option<Cursor>,
}

/// What [`Channel::read`](crate::Channel::read) returns. Messages are shared, not copied.
#[derive(Debug)]
#[non_exhaustive]
pub struct Page {
    /// How the messages continue the position that was asked for.
    pub continuity: Continuity,
    /// The messages, each with the position after it.
    pub messages: Vec<(Cursor, Arc<Message>)>,
    /// The position after the last message: read on from here.
    pub cursor: Cursor,
    /// Whether more messages follow: the budget ended the read, or they must be fetched.
    pub more: bool,
    /// Whether the store must fetch what follows. Then
    /// [`Channel::changed`](crate::Channel::changed) resolves when it is there.
    pub waits: bool,
    /// The position of the end, if the channel has ended and this page reaches it.
    pub end: Option<Cursor>,
}

impl State {
    /// A channel that the store has not opened yet.
    pub(crate) fn new(idle_ms: u64, settings: Arc<ChannelSettings>) -> Self {
        // The hub limits the payload with an error of its own. The number of waiters is not limited
        // here: workers are few, and the program bounds its own tasks. A refused waiter would not
        // sleep but poll again and again.
        let mut limits = log::Limits::default();
        limits.max_message = usize::MAX;
        limits.max_waiters = usize::MAX;
        limits.idle_ms = idle_ms;
        State {
            log: log::Channel::new(Epoch::new(0), Retention::DEFAULT, limits),
            earliest: 0,
            settings,
            upload: UploadState::default(),
            room: Room::default(),
            last_ms: 0,
            life: Life::Opening,
            is_changing: false,
            waiting: Vec::new(),
            asked_ms: 0,
            is_late: false,
            give_up: None,
            flying: 0,
            flights: VecDeque::new(),
            early: BTreeMap::new(),
            serial: 0,
            is_uncertain: false,
            is_catching_up: false,
            catching_up_ms: 0,
            catch_ups: 0,
            at_end: Vec::new(),
            touched_ms: 0,
        }
    }

    /// Takes what the store has under the name. Returns whether an upload must be marked as aborted
    /// before anybody uses the channel.
    pub(crate) fn opened(&mut self, opened: &Opened, window: impl Fn(&ChannelSettings) -> Retention) -> bool {
        match opened {
            Opened::Absent { start } => {
                self.begin(*start, window(&self.settings));
                self.life = Life::Open;
            }
            Opened::Deleted | Opened::SoftDeleted => self.life = Life::Remembered,
            Opened::Log(info) => {
                self.adopt(info, info.head, window(&info.settings));
                self.last_ms = info.last_time_ms;
                self.life = Life::Open;
                return info.upload_open && !info.is_closed;
            }
        }
        false
    }

    /// Begins with the log that the store has created.
    pub(crate) fn created(&mut self, info: &LogInfo, window: Retention) {
        self.adopt(info, info.head, window);
        self.last_ms = info.last_time_ms;
        self.life = Life::Open;
    }

    /// Begins an empty window of a new log.
    pub(crate) fn begin(&mut self, start: Cursor, window: Retention) {
        let empty = Log::continuing(start, window);
        *self.log.log_mut() = empty.unwrap_or_else(|| Log::new(start.epoch(), window));
        self.earliest = start.seq();
    }

    /// Begins an empty window of a log in the store, after a message of it.
    pub(crate) fn adopt(&mut self, info: &LogInfo, after: u64, window: Retention) {
        let empty = Log::restored(lineage_at(&info.lineage, after), after, window);
        *self.log.log_mut() = empty.unwrap_or_else(|| Log::new(info.lineage.current(), window));
        self.earliest = info.earliest;
        self.settings = info.settings.clone();
        if info.is_closed && after == info.head {
            self.log.log_mut().close();
        }
    }

    /// Whether nothing is lost if the hub forgets the channel.
    pub(crate) fn is_idle(&self, now: u64) -> bool {
        match self.life {
            Life::Opening => false,
            Life::Forgotten | Life::Deleted | Life::Failed => true,
            // So it is asked for again after the store has forgotten the deletion.
            Life::Remembered => !self.is_under_way() && !self.upload.is_active() && self.room.is_unused(),
            Life::Open => {
                let is_unused = self.log.is_idle(now) && !self.upload.is_active() && self.room.is_unused();
                is_unused && self.at_end.is_empty() && !self.is_under_way()
            }
        }
    }

    /// Whether the store has not answered something.
    pub(crate) fn waits_for_store(&self) -> bool {
        self.life == Life::Opening || self.is_under_way()
    }

    /// Whether an answer of the store is awaited.
    fn is_under_way(&self) -> bool {
        self.flying > 0 || !self.early.is_empty() || self.is_changing || self.is_catching_up
    }

    /// What the log in the store has, as far as the window goes.
    pub(crate) fn bounds(&self) -> Bounds {
        let bounds = self.log.log().bounds();
        Bounds { earliest: self.earliest.min(bounds.earliest), ..bounds }
    }

    /// The position before the earliest message of the log.
    pub(crate) fn earliest(&self) -> Cursor {
        self.log.log().lineage().at(self.bounds().earliest)
    }

    /// The position after the newest message, or of the end.
    pub(crate) fn last(&self) -> Cursor {
        self.log.log().end().unwrap_or_else(|| self.log.log().head())
    }

    /// The store says that it no longer keeps the messages up to this one.
    pub(crate) fn note_earliest(&mut self, earliest: u64) {
        self.earliest = self.earliest.max(earliest);
    }

    /// Evicts expired messages. Returns their number.
    pub(crate) fn expire(&mut self, now: u64) -> usize {
        let log = self.log.log();
        let has_all = log.bounds().earliest <= self.earliest;
        let same_age = match self.settings.retain {
            Retain::Bounded(retention) => retention.max_age_ms == log.retention().max_age_ms,
            Retain::All => false,
        };
        let evicted = self.log.expire(now);
        if has_all && same_age {
            // The law of the log: they are too old there too.
            self.earliest = self.earliest.max(self.log.log().bounds().earliest);
        }
        evicted
    }

    /// Reads from a position. The read stops at `ceiling`, a position of the log.
    pub(crate) fn read(&self, since: Since, mut budget: Budget, ceiling: Option<Cursor>) -> Reading {
        let log = self.log.log();
        let ceiling = ceiling.filter(|_| matches!(since, Since::After(from) if log.has(from)));
        if let (Some(ceiling), Since::After(from)) = (ceiling, since) {
            let below = usize::try_from(ceiling.seq().saturating_sub(from.seq())).unwrap_or(usize::MAX);
            budget.messages = budget.messages.min(below);
        }
        let (start, continuity) = log.lineage().locate(since, self.bounds());
        if start.seq() < log.bounds().earliest {
            return Reading::Behind(Behind { start, continuity, budget, ceiling });
        }
        let read = log.read(Since::After(start), budget);
        Reading::Here(Page {
            continuity,
            cursor: read.cursor(),
            more: read.more(),
            waits: false,
            end: read.end(),
            messages: read.iter().map(|entry| (entry.cursor, entry.value.clone())).collect(),
        })
    }

    /// What an append sends to the store: with the type and the times that the messages get.
    ///
    /// # Errors
    /// [`HubError`]; nothing is to be appended.
    pub(crate) fn prepare(&self, append: &Append<'_>) -> Result<Batch, HubError> {
        self.refuse(append)?;
        Ok(match append.messages {
            Batch::None => Batch::None,
            Batch::One(message) => Batch::One(self.as_kept(message, self.last_ms)?),
            Batch::Many(messages) => {
                let mut last_ms = self.last_ms;
                let kept = messages.iter().map(|message| {
                    let kept = self.as_kept(message, last_ms)?;
                    last_ms = kept.time_ms();
                    Ok(kept)
                });
                Batch::Many(kept.collect::<Result<_, HubError>>()?)
            }
        })
    }

    /// The message as the log takes it. It has the type of the channel, and its time is not before
    /// that of the previous message.
    fn as_kept(&self, message: &Arc<Message>, last_ms: u64) -> Result<Arc<Message>, HubError> {
        let mut kept = message.clone();
        if let Some(of_channel) = &self.settings.content_type {
            match message.content_type() {
                None => {
                    let typed = Message::clone(message).with_content_type(of_channel);
                    kept = Arc::new(typed.map_err(|_| HubError::OtherType)?);
                }
                Some(own) if is_same_type(own, of_channel) => {}
                Some(_) => return Err(HubError::OtherType),
            }
        }
        if kept.time_ms() < last_ms { Ok(Arc::new(kept.with_time(last_ms))) } else { Ok(kept) }
    }

    /// Whether an append must wait for room. If so, the publisher is in the line now.
    pub(crate) fn has_to_wait(
        &mut self,
        append: &Append<'_>,
        is_known: impl Fn() -> bool,
        place: &mut Option<PlaceInLine>,
        waker: &Waker,
    ) -> bool {
        let messages = append.messages.as_slice();
        if self.life.is_over() || messages.is_empty() || self.refuse(append).is_err() {
            return false;
        }
        let size = append.messages.weight();
        if self.room.admit(self.log.log(), place, (messages.len(), size), append.now_ms, waker) {
            return false;
        }
        // What is known appends nothing, so it needs no room.
        *append.once == Once::No || !is_known()
    }

    /// Who must be woken after room was made: the first publisher in the line, and the upload.
    pub(crate) fn room_made(&mut self, now_ms: u64) -> impl Iterator<Item = Waker> + use<> {
        let next = self.room.next(self.log.log(), now_ms);
        next.into_iter().chain(self.upload.take_waiting())
    }

    fn refuse(&self, append: &Append<'_>) -> Result<(), HubError> {
        if let AppendedBy::Upload(_) = append.by {
            return Ok(());
        }
        if append.stopped.load(Ordering::Relaxed) {
            return Err(HubError::Stopping);
        }
        if self.upload.is_active() { Err(HubError::Uploading) } else { Ok(()) }
    }

    /// The lineage of the log.
    pub(crate) fn lineage(&self) -> &Lineage {
        self.log.log().lineage()
    }
}

/// The lineage of a log as it was after this message: the next one may have a past epoch.
fn lineage_at(lineage: &Lineage, after: u64) -> Lineage {
    let past = lineage.past();
    let ended = past.partition_point(|&(_, end)| end <= after);
    let current = past.get(ended).map_or(lineage.current(), |&(epoch, _)| epoch);
    Lineage::from_parts(&past[..ended], current).expect("the begin of a lineage is one")
}

/// Whether two media types are the same. Upper and lower case, and blanks at a `;`, make no
/// difference: browsers send `text/plain;charset=UTF-8`.
pub(crate) fn is_same_type(one: &str, other: &str) -> bool {
    let is_same = |(a, b): (&str, &str)| a.trim_ascii().eq_ignore_ascii_case(b.trim_ascii());
    // A quoted value may have a `;` and blanks.
    if one.contains('"') || other.contains('"') {
        return is_same((one, other));
    }
    let (one, other) = (one.split(';'), other.split(';'));
    one.clone().count() == other.clone().count() && one.zip(other).all(is_same)
}
