//! The server: it reads ahead, and answers in order.

use super::error::{Error, MAX_PIPELINED};
use super::item::{Item, OutgoingResponse};
use super::parts::{Place, push_trailer, send_data, send_end};
use super::{Codec, Responses};
use crate::connection::Connection;
use crate::error::{EncodeError, EncodeErrorKind};
use crate::event::Event;
use crate::message::BodyLength;
use crate::outgoing::Response;
use crate::owned_head::OwnedRequestHead;
use crate::reuse::CloseReason;
use crate::role::Server;
use crate::state::{Exchange, Half};
use alloc::vec::Vec;
use bytes::BytesMut;

impl Codec<Server> {
    /// Returns whether the connection must be closed, now that the last response is sent.
    #[must_use]
    pub fn must_close(&self) -> bool {
        self.close_reason().is_some()
    }

    /// Returns why the connection must be closed. `None` if it stays open, or the last response is
    /// not sent: see [`must_close`](Self::must_close).
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        if self.is_switched() {
            return None;
        }
        let Responses { writer, unanswered } = &self.responses;
        let sent = if writer.is_sent() { writer.close_reason() } else { None };
        let read = if unanswered.is_empty() { self.connection.close_reason() } else { None };
        sent.or(read)
    }

    /// Returns whether the last response switched protocols. The read buffer then belongs to the
    /// other protocol: take it with `Framed::into_parts`.
    #[must_use]
    pub fn is_switched(&self) -> bool {
        self.responses.writer.is_switched()
    }

    /// The reader has failed. `before` says in which half of the request. A head that could not be
    /// read still gets a response. After the response to a body that could not be read, the
    /// connection closes.
    fn failed(&mut self, before: Half) -> Result<(), Error> {
        match before {
            Half::Head => self.responses.expect(self.connection.exchange),
            Half::Body => {
                self.responses.close_after_last(CloseReason::Failed);
                Ok(())
            }
            Half::Idle | Half::Done | Half::Switched | Half::Closed => Ok(()),
        }
    }

    /// Returns whether the last request that was read asked for another protocol.
    const fn offers_switch(&self) -> bool {
        self.connection.exchange.offers_upgrade() || self.connection.exchange.is_connect()
    }

    /// Reads the request behind a complete one, unless the meaning of what follows depends on the
    /// response.
    fn read_ahead(&mut self) {
        if !self.offers_switch() {
            self.connection.answered_elsewhere();
        }
    }

    /// Updates the requests after a response was begun or completed, or switched protocols. Call it
    /// once for each of these.
    fn after_write(&mut self) {
        let Responses { writer, unanswered } = &mut self.responses;
        if matches!(writer.state().response(), Half::Done | Half::Switched) {
            unanswered.pop_front();
            // If the request asked for another protocol, it did not get it: more HTTP follows.
            if unanswered.is_empty() && writer.exchange.keep_alive() && !writer.is_switched() {
                self.connection.exchange.switch_declined();
                // Otherwise `decode` reads ahead, after the end of the request.
                if self.connection.is_paused() {
                    self.read_ahead();
                }
            }
        }
    }
}

impl tokio_util::codec::Decoder for Codec<Server> {
    type Item = Item<OwnedRequestHead>;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, Error> {
        let before = self.connection.state().request();
        let (used, event) = match self.connection.decode(src, &mut self.fields) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.failed(before)?;
                return Err(Error::Decode(error));
            }
        };
        let place = match event {
            Some(Event::Request(head)) => {
                let parts = head.detach();
                self.responses.expect(self.connection.exchange)?;
                return Ok(Some(Item::Head(OwnedRequestHead::new(parts, src.split_to(used).freeze()))));
            }
            other => Place::of(other, src),
        };
        if matches!(place, Place::End) {
            self.read_ahead();
        }
        Ok(place.cut_from(src, used))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, Error> {
        match self.decode(src)? {
            Some(item) => Ok(Some(item)),
            None => {
                let before = self.connection.state().request();
                let end = match self.connection.finish() {
                    Ok(end) => end,
                    Err(error) => {
                        self.failed(before)?;
                        return Err(Error::Decode(error));
                    }
                };
                // No request can follow, so the last response says `close`.
                self.responses.close_after_last(CloseReason::EndOfInput);
                // The rest is no request: skipped empty lines, or bytes after the last request of
                // the connection. But after a request for another protocol it may belong to that
                // protocol.
                if !self.offers_switch() {
                    src.clear();
                }
                Ok(end.map(|_| Item::End))
            }
        }
    }
}

impl tokio_util::codec::Encoder<Item<OutgoingResponse>> for Codec<Server> {
    type Error = Error;

    fn encode(&mut self, item: Item<OutgoingResponse>, dst: &mut BytesMut) -> Result<(), Error> {
        match item {
            Item::Head(head) => {
                let (mut out, blocks) = (Vec::new(), [&head.fields]);
                let response = Response::new(head.status).with_fields(&blocks);
                let writer = self.responses.writer()?;
                match head.status {
                    100 | 102..=199 if head.body != BodyLength::Empty => {
                        return Err(Error::Encode(EncodeError::from_kind(EncodeErrorKind::Body)));
                    }
                    100 => writer.send_continue(&mut out),
                    102..=199 => writer.send_interim(&response, &mut out).map_err(Error::Encode)?,
                    _ => {
                        writer.send_head(&response, head.body, &mut out).map_err(Error::Encode)?;
                        self.trailers.clear();
                    }
                }
                dst.extend_from_slice(&out);
            }
            Item::Data(data) => return send_data(&mut self.responses.writer, &data, dst),
            Item::Trailer { name, value } => {
                return push_trailer(&self.responses.writer, &mut self.trailers, &name, &value);
            }
            Item::End => {
                let complete = self.responses.writer.is_sent();
                send_end(&mut self.responses.writer, &mut self.trailers, dst)?;
                if complete {
                    return Ok(());
                }
            }
        }
        self.after_write();
        Ok(())
    }
}

impl Responses {
    /// Remembers a request that needs a response.
    fn expect(&mut self, exchange: Exchange) -> Result<(), Error> {
        if self.unanswered.len() >= MAX_PIPELINED {
            return Err(Error::TooManyPipelined);
        }
        self.unanswered.push_back(exchange);
        Ok(())
    }

    /// Makes the response to the last request the last one of the connection. If it has not begun,
    /// its head says so.
    fn close_after_last(&mut self, reason: CloseReason) {
        if self.unanswered.len() == 1 && matches!(self.writer.state().response(), Half::Head | Half::Body) {
            self.writer.exchange.close(reason);
        }
        if let Some(last) = self.unanswered.back_mut() {
            last.close(reason);
        }
    }

    /// Returns the connection that writes the response that has begun, or the next response.
    fn writer(&mut self) -> Result<&mut Connection<Server>, Error> {
        if self.writer.state().response() == Half::Done {
            self.writer.next_exchange().map_err(Error::NextExchange)?;
        }
        if self.writer.state().response() == Half::Idle {
            let exchange = self
                .unanswered
                .front()
                .ok_or(Error::Encode(EncodeError::from_kind(EncodeErrorKind::NoRequest)))?;
            self.writer.answer_for(*exchange);
        }
        Ok(&mut self.writer)
    }
}
