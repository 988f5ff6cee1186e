//! Why a codec failed.

use crate::error::{self, EncodeError};
use crate::reuse::NextExchangeError;
use core::fmt;
use std::io;

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

/// Requests that a server reads before it answers the first of them.
pub(super) const MAX_PIPELINED: usize = 32;

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
