//! The WebSocket side of the table: what clients send, and what they are owed for it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tidewire_channel::Cursor;
use tidewire_server::Problem;

use super::group::Shape;
use super::protocol::Incoming;
use super::subscriber::Role;
use super::table::Table;
use crate::channel::Published;
use crate::error::HubError;
use crate::feeds::{Flow, Wire};
use crate::message::Message;
use crate::name::{ChannelName, MAX_CHANNELS, NameError};
use crate::object::Object;
use crate::positions::{Channels, Start};
use crate::refusal::{bad_request, hub_refusal, sentence};

/// Bytes of a command's id, as it is spelled: it is held for the answer.
const MAX_ID: usize = 1024;

impl Table {
    pub(super) fn websocket_received(&mut self, key: u32, bytes: &mut [u8]) {
        let ran_ms = self.ran_ms;
        let row = &mut self.rows[key as usize];
        let Some(websocket) = &mut row.websocket else { return };
        if matches!(row.role, Role::Closing) {
            return websocket.stop_hearing();
        }
        let is_v1 = websocket.is_v1();
        let messages = websocket.receive(bytes, ran_ms, self.context.hub.config().max_message);
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
        if matches!(row.role, Role::Closing) {
            // One of the commands ended the subscription, and wrote the last frame.
            return;
        }
        let Some(websocket) = &mut row.websocket else { return };
        websocket.end_turn(&self.inflating);
        if websocket.is_closing() {
            let last = websocket.take_output().unwrap_or_default();
            self.answer(key, last);
        } else if row.pending.is_empty() {
            self.settle(key);
        }
    }

    /// A bare message is a message for the channel. Between bare payloads there is no context to say why it was refused, so the
    /// connection ends with the reason, and what came behind it is not published: a publisher whose message was refused has a hole
    /// in what it sent, and nobody would see it.
    fn publish_bare(&mut self, key: u32, data: Bytes) -> Flow {
        let Some(channels) = self.channels(key) else { return Flow::End };
        let outcome = match &*channels.0 {
            [one] => {
                let message = Message::new(data, self.context.hub.wall_ms());
                self.context.hub.publish(one.name(), message, None).map_err(|error| {
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
        if let Some(websocket) = &mut self.rows[key as usize].websocket {
            websocket.close(code, &reason);
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
        let mut message = Message::new(data, self.context.hub.wall_ms());
        if let Some(event) = &order.event {
            message = message.with_event(event).map_err(|error| bad(&sentence(&error.to_string())))?;
        }
        if let Some(content_type) = &order.content_type {
            message = message
                .with_content_type(content_type)
                .map_err(|error| bad(&sentence(&error.to_string())))?;
        }
        self.context.hub.publish(&name, message, order.key.as_deref().map(str::as_bytes)).map_err(hub_refusal)
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
        let since = Start::parse(since.unwrap_or("now").as_bytes(), 1).map_err(bad_request)?;
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
        let channel = self.context.hub.channel(&name).map_err(hub_refusal)?;
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

    /// Moves the connection to other channels. The answer to the command comes next, with the
    /// positions after the move. Everything that was written before stands before it, and nothing
    /// comes between.
    fn change(&mut self, key: u32, channels: Channels, positions: impl FnOnce(Vec<Cursor>) -> Vec<Cursor>) {
        let Some(format) = self.rows[key as usize].websocket.as_ref().map(|ws| ws.kind()) else { return };
        let wire = Wire { format, chunked: false, gzip: false };
        let shape = Shape::Stream { wire, labelled: channels.0.len() > 1 };
        self.change_channels(key, channels, shape, positions);
    }

    /// The channels of a member; none if it is leaving.
    fn channels(&self, key: u32) -> Option<Channels> {
        let group = self.rows.get(key as usize)?.group()?;
        Some(self.groups[group as usize].channels.clone())
    }

    fn owe(&mut self, key: u32, object: &Object<'_>) {
        let row = self.rows.get_mut(key as usize).filter(|row| !matches!(row.role, Role::Closing));
        if let Some(websocket) = row.and_then(|row| row.websocket.as_mut()) {
            websocket.owe(object);
        }
    }
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
