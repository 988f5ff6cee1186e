//! The items of a feed, and their two encodings: a line of text, and an SSE event.
//!
//! The real server writes JSON, this one writes words. What matters is that every feed has the same
//! seven kinds of items, and a WebSocket two more.

use tidewire_channel::{Cursor, Cursors};
use tidewire_sse::EventFields;

/// One item of a feed. A channel is named by its place in the reader's list of channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// The first item of every stream: where it starts.
    Hello(Cursors),
    /// A message.
    Message { channel: usize, cursor: Cursor, text: String },
    /// Messages are missing: they have been evicted.
    Gap { channel: usize, from: Cursor, to: Cursor, missed: u64 },
    /// The cursor is of another log.
    Reset { channel: usize, to: Cursor, reason: String },
    /// The log is closed, and nothing comes any more.
    End { channel: usize, cursor: Cursor },
    /// The log was deleted. This ends the feed.
    Deleted { channel: usize },
    /// The last item of every answer to a poll: where the reader is.
    At(Cursor),
    /// A WebSocket reader has left a channel at this position.
    Left { channel: usize, cursor: Cursor },
    /// A WebSocket reader has joined a channel at this position.
    Joined { channel: usize, cursor: Cursor },
}

impl Item {
    /// Encodes the item as a line without its end.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Hello(cursors) => format!("hello {cursors}"),
            Self::Message { channel, cursor, text } => format!("message {channel} {cursor} {text}"),
            Self::Gap { channel, from, to, missed } => format!("gap {channel} {from} {to} {missed}"),
            Self::Reset { channel, to, reason } => format!("reset {channel} {to} {reason}"),
            Self::End { channel, cursor } => format!("end {channel} {cursor}"),
            Self::Deleted { channel } => format!("deleted {channel}"),
            Self::At(cursor) => format!("at {cursor}"),
            Self::Left { channel, cursor } => format!("left {channel} {cursor}"),
            Self::Joined { channel, cursor } => format!("joined {channel} {cursor}"),
        }
    }

    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ')?;
        let parts: Vec<&str> = rest.splitn(4, ' ').collect();
        Some(match (word, &parts[..]) {
            ("hello", [cursors]) => Self::Hello(cursors.parse().ok()?),
            ("message", [channel, cursor, ..]) => Self::Message {
                channel: channel.parse().ok()?,
                cursor: cursor.parse().ok()?,
                text: rest.splitn(3, ' ').nth(2)?.into(),
            },
            ("gap", [channel, from, to, missed]) => Self::Gap {
                channel: channel.parse().ok()?,
                from: from.parse().ok()?,
                to: to.parse().ok()?,
                missed: missed.parse().ok()?,
            },
            ("reset", [channel, to, reason]) => {
                Self::Reset { channel: channel.parse().ok()?, to: to.parse().ok()?, reason: (*reason).into() }
            }
            ("end", [channel, cursor]) => {
                Self::End { channel: channel.parse().ok()?, cursor: cursor.parse().ok()? }
            }
            ("deleted", [channel]) => Self::Deleted { channel: channel.parse().ok()? },
            ("at", [cursor]) => Self::At(cursor.parse().ok()?),
            ("left", [channel, cursor]) => {
                Self::Left { channel: channel.parse().ok()?, cursor: cursor.parse().ok()? }
            }
            ("joined", [channel, cursor]) => {
                Self::Joined { channel: channel.parse().ok()?, cursor: cursor.parse().ok()? }
            }
            _ => return None,
        })
    }

    /// Encodes the item as an SSE event. Its id is the position in all channels *after* the item: a
    /// browser comes back with it.
    pub(crate) fn sse(&self, position: &Cursors, out: &mut Vec<u8>) {
        let id = position.to_string();
        let line = self.line();
        let event = match self {
            Self::Hello(_) => EventFields { id: Some(&id), retry: Some(1_000), ..EventFields::default() },
            Self::Message { channel, text, .. } => {
                let name = format!("message-{channel}");
                let event = EventFields {
                    id: Some(&id),
                    event: Some(&name),
                    data: Some(text),
                    ..EventFields::default()
                };
                return event.encode_to(out).expect("a cursor and a name of ours can be written");
            }
            // It has no position.
            Self::Deleted { .. } => {
                EventFields { event: Some("notice"), data: Some(&line), ..EventFields::default() }
            }
            _ => EventFields {
                id: Some(&id),
                event: Some("notice"),
                data: Some(&line),
                ..EventFields::default()
            },
        };
        event.encode_to(out).expect("a cursor and a name of ours can be written");
    }

    /// Decodes an SSE event with data.
    pub(crate) fn from_sse(event_type: &str, data: &str, id: &str) -> Option<Self> {
        if event_type == "notice" {
            return Self::parse(data);
        }
        let channel = event_type.strip_prefix("message-")?.parse().ok()?;
        let cursors: Cursors = id.parse().ok()?;
        Some(Self::Message { channel, cursor: *cursors.as_slice().get(channel)?, text: data.into() })
    }
}
