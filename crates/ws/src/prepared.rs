//! A message that is encoded once and sent to many connections.

#[cfg(feature = "deflate")]
use crate::role::Side;
use crate::{Connection, EncodeError, Kind, Server, encode_message};
use alloc::vec::Vec;
#[cfg(feature = "deflate")]
use std::sync::OnceLock;

/// Shared bytes: `Bytes` with the feature `bytes`, otherwise `Arc<[u8]>`.
#[cfg(feature = "bytes")]
type Shared = bytes::Bytes;
#[cfg(not(feature = "bytes"))]
type Shared = alloc::sync::Arc<[u8]>;

/// A server's message that is encoded once, and compressed at most once, for all its connections.
///
/// ```
/// use tidewire_ws::{Connection, Limits, PreparedMessage, Server};
/// let message = PreparedMessage::text("tick");
/// let mut out = Vec::new();
/// for _ in 0..3 {
///     let mut connection = Connection::<Server>::new(Limits::DEFAULT);
///     out.extend_from_slice(connection.send_prepared(&message).unwrap());
/// }
/// assert_eq!(out, b"\x81\x04tick\x81\x04tick\x81\x04tick");
/// ```
#[derive(Debug)]
pub struct PreparedMessage {
    plain: Shared,
    kind: Kind,
    payload_len: usize,
    /// Compressed with the full window and no context. `None` inside if that is not shorter.
    #[cfg(feature = "deflate")]
    deflated: OnceLock<Option<Shared>>,
}

impl PreparedMessage {
    /// A text message.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::new(Kind::Text, text.as_bytes())
    }

    /// A binary message.
    #[must_use]
    pub fn binary(data: &[u8]) -> Self {
        Self::new(Kind::Binary, data)
    }

    /// Text or binary.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The uncompressed payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.plain[self.plain.len().saturating_sub(self.payload_len)..]
    }

    /// The uncompressed frame, for connections without permessage-deflate.
    #[must_use]
    pub const fn frame(&self) -> &Shared {
        &self.plain
    }

    /// A message of this kind. The caller guarantees that the payload of a text is UTF-8.
    #[must_use]
    pub fn new(kind: Kind, payload: &[u8]) -> Self {
        let mut frame = Vec::new();
        encode_message(kind, payload, &mut frame);
        Self {
            plain: frame.into(),
            kind,
            payload_len: payload.len(),
            #[cfg(feature = "deflate")]
            deflated: OnceLock::new(),
        }
    }
}

impl Connection<Server> {
    /// Returns the bytes to write for this message. They are the same for every connection that
    /// negotiated the same compression.
    ///
    /// A connection whose compressor has context takeover forgets its context here, because the
    /// peer's window moves on without it. So with prepared messages, context takeover saves little.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub fn send_prepared<'p>(&mut self, message: &'p PreparedMessage) -> Result<&'p Shared, EncodeError> {
        self.may_send_message()?;
        #[cfg(feature = "deflate")]
        if let Some(frame) = self.deflated(message) {
            return Ok(frame);
        }
        Ok(&message.plain)
    }

    /// The compressed frame. `None` if this connection gets the plain one.
    #[cfg(feature = "deflate")]
    fn deflated<'p>(&mut self, message: &'p PreparedMessage) -> Option<&'p Shared> {
        let deflate = self.deflate.as_mut()?;
        if !deflate.can_share(Side::Server, message.payload_len) {
            return None;
        }
        let frame = message.deflated.get_or_init(|| {
            let mut frame = Vec::new();
            let level = deflate.level();
            crate::deflate::put_compressed_message(message.kind, message.payload(), level, &mut frame)
                .then(|| frame.into())
        });
        let frame = frame.as_ref()?;
        deflate.forget_own_context();
        Some(frame)
    }
}
