//! A reader: it follows its channels over any feed, comes back after cuts, and may run several feeds at once.
//!
//! Each feed is held to its own word (it continues where it was, or says so), and all of them together to the law.

use tidewire_channel::{Cursor, Cursors, Follower, Step};
use tidewire_http1 as http1;
use tidewire_sse as sse;
use tidewire_ws as ws;

use super::changes::Has;
use super::history::{Checked, Record, Violation};
use super::server::Server;
use super::told::Told;

/// The feeds of the simulation, by the names that a request has.
pub(crate) const FEEDS: [&str; 5] = ["poll", "longpoll", "sse", "lines", "ws"];

pub(crate) struct Reader {
    pub(crate) channels: Vec<String>,
    /// Where it starts, as long as it has no cursors: `earliest`, `now`, or old cursors.
    pub(crate) start: String,
    pub(crate) followers: Vec<Option<Follower>>,
    pub(crate) records: Vec<Vec<Record>>,
    pub(crate) checked: Vec<Checked>,
    pub(crate) feeds: Vec<Feed>,
    /// Comes back as a browser's EventSource does: with the URL that it was made for, and the last event id.
    native: bool,
    url_since: Option<String>,
    last_event_id: String,
    /// The feed that has delivered last, by its place in [`FEEDS`].
    last_feed: Option<usize>,
    pub(crate) counts: Counts,
}

/// What has happened to readers: a simulation in which nothing happens shows nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) messages: u64,
    pub(crate) duplicates: u64,
    pub(crate) gaps: u64,
    pub(crate) resets: u64,
    pub(crate) left_overs: u64,
    /// Channels that were dropped or taken up again on a WebSocket.
    pub(crate) changes: u64,
    /// From which feed to which one a reader went on, by their places in [`FEEDS`].
    pub(crate) went_on: [[u64; FEEDS.len()]; FEEDS.len()],
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.duplicates += other.duplicates;
        self.gaps += other.gaps;
        self.resets += other.resets;
        self.left_overs += other.left_overs;
        self.changes += other.changes;
        for (all, one) in self.went_on.as_flattened_mut().iter_mut().zip(other.went_on.as_flattened()) {
            *all += one;
        }
    }
}

/// One connection of a reader.
pub(crate) struct Feed {
    pub(crate) link: u32,
    pub(crate) kind: &'static str,
    /// A request is out and its answer has not ended.
    pub(crate) asked: bool,
    /// It is in another log than the reader: it lags behind a reset that another feed has told, and has to be closed.
    pub(crate) out_of_step: bool,
    /// The server has closed the WebSocket.
    pub(crate) closed: bool,
    /// Where this feed is in each channel, by its own word; none in a channel that it does not have.
    pub(super) at: Vec<Option<Cursor>>,
    /// Whether it has each channel.
    pub(super) has: Vec<Has>,
    http: http1::Connection<http1::Client>,
    input: Vec<u8>,
    text: Vec<u8>,
    sse: sse::Decoder,
    pub(super) ws: Option<ws::Connection>,
    handshake: Option<ws::handshake::client::Request<'static>>,
}

impl Reader {
    pub(crate) fn new(channels: Vec<String>, start: String, native: bool) -> Self {
        Self {
            followers: vec![None; channels.len()],
            records: vec![Vec::new(); channels.len()],
            checked: channels.iter().map(|_| Checked::default()).collect(),
            channels,
            start,
            feeds: Vec::new(),
            native,
            url_since: None,
            last_event_id: String::new(),
            last_feed: None,
            counts: Counts::default(),
        }
    }

    /// Its cursors, once it has them all.
    pub(crate) fn cursors(&self) -> Option<Cursors> {
        self.followers
            .iter()
            .map(|follower| Some(follower.as_ref()?.cursor()))
            .collect::<Option<Vec<_>>>()
            .map(|cursors| cursors.into_iter().collect())
    }

    /// Opens a feed; the request goes to `out`.
    pub(crate) fn open(
        &mut self,
        kind: &'static str,
        link: u32,
        since: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Result<(), Violation> {
        self.feeds.push(Feed {
            link,
            kind,
            asked: false,
            out_of_step: false,
            closed: false,
            at: vec![None; self.channels.len()],
            has: vec![Has::Yes; self.channels.len()],
            http: http1::Connection::new(http1::Limits::new()),
            input: Vec::new(),
            text: Vec::new(),
            sse: sse::Decoder::new(sse::Limits::default()),
            ws: None,
            handshake: None,
        });
        self.ask(self.feeds.len() - 1, since, out)
    }

    /// Sends the request of a feed: its first, or the next one of a poll.
    pub(crate) fn ask(
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
        if feed.kind == "sse" && self.native {
            if self.last_event_id.is_empty() && self.followers.iter().all(Option::is_some) {
                // Another feed has found a start since: to begin anew would begin elsewhere.
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
        if let Ok(cursors) = since.parse::<Cursors>() {
            feed.at = cursors.as_slice().iter().map(|cursor| Some(*cursor)).collect();
            for (channel, cursor) in cursors.as_slice().iter().enumerate() {
                if self.followers[channel].is_none() {
                    self.followers[channel] = Some(Follower::new(*cursor));
                    self.records[channel].push(Record::Start(*cursor));
                }
            }
        }
        if feed.kind == "ws" {
            let handshake = ws::handshake::client::Request::new([7; 16], &[]);
            for (name, value) in handshake.fields() {
                fields.push(name, value).map_err(cannot)?;
            }
            feed.handshake = Some(handshake);
        }
        let target = format!("/{}?feed={}&since={url_since}", self.channels.join(","), feed.kind);
        feed.http
            .send_request(
                &http1::Request::new("GET", &target, "sim").with_fields(&[&fields]),
                http1::BodyLength::Empty,
                out,
            )
            .and_then(|()| feed.http.send_end(out))
            .map_err(cannot)?;
        feed.asked = true;
        Ok(())
    }

    /// Closes a feed for good: what its EventSource knew is forgotten with it.
    pub(crate) fn give_up(&mut self, feed: usize) {
        if self.feeds.remove(feed).kind == "sse" {
            (self.url_since, self.last_event_id) = (None, String::new());
        }
    }

    /// Bytes from the server. Whatever they complete is heeded at once; what they leave open waits for more.
    pub(crate) fn receive(&mut self, feed: usize, bytes: &[u8], server: &Server) -> Result<(), Violation> {
        self.feeds[feed].input.extend_from_slice(bytes);
        for said in self.feeds[feed].decode()? {
            match said {
                Said::Told(told) => self.told(feed, told, server)?,
                Said::Id(id) => self.last_event_id = id,
            }
        }
        Ok(())
    }

    fn told(&mut self, feed: usize, told: Told, server: &Server) -> Result<(), Violation> {
        match told {
            Told::Hello(cursors) => {
                if cursors.as_slice().len() != self.channels.len() {
                    return Err(format!("a greeting of {} cursors", cursors.as_slice().len()));
                }
                for (channel, cursor) in cursors.as_slice().iter().enumerate() {
                    self.placed(feed, channel, *cursor)?;
                }
            }
            Told::At(cursor) => self.placed(feed, 0, cursor)?,
            Told::Left { channel, cursor } => self.left(feed, channel, cursor)?,
            Told::Joined { channel, cursor } => self.joined(feed, channel, cursor)?,
            Told::Message { channel, cursor, text } => {
                let at = self.at(feed, channel)?;
                if cursor != Cursor::new(at.epoch(), at.seq() + 1) {
                    return Err(format!("{}: after {at} the feed gave {cursor}", self.name(feed, channel)));
                }
                self.feeds[feed].at[channel] = Some(cursor);
                self.message(feed, channel, cursor, text)?;
            }
            Told::Gap { channel, from, to, missed } => {
                let at = self.at(feed, channel)?;
                if from != at || to.epoch() != at.epoch() || to.seq() - at.seq() != missed || missed == 0 {
                    return Err(format!(
                        "{}: a gap from {from} to {to} of {missed} at {at}",
                        self.name(feed, channel)
                    ));
                }
                server.check_gap(&self.channels[channel], to)?;
                self.feeds[feed].at[channel] = Some(to);
                if self.follower(channel)?.gap(to) {
                    self.counts.gaps += 1;
                    self.records[channel].push(Record::Gap(to));
                }
            }
            Told::Reset { channel, to, reason: _ } => {
                let at = self.at(feed, channel)?;
                server.check_reset(&self.channels[channel], at)?;
                self.feeds[feed].at[channel] = Some(to);
                let follower = self.follower(channel)?;
                let before = follower.cursor();
                if follower.reset(at, to) {
                    let same_log = before.epoch() == to.epoch() && before.seq() < to.seq();
                    self.counts.resets += 1;
                    self.records[channel].push(if same_log { Record::Gap(to) } else { Record::Reset(to) });
                }
                let follower = self.follower(channel)?;
                self.feeds[feed].out_of_step |= follower.cursor().epoch() != to.epoch();
            }
        }
        Ok(())
    }

    /// A feed says where it is: where it was, or where a reader without cursors starts.
    fn placed(&mut self, feed: usize, channel: usize, cursor: Cursor) -> Result<(), Violation> {
        match self.feeds[feed].at[channel] {
            Some(at) if at != cursor => {
                return Err(format!("{}: at {at} the feed says {cursor}", self.name(feed, channel)));
            }
            Some(_) if self.followers[channel].is_some() => return Ok(()),
            _ => self.feeds[feed].at[channel] = Some(cursor),
        }
        if self.followers[channel].is_none() {
            self.followers[channel] = Some(Follower::new(cursor));
            self.records[channel].push(Record::Start(cursor));
        }
        Ok(())
    }

    fn message(
        &mut self,
        feed: usize,
        channel: usize,
        cursor: Cursor,
        text: String,
    ) -> Result<(), Violation> {
        let follower = self.follower(channel)?;
        match follower.message(cursor) {
            Step::Next => {
                self.counts.messages += 1;
                let now = FEEDS.iter().position(|kind| *kind == self.feeds[feed].kind);
                if let (Some(last), Some(now)) = (self.last_feed, now) {
                    self.counts.went_on[last][now] += 1;
                }
                self.last_feed = now;
                self.records[channel].push(Record::Message(cursor, text));
            }
            Step::Duplicate => self.counts.duplicates += 1,
            Step::OtherEpoch => {
                self.counts.left_overs += 1;
                self.feeds[feed].out_of_step = true;
            }
            Step::Hole { missed } => {
                let at = follower.cursor();
                return Err(format!(
                    "{}: {missed} missing before {cursor} at {at}",
                    self.name(feed, channel)
                ));
            }
        }
        Ok(())
    }

    pub(super) fn at(&self, feed: usize, channel: usize) -> Result<Cursor, Violation> {
        let at = self.feeds[feed].at.get(channel).copied().flatten();
        at.ok_or_else(|| format!("{}: the feed has not said where it starts", self.name(feed, 0)))
    }

    fn follower(&mut self, channel: usize) -> Result<&mut Follower, Violation> {
        self.followers[channel].as_mut().ok_or_else(|| "a reader without a start".into())
    }

    pub(super) fn name(&self, feed: usize, channel: usize) -> String {
        format!("{} by {}", self.channels[channel], self.feeds[feed].kind)
    }
}

/// What came out of the decoders.
enum Said {
    Told(Told),
    /// What a browser's EventSource would come back with.
    Id(String),
}

impl Feed {
    fn decode(&mut self) -> Result<Vec<Said>, Violation> {
        let mut said = Vec::new();
        let mut fields = http1::Fields::new();
        while self.ws.is_none() {
            let (n, event) =
                self.http.decode(&self.input, &mut fields).map_err(|error| format!("reader: {error}"))?;
            let mut ended = false;
            match event {
                None => {
                    self.input.drain(..n);
                    return Ok(said);
                }
                Some(http1::Event::Response(head)) => {
                    if let Some(handshake) = self.handshake.take() {
                        handshake
                            .verify(head.status(), head.fields())
                            .map_err(|error| format!("handshake: {error}"))?;
                        self.ws = Some(ws::Connection::new(ws::Role::Client, ws::Limits::DEFAULT));
                    }
                }
                Some(http1::Event::Data(data)) if self.kind == "sse" => hear(&mut self.sse, data, &mut said)?,
                Some(http1::Event::Data(data)) => self.text.extend_from_slice(data),
                Some(_) => ended = true,
            }
            self.input.drain(..n);
            if ended {
                self.asked = false;
                self.http.next_message();
            }
            // An answer to a poll counts whole or not at all; of a stream each line does.
            if ended || self.kind == "lines" {
                while let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = self.text.drain(..=end).collect();
                    said.push(Said::Told(parse(&line[..end])?));
                }
            }
        }
        let Some(socket) = &mut self.ws else { return Ok(said) };
        loop {
            let (n, event) = socket.decode(&mut self.input).map_err(|error| format!("reader: {error}"))?;
            let more = event.is_some();
            match event {
                Some(ws::Event::Text(text)) => said.push(Said::Told(parse(text.as_bytes())?)),
                Some(ws::Event::Close { .. }) => self.closed = true,
                _ => {}
            }
            self.input.drain(..n);
            if !more {
                return Ok(said);
            }
        }
    }
}

fn hear(decoder: &mut sse::Decoder, mut data: &[u8], said: &mut Vec<Said>) -> Result<(), Violation> {
    loop {
        let (n, received) = decoder.decode(data).map_err(|error| format!("reader: {error}"))?;
        data = &data[n..];
        match received {
            None => return Ok(()),
            Some(sse::Received::Message { event_type, data, last_event_id }) => {
                let told = Told::from_sse(event_type, data, last_event_id);
                said.push(Said::Told(told.ok_or_else(|| format!("an event {event_type}: {data}"))?));
                said.push(Said::Id(last_event_id.into()));
            }
            Some(sse::Received::Id(id)) => {
                said.push(Said::Told(Told::Hello(id.parse().map_err(|_| format!("an id {id}"))?)));
                said.push(Said::Id(id.into()));
            }
            Some(_) => {}
        }
    }
}

fn parse(line: &[u8]) -> Result<Told, Violation> {
    let line = String::from_utf8_lossy(line);
    Told::parse(&line).ok_or_else(|| format!("a line {line:?}"))
}
