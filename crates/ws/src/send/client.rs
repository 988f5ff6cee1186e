//! What a client sends: frames that are masked.

#[cfg(doc)]
use crate::EncodeErrorKind;
use crate::frame::Opcode;
use crate::{Client, Connection, EncodeError, Kind};
use alloc::vec::Vec;
use core::convert::Infallible;

/// What a client sends. Each method appends one frame to `out`. `masking_key` is the key of that
/// frame: four bytes of a cryptographic random source, fresh for each frame (RFC 6455 §5.3).
impl Connection<Client> {
    /// Sends a whole text message.
    ///
    /// # Errors
    /// [`EncodeErrorKind::Closing`] or [`EncodeErrorKind::MessageUnfinished`].
    #[inline]
    pub fn send_text(
        &mut self,
        text: &str,
        masking_key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.put_message(Kind::Text, text.as_bytes(), masking_key, out)
    }

    /// Sends a whole binary message.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    #[inline]
    pub fn send_binary(
        &mut self,
        data: &[u8],
        masking_key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.put_message(Kind::Binary, data, masking_key, out)
    }

    /// Sends a fragment of a text message. The first fragment begins the message, the one with
    /// `last` ends it. A message that is sent in fragments is not compressed.
    ///
    /// Pings, pongs and the close may go between fragments, other messages may not.
    ///
    /// # Errors
    /// [`EncodeErrorKind::Closing`], or [`EncodeErrorKind::MessageUnfinished`] inside a binary
    /// message.
    pub fn send_text_fragment(
        &mut self,
        text: &str,
        last: bool,
        masking_key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.put_fragment(Kind::Text, text.as_bytes(), last, masking_key, out)
    }

    /// Sends a fragment of a binary message, as
    /// [`send_text_fragment`](Self::send_text_fragment) does for text.
    ///
    /// # Errors
    /// [`EncodeErrorKind::Closing`], or [`EncodeErrorKind::MessageUnfinished`] inside a text
    /// message.
    pub fn send_binary_fragment(
        &mut self,
        data: &[u8],
        last: bool,
        masking_key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.put_fragment(Kind::Binary, data, last, masking_key, out)
    }

    /// Sends a ping of up to 125 bytes. The peer answers with a pong that carries the same bytes.
    ///
    /// # Errors
    /// [`EncodeErrorKind::Closing`] or [`EncodeErrorKind::ControlTooLong`].
    pub fn send_ping(
        &mut self,
        payload: &[u8],
        masking_key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.put_control(Opcode::Ping, payload, masking_key, out)
    }

    /// Sends a pong without a ping: a heartbeat in one direction. Pings of the peer are answered by
    /// [`take_output`](Self::take_output).
    ///
    /// # Errors
    /// As [`send_ping`](Self::send_ping).
    pub fn send_pong(
        &mut self,
        payload: &[u8],
        masking_key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.put_control(Opcode::Pong, payload, masking_key, out)
    }

    /// Sends a close frame. Nothing more may be sent after it.
    ///
    /// After a close of the peer, this close is the reply. Call [`take_output`](Self::take_output)
    /// first: nothing may follow a close, so a pong that is still owed is dropped.
    ///
    /// # Errors
    /// [`EncodeErrorKind::Closing`] if a close was sent already, [`EncodeErrorKind::CloseCode`] for
    /// a code outside of [`close::is_valid`](crate::close::is_valid),
    /// [`EncodeErrorKind::ControlTooLong`] for a reason over 123 bytes,
    /// [`EncodeErrorKind::ReasonWithoutCode`].
    pub fn send_close(
        &mut self,
        code: Option<u16>,
        reason: &str,
        masking_key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.put_own_close(code, reason, masking_key, out)
    }

    /// Appends what this end owes to the peer: the pong for the latest ping, and the close frame of
    /// a reply or of a failure.
    ///
    /// Call it after each [`decode`](Self::decode), or once after all that one read brought. A pong
    /// replaces the one before it, so at most two frames wait.
    ///
    /// `keys` makes the masking key of each frame.
    #[inline]
    pub fn take_output(&mut self, mut keys: impl FnMut() -> [u8; 4], out: &mut Vec<u8>) {
        let Ok(()) = self.put_replies(|| Ok::<_, Infallible>(keys()), out);
    }
}
