//! A response that is encoded once and sent to many requests.

use crate::connection::{Connection, OutgoingBody};
use crate::error::{EncodeError, EncodeErrorKind};
use crate::limits::Limits;
use crate::message::{BodyLength, Version};
use crate::outgoing::Response;
use crate::role::Server;
use crate::state::Step;
use alloc::vec::Vec;

/// The encoded head and content of a response, for HTTP/1.1 connections that stay open. To send it
/// costs one copy.
///
/// ```
/// use tidewire_http1::{Connection, Fields, Limits, PreparedResponse, Response, Server};
///
/// let prepared = PreparedResponse::new(&Response::new(200), b"hello")?;
/// let (mut fields, mut out) = (Fields::new(), Vec::new());
/// let mut connection = Connection::<Server>::new(Limits::DEFAULT);
/// let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// for _ in 0..2 {
///     connection.decode(request, &mut fields)?;
///     assert!(connection.send_prepared(&prepared, &mut out));
///     connection.next_exchange()?;
/// }
/// assert_eq!(out, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".repeat(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PreparedResponse {
    bytes: Vec<u8>,
}

impl PreparedResponse {
    /// Encodes a response to a GET with this content.
    ///
    /// # Errors
    /// The same as [`Connection::send_head`], and [`EncodeErrorKind::Close`] for a response with
    /// `Connection: close`.
    pub fn new(response: &Response<'_>, content: &[u8]) -> Result<Self, EncodeError> {
        let mut connection = Connection::<Server>::answering_get(Limits::DEFAULT);
        let mut bytes = Vec::with_capacity(content.len().saturating_add(256));
        connection.send_head(response, BodyLength::Length(content.len() as u64), &mut bytes)?;
        if !connection.exchange.keep_alive() {
            return Err(EncodeError::from_kind(EncodeErrorKind::Close));
        }
        connection.send_data(content, &mut bytes)?;
        connection.send_end(&mut bytes)?;
        Ok(Self { bytes })
    }
}

impl Connection<Server> {
    /// Sends a prepared response as the whole answer.
    ///
    /// Returns `false`, and writes nothing, if this exchange needs other bytes: the request is a
    /// HEAD or CONNECT, or is HTTP/1.0, or the connection is about to close, or no response is due.
    #[must_use]
    pub fn send_prepared(&mut self, prepared: &PreparedResponse, out: &mut Vec<u8>) -> bool {
        let exchange = &self.exchange;
        if exchange.is_head()
            || exchange.is_connect()
            || !exchange.keep_alive()
            || exchange.version() != Version::Http11
        {
            return false;
        }
        if self.state().after(Step::BodilessResponse).is_none() {
            return false;
        }
        out.extend_from_slice(&prepared.bytes);
        self.outgoing = OutgoingBody::Ended;
        self.step(Step::BodilessResponse);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field_block::FieldBlock;
    use crate::fields::Fields;

    #[test]
    fn a_prepared_response_is_not_sent_where_other_bytes_are_needed() {
        let prepared = PreparedResponse::new(&Response::new(200), b"hello").unwrap();
        for (request, expected) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", false),
            ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false),
        ] {
            let mut connection = Connection::<Server>::new(Limits::DEFAULT);
            let (mut fields, mut out) = (Fields::new(), Vec::new());
            assert!(!connection.send_prepared(&prepared, &mut out), "before there is a request");
            connection.decode(request.as_bytes(), &mut fields).unwrap();
            assert_eq!(connection.send_prepared(&prepared, &mut out), expected, "{request}");
            assert_eq!(!out.is_empty(), expected, "{request}");
            let again = connection.send_prepared(&prepared, &mut out);
            assert!(!expected || !again, "one response to each request");
        }
    }

    #[test]
    fn a_response_that_closes_cannot_be_prepared() {
        let close = FieldBlock::from_pairs([("Connection", "close")]).unwrap();
        let response = PreparedResponse::new(&Response::new(200).with_fields(&[&close]), b"");
        assert_eq!(response.unwrap_err().kind(), EncodeErrorKind::Close);
        assert!(PreparedResponse::new(&Response::new(101), b"").is_err());
    }
}
