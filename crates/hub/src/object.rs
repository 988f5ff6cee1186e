//! The JSON objects that every feed which speaks JSON writes.

use serde::Serialize;
use serde_json::value::RawValue;
use tidewire_server::json;

use crate::feeds::{boundary, script};
use crate::form::FormKind;
use crate::json_text::Place;
use crate::message::Message;
use crate::out::Out;

/// The JSON objects of the feeds, in the order and with the names of `docs/http-api.md`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Object<'a> {
    /// First on every stream: where it begins.
    Hello {
        /// Where the stream begins: what follows comes after this.
        cursor: &'a str,
        /// Which channel, where a connection has several.
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<&'a str>,
    },
    /// A message, but for its payload: see [`write_message`].
    Message {
        /// The position after this message.
        cursor: &'a str,
        /// Which channel, where a connection has several.
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
    /// Messages were lost to retention.
    Gap {
        /// The position that was asked for.
        from: &'a str,
        /// What follows starts after this.
        cursor: &'a str,
        /// How many messages are lost.
        missed: u64,
    },
    /// The position is not one of this log.
    Reset {
        /// Why, in a word.
        reason: &'a str,
        /// What follows starts after this.
        cursor: &'a str,
    },
    /// The connection lives.
    Heartbeat,
    /// A publish or a subscription was carried out.
    Ack {
        /// The client's id, as it came.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
        /// The cursor of the published message, or of the subscription.
        cursor: &'a str,
    },
    /// A publish or a subscription was refused.
    Error {
        /// The client's id, as it came.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RawValue>,
        /// As an HTTP status.
        status: u16,
        /// The reason phrase.
        title: &'a str,
        /// What to do.
        detail: &'a str,
    },
}

impl<'a> Object<'a> {
    /// Appends the object. No character in it is a line end to any reader.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        json::write(self, out);
        if let Object::Ack { id: Some(id), .. } | Object::Error { id: Some(id), .. } = self
            && id.get().contains(['\n', '\r'])
        {
            // Only between the parts of an id, which comes back as it was written: a string cannot
            // hold a raw line end. All white space means the same.
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

/// Appends what stands before the payload, with which the object ends.
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

    use super::*;
    use crate::forms::Forms;

    fn json(object: &Object<'_>) -> String {
        let mut out = Vec::new();
        object.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn message(message: &Message, cursor: &str, channel: Option<&str>) -> String {
        let forms = Forms::new(Arc::default());
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
            r#"{"type":"message","cursor":"e-2","channel":"c","time":7,"event":"x","content_type":"a/b","data_b64":"/wA="}"#
        );
        assert_eq!(
            json(&Object::Gap { from: "e-1", cursor: "e-9", missed: 8 }),
            r#"{"type":"gap","from":"e-1","cursor":"e-9","missed":8}"#
        );
        assert_eq!(json(&Object::Heartbeat), r#"{"type":"heartbeat"}"#);
    }
}
