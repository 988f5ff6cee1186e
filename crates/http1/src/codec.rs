//! Both roles as a [`tokio_util::codec`]: [`ServerCodec`] and [`ClientCodec`] under `Framed`.
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use tidewire_http1::codec::{Answer, Item, ServerCodec};
//! use tidewire_http1::{BodyLength, FieldBlock, Limits};
//! use tokio_util::codec::{Decoder, Encoder};
//!
//! let mut codec = ServerCodec::new(Limits::new());
//! let mut wire = BytesMut::from("GET /a HTTP/1.1\r\nHost: b\r\n\r\n");
//! let Some(Item::Head(head)) = codec.decode(&mut wire)? else { panic!("no request") };
//! assert_eq!(head.path(), b"/a");
//! assert!(matches!(codec.decode(&mut wire)?, Some(Item::End)));
//!
//! let body = Bytes::from_static(b"hello");
//! let length = BodyLength::Length(body.len() as u64);
//! codec.encode(Answer::Head { status: 200, fields: FieldBlock::new(), body: length }, &mut wire)?;
//! codec.encode(Answer::Data(body), &mut wire)?;
//! codec.encode(Answer::End { trailers: FieldBlock::new() }, &mut wire)?;
//! assert_eq!(wire, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
//! # Ok::<(), tidewire_http1::codec::Error>(())
//! ```
//!
//! A [`Connection`] reads nothing behind a request until that is answered. `Framed` would wait for more input there and never look at
//! what it holds, so a [`ServerCodec`] reads on, up to 32 requests, and keeps what each answer has to know of its request.

use crate::block::FieldBlock;
use crate::connection::{Connection, Event, Payload};
use crate::encode::{Request, Response};
use crate::error;
use crate::fields::Fields;
use crate::limits::Limits;
use crate::message::BodyLength;
use crate::owned::{OwnedRequestHead, OwnedResponseHead};
use crate::role::{Client, Role, Server};
use crate::state::{Exchange, Half};
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::{Buf, Bytes, BytesMut};
use core::fmt;
use core::ops::Range;
use std::io;
use tidewire_grammar::range_of;

/// What is received; `H` is the head.
#[derive(Clone, Debug)]
pub enum Item<H> {
    /// A head: [`OwnedRequestHead`] or [`OwnedResponseHead`], interim ones too.
    Head(H),
    /// Content, without its framing. A part of the read buffer, not a copy.
    Data(Bytes),
    /// A trailer field.
    Trailer {
        /// A token.
        name: Bytes,
        /// Without the whitespace around it.
        value: Bytes,
    },
    /// The message is complete.
    End,
}

/// What a server sends, answer after answer in the order of the requests.
#[derive(Clone, Debug)]
pub enum Answer {
    /// `100 Continue`, if the client waits for it.
    Continue,
    /// See [`Connection::send_head`].
    Head {
        /// The status, 200 to 999, or 101.
        status: u16,
        /// The fields but for those that frame.
        fields: FieldBlock,
        /// What the caller has; what goes out follows from the request.
        body: BodyLength,
    },
    /// Content.
    Data(Bytes),
    /// The end of the answer.
    End {
        /// Usually none.
        trailers: FieldBlock,
    },
}

/// What a client sends.
#[derive(Clone, Debug)]
pub enum Call {
    /// See [`Connection::send_request`].
    Head {
        /// A token: `GET`.
        method: String,
        /// The request target: `/path?query`.
        target: String,
        /// The value of the `Host` field.
        host: String,
        /// The fields but for those that frame.
        fields: FieldBlock,
        /// How the body is delimited.
        body: BodyLength,
    },
    /// Content.
    Data(Bytes),
    /// The end of the request.
    End {
        /// Usually none.
        trailers: FieldBlock,
    },
}

/// Why receiving or sending failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The transport.
    Io(io::Error),
    /// The peer. A server answers with [`status_hint`](error::Error::status_hint), which can still be sent, and closes.
    Decode(error::Error),
    /// The caller. Nothing was written.
    Encode(error::EncodeError),
    /// A client sent more than 32 requests without waiting for an answer.
    TooFarAhead,
}

/// The server role: items of requests in, answers out.
#[derive(Debug)]
pub struct ServerCodec {
    reader: Connection<Server>,
    fields: Fields,
    /// Knows the request that is being answered, and nothing of what is read meanwhile.
    writer: Connection<Server>,
    /// The requests that were read and not answered, in their order.
    unanswered: VecDeque<Exchange>,
}

/// The client role: requests out, items of responses in. One request at a time. What a server sends behind a response is thrown away, and the
/// connection takes no more requests: it could be taken for the answer to the next one.
#[derive(Debug)]
pub struct ClientCodec {
    connection: Connection<Client>,
    fields: Fields,
}

impl ServerCodec {
    /// For a new connection.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            reader: Connection::new(limits),
            fields: Fields::new(),
            writer: Connection::new(limits),
            unanswered: VecDeque::new(),
        }
    }

    /// Must the connection be closed, now that the last answer was sent?
    #[must_use]
    pub fn must_close(&self) -> bool {
        if self.is_switched() {
            return false;
        }
        let answered = matches!(self.writer.state().response(), Half::Done | Half::Closed);
        (answered && self.writer.must_close()) || (self.unanswered.is_empty() && self.reader.must_close())
    }

    /// Did the last answer switch protocols? What the read buffer holds then belongs to the other one: `Framed::into_parts`.
    #[must_use]
    pub fn is_switched(&self) -> bool {
        self.writer.is_switched()
    }

    /// Notes what the answer to a request has to know.
    fn owe(&mut self) -> Result<(), Error> {
        if self.unanswered.len() >= MAX_AHEAD {
            return Err(Error::TooFarAhead);
        }
        self.unanswered.push_back(self.reader.exchange);
        Ok(())
    }

    /// After the reader failed in that half of a request: an answer is owed to a head that could not be read, and after the answer to a
    /// body that broke off the connection closes.
    fn failed(&mut self, before: Half) -> Result<(), Error> {
        match before {
            Half::Head => self.owe(),
            Half::Body => {
                self.closes_after_last();
                Ok(())
            }
            Half::Idle | Half::Done | Half::Switched | Half::Closed => Ok(()),
        }
    }

    /// The answer to the last request that was read is the last of the connection, and says so if it has not begun.
    fn closes_after_last(&mut self) {
        if self.unanswered.len() == 1 && matches!(self.writer.state().response(), Half::Head | Half::Body) {
            self.writer.close();
        }
        if let Some(last) = self.unanswered.back_mut() {
            last.close();
        }
    }

    /// Did the request that was read last ask for another protocol?
    const fn asks(&self) -> bool {
        self.reader.exchange.offers_upgrade() || self.reader.exchange.is_connect()
    }

    /// Reads on behind a complete request, unless what follows depends on the answer.
    fn read_on(&mut self) {
        if !self.asks() {
            self.reader.answered_elsewhere();
        }
    }

    /// The answer that was begun, or the next one.
    fn answering(&mut self) -> Result<&mut Connection<Server>, Error> {
        let idle = match self.writer.state().response() {
            Half::Idle => true,
            // It stays as it is if the connection must close.
            Half::Done => self.writer.next_message(),
            Half::Head | Half::Body | Half::Switched | Half::Closed => false,
        };
        if idle {
            let exchange = self.unanswered.front().ok_or(Error::Encode(error::EncodeError::State))?;
            self.writer.answer_for(*exchange);
        }
        Ok(&mut self.writer)
    }

    /// After an answer was begun, completed, or switched protocols.
    fn answered(&mut self) {
        if matches!(self.writer.state().response(), Half::Done | Half::Switched) {
            self.unanswered.pop_front();
            // A request that asked for another protocol and did not get it: what follows is HTTP after all.
            let held = self.reader.state().request() == Half::Done && self.unanswered.is_empty();
            if held && self.writer.exchange.keep_alive() && !self.writer.is_switched() {
                self.reader.exchange.switch_declined();
                self.read_on();
            }
        }
    }
}

impl ClientCodec {
    /// For a new connection.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { connection: Connection::new(limits), fields: Fields::new() }
    }

    /// See [`Connection::must_close`].
    #[must_use]
    pub fn must_close(&self) -> bool {
        self.connection.must_close()
    }

    /// See [`Connection::is_switched`].
    #[must_use]
    pub fn is_switched(&self) -> bool {
        self.connection.is_switched()
    }
}

impl tokio_util::codec::Decoder for ServerCodec {
    type Item = Item<OwnedRequestHead>;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, Error> {
        let before = self.reader.state().request();
        let (used, event) = match self.reader.decode(src, &mut self.fields) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.failed(before)?;
                return Err(Error::Decode(error));
            }
        };
        let item = match event {
            Some(Event::Request(head)) => {
                let parts = head.detach();
                self.owe()?;
                return Ok(Some(Item::Head(OwnedRequestHead::new(parts, src.split_to(used).freeze()))));
            }
            other => Taken::of(other, src),
        };
        if matches!(item, Taken::End) {
            self.read_on();
        }
        Ok(item.from(src, used))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, Error> {
        match self.decode(src)? {
            Some(item) => Ok(Some(item)),
            None => {
                let before = self.reader.state().request();
                let end = match self.reader.finish() {
                    Ok(end) => end,
                    Err(error) => {
                        self.failed(before)?;
                        return Err(Error::Decode(error));
                    }
                };
                // Nothing can follow, so the last answer says `close`.
                self.closes_after_last();
                // What is left is no message of ours: skipped lines, or behind a request after which the connection closes. But behind one that
                // asks for another protocol it may be that protocol's.
                if !self.asks() {
                    src.clear();
                }
                Ok(end.map(|_| Item::End))
            }
        }
    }
}

impl tokio_util::codec::Decoder for ClientCodec {
    type Item = Item<OwnedResponseHead>;
    type Error = Error;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, Error> {
        let (used, event) = self.connection.decode(src, &mut self.fields).map_err(Error::Decode)?;
        let item = match event {
            Some(Event::Response(head)) => {
                let parts = head.detach();
                return Ok(Some(Item::Head(OwnedResponseHead::new(parts, src.split_to(used).freeze()))));
            }
            other => Taken::of(other, src),
        };
        let item = item.from(src, used);
        if self.connection.is_paused() && !self.connection.is_switched() && !src.is_empty() {
            // RFC 9112 §9.2 (2): what is behind a response nobody asked for, and it must not wait here for the next request.
            self.connection.close();
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

impl tokio_util::codec::Encoder<Answer> for ServerCodec {
    type Error = Error;

    fn encode(&mut self, answer: Answer, dst: &mut BytesMut) -> Result<(), Error> {
        let mut out = Vec::new();
        match answer {
            Answer::Continue => self.answering()?.send_continue(&mut out),
            Answer::Head { status, fields, body } => {
                let blocks = [&fields];
                let response = Response::new(status).with_fields(&blocks);
                self.answering()?.send_head(&response, body, &mut out).map_err(Error::Encode)?;
            }
            Answer::Data(data) => return send_data(&mut self.writer, &data, dst),
            Answer::End { trailers } => {
                self.writer.send_trailers(&trailers, &mut out).map_err(Error::Encode)?
            }
        }
        self.answered();
        dst.extend_from_slice(&out);
        Ok(())
    }
}

impl tokio_util::codec::Encoder<Call> for ClientCodec {
    type Error = Error;

    fn encode(&mut self, call: Call, dst: &mut BytesMut) -> Result<(), Error> {
        let mut out = Vec::new();
        match call {
            Call::Head { method, target, host, fields, body } => {
                self.connection.next_message();
                let blocks = [&fields];
                let request = Request::new(&method, &target, &host).with_fields(&blocks);
                self.connection.send_request(&request, body, &mut out).map_err(Error::Encode)?;
            }
            Call::Data(data) => return send_data(&mut self.connection, &data, dst),
            Call::End { trailers } => {
                self.connection.send_trailers(&trailers, &mut out).map_err(Error::Encode)?
            }
        }
        dst.extend_from_slice(&out);
        Ok(())
    }
}

/// An event's place in the buffer, which is to be cut.
enum Taken {
    None,
    Data(usize),
    Trailer { name: Range<usize>, value: Range<usize> },
    End,
}

impl Taken {
    fn of(event: Option<Event<'_>>, src: &[u8]) -> Self {
        let place = |part: &[u8]| range_of(part, src);
        match event {
            Some(Event::Data(data)) => Self::Data(data.len()),
            Some(Event::Trailer { name, value }) => Self::Trailer { name: place(name), value: place(value) },
            Some(Event::End) => Self::End,
            Some(Event::Request(_) | Event::Response(_)) | None => Self::None,
        }
    }

    /// Cuts what was consumed from the buffer.
    fn from<H>(self, src: &mut BytesMut, used: usize) -> Option<Item<H>> {
        Some(match self {
            Self::None => {
                src.advance(used);
                return None;
            }
            Self::End => {
                src.advance(used);
                Item::End
            }
            Self::Data(len) => {
                src.advance(used - len);
                Item::Data(src.split_to(len).freeze())
            }
            Self::Trailer { name, value } => {
                let line = src.split_to(used).freeze();
                Item::Trailer { name: line.slice(name), value: line.slice(value) }
            }
        })
    }
}

/// Content with its framing, copied once.
fn send_data<R: Role>(connection: &mut Connection<R>, data: &[u8], dst: &mut BytesMut) -> Result<(), Error> {
    let mut framing = Vec::new();
    if let Payload::Then(tail) =
        connection.send_data_head(data.len() as u64, &mut framing).map_err(Error::Encode)?
    {
        for part in [&framing, data, tail] {
            dst.extend_from_slice(part);
        }
    }
    Ok(())
}

/// Requests that may be read before the first of them is answered.
const MAX_AHEAD: usize = 32;

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Decode(error) => error.fmt(f),
            Self::Encode(error) => error.fmt(f),
            Self::TooFarAhead => f.write_str("too many requests without waiting for an answer"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Decode(error) => Some(error),
            Self::Encode(error) => Some(error),
            Self::TooFarAhead => None,
        }
    }
}
