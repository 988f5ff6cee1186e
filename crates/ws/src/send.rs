//! What a connection sends: messages, control frames, and the replies that the protocol owes.

#[cfg(feature = "deflate")]
use crate::encode::put_compressed_frame;
use crate::encode::{encode_close, put_frame};
use crate::frame::{self, Header, Opcode};
use crate::state::{State, StateChange};
use crate::{Connection, EncodeError, Kind, Role};
use alloc::vec::Vec;

/// What a connection sends. Each appends one frame to `out`. In the client role `masking_key` is
/// the frame's key: four fresh bytes of a cryptographic random source (RFC 6455 §5.3). In the
/// server role it is ignored.
impl Connection {
    /// Sends a whole text message.
    ///
    /// # Errors
    /// [`EncodeError::Closing`] or [`EncodeError::MessageUnfinished`].
    #[inline]
    pub fn send_text(
        &mut self,
        text: &str,
        masking_key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.send_whole(Kind::Text, text.as_bytes(), masking_key, out)
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
        self.send_whole(Kind::Binary, data, masking_key, out)
    }

    /// Sends the header of a whole message that is not compressed; its `len` bytes of payload go to
    /// the socket beside, without a copy. Only for a server: a client's payload has to be masked.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), [`EncodeError::MustMask`] in the client role,
    /// [`EncodeError::TooLong`] for 2^63 bytes or more.
    pub fn send_message_head(&mut self, kind: Kind, len: u64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.role() == Role::Client {
            return Err(EncodeError::MustMask);
        }
        self.may_send_message()?;
        Header { fin: true, rsv1: false, opcode: kind.opcode(), masking_key: None, len }.encode_to(out)
    }

    /// Sends a fragment of a text message: the first one begins it, the one with `last` ends it.
    ///
    /// Pings, pongs and the close may go between fragments, other messages may not.
    ///
    /// # Errors
    /// [`EncodeError::Closing`], or [`EncodeError::MessageUnfinished`] inside a binary message.
    pub fn send_text_fragment(
        &mut self,
        text: &str,
        last: bool,
        masking_key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.send_fragment(Kind::Text, text.as_bytes(), last, masking_key, out)
    }

    /// Sends a fragment of a binary message: the first one begins it, the one with `last` ends it.
    ///
    /// # Errors
    /// [`EncodeError::Closing`], or [`EncodeError::MessageUnfinished`] inside a text message.
    pub fn send_binary_fragment(
        &mut self,
        data: &[u8],
        last: bool,
        masking_key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.send_fragment(Kind::Binary, data, last, masking_key, out)
    }

    /// Sends a ping of up to 125 bytes. The peer answers with a pong that carries the same.
    ///
    /// # Errors
    /// [`EncodeError::Closing`] or [`EncodeError::ControlTooLong`].
    pub fn send_ping(
        &mut self,
        payload: &[u8],
        masking_key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.send_control(Opcode::Ping, payload, masking_key, out)
    }

    /// Sends a pong that nobody asked for: a heartbeat in one direction. Pings are answered without
    /// it.
    ///
    /// # Errors
    /// As [`send_ping`](Self::send_ping).
    pub fn send_pong(
        &mut self,
        payload: &[u8],
        masking_key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.send_control(Opcode::Pong, payload, masking_key, out)
    }

    /// Sends a close frame, after which nothing more may be sent.
    ///
    /// After a close of the peer's it takes the place of the reply that is owed. Take what is owed
    /// first: a pong that was not taken is dropped, since nothing may follow a close.
    ///
    /// # Errors
    /// [`EncodeError::Closing`] if one was sent already, [`EncodeError::CloseCode`] for a code
    /// outside of [`close::is_valid`](crate::close::is_valid), [`EncodeError::ControlTooLong`] for
    /// a reason over 123 bytes or one without a code.
    pub fn send_close(
        &mut self,
        code: Option<u16>,
        reason: &str,
        masking_key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if !self.may_send_close() {
            return Err(EncodeError::Closing);
        }
        encode_close(code, reason, self.frame_key(masking_key), out)?;
        self.close_was_sent();
        Ok(())
    }

    /// Appends what a server owes to `out`: the pong for the latest ping, and the close frame of a
    /// reply or of a failure.
    ///
    /// Call it after each [`decode`](Self::decode), or once after the last one of a read: a pong
    /// replaces the one before it, so never more than two frames wait. A client has to mask them:
    /// in that role this does nothing, and [`take_output_masked`](Self::take_output_masked) does
    /// it.
    #[inline]
    pub fn take_output(&mut self, out: &mut Vec<u8>) {
        debug_assert!(self.role() == Role::Server, "a client takes its output with `take_output_masked`");
        if self.has_output() && self.role() == Role::Server {
            self.put_replies(|| None, out);
        }
    }

    /// As [`take_output`](Self::take_output), for the client role: `keys` makes the masking key of
    /// each frame, four fresh bytes of a cryptographic random source. A server takes no key.
    #[inline]
    pub fn take_output_masked(&mut self, mut keys: impl FnMut() -> [u8; 4], out: &mut Vec<u8>) {
        if self.has_output() {
            let client = self.role() == Role::Client;
            self.put_replies(|| client.then(&mut keys), out);
        }
    }

    pub(crate) fn send_whole(
        &mut self,
        kind: Kind,
        payload: &[u8],
        masking_key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.may_send_message()?;
        let key = self.frame_key(masking_key);
        #[cfg(feature = "deflate")]
        {
            let role = self.role();
            if let Some(deflate) = &mut self.deflate {
                let sent = crate::deflate::with_scratch(|compressed| {
                    let shorter = deflate.compress(role, payload, compressed);
                    if shorter {
                        put_compressed_frame(kind.opcode(), key, compressed, out);
                    }
                    shorter
                });
                if sent {
                    return Ok(());
                }
            }
        }
        put_frame(kind.opcode(), true, key, payload, out);
        Ok(())
    }

    /// Whether a message of this length is compressed when it is sent.
    #[cfg(feature = "bytes")]
    pub(crate) fn compresses(&self, len: usize) -> bool {
        #[cfg(feature = "deflate")]
        return self.deflate.as_ref().is_some_and(|deflate| deflate.compresses(len));
        #[cfg(not(feature = "deflate"))]
        {
            let _ = len;
            false
        }
    }

    /// Whether a whole message may be sent now.
    pub(crate) const fn may_send_message(&self) -> Result<(), EncodeError> {
        // RFC 6455 §5.5.1 (3)
        match (self.is_open(), self.sending) {
            (false, _) => Err(EncodeError::Closing),
            (true, Some(_)) => Err(EncodeError::MessageUnfinished),
            (true, None) => Ok(()),
        }
    }

    fn send_fragment(
        &mut self,
        kind: Kind,
        payload: &[u8],
        last: bool,
        masking_key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if !self.is_open() {
            return Err(EncodeError::Closing);
        }
        let opcode = match self.sending {
            None => kind.opcode(),
            Some(begun) if begun == kind => Opcode::Continuation,
            // RFC 6455 §5.4 (7)
            Some(_) => return Err(EncodeError::MessageUnfinished),
        };
        put_frame(opcode, last, self.frame_key(masking_key), payload, out);
        self.sending = (!last).then_some(kind);
        Ok(())
    }

    fn send_control(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        masking_key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if !self.is_open() {
            return Err(EncodeError::Closing);
        }
        if payload.len() as u64 > frame::MAX_CONTROL {
            return Err(EncodeError::ControlTooLong);
        }
        put_frame(opcode, true, self.frame_key(masking_key), payload, out);
        Ok(())
    }

    const fn frame_key(&self, masking_key: [u8; 4]) -> Option<[u8; 4]> {
        // RFC 6455 §5.1 (1), and RFC 6455 §5.1 (3)
        match self.role() {
            Role::Server => None,
            Role::Client => Some(masking_key),
        }
    }

    fn close_was_sent(&mut self) {
        self.state = self.state.on(StateChange::CloseSent);
        self.sending = None;
        self.pong = None;
    }

    const fn may_send_close(&self) -> bool {
        self.is_open() || matches!(self.state, State::CloseReceived)
    }

    /// Appends the replies that are owed: the pong for the latest ping, then the close.
    pub(crate) fn put_replies(&mut self, mut keys: impl FnMut() -> Option<[u8; 4]>, out: &mut Vec<u8>) {
        if let Some(pong) = self.pong.take() {
            put_frame(Opcode::Pong, true, keys(), pong.as_slice(), out);
        }
        if self.state.owes_close() {
            // RFC 6455 §7.1.7 (2)
            let (code, reason) = match self.error() {
                Some(error) => (Some(error.close_code()), error.kind().detail()),
                None => (self.peer_close_code, ""),
            };
            // An echoed code was checked when it came, ours are valid by their table, and the
            // reasons are short.
            let written = encode_close(code, reason, keys(), out);
            debug_assert_eq!(written, Ok(()));
            self.close_was_sent();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    const KEY: [u8; 4] = [1, 2, 3, 4];

    /// Everything that can be sent, one frame each.
    fn everything(connection: &mut Connection) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut add = |send: &mut dyn FnMut(&mut Vec<u8>) -> Result<(), EncodeError>| {
            let mut out = Vec::new();
            assert_eq!(send(&mut out), Ok(()));
            frames.push(out);
        };
        add(&mut |out| connection.send_text("a", KEY, out));
        add(&mut |out| connection.send_binary(b"a", KEY, out));
        add(&mut |out| connection.send_text_fragment("a", false, KEY, out));
        add(&mut |out| connection.send_text_fragment("b", true, KEY, out));
        add(&mut |out| connection.send_ping(b"", KEY, out));
        add(&mut |out| connection.send_pong(b"p", KEY, out));
        add(&mut |out| connection.send_close(Some(1000), "bye", KEY, out));
        frames
    }

    #[test]
    fn a_client_masks_every_frame() {
        for (role, masking_key) in [(Role::Client, Some(KEY)), (Role::Server, None)] {
            for frame in everything(&mut Connection::new(role, Limits::DEFAULT)) {
                let (header, _) = Header::parse(&frame).unwrap().unwrap();
                assert_eq!(
                    (header.masking_key, header.rsv1),
                    (masking_key, false),
                    "{}",
                    frame.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn fragments_are_not_interleaved() {
        let mut server = Connection::new(Role::Server, Limits::DEFAULT);
        let mut out = Vec::new();
        server.send_binary_fragment(b"a", false, KEY, &mut out).unwrap();
        server.send_ping(b"", KEY, &mut out).unwrap();
        assert_eq!(server.send_text("b", KEY, &mut out), Err(EncodeError::MessageUnfinished));
        assert_eq!(server.send_text_fragment("b", true, KEY, &mut out), Err(EncodeError::MessageUnfinished));
        server.send_binary_fragment(b"c", false, KEY, &mut out).unwrap();
        server.send_binary_fragment(b"", true, KEY, &mut out).unwrap();
        server.send_text("d", KEY, &mut out).unwrap();
        assert_eq!(out, b"\x02\x01a\x89\x00\x00\x01c\x80\x00\x81\x01d");
    }

    #[test]
    fn nothing_follows_a_close() {
        for role in [Role::Server, Role::Client] {
            let mut connection = Connection::new(role, Limits::DEFAULT);
            let mut out = Vec::new();
            connection.send_close(None, "", KEY, &mut out).unwrap();
            out.clear();
            let refused = [
                connection.send_text("a", KEY, &mut out),
                connection.send_binary_fragment(b"a", true, KEY, &mut out),
                connection.send_ping(b"", KEY, &mut out),
                connection.send_pong(b"", KEY, &mut out),
                connection.send_close(None, "", KEY, &mut out),
            ];
            assert!(refused.iter().all(|sent| *sent == Err(EncodeError::Closing)));
            connection.take_output_masked(|| KEY, &mut out);
            assert!(out.is_empty());
        }
    }
}
