//! Uploads. The body of a PUT becomes messages of a channel while it arrives. Raw readers get the
//! same bytes meanwhile.
//!
//! ```text
//!   PUT ──► Upload::begin ──► piece piece piece … ──► end()    the log: [piece][piece][piece][upload-end]
//!                │                    │                dropped: [piece][piece][upload-aborted]
//!                │ one at a time      │ poll_room(): it evicts no message that a worker has still to
//!                │ (409 to others)    │ serve; at the pace of its readers, none that one has not read
//!                ▼                    ▼
//!   GET feed=raw ──► RawReader: a position that the upload sees ──► pieces … ──► the mark ends it
//! ```
//!
//! The last message of an upload is a *mark*, which says how the upload ended. It is in the log, so
//! a reader that comes an hour later ends at the same place.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tidewire_store::{Batch, ChannelName, Mark, Message, Once, UploadStep};

use crate::appending::Sent;
use crate::channel::Channel;
use crate::channel_state::{Append, AppendedBy, Published};
use crate::error::HubError;
use crate::hub::Hub;
use crate::upload_state::Pace;

/// An upload in progress. Dropping it before [`end`](Self::end) marks it as aborted.
#[derive(Debug)]
pub(crate) struct Upload {
    hub: Arc<Hub>,
    channel: Arc<Channel>,
    content_type: Option<Box<str>>,
    ended: bool,
}

impl Upload {
    /// Reserves a channel for an upload.
    ///
    /// # Errors
    /// [`HubError::Uploading`] if another upload has it, [`HubError::OtherType`],
    /// [`HubError::Closed`], [`HubError::TooManyChannels`], [`HubError::Store`].
    pub(crate) async fn begin(
        hub: &Arc<Hub>,
        name: &ChannelName,
        content_type: Option<&str>,
    ) -> Result<Self, HubError> {
        let content_type: Option<Box<str>> = content_type.map(Into::into);
        poll_fn(|cx| {
            loop {
                let channel = match hub.poll_channel(name, true, cx.waker()) {
                    Ok(Poll::Ready(channel)) => channel,
                    Ok(Poll::Pending) => return Poll::Pending,
                    Err(error) => return Poll::Ready(Err(error)),
                };
                // The hub forgot the channel after the look-up: look it up again.
                if !channel.begin_upload(content_type.as_deref())? {
                    continue;
                }
                let content_type = content_type.clone();
                return Poll::Ready(Ok(Upload { hub: hub.clone(), channel, content_type, ended: false }));
            }
        })
        .await
    }

    /// Largest size of a piece in bytes. A piece is not longer than the limit of messages, can be
    /// read in a short time, and is so small that a log holds several pieces.
    pub(crate) fn piece_size(&self) -> usize {
        let config = self.hub.config();
        PIECE.min(config.max_message).min(config.retention.max_bytes / PIECES_KEPT).max(1)
    }

    /// Publishes a piece.
    ///
    /// # Errors
    /// [`HubError`]: the store has failed, or the log takes no more. Then drop the upload.
    pub(crate) async fn piece(&self, data: Bytes) -> Result<(), HubError> {
        let message = Message::new(data, self.hub.wall_ms());
        self.append(message, UploadStep::Piece, false).await.map(drop)
    }

    /// Ready when there is room for a piece of `len` bytes, or for the mark (0): the append evicts
    /// nothing that a worker has still to serve. With [`Pace::Readers`], it also evicts nothing
    /// that a raw reader has not read. Waits for workers at most 5 s, and for raw readers without
    /// limit.
    pub(crate) fn poll_room(&self, cx: &Context<'_>, len: usize, pace: Pace) -> Poll<()> {
        self.channel.poll_room(len + MESSAGE_OVERHEAD, pace, self.hub.now_ms(), cx)
    }

    /// Appends the mark of a complete upload, and ends the channel with it if `close` is set.
    /// Returns where.
    ///
    /// # Errors
    /// [`HubError`]: the store has failed, and the upload will be marked as aborted.
    pub(crate) async fn end(mut self, close: bool) -> Result<Published, HubError> {
        let mark = Message::mark(Mark::End, self.hub.wall_ms());
        let published = self.append(mark, UploadStep::Mark, close).await?;
        self.ended = true;
        self.channel.end_upload();
        Ok(published)
    }

    async fn append(&self, message: Message, step: UploadStep, close: bool) -> Result<Published, HubError> {
        let messages = Batch::One(Arc::new(self.typed(message)));
        let (once, by) = (&Once::No, AppendedBy::Upload(step));
        let (now_ms, stopped) = (self.hub.now_ms(), &self.hub.stopped);
        let append = Append { now_ms, messages: &messages, once, close, by, stopped };
        match poll_fn(|cx| self.channel.poll_append_now(append, cx)).await? {
            // It was deleted, and a new one is none of ours.
            Sent::Over => Err(HubError::Deleted),
            Sent::Done(published) => Ok(published),
            Sent::Flying(publishing) => publishing.wait().await,
        }
    }

    fn typed(&self, message: Message) -> Message {
        match &self.content_type {
            Some(content_type) => {
                message.with_content_type(content_type).expect("the type was checked when the upload began")
            }
            None => message,
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // Nobody waits for the answer. If the store fails, the sweep of the hub tries again.
        let mark = self.typed(Message::mark(Mark::Aborted, self.hub.wall_ms()));
        self.channel.mark_upload(Append {
            now_ms: self.hub.now_ms(),
            messages: &Batch::One(Arc::new(mark)),
            once: &Once::No,
            close: false,
            by: AppendedBy::Upload(UploadStep::Mark),
            stopped: &self.hub.stopped,
        });
    }
}

/// Bytes of a piece: one read of the connection returns no more.
const PIECE: usize = 64 * 1024;

/// The least number of pieces that a log holds.
const PIECES_KEPT: usize = 4;

/// Weight of a piece besides its bytes, at most: the media type and the bookkeeping.
const MESSAGE_OVERHEAD: usize = 1024;

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tidewire_channel::Retention;

    use super::*;
    use crate::channel::Watch;
    use crate::channel_state::Waiter;
    use crate::config::HubConfig;
    use crate::flight::at_once;
    use crate::raw_reader::{RawReader, RawStop};
    use crate::upload_state::RawStart;

    const NOOP: &Waker = Waker::noop();

    fn hub(max_bytes: usize) -> Arc<Hub> {
        let retention = Retention::DEFAULT.with_max_bytes(max_bytes);
        Hub::new(HubConfig { retention, ..HubConfig::default() }, 1)
    }

    fn name() -> ChannelName {
        ChannelName::new("a").unwrap()
    }

    fn begin(hub: &Arc<Hub>) -> Upload {
        at_once(Upload::begin(hub, &name(), Some("video/webm"))).unwrap()
    }

    #[test]
    fn a_channel_accepts_nothing_else_during_an_upload() {
        let hub = hub(1 << 20);
        let upload = begin(&hub);
        assert_eq!(at_once(Upload::begin(&hub, &name(), None)).unwrap_err(), HubError::Uploading);
        let publish = || hub.publish(&name(), Message::new("x".into(), 0), None).map(|_| ());
        assert_eq!(publish(), Err(HubError::Uploading));
        at_once(upload.end(false)).unwrap();
        assert_eq!(publish(), Ok(()));
        drop(begin(&hub));
    }

    #[test]
    fn an_upload_waits_for_workers_at_either_pace_and_before_its_mark() {
        let retention = Retention::DEFAULT.with_max_messages(1);
        let hub = Hub::new(HubConfig { retention, ..HubConfig::default() }, 1);
        let upload = begin(&hub);
        let watch = || {
            let head = upload.channel.head();
            assert!(matches!(upload.channel.watch(head, head, Waiter::Worker(0)), Watch::Waiting(_)));
        };
        watch();
        for pace in [Pace::Readers, Pace::Source] {
            let room = |len| upload.poll_room(&Context::from_waker(NOOP), len, pace).is_ready();
            assert!(room(1));
            at_once(upload.piece("1".into())).unwrap();
            assert!(!room(1) && !room(0), "the mark would evict the piece");
            watch();
            assert!(room(1) && room(0));
        }
    }

    #[test]
    fn an_upload_waits_for_raw_readers_until_they_leave_or_are_lost() {
        let hub = hub(100_000);
        let upload = begin(&hub);
        assert_eq!(upload.piece_size(), 25_000);
        let piece = || Bytes::from(vec![b'x'; 25_000]);
        let room = || upload.poll_room(&Context::from_waker(NOOP), 25_000, Pace::Readers).is_ready();
        let next = |reader: &mut RawReader| reader.poll_next(&mut Context::from_waker(NOOP));
        for _ in 0..10 {
            assert!(room(), "nobody reads");
            at_once(upload.piece(piece())).unwrap();
        }
        let mut reader = RawReader::new(&upload.channel, RawStart::Now).unwrap();
        for _ in 0..3 {
            assert!(room());
            at_once(upload.piece(piece())).unwrap();
        }
        assert!(!room(), "a fourth piece would evict what the reader has not read");
        assert!(next(&mut reader).is_ready());
        assert!(room());
        at_once(upload.piece(piece())).unwrap();
        assert!(!room());
        drop(reader);
        assert!(room());
        let mut slow = RawReader::new(&upload.channel, RawStart::Now).unwrap();
        (0..5).for_each(|_| at_once(upload.piece(piece())).unwrap());
        assert!(room(), "the reader has lost messages, so it is not waited for");
        assert!(matches!(next(&mut slow), Poll::Ready(Err(RawStop::Broken(_)))));
    }
}
