//! What a store tells about a log.

use std::sync::Arc;

use tidewire_channel::{Bounds, Continuity, Cursor, Lineage};

use crate::message::Message;
use crate::settings::ChannelSettings;

/// What a store has under a name.
#[derive(Clone, Debug)]
pub enum Opened {
    /// No log. An append or a creation makes one that begins at `start`.
    Absent {
        /// The position before its first message.
        start: Cursor,
    },
    /// No log: it was deleted a short time ago. An append or a creation makes a new one.
    Deleted,
    /// A log that was deleted, but has forks that need its messages. Nobody can use the name.
    SoftDeleted,
    /// A log.
    Log(LogInfo),
}

/// The state of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogInfo {
    /// The epochs of its messages.
    pub lineage: Lineage,
    /// The number of the newest message.
    pub head: u64,
    /// The number of the last message that is no longer kept. The earliest kept one follows it.
    pub earliest: u64,
    /// Whether it has ended for good.
    pub is_closed: bool,
    /// Its settings.
    pub settings: Arc<ChannelSettings>,
    /// Whether its last message is a piece of an upload that has no end yet. When a hub starts,
    /// the publisher of such an upload is gone, so the hub appends the mark of an aborted upload.
    pub upload_open: bool,
    /// The time of the newest message, 0 if there was none. No later message has an earlier time.
    pub last_time_ms: u64,
}

impl LogInfo {
    /// A log at position 0, without messages.
    #[must_use]
    pub const fn new(lineage: Lineage, settings: Arc<ChannelSettings>) -> Self {
        let (is_closed, upload_open) = (false, false);
        Self { lineage, head: 0, earliest: 0, is_closed, settings, upload_open, last_time_ms: 0 }
    }

    /// The position after the newest message.
    #[must_use]
    pub fn head_cursor(&self) -> Cursor {
        self.lineage.at(self.head)
    }

    /// The position before the earliest message that is kept.
    #[must_use]
    pub fn earliest_cursor(&self) -> Cursor {
        self.lineage.at(self.earliest)
    }

    /// The position of the end, if the log is closed.
    #[must_use]
    pub fn end(&self) -> Option<Cursor> {
        self.is_closed.then(|| self.lineage.end(self.head))
    }

    /// What decides how a cursor continues.
    #[must_use]
    pub const fn bounds(&self) -> Bounds {
        Bounds { earliest: self.earliest, head: self.head, is_closed: self.is_closed }
    }
}

/// Messages of a log, from a position on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page {
    /// How the messages continue the position that was asked for. A gap is before the earliest
    /// message that is kept, or where the store has lost messages.
    pub continuity: Continuity,
    /// The position before the first message.
    pub start: Cursor,
    /// The messages, each with the position after it. They are contiguous.
    pub messages: Vec<(Cursor, Arc<Message>)>,
    /// The position after the last message: read on from here.
    pub cursor: Cursor,
    /// Whether more messages follow: the budget ended the read, or a message is lost.
    pub more: bool,
    /// The log as it was when the page was made.
    pub info: LogInfo,
}

impl Page {
    /// A page. `cursor` is that of its last message, or `start` if it has none.
    #[must_use]
    pub fn new(
        (start, continuity): (Cursor, Continuity),
        messages: Vec<(Cursor, Arc<Message>)>,
        info: LogInfo,
    ) -> Self {
        let cursor = messages.last().map_or(start, |(cursor, _)| *cursor);
        let more = cursor.seq() < info.head;
        Self { continuity, start, messages, cursor, more, info }
    }

    /// The position of the end, if the log is closed and this page reaches its newest message.
    #[must_use]
    pub fn end(&self) -> Option<Cursor> {
        if self.more { None } else { self.info.end() }
    }
}
