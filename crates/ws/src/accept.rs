//! A server over any tokio stream, without an HTTP library: it reads the request and answers it.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! # let (stream, client) = tokio::io::duplex(1024);
//! # let serve = async {
//! let mut socket = tidewire_ws::accept(stream).await?;
//! socket.send("Hello".into()).await?;
//! # Ok::<(), Box<dyn std::error::Error>>(()) };
//! # let connect = tidewire_ws::connect::Connect::new("ws://localhost/");
//! # let (served, opened) = tokio::join!(serve, connect.over(client));
//! # served.unwrap();
//! # assert_eq!(opened.unwrap().0.next().await.unwrap().unwrap(), "Hello".into());
//! # });
//! ```
//! [`Handshake`] has the two steps, for a server that looks at the request before it answers.
//!
//! For a server with other routes than the WebSocket, use [`upgrade`](crate::upgrade) with hyper,
//! axum or tidewire-server.
//!
//! # Deadlines
//!
//! A client may take any time. Put `tokio::time::timeout` around the call. When the future is
//! dropped, the stream closes. Only the wait after a refusal is bounded, to one second.

use crate::handshake::server::{self, Options, Refusal};
use crate::tokio::WebSocket;
use crate::{Connection, Limits, Server};
use ::tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use ::tokio::time::{Duration, timeout};
use alloc::string::ToString as _;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use std::io;
use tidewire_http1 as http1;
use tidewire_http1::{BodyLength, EncodeError, Event, FieldBlock, Fields, OwnedRequestHead, Version};

/// Reads a request for a WebSocket from a stream that is open, such as a `TcpStream` or a TLS
/// stream, and answers it with [`Options::DEFAULT`].
///
/// A request that is not a valid handshake, or comes from a page of another site, is refused with
/// its status before this returns.
///
/// # Errors
/// [`Error`].
///
/// # Panics
/// As [`Handshake::accept`].
pub async fn accept<IO: AsyncRead + AsyncWrite + Unpin>(io: IO) -> Result<WebSocket<IO, Server>, Error> {
    Handshake::read(io).await?.accept(&Options::DEFAULT).await.map(|(socket, _)| socket)
}

/// A request that was read and not answered.
///
/// ```
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
/// ```
#[must_use = "call `accept` or `refuse`"]
pub struct Handshake<IO> {
    io: IO,
    http: http1::Connection<http1::Server>,
    head: OwnedRequestHead,
    /// What the client sent right after its request.
    rest: Vec<u8>,
    limits: Limits,
}

/// Why [`accept`] did not open a WebSocket. The stream is closed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The stream failed during the handshake.
    Io(io::Error),
    /// The client closed the connection before its request was complete.
    Closed,
    /// The request is not HTTP/1.1, or exceeds a limit. The client got the status of
    /// [`status_hint`](tidewire_http1::Error::status_hint).
    Http(http1::Error),
    /// The request is not a valid handshake, or not allowed. The client got this refusal.
    Refused(Refusal),
    /// The status or a field of [`Handshake::refuse`] cannot be sent. The client got no answer.
    Answer(EncodeError),
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Handshake<IO> {
    /// Reads the request, up to the end of its head. The limits of the head are
    /// [`tidewire_http1::Limits::DEFAULT`]: 16 KiB and 100 fields.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Closed`] and [`Error::Http`]. The last one was answered.
    ///
    /// # Panics
    /// As [`accept`](Self::accept).
    pub async fn read(mut io: IO) -> Result<Self, Error> {
        let mut http = http1::Connection::<http1::Server>::new(http1::Limits::DEFAULT);
        let mut fields = Fields::new();
        let (mut rest, mut found) = (Vec::new(), None);
        loop {
            let (used, event) = match http.decode(&rest, &mut fields) {
                Ok(decoded) => decoded,
                Err(error) => {
                    let body = error.to_string();
                    answer(&mut io, &mut http, error.status_hint(), &FieldBlock::new(), &body).await?;
                    return Err(Error::Http(error));
                }
            };
            let has_event = event.is_some();
            let mut is_over = matches!(event, Some(Event::End));
            if let Some(Event::Request(head)) = event {
                // A body is never read. `accept` refuses it.
                is_over = !head.body().is_empty();
                found = Some(head.to_owned_head(Bytes::copy_from_slice(head.as_bytes())));
            }
            rest.drain(..used);
            if is_over && let Some(head) = found {
                return Ok(Self { io, http, head, rest, limits: Limits::DEFAULT });
            }
            if !has_event {
                rest.reserve(READ_SIZE);
                if io.read_buf(&mut rest).await.map_err(Error::Io)? == 0 {
                    return Err(Error::Closed);
                }
            }
        }
    }

    /// Answers with the 101. Returns the socket, and what was agreed on. A request that is not a
    /// valid handshake, or that the options do not allow, is refused.
    ///
    /// # Errors
    /// [`Error::Refused`] after the refusal was sent, [`Error::Io`].
    ///
    /// # Panics
    /// On a refusal, if the tokio runtime has no timer.
    pub async fn accept<'o>(
        mut self,
        options: &Options<'o>,
    ) -> Result<(WebSocket<IO, Server>, server::Accept<'o>), Error> {
        let version = if self.head.version() == Version::Http11 { (1, 1) } else { (1, 0) };
        let accept = match server::accept(self.head.method().as_str(), version, self.fields(), options) {
            Ok(accept) => accept,
            Err(refusal) => {
                self.refuse(refusal.status(), refusal.fields(), refusal.detail()).await?;
                return Err(Error::Refused(refusal));
            }
        };
        let fields = FieldBlock::from_pairs(accept.response_fields()).map_err(Error::Answer)?;
        let mut out = Vec::new();
        let switch = http1::Response::new(101);
        self.http
            .send_head(&switch.with_fields(&[&fields]), BodyLength::Empty, &mut out)
            .map_err(Error::Answer)?;
        write(&mut self.io, &out).await.map_err(Error::Io)?;
        let connection = Connection::new(self.limits);
        #[cfg(feature = "deflate")]
        let connection = match accept.deflate().zip(options.deflate_config()) {
            Some((params, config)) => connection.with_deflate(params, &config),
            None => connection,
        };
        Ok((WebSocket::new(self.io, connection).with_read_ahead(self.rest), accept))
    }

    /// Answers with a status other than 101, these fields, and a text as the body, and closes the
    /// stream.
    ///
    /// # Errors
    /// [`Error::Answer`] for a status or a field that cannot be sent, [`Error::Io`].
    ///
    /// # Panics
    /// If the tokio runtime has no timer.
    pub async fn refuse(mut self, status: u16, fields: &[(&str, &str)], body: &str) -> Result<(), Error> {
        let fields = FieldBlock::from_pairs(fields.iter().copied()).map_err(Error::Answer)?;
        answer(&mut self.io, &mut self.http, status, &fields, body).await
    }
}

impl<IO> Handshake<IO> {
    /// The same with other limits of frames and messages. Default [`Limits::DEFAULT`].
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The path of the request, such as `/chat`, without a query.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.head.path()
    }

    /// What follows the `?` of the target.
    #[must_use]
    pub fn query(&self) -> Option<&[u8]> {
        self.head.query()
    }

    /// All header fields in their order: names as received, values without the whitespace around
    /// them.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.head.fields()
    }

    /// The value of the first field of this name, in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.head.get(name)
    }

    /// The underlying stream, for its addresses.
    #[must_use]
    pub const fn get_ref(&self) -> &IO {
        &self.io
    }
}

/// Sends an answer that ends the connection.
async fn answer<IO: AsyncRead + AsyncWrite + Unpin>(
    io: &mut IO,
    http: &mut http1::Connection<http1::Server>,
    status: u16,
    fields: &FieldBlock,
    body: &str,
) -> Result<(), Error> {
    let mut out = Vec::new();
    let mut put = || {
        let kind = FieldBlock::from_pairs([("Content-Type", "text/plain; charset=utf-8")])?;
        http.close();
        let response = http1::Response::new(status);
        let length = BodyLength::Length(body.len() as u64);
        http.send_head(&response.with_fields(&[fields, &kind]), length, &mut out)?;
        http.send_data(body.as_bytes(), &mut out)?;
        http.send_end(&mut out)
    };
    put().map_err(Error::Answer)?;
    write(io, &out).await.map_err(Error::Io)?;
    io.shutdown().await.map_err(Error::Io)?;
    // A stream that is dropped with unread bytes resets the connection, and the client may lose the
    // answer.
    let drain = async {
        let mut waste = [0; 1024];
        for _ in 0..MAX_DRAIN_READS {
            if !matches!(io.read(&mut waste).await, Ok(1..)) {
                break;
            }
        }
    };
    let _ = timeout(DRAIN_WAIT, drain).await;
    Ok(())
}

async fn write<IO: AsyncWrite + Unpin>(io: &mut IO, bytes: &[u8]) -> io::Result<()> {
    io.write_all(bytes).await?;
    io.flush().await
}

impl<IO> fmt::Debug for Handshake<IO> {
    /// Without the values of fields and the query: they may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("path", &alloc::string::String::from_utf8_lossy(self.path()))
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(_) => f.write_str("the connection failed during the handshake"),
            Self::Closed => f.write_str("the client closed the connection before its request was complete"),
            Self::Http(_) => f.write_str("the request is not valid HTTP/1.1; perhaps the client uses TLS"),
            Self::Refused(refusal) => {
                write!(f, "the handshake was refused with {}: {}", refusal.status(), refusal.detail())
            }
            Self::Answer(_) => f.write_str("this answer cannot be sent"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Http(error) => Some(error),
            Self::Answer(error) => Some(error),
            Self::Closed | Self::Refused(_) => None,
        }
    }
}

/// Most requests fit in one read.
const READ_SIZE: usize = 4 * 1024;
/// How often after a refusal up to 1 KiB is read and dropped, and for how long.
const MAX_DRAIN_READS: usize = 64;
const DRAIN_WAIT: Duration = Duration::from_secs(1);
