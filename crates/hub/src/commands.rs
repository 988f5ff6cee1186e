//! Handles what WebSocket clients send: bare messages, and the commands of `tidewire.v1`.

use std::task::{Context, Poll, Waker};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tidewire_channel::Cursor;
use tidewire_server::Problem;
use tidewire_store::{ChannelName, Message};

use crate::api::producer::Producer;
use crate::api::publish::KEY_AND_PRODUCER;
use crate::channel_state::Published;
use crate::close_code::CloseCode;
use crate::error::HubError;
use crate::hub::Hub;
use crate::name::{MAX_CHANNELS, NameListError};
use crate::object::{Done, Object};
use crate::positions::{Channels, Start};
use crate::publication::Publication;
use crate::refusal::{bad_request, hub_refusal, sentence};
use crate::table::{Incoming, RowId, Table, Waiting};

/// Longest `id` of a command in bytes, as the client spelled it. It is stored for the answer.
const MAX_ID: usize = 1024;

/// The largest number of publishes of one client that wait for the store.
const MAX_IN_FLIGHT: usize = 32;

/// Handles the messages of a client, and queues the answers to it. Returns whether the remaining
/// messages must wait until a channel has room, or until the store has answered.
///
/// Publishes of `tidewire.v1` are in flight together, and answered in their order. A bare message
/// waits for the one before: if that fails, it is not published.
pub(crate) fn carry_out(hub: &Hub, table: &mut Table, row: RowId, messages: Vec<Incoming>) -> bool {
    let is_v1 = table.is_v1(row);
    let waker = table.row_waker(row);
    let mut client = Client { hub, table, row, waker, is_behind: false };
    let mut in_flight = Vec::new();
    let mut messages = messages.into_iter();
    while let Some(incoming) = messages.next() {
        client.is_behind = !in_flight.is_empty();
        let outcome = match incoming {
            Incoming::Waiting(waiting) if is_v1 => client.publish(waiting),
            Incoming::Waiting(waiting) => client.publish_bare(waiting),
            Incoming::Text(text) if is_v1 => match client.command(&text) {
                Outcome::Later => Outcome::Waits(Incoming::Text(text)),
                outcome => outcome,
            },
            Incoming::Binary(data) if is_v1 && client.is_behind => Outcome::Waits(Incoming::Binary(data)),
            Incoming::Binary(_) if is_v1 => {
                client.enqueue(&bad_command("Commands are JSON objects in text messages."));
                Outcome::Done
            }
            Incoming::Text(text) => client.bare(text.into()),
            Incoming::Binary(data) => client.bare(data),
        };
        match outcome {
            Outcome::Done | Outcome::Later => {}
            Outcome::Closed => return false,
            Outcome::Waits(Incoming::Waiting(waiting))
                if is_v1 && waiting.is_in_flight() && in_flight.len() < MAX_IN_FLIGHT =>
            {
                in_flight.push(Incoming::Waiting(waiting));
            }
            Outcome::Waits(incoming) => {
                in_flight.push(incoming);
                in_flight.extend(messages);
                return client.wait(in_flight);
            }
        }
    }
    !in_flight.is_empty() && client.wait(in_flight)
}

/// The outcome of one message of a client.
enum Outcome {
    Done,
    /// The connection is closing.
    Closed,
    /// The channel has no room yet, or the store has not answered, or earlier messages wait.
    Waits(Incoming),
    /// The store has not opened the channel of the command, or the command waits for earlier ones.
    /// Carry it out again later.
    Later,
}

/// A client, and what its commands need.
struct Client<'a> {
    hub: &'a Hub,
    table: &'a mut Table,
    row: RowId,
    /// Wakes the connection when there is room, or when the store has answered.
    waker: Waker,
    /// Whether earlier publishes are in flight. Then only a publish is carried out, and nothing is
    /// answered.
    is_behind: bool,
}

impl Waiting {
    /// Whether nothing but the store holds it up, or nothing at all.
    fn is_in_flight(&self) -> bool {
        self.outcome.is_some() || self.publication.is_sent()
    }
}

impl Client<'_> {
    /// Queues an object to be sent to the client.
    fn enqueue(&mut self, object: &Object<'_>) {
        self.table.enqueue(self.row, object);
    }

    /// Stores messages until there is room for the first. If too many wait already, closes the
    /// connection instead and returns `false`.
    fn wait(&mut self, left: Vec<Incoming>) -> bool {
        let is_kept = self.table.stall(self.row, left);
        if !is_kept {
            self.table.close(
                self.row,
                CloseCode::TryAgainLater,
                "too many messages wait for their channels, try again later",
            );
        }
        is_kept
    }

    /// Publishes a bare message to the only channel of the connection.
    ///
    /// A refusal closes the connection with the reason, because the stream of bare payloads has no
    /// place for an error. Later messages of this client are not published: the channel would have
    /// a gap that nobody could see.
    fn bare(&mut self, data: Bytes) -> Outcome {
        let Some(channels) = self.table.channels(self.row) else { return Outcome::Closed };
        let [channel] = &*channels.0 else {
            return self.close(CloseCode::Policy, "a bare message needs a connection with one channel");
        };
        let message = Message::new(data, self.hub.wall_ms());
        self.publish_bare(Waiting {
            publication: Publication::new(channel.name().clone(), message, None),
            id: None,
            outcome: None,
        })
    }

    fn publish_bare(&mut self, mut waiting: Waiting) -> Outcome {
        match self.poll(&mut waiting) {
            Poll::Pending => Outcome::Waits(Incoming::Waiting(waiting)),
            Poll::Ready(Ok(_)) => Outcome::Done,
            Poll::Ready(Err(error)) => {
                let code = match error {
                    HubError::MessageTooLarge { .. } => CloseCode::TooBig,
                    HubError::Stopping => CloseCode::Restart,
                    HubError::Store { .. } => CloseCode::TryAgainLater,
                    _ => CloseCode::Policy,
                };
                self.close(code, &error.to_string())
            }
        }
    }

    /// Closes the connection. If the client has sent its close frame already, the answer to that
    /// frame is the last one.
    fn close(&mut self, code: CloseCode, reason: &str) -> Outcome {
        self.table.close(self.row, code, reason);
        Outcome::Closed
    }

    /// Handles a command of `tidewire.v1`.
    fn command(&mut self, text: &str) -> Outcome {
        // Parses only the known members: a compressed message may inflate to megabytes of brackets.
        let Command { kind, id } = match serde_json::from_str(text) {
            // serde also accepts an array for a struct, so check for an object.
            Ok(command) if text.trim_ascii_start().starts_with('{') => command,
            Ok(_) => Command::default(),
            Err(error) if error.is_data() => Command::default(),
            Err(error) => return self.refuse(&bad_command(&format!("This is not JSON: {error}."))),
        };
        if id.is_some_and(|id| id.get().len() > MAX_ID) {
            return self.refuse(&bad_command("The id of a command has at most 1024 bytes."));
        }
        let kind: Option<String> = kind.and_then(|kind| serde_json::from_str(kind.get()).ok());
        let outcome = match kind.as_deref() {
            Some("publish") => serde_json::from_str(text).map(|command| self.begin_publish(id, &command)),
            Some("close") => serde_json::from_str(text).map(|command| self.begin_close(id, &command)),
            _ if self.is_behind => return Outcome::Later,
            Some("subscribe") => serde_json::from_str(text).map(|command| self.subscribe(id, &command)),
            Some("unsubscribe") => serde_json::from_str(text)
                .map(|command: ChannelCommand| self.unsubscribe(id, &command.channel)),
            _ => {
                let detail =
                    "A command is a JSON object whose type is publish, close, subscribe or unsubscribe.";
                return self.refuse(&refusal(id, &Problem::new(400, detail)));
            }
        };
        outcome.unwrap_or_else(|error| {
            let kind = kind.unwrap_or_default();
            let detail = format!("This {kind} cannot be carried out: {error}.");
            self.refuse(&refusal(id, &Problem::new(400, detail)))
        })
    }

    /// Answers a command with a refusal.
    fn refuse(&mut self, object: &Object<'_>) -> Outcome {
        if self.is_behind {
            return Outcome::Later;
        }
        self.enqueue(object);
        Outcome::Done
    }

    fn begin_publish(&mut self, id: Option<&RawValue>, command: &PublishCommand) -> Outcome {
        let publication = self.publication(command);
        self.begin(id, publication)
    }

    /// Closes a channel without a message.
    fn begin_close(&mut self, id: Option<&RawValue>, command: &CloseCommand) -> Outcome {
        let close = self.name(command.channel.as_deref()).and_then(|name| {
            // The channel takes no more messages, so nobody could send the message afterwards.
            if command.data.is_some() || command.data_b64.is_some() {
                return Err(bad_request(CLOSE_WITH_DATA));
            }
            Ok(by(Publication::close(name), command.producer.as_ref()))
        });
        self.begin(id, close)
    }

    fn begin(&mut self, id: Option<&RawValue>, publication: Result<Publication, Problem>) -> Outcome {
        match publication {
            Ok(publication) => {
                self.publish(Waiting { publication, id: id.map(RawValue::to_owned), outcome: None })
            }
            Err(problem) => self.refuse(&refusal(id, &problem)),
        }
    }

    fn publish(&mut self, mut waiting: Waiting) -> Outcome {
        if self.is_behind {
            return self.publish_behind(waiting);
        }
        let outcome = match waiting.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => self.poll(&mut waiting),
        };
        let id = waiting.id.as_deref();
        match outcome {
            Poll::Pending => return Outcome::Waits(Incoming::Waiting(waiting)),
            Poll::Ready(Ok(published)) => {
                let Published { cursor, duplicate, end } = published;
                let (cursor, end) = (cursor.to_string(), end.map(|end| end.to_string()));
                let done = Done::published(&cursor, duplicate, end.as_deref());
                self.enqueue(&Object::Ack { id, done });
            }
            Poll::Ready(Err(error)) => self.enqueue(&refusal(id, &hub_refusal(error))),
        }
        Outcome::Done
    }

    /// Sends a publish to the store, if it was not sent, and answers it when those before are
    /// answered.
    fn publish_behind(&mut self, mut waiting: Waiting) -> Outcome {
        if !waiting.is_in_flight() {
            // The answer to the first publish in flight wakes the connection.
            let mut nobody = Context::from_waker(Waker::noop());
            let mut outcome = self.hub.poll_publish(&mut nobody, &mut waiting.publication);
            if outcome.is_pending() && !waiting.publication.is_sent() {
                outcome = self.poll(&mut waiting);
            }
            if let Poll::Ready(outcome) = outcome {
                waiting.outcome = Some(outcome);
            }
        }
        Outcome::Waits(Incoming::Waiting(waiting))
    }

    fn poll(&self, waiting: &mut Waiting) -> Poll<Result<Published, HubError>> {
        self.hub.poll_publish(&mut Context::from_waker(&self.waker), &mut waiting.publication)
    }

    /// The channel of a command: the one that it names, or the only one of the connection.
    fn name(&self, named: Option<&str>) -> Result<ChannelName, Problem> {
        match (named, self.table.channels(self.row)) {
            (Some(name), _) => ChannelName::new(name).map_err(bad_request),
            (None, Some(channels)) if channels.0.len() == 1 => Ok(channels.0[0].name().clone()),
            _ => Err(bad_request("add the member channel: this connection has several channels or none")),
        }
    }

    fn publication(&self, command: &PublishCommand) -> Result<Publication, Problem> {
        let bad = |detail: &str| Problem::new(400, detail);
        let name = self.name(command.channel.as_deref())?;
        if command.key.is_some() && command.producer.is_some() {
            return Err(bad_request(KEY_AND_PRODUCER));
        }
        let data: Bytes = match (&command.data, &command.data_b64) {
            (Some(text), None) => text.clone().into(),
            (None, Some(text)) => STANDARD.decode(text).map_err(|_| bad("data_b64 is not base64."))?.into(),
            (None, None) if command.close => {
                return Err(bad(
                    "Give either data or data_b64; to close without a message, use the command close.",
                ));
            }
            _ => return Err(bad("Give either data or data_b64.")),
        };
        let mut message = Message::new(data, self.hub.wall_ms());
        if let Some(event) = &command.event {
            message = message.with_event(event).map_err(|error| bad(&sentence(&error.to_string())))?;
        }
        if let Some(content_type) = &command.content_type {
            message = message
                .with_content_type(content_type)
                .map_err(|error| bad(&sentence(&error.to_string())))?;
        }
        let publication = Publication::new(name, message, command.key.as_deref().map(str::as_bytes));
        let publication = by(publication, command.producer.as_ref());
        Ok(if command.close { publication.closing() } else { publication })
    }

    fn subscribe(&mut self, id: Option<&RawValue>, command: &ChannelCommand) -> Outcome {
        let name = &command.channel;
        match self.try_subscribe(name, command.since.as_deref()) {
            Ok(Poll::Pending) => return Outcome::Later,
            Ok(Poll::Ready((channels, start))) => {
                let end = channels.0.last().and_then(|channel| channel.end());
                self.table.move_to(self.row, &channels, |mut positions| {
                    positions.push(start);
                    positions
                });
                let cursor = self.table.cursor(self.row);
                self.enqueue(&Object::Hello { cursor: &cursor, channel: Some(name) });
                if id.is_some() {
                    self.enqueue(&Object::Ack { id, done: Done::at(&cursor) });
                }
                // Its client may have been at the end before. It is told again.
                if end == Some(start) {
                    let label = (channels.0.len() > 1).then_some(name.as_str());
                    self.enqueue(&Object::End { cursor: &cursor, channel: label });
                }
                self.table.turn(self.row);
            }
            Err(problem) => self.enqueue(&refusal(id, &problem)),
        }
        Outcome::Done
    }

    /// The channels including the new one, and the position at which the new one starts.
    fn try_subscribe(&self, name: &str, since: Option<&str>) -> Result<Poll<(Channels, Cursor)>, Problem> {
        let bad = |detail: &str| Problem::new(400, detail);
        let name = ChannelName::new(name).map_err(bad_request)?;
        let since = Start::parse(since.unwrap_or("now").as_bytes(), 1).map_err(bad_request)?;
        let Some(channels) = self.table.channels(self.row) else {
            return Err(bad("The connection is closing."));
        };
        if channels.0.iter().any(|channel| *channel.name() == name) {
            return Err(Problem::new(
                409,
                "This connection already has the channel; to start at another position, unsubscribe first.",
            ));
        }
        if channels.0.len() >= MAX_CHANNELS {
            return Err(bad(&sentence(&NameListError::TooMany.to_string())));
        }
        let opened = self.hub.poll_open(&mut Context::from_waker(&self.waker), &name);
        let Poll::Ready(channel) = opened.map_err(hub_refusal)? else { return Ok(Poll::Pending) };
        let one = Channels([channel].into());
        let all: Vec<_> = channels.0.iter().chain(one.0.iter()).cloned().collect();
        Ok(Poll::Ready((Channels(all.into()), one.start(&since).0[0])))
    }

    fn unsubscribe(&mut self, id: Option<&RawValue>, name: &str) -> Outcome {
        let Some(channels) = self.table.channels(self.row) else { return Outcome::Closed };
        let name = match ChannelName::new(name) {
            Ok(name) => name,
            Err(error) => return self.refuse(&refusal(id, &bad_request(error))),
        };
        let Some(index) = channels.0.iter().position(|channel| *channel.name() == name) else {
            return self
                .refuse(&refusal(id, &Problem::new(404, "This connection does not have the channel.")));
        };
        let mut all = channels.0.to_vec();
        all.remove(index);
        self.table.move_to(self.row, &Channels(all.into()), |mut positions| {
            positions.remove(index);
            positions
        });
        let cursor = self.table.cursor(self.row);
        self.enqueue(&Object::Ack { id, done: Done::at(&cursor) });
        self.table.turn(self.row);
        Outcome::Done
    }
}

/// The members that every command of `tidewire.v1` has.
#[derive(Default, Deserialize)]
struct Command<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct PublishCommand {
    channel: Option<String>,
    event: Option<String>,
    content_type: Option<String>,
    data: Option<String>,
    data_b64: Option<String>,
    key: Option<String>,
    producer: Option<Producer>,
    #[serde(default)]
    close: bool,
}

#[derive(Deserialize)]
struct CloseCommand {
    channel: Option<String>,
    producer: Option<Producer>,
    data: Option<IgnoredAny>,
    data_b64: Option<IgnoredAny>,
}

const CLOSE_WITH_DATA: &str =
    "a close command has no data; publish it with \"close\":true as the last message, or leave it out";

/// The publication with its producer, if it has one.
fn by(publication: Publication, producer: Option<&Producer>) -> Publication {
    match producer {
        Some(Producer { id, epoch, seq }) => publication.with_producer(id, *epoch, *seq),
        None => publication,
    }
}

/// A subscribe or unsubscribe command.
#[derive(Deserialize)]
struct ChannelCommand {
    channel: String,
    since: Option<String>,
}

fn bad_command(detail: &str) -> Object<'_> {
    Object::Error { id: None, status: 400, title: "Bad Request", detail, problem: None }
}

fn refusal<'a>(id: Option<&'a RawValue>, problem: &'a Problem) -> Object<'a> {
    let (status, title, detail) = (problem.status, problem.title(), &*problem.detail);
    Object::Error { id, status, title, detail, problem: Some(problem) }
}
