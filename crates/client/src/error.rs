//! What goes wrong, and whose turn it is.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tidewire_http1 as http1;

use crate::{Cursor, UrlError};

/// Why a call failed, or why a feed was cut. Displays as a clause that says what happened.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // You misused us.
    /// The URL cannot be used.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A header field, a content type or an idempotency key cannot be sent.
    #[error("the field {name} cannot be sent: {source}")]
    Field {
        /// The name of the field.
        name: String,
        /// Why.
        source: http1::EncodeError,
    },

    // The server's word.
    /// The server refused, and coming back does not help.
    #[error("the server answered {0}")]
    Refused(Problem),

    // The network's doing. A subscription comes back by itself.
    /// No connection.
    #[error("no connection to {address}: {source}")]
    Connect {
        /// The address or the socket's path.
        address: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Cut(Arc<io::Error>),
    /// The server ended the connection in good order.
    #[error("the server ended the feed")]
    Ended,
    /// The server answered a stream with 204: it asks its readers to stop and not to come back, as
    /// it would ask an `EventSource`. This is a normal end: a subscription that is used as a
    /// `Stream` ends without this error.
    #[error("the server says that there is nothing more to read (204)")]
    Stopped,
    /// The server closed the WebSocket.
    #[error("the server closed the WebSocket with code {code}: {reason}")]
    Closed {
        /// RFC 6455 §7.4; 1005 for a close without a code.
        code: u16,
        /// The server's words.
        reason: String,
    },
    /// Something did not come in time.
    #[error("{0} did not come in time")]
    Timeout(Awaited),

    // The peer broke the protocol, or is not a Tidewire server.
    /// The answer is not what the API promises.
    #[error("the answer cannot be understood: {0}")]
    Protocol(Protocol),

    // Over a limit of ours.
    /// A line, an event, a message or a poll's answer is over
    /// [`Client::max_message`](crate::Client::max_message).
    #[error("an answer is over the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// As many attempts as allowed have failed.
    #[error("gave up after {attempts} attempts: {last}")]
    GaveUp {
        /// Failures in a row.
        attempts: u32,
        /// The last of them.
        last: Box<Self>,
    },

    // The machine.
    /// The system gives no random bytes, without which no key may be made.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// What was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Awaited {
    /// The TCP connection.
    #[error("the connection")]
    Connection,
    /// The first bytes of a feed: something on the way may hold them back.
    #[error("the first bytes of the feed")]
    FirstBytes,
    /// The next bytes of an open feed: the server sends a heartbeat every 15 seconds.
    #[error("a heartbeat")]
    Heartbeat,
    /// The answer to a publish.
    #[error("the answer")]
    Answer,
}

/// How an answer failed to make sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Protocol {
    /// The bytes are not HTTP.
    #[error("HTTP: {0}")]
    Http(http1::Error),
    /// An event stream over a limit.
    #[error("event stream: {0}")]
    Sse(tidewire_sse::Error),
    /// The bytes are not WebSocket frames.
    #[error("WebSocket: {0}")]
    WebSocket(tidewire_ws::Error),
    /// The answer to the WebSocket handshake is not one.
    #[error("WebSocket handshake: {0}")]
    Handshake(tidewire_ws::handshake::client::VerifyError),
    /// The server opened a WebSocket without the subprotocol `tidewire.v1`.
    #[error("the server does not speak tidewire.v1")]
    Subprotocol,
    /// The answer has another media type than the feed.
    #[error("it is of type {0:?}")]
    MediaType(String),
    /// The answer is compressed, although `identity` was asked for. It is not read.
    #[error(
        "it is compressed ({0}) although that was not asked for: let the server or the proxy on the way not \
         compress this URL"
    )]
    ContentCoding(String),
    /// The answer to a poll brings only what was delivered or told before, or again says that the
    /// cursor is of another log.
    #[error(
        "it says nothing new: a cache on the way may keep old answers, or several servers may answer for one channel"
    )]
    Repeated,
    /// Not the JSON object that belongs there.
    #[error("JSON: {0}")]
    Json(String),
    /// A message without a cursor, or with something that is none.
    #[error("a message without a valid cursor")]
    Cursor,
    /// Messages are missing before this one, and no gap was told.
    #[error("{missed} messages are missing and no gap was told")]
    Hole {
        /// How many.
        missed: u64,
    },
}

/// A refusal: `application/problem+json` (RFC 9457), or as much of it as there was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {title}{}{detail}", if detail.is_empty() { "" } else { ": " })]
#[non_exhaustive]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The kind of problem: the server's title, or else the reason phrase.
    pub title: String,
    /// What to do about it, in a sentence; empty if the server gave none.
    pub detail: String,
    /// When to come back, where the server said so.
    pub retry_after: Option<Duration>,
    /// The oldest position that the channel can be read from, where the cursor was the problem.
    pub earliest: Option<Cursor>,
    /// Whether the refusal was a problem document: then it is the server that speaks, and no proxy
    /// on the way.
    pub(crate) is_document: bool,
}

impl Error {
    pub(crate) fn cut(error: io::Error) -> Self {
        Self::Cut(Arc::new(error))
    }

    pub(crate) fn json(error: &serde_json::Error) -> Self {
        Self::Protocol(Protocol::Json(error.to_string()))
    }

    /// Adds which field it was.
    pub(crate) fn field(name: &str) -> impl FnOnce(http1::EncodeError) -> Self {
        let name = name.to_owned();
        move |source| Self::Field { name, source }
    }
}

impl From<http1::Error> for Error {
    fn from(error: http1::Error) -> Self {
        match error.kind() {
            http1::ErrorKind::Syntax(http1::Syntax::UnexpectedEnd) => {
                Self::cut(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended within an answer"))
            }
            _ => Self::Protocol(Protocol::Http(error)),
        }
    }
}

impl From<Protocol> for Error {
    fn from(error: Protocol) -> Self {
        Self::Protocol(error)
    }
}
