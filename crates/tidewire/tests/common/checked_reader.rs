//! A reader that checks the guarantee of the log: every message once and in order, or a report of
//! exactly those that are lost.

use super::feeds::open_where;
use super::{Ended, Feed, FeedEvent, Reader, after, seq};

/// A checking reader.
pub struct Client {
    pub cursor: String,
    /// The messages, each with its number and the feed that delivered it.
    pub messages: Vec<(u64, Feed, Vec<u8>)>,
    /// The cursors of these messages.
    pub cursors: Vec<String>,
    pub missed: u64,
    /// Whether the channel has ended, or was deleted.
    pub has_ended: bool,
    /// If the server may crash: the tails that were reported as lost, each with the position of the
    /// reader before the report and after it.
    pub tails: Option<Vec<(String, String)>>,
}

impl Client {
    pub fn at(cursor: &str) -> Self {
        Client {
            cursor: cursor.to_owned(),
            messages: Vec::new(),
            cursors: Vec::new(),
            missed: 0,
            has_ended: false,
            tails: None,
        }
    }

    /// A reader of a server that may crash. Its log may begin an epoch after each message, and it
    /// may lose its tail. So check [`cursors`](Self::cursors) and [`tails`](Self::tails) at the
    /// end.
    pub fn across_crashes(cursor: &str) -> Self {
        Client { tails: Some(Vec::new()), ..Client::at(cursor) }
    }

    /// Opens a feed at its position.
    pub async fn open(&self, feed: Feed, address: &str, channel: &str) -> Result<Box<dyn Reader>, Ended> {
        open_where(feed, address, channel, &self.cursor, self.tails.is_some()).await
    }

    /// Takes what a feed has delivered. Fails the test if a message is not the next one, or if a
    /// gap is not exact.
    pub fn take(&mut self, feed: Feed, event: FeedEvent) {
        match event {
            FeedEvent::Message(message) => {
                assert!(self.continues(&message.cursor, 1), "{feed:?} skipped or repeated a message");
                self.messages.push((seq(&message.cursor), feed, message.payload));
                self.cursors.push(message.cursor.clone());
                self.cursor = message.cursor;
            }
            FeedEvent::Gap { missed, cursor } => {
                assert!(missed > 0, "{feed:?} reported an empty gap");
                assert!(self.continues(&cursor, missed), "{feed:?} reported a gap that is not exact");
                self.missed += missed;
                self.cursor = cursor;
            }
            FeedEvent::Reset { reason, cursor } => {
                let had = std::mem::replace(&mut self.cursor, cursor);
                // A bare WebSocket tells no reason. The log does not remember an epoch of which no
                // message is left.
                let reasons = ["tail-lost", "unknown-epoch", ""];
                let is_tail = reasons.contains(&&*reason) && seq(&self.cursor) < seq(&had);
                let (true, Some(tails)) = (is_tail, &mut self.tails) else {
                    panic!("{feed:?} reported a reset ({reason}) after {had}, to {}", self.cursor)
                };
                let kept = self.messages.iter().take_while(|(n, ..)| *n <= seq(&self.cursor)).count();
                self.messages.truncate(kept);
                self.cursors.truncate(kept);
                tails.push((had, self.cursor.clone()));
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
    /// first message, and then the cursor has that epoch. After a crash, it begins another one.
    fn continues(&self, cursor: &str, n: u64) -> bool {
        let may_begin_epoch = seq(&self.cursor) == 0 || self.tails.is_some();
        cursor == after(&self.cursor, n) || (may_begin_epoch && seq(cursor) == seq(&self.cursor) + n)
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
