//! A message: a payload with its event name, media type and time.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tidewire_channel::Fingerprint;

use crate::reserved_events::{RESERVED_EVENTS, UPLOAD_ABORTED, UPLOAD_END};

/// A message: a payload with its event name, media type and time.
///
/// ```
/// use tidewire_store::Message;
///
/// let message = Message::new(r#"{"level":3.2}"#.into(), 1_795_000_000_000)
///     .with_event("tide")?
///     .with_content_type("application/json")?;
/// assert_eq!((message.event(), message.text()), (Some("tide"), Some(r#"{"level":3.2}"#)));
///
/// // The server sends events of this name itself.
/// assert!(Message::new("x".into(), 0).with_event("gap").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    event: Option<Box<str>>,
    content_type: Option<Box<str>>,
    time_ms: u64,
    data: Bytes,
    is_text: bool,
}

/// Longest event name, in bytes.
pub const MAX_EVENT: usize = 128;

/// Longest media type, in bytes.
pub const MAX_CONTENT_TYPE: usize = 256;

impl Message {
    /// A message with this payload, published at `time_ms`: milliseconds since 1970. The time is
    /// for people; nothing is ordered by it. If the previous message of the log has a later time,
    /// the hub gives the message that time instead.
    pub fn new(data: Bytes, time_ms: u64) -> Self {
        let is_text = std::str::from_utf8(&data).is_ok();
        Message { event: None, content_type: None, time_ms, data, is_text }
    }

    /// Sets the event name.
    ///
    /// # Errors
    /// [`EventNameError`] if the name is empty, too long or reserved, or has control characters: an
    /// event stream could not carry it.
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
    /// [`ContentTypeError`] if a response could not carry it in its head.
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
    pub fn mark(mark: Mark, time_ms: u64) -> Self {
        Message { event: Some(mark.event().into()), ..Message::new(Bytes::new(), time_ms) }
    }

    /// How an upload ended, if this message says that. Its event names are reserved, so no
    /// publisher can forge them.
    pub fn as_mark(&self) -> Option<Mark> {
        [Mark::End, Mark::Aborted].into_iter().find(|mark| self.event() == Some(mark.event()))
    }

    /// A message with exactly these parts, for a store that has kept them. It checks nothing: the
    /// parts were those of a message, perhaps of a [mark](Self::mark), whose name nobody else may
    /// set.
    #[must_use]
    pub fn from_parts(
        event: Option<Box<str>>,
        content_type: Option<Box<str>>,
        data: Bytes,
        time_ms: u64,
    ) -> Self {
        Message { event, content_type, ..Message::new(data, time_ms) }
    }

    /// The same message with another time.
    #[must_use]
    pub fn with_time(&self, time_ms: u64) -> Self {
        Message { time_ms, ..self.clone() }
    }

    /// The first `len` bytes of the payload, copied, with the same names and time: the first
    /// message of a fork that begins inside this message. The whole payload if it is shorter.
    #[must_use]
    pub fn cut(&self, len: usize) -> Self {
        let data = Bytes::copy_from_slice(self.data.get(..len).unwrap_or(&self.data));
        let is_text = std::str::from_utf8(&data).is_ok();
        Message { data, is_text, ..self.clone() }
    }

    /// The event name.
    pub fn event(&self) -> Option<&str> {
        self.event.as_deref()
    }

    /// The media type that the publisher set.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The time of publishing in milliseconds since 1970. Within a log it never decreases.
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

    /// A hash of event name, media type and payload, which an idempotency key is bound to. Each
    /// name is hashed after a number: 0 if there is no name, otherwise its length plus 1. So
    /// different messages hash different bytes. The time is left out, because a retry comes later.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        for name in [self.event(), self.content_type()] {
            let len = name.map_or(0, |name| (name.len() as u64).saturating_add(1));
            hash.update(len.to_le_bytes());
            hash.update(name.unwrap_or_default());
        }
        hash.update(&self.data);
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&hash.finalize()[..16]);
        Fingerprint(fingerprint)
    }

    /// Bytes that the message counts in a log: the payload, the names and the bookkeeping.
    pub fn weight(&self) -> usize {
        let len = |name: Option<&str>| name.map_or(0, str::len);
        Self::weight_of(self.data.len(), len(self.event()), len(self.content_type()))
    }

    /// The [`weight`](Self::weight) of a message whose parts have these lengths in bytes; 0 for a
    /// name that it does not have.
    #[must_use]
    pub const fn weight_of(data: usize, event: usize, content_type: usize) -> usize {
        size_of::<Self>().saturating_add(data).saturating_add(event).saturating_add(content_type)
    }
}

/// How an upload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Complete.
    End,
    /// Incomplete: the publisher left, or the server stopped.
    Aborted,
}

impl Mark {
    /// The event name of the message that says so.
    pub fn event(self) -> &'static str {
        match self {
            Mark::End => UPLOAD_END,
            Mark::Aborted => UPLOAD_ABORTED,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_messages_have_different_fingerprints() {
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
