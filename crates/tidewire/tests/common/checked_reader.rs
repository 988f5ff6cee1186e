//! A reader that checks the guarantee of the log: every message once and in order, or a report of
//! exactly those that are lost.

use super::{Feed, FeedEvent, after, seq};

/// A checking reader.
pub struct Client {
    pub cursor: String,
    /// The messages, each with its number and the feed that delivered it.
    pub messages: Vec<(u64, Feed, Vec<u8>)>,
    pub missed: u64,
}

impl Client {
    pub fn at(cursor: &str) -> Self {
        Client { cursor: cursor.to_owned(), messages: Vec::new(), missed: 0 }
    }

    /// Takes what a feed has delivered. Fails the test if a message is not the next one, or if a
    /// gap is not exact.
    pub fn take(&mut self, feed: Feed, event: FeedEvent) {
        match event {
            FeedEvent::Message(message) => {
                assert_eq!(message.cursor, after(&self.cursor, 1), "{feed:?} skipped or repeated a message");
                self.messages.push((seq(&message.cursor), feed, message.payload));
                self.cursor = message.cursor;
            }
            FeedEvent::Gap { missed, cursor } => {
                assert!(missed > 0, "{feed:?} reported an empty gap");
                assert_eq!(cursor, after(&self.cursor, missed), "{feed:?} reported a gap that is not exact");
                self.missed += missed;
                self.cursor = cursor;
            }
            FeedEvent::Reset { reason, .. } => {
                panic!("{feed:?} reported a reset ({reason}) after {}", self.cursor)
            }
        }
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
