use crate::Text;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::str::Utf8Error;

/// A message or a control frame that owns its bytes. `clone` copies no payload.
///
/// ```
/// use tidewire_ws::Message;
/// let message = Message::text("tide");
/// assert_eq!(message.as_text(), Some("tide"));
/// assert_eq!((message.as_binary(), message.len()), (None, 4));
/// assert_eq!(message.into_data(), "tide");
/// assert_eq!(Message::from(vec![1, 2]), Message::binary(vec![1, 2]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// A text message.
    Text(Text),
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
        reason: Text,
    },
}

impl Message {
    /// Returns a text message. A `String` is not copied, a `&str` is.
    pub fn text(text: impl Into<Text>) -> Self {
        Self::Text(text.into())
    }

    /// Returns a binary message. A `Vec<u8>` is not copied, and neither is a `&'static [u8]`.
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Self::Binary(data.into())
    }

    /// Returns the text of a text message.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// Returns the bytes of a binary message.
    pub fn as_binary(&self) -> Option<&[u8]> {
        if let Self::Binary(data) = self { Some(data) } else { None }
    }

    /// Returns the payload of any message. For a close, this is its reason.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) | Self::Close { reason: text, .. } => text.as_bytes(),
            Self::Binary(data) | Self::Ping(data) | Self::Pong(data) => data,
        }
    }

    /// Returns the payload of any message as text. For a close, this is its reason. A text is
    /// neither copied nor checked again.
    ///
    /// # Errors
    /// The payload of a binary message, a ping or a pong is not UTF-8.
    pub fn into_text(self) -> Result<Text, Utf8Error> {
        match self {
            Self::Text(text) | Self::Close { reason: text, .. } => Ok(text),
            Self::Binary(data) | Self::Ping(data) | Self::Pong(data) => data.try_into(),
        }
    }

    /// Returns the payload of any message without a copy. For a close, this is its reason.
    pub fn into_data(self) -> Bytes {
        match self {
            Self::Text(text) | Self::Close { reason: text, .. } => text.into(),
            Self::Binary(data) | Self::Ping(data) | Self::Pong(data) => data,
        }
    }

    /// The length of the payload in bytes. For a close, the length of its reason.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this is text or binary, and not a control frame.
    pub const fn is_data(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Binary(_))
    }

    /// Whether this is a text message.
    pub const fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Whether this is a binary message.
    pub const fn is_binary(&self) -> bool {
        matches!(self, Self::Binary(_))
    }

    /// Whether this is a ping.
    pub const fn is_ping(&self) -> bool {
        matches!(self, Self::Ping(_))
    }

    /// Whether this is a pong.
    pub const fn is_pong(&self) -> bool {
        matches!(self, Self::Pong(_))
    }

    /// Whether this is a close.
    pub const fn is_close(&self) -> bool {
        matches!(self, Self::Close { .. })
    }
}

impl From<Text> for Message {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<Bytes> for Message {
    fn from(data: Bytes) -> Self {
        Self::Binary(data)
    }
}

impl From<Vec<u8>> for Message {
    fn from(data: Vec<u8>) -> Self {
        Self::binary(data)
    }
}

impl From<&[u8]> for Message {
    fn from(data: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(data))
    }
}

impl<const N: usize> From<&[u8; N]> for Message {
    fn from(data: &[u8; N]) -> Self {
        data.as_slice().into()
    }
}

impl<const N: usize> From<[u8; N]> for Message {
    fn from(data: [u8; N]) -> Self {
        data.as_slice().into()
    }
}

/// As [`Message::into_data`].
impl From<Message> for Bytes {
    fn from(message: Message) -> Self {
        message.into_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn each_kind_gives_its_payload() {
        let close = Message::Close { code: Some(1000), reason: "bye".into() };
        let ping = Message::Ping(Bytes::from_static(b"p\xff"));
        let all = [
            (Message::from("text"), &b"text"[..], true),
            (Message::from(String::from("text")), b"text", true),
            (Message::from(Text::from_static("text")), b"text", true),
            (Message::from(vec![b'a']), b"a", true),
            (Message::from(&b"\xfe"[..]), b"\xfe", false),
            (Message::from(b"\xfe"), b"\xfe", false),
            (Message::from([1, 2]), b"\x01\x02", true),
            (Message::from(Bytes::new()), b"", true),
            (ping, b"p\xff", false),
            (Message::Pong(Bytes::new()), b"", true),
            (close, b"bye", true),
        ];
        for (message, payload, utf8) in all {
            assert_eq!(message.as_bytes(), payload);
            assert_eq!((message.len(), message.is_empty()), (payload.len(), payload.is_empty()));
            assert_eq!(message.clone().into_data(), payload);
            assert_eq!(message.clone().into_text().is_ok(), utf8);
            assert_eq!(message.as_text().is_some(), message.is_text());
            assert_eq!(message.as_binary().is_some(), message.is_binary());
            let kinds = [
                message.is_text(),
                message.is_binary(),
                message.is_ping(),
                message.is_pong(),
                message.is_close(),
            ];
            assert_eq!(kinds.into_iter().filter(|is| *is).count(), 1);
            assert_eq!(message.is_data(), message.is_text() || message.is_binary());
        }
    }
}
