//! A reader that checks the guarantee of the log: every message once and in order, or a report of
//! exactly those that are lost.

use super::{Feed, FeedEvent, after, seq};

/// A checking reader.
pub struct Client {
    pub cursor: String,
    /// The messages, each with its number and the feed that delivered it.
    pub messages: Vec<(u64, Feed, Vec<u8>)>,
    pub missed: u64,
    /// Whether the channel has ended, or was deleted.
    pub has_ended: bool,
}

impl Client {
    pub fn at(cursor: &str) -> Self {
        Client { cursor: cursor.to_owned(), messages: Vec::new(), missed: 0, has_ended: false }
    }

    /// Takes what a feed has delivered. Fails the test if a message is not the next one, or if a
    /// gap is not exact.
    pub fn take(&mut self, feed: Feed, event: FeedEvent) {
        match event {
            FeedEvent::Message(message) => {
                assert!(self.continues(&message.cursor, 1), "{feed:?} skipped or repeated a message");
                self.messages.push((seq(&message.cursor), feed, message.payload));
                self.cursor = message.cursor;
            }
            FeedEvent::Gap { missed, cursor } => {
                assert!(missed > 0, "{feed:?} reported an empty gap");
                assert!(self.continues(&cursor, missed), "{feed:?} reported a gap that is not exact");
                self.missed += missed;
                self.cursor = cursor;
            }
            FeedEvent::Reset { reason, .. } => {
                panic!("{feed:?} reported a reset ({reason}) after {}", self.cursor)
            }
            FeedEvent::End { cursor, .. } => {
                // A reader that comes back to the end is told again.
                let is_right =
                    if self.has_ended { cursor == self.cursor } else { self.continues(&cursor, 1) };
                assert!(is_right, "{feed:?} told the end {cursor} after {}", self.cursor);
                self.cursor = cursor;
                self.has_ended = true;
            }
            FeedEvent::Deleted { .. } => self.has_ended = true,
        }
    }

    /// Whether a cursor is `n` messages after that of the reader. A log may begin an epoch with its
    /// first message, and then the cursor has that epoch.
    fn continues(&self, cursor: &str, n: u64) -> bool {
        let is_first = seq(&self.cursor) == 0;
        cursor == after(&self.cursor, n) || (is_first && seq(cursor) == n)
    }

    pub fn check_against(&self, published: &[Vec<u8>]) {
        for (seq, feed, payload) in &self.messages {
            assert_eq!(
                String::from_utf8_lossy(payload),
                String::from_utf8_lossy(&feed.carries(&published[*seq as usize - 1])),
                "message {seq}, {feed:?}"
            );
        }
    }
}
