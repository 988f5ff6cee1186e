//! Uploads: a body without end becomes messages of a channel as it arrives, and raw readers follow it byte for byte.
//!
//! ```text
//!   PUT ──► Upload::begin ──► piece piece piece … ──► end()    the log: [piece][piece][piece][upload-end]
//!                │                    │                dropped: [piece][piece][upload-aborted]
//!                │ one at a time      │ room(): where the upload waits for its readers, no message goes
//!                │ (409 to others)    │ that one of them has not read
//!                ▼                    ▼
//!   GET feed=raw ──► Follower: a place in the log that the upload sees ──► pieces … ──► the mark ends it
//! ```
//!
//! How an upload ended is said by a message, a *mark*, so that it is found by whoever reads the log, whenever and however: a reader that
//! comes an hour later ends where the upload did.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use slab::Slab;
use tidewire_channel::{Budget, Continuity, Cursor, ResetReason, Since, WaitKey};

use super::Published;
use super::{By, Channel, State, Waiter};
use crate::error::HubError;
use crate::hub::Hub;
use crate::message::{Mark, Message};
use crate::name::ChannelName;

/// What a channel knows of uploads and of those who follow them.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    /// The channel belongs to an upload.
    pub(super) active: bool,
    /// The position before the first piece of the newest upload.
    start: Option<Cursor>,
    /// The last sequence number that each follower has read.
    followers: Slab<u64>,
    /// An upload that waits for them.
    waiting: Option<Waker>,
}

/// An upload under way. Dropping it before its [`end`](Self::end) marks it as aborted.
#[derive(Debug)]
pub(crate) struct Upload {
    hub: Arc<Hub>,
    channel: Arc<Channel>,
    content_type: Option<Box<str>>,
    ended: bool,
}

impl Upload {
    /// Takes a channel for an upload.
    ///
    /// # Errors
    /// [`HubError::Uploading`] if another one has it; [`HubError::TooManyChannels`].
    pub(crate) fn begin(
        hub: &Arc<Hub>,
        name: &ChannelName,
        content_type: Option<&str>,
    ) -> Result<Self, HubError> {
        loop {
            let channel = hub.channel(name)?;
            let mut state = channel.lock();
            // A channel that was forgotten since the look-up is looked up again.
            if state.closed {
                continue;
            }
            if state.uploads.active {
                return Err(HubError::Uploading);
            }
            state.uploads.active = true;
            state.uploads.start = Some(state.log.log().head());
            drop(state);
            let content_type = content_type.map(Into::into);
            return Ok(Upload { hub: hub.clone(), channel, content_type, ended: false });
        }
    }

    /// Bytes of one piece: few enough that a follower never waits for long, that a log holds several, and that the limit of messages is kept.
    pub(crate) fn piece_size(&self) -> usize {
        let config = self.hub.config();
        PIECE.min(config.max_message).min(config.retention.max_bytes / PIECES_KEPT).max(1)
    }

    /// Publishes a piece.
    pub(crate) fn piece(&self, data: Bytes) {
        self.append(Message::new(data, self.hub.wall_ms()));
    }

    /// Waits until a piece of `len` bytes can be kept without the loss of one that a follower has not read.
    pub(crate) async fn room(&self, len: usize) {
        poll_fn(|cx| self.poll_room(cx, len)).await;
    }

    /// Marks the end. The position after the mark is the end of the upload.
    pub(crate) fn end(mut self) -> Cursor {
        self.finish(Mark::End)
    }

    fn poll_room(&self, cx: &mut Context<'_>, len: usize) -> Poll<()> {
        let mut state = self.channel.lock();
        if state.has_room(len + MESSAGE_OVERHEAD) {
            return Poll::Ready(());
        }
        state.uploads.waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    fn finish(&mut self, mark: Mark) -> Cursor {
        self.ended = true;
        let published = self.append(Message::mark(mark, self.hub.wall_ms()));
        let mut state = self.channel.lock();
        state.uploads.active = false;
        state.uploads.waiting = None;
        published.cursor
    }

    fn append(&self, message: Message) -> Published {
        let message = match &self.content_type {
            Some(content_type) => {
                message.with_content_type(content_type).expect("the type was checked when the upload began")
            }
            None => message,
        };
        let appended = self.hub.append(&self.channel, &Arc::new(message), None, By::Upload);
        let appended = appended.expect("an upload is refused nothing: it has no key, and owns the channel");
        appended.expect("a channel with an upload is not forgotten")
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.ended {
            self.finish(Mark::Aborted);
        }
    }
}

/// Where a raw reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// With the first piece of the newest upload; where there was none, with the oldest message kept.
    Upload,
    /// With the oldest message kept, in the midst of whatever that is.
    Earliest,
    /// With the next message.
    Now,
    After(Cursor),
}

/// The place that is asked for is not, or no longer, one of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// So many messages after the place are no longer kept.
    Gap {
        from: Cursor,
        missed: u64,
        earliest: Cursor,
    },
    Reset {
        reason: ResetReason,
        earliest: Cursor,
    },
}

/// A reader of bytes, which no gap can be told to: a place in the log that is either continued exactly or lost.
#[derive(Debug)]
pub(crate) struct Follower {
    channel: Arc<Channel>,
    key: usize,
    position: Cursor,
    wait: Option<WaitKey>,
}

/// What a follower gets.
#[derive(Debug)]
pub(crate) enum Followed {
    Message(Arc<Message>),
    /// The place was lost: too slow, or the channel is no more.
    Lost,
}

impl Follower {
    /// Takes a place.
    ///
    /// # Errors
    /// [`Lost`]: the place cannot be continued.
    pub(crate) fn new(channel: &Arc<Channel>, beginning: Beginning) -> Result<Self, Lost> {
        let mut state = channel.lock();
        let log = state.log.log();
        let position = match beginning {
            Beginning::Upload => state.uploads.start.unwrap_or(log.earliest()),
            Beginning::Earliest => after_stale_mark(&state),
            Beginning::Now => log.head(),
            Beginning::After(cursor) => cursor,
        };
        match log.read(Since::After(position), Budget::messages(0)).continuity() {
            Continuity::Fresh | Continuity::Resumed => {}
            Continuity::Gap { from, to, missed } => return Err(Lost::Gap { from, missed, earliest: to }),
            Continuity::Reset { reason, to } => return Err(Lost::Reset { reason, earliest: to }),
        }
        let key = state.uploads.followers.insert(position.seq());
        drop(state);
        channel.enter();
        Ok(Follower { channel: channel.clone(), key, position, wait: None })
    }

    /// Where it is.
    pub(crate) fn position(&self) -> Cursor {
        self.position
    }

    /// The next message, without taking it.
    pub(crate) fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<Followed> {
        loop {
            self.unwatch();
            let mut page = self.channel.read(Since::After(self.position), Budget::messages(1));
            if page.continuity.is_broken() {
                return Poll::Ready(Followed::Lost);
            }
            if let Some((_, message)) = page.messages.pop() {
                return Poll::Ready(Followed::Message(message));
            }
            match self.channel.watch(self.position, Waiter::Task(cx.waker().clone())) {
                super::Watch::Waiting(key) => {
                    self.wait = Some(key);
                    return Poll::Pending;
                }
                super::Watch::Ready => {}
                super::Watch::Closed => return Poll::Ready(Followed::Lost),
            }
        }
    }

    /// The next message.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Followed> {
        let followed = self.poll_peek(cx);
        if let Poll::Ready(Followed::Message(_)) = followed {
            self.position = Cursor::new(self.position.epoch(), self.position.seq() + 1);
            let waiting = {
                let mut state = self.channel.lock();
                state.uploads.followers[self.key] = self.position.seq();
                state.uploads.waiting.take()
            };
            waiting.into_iter().for_each(Waker::wake);
        }
        followed
    }

    fn unwatch(&mut self) {
        if let Some(key) = self.wait.take() {
            self.channel.unwatch(key);
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.unwatch();
        self.channel.leave();
        let waiting = {
            let mut state = self.channel.lock();
            state.uploads.followers.remove(self.key);
            state.uploads.waiting.take()
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl State {
    /// Whether a message of this size can come without the loss of one that a follower has not read. Those that are lost already do
    /// not count.
    fn has_room(&self, size: usize) -> bool {
        let (log, retention) = (self.log.log(), self.log.log().retention());
        let (earliest, head) = (log.earliest(), log.head());
        let followers = self.uploads.followers.iter().map(|(_, &seq)| seq);
        let Some(slowest) = followers.filter(|&seq| seq >= earliest.seq()).min() else { return true };
        if slowest >= head.seq() {
            // The newest message is kept whatever its size.
            return true;
        }
        let unread = log.read(Since::After(Cursor::new(head.epoch(), slowest)), Budget::UNLIMITED);
        unread.len() < retention.max_messages && unread.bytes().saturating_add(size) <= retention.max_bytes
    }
}

/// The position before the oldest message; or after it, if it is nothing but the end of an upload whose pieces are gone and something
/// came after it.
fn after_stale_mark(state: &State) -> Cursor {
    let (earliest, head) = (state.log.log().earliest(), state.log.log().head());
    let first = state.log.read(Since::Earliest, Budget::messages(1));
    let is_mark = first.iter().next().is_some_and(|entry| entry.value.as_mark().is_some());
    if is_mark && earliest.seq() > 0 && first.cursor() != head { first.cursor() } else { earliest }
}

/// Bytes of a piece: what one read of the connection brings at most.
const PIECE: usize = 64 * 1024;

/// How many pieces a log holds at least.
const PIECES_KEPT: usize = 4;

/// What a piece weighs beside its bytes, at most: the media type and the bookkeeping.
const MESSAGE_OVERHEAD: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HubConfig;
    use tidewire_channel::Retention;

    const NOOP: &Waker = Waker::noop();

    fn hub(max_bytes: usize) -> Arc<Hub> {
        let retention = Retention { max_bytes, ..Retention::default() };
        Hub::new(HubConfig { retention, ..HubConfig::default() }, 1)
    }

    fn name() -> ChannelName {
        ChannelName::new("a").unwrap()
    }

    fn begin(hub: &Arc<Hub>) -> Upload {
        Upload::begin(hub, &name(), Some("video/webm")).unwrap()
    }

    /// Everything that a follower gets now: payloads, and marks in brackets.
    fn all(follower: &mut Follower) -> Vec<String> {
        let mut all = Vec::new();
        while let Poll::Ready(followed) = follower.poll_next(&mut Context::from_waker(NOOP)) {
            match followed {
                Followed::Message(message) => all.push(match message.as_mark() {
                    Some(mark) => format!("[{}]", mark.event()),
                    None => message.text().unwrap().to_owned(),
                }),
                Followed::Lost => {
                    all.push("lost".to_owned());
                    break;
                }
            }
        }
        all
    }

    #[test]
    fn a_follower_reads_from_the_beginning_to_the_mark() {
        let hub = hub(1 << 20);
        hub.publish(&name(), Message::new("before".into(), 0), None).unwrap();
        let upload = begin(&hub);
        upload.piece("one".into());
        let mut follower = Follower::new(&upload.channel, Beginning::Upload).unwrap();
        assert_eq!(all(&mut follower), ["one"]);
        upload.piece("two".into());
        assert_eq!(all(&mut follower), ["two"]);
        let channel = upload.channel.clone();
        assert_eq!(upload.end(), channel.head());
        assert_eq!(all(&mut follower), ["[upload-end]"]);
        let follow = |beginning| all(&mut Follower::new(&channel, beginning).unwrap());
        assert_eq!(follow(Beginning::Upload), ["one", "two", "[upload-end]"], "a late one too");
        assert_eq!(follow(Beginning::Earliest), ["before", "one", "two", "[upload-end]"]);
        drop(begin(&hub));
        assert_eq!(follow(Beginning::Upload), ["[upload-aborted]"], "the newest upload");
    }

    #[test]
    fn a_channel_has_one_upload_at_a_time_and_nothing_else_meanwhile() {
        let hub = hub(1 << 20);
        let upload = begin(&hub);
        assert_eq!(Upload::begin(&hub, &name(), None).unwrap_err(), HubError::Uploading);
        let publish = || hub.publish(&name(), Message::new("x".into(), 0), None).map(|_| ());
        assert_eq!(publish(), Err(HubError::Uploading));
        upload.end();
        assert_eq!(publish(), Ok(()));
        drop(begin(&hub));
    }

    #[test]
    fn an_upload_waits_for_its_followers_and_for_nobody_else() {
        let hub = hub(100_000);
        let upload = begin(&hub);
        assert_eq!(upload.piece_size(), 25_000);
        let piece = || Bytes::from(vec![b'x'; 25_000]);
        let room = || upload.poll_room(&mut Context::from_waker(NOOP), 25_000).is_ready();
        for _ in 0..10 {
            assert!(room(), "nobody follows");
            upload.piece(piece());
        }
        let mut follower = Follower::new(&upload.channel, Beginning::Now).unwrap();
        for _ in 0..3 {
            assert!(room());
            upload.piece(piece());
        }
        assert!(!room(), "a fourth would evict what the follower has not read");
        assert!(follower.poll_next(&mut Context::from_waker(NOOP)).is_ready());
        assert!(room());
        upload.piece(piece());
        assert!(!room());
        drop(follower);
        assert!(room());
        let mut slow = Follower::new(&upload.channel, Beginning::Now).unwrap();
        (0..5).for_each(|_| upload.piece(piece()));
        assert!(room(), "who is lost already is not waited for");
        assert_eq!(all(&mut slow), ["lost"]);
    }

    #[test]
    fn a_beginning_that_is_gone_is_told() {
        let retention = Retention { max_messages: 3, ..Retention::default() };
        let hub = Hub::new(HubConfig { retention, ..HubConfig::default() }, 1);
        let upload = begin(&hub);
        let channel = upload.channel.clone();
        let earliest = || all(&mut Follower::new(&channel, Beginning::Earliest).unwrap());
        ["1", "2", "3", "4", "5"].into_iter().for_each(|piece| upload.piece(piece.into()));
        let lost = Follower::new(&channel, Beginning::Upload).unwrap_err();
        assert!(matches!(lost, Lost::Gap { missed: 2, .. }), "{lost:?}");
        assert_eq!(earliest(), ["3", "4", "5"], "who wants to may join in the middle");
        upload.end();
        assert_eq!(earliest(), ["4", "5", "[upload-end]"]);
        let publish = |text: &'static str| hub.publish(&name(), Message::new(text.into(), 0), None).unwrap();
        publish("6");
        publish("7");
        assert_eq!(
            earliest(),
            ["6", "7"],
            "a mark whose pieces are gone says nothing about what came after it"
        );
        let ahead = Cursor::new(channel.head().epoch(), 99);
        assert!(matches!(Follower::new(&channel, Beginning::After(ahead)), Err(Lost::Reset { .. })));
    }
}
