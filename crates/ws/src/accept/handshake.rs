//! A request, and the two answers to it. Here is no IO.

use super::error::Error;
use crate::handshake::server::{self, Options, Refusal};
use crate::{Connection, Limits, Server};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use tidewire_http1 as http1;
use tidewire_http1::{BodyLength, EncodeError, Event, FieldBlock, Fields, OwnedRequestHead, Version};

/// A request that was read and not answered.
///
/// The methods for blocking streams end in `_blocking`.
///
/// ```
/// # #[cfg(feature = "accept")]
/// # mod example {
/// use tidewire_ws::accept::{Error, Handshake};
/// use tidewire_ws::{Server, handshake::server::Options, tokio::WebSocket};
/// use tokio::net::TcpStream;
///
/// async fn open(stream: TcpStream) -> Result<Option<WebSocket<TcpStream, Server>>, Error> {
///     let handshake = Handshake::read(stream).await?;
///     if handshake.get("authorization") != Some(b"Bearer secret") {
///         handshake.refuse(401, &[("WWW-Authenticate", "Bearer")], "who are you?").await?;
///         return Ok(None);
///     }
///     let options = Options::DEFAULT.with_subprotocols(&["chat.v2", "chat.v1"]);
///     let (socket, accepted) = handshake.accept(&options).await?;
///     println!("we speak {:?}", accepted.subprotocol());
///     Ok(Some(socket))
/// }
/// # }
/// ```
#[must_use = "accept or refuse it"]
pub struct Handshake<IO> {
    pub(super) io: IO,
    pub(super) request: Request,
}

/// The request, and the state of its connection.
pub(super) struct Request {
    http: http1::Connection<http1::Server>,
    head: OwnedRequestHead,
    /// What the client sent right after its request.
    rest: Vec<u8>,
    limits: Limits,
}

/// A request that is being read.
pub(super) struct Reader {
    http: http1::Connection<http1::Server>,
    fields: Fields,
    input: Vec<u8>,
    head: Option<OwnedRequestHead>,
}

/// What a [`Reader`] has found.
pub(super) enum Found {
    /// Nothing yet: read more.
    Nothing(Reader),
    Request(Request),
}

impl Reader {
    /// The limits of the head are [`http1::Limits::DEFAULT`].
    pub(super) fn new() -> Self {
        let http = http1::Connection::new(http1::Limits::DEFAULT);
        Self { http, fields: Fields::new(), input: Vec::new(), head: None }
    }

    /// Room for the next read, after the bytes that are not decoded.
    pub(super) fn room(&mut self) -> &mut Vec<u8> {
        self.input.reserve(READ_SIZE);
        &mut self.input
    }

    /// Decodes what was read. An error comes with the answer to it.
    pub(super) fn decode(mut self) -> Result<Found, (Error, Vec<u8>)> {
        loop {
            let (used, event) = match self.http.decode(&self.input, &mut self.fields) {
                Ok(decoded) => decoded,
                Err(error) => {
                    let answer = refusal(&mut self.http, error);
                    return Err((Error::Http(error), answer));
                }
            };
            let has_event = event.is_some();
            let mut is_over = matches!(event, Some(Event::End));
            if let Some(Event::Request(head)) = event {
                // A body is never read. `accept` refuses it.
                is_over = !head.body().is_empty();
                self.head = Some(head.to_owned_head(Bytes::copy_from_slice(head.as_bytes())));
            }
            self.input.drain(..used);
            match self.head.take_if(|_| is_over) {
                Some(head) => {
                    let (http, rest) = (self.http, self.input);
                    return Ok(Found::Request(Request { http, head, rest, limits: Limits::DEFAULT }));
                }
                None if has_event => {}
                None => return Ok(Found::Nothing(self)),
            }
        }
    }
}

impl Request {
    /// Returns what was agreed on, and writes the 101.
    pub(super) fn accept<'o>(
        &mut self,
        options: &Options<'o>,
        out: &mut Vec<u8>,
    ) -> Result<Result<server::Accept<'o>, Refusal>, Error> {
        let version = if self.head.version() == Version::Http11 { (1, 1) } else { (1, 0) };
        let accept = match server::accept(self.head.method().as_str(), version, self.head.fields(), options) {
            Ok(accept) => accept,
            Err(refusal) => {
                self.refuse(refusal.status(), refusal.fields(), refusal.detail(), out)?;
                return Ok(Err(refusal));
            }
        };
        let fields = FieldBlock::from_pairs(accept.response_fields()).map_err(Error::Answer)?;
        let switch = http1::Response::new(101);
        self.http
            .send_head(&switch.with_fields(&[&fields]), BodyLength::Empty, out)
            .map_err(Error::Answer)?;
        Ok(Ok(accept))
    }

    /// Writes an answer that ends the connection.
    pub(super) fn refuse(
        &mut self,
        status: u16,
        fields: &[(&str, &str)],
        body: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let fields = FieldBlock::from_pairs(fields.iter().copied()).map_err(Error::Answer)?;
        put_answer(&mut self.http, status, &fields, body, out).map_err(Error::Answer)
    }

    /// Returns the open connection, and the bytes that were read ahead.
    pub(super) fn opened(
        self,
        accept: &server::Accept<'_>,
        options: &Options<'_>,
    ) -> (Connection<Server>, Vec<u8>) {
        let connection = Connection::new(self.limits);
        #[cfg(feature = "deflate")]
        let connection = match accept.deflate().zip(options.deflate_config()) {
            Some((params, config)) => connection.with_deflate(params, &config),
            None => connection,
        };
        #[cfg(not(feature = "deflate"))]
        let _ = (accept, options);
        (connection, self.rest)
    }

    /// How many bytes of the body have not been read. `u64::MAX` if nobody knows.
    #[cfg(feature = "blocking")]
    pub(super) fn body_due(&self) -> u64 {
        match self.head.body() {
            BodyLength::Empty => 0,
            BodyLength::Length(len) => len.saturating_sub(self.rest.len() as u64),
            _ => u64::MAX,
        }
    }
}

impl<IO> Handshake<IO> {
    /// The same with other limits of frames and messages. Default [`Limits::DEFAULT`].
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.request.limits = limits;
        self
    }

    /// The path of the request, such as `/chat`, without a query.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.request.head.path()
    }

    /// What follows the `?` of the target.
    #[must_use]
    pub fn query(&self) -> Option<&[u8]> {
        self.request.head.query()
    }

    /// All header fields in their order: names as received, values without the whitespace around
    /// them.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.request.head.fields()
    }

    /// The value of the first field of this name, in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.request.head.get(name)
    }

    /// The underlying stream, for its addresses.
    #[must_use]
    pub const fn get_ref(&self) -> &IO {
        &self.io
    }
}

impl<IO> fmt::Debug for Handshake<IO> {
    /// Without the values of fields and the query: they may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("path", &alloc::string::String::from_utf8_lossy(self.path()))
            .field("limits", &self.request.limits)
            .finish_non_exhaustive()
    }
}

/// Returns the answer to a request that is not HTTP/1.1.
fn refusal(http: &mut http1::Connection<http1::Server>, error: http1::Error) -> Vec<u8> {
    let mut out = Vec::new();
    let body = alloc::string::ToString::to_string(&error);
    // The statuses of errors can be sent. If not, the connection just closes.
    let _ = put_answer(http, error.status_hint(), &FieldBlock::new(), &body, &mut out);
    out
}

fn put_answer(
    http: &mut http1::Connection<http1::Server>,
    status: u16,
    fields: &FieldBlock,
    body: &str,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let kind = FieldBlock::from_pairs([("Content-Type", "text/plain; charset=utf-8")])?;
    http.close();
    let response = http1::Response::new(status);
    let length = BodyLength::Length(body.len() as u64);
    http.send_head(&response.with_fields(&[fields, &kind]), length, out)?;
    http.send_data(body.as_bytes(), out)?;
    http.send_end(out)
}

/// Most requests fit in one read.
const READ_SIZE: usize = 4 * 1024;
