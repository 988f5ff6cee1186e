//! A received message that owns its text.

use alloc::borrow::Cow;
use alloc::string::String;

use crate::decode::{DEFAULT_EVENT_TYPE, Event};

/// A message that was received: an [`Event::Message`] that owns its text.
///
/// A message without an `event` field and without an id costs one allocation, for its data. When it
/// is forwarded, its id is always sent: an empty one says that there is none.
///
/// ```
/// use tidewire_sse::Message;
///
/// let message = Message { event_type: "tide".into(), data: "high".into(), last_event_id: "7".into() };
/// let mut wire = Vec::new();
/// message.as_event().encode_to(&mut wire)?; // to forward it
/// assert_eq!(wire, b"id: 7\nevent: tide\ndata: high\n\n");
/// # Ok::<(), tidewire_sse::EncodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    /// The value of the `event` field; `message` if there was none or an empty one.
    pub event_type: Cow<'static, str>,
    /// The `data` lines, joined by line feeds.
    pub data: String,
    /// The last id that the stream has set, with this message or before. Empty if there is none.
    pub last_event_id: String,
}

impl Message {
    #[cfg(feature = "stream")]
    pub(crate) fn new(event_type: &str, data: &str, last_event_id: &str) -> Self {
        let event_type = match event_type {
            DEFAULT_EVENT_TYPE => Cow::Borrowed(DEFAULT_EVENT_TYPE),
            other => Cow::Owned(other.into()),
        };
        Self { event_type, data: data.into(), last_event_id: last_event_id.into() }
    }

    /// The message as an event, to encode it.
    #[must_use]
    pub fn as_event(&self) -> Event<'_> {
        Event::Message { event_type: &self.event_type, data: &self.data, last_event_id: &self.last_event_id }
    }
}

/// The data. The event type and the id are dropped.
impl From<Message> for String {
    fn from(message: Message) -> Self {
        message.data
    }
}

/// A message with the default type and no id.
impl From<String> for Message {
    fn from(data: String) -> Self {
        Self { event_type: Cow::Borrowed(DEFAULT_EVENT_TYPE), data, last_event_id: String::new() }
    }
}

impl From<&str> for Message {
    fn from(data: &str) -> Self {
        Self::from(String::from(data))
    }
}
