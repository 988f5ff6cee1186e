//! Server-Sent Events (WHATWG HTML §9.2). `id:` is the cursor, so the `EventSource` of a browser
//! resumes by itself.

use tidewire_server::Response;
use tidewire_sse::EventFields;
use tidewire_store::reserved_events::{DELETED, END, ENVELOPE, GAP, RESET};

use super::feed::{ChannelEnd, Discontinuity, Ending, Envelope, Feed, Flow, StreamStart};
use crate::form::FormKind;
use crate::json_text::Place;
use crate::object::{Object, write_message};
use crate::out::Out;

/// `text/event-stream`.
pub(crate) struct Sse;

impl Feed for Sse {
    fn head(&self, response: Response) -> Response {
        response.with("Content-Type", "text/event-stream")
    }

    /// Writes `retry:` and `id:` without data, which dispatches no event. From then on the browser
    /// has a cursor, so it loses nothing if it is cut before the first message.
    fn start(&self, out: &mut Vec<u8>, start: &StreamStart<'_>) {
        let retry = Some(start.retry_ms.into());
        write(out, &EventFields { retry, id: Some(start.cursor), ..EventFields::default() });
    }

    /// Writes the payload as `data:` lines. A line ends at CR, LF or CRLF, and the format cannot
    /// tell these apart. A reader that needs the exact bytes asks for objects. Two kinds of
    /// messages are sent as a JSON object instead: a payload that is not UTF-8, as `event:
    /// envelope`; and all messages of a connection with several channels, because the object names
    /// the channel.
    fn message(&self, out: &mut Out<'_>, envelope: &Envelope<'_>) {
        let Envelope { cursor, channel, message } = *envelope;
        match message.text().filter(|_| channel.is_none()) {
            Some(_) => {
                begin(out.own(), Some(cursor), message.event());
                out.form(FormKind::Lines, message);
            }
            None => {
                let event = if channel.is_none() { Some(ENVELOPE) } else { message.event() };
                write_message_event(out, event, envelope);
            }
        }
    }

    fn discontinuity(&self, out: &mut Vec<u8>, what: &Discontinuity<'_>, cursor: &str) -> Flow {
        let event = match what {
            Discontinuity::Gap { .. } => GAP,
            Discontinuity::Reset { .. } => RESET,
        };
        write_object(out, Some(cursor), Some(event), &what.object(cursor));
        Flow::Continue
    }

    /// Writes an event whose id is the cursor of the end. An `EventSource` that comes back with it
    /// gets a 204, and stops.
    fn end_of_channel(&self, out: &mut Vec<u8>, end: &ChannelEnd<'_>) {
        write_object(out, Some(end.cursor), Some(END), &end.object());
    }

    /// Writes an empty comment. It is no event, but proxies on the way see bytes.
    fn heartbeat(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b":\n\n");
    }

    fn end(&self, out: &mut Vec<u8>, ending: &Ending<'_>) {
        write_ending(out, ending, Some(DELETED));
    }
}

/// The same, with JSON objects in unnamed events. For clients that do not know the event names in
/// advance: an `EventSource` must name each event that it listens to.
pub(crate) struct Objects;

impl Feed for Objects {
    fn head(&self, response: Response) -> Response {
        Sse.head(response)
    }

    fn start(&self, out: &mut Vec<u8>, start: &StreamStart<'_>) {
        let cursor = start.cursor;
        write(out, &EventFields { retry: Some(start.retry_ms.into()), ..EventFields::default() });
        write_object(out, Some(cursor), None, &Object::Hello { cursor, channel: None });
    }

    fn message(&self, out: &mut Out<'_>, envelope: &Envelope<'_>) {
        write_message_event(out, None, envelope);
    }

    fn discontinuity(&self, out: &mut Vec<u8>, what: &Discontinuity<'_>, cursor: &str) -> Flow {
        write_object(out, Some(cursor), None, &what.object(cursor));
        Flow::Continue
    }

    fn end_of_channel(&self, out: &mut Vec<u8>, end: &ChannelEnd<'_>) {
        write_object(out, Some(end.cursor), None, &end.object());
    }

    /// Writes an event with empty data. A page does not see comments, but needs to know that the
    /// server is alive.
    fn heartbeat(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data:\n\n");
    }

    fn end(&self, out: &mut Vec<u8>, ending: &Ending<'_>) {
        write_ending(out, ending, None);
    }
}

/// Writes the last event of a stream. `deleted` is the name of the event for a deleted channel,
/// which has no id: there is no position to come back to.
fn write_ending(out: &mut Vec<u8>, ending: &Ending<'_>, deleted: Option<&str>) {
    match *ending {
        Ending::Stop { retry_ms } => {
            write(out, &EventFields { retry: Some(retry_ms.into()), ..EventFields::default() });
        }
        Ending::AllEnded => {}
        Ending::Deleted { channel } => write_object(out, None, deleted, &Object::Deleted { channel }),
    }
}

fn write_object(out: &mut Vec<u8>, cursor: Option<&str>, event: Option<&str>, object: &Object<'_>) {
    begin_object(out, cursor, event);
    object.write(out);
    out.extend_from_slice(b"\n\n");
}

/// Writes a message as a JSON object.
fn write_message_event(out: &mut Out<'_>, event: Option<&str>, envelope: &Envelope<'_>) {
    let Envelope { cursor, channel, message } = *envelope;
    begin_object(out.own(), Some(cursor), event);
    write_message(message, cursor, channel, Place::Line, out);
    out.own().extend_from_slice(b"\n\n");
}

/// Begins an event whose data is one object, which is one line.
fn begin_object(out: &mut Vec<u8>, cursor: Option<&str>, event: Option<&str>) {
    begin(out, cursor, event);
    out.extend_from_slice(b"data: ");
}

/// Begins an event.
fn begin(out: &mut Vec<u8>, cursor: Option<&str>, event: Option<&str>) {
    if cursor.is_none() && event.is_none() {
        // The data alone.
        return;
    }
    write(out, &EventFields { id: cursor, event, ..EventFields::default() });
    // Remove the blank line that would end the event.
    out.pop();
}

fn write(out: &mut Vec<u8>, event: &EventFields<'_>) {
    event.encode_to(out).expect("cursors and checked event names hold no line ends");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fastrand::Rng;
    use tidewire_sse::{Decoder, Event, Limits};
    use tidewire_store::{Message, RESERVED_EVENTS};

    use super::*;
    use crate::form_cache::FormCache;

    /// What a browser gets from a message, decoded with our own decoder: event type, data and id.
    fn received(message: &Message) -> (String, String, String) {
        let forms = FormCache::new(Arc::default());
        let mut out = Out::new(&forms, false);
        Sse.message(&mut out, &Envelope { cursor: "e-1", channel: None, message });
        let wire = out.finish().to_vec();
        let mut decoder = Decoder::new(Limits::DEFAULT);
        let (used, received) = decoder.decode(&wire).unwrap();
        assert_eq!(used, wire.len(), "one message is one event");
        let Some(Event::Message { event_type, data, last_event_id }) = received else { panic!("{wire:?}") };
        (event_type.to_owned(), data.to_owned(), last_event_id.to_owned())
    }

    #[test]
    fn every_text_is_received_line_by_line_under_its_name() {
        let pieces = [
            "\r",
            "\n",
            "\r\n",
            "a",
            " ",
            ":",
            "data: x",
            "id: 7",
            "event: gap",
            "\0",
            "\u{feff}",
            "\u{85}",
            "\u{2028}",
            "é",
        ];
        let mut rng = Rng::with_seed(9);
        for _ in 0..20_000 {
            let len = rng.usize(..12);
            let text: String = (0..len).map(|_| pieces[rng.usize(..pieces.len())]).collect();
            let message = Message::new(text.clone().into(), 0).with_event("tide").unwrap();
            let lines = text.replace("\r\n", "\n").replace('\r', "\n");
            assert_eq!(received(&message), ("tide".into(), lines, "e-1".into()), "{text:?}");
        }
    }

    /// Otherwise a publisher could forge it, and readers would not know that it is no message.
    #[test]
    fn every_event_that_is_no_message_has_a_reserved_name() {
        let mut wire = Vec::new();
        Sse.start(&mut wire, &StreamStart { cursor: "e-1", retry_ms: 7, callback: "" });
        Sse.heartbeat(&mut wire);
        for what in
            [Discontinuity::Gap { from: "e-1", missed: 3 }, Discontinuity::Reset { reason: "unknown-epoch" }]
        {
            assert_eq!(Sse.discontinuity(&mut wire, &what, "e-4"), Flow::Continue);
        }
        Sse.end_of_channel(&mut wire, &ChannelEnd { cursor: "e-5", channel: None });
        for ending in [Ending::Stop { retry_ms: 7 }, Ending::AllEnded, Ending::Deleted { channel: None }] {
            Sse.end(&mut wire, &ending);
        }
        let (mut decoder, mut at, mut names) = (Decoder::new(Limits::DEFAULT), 0, Vec::new());
        while let (used, Some(event)) = decoder.decode(&wire[at..]).unwrap() {
            at += used;
            if let Event::Message { event_type, .. } = event {
                names.push(event_type.to_owned());
            }
        }
        for name in &names {
            assert!(
                RESERVED_EVENTS.contains(&name.as_str()),
                "an event stream sends {name}: take its name from crates/store/src/reserved_events.rs"
            );
        }
        assert_eq!(names, [GAP, RESET, END, DELETED], "a start, a heartbeat or a stop must be no event");
    }

    #[test]
    fn a_binary_payload_is_received_as_an_object() {
        let message = Message::new(b"\xff\r\n".as_slice().into(), 7).with_event("tide").unwrap();
        let object = r#"{"type":"message","cursor":"e-1","time":7,"event":"tide","data_b64":"/w0K"}"#;
        assert_eq!(received(&message), ("envelope".into(), object.into(), "e-1".into()));
    }
}
