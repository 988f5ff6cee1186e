//! The errors of this crate, grouped by their cause.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tidewire_http1 as http1;

use crate::{Cursor, UrlError};

/// Why a call failed, or why a feed was cut. Displays as a short text that says what happened.
///
/// ```
/// use tidewire_client::{Client, Error, Publish};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// // Nothing listens there.
/// let client = Client::new("http://127.0.0.1:1/c/demo")?.with_attempts(1);
/// match client.publish(Publish::new("hello")).await {
///     Ok(published) => println!("in the log, before {}", published.cursor),
///     Err(Error::Refused(problem)) => println!("the server refuses: {problem}"),
///     Err(Error::GaveUp { attempts, last }) => println!("{attempts} attempts failed: {last}"),
///     Err(error) => println!("{error}"),
/// }
/// # Ok::<(), Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // The caller made a mistake.
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

    // The server refused.
    /// The server refused, and another attempt does not help.
    #[error("the server answered {0}")]
    Refused(Problem),
    /// The channel is closed and takes no message.
    #[error("the channel is closed and takes no message")]
    ChannelClosed {
        /// The position after the end, if the server said it.
        end: Option<Cursor>,
    },
    /// A newer run of the same producer has written to the channel, so this one may not.
    #[error("a newer epoch of this producer has written to the channel")]
    Fenced {
        /// The newest epoch that the server knows, if it said so.
        epoch: Option<u64>,
    },
    /// The number of the producer leaves others out, so messages before it are missing.
    #[error("a message of this producer is missing before this one")]
    ProducerGap {
        /// The number that the server expects, if it said so.
        expected: Option<u64>,
    },
    /// A publish has failed, and the log may or may not have the message. To publish it again is
    /// safe with the same key or the same number of the producer: the answer then says whether the
    /// log had the message.
    #[error("it is unknown whether the message was published ({attempts} attempts): {last}")]
    UnknownOutcome {
        /// Attempts that were made.
        attempts: u32,
        /// The idempotency key of the message, if it has no producer.
        key: Option<String>,
        /// The failure of the last attempt.
        last: Box<Self>,
    },

    // The network failed. A subscription reconnects by itself.
    /// No connection.
    #[error("no connection to {address}: {source}")]
    Connect {
        /// The address or the socket's path.
        address: String,
        /// The error of the system.
        source: Arc<io::Error>,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Cut(Arc<io::Error>),
    /// The server ended the feed normally, although a channel goes on. It may be about to stop.
    #[error("the server ended the feed")]
    FeedEnded,
    /// All channels of a subscription have ended. This is a normal end: a subscription that is used
    /// as a `Stream` ends without this error.
    #[error("the channel has ended")]
    Ended,
    /// A channel was deleted.
    #[error("the channel was deleted")]
    Deleted {
        /// Its name, if there are several and the server has named it.
        channel: Option<String>,
    },
    /// The server answered a stream with 204: it asks its readers to stop and not to come back, as
    /// a server asks an `EventSource`. This is a normal end: a subscription that is used as a
    /// `Stream` ends without this error.
    #[error("the server asks its readers to stop (204)")]
    Stopped,
    /// The server closed the WebSocket.
    #[error("the server closed the WebSocket with code {code}: {reason}")]
    Closed {
        /// RFC 6455 §7.4; 1005 for a close without a code.
        code: u16,
        /// The reason that the server gave.
        reason: String,
    },
    /// Something did not come in time.
    #[error("{0} did not come in time")]
    Timeout(Awaited),

    // The peer broke the protocol, or is not a Tidewire server.
    /// The answer does not follow the API.
    #[error("the answer cannot be understood: {0}")]
    Protocol(Protocol),

    // A limit of this client is exceeded.
    /// A line, an event, a message or a poll's answer is over
    /// [`Client::with_max_message`](crate::Client::with_max_message).
    #[error("an answer is over the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// As many attempts as allowed have failed. If it was a publish, nothing was appended.
    #[error("gave up after {attempts} attempts: {last}")]
    GaveUp {
        /// Failures in a row.
        attempts: u32,
        /// The last of them.
        last: Box<Self>,
    },

    // The system failed.
    /// The system gives no random bytes, so no key can be made.
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
    /// The first bytes of a feed. A proxy on the way may hold them back.
    #[error("the first bytes of the feed")]
    FirstBytes,
    /// The next bytes of an open feed: the server sends a heartbeat every 15 seconds.
    #[error("a heartbeat")]
    Heartbeat,
    /// The answer to a publish.
    #[error("the answer")]
    Answer,
}

/// Why an answer cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Protocol {
    /// The bytes are not HTTP.
    #[error("HTTP: {0}")]
    Http(http1::Error),
    /// The event stream exceeds a limit.
    #[error("event stream: {0}")]
    Sse(tidewire_sse::Error),
    /// The bytes are not WebSocket frames.
    #[error("WebSocket: {0}")]
    WebSocket(tidewire_ws::Error),
    /// The answer to the WebSocket handshake is wrong.
    #[error("WebSocket handshake: {0}")]
    Handshake(tidewire_ws::handshake::client::VerifyError),
    /// The server opened a WebSocket without the subprotocol `tidewire.v1`.
    #[error("the server does not speak tidewire.v1")]
    Subprotocol,
    /// The answer has another media type than expected.
    #[error("the media type {0:?} is wrong")]
    MediaType(String),
    /// The answer is compressed, although `identity` was asked for. It is not read.
    #[error(
        "the content is compressed ({0}) although the client asked for no compression: configure the server \
         or the proxy on the way not to compress this URL"
    )]
    ContentCoding(String),
    /// The answer to a poll has only what was delivered or reported before, or says again that the
    /// cursor belongs to another log.
    #[error(
        "the answer has nothing new: a cache on the way may repeat old answers, or several servers may \
         answer for one channel"
    )]
    Repeated,
    /// The JSON is wrong, or is not the expected object.
    #[error("JSON: {0}")]
    Json(String),
    /// A message has no cursor, or an invalid one.
    #[error("a message without a valid cursor")]
    Cursor,
    /// A message of another log, and the server reported no reset. Several servers may answer for
    /// one channel.
    #[error("a message of another log came and the server reported no reset")]
    Foreign,
    /// Messages are missing before this one, and the server reported no gap.
    #[error("{missed} messages are missing and the server reported no gap")]
    Hole {
        /// The number of missing messages.
        missed: u64,
    },
}

/// A refusal: the members of an `application/problem+json` (RFC 9457) that the answer had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {title}{}{detail}", if detail.is_empty() { "" } else { ": " })]
#[non_exhaustive]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The kind of problem: the server's title, or else the reason phrase.
    pub title: String,
    /// A sentence that says what to do. Empty if the server gave none.
    pub detail: String,
    /// How long to wait before the next attempt, if the server said so.
    pub retry_after: Option<Duration>,
    /// The reason in one word, if the server has one for programs.
    pub reason: Option<String>,
    /// The oldest position that the channel can be read from, if the cursor was the problem.
    pub earliest: Option<Cursor>,
    /// What happened to a publish: `Some(true)` if it may have been carried out, `Some(false)` if
    /// it was not. `None` if the server did not say.
    pub(crate) is_unknown: Option<bool>,
    /// Whether the refusal was a problem document. Then it comes from the server and not from a
    /// proxy on the way.
    pub(crate) is_document: bool,
}

impl Error {
    pub(crate) fn cut(error: io::Error) -> Self {
        Self::Cut(Arc::new(error))
    }

    /// Returns whether a publish that failed with this error may have been carried out.
    pub(crate) fn may_be_appended(&self) -> bool {
        match self {
            Self::Cut(_) | Self::Timeout(Awaited::Answer) | Self::Protocol(_) | Self::TooLarge { .. } => true,
            Self::Refused(problem) => {
                // A gateway may fail after it has passed the request on, or answer in its own
                // words. If the server itself answers 503, it is full.
                let by_gateway = matches!(problem.status, 200..=299 | 502..=504 | 520..=599);
                problem.is_unknown.unwrap_or(problem.status == 500 || by_gateway && !problem.is_document)
            }
            _ => false,
        }
    }

    /// Returns whether a publish was refused for a reason that holds for each of its attempts.
    pub(crate) fn is_about_message(&self) -> bool {
        match self {
            Self::ChannelClosed { .. } => true,
            Self::Refused(problem) => problem.is_document && matches!(problem.status, 400 | 413 | 415 | 422),
            _ => false,
        }
    }

    pub(crate) fn json(error: &serde_json::Error) -> Self {
        Self::Protocol(Protocol::Json(error.to_string()))
    }

    /// Makes an [`Error::Field`] for the field `name`.
    pub(crate) fn field(name: &str) -> impl FnOnce(http1::EncodeError) -> Self {
        let name = name.to_owned();
        move |source| Self::Field { name, source }
    }
}

impl From<http1::Error> for Error {
    fn from(error: http1::Error) -> Self {
        match error.kind() {
            http1::ErrorKind::Syntax(http1::Syntax::UnexpectedEnd) => {
                Self::cut(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer is incomplete"))
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
