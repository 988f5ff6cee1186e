//! The law of the log, as a reader sees it.

use super::{Feed, Said, after, seq};

/// What a client has read, and the law that it must keep.
pub struct Client {
    pub cursor: String,
    /// Each with its number and the feed that brought it.
    pub messages: Vec<(u64, Feed, Vec<u8>)>,
    pub missed: u64,
}

impl Client {
    pub fn at(cursor: &str) -> Self {
        Client { cursor: cursor.to_owned(), messages: Vec::new(), missed: 0 }
    }

    /// Takes what a feed said. A message that is not the next, or a gap that is not exactly what is missing, fails the test.
    pub fn take(&mut self, feed: Feed, said: Said) {
        match said {
            Said::Message(message) => {
                assert_eq!(message.cursor, after(&self.cursor, 1), "{feed:?} skipped or repeated in silence");
                self.messages.push((seq(&message.cursor), feed, message.payload));
                self.cursor = message.cursor;
            }
            Said::Gap { missed, cursor } => {
                assert!(missed > 0, "{feed:?} told a gap of nothing");
                assert_eq!(
                    cursor,
                    after(&self.cursor, missed),
                    "{feed:?} told a gap that is not what is lost"
                );
                self.missed += missed;
                self.cursor = cursor;
            }
            Said::Reset { reason, .. } => panic!("{feed:?} told a reset ({reason}) after {}", self.cursor),
        }
    }

    pub fn check_against(&self, truth: &[Vec<u8>]) {
        for (seq, feed, payload) in &self.messages {
            assert_eq!(
                String::from_utf8_lossy(payload),
                String::from_utf8_lossy(&feed.carries(&truth[*seq as usize - 1])),
                "message {seq}, {feed:?}"
            );
        }
    }
}
