//! What a subscription yields, and where it begins.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;

use crate::{Cursor, CursorError, Error};

/// A way to read a channel. All feeds give the same messages, in the same order, with the same
/// cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feed {
    /// WebSocket with the subprotocol `tidewire.v1`.
    WebSocket,
    /// Server-Sent Events.
    Sse,
    /// An endless response with one JSON object per line.
    Stream,
    /// A request that the server holds until there is a message.
    LongPoll,
    /// A request at each interval.
    Poll,
}

/// Where a subscription begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Since {
    /// With the oldest message that the server keeps.
    Earliest,
    /// With the next message that is published.
    #[default]
    Now,
    /// After the message with this cursor.
    After(Cursor),
}

/// What [`Subscription::next`](crate::Subscription::next) yields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message, delivered once and in order.
    Message(Message),
    /// Messages are lost: the reader was away for too long, and the server no longer keeps them.
    /// The next message is the one after `cursor`.
    Gap {
        /// The position before the loss.
        from: Cursor,
        /// The position after the loss.
        cursor: Cursor,
        /// How many messages are lost.
        missed: u64,
    },
    /// The cursor does not belong to this log: the log was created anew, or the server lost its
    /// newest messages, which this reader may have received. It is unknown what was published
    /// between the last message and `cursor`.
    Reset {
        /// The reason that the server names: `unknown-epoch`, `ahead-of-log`, or `tail-lost`, if
        /// the server has lost messages that this reader had received.
        reason: String,
        /// The position that the subscription continues from.
        cursor: Cursor,
    },
    /// A channel has ended: nothing follows. When all channels of the subscription have ended,
    /// [`Subscription::next`](crate::Subscription::next) returns [`Error::Ended`].
    End {
        /// The name of the channel, if the subscription has several.
        channel: Option<String>,
        /// The position after the end. A subscription that begins there is told the end again.
        cursor: Cursor,
    },
    /// A channel was deleted, and [`Subscription::next`](crate::Subscription::next) returns
    /// [`Error::Deleted`].
    Deleted {
        /// The name of the channel, if the subscription has several and the server names it.
        channel: Option<String>,
    },
    /// A feed is open. From here on nothing is missed.
    Connected {
        /// The feed that is open.
        feed: Feed,
        /// The position that the feed continues from.
        cursor: Option<Cursor>,
    },
    /// A feed was cut or could not be opened. The subscription reconnects by itself.
    Disconnected {
        /// The feed that failed.
        feed: Feed,
        /// Why the feed failed.
        reason: Error,
        /// The wait before the next attempt, with this feed or another one.
        retry_in: Duration,
    },
}

impl Event {
    /// The position of the reader after this event, if the event has one.
    #[must_use]
    pub const fn cursor(&self) -> Option<&Cursor> {
        match self {
            Self::Message(message) => Some(&message.cursor),
            Self::Gap { cursor, .. } | Self::Reset { cursor, .. } | Self::End { cursor, .. } => Some(cursor),
            Self::Connected { cursor, .. } => cursor.as_ref(),
            Self::Deleted { .. } | Self::Disconnected { .. } => None,
        }
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// The position after this message. Store it when the message is processed.
    pub cursor: Cursor,
    /// The name of the channel, if the subscription has several.
    pub channel: Option<String>,
    /// When the message was published, in milliseconds since 1970 by the server's clock.
    pub time: Option<u64>,
    /// The event name that the publisher gave it.
    pub event: Option<String>,
    /// The media type that the publisher gave it.
    pub content_type: Option<String>,
    /// The payload.
    pub data: Bytes,
}

impl Message {
    /// The payload as text, if it is UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.data).ok()
    }
}

impl Feed {
    /// All feeds, in the order in which a subscription tries them.
    pub const ALL: [Self; 5] = [Self::WebSocket, Self::Sse, Self::Stream, Self::LongPoll, Self::Poll];

    /// The short name: `ws`, `sse`, `stream`, `longpoll`, `poll`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "ws",
            Self::Sse => "sse",
            Self::Stream => "stream",
            Self::LongPoll => "longpoll",
            Self::Poll => "poll",
        }
    }
}

impl fmt::Display for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the name of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a feed is one of {}", Feed::ALL.map(Feed::as_str).join(", "))]
pub struct FeedError;

impl FromStr for Feed {
    type Err = FeedError;

    fn from_str(text: &str) -> Result<Self, FeedError> {
        Self::ALL.into_iter().find(|feed| feed.as_str() == text).ok_or(FeedError)
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Now => f.write_str("now"),
            Self::After(cursor) => cursor.fmt(f),
        }
    }
}

impl FromStr for Since {
    type Err = CursorError;

    /// Parses `earliest`, `now`, or a cursor.
    fn from_str(text: &str) -> Result<Self, CursorError> {
        Ok(match text {
            "earliest" => Self::Earliest,
            "now" => Self::Now,
            _ => Self::After(text.parse()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The feed that a subscription tries after `feed`, or the first one. The compiler asks for a
    /// new feed here, and the test then for its place in [`Feed::ALL`].
    fn after(feed: Option<Feed>) -> Option<Feed> {
        match feed {
            None => Some(Feed::WebSocket),
            Some(Feed::WebSocket) => Some(Feed::Sse),
            Some(Feed::Sse) => Some(Feed::Stream),
            Some(Feed::Stream) => Some(Feed::LongPoll),
            Some(Feed::LongPoll) => Some(Feed::Poll),
            Some(Feed::Poll) => None,
        }
    }

    #[test]
    fn all_feeds_are_listed_and_have_names() {
        let feeds: Vec<_> = std::iter::successors(after(None), |&feed| after(Some(feed))).collect();
        assert_eq!(feeds, Feed::ALL);
        for feed in Feed::ALL {
            assert_eq!(feed.as_str().parse(), Ok(feed));
        }
        assert_eq!(FeedError.to_string(), "a feed is one of ws, sse, stream, longpoll, poll");
    }
}
