//! What a connection sends, for both roles: the frames, and the checks whether a state allows them.
//! `send/server.rs` and `send/client.rs` have the public methods.

mod client;
mod server;

#[cfg(feature = "deflate")]
use crate::encode::put_compressed_frame;
use crate::encode::{put_close, put_frame};
use crate::frame::{self, Opcode};
use crate::state::{State, StateChange};
use crate::{Connection, EncodeError, EncodeErrorKind, Kind, Role};
use alloc::vec::Vec;

impl<R: Role> Connection<R> {
    /// Appends a whole message, compressed if that was negotiated and makes it shorter.
    #[inline]
    pub(crate) fn put_message(
        &mut self,
        kind: Kind,
        payload: &[u8],
        key: R::Key,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.may_send_message()?;
        let key = R::masking_key(key);
        #[cfg(feature = "deflate")]
        if let Some(deflate) = &mut self.deflate {
            let sent = crate::deflate::with_scratch(|compressed| {
                let shorter = deflate.compress(R::SIDE, payload, compressed);
                if shorter {
                    put_compressed_frame(kind.opcode(), key, compressed, out);
                }
                shorter
            });
            if sent {
                return Ok(());
            }
        }
        put_frame(kind.opcode(), true, key, payload, out);
        Ok(())
    }

    /// Appends a fragment: the first one begins the message, the `last` one ends it.
    pub(crate) fn put_fragment(
        &mut self,
        kind: Kind,
        payload: &[u8],
        last: bool,
        key: R::Key,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let opcode = self.begin_fragment(kind, last)?;
        put_frame(opcode, last, R::masking_key(key), payload, out);
        Ok(())
    }

    /// Returns the opcode of the next fragment, which is sent.
    pub(crate) fn begin_fragment(&mut self, kind: Kind, last: bool) -> Result<Opcode, EncodeError> {
        if !self.is_open() {
            return Err(EncodeErrorKind::Closing.into());
        }
        let opcode = match self.sending {
            None => kind.opcode(),
            Some(begun) if begun == kind => Opcode::Continuation,
            // RFC 6455 §5.4 (7)
            Some(_) => return Err(EncodeErrorKind::MessageUnfinished.into()),
        };
        self.sending = (!last).then_some(kind);
        Ok(opcode)
    }

    /// Appends a ping or a pong.
    pub(crate) fn put_control(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        key: R::Key,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if !self.is_open() {
            return Err(EncodeErrorKind::Closing.into());
        }
        if payload.len() > frame::MAX_CONTROL {
            return Err(EncodeError::new(EncodeErrorKind::ControlTooLong, frame::MAX_CONTROL));
        }
        put_frame(opcode, true, R::masking_key(key), payload, out);
        Ok(())
    }

    /// Appends the close frame, the last frame of this direction.
    pub(crate) fn put_own_close(
        &mut self,
        code: Option<u16>,
        reason: &str,
        key: R::Key,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        if !self.may_send_close() {
            return Err(EncodeErrorKind::Closing.into());
        }
        put_close(code, reason, R::masking_key(key), out)?;
        self.close_was_sent();
        Ok(())
    }

    /// Appends the replies that are owed: the pong for the latest ping, then the close. `keys`
    /// makes the key of each frame.
    ///
    /// # Errors
    /// Those of `keys`. A reply without a key stays owed.
    #[inline]
    pub(crate) fn put_replies<E>(
        &mut self,
        mut keys: impl FnMut() -> Result<R::Key, E>,
        out: &mut Vec<u8>,
    ) -> Result<(), E> {
        if self.pong.is_some() {
            let key = R::masking_key(keys()?);
            if let Some(pong) = self.pong.take() {
                put_frame(Opcode::Pong, true, key, pong.as_slice(), out);
            }
        }
        if self.state.owes_close() {
            let key = R::masking_key(keys()?);
            // RFC 6455 §7.1.7 (2)
            let (code, reason) = match self.error() {
                Some(error) => (Some(error.close_code()), error.kind().detail()),
                None => (self.peer_close_code, ""),
            };
            let written = put_close(code, reason, key, out);
            debug_assert_eq!(
                written,
                Ok(()),
                "an echoed code was checked when it came; our codes are valid and our reasons short"
            );
            self.close_was_sent();
        }
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
    #[inline]
    pub(crate) fn may_send_message(&self) -> Result<(), EncodeError> {
        // RFC 6455 §5.5.1 (3)
        match (self.is_open(), self.sending) {
            (false, _) => Err(EncodeErrorKind::Closing.into()),
            (true, Some(_)) => Err(EncodeErrorKind::MessageUnfinished.into()),
            (true, None) => Ok(()),
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Header;
    use crate::{Client, Limits, Server};

    /// One frame of each kind that can be sent.
    fn everything<R: Role>(key: R::Key) -> Vec<Vec<u8>> {
        let mut connection = Connection::<R>::new(Limits::DEFAULT);
        let mut frames = Vec::new();
        let mut add = |send: &mut dyn FnMut(&mut Vec<u8>) -> Result<(), EncodeError>| {
            let mut out = Vec::new();
            assert_eq!(send(&mut out), Ok(()));
            frames.push(out);
        };
        add(&mut |out| connection.put_message(Kind::Text, b"a", key, out));
        add(&mut |out| connection.put_message(Kind::Binary, b"a", key, out));
        add(&mut |out| connection.put_fragment(Kind::Text, b"a", false, key, out));
        add(&mut |out| connection.put_fragment(Kind::Text, b"b", true, key, out));
        add(&mut |out| connection.put_control(Opcode::Ping, b"", key, out));
        add(&mut |out| connection.put_control(Opcode::Pong, b"p", key, out));
        add(&mut |out| connection.put_own_close(Some(1000), "bye", key, out));
        frames
    }

    #[test]
    fn a_client_masks_every_frame() {
        let client = everything::<Client>([1, 2, 3, 4]);
        let server = everything::<Server>(());
        for (frames, masking_key) in [(client, Some([1, 2, 3, 4])), (server, None)] {
            for frame in frames {
                let (header, _) = Header::parse(&frame).unwrap().unwrap();
                let shown = frame.escape_ascii();
                assert_eq!((header.masking_key, header.rsv1), (masking_key, false), "{shown}");
            }
        }
    }

    #[test]
    fn fragments_are_not_interleaved() {
        let unfinished = Err(EncodeErrorKind::MessageUnfinished.into());
        let mut server = Connection::<Server>::new(Limits::DEFAULT);
        let mut out = Vec::new();
        server.send_binary_fragment(b"a", false, &mut out).unwrap();
        server.send_ping(b"", &mut out).unwrap();
        assert_eq!(server.send_text("b", &mut out), unfinished);
        assert_eq!(server.send_text_fragment("b", true, &mut out), unfinished);
        server.send_binary_fragment(b"c", false, &mut out).unwrap();
        server.send_binary_fragment(b"", true, &mut out).unwrap();
        server.send_text("d", &mut out).unwrap();
        assert_eq!(out, b"\x02\x01a\x89\x00\x00\x01c\x80\x00\x81\x01d");
    }

    fn nothing_follows_a_close<R: Role>(key: R::Key) {
        let mut connection = Connection::<R>::new(Limits::DEFAULT);
        let mut out = Vec::new();
        connection.put_own_close(None, "", key, &mut out).unwrap();
        out.clear();
        let refused = [
            connection.put_message(Kind::Text, b"a", key, &mut out),
            connection.put_fragment(Kind::Binary, b"a", true, key, &mut out),
            connection.put_control(Opcode::Ping, b"", key, &mut out),
            connection.put_control(Opcode::Pong, b"", key, &mut out),
            connection.put_own_close(None, "", key, &mut out),
        ];
        assert!(refused.iter().all(|sent| *sent == Err(EncodeErrorKind::Closing.into())));
        connection.put_replies(|| Ok::<_, ()>(key), &mut out).unwrap();
        assert!(out.is_empty());
    }

    #[test]
    fn nothing_follows_a_close_in_either_role() {
        nothing_follows_a_close::<Server>(());
        nothing_follows_a_close::<Client>([1, 2, 3, 4]);
    }

    #[test]
    fn a_reply_without_a_masking_key_stays_owed() {
        let mut client = Connection::<Client>::new(Limits::DEFAULT);
        let mut out = Vec::new();
        client.decode(&mut b"\x89\x01p\x88\x00".to_vec()).unwrap();
        assert_eq!(client.put_replies(|| Err("no randomness"), &mut out), Err("no randomness"));
        assert!(out.is_empty() && client.has_output());
        client.take_output(|| [0; 4], &mut out);
        assert_eq!(out, b"\x8a\x81\0\0\0\0p");
    }
}
