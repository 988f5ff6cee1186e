//! One connection at the server: requests in, answers and streams out, in the framing of each feed.

use std::collections::VecDeque;

use tidewire_channel::{Cursor, WaitKey};
use tidewire_http1 as http1;
use tidewire_ws as ws;

use super::history::Violation;
use super::item::Item;
use super::server::Server;
use super::store::OwnedOnce;

pub(super) struct Connection {
    pub(super) http: http1::Connection<http1::Server>,
    pub(super) input: Vec<u8>,
    pub(super) output: Vec<u8>,
    pub(super) request: Option<Request>,
    /// Commands of a WebSocket client that the server has not carried out.
    pub(super) commands: VecDeque<String>,
    pub(super) state: ConnectionState,
}

/// The parts of a request that matter here.
pub(super) struct Request {
    pub(super) publish: bool,
    pub(super) channels: Vec<String>,
    pub(super) feed: String,
    pub(super) since: String,
    pub(super) once: OwnedOnce,
    pub(super) close: bool,
    pub(super) body: Vec<u8>,
    pub(super) switch: http1::FieldBlock,
}

pub(super) enum ConnectionState {
    /// Between requests.
    Idle,
    /// A poll that waits for its message. If its reader came without a cursor, the greeting is
    /// still to be sent.
    Held(Position, Option<Item>),
    /// A stream.
    Stream(Framing, Vec<Position>),
}

pub(super) enum Framing {
    Lines,
    Sse,
    Ws(Box<ws::Connection<ws::Server>>),
}

/// Where a feed is in one channel. This is all the state of a reader.
pub(super) struct Position {
    pub(super) channel: String,
    pub(super) cursor: Cursor,
    pub(super) wait: Wait,
}

/// The steps from "there is nothing to read" to being woken.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Wait {
    No,
    /// There was nothing to read. The wait is registered in a later step.
    Due,
    On(WaitKey, u64),
    /// The reader has left the channel.
    Off,
    /// The reader was told the end of the log.
    Ended,
}

impl Connection {
    pub(super) fn new() -> Self {
        Self {
            http: http1::Connection::new(http1::Limits::DEFAULT),
            input: Vec::new(),
            output: Vec::new(),
            request: None,
            commands: VecDeque::new(),
            state: ConnectionState::Idle,
        }
    }

    /// Returns the next request if it is complete. A WebSocket has no requests: pings are answered,
    /// and commands are queued.
    pub(super) fn next_request(&mut self) -> Result<Option<Request>, Violation> {
        if let ConnectionState::Stream(Framing::Ws(socket), _) = &mut self.state {
            loop {
                let (n, event) =
                    socket.decode(&mut self.input).map_err(|error| format!("server: {error}"))?;
                let more = event.is_some();
                if let Some(ws::Event::Text(command)) = event {
                    self.commands.push_back(command.to_owned());
                }
                self.input.drain(..n);
                socket.take_output(&mut self.output);
                if !more {
                    return Ok(None);
                }
            }
        }
        let mut fields = http1::Fields::new();
        loop {
            let (n, event) =
                self.http.decode(&self.input, &mut fields).map_err(|error| format!("server: {error}"))?;
            let mut ended = false;
            match event {
                None => {
                    self.input.drain(..n);
                    return Ok(None);
                }
                Some(http1::Event::Request(head)) => self.request = Some(Request::new(&head)?),
                Some(http1::Event::Data(data)) => {
                    if let Some(request) = &mut self.request {
                        request.body.extend_from_slice(data);
                    }
                }
                Some(_) => ended = true,
            }
            self.input.drain(..n);
            if ended {
                return Ok(self.request.take());
            }
        }
    }

    /// Writes one item to a stream.
    pub(super) fn write(&mut self, item: &Item) -> Result<(), Violation> {
        let ConnectionState::Stream(framing, positions) = &mut self.state else { return Ok(()) };
        let position = || positions.iter().map(|position| position.cursor).collect();
        let early = matches!(item, Item::Hello(cursors) if cursors.as_slice().is_empty());
        let item = if early { &Item::Hello(position()) } else { item };
        match framing {
            Framing::Ws(socket) if !socket.is_open() => Ok(()),
            Framing::Ws(socket) => {
                socket.send_text(&item.line(), &mut self.output).map_err(|error| format!("server: {error}"))
            }
            Framing::Lines => self
                .http
                .send_data((item.line() + "\n").as_bytes(), &mut self.output)
                .map_err(|error| format!("server: {error}")),
            Framing::Sse => {
                let mut event = Vec::new();
                item.sse(&position(), &mut event);
                self.http.send_data(&event, &mut self.output).map_err(|error| format!("server: {error}"))
            }
        }
    }
}

impl Request {
    fn new(head: &http1::RequestHead<'_>) -> Result<Self, Violation> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let parameter = |name: &str| {
            let query = text(head.query().unwrap_or_default());
            let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or_default().to_string()
        };
        let mut switch = http1::FieldBlock::new();
        if head.upgrade().is_some() {
            let options = ws::handshake::server::Options::default();
            let version = (1, 1);
            let method = head.method();
            let accept =
                ws::handshake::server::accept(method.as_str().as_bytes(), version, head.fields(), &options)
                    .map_err(|refusal| format!("handshake: {refusal}"))?;
            switch = http1::FieldBlock::from_pairs(accept.response_fields())
                .map_err(|error| format!("101: {error}"))?;
        }
        Ok(Self {
            publish: head.method() == http1::Method::Post,
            channels: text(head.path()).trim_start_matches('/').split(',').map(String::from).collect(),
            feed: parameter("feed"),
            since: head.get("last-event-id").map_or_else(|| parameter("since"), text),
            once: match (head.get("idempotency-key"), head.get("producer-id")) {
                (Some(key), _) => OwnedOnce::Key(key.to_vec()),
                (None, Some(id)) => {
                    let number = |name| head.get(name).map(text).unwrap_or_default().parse();
                    OwnedOnce::Producer {
                        id: id.to_vec(),
                        epoch: number("producer-epoch").map_err(|_| "no epoch")?,
                        seq: number("producer-seq").map_err(|_| "no number")?,
                    }
                }
                (None, None) => OwnedOnce::No,
            },
            close: !parameter("close").is_empty(),
            body: Vec::new(),
            switch,
        })
    }
}

/// What the world asks about connections.
impl Server {
    pub(crate) fn has_wakes(&self) -> bool {
        !self.wakes.is_empty()
    }

    pub(crate) fn held(&self) -> Vec<u32> {
        let held = |connection: &Connection| matches!(connection.state, ConnectionState::Held(..));
        self.connections.iter().filter(|(_, connection)| held(connection)).map(|(id, _)| *id).collect()
    }

    /// The channel that a held poll waits on.
    pub(crate) fn held_on(&self, id: u32) -> Option<String> {
        match &self.connections.get(&id)?.state {
            ConnectionState::Held(position, _) => Some(position.channel.clone()),
            _ => None,
        }
    }

    pub(crate) fn connection_ids(&self) -> Vec<u32> {
        self.connections.keys().copied().collect()
    }

    pub(crate) fn has_output(&self, id: u32) -> bool {
        self.connections.get(&id).is_some_and(|connection| !connection.output.is_empty())
    }
}
