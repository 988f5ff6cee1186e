//! A request to append, and its result.

use std::sync::Arc;

use tidewire_channel::{Cursor, Fingerprint};

use crate::message::Message;
use crate::settings::ChannelSettings;

/// A request to append. All of it happens, or nothing does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Append {
    /// The hub's clock: milliseconds since 1970 that never step back.
    pub now_ms: u64,
    /// The messages. Their times do not decrease along the log: the hub sees to it, and begins with
    /// [`LogInfo::last_time_ms`](crate::LogInfo::last_time_ms).
    pub messages: Batch,
    /// What makes a repeated request a duplicate.
    pub once: Once,
    /// A text that must be greater than those of all earlier appends to the log that had one,
    /// compared as bytes.
    pub stream_seq: Option<Box<str>>,
    /// Whether this ends the log for good, after the messages.
    pub close: bool,
    /// Whether the messages are a part of an upload.
    pub upload: UploadStep,
    /// The settings of the log, if this append creates it.
    pub settings: Arc<ChannelSettings>,
}

impl Append {
    /// An append of these messages, with nothing else.
    #[must_use]
    pub const fn new(now_ms: u64, messages: Batch, settings: Arc<ChannelSettings>) -> Self {
        let (once, upload) = (Once::No, UploadStep::No);
        Self { now_ms, messages, once, stream_seq: None, close: false, upload, settings }
    }

    /// Sets [`once`](Self::once).
    #[must_use]
    pub fn with_once(mut self, once: Once) -> Self {
        self.once = once;
        self
    }

    /// Sets [`stream_seq`](Self::stream_seq).
    #[must_use]
    pub fn with_stream_seq(mut self, stream_seq: Option<Box<str>>) -> Self {
        self.stream_seq = stream_seq;
        self
    }

    /// Sets [`close`](Self::close) to `true`.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// Sets [`upload`](Self::upload).
    #[must_use]
    pub fn with_upload(mut self, upload: UploadStep) -> Self {
        self.upload = upload;
        self
    }
}

/// The messages of an append, in order.
#[derive(Clone, Debug, Default)]
pub enum Batch {
    /// None: to close the log.
    #[default]
    None,
    /// One. It takes no memory of its own.
    One(Arc<Message>),
    /// Several. They get numbers next to each other.
    Many(Vec<Arc<Message>>),
}

impl Batch {
    /// Returns the messages.
    #[must_use]
    pub fn as_slice(&self) -> &[Arc<Message>] {
        match self {
            Self::None => &[],
            Self::One(message) => std::slice::from_ref(message),
            Self::Many(messages) => messages,
        }
    }

    /// Returns the sum of the weights of the messages.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.as_slice().iter().fold(0, |sum, message| sum.saturating_add(message.weight()))
    }
}

/// What makes a repeated request a duplicate, which appends nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Once {
    /// Nothing: each request appends.
    #[default]
    No,
    /// An idempotency key.
    Key {
        /// The key.
        text: Box<[u8]>,
        /// The hash of the messages that the key is bound to.
        fingerprint: Fingerprint,
    },
    /// A producer that numbers its requests.
    Producer {
        /// The name of the producer.
        id: Box<str>,
        /// The producer's run. A request of an earlier run is refused.
        epoch: u64,
        /// The number of the request in this run, from 0 on.
        seq: u64,
    },
}

impl Once {
    /// The length of the key, or of the name of the producer.
    pub(crate) fn text_len(&self) -> usize {
        match self {
            Self::No => 0,
            Self::Key { text, .. } => text.len(),
            Self::Producer { id, .. } => id.len(),
        }
    }

    /// The same for a [`Channel`](tidewire_channel::Channel).
    #[must_use]
    pub fn as_log(&self) -> tidewire_channel::Once<'_> {
        match self {
            Self::No => tidewire_channel::Once::No,
            Self::Key { text, fingerprint } => {
                tidewire_channel::Once::Key { text, fingerprint: *fingerprint }
            }
            Self::Producer { id, epoch, seq } => {
                tidewire_channel::Once::Producer(tidewire_channel::ProducerSeq {
                    id: id.as_bytes(),
                    epoch: *epoch,
                    seq: *seq,
                })
            }
        }
    }
}

/// How an append belongs to an upload. A store that starts after a crash tells by it whether an
/// upload was under way: [`LogInfo::upload_open`](crate::LogInfo::upload_open).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UploadStep {
    /// It does not.
    #[default]
    No,
    /// It is a piece of an upload, and more follows.
    Piece,
    /// It is the mark of the upload's end.
    Mark,
}

/// The result of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The position before the first message.
    pub after: Cursor,
    /// The position after the last message. For a duplicate, the position after the last message of
    /// the first request; with a producer, of its last request. For an append without a message,
    /// the end.
    pub cursor: Cursor,
    /// The position of the end, if the log is closed now.
    pub end: Option<Cursor>,
    /// Whether nothing was appended, because the request is a repetition.
    pub duplicate: bool,
    /// The number of the last message that is no longer kept.
    pub earliest: u64,
}
