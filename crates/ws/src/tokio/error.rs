use crate::EncodeError;
use core::fmt;
use std::io;

/// Why a WebSocket cannot continue, or why a message cannot be sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The stream failed.
    Io(io::Error),
    /// The peer broke the protocol or a limit. A close frame was sent.
    Protocol(crate::Error),
    /// The message cannot be sent.
    Encode(EncodeError),
    /// Too many bytes wait to be written.
    Full,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(e) => e.fmt(f),
            Self::Protocol(e) => e.fmt(f),
            Self::Encode(e) => e.fmt(f),
            Self::Full => f.write_str("too many bytes wait to be written"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(e) => Some(e),
            Self::Protocol(e) => Some(e),
            Self::Encode(e) => Some(e),
            Self::Full => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<crate::Error> for Error {
    fn from(error: crate::Error) -> Self {
        Self::Protocol(error)
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}
