//! The WebSocket side of the table: what clients send, and what they are owed for it.

use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tidewire_channel::Cursor;
use tidewire_server::Problem;
use tidewire_ws::deflate::Params;
use tidewire_ws::frame::Header;
use tidewire_ws::{Connection, Event, Limits, Role};

use super::group::Shape;
use super::subscriber::Role as RowRole;
use super::table::Table;
use crate::feeds::{Flow, Kind, Wire, ws};
use crate::hub::{HubError, Published};
use crate::message::{Message, Object};
use crate::name::{ChannelName, MAX_CHANNELS, NameError};
use crate::params;
use crate::reader::Channels;
use crate::site::{refused, sentence};

/// Bytes owed to a client beyond which nothing more is read from it.
const MAX_OWED: usize = 64 * 1024;

/// Heartbeats without any sign of life after which a connection is given up.
const SILENT_BEATS: u32 = 3;

/// Compressed messages that a worker inflates at one time, of those that come in several frames. Each may hold as much as the longest message.
const MAX_INFLATING: usize = 32;

/// Bytes of messages that are taken of one read before the others have their turn. What a read brings may inflate to a thousand times as much.
const MAX_A_READ: usize = 1024 * 1024;

/// Bytes of a command's id, as it is spelled: it is held for the answer.
const MAX_ID: usize = 1024;

/// The protocol state of one WebSocket.
pub(crate) struct WebSocket {
    protocol: Connection,
    kind: Kind,
    /// Bytes that wait for the rest of their frame, or for their turn, as read.
    partial: Vec<u8>,
    /// They are whole frames, and only wait for their turn.
    has_more: bool,
    /// Frames owed: pongs, the close, answers to commands.
    owed: Vec<u8>,
    heard_ms: u64,
    closing: bool,
    /// The client may compress.
    deflates: bool,
    /// A compressed message has begun to be inflated and is not complete.
    inflating: Option<Box<Inflating>>,
}

/// A place among those that inflate.
struct Inflating {
    since_ms: u64,
    /// Counted by its references.
    _place: Rc<()>,
}

/// A data message from a client.
pub(super) enum Incoming {
    Text(String),
    Binary(Bytes),
}

impl WebSocket {
    pub(crate) fn new(kind: Kind, deflate: Option<Params>, now_ms: u64, max_message: usize) -> Self {
        let max = longest(kind, max_message);
        let limits = Limits { max_message: max, max_frame: max, ..Limits::DEFAULT };
        let mut protocol = Connection::new(Role::Server, limits);
        if let Some(params) = deflate {
            protocol = protocol.with_deflate(params, &ws::DEFLATE);
        }
        WebSocket {
            protocol,
            kind,
            partial: Vec::new(),
            has_more: false,
            owed: Vec::new(),
            heard_ms: now_ms,
            closing: false,
            deflates: deflate.is_some(),
            inflating: None,
        }
    }

    fn is_v1(&self) -> bool {
        matches!(self.kind, Kind::WsV1 { .. })
    }

    pub(super) fn is_full(&self) -> bool {
        self.owed.len() > MAX_OWED
    }

    /// There are messages that were read and not taken: [`Table::websocket_received`] goes on without a read.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// No sign of life for some heartbeats, each of which was a ping.
    pub(super) fn is_silent(&self, now_ms: u64, heartbeat: Duration) -> bool {
        now_ms.saturating_sub(self.heard_ms) > heartbeat.as_millis() as u64 * u64::from(SILENT_BEATS)
    }

    /// A compressed message that was begun so long ago, and never ended.
    pub(super) fn is_stuck(&self, now_ms: u64, stall_ms: u64) -> bool {
        self.inflating.as_ref().is_some_and(|one| now_ms.saturating_sub(one.since_ms) >= stall_ms)
    }

    pub(super) fn take_output(&mut self) -> Option<Bytes> {
        if self.owed.is_empty() { None } else { Some(std::mem::take(&mut self.owed).into()) }
    }

    /// Takes bytes in; what the protocol owes is added to the output, data messages are returned. A close stays with the protocol: it goes
    /// behind the answers to these messages.
    fn receive(&mut self, read: &mut [u8], now_ms: u64, max_message: usize) -> Vec<Incoming> {
        self.heard_ms = now_ms;
        let max = longest(self.kind, max_message);
        // In the usual case, whole frames in one read, they are unmasked right where they were read.
        let mut gathered = std::mem::take(&mut self.partial);
        let is_gathered = !gathered.is_empty();
        let bytes = if is_gathered {
            gathered.extend_from_slice(read);
            &mut gathered[..]
        } else {
            read
        };
        let mut incoming = Vec::new();
        let (mut used, mut taken) = (0, 0);
        self.has_more = false;
        while !self.closing {
            let rest = &bytes[used..];
            self.has_more = taken >= MAX_A_READ && !rest.is_empty();
            if self.has_more || self.waits_for_more(rest, max) {
                // A call that finds nothing frees what the last message was inflated into: nobody is to hold megabytes for bytes that may never come.
                let _ = self.protocol.decode(&mut []);
                break;
            }
            match self.protocol.decode(&mut bytes[used..]) {
                Ok((n, event)) => {
                    used += n;
                    match event {
                        None => break,
                        Some(Event::Text(text)) => {
                            taken += text.len();
                            incoming.push(Incoming::Text(text.to_owned()));
                        }
                        Some(Event::Binary(data)) => {
                            taken += data.len();
                            incoming.push(Incoming::Binary(Bytes::copy_from_slice(data)));
                        }
                        Some(Event::Close { .. }) => self.closing = true,
                        Some(_) => {}
                    }
                }
                Err(_) => self.closing = true,
            }
        }
        if !self.closing {
            self.protocol.take_output(&mut self.owed);
        }
        if self.closing || used == bytes.len() {
            return incoming;
        }
        self.partial = if is_gathered {
            gathered.drain(..used);
            gathered
        } else {
            bytes[used..].to_vec()
        };
        incoming
    }

    /// A compressed message is not begun before its first frame is whole. What a slow client makes us wait for is held as it came; inflated it
    /// could be a thousand times as long.
    fn waits_for_more(&self, bytes: &[u8], max: u64) -> bool {
        if !self.deflates || self.protocol.message_unfinished() {
            return false;
        }
        match Header::parse(bytes) {
            Ok(Some((header, n))) => {
                header.rsv1 && header.len <= max && ((bytes.len() - n) as u64) < header.len
            }
            _ => false,
        }
    }

    /// A message in several frames inflates as they come, so few may be on their way at one time: the others are told to come back.
    fn take_place(&mut self, places: &Rc<()>, now_ms: u64) {
        if self.closing || !self.protocol.is_inflating() {
            self.inflating = None;
        } else if self.inflating.is_none() {
            if Rc::strong_count(places) > MAX_INFLATING {
                ws::close(&mut self.owed, 1013, "too many unfinished messages, try again later");
                self.closing = true;
            } else {
                self.inflating = Some(Box::new(Inflating { since_ms: now_ms, _place: places.clone() }));
            }
        }
    }
}

impl Table {
    pub(super) fn websocket_received(&mut self, key: u32, bytes: &mut [u8]) {
        let now_ms = self.now_ms;
        let row = &mut self.rows[key as usize];
        let Some(websocket) = &mut row.websocket else { return };
        if matches!(row.role, RowRole::Closing) {
            websocket.has_more = false;
            return;
        }
        let is_v1 = websocket.is_v1();
        let messages = websocket.receive(bytes, now_ms, self.place.hub.config().max_message);
        for incoming in messages {
            let data = match incoming {
                Incoming::Text(text) if is_v1 => {
                    self.command(key, &text);
                    continue;
                }
                Incoming::Binary(_) if is_v1 => {
                    self.owe(key, &bad_command("Commands are JSON objects in text messages."));
                    continue;
                }
                Incoming::Text(text) => text.into(),
                Incoming::Binary(data) => data,
            };
            if self.publish_bare(key, data) == Flow::End {
                break;
            }
        }
        let Some(row) = self.rows.get_mut(key as usize) else { return };
        if matches!(row.role, RowRole::Closing) {
            // One of the commands found the end of the subscription, and said the last word.
            return;
        }
        let Some(websocket) = &mut row.websocket else { return };
        websocket.protocol.take_output(&mut websocket.owed);
        websocket.take_place(&self.inflating, now_ms);
        if websocket.closing {
            let last = websocket.take_output().unwrap_or_default();
            self.answer(key, last);
        } else if row.pending.is_empty() {
            self.settle(key);
        }
    }

    /// A bare message is a message for the channel. Between bare payloads there is no place to say why it was refused, so the
    /// connection ends with the reason, and what came behind it is not published: a publisher whose message was refused has a hole
    /// in what it sent, and nobody would see it.
    fn publish_bare(&mut self, key: u32, data: Bytes) -> Flow {
        let Some(channels) = self.channels(key) else { return Flow::End };
        let outcome = match &*channels.0 {
            [one] => {
                let message = Message::new(data, self.place.hub.wall_ms());
                self.place.hub.publish(one.name(), message, None).map_err(|error| {
                    let code = match error {
                        HubError::MessageTooLarge { .. } => 1009,
                        HubError::Stopping => 1012,
                        _ => 1008,
                    };
                    (code, error.to_string())
                })
            }
            _ => Err((1008, "a bare message needs a connection with one channel".to_owned())),
        };
        let Err((code, reason)) = outcome else { return Flow::Continue };
        // If the client has said its close already, the answer to that is the last frame.
        if let Some(websocket) = self.rows[key as usize].websocket.as_mut().filter(|ws| !ws.closing) {
            ws::close(&mut websocket.owed, code, &reason);
            websocket.closing = true;
        }
        Flow::End
    }

    /// A command of `tidewire.v1`.
    fn command(&mut self, key: u32, text: &str) {
        // Only what is known is kept: a message may inflate to megabytes of brackets.
        let Command { kind, id } = match serde_json::from_str(text) {
            // An array of its values would do for a struct of Rust.
            Ok(command) if text.trim_ascii_start().starts_with('{') => command,
            Ok(_) => Command::default(),
            Err(error) if error.is_data() => Command::default(),
            Err(error) => return self.owe(key, &bad_command(&format!("This is not JSON: {error}."))),
        };
        if id.is_some_and(|id| id.get().len() > MAX_ID) {
            return self.owe(key, &bad_command("The id of a command has at most 1024 bytes."));
        }
        let kind: Option<String> = kind.and_then(|kind| serde_json::from_str(kind.get()).ok());
        let outcome = match kind.as_deref() {
            Some("publish") => serde_json::from_str(text).map(|order| self.publish(key, id, &order)),
            Some("subscribe") => serde_json::from_str(text).map(|order| self.subscribe(key, id, &order)),
            Some("unsubscribe") => serde_json::from_str(text)
                .map(|order: ChannelOrder| self.unsubscribe(key, id, &order.channel)),
            _ => {
                let detail = "A command is a JSON object whose type is publish, subscribe or unsubscribe.";
                return self.owe(key, &refusal(id, &Problem::new(400, detail)));
            }
        };
        if let (Err(error), Some(kind)) = (outcome, kind) {
            let detail = format!("This {kind} cannot be carried out: {error}.");
            self.owe(key, &refusal(id, &Problem::new(400, detail)));
        }
    }

    fn publish(&mut self, key: u32, id: Option<&RawValue>, order: &PublishOrder) {
        match self.try_publish(key, order) {
            Ok(published) => self.owe(key, &Object::Ack { id, cursor: &published.cursor.to_string() }),
            Err(problem) => self.owe(key, &refusal(id, &problem)),
        }
    }

    fn try_publish(&mut self, key: u32, order: &PublishOrder) -> Result<Published, Problem> {
        let bad = |detail: &str| Problem::new(400, detail);
        let name = match (&order.channel, self.channels(key)) {
            (Some(name), _) => ChannelName::new(name).map_err(|error| bad(&sentence(&error.to_string())))?,
            (None, Some(channels)) if channels.0.len() == 1 => channels.0[0].name().clone(),
            _ => return Err(bad("Name the channel: this connection does not have exactly one.")),
        };
        let data: Bytes = match (&order.data, &order.data_b64) {
            (Some(text), None) => text.clone().into(),
            (None, Some(text)) => STANDARD.decode(text).map_err(|_| bad("data_b64 is not base64."))?.into(),
            _ => return Err(bad("Give either data or data_b64.")),
        };
        let mut message = Message::new(data, self.place.hub.wall_ms());
        if let Some(event) = &order.event {
            message = message.with_event(event).map_err(|error| bad(&sentence(&error.to_string())))?;
        }
        if let Some(content_type) = &order.content_type {
            message = message
                .with_content_type(content_type)
                .map_err(|error| bad(&sentence(&error.to_string())))?;
        }
        self.place.hub.publish(&name, message, order.key.as_deref().map(str::as_bytes)).map_err(refused)
    }

    fn subscribe(&mut self, key: u32, id: Option<&RawValue>, order: &ChannelOrder) {
        let name = &order.channel;
        match self.try_subscribe(key, name, order.since.as_deref()) {
            Ok((channels, start)) => {
                self.change(key, channels, |mut positions| {
                    positions.push(start);
                    positions
                });
                let cursor = self.positions(key).to_text();
                self.owe(key, &Object::Hello { cursor: &cursor, channel: Some(name) });
                if id.is_some() {
                    self.owe(key, &Object::Ack { id, cursor: &cursor });
                }
                self.go_on(key);
            }
            Err(problem) => self.owe(key, &refusal(id, &problem)),
        }
    }

    /// The channels with one more, and where that begins.
    fn try_subscribe(
        &self,
        key: u32,
        name: &str,
        since: Option<&str>,
    ) -> Result<(Channels, Cursor), Problem> {
        let bad = |detail: &str| Problem::new(400, detail);
        let name = ChannelName::new(name).map_err(|error| bad(&sentence(&error.to_string())))?;
        let since = params::since(since.unwrap_or("now").as_bytes(), 1)?;
        let Some(channels) = self.channels(key) else { return Err(bad("The connection is closing.")) };
        if channels.0.iter().any(|channel| *channel.name() == name) {
            return Err(Problem::new(
                409,
                "This connection has the channel already; unsubscribe first to move in it.",
            ));
        }
        if channels.0.len() >= MAX_CHANNELS {
            return Err(bad(&sentence(&NameError::TooMany.to_string())));
        }
        let channel = self.place.hub.channel(&name).map_err(refused)?;
        let one = Channels([channel].into());
        let all: Vec<_> = channels.0.iter().chain(one.0.iter()).cloned().collect();
        Ok((Channels(all.into()), one.start(&since).0[0]))
    }

    fn unsubscribe(&mut self, key: u32, id: Option<&RawValue>, name: &str) {
        let Some(channels) = self.channels(key) else { return };
        let Some(index) = channels.0.iter().position(|channel| channel.name().as_str() == name) else {
            return self
                .owe(key, &refusal(id, &Problem::new(404, "This connection does not have the channel.")));
        };
        let mut all = channels.0.to_vec();
        all.remove(index);
        self.change(key, Channels(all.into()), |mut positions| {
            positions.remove(index);
            positions
        });
        let cursor = self.positions(key).to_text();
        self.owe(key, &Object::Ack { id, cursor: &cursor });
        self.go_on(key);
    }

    /// Moves the connection to other channels. The answer to the command comes next, with the positions that the connection has then: what was
    /// written before is before it, and nothing is written between.
    fn change(&mut self, key: u32, channels: Channels, positions: impl FnOnce(Vec<Cursor>) -> Vec<Cursor>) {
        let Some(kind) = self.rows[key as usize].websocket.as_ref().map(|ws| ws.kind) else { return };
        let wire = Wire { kind, chunked: false, gzip: false };
        let shape = Shape::Stream { wire, labelled: channels.0.len() > 1 };
        self.change_channels(key, channels, shape, positions);
    }

    /// The channels of a member; none if it is leaving.
    fn channels(&self, key: u32) -> Option<Channels> {
        let group = self.rows.get(key as usize)?.group()?;
        Some(self.groups[group as usize].channels.clone())
    }

    fn owe(&mut self, key: u32, object: &Object<'_>) {
        let row = self.rows.get_mut(key as usize).filter(|row| !matches!(row.role, RowRole::Closing));
        if let Some(websocket) = row.and_then(|row| row.websocket.as_mut()) {
            ws::object(&mut websocket.owed, object);
        }
    }
}

/// The longest message that is read at all. Within JSON a control character takes six bytes. A little over the limit is read and refused in
/// words, much is not read.
fn longest(kind: Kind, max_message: usize) -> u64 {
    let spelled = if matches!(kind, Kind::WsV1 { .. }) { 6 } else { 1 };
    (max_message as u64).saturating_mul(spelled).saturating_add(4096)
}

/// What a client may send on `tidewire.v1`: what every command has.
#[derive(Default, Deserialize)]
struct Command<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct PublishOrder {
    channel: Option<String>,
    event: Option<String>,
    content_type: Option<String>,
    data: Option<String>,
    data_b64: Option<String>,
    key: Option<String>,
}

/// To subscribe or to unsubscribe.
#[derive(Deserialize)]
struct ChannelOrder {
    channel: String,
    since: Option<String>,
}

fn bad_command(detail: &str) -> Object<'_> {
    Object::Error { id: None, status: 400, title: "Bad Request", detail }
}

fn refusal<'a>(id: Option<&'a RawValue>, problem: &'a Problem) -> Object<'a> {
    Object::Error { id, status: problem.status, title: problem.title(), detail: &problem.detail }
}

#[cfg(test)]
mod tests {
    use tidewire_ws::{Kind as MessageKind, deflate};

    use super::*;

    /// Frames as a client sends them.
    fn masked(count: usize, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        deflate::encode_message(MessageKind::Binary, payload, &ws::DEFLATE, &mut frame);
        let (header, n) = Header::parse(&frame).unwrap().unwrap();
        let masked = Header { mask: Some([0; 4]), ..header };
        let mut bytes = [0; Header::MAX_LEN];
        let len = masked.encode(&mut bytes).unwrap();
        [&bytes[..len], &frame[n..]].concat().repeat(count)
    }

    #[test]
    fn a_read_full_of_bombs_is_taken_a_few_at_a_time() {
        let payload = vec![0; 600 * 1024];
        let mut read = masked(10, &payload);
        assert!(read.len() < 64 * 1024, "one read: {}", read.len());
        let params = Params {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        };
        let mut websocket = WebSocket::new(Kind::WsBare { deflate: true }, Some(params), 0, 1024 * 1024);
        let mut incoming = websocket.receive(&mut read, 0, 1024 * 1024);
        let mut all = incoming.len();
        while websocket.has_more() {
            assert_eq!(incoming.len(), 2, "the second one is over the megabyte");
            incoming = websocket.receive(&mut [], 0, 1024 * 1024);
            all += incoming.len();
        }
        assert_eq!((all, websocket.partial.len(), websocket.closing), (10, 0, false));
    }
}
