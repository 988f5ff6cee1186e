//! A whole response, encoded once and sent as the answer to many requests.

use crate::connection::Connection;
use crate::encode::Response;
use crate::error::EncodeError;
use crate::limits::Limits;
use crate::message::{BodyLength, Version};
use crate::role::Server;
use crate::state::Step;
use alloc::vec::Vec;

/// Head, framing and content as they go out on an HTTP/1.1 connection that stays open: the answer to many requests for one copy each.
///
/// ```
/// use tidewire_http1::{Connection, Fields, Limits, Response, Server, WholeResponse};
///
/// let whole = WholeResponse::new(&Response::new(200), b"hello")?;
/// let (mut fields, mut out) = (Fields::new(), Vec::new());
/// let mut connection = Connection::<Server>::new(Limits::default());
/// let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// for _ in 0..2 {
///     connection.decode(request, &mut fields).unwrap();
///     connection.decode(b"", &mut fields).unwrap();
///     assert!(connection.send_whole(&whole, &mut out));
///     assert!(connection.next_message());
/// }
/// assert_eq!(out, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".repeat(2));
/// # Ok::<(), tidewire_http1::EncodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct WholeResponse {
    bytes: Vec<u8>,
}

impl WholeResponse {
    /// Encodes a response to a GET with this content.
    ///
    /// # Errors
    /// As [`Connection::send_head`]; [`EncodeError::FieldReserved`] for a response that closes its connection.
    pub fn new(response: &Response<'_>, content: &[u8]) -> Result<Self, EncodeError> {
        let mut connection = Connection::<Server>::answering_get(Limits::default());
        let mut bytes = Vec::with_capacity(256 + content.len());
        connection.send_head(response, BodyLength::Length(content.len() as u64), &mut bytes)?;
        if !connection.exchange.keep_alive() {
            return Err(EncodeError::FieldReserved);
        }
        connection.send_data(content, &mut bytes)?;
        connection.send_end(&mut bytes)?;
        Ok(Self { bytes })
    }
}

impl Connection<Server> {
    /// Sends a whole answer. False, and nothing written, where this exchange needs other bytes or none: after a HEAD or CONNECT, to an HTTP/1.0
    /// client, on a connection that is about to close, or if no answer is due.
    #[must_use]
    pub fn send_whole(&mut self, whole: &WholeResponse, out: &mut Vec<u8>) -> bool {
        let exchange = &self.exchange;
        if exchange.is_head()
            || exchange.is_connect()
            || !exchange.keep_alive()
            || exchange.version() != Version::Http11
        {
            return false;
        }
        if self.state().after(Step::ResponseHead).is_none() {
            return false;
        }
        out.extend_from_slice(&whole.bytes);
        self.step(Step::ResponseHead);
        self.step(Step::ResponseEnd);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::FieldBlock;
    use crate::fields::Fields;

    #[test]
    fn an_exchange_that_needs_other_bytes_gets_none_of_these() {
        let whole = WholeResponse::new(&Response::new(200), b"hello").unwrap();
        for (request, expected) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", false),
            ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false),
        ] {
            let mut connection = Connection::<Server>::new(Limits::default());
            let (mut fields, mut out) = (Fields::new(), Vec::new());
            assert!(!connection.send_whole(&whole, &mut out), "before there is a request");
            connection.decode(request.as_bytes(), &mut fields).unwrap();
            assert_eq!(connection.send_whole(&whole, &mut out), expected, "{request}");
            assert_eq!(!out.is_empty(), expected, "{request}");
            assert!(!expected || !connection.send_whole(&whole, &mut out), "one answer to each request");
        }
    }

    #[test]
    fn a_response_that_closes_is_not_for_many() {
        let close = FieldBlock::from_pairs([("Connection", "close")]).unwrap();
        let response = WholeResponse::new(&Response::new(200).with_fields(&[&close]), b"");
        assert_eq!(response.unwrap_err(), EncodeError::FieldReserved);
        assert!(WholeResponse::new(&Response::new(101), b"").is_err());
    }
}
