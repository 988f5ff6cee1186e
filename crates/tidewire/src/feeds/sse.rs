//! Server-Sent Events (WHATWG HTML §9.2): `id:` is the cursor, so a browser's `EventSource` resumes by itself.

use tidewire_server::Response;
use tidewire_sse::Event;

use super::{Break, Envelope, Feed, Flow, Greeting};
use crate::message::Object;

/// `text/event-stream`.
pub(crate) struct Sse;

impl Feed for Sse {
    fn head(&self, response: Response) -> Response {
        response.with("Content-Type", "text/event-stream")
    }

    /// `retry:` and `id:` without data: no event is dispatched, but the browser holds a cursor before the first
    /// message, and a cut in that window loses nothing.
    fn hello(&self, out: &mut Vec<u8>, greeting: &Greeting<'_>) {
        let retry = Some(greeting.retry_ms.into());
        write(out, &Event { retry, id: Some(greeting.cursor), ..Event::default() });
    }

    /// The payload as `data:`, line by line. Two things cannot be said so and travel as the JSON object: a payload
    /// that an event stream would change (not UTF-8, or with a CR, which would arrive as LF) under `event: envelope`; and,
    /// where a connection has several channels, which one it was.
    fn message(&self, out: &mut Vec<u8>, envelope: &Envelope<'_>) {
        let Envelope { cursor, channel, message } = *envelope;
        match message.text().filter(|text| channel.is_none() && !text.contains('\r')) {
            Some(text) => {
                let event =
                    Event { id: Some(cursor), event: message.event(), data: Some(text), ..Event::default() };
                write(out, &event);
            }
            None => {
                let event = if channel.is_none() { Some("envelope") } else { message.event() };
                write_object(out, cursor, event, &Object::message(message, cursor, channel));
            }
        }
    }

    fn discontinuity(&self, out: &mut Vec<u8>, what: &Break<'_>, cursor: &str) -> Flow {
        let event = match what {
            Break::Gap { .. } => "gap",
            Break::Reset { .. } => "reset",
        };
        write_object(out, cursor, Some(event), &what.object(cursor));
        Flow::Continue
    }

    /// An empty comment: no event, but bytes for every proxy on the way.
    fn heartbeat(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b":\n\n");
    }

    fn goodbye(&self, out: &mut Vec<u8>, retry_ms: u32) {
        write(out, &Event { retry: Some(retry_ms.into()), ..Event::default() });
    }
}

/// The same with everything as JSON objects in unnamed events, for a client that cannot know the event names beforehand: an `EventSource`
/// must name each one that it wants to hear.
pub(crate) struct Objects;

impl Feed for Objects {
    fn head(&self, response: Response) -> Response {
        Sse.head(response)
    }

    fn hello(&self, out: &mut Vec<u8>, greeting: &Greeting<'_>) {
        let cursor = greeting.cursor;
        write(out, &Event { retry: Some(greeting.retry_ms.into()), ..Event::default() });
        write_object(out, cursor, None, &Object::Hello { cursor, channel: None });
    }

    fn message(&self, out: &mut Vec<u8>, envelope: &Envelope<'_>) {
        let Envelope { cursor, channel, message } = *envelope;
        write_object(out, cursor, None, &Object::message(message, cursor, channel));
    }

    fn discontinuity(&self, out: &mut Vec<u8>, what: &Break<'_>, cursor: &str) -> Flow {
        write_object(out, cursor, None, &what.object(cursor));
        Flow::Continue
    }

    /// An event with empty data: a page does not see comments, and wants to know that the server lives.
    fn heartbeat(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data:\n\n");
    }

    fn goodbye(&self, out: &mut Vec<u8>, retry_ms: u32) {
        Sse.goodbye(out, retry_ms);
    }
}

fn write_object(out: &mut Vec<u8>, cursor: &str, event: Option<&str>, object: &Object<'_>) {
    let mut json = Vec::new();
    object.write(&mut json);
    let json = std::str::from_utf8(&json).expect("serde_json writes UTF-8");
    write(out, &Event { id: Some(cursor), event, data: Some(json), ..Event::default() });
}

fn write(out: &mut Vec<u8>, event: &Event<'_>) {
    event.encode_to(out).expect("cursors and checked event names hold no line ends");
}
