//! Why there is no WebSocket.

use crate::handshake::server::Refusal;
use core::fmt;
use std::io;
use tidewire_http1::EncodeError;

/// Why [`Handshake`](super::Handshake) did not open a WebSocket. The stream is closed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The stream failed during the handshake.
    Io(io::Error),
    /// The client closed the connection before its request was complete.
    Closed,
    /// The request is not HTTP/1.1, or exceeds a limit. The client got the status of
    /// [`status_hint`](tidewire_http1::Error::status_hint).
    Http(tidewire_http1::Error),
    /// The request is not a valid handshake, or not allowed. The client got this refusal.
    Refused(Refusal),
    /// The status or a field of a refusal of the caller cannot be sent. The client got no answer.
    Answer(EncodeError),
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
