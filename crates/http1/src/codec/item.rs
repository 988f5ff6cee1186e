//! What a codec reads and writes.

#[cfg(doc)]
use crate::connection::Connection;
use crate::field_block::FieldBlock;
use crate::message::BodyLength;
#[cfg(doc)]
use crate::owned_head::{OwnedRequestHead, OwnedResponseHead};
use alloc::string::String;
use bytes::Bytes;

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
