//! Bytes out of messages.

use crate::frame::{Header, Opcode};
use crate::{Connection, EncodeError, Kind, Role, close, mask, state::Happening};
use alloc::vec::Vec;

/// Appends one whole message as a server's unmasked frame.
///
/// It is the same for every client, so a hub encodes a message once and shares the bytes. The caller vouches that the payload of
/// a [`Kind::Text`] is UTF-8; clients close the connection with 1007 if it is not.
///
/// ```
/// use tidewire_ws::{Kind, encode_message};
/// let mut out = Vec::new();
/// encode_message(Kind::Text, b"Hello", &mut out);
/// assert_eq!(out, b"\x81\x05Hello");
/// ```
#[inline]
pub fn encode_message(kind: Kind, payload: &[u8], out: &mut Vec<u8>) {
    put(kind.opcode(), true, None, payload, out);
}

/// What a connection sends. Each appends one frame to `out`; `mask` is the frame's key in the client role, where it has to be
/// four fresh bytes of a cryptographic random source (RFC 6455 §5.3), and is ignored in the server role.
impl Connection {
    /// Sends a whole text message.
    ///
    /// # Errors
    /// [`EncodeError::Closing`] or [`EncodeError::MessageUnfinished`].
    #[inline]
    pub fn send_text(&mut self, text: &str, mask: [u8; 4], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.send_whole(Kind::Text, text.as_bytes(), mask, out)
    }

    /// Sends a whole binary message.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    #[inline]
    pub fn send_binary(&mut self, data: &[u8], mask: [u8; 4], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.send_whole(Kind::Binary, data, mask, out)
    }

    /// Sends the header of a whole message that is not compressed; its `len` bytes of payload go to the socket beside, without a
    /// copy. Only for a server: a client's payload has to be masked.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), [`EncodeError::MustMask`] in the client role, [`EncodeError::TooLong`] for 2^63
    /// bytes or more.
    pub fn send_message_head(&mut self, kind: Kind, len: u64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.role() == Role::Client {
            return Err(EncodeError::MustMask);
        }
        self.may_send_message()?;
        Header { fin: true, rsv1: false, opcode: kind.opcode(), mask: None, len }.encode_to(out)
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
        mask: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.send_fragment(Kind::Text, text.as_bytes(), last, mask, out)
    }

    /// Sends a fragment of a binary message: the first one begins it, the one with `last` ends it.
    ///
    /// # Errors
    /// [`EncodeError::Closing`], or [`EncodeError::MessageUnfinished`] inside a text message.
    pub fn send_binary_fragment(
        &mut self,
        data: &[u8],
        last: bool,
        mask: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.send_fragment(Kind::Binary, data, last, mask, out)
    }

    /// Sends a ping of up to 125 bytes. The peer answers with a pong that carries the same.
    ///
    /// # Errors
    /// [`EncodeError::Closing`] or [`EncodeError::ControlTooLong`].
    pub fn send_ping(&mut self, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.send_control(Opcode::Ping, payload, mask, out)
    }

    /// Sends a pong that nobody asked for: a heartbeat in one direction. Pings are answered without it.
    ///
    /// # Errors
    /// As [`send_ping`](Self::send_ping).
    pub fn send_pong(&mut self, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.send_control(Opcode::Pong, payload, mask, out)
    }

    /// Sends a close frame, after which nothing more may be sent.
    ///
    /// After a close of the peer's it takes the place of the reply that is owed. Take what is owed first: a pong that was not
    /// taken is dropped, since nothing may follow a close.
    ///
    /// # Errors
    /// [`EncodeError::Closing`] if one was sent already, [`EncodeError::CloseCode`] for a code outside of
    /// [`close::is_valid`], [`EncodeError::ControlTooLong`] for a reason over 123 bytes or one without a code.
    pub fn send_close(
        &mut self,
        code: Option<u16>,
        reason: &str,
        mask: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if !self.may_send_close() {
            return Err(EncodeError::Closing);
        }
        encode_close(code, reason, self.key(mask), out)?;
        self.close_was_sent();
        Ok(())
    }

    pub(crate) fn send_whole(
        &mut self,
        kind: Kind,
        payload: &[u8],
        mask: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.may_send_message()?;
        let key = self.key(mask);
        #[cfg(feature = "deflate")]
        {
            let role = self.role();
            if let Some(deflate) = &mut self.deflate {
                let sent = crate::deflate::with_scratch(|compressed| {
                    let shorter = deflate.compress(role, payload, compressed);
                    if shorter {
                        put_frame(kind.opcode(), true, true, key, compressed, out);
                    }
                    shorter
                });
                if sent {
                    return Ok(());
                }
            }
        }
        put(kind.opcode(), true, key, payload, out);
        Ok(())
    }

    /// Whether a message of this length is compressed when it is sent.
    #[cfg(feature = "bytes")]
    pub(crate) fn compresses(&self, len: usize) -> bool {
        #[cfg(feature = "deflate")]
        return self.deflate.as_ref().is_some_and(|deflate| deflate.wants(len));
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
        mask: [u8; 4],
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
        put(opcode, last, self.key(mask), payload, out);
        self.sending = (!last).then_some(kind);
        Ok(())
    }

    fn send_control(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        mask: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if !self.is_open() {
            return Err(EncodeError::Closing);
        }
        if payload.len() > MAX_CONTROL {
            return Err(EncodeError::ControlTooLong);
        }
        put(opcode, true, self.key(mask), payload, out);
        Ok(())
    }

    const fn key(&self, mask: [u8; 4]) -> Option<[u8; 4]> {
        // RFC 6455 §5.1 (1), and RFC 6455 §5.1 (3)
        match self.role() {
            Role::Server => None,
            Role::Client => Some(mask),
        }
    }

    fn close_was_sent(&mut self) {
        self.state = self.state.on(Happening::CloseSent);
        self.sending = None;
        self.pong = None;
    }

    const fn may_send_close(&self) -> bool {
        self.is_open() || matches!(self.state, crate::state::State::CloseReceived)
    }

    /// Appends the replies that are owed: the pong for the latest ping, then the close.
    pub(crate) fn put_replies(&mut self, mut keys: impl FnMut() -> Option<[u8; 4]>, out: &mut Vec<u8>) {
        if let Some(pong) = self.pong.take() {
            put(Opcode::Pong, true, keys(), pong.payload(), out);
        }
        if self.state.owes_close() {
            // RFC 6455 §7.1.7 (2)
            let (code, reason) = match self.error() {
                Some(error) => (Some(error.close_code()), error.kind().detail()),
                None => (self.echo, ""),
            };
            // An echoed code was checked when it came, ours are valid by their table, and the reasons are short.
            let written = encode_close(code, reason, keys(), out);
            debug_assert_eq!(written, Ok(()));
            self.close_was_sent();
        }
    }
}

/// Appends a close frame. `code` and `reason` are checked, `mask` is `None` for a server.
///
/// # Errors
/// As [`Connection::send_close`].
pub fn encode_close(
    code: Option<u16>,
    reason: &str,
    mask: Option<[u8; 4]>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut payload = [0; MAX_CONTROL];
    let payload = match code {
        None if reason.is_empty() => &payload[..0],
        None => return Err(EncodeError::ControlTooLong),
        // RFC 6455 §7.4.1 (1) to (3)
        Some(code) if !close::is_valid(code) => return Err(EncodeError::CloseCode),
        Some(code) => {
            let len = 2 + reason.len();
            let bytes = payload.get_mut(..len).ok_or(EncodeError::ControlTooLong)?;
            bytes[..2].copy_from_slice(&code.to_be_bytes());
            bytes[2..].copy_from_slice(reason.as_bytes());
            &payload[..len]
        }
    };
    put(Opcode::Close, true, mask, payload, out);
    Ok(())
}

/// Appends one frame that is not compressed.
#[inline]
pub(crate) fn put(opcode: Opcode, fin: bool, key: Option<[u8; 4]>, payload: &[u8], out: &mut Vec<u8>) {
    put_frame(opcode, fin, false, key, payload, out);
}

/// Appends one frame: header, and the payload, masked where it lands.
#[inline]
pub(crate) fn put_frame(
    opcode: Opcode,
    fin: bool,
    rsv1: bool,
    key: Option<[u8; 4]>,
    payload: &[u8],
    out: &mut Vec<u8>,
) {
    let header = Header { fin, rsv1, opcode, mask: key, len: payload.len() as u64 };
    out.reserve(header.encoded_len() + payload.len());
    let written = header.encode_to(out);
    debug_assert_eq!(written, Ok(()), "callers bound control frames, and no slice is 2^63 bytes long");
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = key {
        mask::apply(key, &mut out[start..]);
    }
}

const MAX_CONTROL: usize = crate::frame::MAX_CONTROL as usize;

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
        for (role, mask) in [(Role::Client, Some(KEY)), (Role::Server, None)] {
            for frame in everything(&mut Connection::new(role, Limits::DEFAULT)) {
                let (header, _) = Header::parse(&frame).unwrap().unwrap();
                assert_eq!((header.mask, header.rsv1), (mask, false), "{}", frame.escape_ascii());
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
