//! The client: one request at a time.

use super::Codec;
use super::error::Error;
use super::item::{Item, OutgoingRequest};
use super::parts::{Place, push_trailer, send_data, send_end};
#[cfg(doc)]
use crate::connection::Connection;
use crate::event::Event;
use crate::outgoing::Request;
use crate::owned_head::OwnedResponseHead;
use crate::reuse::{CloseReason, NextExchangeError};
use crate::role::Client;
use crate::state::State;
use alloc::vec::Vec;
use bytes::BytesMut;

impl Codec<Client> {
    /// See [`Connection::must_close`].
    #[must_use]
    pub fn must_close(&self) -> bool {
        self.connection.must_close()
    }

    /// See [`Connection::close_reason`].
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.connection.close_reason()
    }

    /// Begins the next exchange, if there was one before. The end of a response is not skipped: the
    /// reader of the stream would wait for it.
    fn begin(&mut self) -> Result<(), NextExchangeError> {
        if self.connection.state() == State::START && self.connection.error().is_none() {
            Ok(())
        } else if self.connection.end_is_due() {
            Err(NextExchangeError::NotRead)
        } else {
            self.connection.next_exchange()
        }
    }

    /// See [`Connection::is_switched`].
    #[must_use]
    pub fn is_switched(&self) -> bool {
        self.connection.is_switched()
    }
}

impl tokio_util::codec::Decoder for Codec<Client> {
    type Item = Item<OwnedResponseHead>;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, Error> {
        let (used, event) = self.connection.decode(src, &mut self.fields).map_err(Error::Decode)?;
        let place = match event {
            Some(Event::Response(head)) => {
                let parts = head.detach();
                return Ok(Some(Item::Head(OwnedResponseHead::new(parts, src.split_to(used).freeze()))));
            }
            other => Place::of(other, src),
        };
        let item = place.cut_from(src, used);
        if self.connection.is_paused() && !self.connection.is_switched() && !src.is_empty() {
            // RFC 9112 §9.2 (2): these bytes answer no request. They must not stay in the buffer,
            // where they would be read as the response to the next request.
            self.connection.exchange.close(CloseReason::UnexpectedBytes);
            src.clear();
        }
        Ok(item)
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, Error> {
        match self.decode(src)? {
            Some(item) => Ok(Some(item)),
            None => {
                let end = self.connection.finish().map_err(Error::Decode)?;
                if !self.connection.is_switched() {
                    src.clear();
                }
                Ok(end.map(|_| Item::End))
            }
        }
    }
}

impl tokio_util::codec::Encoder<Item<OutgoingRequest>> for Codec<Client> {
    type Error = Error;

    fn encode(&mut self, item: Item<OutgoingRequest>, dst: &mut BytesMut) -> Result<(), Error> {
        match item {
            Item::Head(head) => {
                self.begin().map_err(Error::NextExchange)?;
                let (mut out, blocks) = (Vec::new(), [&head.fields]);
                let request = Request::new(&head.method, &head.target, &head.host).with_fields(&blocks);
                self.connection.send_request(&request, head.body, &mut out).map_err(Error::Encode)?;
                self.trailers.clear();
                dst.extend_from_slice(&out);
                Ok(())
            }
            Item::Data(data) => send_data(&mut self.connection, &data, dst),
            Item::Trailer { name, value } => {
                push_trailer(&self.connection, &mut self.trailers, &name, &value)
            }
            Item::End => send_end(&mut self.connection, &mut self.trailers, dst),
        }
    }
}
