//! The server: channels by name, and every feed as a view of them. It takes and returns bytes and
//! has no sockets.
//!
//! It works as a real server must: a read and the wait after it are two steps, a woken waiter runs
//! later, and a socket takes only what it has room for. The simulation decides what happens in
//! between.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tidewire_channel::{
    Budget, Channel, Continuity, Cursor, Cursors, Limits, ResetReason, Retention, Since, WaitError,
};
use tidewire_http1 as http1;
use tidewire_ws as ws;

use super::connection::{Connection, ConnectionState, Framing, Position, Request, Wait};
use super::counts::ServerCounts;
use super::fault::Fault;
use super::history::{History, Violation};
use super::item::Item;
use super::publishing::copy;
use super::store::{Append, Store};

/// What a message wakes: a connection, one of its channels, and which of its waits.
pub(super) type Waiter = (u32, usize, u64);

pub(crate) struct Server {
    pub(crate) store: Store,
    /// The windows of the logs that somebody reads.
    pub(super) channels: BTreeMap<String, Channel<String, Waiter>>,
    /// The windows that may lack messages of the store.
    pub(crate) behind: BTreeSet<String>,
    retention: Retention,
    limits: Limits,
    pub(crate) history: History,
    pub(super) connections: BTreeMap<u32, Connection>,
    pub(super) wakes: VecDeque<Waiter>,
    pub(crate) now_ms: u64,
    /// The latest time that there was. The clock may jump back.
    latest_ms: u64,
    budget: Budget,
    tickets: u64,
    pub(super) fault: Option<Fault>,
    pub(crate) counts: ServerCounts,
}

/// The bytes that a socket takes before it is full.
const SOCKET_ROOM: usize = 160;

impl Server {
    pub(crate) fn new(retention: Retention, limits: Limits, budget: Budget, fault: Option<Fault>) -> Self {
        Self {
            store: Store::new(retention, limits, fault),
            channels: BTreeMap::new(),
            behind: BTreeSet::new(),
            retention,
            limits,
            history: History::default(),
            connections: BTreeMap::new(),
            wakes: VecDeque::new(),
            now_ms: 1_000_000,
            latest_ms: 0,
            budget,
            tickets: 0,
            fault,
            counts: ServerCounts::default(),
        }
    }

    /// Returns the window of a channel. A deleted channel is not opened.
    fn open(&mut self, name: &str) -> &mut Channel<String, Waiter> {
        let clock_ms = self.clock_ms();
        if !self.channels.contains_key(name) {
            self.store.expire(name, clock_ms);
            let mut channel = match self.store.log(name) {
                Some(log) => Channel::from_log(copy(log), self.limits),
                None => Channel::new(self.store.absent(name).epoch(), self.retention, self.limits),
            };
            channel.expire(clock_ms);
            self.channels.insert(name.into(), channel);
        }
        let channel = self.channels.get_mut(name).expect("the channel was there or has just been inserted");
        channel.touch(self.now_ms);
        channel
    }

    /// The time for a log and for its window: the latest that there was. A log that was made anew
    /// has not seen the time before the clock jumped back, and would evict other messages than its
    /// window.
    pub(super) fn clock_ms(&mut self) -> u64 {
        self.latest_ms = self.latest_ms.max(self.now_ms);
        self.latest_ms
    }

    /// Whether a cursor is the end of a closed log.
    fn is_end(&self, name: &str, cursor: Cursor) -> bool {
        self.channels.get(name).is_some_and(|channel| channel.log().end() == Some(cursor))
    }

    pub(crate) fn accept(&mut self, id: u32) {
        self.connections.insert(id, Connection::new());
    }

    /// The connection is gone: cancels its waits.
    pub(crate) fn disconnect(&mut self, id: u32) {
        let Some(connection) = self.connections.remove(&id) else { return };
        match connection.state {
            ConnectionState::Idle => {}
            ConnectionState::Held(position, _) => self.cancel_waits(vec![position]),
            ConnectionState::Stream(_, positions) => self.cancel_waits(positions),
        }
    }

    /// Takes bytes from a client.
    pub(crate) fn receive(&mut self, id: u32, bytes: &[u8]) -> Result<(), Violation> {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.input.extend_from_slice(bytes);
        }
        while let Some(connection) = self.connections.get_mut(&id) {
            match connection.next_request()? {
                Some(request) => self.answer(id, request)?,
                None => break,
            }
        }
        self.carry_out_commands(id)
    }

    fn answer(&mut self, id: u32, request: Request) -> Result<(), Violation> {
        if request.publish {
            let text = String::from_utf8(request.body).map_err(|_| "a body that is no text")?;
            let texts = text.lines().map(String::from).collect();
            let append = Append { texts, close: request.close, once: request.once };
            return self.submit(request.channels[0].clone(), append, id);
        }
        if request.channels.iter().any(|name| self.store.is_deleted(name)) {
            return self.respond(id, 404, "deleted");
        }
        let fresh = request.since == "earliest" || request.since == "now";
        let sinces: Vec<Since> = if fresh {
            vec![request.since.parse().map_err(|_| "no start")?; request.channels.len()]
        } else {
            let cursors: Cursors = request.since.parse().map_err(|_| format!("cursors {}", request.since))?;
            cursors.as_slice().iter().map(|cursor| Since::After(*cursor)).collect()
        };
        let mut positions = Vec::new();
        let mut hello = Cursors::new();
        for (name, since) in request.channels.iter().zip(sinces) {
            let start = self.open(name).read(since, Budget::messages(0)).start();
            // A stream greets a reader with the reader's own cursor, not with the start of the log.
            // The gap between the two has not been told yet, and the connection may be cut first.
            let cursor = match since {
                Since::After(cursor) => cursor,
                Since::Earliest | Since::Now => start,
            };
            hello.push(if self.fault == Some(Fault::HelloSkipsGap) { start } else { cursor });
            positions.push(Position { channel: name.clone(), cursor, wait: Wait::No });
        }
        let at_end = positions.iter().all(|position| self.is_end(&position.channel, position.cursor));
        if request.feed == "sse" && at_end {
            return self.respond(id, 204, "");
        }
        let hello = Item::Hello(hello);
        let connection = self.connections.get_mut(&id).expect("the connection has just sent a request");
        let framing = match request.feed.as_str() {
            "poll" | "longpoll" => {
                let position = positions.pop().expect("a poll has one channel");
                connection.state = ConnectionState::Held(position, fresh.then_some(hello));
                return self.poll(id, request.feed == "longpoll");
            }
            "ws" => {
                let head = http1::Response::new(101);
                let sent = connection.http.send_head(
                    &head.with_fields(&[&request.switch]),
                    http1::BodyLength::Empty,
                    &mut connection.output,
                );
                sent.map_err(|error| format!("101: {error}"))?;
                Framing::Ws(Box::new(ws::Connection::new(ws::Limits::DEFAULT)))
            }
            feed => {
                let sent = connection.http.send_head(
                    &http1::Response::new(200),
                    http1::BodyLength::Chunked,
                    &mut connection.output,
                );
                sent.map_err(|error| format!("200: {error}"))?;
                if feed == "sse" { Framing::Sse } else { Framing::Lines }
            }
        };
        connection.state = ConnectionState::Stream(framing, positions);
        connection.write(&hello)?;
        self.write_stream(id)
    }

    /// Answers a poll, or holds it if there is nothing to send.
    fn poll(&mut self, id: u32, hold: bool) -> Result<(), Violation> {
        let Some(Connection { state: ConnectionState::Held(position, _), .. }) =
            self.connections.get_mut(&id)
        else {
            return Ok(());
        };
        let (name, cursor) = (position.channel.clone(), position.cursor);
        if self.store.is_deleted(&name) {
            return self.respond(id, 404, "deleted");
        }
        let (mut items, cursor) = self.read(&name, 0, cursor);
        if items.is_empty() && self.is_end(&name, cursor) {
            items.push(Item::End { channel: 0, cursor });
        }
        let Some(Connection { state: ConnectionState::Held(position, hello), .. }) =
            self.connections.get_mut(&id)
        else {
            return Ok(());
        };
        if items.is_empty() && hold {
            (position.cursor, position.wait) = (cursor, Wait::Due);
            return Ok(());
        }
        let gone = items.iter().any(|item| matches!(item, Item::Gap { .. } | Item::Reset { .. }));
        let lines: Vec<String> =
            hello.iter().chain(&items).chain([&Item::At(cursor)]).map(|item| item.line() + "\n").collect();
        self.respond(id, if gone { 410 } else { 200 }, &lines.concat())
    }

    pub(super) fn respond(&mut self, id: u32, status: u16, body: &str) -> Result<(), Violation> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let length = match status {
            204 => http1::BodyLength::Empty,
            _ => http1::BodyLength::Length(body.len() as u64),
        };
        connection
            .http
            .send_head(&http1::Response::new(status), length, &mut connection.output)
            .and_then(|()| connection.http.send_data(body.as_bytes(), &mut connection.output))
            .and_then(|()| connection.http.send_end(&mut connection.output))
            .map_err(|error| format!("{status}: {error}"))?;
        connection.state = ConnectionState::Idle;
        // An error: the connection closes after this answer.
        let _ = connection.http.next_exchange();
        Ok(())
    }

    /// Returns the items after `cursor`, and the position after them.
    fn read(&mut self, name: &str, index: usize, cursor: Cursor) -> (Vec<Item>, Cursor) {
        if self.store.is_deleted(name) {
            return (vec![Item::Deleted { channel: index }], cursor);
        }
        let (budget, fault) = (self.budget, self.fault);
        let log = self.open(name).log();
        let mut read = log.read(Since::After(cursor), budget);
        let mut items = Vec::new();
        match read.continuity() {
            Continuity::Fresh | Continuity::Resumed => {}
            Continuity::Gap { from, to, missed } => {
                items.push(Item::Gap { channel: index, from, to, missed })
            }
            Continuity::Reset { reason, to } => {
                items.push(Item::Reset { channel: index, to, reason: reason.as_str().into() });
            }
        }
        match (fault, read.continuity()) {
            (Some(Fault::UnknownMeansNow), Continuity::Reset { .. }) => return (Vec::new(), log.head()),
            (Some(Fault::UnknownMeansEverything), Continuity::Reset { .. })
            | (Some(Fault::SilentEviction), Continuity::Gap { .. }) => items.clear(),
            (Some(Fault::NewEpochOldNumber), Continuity::Reset { .. }) => {
                return (Vec::new(), Cursor::new(log.epoch(), cursor.seq()));
            }
            (Some(Fault::TailLostUntold), Continuity::Reset { reason: ResetReason::TailLost, .. }) => {
                if cursor.seq() > log.head().seq() {
                    return (Vec::new(), cursor);
                }
                items.clear();
                read = log.read(Since::After(log.lineage().at(cursor.seq())), budget);
            }
            (Some(Fault::LooksFromTheWrongEnd), Continuity::Resumed)
                if cursor.seq() > log.earliest().seq() + 3 =>
            {
                read = log.read(Since::Earliest, budget);
            }
            _ => {}
        }
        // A gap or a reset is returned alone. The messages come with the next read.
        if let [broken] = &items[..] {
            let to = read.start();
            return (vec![broken.clone()], to);
        }
        items.extend(read.iter().map(|entry| Item::Message {
            channel: index,
            cursor: entry.cursor,
            text: entry.value.clone(),
        }));
        let Some(end) = read.end().filter(|end| *end != cursor) else { return (items, read.cursor()) };
        match fault {
            Some(Fault::EndLostAtCut) if items.is_empty() => return (items, read.cursor()),
            Some(Fault::EndBeforeLastMessage) => items.insert(0, Item::End { channel: index, cursor: end }),
            _ => items.push(Item::End { channel: index, cursor: end }),
        }
        (items, end)
    }

    /// Writes a stream's items while its socket has room.
    pub(super) fn write_stream(&mut self, id: u32) -> Result<(), Violation> {
        let mut again = true;
        while again {
            again = false;
            let count = match self.connections.get(&id) {
                Some(Connection { state: ConnectionState::Stream(_, positions), .. }) => positions.len(),
                _ => return Ok(()),
            };
            for index in 0..count {
                let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
                let full = connection.output.len() >= SOCKET_ROOM;
                let ConnectionState::Stream(_, positions) = &mut connection.state else { return Ok(()) };
                let position = &mut positions[index];
                if position.wait != Wait::No || (full && self.fault != Some(Fault::DropsForSlowReaders)) {
                    continue;
                }
                let name = position.channel.clone();
                let (items, cursor) = {
                    let cursor = position.cursor;
                    self.read(&name, index, cursor)
                };
                let connection = self.connections.get_mut(&id).expect("nobody has closed the connection");
                let ConnectionState::Stream(_, positions) = &mut connection.state else { return Ok(()) };
                if let [item @ Item::Deleted { .. }] = &items[..] {
                    connection.write(item)?;
                    return self.end(id, 4404);
                }
                if items.is_empty() {
                    (positions[index].cursor, positions[index].wait) = (cursor, Wait::Due);
                    if self.channels.get(&name).is_some_and(|channel| channel.log().end() == Some(cursor)) {
                        positions[index].wait = Wait::Ended;
                    }
                    continue;
                }
                again = true;
                for item in &items {
                    let ConnectionState::Stream(_, positions) = &mut connection.state else { return Ok(()) };
                    positions[index].cursor = match item {
                        Item::Message { cursor, .. } | Item::End { cursor, .. } => *cursor,
                        _ => cursor,
                    };
                    if full {
                        continue; // only with `DropsForSlowReaders`
                    }
                    if self.fault == Some(Fault::IdBeforeMessage) {
                        connection.write(&Item::Hello(Cursors::new()))?;
                    }
                    connection.write(item)?;
                }
            }
        }
        match self.connections.get(&id).map(|connection| &connection.state) {
            Some(ConnectionState::Stream(_, positions))
                if positions.iter().all(|position| position.wait == Wait::Ended) =>
            {
                self.end(id, 1000)
            }
            _ => Ok(()),
        }
    }

    /// Registers the waits that are due on a connection.
    pub(crate) fn register_waits(&mut self, id: u32) -> Result<(), Violation> {
        let (now_ms, fault) = (self.now_ms, self.fault);
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let positions = match &mut connection.state {
            ConnectionState::Idle => return Ok(()),
            ConnectionState::Held(position, _) => std::slice::from_mut(position),
            ConnectionState::Stream(_, positions) => positions,
        };
        let mut ready = false;
        for (index, position) in
            positions.iter_mut().enumerate().filter(|(_, position)| position.wait == Wait::Due)
        {
            let Some(channel) = self.channels.get_mut(&position.channel) else {
                // The channel was freed since the read. The next read opens it again and tells of
                // the reset.
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
        self.write_stream(id)
    }

    /// Runs the first waiter that a message has woken.
    pub(crate) fn wake(&mut self) -> Result<(), Violation> {
        let Some((id, index, ticket)) = self.wakes.pop_front() else { return Ok(()) };
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let position = match &mut connection.state {
            ConnectionState::Held(position, _) if index == 0 => position,
            ConnectionState::Stream(_, positions) => &mut positions[index],
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
        let Some(Connection { state: ConnectionState::Held(position, _), .. }) =
            self.connections.get_mut(&id)
        else {
            return Ok(());
        };
        let (cursor, wait) = (position.cursor, position.wait);
        let Some(channel) = self.channels.get_mut(&position.channel) else { return self.poll(id, false) };
        let head = channel.log().head();
        if let Wait::On(key, _) = wait {
            if channel.cancel(key).is_some() {
                // The waiter was still registered, so no message has come: the answer is empty.
                return self.respond(id, 200, &(Item::At(cursor).line() + "\n"));
            }
            self.counts.poll_races += 1;
        }
        if self.fault == Some(Fault::PollEndsAtHead) {
            return self.respond(id, 200, &(Item::At(head).line() + "\n"));
        }
        self.poll(id, false)
    }

    /// The socket takes up to `max` bytes. Then the stream is written while there is room.
    pub(crate) fn take_output(&mut self, id: u32, max: usize) -> Result<Vec<u8>, Violation> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(Vec::new()) };
        let taken: Vec<u8> = connection.output.drain(..max.min(connection.output.len())).collect();
        self.write_stream(id)?;
        Ok(taken)
    }

    /// Ends a stream properly: everything has been told, or the server shuts down.
    pub(crate) fn end(&mut self, id: u32, code: u16) -> Result<(), Violation> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let ConnectionState::Stream(framing, _) = &mut connection.state else { return Ok(()) };
        if let Framing::Ws(socket) = framing {
            if !socket.is_open() {
                return Ok(());
            }
            let sent = socket.send_close(Some(code), "", &mut connection.output);
            return sent.map_err(|error| format!("server: {error}"));
        }
        connection.http.send_end(&mut connection.output).map_err(|error| format!("server: {error}"))?;
        let _ = connection.http.next_exchange();
        let ConnectionState::Stream(_, positions) =
            std::mem::replace(&mut connection.state, ConnectionState::Idle)
        else {
            return Ok(());
        };
        self.cancel_waits(positions);
        Ok(())
    }

    fn cancel_waits(&mut self, positions: Vec<Position>) {
        for position in positions {
            if let (Wait::On(key, _), Some(channel)) =
                (position.wait, self.channels.get_mut(&position.channel))
            {
                channel.cancel(key);
            }
        }
    }
}
