//! Whether a connection takes another exchange, and why not.

use crate::error::Error;
use core::fmt;

/// Why a connection must be closed after its present exchange. The first reason counts, but
/// [`Failed`](CloseReason::Failed) replaces every other.
///
/// ```
/// use tidewire_http1::{CloseReason, Connection, Fields, Limits, Server};
///
/// let mut connection = Connection::<Server>::new(Limits::DEFAULT);
/// connection.decode(b"GET / HTTP/1.0\r\n\r\n", &mut Fields::new())?;
/// assert_eq!(connection.close_reason(), Some(CloseReason::Peer));
/// # Ok::<(), tidewire_http1::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer sent `Connection: close`, or speaks HTTP/1.0 and did not ask to keep the connection
    /// open.
    Peer,
    /// The caller called [`close`](crate::Connection::close), or sent a field `Connection: close`.
    Local,
    /// The response has no length, so its body ends where the connection ends.
    UntilClose,
    /// The peer sends no more: [`finish`](crate::Connection::finish) was called.
    EndOfInput,
    /// The server sent bytes after its response, and no request asked for them (RFC 9112 §9.2).
    UnexpectedBytes,
    /// The bytes of the peer were refused: see [`error`](crate::Connection::error).
    Failed,
}

/// Why [`next_exchange`](crate::Connection::next_exchange) cannot begin the next exchange.
///
/// After `NotRead` and `NotSent`, do what is missing and call it again. After the others, no
/// exchange follows on this connection.
///
/// ```
/// use tidewire_http1::{BodyLength, Connection, Fields, Limits, NextExchangeError, Response, Server};
///
/// let mut connection = Connection::<Server>::new(Limits::DEFAULT);
/// assert_eq!(connection.next_exchange(), Err(NextExchangeError::NotRead));
/// connection.decode(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &mut Fields::new())?;
/// assert_eq!(connection.next_exchange(), Err(NextExchangeError::NotSent));
/// connection.send_head(&Response::new(204), BodyLength::Empty, &mut Vec::new())?;
/// connection.next_exchange()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NextExchangeError {
    /// The received message is not read to its end. Call `decode` until it returns
    /// [`Event::End`](crate::Event::End), or close the connection.
    NotRead,
    /// The message to send is not complete. Send its head and its body, and call
    /// [`send_end`](crate::Connection::send_end).
    NotSent,
    /// The response is complete, and the connection must be closed.
    Closing(CloseReason),
    /// The connection [`is_switched`](crate::Connection::is_switched) to another protocol.
    Switched,
    /// The bytes of the peer were refused with this error. If the response has not begun, a server
    /// still sends one. Then the connection must be closed.
    Failed(Error),
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Peer => "the peer closes it, with `Connection: close` or because it speaks HTTP/1.0",
            Self::Local => "the caller closes it, with `close` or with a field `Connection: close`",
            Self::UntilClose => "the body of the response lasts until the connection closes",
            Self::EndOfInput => "the peer has sent its last byte",
            Self::UnexpectedBytes => "the server sent bytes that answer no request",
            Self::Failed => "the bytes of the peer were refused",
        })
    }
}

impl fmt::Display for NextExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRead => {
                "the received message is not read to its end: call decode until it returns Event::End"
            }
            Self::NotSent => {
                "the message to send is not complete: send its head and its body, and call send_end"
            }
            Self::Closing(reason) => return write!(f, "the connection must be closed: {reason}"),
            Self::Switched => {
                "the connection uses another protocol now, and the rest of the input belongs to it"
            }
            Self::Failed(error) => {
                return write!(f, "the connection must be closed, because it failed: {error}");
            }
        })
    }
}

impl core::error::Error for NextExchangeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            Self::NotRead | Self::NotSent | Self::Closing(_) | Self::Switched => None,
        }
    }
}
