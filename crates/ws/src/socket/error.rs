use crate::EncodeError;
use core::fmt;
use std::io;

/// Why a WebSocket cannot continue, or why a message cannot be sent.
///
/// ```
/// # #[cfg(feature = "tokio")]
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// # let (server, client) = tokio::io::duplex(1024);
/// use tidewire_ws::tokio::{Error, WebSocket};
/// use tidewire_ws::{EncodeErrorKind, ErrorKind, Limits};
/// let mut socket = WebSocket::server(server, Limits::DEFAULT);
/// drop(client);
/// match socket.next().await {
///     Some(Err(Error::Protocol(error))) => assert_eq!(error.kind(), ErrorKind::NoClose),
///     other => panic!("{other:?}"),
/// }
/// match socket.send("too late".into()).await {
///     Err(Error::Encode(error)) => assert_eq!(error.kind(), EncodeErrorKind::Closing),
///     other => panic!("{other:?}"),
/// }
/// # });
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The stream failed. If [`can_retry`](Self::can_retry), it was only not ready.
    Io(io::Error),
    /// The peer broke the protocol or a limit. A close frame was sent.
    Protocol(crate::Error),
    /// The message cannot be sent.
    Encode(EncodeError),
    /// Too many bytes wait to be written. The message was not queued.
    Full,
    /// `next` was called on a connection that returns messages
    /// [in pieces](crate::Connection::in_pieces). Nothing was read: on tokio call `next_piece`.
    InPieces,
    /// `next_piece` was called on a connection that returns whole messages. Nothing was read: call
    /// `next`, or first `in_pieces`.
    NotInPieces,
}

impl Error {
    /// Whether a blocking stream was not ready in time: `WouldBlock` or `TimedOut`, from a read
    /// time-out, a write time-out or a non-blocking stream. Nothing was lost, and the WebSocket
    /// continues with the next call. `blocking::WebSocket` says which call.
    #[must_use]
    pub fn can_retry(&self) -> bool {
        matches!(self, Self::Io(error) if Self::is_not_ready(error))
    }

    /// Unix reports a time-out as `WouldBlock`, Windows as `TimedOut`.
    pub(crate) fn is_not_ready(error: &io::Error) -> bool {
        matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(e) => e.fmt(f),
            Self::Protocol(e) => e.fmt(f),
            Self::Encode(e) => e.fmt(f),
            Self::Full => f.write_str("too many bytes wait to be written: the peer reads too slowly"),
            Self::InPieces => {
                f.write_str("this WebSocket returns messages in pieces: call `next_piece` instead of `next`")
            }
            Self::NotInPieces => {
                f.write_str("this WebSocket returns whole messages: call `in_pieces` before `next_piece`")
            }
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(e) => Some(e),
            Self::Protocol(e) => Some(e),
            Self::Encode(e) => Some(e),
            Self::Full | Self::InPieces | Self::NotInPieces => None,
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
