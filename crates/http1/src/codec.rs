//! Both roles as a [`tokio_util::codec`], for `Framed`: `Codec<Server>` and `Codec<Client>`.
//!
//! A codec reads and writes [`Item`]s. What is read and what is written differ only in the type of
//! the head.
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use tidewire_http1::codec::{Codec, Item, OutgoingResponse};
//! use tidewire_http1::{BodyLength, Limits, Server};
//! use tokio_util::codec::{Decoder, Encoder};
//!
//! let mut codec = Codec::<Server>::new(Limits::DEFAULT);
//! let mut wire = BytesMut::from("GET /a HTTP/1.1\r\nHost: b\r\n\r\n");
//! let Some(Item::Head(head)) = codec.decode(&mut wire)? else { panic!("no request") };
//! assert_eq!(head.path(), b"/a");
//! assert!(matches!(codec.decode(&mut wire)?, Some(Item::End)));
//!
//! let response = OutgoingResponse::new(200).with_body(BodyLength::Length(5));
//! codec.encode(Item::Head(response), &mut wire)?;
//! codec.encode(Item::Data(Bytes::from_static(b"hello")), &mut wire)?;
//! codec.encode(Item::End, &mut wire)?;
//! assert_eq!(wire, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
//! # Ok::<(), tidewire_http1::codec::Error>(())
//! ```
//!
//! A codec yields [`Item::End`] after every message, also after one without a body. When you send a
//! head whose body is empty, the message is complete: an `Item::End` after it writes nothing.
//!
//! A [`Connection`] does not read a pipelined request before it has answered the one before. Under
//! `Framed` this would not work: `Framed` waits for more input and does not look at its buffer
//! again. So a `Codec<Server>` reads up to 32 requests ahead, and remembers for each of them what
//! its response depends on.
//!
//! It does not read behind a request for another protocol: the response decides whose bytes follow.
//! If the response does not switch, and you polled the stream while the request waited, the next
//! request may already be in the buffer. To make `Framed` look at it, build it anew:
//! `Framed::from_parts(framed.into_parts())`.

use crate::connection::Connection;
use crate::error::{self, EncodeError, EncodeErrorKind};
use crate::event::{ContentAction, Event};
use crate::field_block::FieldBlock;
use crate::fields::Fields;
use crate::limits::Limits;
use crate::message::BodyLength;
use crate::outgoing::{Request, Response};
use crate::owned_head::{OwnedRequestHead, OwnedResponseHead};
use crate::reuse::{CloseReason, NextExchangeError};
use crate::role::{Client, Role, Server};
use crate::state::{Exchange, Half, State};
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::{Buf, Bytes, BytesMut};
use core::fmt;
use core::ops::Range;
use std::io;
use tidewire_grammar::range_of;

/// A part of a message. `H` is the type of the head.
///
/// A server reads `Item<`[`OwnedRequestHead`]`>` and writes `Item<`[`OutgoingResponse`]`>`. A
/// client writes `Item<`[`OutgoingRequest`]`>` and reads `Item<`[`OwnedResponseHead`]`>`.
#[derive(Clone, Debug)]
pub enum Item<H> {
    /// A head, also of an interim response.
    Head(H),
    /// Content, without its framing. Received content shares the memory of the read buffer.
    Data(Bytes),
    /// A trailer field. A codec that writes keeps it until [`Item::End`]; it leaves it out if the
    /// body is not chunked.
    Trailer {
        /// The name: a token.
        name: Bytes,
        /// The value without the whitespace around it.
        value: Bytes,
    },
    /// The end of the message. No end follows an interim response, or a head that switches
    /// protocols. When you send it after a head whose body is empty, it writes nothing.
    End,
}

/// A response head that a `Codec<Server>` writes. Responses are written in the order of the
/// requests.
///
/// With status 100 it is sent if the client waits for it (see [`Connection::send_continue`]), and
/// with 102 to 199 as an interim response (see [`Connection::send_interim`]). With any other status
/// it begins the final response (see [`Connection::send_head`]).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutgoingResponse {
    /// The status.
    pub status: u16,
    /// The fields, without those that the connection writes.
    pub fields: FieldBlock,
    /// The body that the caller has. What is sent of it depends on the request. An interim response
    /// has none.
    pub body: BodyLength,
}

/// A request head that a `Codec<Client>` writes: see [`Connection::send_request`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutgoingRequest {
    /// The method: a token, such as `GET`.
    pub method: String,
    /// The request target, such as `/path?query`.
    pub target: String,
    /// The value of the `Host` field.
    pub host: String,
    /// The fields, without those that the connection writes.
    pub fields: FieldBlock,
    /// How the body is delimited.
    pub body: BodyLength,
}

impl OutgoingResponse {
    /// Returns a response head with this status, no fields and no body.
    #[must_use]
    pub const fn new(status: u16) -> Self {
        Self { status, fields: FieldBlock::new(), body: BodyLength::Empty }
    }

    /// Returns the head with these fields.
    #[must_use]
    pub fn with_fields(self, fields: FieldBlock) -> Self {
        Self { fields, ..self }
    }

    /// Returns the head with this body.
    #[must_use]
    pub fn with_body(self, body: BodyLength) -> Self {
        Self { body, ..self }
    }
}

impl OutgoingRequest {
    /// Returns a request head without fields and body.
    #[must_use]
    pub fn new(method: impl Into<String>, target: impl Into<String>, host: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            host: host.into(),
            fields: FieldBlock::new(),
            body: BodyLength::Empty,
        }
    }

    /// Returns the head with these fields.
    #[must_use]
    pub fn with_fields(self, fields: FieldBlock) -> Self {
        Self { fields, ..self }
    }

    /// Returns the head with this body.
    #[must_use]
    pub fn with_body(self, body: BodyLength) -> Self {
        Self { body, ..self }
    }
}

/// Why reading or writing failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The transport failed.
    Io(io::Error),
    /// The peer's bytes are refused. A server can still send an answer with the status of
    /// [`status_hint`](error::Error::status_hint); then it closes.
    Decode(error::Error),
    /// The caller's item is refused. Nothing was written.
    Encode(EncodeError),
    /// The head of the next message is refused: the exchange before it is not complete, or the
    /// connection takes no more. Nothing was written.
    NextExchange(NextExchangeError),
    /// A client sent more than 32 requests without waiting for a response.
    TooManyPipelined,
}

/// One end of an HTTP/1.1 connection, for `Framed`.
///
/// ```
/// use bytes::Bytes;
/// use futures_util::{SinkExt, StreamExt};
/// use tidewire_http1::codec::{Codec, Item, OutgoingRequest, OutgoingResponse};
/// use tidewire_http1::{BodyLength, Client, Limits, Server};
/// use tokio_util::codec::Framed;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tidewire_http1::codec::Error> {
/// let (near, far) = tokio::io::duplex(1024); // or a `TcpStream` each
/// let mut client = Framed::new(near, Codec::<Client>::new(Limits::DEFAULT));
/// let mut server = Framed::new(far, Codec::<Server>::new(Limits::DEFAULT));
///
/// client.send(Item::Head(OutgoingRequest::new("GET", "/", "example.org"))).await?;
/// let Some(Item::Head(_)) = server.next().await.transpose()? else { panic!("no request") };
/// let response = OutgoingResponse::new(200).with_body(BodyLength::Chunked);
/// for item in [Item::Head(response), Item::Data(Bytes::from_static(b"hello")), Item::End] {
///     server.send(item).await?;
/// }
/// while let Some(item) = client.next().await.transpose()? {
///     match item {
///         Item::Head(head) => assert_eq!(head.status(), 200),
///         Item::Data(data) => assert_eq!(data, "hello"),
///         Item::Trailer { .. } => {}
///         Item::End => break,
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// A `Codec<Client>` sends one request at a time. If bytes follow a response, it drops them, and
/// the connection takes no more requests: the client could take them for the next response.
#[derive(Debug)]
pub struct Codec<R: Role> {
    /// Reads the messages of the peer. In the client role it also writes the requests.
    connection: Connection<R>,
    fields: Fields,
    /// The trailers to send with the next [`Item::End`].
    trailers: FieldBlock,
    /// Writes the responses, in the server role. A client does not use this field.
    responses: Responses,
}

/// The responses that a server owes.
#[derive(Debug)]
struct Responses {
    /// Knows the request that is being answered. It does not see the requests that are read in the
    /// meantime.
    writer: Connection<Server>,
    /// The requests that were read and not answered, in their order.
    unanswered: VecDeque<Exchange>,
}

impl<R: Role> Codec<R> {
    /// Returns a codec for a new connection.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            connection: Connection::new(limits),
            fields: Fields::new(),
            trailers: FieldBlock::new(),
            responses: Responses { writer: Connection::new(limits), unanswered: VecDeque::new() },
        }
    }
}

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

/// The place of an event in the buffer, which is cut next.
enum Place {
    None,
    Data(usize),
    Trailer { name: Range<usize>, value: Range<usize> },
    End,
}

impl Place {
    fn of(event: Option<Event<'_>>, src: &[u8]) -> Self {
        let range = |part: &[u8]| range_of(part, src);
        match event {
            Some(Event::Data(data)) => Self::Data(data.len()),
            Some(Event::Trailer { name, value }) => Self::Trailer { name: range(name), value: range(value) },
            Some(Event::End) => Self::End,
            Some(Event::Request(_) | Event::Response(_)) | None => Self::None,
        }
    }

    /// Cuts the consumed bytes from the buffer and returns the item at this place.
    fn cut_from<H>(self, src: &mut BytesMut, used: usize) -> Option<Item<H>> {
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
                src.advance(used.saturating_sub(len));
                Item::Data(src.split_to(len).freeze())
            }
            Self::Trailer { name, value } => {
                let line = src.split_to(used).freeze();
                Item::Trailer { name: line.slice(name), value: line.slice(value) }
            }
        })
    }
}

/// Writes content with its framing. The content is copied once.
fn send_data<R: Role>(connection: &mut Connection<R>, data: &[u8], dst: &mut BytesMut) -> Result<(), Error> {
    let mut framing = Vec::new();
    if let ContentAction::SendThen(tail) =
        connection.send_data_head(data.len() as u64, &mut framing).map_err(Error::Encode)?
    {
        for part in [&framing, data, tail] {
            dst.extend_from_slice(part);
        }
    }
    Ok(())
}

/// Adds a trailer field to those that are sent at the end of the body.
fn push_trailer<R: Role>(
    connection: &Connection<R>,
    trailers: &mut FieldBlock,
    name: &[u8],
    value: &[u8],
) -> Result<(), Error> {
    connection.check_body_due().map_err(Error::Encode)?;
    trailers.push_trailer(name, value).map_err(Error::Encode)
}

/// Ends the message with the trailers that were gathered.
fn send_end<R: Role>(
    connection: &mut Connection<R>,
    trailers: &mut FieldBlock,
    dst: &mut BytesMut,
) -> Result<(), Error> {
    let mut out = Vec::new();
    connection.send_trailers(trailers, &mut out).map_err(Error::Encode)?;
    trailers.clear();
    dst.extend_from_slice(&out);
    Ok(())
}

/// Requests that a server reads before it answers the first of them.
const MAX_PIPELINED: usize = 32;

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
            Self::NextExchange(error) => error.fmt(f),
            Self::TooManyPipelined => write!(f, "more than {MAX_PIPELINED} requests without a response"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Decode(error) => Some(error),
            Self::Encode(error) => Some(error),
            Self::NextExchange(error) => Some(error),
            Self::TooManyPipelined => None,
        }
    }
}
