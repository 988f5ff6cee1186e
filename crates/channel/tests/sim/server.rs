//! The server: one registry of channels, and every feed as a view of it. Bytes in, bytes out; no sockets.
//!
//! It is written as a server has to be written: a read and the wait that follows are two steps, a waiter that was woken runs later,
//! a socket takes what it has room for. What happens in between is up to the simulation.

use std::collections::{BTreeMap, VecDeque};

use tidewire_channel::{
    Appended, Budget, Channel, Channels, ChannelsLimits, Continuity, Cursor, Cursors, Epoch, Fingerprint,
    Limits, Retention, Since, WaitError,
};
use tidewire_http1 as http1;
use tidewire_ws as ws;

use super::conn::{Asked, Conn, Feed, Framing, Position, Wait};
use super::fault::Fault;
use super::history::{History, Violation};
use super::told::Told;

/// Whom a message wakes: a connection, one of its channels, and which of its waits.
pub(super) type Waiter = (u32, usize, u64);

pub(crate) struct Server {
    pub(super) channels: Channels<String, Waiter>,
    pub(crate) history: History,
    pub(super) conns: BTreeMap<u32, Conn>,
    wakes: VecDeque<Waiter>,
    pub(crate) now_ms: u64,
    budget: Budget,
    epochs: u64,
    tickets: u64,
    pub(super) fault: Option<Fault>,
    /// A poll's time was up when its message was there already.
    pub(crate) close_calls: u64,
}

/// What a socket takes before it is full.
const ROOM: usize = 160;

impl Server {
    pub(crate) fn new(retention: Retention, limits: Limits, budget: Budget, fault: Option<Fault>) -> Self {
        Self {
            channels: Channels::new(retention, limits, ChannelsLimits::default()),
            history: History::default(),
            conns: BTreeMap::new(),
            wakes: VecDeque::new(),
            now_ms: 1_000_000,
            budget,
            epochs: 0,
            tickets: 0,
            fault,
            close_calls: 0,
        }
    }

    /// The epoch of the log that was created as the `number`th, from 1 on.
    pub(super) fn epoch(number: u64) -> Epoch {
        Epoch::new(number * 0x9e37_79b9)
    }

    fn open(&mut self, name: &str) -> &mut Channel<String, Waiter> {
        let epochs = &mut self.epochs;
        let epoch = || {
            *epochs += 1;
            Self::epoch(*epochs)
        };
        self.channels.open(name, self.now_ms, epoch).expect("there are few channels, with short names")
    }

    /// Appends a message, once for each key, and notes whom to wake.
    pub(crate) fn publish(
        &mut self,
        channel: &str,
        key: Option<&[u8]>,
        text: &str,
    ) -> Result<Cursor, Violation> {
        let (now_ms, fault) = (self.now_ms, self.fault);
        let log = self.open(channel);
        let (appended, woken) = match key {
            Some(key) if fault != Some(Fault::IgnoresKeys) => log
                .append_once(now_ms, key, fingerprint(text), text.len(), text.into())
                .expect("the message is small, and the key is its own"),
            _ => {
                let (cursor, woken) =
                    log.append(now_ms, text.len(), text.into()).expect("the message is small");
                (Appended::New(cursor), woken)
            }
        };
        self.wakes.extend(woken);
        match appended {
            Appended::New(cursor) => self.history.append(channel, cursor, text, key)?,
            Appended::Duplicate(cursor) => {
                self.history.duplicate(channel, cursor, text, key.unwrap_or_default())?;
            }
        }
        Ok(appended.cursor())
    }

    pub(crate) fn accept(&mut self, id: u32) {
        self.conns.insert(id, Conn::new());
    }

    /// The connection is gone: its waits are taken back.
    pub(crate) fn hang_up(&mut self, id: u32) {
        let Some(conn) = self.conns.remove(&id) else { return };
        match conn.feed {
            Feed::Idle => {}
            Feed::Held(position, _) => self.take_back(vec![position]),
            Feed::Stream(_, positions) => self.take_back(positions),
        }
    }

    /// Bytes from a client.
    pub(crate) fn receive(&mut self, id: u32, bytes: &[u8]) -> Result<(), Violation> {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.input.extend_from_slice(bytes);
        }
        while let Some(conn) = self.conns.get_mut(&id) {
            match conn.hear()? {
                Some(asked) => self.answer(id, asked)?,
                None => break,
            }
        }
        self.obey(id)
    }

    fn answer(&mut self, id: u32, asked: Asked) -> Result<(), Violation> {
        if asked.publish {
            let text = String::from_utf8(asked.body).map_err(|_| "a body that is no text")?;
            let cursor = self.publish(&asked.channels[0], Some(&asked.key), &text)?;
            return self.respond(id, 201, &cursor.to_string());
        }
        let fresh = asked.since == "earliest" || asked.since == "now";
        let sinces: Vec<Since> = if fresh {
            vec![asked.since.parse().map_err(|_| "no start")?; asked.channels.len()]
        } else {
            let cursors: Cursors = asked.since.parse().map_err(|_| format!("cursors {}", asked.since))?;
            cursors.as_slice().iter().map(|cursor| Since::After(*cursor)).collect()
        };
        let mut positions = Vec::new();
        let mut hello = Cursors::new();
        for (name, since) in asked.channels.iter().zip(sinces) {
            let start = self.open(name).read(since, Budget::messages(0)).start();
            // A stream greets a reader with its own cursor, not with where the log begins: what is missing between the two has yet to
            // be told, and a cut may come first.
            let cursor = match since {
                Since::After(cursor) => cursor,
                Since::Earliest | Since::Now => start,
            };
            hello.push(if self.fault == Some(Fault::HelloSkipsGap) { start } else { cursor });
            positions.push(Position { channel: name.clone(), cursor, wait: Wait::No });
        }
        let hello = Told::Hello(hello);
        let conn = self.conns.get_mut(&id).expect("it has just asked");
        let framing = match asked.feed.as_str() {
            "poll" | "longpoll" => {
                let position = positions.pop().expect("a poll has one channel");
                conn.feed = Feed::Held(position, fresh.then_some(hello));
                return self.poll(id, asked.feed == "longpoll");
            }
            "ws" => {
                let head = http1::Response::new(101);
                let sent = conn.http.send_head(
                    &head.with_fields(&[&asked.switch]),
                    http1::BodyLength::Empty,
                    &mut conn.output,
                );
                sent.map_err(|error| format!("101: {error}"))?;
                Framing::Ws(Box::new(ws::Connection::new(ws::Role::Server, ws::Limits::DEFAULT)))
            }
            feed => {
                let sent = conn.http.send_head(
                    &http1::Response::new(200),
                    http1::BodyLength::Chunked,
                    &mut conn.output,
                );
                sent.map_err(|error| format!("200: {error}"))?;
                if feed == "sse" { Framing::Sse } else { Framing::Lines }
            }
        };
        conn.feed = Feed::Stream(framing, positions);
        conn.tell(&hello)?;
        self.pump(id)
    }

    /// Answers a poll, or leaves it held if there is nothing to say.
    fn poll(&mut self, id: u32, hold: bool) -> Result<(), Violation> {
        let Some(Conn { feed: Feed::Held(position, _), .. }) = self.conns.get_mut(&id) else { return Ok(()) };
        let (name, cursor) = (position.channel.clone(), position.cursor);
        let (told, cursor) = self.read(&name, 0, cursor);
        let Some(Conn { feed: Feed::Held(position, hello), .. }) = self.conns.get_mut(&id) else {
            return Ok(());
        };
        if told.is_empty() && hold {
            (position.cursor, position.wait) = (cursor, Wait::Due);
            return Ok(());
        }
        let gone = told.iter().any(|told| matches!(told, Told::Gap { .. } | Told::Reset { .. }));
        let lines: Vec<String> =
            hello.iter().chain(&told).chain([&Told::At(cursor)]).map(|told| told.line() + "\n").collect();
        self.respond(id, if gone { 410 } else { 200 }, &lines.concat())
    }

    fn respond(&mut self, id: u32, status: u16, body: &str) -> Result<(), Violation> {
        let Some(conn) = self.conns.get_mut(&id) else { return Ok(()) };
        let length = http1::BodyLength::Length(body.len() as u64);
        conn.http
            .send_head(&http1::Response::new(status), length, &mut conn.output)
            .and_then(|()| conn.http.send_data(body.as_bytes(), &mut conn.output))
            .and_then(|()| conn.http.send_end(&mut conn.output))
            .map_err(|error| format!("{status}: {error}"))?;
        conn.feed = Feed::Idle;
        conn.http.next_message();
        Ok(())
    }

    /// What there is to say after `cursor`, and the position after that.
    fn read(&mut self, name: &str, index: usize, cursor: Cursor) -> (Vec<Told>, Cursor) {
        let (budget, fault) = (self.budget, self.fault);
        let log = self.open(name).log();
        let mut read = log.read(Since::After(cursor), budget);
        let mut told = Vec::new();
        match read.continuity() {
            Continuity::Fresh | Continuity::Resumed => {}
            Continuity::Gap { from, to, missed } => told.push(Told::Gap { channel: index, from, to, missed }),
            Continuity::Reset { reason, to } => {
                told.push(Told::Reset { channel: index, to, reason: reason.as_str().into() });
            }
        }
        match (fault, read.continuity()) {
            (Some(Fault::UnknownMeansNow), Continuity::Reset { .. }) => return (Vec::new(), log.head()),
            (Some(Fault::UnknownMeansEverything), Continuity::Reset { .. })
            | (Some(Fault::SilentEviction), Continuity::Gap { .. }) => told.clear(),
            (Some(Fault::NewEpochOldNumber), Continuity::Reset { .. }) => {
                return (Vec::new(), Cursor::new(log.epoch(), cursor.seq()));
            }
            (Some(Fault::LooksFromTheWrongEnd), Continuity::Resumed)
                if cursor.seq() > log.earliest().seq() + 3 =>
            {
                read = log.read(Since::Earliest, budget);
            }
            _ => {}
        }
        // All of a told gap in one go with nothing behind it: the messages come with the next read.
        if let [broken] = &told[..] {
            let to = read.start();
            return (vec![broken.clone()], to);
        }
        told.extend(read.iter().map(|entry| Told::Message {
            channel: index,
            cursor: entry.cursor,
            text: entry.value.clone(),
        }));
        (told, read.cursor())
    }

    /// Writes what a stream has to say, as far as its socket has room.
    pub(super) fn pump(&mut self, id: u32) -> Result<(), Violation> {
        let mut again = true;
        while again {
            again = false;
            let count = match self.conns.get(&id) {
                Some(Conn { feed: Feed::Stream(_, positions), .. }) => positions.len(),
                _ => return Ok(()),
            };
            for index in 0..count {
                let Some(conn) = self.conns.get_mut(&id) else { return Ok(()) };
                let full = conn.output.len() >= ROOM;
                let Feed::Stream(_, positions) = &mut conn.feed else { return Ok(()) };
                let position = &mut positions[index];
                if position.wait != Wait::No || (full && self.fault != Some(Fault::DropsForSlowReaders)) {
                    continue;
                }
                let name = position.channel.clone();
                let (told, cursor) = {
                    let cursor = position.cursor;
                    self.read(&name, index, cursor)
                };
                let conn = self.conns.get_mut(&id).expect("nobody has closed it");
                let Feed::Stream(_, positions) = &mut conn.feed else { return Ok(()) };
                if told.is_empty() {
                    (positions[index].cursor, positions[index].wait) = (cursor, Wait::Due);
                    continue;
                }
                again = true;
                for told in &told {
                    let Feed::Stream(_, positions) = &mut conn.feed else { return Ok(()) };
                    positions[index].cursor = match told {
                        Told::Message { cursor, .. } => *cursor,
                        _ => cursor,
                    };
                    if full {
                        continue; // only with `DropsForSlowReaders`
                    }
                    if self.fault == Some(Fault::IdBeforeMessage) {
                        conn.tell(&Told::Hello(Cursors::new()))?;
                    }
                    conn.tell(told)?;
                }
            }
        }
        Ok(())
    }

    /// Registers the waits that are due on a connection.
    pub(crate) fn settle(&mut self, id: u32) -> Result<(), Violation> {
        let (now_ms, fault) = (self.now_ms, self.fault);
        let Some(conn) = self.conns.get_mut(&id) else { return Ok(()) };
        let positions = match &mut conn.feed {
            Feed::Idle => return Ok(()),
            Feed::Held(position, _) => std::slice::from_mut(position),
            Feed::Stream(_, positions) => positions,
        };
        let mut ready = false;
        for (index, position) in
            positions.iter_mut().enumerate().filter(|(_, position)| position.wait == Wait::Due)
        {
            let Some(channel) = self.channels.get_mut(&position.channel) else {
                // It was freed since the read: the next one opens it, and tells the reset.
                position.wait = Wait::No;
                ready = true;
                continue;
            };
            if fault == Some(Fault::LiveFromHead) {
                position.cursor = channel.log().head();
            }
            let after =
                if fault == Some(Fault::WaitsTooLate) { channel.log().head() } else { position.cursor };
            self.tickets += 1;
            position.wait = match channel.wait(after, (id, index, self.tickets)) {
                Ok(key) => Wait::On(key, self.tickets),
                Err(WaitError::Ready(_) | WaitError::Full(_)) => {
                    ready = true;
                    Wait::No
                }
            };
            channel.touch(now_ms);
        }
        if ready { self.resume(id) } else { Ok(()) }
    }

    fn resume(&mut self, id: u32) -> Result<(), Violation> {
        self.poll(id, true)?;
        self.pump(id)
    }

    /// Lets the first of those that a message has woken run.
    pub(crate) fn wake(&mut self) -> Result<(), Violation> {
        let Some((id, index, ticket)) = self.wakes.pop_front() else { return Ok(()) };
        let Some(conn) = self.conns.get_mut(&id) else { return Ok(()) };
        let position = match &mut conn.feed {
            Feed::Held(position, _) if index == 0 => position,
            Feed::Stream(_, positions) => &mut positions[index],
            _ => return Ok(()),
        };
        if !matches!(position.wait, Wait::On(_, own) if own == ticket) {
            return Ok(()); // a wait of an earlier request on this connection
        }
        position.wait = Wait::No;
        self.resume(id)
    }

    /// The time of a held poll is up.
    pub(crate) fn time_out(&mut self, id: u32) -> Result<(), Violation> {
        let Some(Conn { feed: Feed::Held(position, _), .. }) = self.conns.get_mut(&id) else { return Ok(()) };
        let (cursor, wait) = (position.cursor, position.wait);
        let Some(channel) = self.channels.get_mut(&position.channel) else { return self.poll(id, false) };
        let head = channel.log().head();
        if let Wait::On(key, _) = wait {
            if channel.cancel(key).is_some() {
                // It was still registered, so nothing has come: the answer is empty.
                return self.respond(id, 200, &(Told::At(cursor).line() + "\n"));
            }
            self.close_calls += 1;
        }
        if self.fault == Some(Fault::PollEndsAtHead) {
            return self.respond(id, 200, &(Told::At(head).line() + "\n"));
        }
        self.poll(id, false)
    }

    /// The socket takes up to `max` bytes; what that makes room for is written.
    pub(crate) fn take_output(&mut self, id: u32, max: usize) -> Result<Vec<u8>, Violation> {
        let Some(conn) = self.conns.get_mut(&id) else { return Ok(Vec::new()) };
        let taken: Vec<u8> = conn.output.drain(..max.min(conn.output.len())).collect();
        self.pump(id)?;
        Ok(taken)
    }

    /// Expires old messages and frees idle channels.
    pub(crate) fn sweep(&mut self) {
        self.channels.sweep(self.now_ms, 8);
    }

    /// A channel is lost and created anew, as by a restart without durable storage.
    pub(crate) fn restart(&mut self, name: &str) {
        if let Some(mut channel) = self.channels.remove(name) {
            self.wakes.extend(channel.wake_all());
        }
    }

    /// An owner deletes the messages of a channel, or keeps fewer.
    pub(crate) fn squeeze(&mut self, name: &str, retention: Option<Retention>) {
        let log = self.open(name).log_mut();
        match retention {
            Some(retention) => log.set_retention(retention),
            None => log.clear(),
        }
    }

    pub(crate) fn has_wakes(&self) -> bool {
        !self.wakes.is_empty()
    }

    pub(crate) fn held(&self) -> Vec<u32> {
        let held = |conn: &Conn| matches!(conn.feed, Feed::Held(..));
        self.conns.iter().filter(|(_, conn)| held(conn)).map(|(id, _)| *id).collect()
    }

    /// The channel that a held poll waits on.
    pub(crate) fn held_on(&self, id: u32) -> Option<String> {
        match &self.conns.get(&id)?.feed {
            Feed::Held(position, _) => Some(position.channel.clone()),
            _ => None,
        }
    }

    pub(crate) fn conns(&self) -> Vec<u32> {
        self.conns.keys().copied().collect()
    }

    pub(crate) fn has_output(&self, id: u32) -> bool {
        self.conns.get(&id).is_some_and(|conn| !conn.output.is_empty())
    }

    /// Ends a stream in good order, as a server that shuts down does: the readers come back.
    pub(crate) fn end(&mut self, id: u32) -> Result<(), Violation> {
        let Some(conn) = self.conns.get_mut(&id) else { return Ok(()) };
        let Feed::Stream(framing, _) = &mut conn.feed else { return Ok(()) };
        if let Framing::Ws(socket) = framing {
            if !socket.is_open() {
                return Ok(());
            }
            let sent = socket.send_close(Some(1012), "", [0; 4], &mut conn.output);
            return sent.map_err(|error| format!("server: {error}"));
        }
        conn.http.send_end(&mut conn.output).map_err(|error| format!("server: {error}"))?;
        conn.http.next_message();
        let Feed::Stream(_, positions) = std::mem::replace(&mut conn.feed, Feed::Idle) else { return Ok(()) };
        self.take_back(positions);
        Ok(())
    }

    fn take_back(&mut self, positions: Vec<Position>) {
        for position in positions {
            if let (Wait::On(key, _), Some(channel)) =
                (position.wait, self.channels.get_mut(&position.channel))
            {
                channel.cancel(key);
            }
        }
    }

    pub(crate) fn head(&mut self, name: &str) -> Cursor {
        self.open(name).log().head()
    }
}

/// A hash that is good enough where nobody attacks it (FNV-1a).
fn fingerprint(text: &str) -> Fingerprint {
    let hash = text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    Fingerprint(hash.to_le_bytes())
}
