//! Why there is no WebSocket.

use super::answer::Response;
use crate::handshake::client::VerifyError;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::net::SocketAddr as StdAddress;
use std::io;
use tidewire_grammar::UrlError;
use tidewire_http1::{EncodeError, EncodeErrorKind};

/// Why [`Connect`](super::Connect) did not open a WebSocket. The stream is closed.
///
/// ```
/// # #[cfg(feature = "connect")]
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use tidewire_ws::connect::{Connect, Error};
/// let error = Connect::new("ftp://example.com/").open().await.unwrap_err();
/// assert!(matches!(error, Error::Request(_)));
/// assert_eq!(error.to_string(), "the URL of a WebSocket begins with ws:// or wss://");
/// # });
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The request cannot be sent. Nothing was sent.
    Request(RequestError),
    /// The host has no address.
    Lookup {
        /// The host of the URL.
        host: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// No address of the host accepts a connection. This is the last one that was tried.
    Connect {
        /// The last address.
        address: StdAddress,
        /// Why it does not accept.
        source: io::Error,
    },
    /// There is no secure connection, for example because the certificate is not trusted.
    Tls {
        /// The host of the URL.
        host: String,
        /// What rustls says.
        source: io::Error,
    },
    /// The stream failed during the handshake.
    Io(io::Error),
    /// The server closed the connection before it answered.
    Closed,
    /// The answer is not HTTP/1.1, or exceeds a limit.
    Http(tidewire_http1::Error),
    /// The server answered with a status other than 101.
    Refused(Box<Response>),
    /// The server answered with 101, but not to this handshake.
    Handshake(VerifyError, Box<Response>),
}

/// What is wrong with a request that the caller made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The URL is not valid.
    Url(UrlError),
    /// The scheme is not `ws`, `wss`, `http` or `https`.
    Scheme,
    /// The URL asks for TLS, and the feature `rustls` is off.
    NoTls,
    /// The URL asks for TLS, which `open_blocking` does not have.
    BlockingTls,
    /// A field cannot be sent. The kind is `ReservedField` for a field of the handshake.
    Field {
        /// Its name.
        name: String,
        /// Why, and at which byte.
        error: EncodeError,
    },
    /// The name of a subprotocol is not a token.
    Subprotocol(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => error.fmt(f),
            Self::Lookup { host, .. } => write!(f, "the host {host} has no address"),
            Self::Connect { address, .. } => write!(f, "cannot connect to {address}"),
            Self::Tls { host, .. } => write!(f, "no secure connection to {host}"),
            Self::Io(_) => f.write_str("the connection failed during the handshake"),
            Self::Closed => f.write_str(
                "the server closed the connection before it answered; perhaps it expects TLS (wss://)",
            ),
            Self::Http(_) => f.write_str("the answer to the handshake is not valid HTTP/1.1"),
            Self::Refused(response) => response.fmt(f),
            Self::Handshake(..) => f.write_str("the server's 101 does not belong to this handshake"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Lookup { source, .. } | Self::Connect { source, .. } | Self::Tls { source, .. } => {
                Some(source)
            }
            Self::Io(error) => Some(error),
            Self::Http(error) => Some(error),
            Self::Handshake(error, _) => Some(error),
            Self::Request(_) | Self::Closed | Self::Refused(_) => None,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => error.fmt(f),
            Self::Scheme => f.write_str("the URL of a WebSocket begins with ws:// or wss://"),
            Self::NoTls => f.write_str(
                "the URL asks for TLS: enable the feature `rustls` of tidewire-ws, or pass a TLS stream to \
                 `over`",
            ),
            Self::BlockingTls => {
                f.write_str("a blocking client has no TLS of its own: pass a TLS stream to `over_blocking`")
            }
            Self::Field { name, error } if error.kind() == EncodeErrorKind::ReservedField => {
                write!(f, "the handshake writes the field {name} itself: leave it out")
            }
            Self::Field { name, error } => write!(f, "the field {:?} cannot be sent: {error}", name),
            Self::Subprotocol(name) => write!(f, "the subprotocol {name:?} is not a token"),
        }
    }
}

impl core::error::Error for RequestError {}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}
