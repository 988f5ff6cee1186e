//! What a server sends: frames that are not masked.

#[cfg(doc)]
use crate::EncodeErrorKind;
use crate::frame::{Header, Opcode};
use crate::{Connection, EncodeError, Kind, Server};
use alloc::vec::Vec;
use core::convert::Infallible;

/// What a server sends. Each method appends one frame to `out`.
impl Connection<Server> {
    /// Sends a whole text message.
    ///
    /// # Errors
    /// [`EncodeErrorKind::Closing`] or [`EncodeErrorKind::MessageUnfinished`].
    #[inline]
    pub fn send_text(&mut self, text: &str, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.put_message(Kind::Text, text.as_bytes(), (), out)
    }

    /// Sends a whole binary message.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    #[inline]
    pub fn send_binary(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.put_message(Kind::Binary, data, (), out)
    }

    /// Sends the frame header of a whole message that is not compressed. The caller writes the
    /// `len` bytes of payload after it, without a copy.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), and [`EncodeErrorKind::TooLong`] for 2^63 bytes or more.
    pub fn send_message_head(&mut self, kind: Kind, len: u64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.may_send_message()?;
        Header { fin: true, rsv1: false, opcode: kind.opcode(), masking_key: None, len }.encode_to(out)
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
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.put_fragment(Kind::Text, text.as_bytes(), last, (), out)
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
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.put_fragment(Kind::Binary, data, last, (), out)
    }

    /// Sends a ping of up to 125 bytes. The peer answers with a pong that carries the same bytes.
    ///
    /// # Errors
    /// [`EncodeErrorKind::Closing`] or [`EncodeErrorKind::ControlTooLong`].
    pub fn send_ping(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.put_control(Opcode::Ping, payload, (), out)
    }

    /// Sends a pong without a ping: a heartbeat in one direction. Pings of the peer are answered by
    /// [`take_output`](Self::take_output).
    ///
    /// # Errors
    /// As [`send_ping`](Self::send_ping).
    pub fn send_pong(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.put_control(Opcode::Pong, payload, (), out)
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
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.put_own_close(code, reason, (), out)
    }

    /// Appends what this end owes to the peer: the pong for the latest ping, and the close frame of
    /// a reply or of a failure.
    ///
    /// Call it after each [`decode`](Self::decode), or once after all that one read brought. A pong
    /// replaces the one before it, so at most two frames wait.
    #[inline]
    pub fn take_output(&mut self, out: &mut Vec<u8>) {
        let Ok(()) = self.put_replies(|| Ok::<_, Infallible>(()), out);
    }
}
