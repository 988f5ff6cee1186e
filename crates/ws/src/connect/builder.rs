//! The request and its options.

use super::answer::Response;
use super::error::{Error, RequestError};
use super::exchange::{self, Opened};
use super::target::Target;
#[cfg(feature = "rustls")]
use super::tls;
#[cfg(feature = "deflate")]
use crate::deflate;
use crate::handshake::client::Request;
#[cfg(feature = "connect")]
use crate::tokio::WhenFull;
use crate::{Client, Connection, Limits};
use alloc::string::{String, ToString as _};
#[cfg(feature = "rustls")]
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use std::io;
use tidewire_grammar::{eq_ignore_case, is_token};
use tidewire_http1::{EncodeError, EncodeErrorKind, FieldBlock};
#[cfg(feature = "rustls")]
use tokio_rustls::rustls::ClientConfig;

/// A request for a WebSocket. It can be sent several times, for example to reconnect.
///
/// On tokio, `open` connects by TCP and `over` takes a stream of your own. On blocking sockets
/// these are `open_blocking` and `over_blocking`. They report a mistake in the URL or in a field
/// before anything is sent.
///
/// ```no_run
/// # #[cfg(feature = "connect")]
/// # async fn example(token: &str) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tidewire_ws::{Limits, connect::Connect};
///
/// let connect = Connect::new("ws://127.0.0.1:8080/chat?room=1")
///     .with_field("Authorization", format!("Bearer {token}"))
///     .with_subprotocols(["chat.v2", "chat.v1"])
///     .with_limits(Limits::DEFAULT.with_max_message(64 * 1024));
/// let (mut socket, response) = tokio::time::timeout(Duration::from_secs(10), connect.open()).await??;
/// println!("the server speaks {:?}", response.subprotocol());
/// socket.send("Hello".into()).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "open it"]
pub struct Connect {
    target: Result<Target, RequestError>,
    fields: FieldBlock,
    subprotocols: Vec<String>,
    limits: Limits,
    #[cfg(feature = "connect")]
    pub(super) write_limit: Option<(usize, WhenFull)>,
    head_limits: tidewire_http1::Limits,
    max_body: usize,
    #[cfg(feature = "deflate")]
    deflate: Option<deflate::Config>,
    #[cfg(feature = "rustls")]
    pub(super) tls: Option<Arc<ClientConfig>>,
}

impl Connect {
    /// A request to this URL, with the defaults. See [the module](super#urls) for what a URL may
    /// be.
    pub fn new(url: &str) -> Self {
        Self {
            target: Target::parse(url),
            fields: FieldBlock::new(),
            subprotocols: Vec::new(),
            limits: Limits::DEFAULT,
            #[cfg(feature = "connect")]
            write_limit: None,
            head_limits: tidewire_http1::Limits::DEFAULT,
            max_body: MAX_BODY,
            #[cfg(feature = "deflate")]
            deflate: None,
            #[cfg(feature = "rustls")]
            tls: None,
        }
    }

    /// The same with one more header field, such as `Authorization`, `Cookie` or `Origin`.
    ///
    /// The fields of the handshake itself are refused: `Host`, `Connection`, `Upgrade`,
    /// `Content-Length`, `Transfer-Encoding`, and all that begin with `Sec-WebSocket-`.
    pub fn with_field(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        if let Err(error) = self.push(name.as_ref(), value.as_ref()) {
            let name = String::from_utf8_lossy(name.as_ref()).into_owned();
            self.fail(RequestError::Field { name, error });
        }
        self
    }

    /// The same with these header fields, in addition to earlier ones. A `&http::HeaderMap` is such
    /// pairs.
    pub fn with_fields<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        self,
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        pairs.into_iter().fold(self, |connect, (name, value)| connect.with_field(name, value))
    }

    /// The same with an offer of these subprotocols, the best first, instead of earlier ones.
    pub fn with_subprotocols<S: AsRef<str>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.subprotocols = names.into_iter().map(|name| name.as_ref().into()).collect();
        if let Some(bad) = self.subprotocols.iter().find(|name| !is_token(name.as_bytes())) {
            self.fail(RequestError::Subprotocol(bad.clone()));
        }
        self
    }

    /// The same with other limits of frames and messages. Default [`Limits::DEFAULT`].
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same with other limits of the answer's head, and of interim (1xx) answers before it.
    /// Default [`tidewire_http1::Limits::DEFAULT`]: 16 KiB, 100 fields, 16 interim answers. Its
    /// `max_body` does not apply.
    pub const fn with_head_limits(mut self, limits: tidewire_http1::Limits) -> Self {
        self.head_limits = limits;
        self
    }

    /// The same with another bound, in bytes, of the body of a refusal that the error keeps.
    /// Default 8 KiB: enough for a problem in JSON and for most error pages. 0 means that it is not
    /// read.
    ///
    /// The body is read until it ends, reaches this bound, or a second is over. On tokio the second
    /// needs its timer. `over_blocking` has no such second, because it has no timer.
    pub const fn with_max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// The same with an offer of permessage-deflate. Default: none.
    #[cfg(feature = "deflate")]
    pub const fn with_deflate(mut self, config: deflate::Config) -> Self {
        self.deflate = Some(config);
        self
    }

    /// The same with another configuration of TLS, for example with the roots of a company or with
    /// a client's certificate. Default: the roots of Mozilla.
    ///
    /// Its ALPN is replaced by `http/1.1`: the handshake does not exist in HTTP/2.
    #[cfg(feature = "rustls")]
    pub fn with_tls(mut self, config: &Arc<ClientConfig>) -> Self {
        self.tls = Some(tls::only_http1(config));
        self
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.subprotocols.iter().map(String::as_str).collect()
    }

    pub(super) fn handshake<'a>(&self, names: &'a [&'a str]) -> Result<Request<'a>, Error> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| Error::Io(io::Error::from(error)))?;
        let handshake = Request::new(nonce, names);
        #[cfg(feature = "deflate")]
        let handshake = match self.deflate {
            Some(config) => handshake.with_deflate(config),
            None => handshake,
        };
        Ok(handshake)
    }

    pub(super) fn options(&self) -> Result<exchange::Options<'_>, Error> {
        Ok(exchange::Options {
            target: self.target()?,
            fields: &self.fields,
            head_limits: self.head_limits,
            max_body: self.max_body,
        })
    }

    /// Returns the open connection, the bytes that were read ahead, and the answer.
    pub(super) fn opened(&self, opened: Opened) -> (Connection<Client>, Vec<u8>, Response) {
        let connection = Connection::new(self.limits);
        #[cfg(feature = "deflate")]
        let connection = match opened.deflate.zip(self.deflate) {
            Some((params, config)) => connection.with_deflate(params, &config),
            None => connection,
        };
        (connection, opened.rest, opened.response)
    }

    pub(super) fn target(&self) -> Result<&Target, Error> {
        self.target.as_ref().map_err(|error| error.clone().into())
    }

    fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), EncodeError> {
        let is = |own: &str| eq_ignore_case(name, own.as_bytes());
        let is_prefixed = name.get(..PREFIX.len()).is_some_and(|start| eq_ignore_case(start, PREFIX));
        if is("connection") || is("upgrade") || is_prefixed {
            return Err(EncodeError::new(EncodeErrorKind::ReservedField, 0));
        }
        self.fields.push(name, value)
    }

    /// Keeps the first mistake, for the methods that open the connection.
    fn fail(&mut self, error: RequestError) {
        if self.target.is_ok() {
            self.target = Err(error);
        }
    }
}

/// The options, without the values of fields: they may be secret.
impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = match &self.target {
            Ok(target) => target.authority.clone(),
            Err(error) => error.to_string(),
        };
        f.debug_struct("Connect")
            .field("target", &target)
            .field("subprotocols", &self.subprotocols)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

const PREFIX: &[u8] = b"sec-websocket-";
const MAX_BODY: usize = 8 * 1024;
