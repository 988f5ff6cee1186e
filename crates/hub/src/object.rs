//! The JSON objects that the feeds write.

use std::ops::Not;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use tidewire_server::{Problem, json};
use tidewire_store::Message;

use crate::feeds::{boundary, script};
use crate::form::FormKind;
use crate::json_text::Place;
use crate::out::Out;

/// The JSON objects of the feeds. `docs/http-api.md` documents their members, in this order.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Object<'a> {
    /// The first object of every stream.
    Hello {
        /// The position at which the stream starts.
        cursor: &'a str,
        /// The channel, if the connection has several.
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<&'a str>,
    },
    /// A message without its payload, which [`write_message`] adds.
    Message {
        /// The position after this message.
        cursor: &'a str,
        /// The channel, if the connection has several.
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<&'a str>,
        /// Milliseconds since 1970.
        time: u64,
        /// The event name.
        #[serde(skip_serializing_if = "Option::is_none")]
        event: Option<&'a str>,
        /// The media type.
        #[serde(skip_serializing_if = "Option::is_none")]
        content_type: Option<&'a str>,
    },
    /// Messages were lost because the log no longer keeps them.
    Gap {
        /// The position that was asked for.
        from: &'a str,
        /// The stream goes on after this position.
        cursor: &'a str,
        /// The number of lost messages.
        missed: u64,
    },
    /// The position is not in this log.
    Reset {
        /// The reason, one word.
        reason: &'a str,
        /// The stream goes on after this position.
        cursor: &'a str,
    },
    /// The channel was closed, and the reader has all its messages.
    End {
        /// The position at the end.
        cursor: &'a str,
        /// The channel, if the connection has several.
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<&'a str>,
    },
    /// The channel was deleted, with all its messages.
    Deleted {
        /// The channel, if the connection has several.
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<&'a str>,
    },
    /// Shows that the connection is alive.
    Heartbeat,
    /// A publish or a subscription was carried out.
    Ack {
        /// The id of the client's command, as it was spelled.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
        /// What was done.
        #[serde(flatten)]
        done: Done<'a>,
    },
    /// A publish or a subscription was refused.
    Error {
        /// The id of the client's command, as it was spelled.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
        /// An HTTP status.
        status: u16,
        /// The reason phrase.
        title: &'a str,
        /// What is wrong, and what to do.
        detail: &'a str,
        /// Further members of the problem.
        #[serde(flatten, serialize_with = "extensions")]
        problem: Option<&'a Problem>,
    },
}

/// What was done. The answer to a POST has the same members.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Done<'a> {
    /// The position after the published message, or of the connection.
    pub(crate) cursor: &'a str,
    /// The message was in the log already.
    #[serde(skip_serializing_if = "Not::not")]
    pub(crate) duplicate: bool,
    /// The channel has ended.
    #[serde(skip_serializing_if = "Not::not")]
    pub(crate) closed: bool,
    /// The position of the end, if the channel has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<&'a str>,
}

impl<'a> Done<'a> {
    /// The connection is at this position.
    pub(crate) fn at(cursor: &'a str) -> Self {
        Done { cursor, duplicate: false, closed: false, end: None }
    }

    /// A message was published, or the channel was closed. `end` is the position of the end, if the
    /// channel has ended.
    pub(crate) fn published(cursor: &'a str, duplicate: bool, end: Option<&'a str>) -> Self {
        Done { cursor, duplicate, closed: end.is_some(), end }
    }
}

/// Writes the extension members of a problem.
fn extensions<S: Serializer>(problem: &Option<&Problem>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(problem.iter().flat_map(|problem| problem.extensions()))
}

impl<'a> Object<'a> {
    /// Appends the object. It contains no line end.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        json::write(self, out);
        if let Object::Ack { id: Some(id), .. } | Object::Error { id: Some(id), .. } = self
            && id.get().contains(['\n', '\r'])
        {
            // Line ends can stand only between the parts of an id, which is copied as the client
            // wrote it. A JSON string has no raw line end, and all white space means the same.
            out[start..]
                .iter_mut()
                .filter(|byte| matches!(byte, b'\n' | b'\r'))
                .for_each(|byte| *byte = b' ');
        }
    }
}

/// Appends the object of a published message.
pub(crate) fn write_message(
    message: &Message,
    cursor: &str,
    channel: Option<&str>,
    place: Place,
    out: &mut Out<'_>,
) {
    write_message_head(message, cursor, channel, place, out.own());
    out.form(FormKind::Json(place), message);
}

/// Appends the object up to the payload, which is its last member.
pub(crate) fn write_message_head(
    message: &Message,
    cursor: &str,
    channel: Option<&str>,
    place: Place,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    json::write(
        &Object::Message {
            cursor,
            channel,
            time: message.time_ms(),
            event: message.event(),
            content_type: message.content_type(),
        },
        out,
    );
    out.pop();
    match place {
        Place::Line => {}
        Place::Script => {
            let json = out.split_off(start);
            script::push_json(out, &json);
        }
        Place::Part => boundary::escape(out, start),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use tidewire_store::reserved_events;

    use super::*;
    use crate::form_cache::FormCache;

    fn json(object: &Object<'_>) -> String {
        let mut out = Vec::new();
        object.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn message(message: &Message, cursor: &str, channel: Option<&str>) -> String {
        let forms = FormCache::new(Arc::default());
        let mut out = Out::new(&forms, false);
        write_message(message, cursor, channel, Place::Line, &mut out);
        String::from_utf8(out.finish().to_vec()).unwrap()
    }

    #[test]
    fn objects_have_the_documented_shape() {
        let text = Message::new("hi \"you\"\n".into(), 7);
        assert_eq!(
            message(&text, "e-1", None),
            r#"{"type":"message","cursor":"e-1","time":7,"data":"hi \"you\"\n"}"#
        );
        let binary = Message::new(Bytes::from_static(&[0xff, 0]), 7)
            .with_event("x")
            .unwrap()
            .with_content_type("a/b")
            .unwrap();
        assert_eq!(
            message(&binary, "e-2", Some("c")),
            concat!(
                r#"{"type":"message","cursor":"e-2","channel":"c","time":7,"event":"x","#,
                r#""content_type":"a/b","data_b64":"/wA="}"#
            )
        );
        assert_eq!(
            json(&Object::Gap { from: "e-1", cursor: "e-9", missed: 8 }),
            r#"{"type":"gap","from":"e-1","cursor":"e-9","missed":8}"#
        );
        assert_eq!(
            json(&Object::End { cursor: "e-9", channel: Some("c") }),
            r#"{"type":"end","cursor":"e-9","channel":"c"}"#
        );
        assert_eq!(json(&Object::Deleted { channel: Some("c") }), r#"{"type":"deleted","channel":"c"}"#);
        assert_eq!(json(&Object::Heartbeat), r#"{"type":"heartbeat"}"#);
    }

    /// A reader may take the type of an object for the name of an event. So a publisher cannot use
    /// the names, apart from those that are no news to a reader.
    #[test]
    fn a_publisher_cannot_use_the_type_of_an_object_as_an_event_name() {
        let (cursor, reason) = ("e-1", "r");
        for object in [
            Object::Hello { cursor, channel: None },
            Object::Message { cursor, channel: None, time: 0, event: None, content_type: None },
            Object::Gap { from: cursor, cursor, missed: 1 },
            Object::Reset { reason, cursor },
            Object::End { cursor, channel: None },
            Object::Deleted { channel: None },
            Object::Heartbeat,
            Object::Ack { id: None, done: Done::at(cursor) },
            Object::Error { id: None, status: 400, title: "", detail: "", problem: None },
        ] {
            // The compiler asks for the new variant, and the list above needs it too.
            let name = match object {
                Object::Hello { .. } => reserved_events::HELLO,
                Object::Gap { .. } => reserved_events::GAP,
                Object::Reset { .. } => reserved_events::RESET,
                Object::End { .. } => reserved_events::END,
                Object::Deleted { .. } => reserved_events::DELETED,
                Object::Error { .. } => reserved_events::ERROR,
                // The usual name of an event. It is allowed, because it means no name.
                Object::Message { .. } => "message",
                // Only on `tidewire.v1`, where objects are not events.
                Object::Heartbeat => "heartbeat",
                Object::Ack { .. } => "ack",
            };
            assert!(json(&object).starts_with(&format!("{{\"type\":\"{name}\"")), "{object:?}");
        }
    }
}
