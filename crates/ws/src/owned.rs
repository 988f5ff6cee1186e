//! A connection that takes and hands out messages with their own bytes, for the adapters.

use crate::event::Found;
use crate::outbox::BY_REFERENCE;
use crate::{Connection, EncodeError, Error, Event, Kind, Message, Outbox, Role};
use bytes::Bytes;

impl Connection {
    /// As [`decode`](Self::decode), but what comes out owns its bytes. A message that gathered in
    /// the buffer is not copied.
    ///
    /// Not for a connection that hands out [pieces](Self::in_pieces): it skips them.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    #[inline]
    pub fn decode_owned(&mut self, input: &mut [u8]) -> Result<(usize, Option<Message>), Error> {
        let mut end = 0;
        loop {
            let (n, found) = self.find(&mut input[end..])?;
            let start = end;
            end += n;
            let Some(found) = found else { return Ok((end, None)) };
            if matches!(found, Found::Gathered) {
                return Ok((end, Some(self.message.take())));
            }
            let message = match self.event(found, &input[start..end])? {
                Event::Text(text) => Message::Text(text.into()),
                Event::Binary(data) => Message::Binary(Bytes::copy_from_slice(data)),
                Event::Ping(data) => Message::Ping(Bytes::copy_from_slice(data)),
                Event::Pong(data) => Message::Pong(Bytes::copy_from_slice(data)),
                Event::Close { code, reason } => Message::Close { code, reason: reason.into() },
                Event::Piece { .. } => continue,
            };
            return Ok((end, Some(message)));
        }
    }

    /// Sends a message to the end of `outbox`. A server's large payload is not copied.
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
        let sent = match message {
            Message::Text(text) if self.copies(text.len()) => {
                self.send_text(&text, masking_key, outbox.tail_with_room())
            }
            Message::Text(text) => self.send_by_reference(Kind::Text, text.into(), outbox),
            Message::Binary(data) if self.copies(data.len()) => {
                self.send_binary(&data, masking_key, outbox.tail_with_room())
            }
            Message::Binary(data) => self.send_by_reference(Kind::Binary, data, outbox),
            Message::Ping(data) => self.send_ping(&data, masking_key, outbox.tail()),
            Message::Pong(data) => self.send_pong(&data, masking_key, outbox.tail()),
            Message::Close { code, reason } => self.send_close(code, &reason, masking_key, outbox.tail()),
        };
        if sent.is_err() {
            outbox.release();
        }
        sent
    }

    /// Whether a payload of this length leaves as other bytes than it came, or is so short that a
    /// copy costs less.
    fn copies(&self, len: usize) -> bool {
        len < BY_REFERENCE || self.role() == Role::Client || self.compresses(len)
    }

    fn send_by_reference(
        &mut self,
        kind: Kind,
        payload: Bytes,
        outbox: &mut Outbox,
    ) -> Result<(), EncodeError> {
        self.send_message_head(kind, payload.len() as u64, outbox.tail())?;
        outbox.push(payload);
        Ok(())
    }
}
