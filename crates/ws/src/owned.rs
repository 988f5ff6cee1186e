//! Messages that own their bytes, for the codec and the tokio adapter.

use crate::event::Found;
use crate::frame::{Header, Opcode};
use crate::outbox::BY_REFERENCE;
use crate::role::Side;
use crate::{Client, Connection, EncodeError, Error, ErrorKind, Event, Kind, Message, Outbox, Role, Server};
use bytes::Bytes;

impl<R: Role> Connection<R> {
    /// As [`decode`](Self::decode), but the message owns its bytes. A message that was collected in
    /// the connection's buffer is not copied.
    ///
    /// # Errors
    /// As [`decode`](Self::decode). [`ErrorKind::InPieces`] on a connection that returns messages
    /// [in pieces](Self::in_pieces). This error is not final, and no input is consumed: call
    /// [`decode`](Self::decode).
    #[inline]
    pub fn decode_owned(&mut self, input: &mut [u8]) -> Result<(usize, Option<Message>), Error> {
        if self.in_pieces {
            return Err(self.only_in_pieces());
        }
        let (n, found) = self.find(input)?;
        let Some(found) = found else { return Ok((n, None)) };
        if matches!(found, Found::Gathered) {
            return Ok((n, Some(self.message.take())));
        }
        let message = match self.event(found, &input[..n])? {
            Event::Text(text) => Message::Text(text.into()),
            Event::Binary(data) => Message::Binary(Bytes::copy_from_slice(data)),
            Event::Ping(data) => Message::Ping(Bytes::copy_from_slice(data)),
            Event::Pong(data) => Message::Pong(Bytes::copy_from_slice(data)),
            Event::Close { code, reason } => Message::Close { code, reason: reason.into() },
            Event::Piece { .. } => return Err(self.only_in_pieces()),
        };
        Ok((n, Some(message)))
    }

    #[cold]
    fn only_in_pieces(&self) -> Error {
        Error::new(ErrorKind::InPieces, self.frames.offset())
    }

    /// Queues a message of either role.
    #[inline]
    pub(crate) fn put_owned(
        &mut self,
        message: Message,
        key: R::Key,
        outbox: &mut Outbox,
    ) -> Result<(), EncodeError> {
        let sent = match message {
            Message::Text(text) if self.copies(text.len()) => {
                self.put_message(Kind::Text, text.as_bytes(), key, outbox.tail_with_room())
            }
            Message::Text(text) => self.put_by_reference(Kind::Text, text.into(), outbox),
            Message::Binary(data) if self.copies(data.len()) => {
                self.put_message(Kind::Binary, &data, key, outbox.tail_with_room())
            }
            Message::Binary(data) => self.put_by_reference(Kind::Binary, data, outbox),
            Message::Ping(data) => self.put_control(Opcode::Ping, &data, key, outbox.tail()),
            Message::Pong(data) => self.put_control(Opcode::Pong, &data, key, outbox.tail()),
            Message::Close { code, reason } => self.put_own_close(code, &reason, key, outbox.tail()),
        };
        if sent.is_err() {
            outbox.release();
        }
        sent
    }

    /// Queues a fragment, as `put_fragment` does. A long one that is not masked is not copied.
    #[cfg(feature = "tokio")]
    pub(crate) fn put_fragment_owned(
        &mut self,
        kind: Kind,
        payload: Bytes,
        last: bool,
        key: R::Key,
        outbox: &mut Outbox,
    ) -> Result<(), EncodeError> {
        if payload.len() < BY_REFERENCE || R::SIDE == Side::Client {
            let sent = self.put_fragment(kind, &payload, last, key, outbox.tail_with_room());
            if sent.is_err() {
                outbox.release();
            }
            return sent;
        }
        let opcode = self.begin_fragment(kind, last)?;
        let len = payload.len() as u64;
        Header { fin: last, rsv1: false, opcode, masking_key: None, len }.encode_to(outbox.tail())?;
        outbox.push(payload);
        Ok(())
    }

    /// Whether a payload of this length is copied: its bytes change on the way (masked or
    /// compressed), or it is so short that a copy costs less than a reference.
    fn copies(&self, len: usize) -> bool {
        len < BY_REFERENCE || R::SIDE == Side::Client || self.compresses(len)
    }

    /// Queues a payload without a copy. Not for a client, whose payloads are masked.
    fn put_by_reference(
        &mut self,
        kind: Kind,
        payload: Bytes,
        outbox: &mut Outbox,
    ) -> Result<(), EncodeError> {
        self.may_send_message()?;
        let len = payload.len() as u64;
        Header { fin: true, rsv1: false, opcode: kind.opcode(), masking_key: None, len }
            .encode_to(outbox.tail())?;
        outbox.push(payload);
        Ok(())
    }
}

impl Connection<Server> {
    /// Appends a message to `outbox`. A payload of 4 KiB or more that is not compressed is not
    /// copied.
    ///
    /// # Errors
    /// Those of the `send_…` method for its kind.
    #[inline]
    pub fn send(&mut self, message: Message, outbox: &mut Outbox) -> Result<(), EncodeError> {
        self.put_owned(message, (), outbox)
    }
}

impl Connection<Client> {
    /// Appends a message to `outbox`.
    ///
    /// # Errors
    /// Those of the `send_…` method for its kind.
    #[inline]
    pub fn send(
        &mut self,
        message: Message,
        masking_key: [u8; 4],
        outbox: &mut Outbox,
    ) -> Result<(), EncodeError> {
        self.put_owned(message, masking_key, outbox)
    }
}
