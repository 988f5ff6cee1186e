//! One log in memory.

use std::mem;
use std::sync::Arc;

use tidewire_channel::{
    Appended as InLog, Budget, Channel, Cursor, Epoch, Lineage, Log, Refused, RefusedKind, Since,
};

use crate::append::{Append, Appended, Batch, Once, UploadStep};
use crate::create::{Create, Fork};
use crate::error::{CreateError, Refusal};
use crate::info::{LogInfo, Page};
use crate::memory::limits::Limits;
use crate::memory::names::derive;
use crate::memory::room::Room;
use crate::memory::shared::{Prefix, Segment};
use crate::message::Message;
use crate::name::ChannelName;
use crate::settings::{ChannelSettings, Retain};

/// One log, and what the store keeps with it.
#[derive(Debug)]
pub(crate) struct Row {
    /// The newest messages, the keys and the producers. It has no waiters: they are in the hub.
    channel: Channel<Arc<Message>, ()>,
    /// The messages before them, which other logs share.
    prefix: Prefix,
    settings: Arc<ChannelSettings>,
    /// Whether a creation has set the settings.
    is_created: bool,
    /// Whether a hub uses the log.
    pub(crate) is_open: bool,
    /// Whether the log was deleted, and lives for its forks.
    pub(crate) is_deleted: bool,
    upload_open: bool,
    last_time_ms: u64,
    used_ms: u64,
    /// The latest time seen.
    clock_ms: u64,
    stream_seq: Option<Box<str>>,
    /// The number of logs that were forked from this one.
    pub(crate) forks: usize,
    pub(crate) origin: Option<Fork>,
    room: Arc<Room>,
}

impl Row {
    /// A log without messages, which begins at `start`.
    pub(crate) fn new(
        name: &ChannelName,
        start: Cursor,
        settings: Arc<ChannelSettings>,
        limits: &Limits,
        room: Arc<Room>,
        now_ms: u64,
    ) -> Self {
        let past = [(start.epoch(), start.seq())];
        let lineage = lineage(&past, derive(start.epoch(), name));
        let channel = channel(lineage, 0, &settings, limits);
        let mut row = Self {
            channel,
            prefix: Prefix::default(),
            settings,
            is_created: false,
            is_open: false,
            is_deleted: false,
            upload_open: false,
            last_time_ms: 0,
            used_ms: now_ms,
            clock_ms: now_ms,
            stream_seq: None,
            forks: 0,
            origin: None,
            room,
        };
        row.expire(now_ms);
        row
    }

    /// Notes that a creation has made this log.
    pub(crate) fn created(mut self) -> Self {
        self.is_created = true;
        self
    }

    /// Lets this empty log begin with the messages of another one.
    ///
    /// # Errors
    /// There is no room for the first own message.
    pub(crate) fn begin_with(
        &mut self,
        shared: SharedStart,
        origin: Fork,
        limits: &Limits,
        now_ms: u64,
    ) -> Result<(), CreateError> {
        let SharedStart { past, head, prefix, partial, last_time_ms } = shared;
        let epoch = self.channel.log().epoch();
        self.channel = channel(lineage(&past, epoch), head, &self.settings, limits);
        self.last_time_ms = last_time_ms;
        self.prefix = prefix;
        self.origin = Some(origin);
        self.expire(now_ms);
        let Some(partial) = partial else { return Ok(()) };
        let append = Append::new(now_ms, Batch::One(Arc::new(partial)), self.settings.clone());
        self.append(&append).map(drop).map_err(|_| CreateError::NoRoom)
    }

    pub(crate) fn append(&mut self, append: &Append) -> Result<Appended, Refusal> {
        let (now_ms, messages) = (append.now_ms, append.messages.as_slice());
        if messages.is_empty() && !append.close {
            return Err(Refusal::Empty);
        }
        let once = append.once.as_log();
        let known =
            self.channel.duplicate_of(now_ms, once).map_err(|refused| self.refusal(refused, append))?;
        let is_new = known.is_none() && !self.channel.log().is_closed();
        if known.is_none()
            && !messages.is_empty()
            && let Some(end) = self.channel.log().end()
        {
            return Err(Refusal::Closed { end });
        }
        if is_new {
            self.check_stream_seq(append)?;
        }
        let weight = if is_new && self.settings.retain == Retain::All { append.messages.weight() } else { 0 };
        if !self.room.take(weight) {
            return Err(Refusal::NoRoom);
        }
        let after = self.channel.log().head();
        let appended = match (&append.messages, append.close) {
            // The usual case allocates nothing but the place in the log.
            (Batch::One(message), false) if matches!(append.once, Once::No) => self
                .channel
                .append(now_ms, message.weight(), message.clone())
                .map(|(cursor, _)| InLog::New(cursor)),
            _ => {
                let sized = messages.iter().map(|message| (message.weight(), message.clone()));
                self.channel.append_batch(now_ms, sized, append.close, once).map(|(appended, _)| appended)
            }
        };
        let appended = appended.map_err(|refused| {
            self.room.give_back(weight);
            self.refusal(refused, append)
        })?;
        self.touch(now_ms);
        self.clock_ms = self.clock_ms.max(now_ms);
        if is_new {
            self.note(append);
        }
        self.fit();
        let (duplicate, cursor) = match appended {
            InLog::New(cursor) => (false, cursor),
            InLog::Duplicate(cursor) => (true, cursor),
        };
        let after = if duplicate { cursor } else { after };
        Ok(Appended { after, cursor, end: self.channel.log().end(), duplicate, earliest: self.earliest() })
    }

    /// Whether an append with this would be a duplicate, or be refused.
    pub(crate) fn is_known(&mut self, once: &Once, now_ms: u64) -> bool {
        !matches!(self.channel.duplicate_of(now_ms, once.as_log()), Ok(None))
    }

    /// Appends the first own messages of a log that is created.
    pub(crate) fn begin(&mut self, create: &Create) -> Result<(), CreateError> {
        if create.messages.as_slice().is_empty() && !create.close {
            return Ok(());
        }
        let mut append = Append::new(create.now_ms, create.messages.clone(), create.settings.clone());
        append.close = create.close;
        // A new log refuses nothing else.
        self.append(&append).map(drop).map_err(|_| CreateError::NoRoom)
    }

    fn check_stream_seq(&self, append: &Append) -> Result<(), Refusal> {
        match (&append.stream_seq, &self.stream_seq) {
            (Some(new), Some(last)) if new.as_bytes() <= last.as_bytes() => Err(Refusal::StreamSeq),
            _ => Ok(()),
        }
    }

    /// Notes what an append has changed beside the log.
    fn note(&mut self, append: &Append) {
        if let Some(last) = append.messages.as_slice().last() {
            self.last_time_ms = self.last_time_ms.max(last.time_ms());
        }
        if append.stream_seq.is_some() {
            self.stream_seq.clone_from(&append.stream_seq);
        }
        match append.upload {
            UploadStep::No => {}
            UploadStep::Piece => self.upload_open = true,
            UploadStep::Mark => self.upload_open = false,
        }
    }

    fn refusal(&self, refused: Refused, append: &Append) -> Refusal {
        let limit = refused.limit();
        match refused.kind() {
            RefusedKind::KeyTaken => Refusal::KeyTaken,
            RefusedKind::KeyTooLong => Refusal::KeyTooLong { len: append.once.text_len(), limit },
            RefusedKind::ProducerIdTooLong => {
                Refusal::ProducerIdTooLong { len: append.once.text_len(), limit }
            }
            RefusedKind::ProducerFenced { epoch } => Refusal::ProducerFenced { epoch },
            RefusedKind::ProducerGap { expected } => Refusal::ProducerGap { expected },
            RefusedKind::ProducerStart => Refusal::ProducerStart,
            RefusedKind::Closed => {
                Refusal::Closed { end: self.channel.log().end().unwrap_or(Cursor::FOREIGN) }
            }
            _ => Refusal::MessageTooLarge,
        }
    }

    pub(crate) fn page(&mut self, since: Since, budget: Budget, now_ms: u64) -> Page {
        self.expire(now_ms);
        let info = self.info();
        let (start, continuity) = info.lineage.locate(since, info.bounds());
        let (mut messages, mut bytes) = (Vec::new(), 0_usize);
        for (number, size, message) in self.after(start.seq(), budget) {
            bytes = bytes.saturating_add(size);
            let is_over = bytes > budget.bytes && !messages.is_empty();
            if messages.len() >= budget.messages || is_over {
                break;
            }
            messages.push((info.lineage.at(number), message.clone()));
        }
        Page::new((start, continuity), messages, info)
    }

    /// The kept messages after a number, each with its number and size: at least those within the
    /// budget. It takes time for these alone.
    fn after(&self, number: u64, budget: Budget) -> impl Iterator<Item = (u64, usize, &Arc<Message>)> {
        let log = self.channel.log();
        let since = log.lineage().at(number.clamp(log.bounds().earliest, log.bounds().head));
        let own = log.read(since.into(), budget).into_iter();
        let own = own.map(|entry| (entry.cursor.seq(), entry.size, entry.value));
        self.prefix.from(number.saturating_add(1)).chain(own)
    }

    pub(crate) fn info(&self) -> LogInfo {
        let log = self.channel.log();
        LogInfo {
            head: log.bounds().head,
            earliest: self.earliest(),
            is_closed: log.is_closed(),
            upload_open: self.upload_open,
            last_time_ms: self.last_time_ms,
            ..LogInfo::new(log.lineage().clone(), self.settings.clone())
        }
    }

    /// The number of the last message that is not kept.
    fn earliest(&self) -> u64 {
        self.channel.log().bounds().earliest.saturating_sub(self.prefix.len() as u64)
    }

    /// The number of messages that are kept.
    pub(crate) fn messages(&self) -> usize {
        self.channel.log().len().saturating_add(self.prefix.len())
    }

    /// Evicts what is too old.
    pub(crate) fn expire(&mut self, now_ms: u64) -> usize {
        self.clock_ms = self.clock_ms.max(now_ms);
        let kept = self.prefix.len();
        let evicted = self.channel.expire(now_ms);
        self.fit();
        evicted.saturating_add(kept.saturating_sub(self.prefix.len()))
    }

    /// Evicts shared messages that the retention does not allow beside those of the log.
    fn fit(&mut self) {
        let Some(last) = self.prefix.last() else { return };
        let log = self.channel.log();
        if log.bounds().earliest != last {
            // The log has evicted a message of its own, and these are older.
            self.prefix.clear();
            return;
        }
        let retention = self.settings.retain.retention();
        while let Some(front) = self.prefix.front() {
            let len = self.prefix.len().saturating_add(log.len());
            let bytes = self.prefix.bytes().saturating_add(log.bytes());
            let is_over = len > 1 && (len > retention.max_messages || bytes > retention.max_bytes);
            let age_ms = self.clock_ms.saturating_sub(front.time_ms);
            if !is_over && retention.max_age_ms.is_none_or(|max_age_ms| age_ms < max_age_ms) {
                return;
            }
            self.prefix.pop_front();
        }
    }

    /// Notes that the log is in use.
    pub(crate) fn touch(&mut self, now_ms: u64) {
        self.used_ms = self.used_ms.max(now_ms);
    }

    /// Begins an epoch: messages after the head may be lost.
    #[cfg(any(test, feature = "suite"))]
    pub(crate) fn begin_epoch(&mut self) {
        let log = self.channel.log_mut();
        log.begin_epoch(derive(log.epoch(), &"crash"));
    }

    /// Whether its expiry has come.
    pub(crate) fn is_expired(&self, now_ms: u64) -> bool {
        self.settings.expiry.is_some_and(|expiry| expiry.is_over(self.used_ms, now_ms))
    }

    /// Whether nothing is lost if the store forgets the log. Call [`expire`](Self::expire) first.
    ///
    /// A log that was closed is remembered for as long as it would keep a message. Producers and
    /// the stream sequence are remembered for a week, so there may be many logs with nothing else.
    /// If the store is nearly full, they are forgotten after an hour without use.
    pub(crate) fn is_forgettable(&self, now_ms: u64, is_full: bool) -> bool {
        let has_no_writers = self.channel.producers() == 0 && self.stream_seq.is_none();
        let week_ms = self.channel.limits().producer_age_ms;
        let writers_ms = if is_full { week_ms.min(HOUR_MS) } else { week_ms };
        let is_past = |max_age_ms| now_ms.saturating_sub(self.used_ms) >= max_age_ms;
        let log = self.channel.log();
        !self.is_open
            && !self.is_created
            && !self.upload_open
            && self.forks == 0
            && log.is_empty()
            && self.prefix.len() == 0
            && self.channel.keys() == 0
            && (has_no_writers || is_past(writers_ms))
            && (!log.is_closed() || log.retention().max_age_ms.is_some_and(is_past))
    }

    /// Whether a creation with these settings and this origin finds what it wants.
    pub(crate) fn is_same(&self, settings: &ChannelSettings, origin: Option<&Fork>) -> bool {
        *self.settings == *settings && self.origin.as_ref() == origin
    }

    /// Frees the messages of a log that was deleted and lives for its forks, which have their own
    /// hold on what they share.
    /// Returns what was freed, to be dropped after the lock is released.
    pub(crate) fn empty(&mut self, limits: &Limits) -> impl Send + use<> {
        self.give_back(self.channel.log().bytes());
        self.is_deleted = true;
        let log = self.channel.log();
        let empty = channel(log.lineage().clone(), log.bounds().head, &self.settings, limits);
        (mem::take(&mut self.prefix), mem::replace(&mut self.channel, empty))
    }

    fn give_back(&self, bytes: usize) {
        if self.settings.retain == Retain::All {
            self.room.give_back(bytes);
        }
    }

    /// What a fork of this log begins with.
    pub(crate) fn share(&mut self, fork: &Fork, now_ms: u64) -> Result<SharedStart, CreateError> {
        self.expire(now_ms);
        let log = self.channel.log();
        if !log.has(fork.at) || fork.at.seq() < self.earliest() {
            return Err(CreateError::ForkPosition);
        }
        // The end of a closed log is after its head.
        let mut head = fork.at.seq().min(log.bounds().head);
        let mut partial = None;
        if fork.bytes > 0 {
            let (_, _, next) = self.after(head, Budget::messages(1)).next().ok_or(CreateError::ForkBytes)?;
            match fork.bytes.cmp(&next.data().len()) {
                std::cmp::Ordering::Less => partial = Some(next.cut(fork.bytes)),
                std::cmp::Ordering::Equal => head = head.saturating_add(1),
                std::cmp::Ordering::Greater => return Err(CreateError::ForkBytes),
            }
        }
        self.seal()?;
        let lineage = self.channel.log().lineage();
        let at = lineage.at(head);
        let past = lineage.past().iter().copied().filter(|&(_, end)| end < head);
        let past = past.chain([(at.epoch(), head)]).collect();
        let prefix = self.prefix.up_to(head);
        let next_time_ms = self.after(head, Budget::messages(1)).next().map(|(_, _, next)| next.time_ms());
        let last_time_ms = prefix.last_time_ms().or(next_time_ms).unwrap_or(self.last_time_ms);
        Ok(SharedStart { past, head, prefix, partial, last_time_ms })
    }

    /// Moves the messages of the log into a segment that others can share.
    fn seal(&mut self) -> Result<(), CreateError> {
        let log = self.channel.log();
        if log.is_empty() {
            return Ok(());
        }
        let bytes = log.bytes();
        // The messages of a log that keeps all have their room already.
        if self.settings.retain != Retain::All && !self.room.take(bytes) {
            return Err(CreateError::NoRoom);
        }
        let first = log.bounds().earliest.saturating_add(1);
        let kept = log.read(Since::Earliest, Budget::UNLIMITED).into_iter();
        let kept = kept.map(|entry| (entry.time_ms, entry.size, entry.value.clone()));
        self.prefix.push(Arc::new(Segment::new(first, kept, self.room.clone())));
        self.channel.log_mut().clear();
        Ok(())
    }
}

/// How long producers and the stream sequence are remembered if the store is nearly full.
const HOUR_MS: u64 = 60 * 60 * 1_000;

impl Drop for Row {
    fn drop(&mut self) {
        self.give_back(self.channel.log().bytes());
    }
}

/// What a fork begins with.
#[derive(Debug)]
pub(crate) struct SharedStart {
    past: Vec<(Epoch, u64)>,
    head: u64,
    prefix: Prefix,
    partial: Option<Message>,
    last_time_ms: u64,
}

fn lineage(past: &[(Epoch, u64)], current: Epoch) -> Lineage {
    Lineage::from_parts(past, current).expect("a derived epoch is new, and the ends increase")
}

fn channel(
    lineage: Lineage,
    head: u64,
    settings: &ChannelSettings,
    limits: &Limits,
) -> Channel<Arc<Message>, ()> {
    let log = Log::restored(lineage, head, settings.retain.retention());
    let log = log.expect("the head is where the last epoch ended");
    let limits = limits.channel.with_max_message(usize::MAX).with_max_waiters(usize::MAX);
    Channel::from_log(log, limits)
}
