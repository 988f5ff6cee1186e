//! What is published, and the JSON objects that every feed which speaks JSON writes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tidewire_channel::Fingerprint;
use tidewire_server::json;

/// A published message: a payload and what the publisher said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    event: Option<Box<str>>,
    content_type: Option<Box<str>>,
    time_ms: u64,
    data: Bytes,
    is_text: bool,
}

/// Event names with a meaning of their own. A publisher may not use them.
///
/// - `gap`, `reset`, `hello`, `envelope`: the SSE feed sends them itself
/// - `open`, `error`: an `EventSource` fires them itself. An event of that name calls `onopen` or
///   `onerror` of a page, which believes that the connection opened or broke. (`message` is the
///   name of an event without a name, and is allowed.)
/// - `upload-end`, `upload-aborted`: how an upload ended, in the log
/// - `end`, `deleted`, `expired`: kept for a later version
pub const RESERVED_EVENTS: [&str; 11] = [
    "gap",
    "reset",
    "hello",
    "envelope",
    "open",
    "error",
    "upload-end",
    "upload-aborted",
    "end",
    "deleted",
    "expired",
];

/// Longest event name, in bytes.
pub const MAX_EVENT: usize = 128;

/// Longest media type, in bytes.
pub const MAX_CONTENT_TYPE: usize = 256;

impl Message {
    /// A message with this payload, published at `time_ms` (milliseconds since 1970, for people;
    /// nothing is ordered by it). A log moves the time forward to that of the message before, if
    /// that is later.
    pub fn new(data: Bytes, time_ms: u64) -> Self {
        let is_text = std::str::from_utf8(&data).is_ok();
        Message { event: None, content_type: None, time_ms, data, is_text }
    }

    /// Sets the event name.
    ///
    /// # Errors
    /// [`EventNameError`] for an empty, long, reserved or multi-line name: an event stream could not carry it.
    pub fn with_event(mut self, event: &str) -> Result<Self, EventNameError> {
        let is_bad = event.is_empty()
            || event.len() > MAX_EVENT
            || event.chars().any(char::is_control)
            || RESERVED_EVENTS.contains(&event);
        if is_bad {
            return Err(EventNameError);
        }
        self.event = Some(event.into());
        Ok(self)
    }

    /// Sets the media type.
    ///
    /// # Errors
    /// [`ContentTypeError`]: it could not stand in the head of an answer.
    pub fn with_content_type(mut self, content_type: &str) -> Result<Self, ContentTypeError> {
        let is_bad = content_type.is_empty()
            || content_type.len() > MAX_CONTENT_TYPE
            || content_type.chars().any(|c| c.is_control() && c != '\t');
        if is_bad {
            return Err(ContentTypeError);
        }
        self.content_type = Some(content_type.into());
        Ok(self)
    }

    /// The message that says how an upload ended.
    pub(crate) fn mark(mark: Mark, time_ms: u64) -> Self {
        Message { event: Some(mark.event().into()), ..Message::new(Bytes::new(), time_ms) }
    }

    /// How an upload ended, if this message says it: no publisher can take these names.
    pub(crate) fn as_mark(&self) -> Option<Mark> {
        [Mark::End, Mark::Aborted].into_iter().find(|mark| self.event() == Some(mark.event()))
    }

    /// The same message at another time.
    pub(crate) fn at(&self, time_ms: u64) -> Self {
        Message { time_ms, ..self.clone() }
    }

    /// The event name.
    pub fn event(&self) -> Option<&str> {
        self.event.as_deref()
    }

    /// The media type that the publisher named.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// When it was published: milliseconds since 1970 by the server's clock. It never decreases
    /// along a log.
    pub fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// The payload.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The payload as text, if it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        if self.is_text { std::str::from_utf8(&self.data).ok() } else { None }
    }

    /// What an idempotency key is bound to: a hash of the event name, the media type and the
    /// payload. The length stands before each name, and an absent name differs from an empty one,
    /// so no two messages give the same bytes. The time is not part of it: a second try comes
    /// later.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        for name in [self.event(), self.content_type()] {
            let len = name.map_or(0, |name| name.len() as u64 + 1);
            hash.update(len.to_le_bytes());
            hash.update(name.unwrap_or_default());
        }
        hash.update(&self.data);
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&hash.finalize()[..16]);
        Fingerprint(fingerprint)
    }

    /// What it weighs in a log: the payload, the names and the bookkeeping.
    pub fn weight(&self) -> usize {
        self.data.len()
            + self.event().map_or(0, str::len)
            + self.content_type().map_or(0, str::len)
            + size_of::<Self>()
    }
}

/// How an upload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It is complete.
    End,
    /// It is not: the publisher left, or the server stopped.
    Aborted,
}

impl Mark {
    /// The event name of the message that says so.
    pub(crate) fn event(self) -> &'static str {
        match self {
            Mark::End => "upload-end",
            Mark::Aborted => "upload-aborted",
        }
    }
}

/// The event name cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an event name has 1 to {MAX_EVENT} bytes, no control characters, and is none of the reserved {}",
    RESERVED_EVENTS.join(", ")
)]
pub struct EventNameError;

/// The media type cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a media type has 1 to {MAX_CONTENT_TYPE} bytes and no control characters, as in text/plain")]
pub struct ContentTypeError;

/// The JSON objects of the feeds, in the order and with the names of `docs/http-api.md`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Object<'a> {
    /// First on every stream: where it begins.
    Hello {
        /// Where the stream begins: what follows comes after this.
        cursor: &'a str,
        /// Which channel, where a connection has several.
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<&'a str>,
    },
    /// A message.
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
        /// The payload as text.
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a str>,
        /// The payload in base64, where it is not UTF-8.
        #[serde(skip_serializing_if = "Option::is_none")]
        data_b64: Option<String>,
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
    /// A publish or a subscription was carried out.
    Ack {
        /// The client's id, as it came.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a serde_json::value::RawValue>,
        /// The cursor of the published message, or of the subscription.
        cursor: &'a str,
    },
    /// A publish or a subscription was refused.
    Error {
        /// The client's id, as it came.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a serde_json::value::RawValue>,
        /// As an HTTP status.
        status: u16,
        /// The reason phrase.
        title: &'a str,
        /// What to do.
        detail: &'a str,
    },
}

impl<'a> Object<'a> {
    /// The object of a published message.
    pub fn message(message: &'a Message, cursor: &'a str, channel: Option<&'a str>) -> Self {
        let data = message.text();
        Object::Message {
            cursor,
            channel,
            time: message.time_ms(),
            event: message.event(),
            content_type: message.content_type(),
            data,
            data_b64: if data.is_none() { Some(STANDARD.encode(message.data())) } else { None },
        }
    }

    /// Appends the object. No character in it is a line end to any reader.
    pub fn write(&self, out: &mut Vec<u8>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn json(object: &Object<'_>) -> String {
        let mut out = Vec::new();
        object.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn objects_have_the_documented_shape() {
        let text = Message::new("hi \"you\"\n".into(), 7);
        assert_eq!(
            json(&Object::message(&text, "e-1", None)),
            r#"{"type":"message","cursor":"e-1","time":7,"data":"hi \"you\"\n"}"#
        );
        let binary = Message::new(Bytes::from_static(&[0xff, 0]), 7)
            .with_event("x")
            .unwrap()
            .with_content_type("a/b")
            .unwrap();
        assert_eq!(
            json(&Object::message(&binary, "e-2", Some("c"))),
            r#"{"type":"message","cursor":"e-2","channel":"c","time":7,"event":"x","content_type":"a/b","data_b64":"/wA="}"#
        );
        assert_eq!(
            json(&Object::Gap { from: "e-1", cursor: "e-9", missed: 8 }),
            r#"{"type":"gap","from":"e-1","cursor":"e-9","missed":8}"#
        );
    }

    #[test]
    fn no_two_messages_have_one_fingerprint() {
        let message = |event: Option<&str>, media: Option<&str>, data: &'static [u8]| {
            let mut message = Message::new(Bytes::from_static(data), 7);
            message.event = event.map(Into::into);
            message.content_type = media.map(Into::into);
            message
        };
        let all = [
            message(None, None, b""),
            message(None, None, b"ab"),
            message(Some("a"), None, b"b"),
            message(Some("ab"), None, b""),
            message(None, Some("ab"), b""),
            message(None, Some("a"), b"b"),
            message(Some("a"), Some("b"), b""),
            message(Some(""), None, b"ab"),
            message(None, Some(""), b"ab"),
            message(None, None, b"\0\0\0\0\0\0\0\0"),
            message(None, None, b"ac"),
        ];
        for (n, one) in all.iter().enumerate() {
            let same: Vec<_> = all.iter().map(|other| one.fingerprint() == other.fingerprint()).collect();
            assert_eq!(same.iter().position(|&same| same), Some(n), "{one:?}");
            assert_eq!(same.iter().filter(|&&same| same).count(), 1, "{one:?}");
        }
        let later = Message { time_ms: 8, ..all[2].clone() };
        assert_eq!(later.fingerprint(), all[2].fingerprint());
    }

    #[test]
    fn media_types_that_would_break_a_head_are_refused() {
        for bad in ["", "a/b\r\nX: y", "a/b\n", "a/b\0", &"a".repeat(257)] {
            assert_eq!(
                Message::new(Bytes::new(), 0).with_content_type(bad),
                Err(ContentTypeError),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn event_names_that_a_stream_cannot_carry_are_refused() {
        for bad in ["", "a\nb", "a\rb", "a\0b"].into_iter().chain(RESERVED_EVENTS) {
            assert_eq!(Message::new(Bytes::new(), 0).with_event(bad), Err(EventNameError), "{bad:?}");
        }
    }
}
