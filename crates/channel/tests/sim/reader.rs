//! A reader. It follows its channels over any feed, comes back after cuts, and may have several
//! feeds at once.
//!
//! Each feed must continue where it was, or say that it does not. All feeds together must obey the
//! law.

use tidewire_channel::{Cursor, Cursors};
use tidewire_http1 as http1;
use tidewire_ws as ws;

use super::fault::Fault;
use super::feed::{Decoded, Feed};
use super::history::{Checked, Record, Violation};
use super::item::Item;
use super::merger::{Merger, Step};
use super::server::Server;

/// The feeds of the simulation, by their names in a request.
pub(crate) const FEEDS: [&str; 5] = ["poll", "longpoll", "sse", "lines", "ws"];

pub(crate) struct Reader {
    pub(crate) channels: Vec<String>,
    /// Where the reader starts while it has no cursors: `earliest`, `now`, or old cursors.
    pub(crate) start: String,
    pub(crate) mergers: Vec<Option<Merger>>,
    pub(crate) records: Vec<Vec<Record>>,
    pub(crate) checked: Vec<Checked>,
    pub(crate) feeds: Vec<Feed>,
    /// The reader comes back as a browser's EventSource does: with its first URL and the last event
    /// id.
    is_event_source: bool,
    url_since: Option<String>,
    last_event_id: String,
    /// The feed that delivered last, by its place in [`FEEDS`].
    last_feed: Option<usize>,
    /// A deliberate mistake: it looks at numbers alone.
    counts_only: bool,
    pub(crate) counts: ReaderCounts,
}

/// Counts what happened to readers: a simulation in which nothing happens proves nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReaderCounts {
    pub(crate) messages: u64,
    pub(crate) duplicates: u64,
    pub(crate) gaps: u64,
    pub(crate) resets: u64,
    /// Of these, resets because the reader had seen a tail that is lost.
    pub(crate) tails_lost: u64,
    pub(crate) outdated_messages: u64,
    /// Messages that were next, in a new epoch, and not the first of their log.
    pub(crate) new_epochs: u64,
    /// The first messages of channels that the reader had seen unwritten.
    pub(crate) first_messages: u64,
    pub(crate) ends: u64,
    /// Of these, ends that were told to a reader that came back for them.
    pub(crate) late_ends: u64,
    /// Event sources that were told by the status that nothing comes any more.
    pub(crate) ended_for_good: u64,
    pub(crate) deletions: u64,
    /// Channels that were left or joined on a WebSocket.
    pub(crate) channel_changes: u64,
    /// From which feed to which feed a reader changed, by their places in [`FEEDS`].
    pub(crate) feed_changes: [[u64; FEEDS.len()]; FEEDS.len()],
}

impl std::ops::AddAssign for ReaderCounts {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.duplicates += other.duplicates;
        self.gaps += other.gaps;
        self.resets += other.resets;
        self.tails_lost += other.tails_lost;
        self.outdated_messages += other.outdated_messages;
        self.new_epochs += other.new_epochs;
        self.first_messages += other.first_messages;
        self.ends += other.ends;
        self.late_ends += other.late_ends;
        self.ended_for_good += other.ended_for_good;
        self.deletions += other.deletions;
        self.channel_changes += other.channel_changes;
        for (all, one) in
            self.feed_changes.as_flattened_mut().iter_mut().zip(other.feed_changes.as_flattened())
        {
            *all += one;
        }
    }
}

impl Reader {
    pub(crate) fn new(
        channels: Vec<String>,
        start: String,
        is_event_source: bool,
        fault: Option<Fault>,
    ) -> Self {
        Self {
            mergers: vec![None; channels.len()],
            records: vec![Vec::new(); channels.len()],
            checked: channels.iter().map(|_| Checked::default()).collect(),
            channels,
            start,
            feeds: Vec::new(),
            is_event_source,
            url_since: None,
            last_event_id: String::new(),
            last_feed: None,
            counts_only: fault == Some(Fault::TakesStaleTail),
            counts: ReaderCounts::default(),
        }
    }

    /// Returns the reader's cursors, once it has all of them.
    pub(crate) fn cursors(&self) -> Option<Cursors> {
        self.mergers
            .iter()
            .map(|merger| Some(merger.as_ref()?.cursor()))
            .collect::<Option<Vec<_>>>()
            .map(|cursors| cursors.into_iter().collect())
    }

    /// Whether the reader was told the end of all its channels.
    pub(crate) fn is_done(&self) -> bool {
        self.mergers.iter().all(|merger| merger.as_ref().is_some_and(|merger| merger.is_ended))
    }

    fn start_at(&mut self, channel: usize, cursor: Cursor) {
        self.mergers[channel] = Some(Merger::new(cursor).with_counts_only(self.counts_only));
        self.records[channel].push(Record::Start(cursor));
    }

    /// Opens a feed. Writes the request to `out`.
    pub(crate) fn open(
        &mut self,
        name: &'static str,
        link: u32,
        since: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Result<(), Violation> {
        self.feeds.push(Feed::new(name, link, self.channels.len()));
        self.send_request(self.feeds.len() - 1, since, out)
    }

    /// Sends the request of a feed: its first, or the next one of a poll.
    pub(crate) fn send_request(
        &mut self,
        feed: usize,
        since: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Result<(), Violation> {
        let mut since = match (since, self.cursors()) {
            (Some(since), _) => since.to_string(),
            (None, Some(cursors)) => cursors.to_string(),
            (None, None) => self.start.clone(),
        };
        let mut fields = http1::FieldBlock::new();
        let cannot = |error: http1::EncodeError| format!("reader: {error}");
        let feed = &mut self.feeds[feed];
        let mut url_since = since.clone();
        if feed.name == "sse" && self.is_event_source {
            if self.last_event_id.is_empty() && self.mergers.iter().all(Option::is_some) {
                // Another feed has found a start meanwhile. The first URL would begin at another
                // place.
                self.url_since = Some(since.clone());
            }
            url_since.clone_from(self.url_since.get_or_insert(since));
            since = url_since.clone();
            if !self.last_event_id.is_empty() {
                fields.push("Last-Event-ID", &self.last_event_id).map_err(cannot)?;
                feed.sse = feed.sse.clone().with_last_event_id(&self.last_event_id);
                since.clone_from(&self.last_event_id);
            }
        }
        let mut starts = Vec::new();
        if let Ok(cursors) = since.parse::<Cursors>() {
            feed.positions = cursors.as_slice().iter().map(|cursor| Some(*cursor)).collect();
            for (channel, cursor) in cursors.as_slice().iter().enumerate() {
                if self.mergers[channel].is_none() {
                    starts.push((channel, *cursor));
                }
            }
        }
        if feed.name == "ws" {
            let handshake = ws::handshake::client::Request::new([7; 16], &[]);
            for (name, value) in handshake.fields() {
                fields.push(name, value).map_err(cannot)?;
            }
            feed.handshake = Some(handshake);
        }
        let target = format!("/{}?feed={}&since={url_since}", self.channels.join(","), feed.name);
        feed.http
            .send_request(
                &http1::Request::new("GET", &target, "sim").with_fields(&[&fields]),
                http1::BodyLength::Empty,
                out,
            )
            .map_err(cannot)?;
        feed.is_waiting = true;
        starts.into_iter().for_each(|(channel, cursor)| self.start_at(channel, cursor));
        Ok(())
    }

    /// Closes a feed for good, and counts_only the state of its EventSource.
    pub(crate) fn close_feed(&mut self, feed: usize) {
        if self.feeds.remove(feed).name == "sse" {
            (self.url_since, self.last_event_id) = (None, String::new());
        }
    }

    /// Takes bytes from the server. Complete items are processed at once. Incomplete items wait for
    /// more bytes.
    pub(crate) fn receive(&mut self, feed: usize, bytes: &[u8], server: &Server) -> Result<(), Violation> {
        self.feeds[feed].input.extend_from_slice(bytes);
        for decoded in self.feeds[feed].decode()? {
            // Whatever else it says, it is not about where the reader is.
            if self.feeds[feed].is_outdated {
                return Ok(());
            }
            match decoded {
                Decoded::Item(item) => self.receive_item(feed, item, server)?,
                Decoded::Id(id) => self.last_event_id = id,
                Decoded::Status(404) => self.deleted(feed, None, server)?,
                Decoded::Status(204) => self.ended(feed)?,
                Decoded::Status(_) => {}
            }
        }
        Ok(())
    }

    fn receive_item(&mut self, feed: usize, item: Item, server: &Server) -> Result<(), Violation> {
        match item {
            Item::Hello(cursors) => {
                if cursors.as_slice().len() != self.channels.len() {
                    return Err(format!("a greeting of {} cursors", cursors.as_slice().len()));
                }
                for (channel, cursor) in cursors.as_slice().iter().enumerate() {
                    self.receive_position(feed, channel, *cursor)?;
                }
            }
            Item::At(cursor) => self.receive_position(feed, 0, cursor)?,
            Item::Left { channel, cursor } => self.left(feed, channel, cursor)?,
            Item::Joined { channel, cursor } => self.joined(feed, channel, cursor)?,
            Item::Message { channel, cursor, text } => {
                let at = self.at(feed, channel)?;
                // A new epoch goes on with the next number.
                if cursor.seq() != at.seq() + 1 {
                    return Err(format!("{}: after {at} the feed gave {cursor}", self.name(feed, channel)));
                }
                self.feeds[feed].positions[channel] = Some(cursor);
                self.receive_message(feed, channel, at, cursor, text)?;
                self.feeds[feed].has_delivered = true;
            }
            Item::End { channel, cursor } => {
                let at = self.at(feed, channel)?;
                // A poll is told the end each time.
                if cursor.seq() != at.seq() + 1 && cursor != at {
                    return Err(format!("{}: at {at} the feed ends at {cursor}", self.name(feed, channel)));
                }
                self.feeds[feed].positions[channel] = Some(cursor);
                let step = self.merger(channel)?.end(at, cursor);
                if self.take(step, feed, channel, cursor)? {
                    self.counts.ends += 1;
                    self.counts.late_ends += u64::from(!self.feeds[feed].has_delivered);
                    self.records[channel].push(Record::End(cursor));
                }
            }
            Item::Deleted { channel } => self.deleted(feed, Some(channel), server)?,
            Item::Gap { channel, from, to, missed } => {
                let at = self.at(feed, channel)?;
                if from != at || to.seq().checked_sub(at.seq()) != Some(missed) || missed == 0 {
                    return Err(format!(
                        "{}: a gap from {from} to {to} of {missed} at {at}",
                        self.name(feed, channel)
                    ));
                }
                server.check_gap(&self.channels[channel], to)?;
                self.feeds[feed].positions[channel] = Some(to);
                let step = self.merger(channel)?.gap(at, to);
                if self.take(step, feed, channel, to)? {
                    self.counts.gaps += 1;
                    self.records[channel].push(Record::Gap(to));
                }
            }
            Item::Reset { channel, to, reason } => {
                let at = self.at(feed, channel)?;
                server.check_reset(&self.channels[channel], at)?;
                self.feeds[feed].positions[channel] = Some(to);
                let is_tail = reason == "tail-lost";
                let step = self.merger(channel)?.reset(at, to, &reason);
                if self.take(step, feed, channel, to)? {
                    self.counts.resets += 1;
                    self.counts.tails_lost += u64::from(is_tail);
                    self.records[channel].push(Record::Reset { to, is_tail });
                }
            }
        }
        Ok(())
    }

    /// Returns whether something is next. A feed that is outdated must be closed.
    fn take(&mut self, step: Step, feed: usize, channel: usize, cursor: Cursor) -> Result<bool, Violation> {
        match step {
            Step::Next => return Ok(true),
            Step::Duplicate => self.counts.duplicates += 1,
            Step::Outdated => {
                self.counts.outdated_messages += 1;
                self.feeds[feed].is_outdated = true;
            }
            Step::Hole => {
                let at = self.merger(channel)?.cursor();
                return Err(format!(
                    "{}: messages are missing before {cursor} at {at}",
                    self.name(feed, channel)
                ));
            }
        }
        Ok(false)
    }

    /// The server says that a channel was deleted, or one of the channels of a request. The feed
    /// has ended.
    fn deleted(&mut self, feed: usize, channel: Option<usize>, server: &Server) -> Result<(), Violation> {
        if let Some(channel) = channel {
            server.check_reset(&self.channels[channel], self.at(feed, channel)?)?;
        }
        self.counts.deletions += 1;
        self.feeds[feed].is_closed = true;
        Ok(())
    }

    /// The server says that an event source has all of its channels up to their ends.
    fn ended(&mut self, feed: usize) -> Result<(), Violation> {
        for channel in 0..self.channels.len() {
            let at = self.at(feed, channel)?;
            let merger = self.mergers[channel].as_ref();
            let knows = merger.is_some_and(|merger| merger.is_ended || merger.cursor() != at);
            if !knows {
                return Err(format!("{}: at {at} the feed has ended for good", self.name(feed, channel)));
            }
        }
        self.counts.ended_for_good += 1;
        self.feeds[feed].is_closed = true;
        Ok(())
    }

    /// A feed says where it is. This must be its earlier position, or the start of a reader without
    /// cursors.
    fn receive_position(&mut self, feed: usize, channel: usize, cursor: Cursor) -> Result<(), Violation> {
        match self.feeds[feed].positions[channel] {
            Some(at) if at != cursor => {
                return Err(format!("{}: at {at} the feed says {cursor}", self.name(feed, channel)));
            }
            Some(_) if self.mergers[channel].is_some() => return Ok(()),
            _ => self.feeds[feed].positions[channel] = Some(cursor),
        }
        if self.mergers[channel].is_none() {
            self.start_at(channel, cursor);
        }
        Ok(())
    }

    fn receive_message(
        &mut self,
        feed: usize,
        channel: usize,
        from: Cursor,
        cursor: Cursor,
        text: String,
    ) -> Result<(), Violation> {
        let step = self.merger(channel)?.message(from, cursor);
        if !self.take(step, feed, channel, cursor)? {
            return Ok(());
        }
        self.counts.messages += 1;
        let is_first = cursor.seq() == 1;
        self.counts.first_messages += u64::from(is_first);
        self.counts.new_epochs += u64::from(from.epoch() != cursor.epoch() && !is_first);
        let now = FEEDS.iter().position(|name| *name == self.feeds[feed].name);
        if let (Some(last), Some(now)) = (self.last_feed, now) {
            self.counts.feed_changes[last][now] += 1;
        }
        self.last_feed = now;
        self.records[channel].push(Record::Message(cursor, text));
        Ok(())
    }

    pub(super) fn at(&self, feed: usize, channel: usize) -> Result<Cursor, Violation> {
        let at = self.feeds[feed].positions.get(channel).copied().flatten();
        at.ok_or_else(|| format!("{}: the feed has not said where it starts", self.name(feed, 0)))
    }

    fn merger(&mut self, channel: usize) -> Result<&mut Merger, Violation> {
        self.mergers[channel].as_mut().ok_or_else(|| "a reader without a start".into())
    }

    pub(super) fn name(&self, feed: usize, channel: usize) -> String {
        format!("{} by {}", self.channels[channel], self.feeds[feed].name)
    }
}
