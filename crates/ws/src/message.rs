use alloc::string::String;
use bytes::Bytes;

/// A message or a control frame that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
    /// A ping. A received ping has been answered.
    Ping(Bytes),
    /// A pong.
    Pong(Bytes),
    /// A close. A received close has been answered.
    Close {
        /// See [`close`](crate::close).
        code: Option<u16>,
        /// Up to 123 bytes.
        reason: String,
    },
}

impl Message {
    /// Whether this is text or binary, and not a control frame.
    pub const fn is_data(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Binary(_))
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Bytes> for Message {
    fn from(data: Bytes) -> Self {
        Self::Binary(data)
    }
}
