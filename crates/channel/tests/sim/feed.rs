//! One connection of a reader: what its bytes say, in the encoding of each feed.

use tidewire_channel::Cursor;
use tidewire_http1 as http1;
use tidewire_sse as sse;
use tidewire_ws as ws;

use super::commands::Membership;
use super::history::Violation;
use super::item::Item;

/// One connection of a reader.
pub(crate) struct Feed {
    pub(crate) link: u32,
    pub(crate) name: &'static str,
    /// A request was sent and its answer has not ended.
    pub(crate) is_waiting: bool,
    /// The feed is in another log than the reader, because another feed reported a reset first. It
    /// must be closed.
    pub(crate) is_outdated: bool,
    /// The server has closed the WebSocket.
    pub(crate) is_closed: bool,
    /// The feed has delivered a message.
    pub(super) has_delivered: bool,
    status: u16,
    /// Where this feed says that it is in each channel. `None` in a channel that it does not read.
    pub(super) positions: Vec<Option<Cursor>>,
    /// Whether the feed reads each channel.
    pub(super) membership: Vec<Membership>,
    pub(super) http: http1::Connection<http1::Client>,
    pub(super) input: Vec<u8>,
    text: Vec<u8>,
    pub(super) sse: sse::Decoder,
    pub(super) ws: Option<ws::Connection<ws::Client>>,
    pub(super) handshake: Option<ws::handshake::client::Request<'static>>,
}

/// The output of the decoders.
pub(super) enum Decoded {
    Item(Item),
    /// The id that a browser's EventSource would come back with.
    Id(String),
    /// The status of an answer.
    Status(u16),
}

impl Feed {
    pub(super) fn new(name: &'static str, link: u32, channels: usize) -> Self {
        Self {
            link,
            name,
            is_waiting: false,
            is_outdated: false,
            is_closed: false,
            has_delivered: false,
            status: 0,
            positions: vec![None; channels],
            membership: vec![Membership::Joined; channels],
            http: http1::Connection::new(http1::Limits::DEFAULT),
            input: Vec::new(),
            text: Vec::new(),
            sse: sse::Decoder::new(sse::Limits::default()),
            ws: None,
            handshake: None,
        }
    }

    /// Decodes what has come.
    pub(super) fn decode(&mut self) -> Result<Vec<Decoded>, Violation> {
        let mut decoded = Vec::new();
        let mut fields = http1::Fields::new();
        while self.ws.is_none() {
            let (n, event) =
                self.http.decode(&self.input, &mut fields).map_err(|error| format!("reader: {error}"))?;
            let mut ended = false;
            match event {
                None => {
                    self.input.drain(..n);
                    return Ok(decoded);
                }
                Some(http1::Event::Response(head)) => {
                    self.status = head.status();
                    decoded.push(Decoded::Status(self.status));
                    if self.status == 404 {
                        self.handshake = None;
                    }
                    if let Some(handshake) = self.handshake.take() {
                        handshake
                            .verify(head.status(), head.fields())
                            .map_err(|error| format!("handshake: {error}"))?;
                        self.ws = Some(ws::Connection::new(ws::Limits::DEFAULT));
                    }
                }
                Some(http1::Event::Data(_)) if self.status == 404 => {}
                Some(http1::Event::Data(data)) if self.name == "sse" => {
                    decode_sse(&mut self.sse, data, &mut decoded)?
                }
                Some(http1::Event::Data(data)) => self.text.extend_from_slice(data),
                Some(_) => ended = true,
            }
            self.input.drain(..n);
            if ended {
                self.is_waiting = false;
                // An error: the server closes the connection after this answer.
                let _ = self.http.next_exchange();
            }
            // An answer to a poll counts only when it is complete. In a stream each line counts.
            if ended || self.name == "lines" {
                while let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = self.text.drain(..=end).collect();
                    decoded.push(Decoded::Item(parse(&line[..end])?));
                }
            }
        }
        let Some(socket) = &mut self.ws else { return Ok(decoded) };
        loop {
            let (n, event) = socket.decode(&mut self.input).map_err(|error| format!("reader: {error}"))?;
            let more = event.is_some();
            match event {
                Some(ws::Event::Text(text)) => decoded.push(Decoded::Item(parse(text.as_bytes())?)),
                Some(ws::Event::Close { .. }) => self.is_closed = true,
                _ => {}
            }
            self.input.drain(..n);
            if !more {
                return Ok(decoded);
            }
        }
    }
}

fn decode_sse(
    decoder: &mut sse::Decoder,
    mut data: &[u8],
    decoded: &mut Vec<Decoded>,
) -> Result<(), Violation> {
    loop {
        let (n, received) = decoder.decode(data).map_err(|error| format!("reader: {error}"))?;
        data = &data[n..];
        match received {
            None => return Ok(()),
            Some(sse::Event::Message { event_type, data, last_event_id }) => {
                let item = Item::from_sse(event_type, data, last_event_id);
                decoded.push(Decoded::Item(item.ok_or_else(|| format!("an event {event_type}: {data}"))?));
                decoded.push(Decoded::Id(last_event_id.into()));
            }
            Some(sse::Event::Id(id)) => {
                decoded.push(Decoded::Item(Item::Hello(id.parse().map_err(|_| format!("an id {id}"))?)));
                decoded.push(Decoded::Id(id.into()));
            }
            Some(_) => {}
        }
    }
}

fn parse(line: &[u8]) -> Result<Item, Violation> {
    let line = String::from_utf8_lossy(line);
    Item::parse(&line).ok_or_else(|| format!("a line {line:?}"))
}
