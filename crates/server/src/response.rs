//! A response: status, fields and body.

use std::cell::RefCell;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tidewire_http1::{
    self as http1, BodyLength, Connection, EncodeError, FieldBlock, Response as Head, Server,
};

use crate::date::DateCache;
use crate::limits::whole_seconds;
use crate::output::{MIN_SHARED, Output};
use crate::stream_body::{SizedBody, StreamBody};

/// A response: status, fields and body. The engine sets the framing fields (`Content-Length`,
/// `Transfer-Encoding`, `Connection`) and `Date`; a handler does not.
///
/// ```
/// use tidewire_server::Response;
///
/// let page = Response::new(200).with("Content-Type", "text/plain").body("hello");
/// assert_eq!(page.status(), 200);
/// // A value from outside is checked.
/// assert!(Response::new(302).try_with("Location", "/\r\nSet-Cookie: forged").is_err());
/// ```
#[derive(Debug)]
pub struct Response {
    pub(crate) status: u16,
    pub(crate) fields: FieldBlock,
    pub(crate) body: ResponseBody,
    pub(crate) close: bool,
    /// The handler added an invalid field, so the peer gets a 500.
    pub(crate) broken: bool,
}

/// Capacity for the fields of most answers: one allocation instead of one for each field.
const FIELDS_CAPACITY: usize = 320;

/// The body of a [`Response`].
pub(crate) enum ResponseBody {
    Whole(Content),
    Stream(StreamBody),
}

/// A whole body.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// The usual case, without a list.
    One(Bytes),
    Parts(Vec<Bytes>),
}

impl Response {
    /// A response with this status and no body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        let body = ResponseBody::Whole(Content::One(Bytes::new()));
        let fields = FieldBlock::with_capacity(FIELDS_CAPACITY);
        Response { status, fields, body, close: false, broken: false }
    }

    /// Adds a field that is known to be valid: it is a part of the program, or was checked before.
    /// If the field is invalid nevertheless, the peer gets a 500 without it, and the log an error.
    // `inline`: for a constant field the compiler checks it, and not the server at each answer.
    #[inline]
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.broken |= self.fields.push(name, value).is_err();
        self
    }

    /// Adds fields that were checked and encoded before. Many answers can share such a block.
    #[must_use]
    pub fn with_block(mut self, block: &FieldBlock) -> Self {
        self.fields.append(block);
        self
    }

    /// Adds a field whose value comes from outside.
    ///
    /// # Errors
    /// The name or the value is invalid, or the engine sets this field. No byte is replaced.
    pub fn try_with(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Self, EncodeError> {
        self.fields.push(name, value)?;
        Ok(self)
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = ResponseBody::Whole(Content::One(bytes.into()));
        self
    }

    /// Sets a body of several parts. The answer has a length, as with any other whole body. Long
    /// parts are not copied. Many answers can share one part, and a slow client costs no copy.
    #[must_use]
    pub fn parts(mut self, mut parts: Vec<Bytes>) -> Self {
        let one = if parts.len() == 1 { parts.pop() } else { None };
        self.body = ResponseBody::Whole(one.map_or_else(|| Content::Parts(parts), Content::One));
        self
    }

    /// Streams the body. If its size hint is exact, the answer has a length. If not, it is chunked
    /// (for HTTP/1.0, it ends with the connection).
    #[must_use]
    pub fn stream<B>(mut self, body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.body = ResponseBody::Stream(Box::pin(body.map_err(Into::into)));
        self
    }

    /// Streams a body of `length` bytes whose size hint is not exact: a file, or the answer of
    /// another server. If the body is shorter, the connection is cut, so the client notices. If it
    /// is longer (a file that grew), its first `length` bytes are sent. Both are logged.
    #[must_use]
    pub fn stream_sized<B>(mut self, length: u64, body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let body = SizedBody::new(Box::pin(body.map_err(Into::into)), length);
        self.body = ResponseBody::Stream(Box::pin(body));
        self
    }

    /// Describes a body without making it, for the answer to a HEAD. `length` is the length of the
    /// body that the answer to a GET has, or `None` if that would be chunked.
    #[must_use]
    pub fn without_body(self, length: Option<u64>) -> Self {
        self.stream(Unsent(length))
    }

    /// Closes the connection after this response.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the body is not streamed.
    #[inline]
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.body, ResponseBody::Whole(_))
    }

    /// The bytes of the whole response, for a handler that answers on a [`Parked`](crate::Parked)
    /// connection: head and body, framed by a length. Small parts are joined with the head. Long
    /// parts are not copied. `idle` is how long an HTTP/1.1 connection may be idle afterwards, or
    /// `None` if the handler closes it. A connection with HTTP/1.0 must be closed. A streamed body
    /// is left out.
    pub fn into_parts(self, idle: Option<Duration>) -> Vec<Bytes> {
        with_date(|date, _| self.into_parts_dated(date, idle))
    }

    /// [`into_parts`](Self::into_parts) with this `Date`, or without one if the block is empty.
    pub(crate) fn into_parts_dated(self, date: &FieldBlock, idle: Option<Duration>) -> Vec<Bytes> {
        let content = match self.body {
            ResponseBody::Whole(content) => content,
            ResponseBody::Stream(_) => Content::EMPTY,
        };
        let idle = idle.filter(|_| !self.close);
        let mut output = Output::default();
        // Reserve once for a whole answer.
        output.own().reserve(512 + if content.len() < MIN_SHARED { content.len() } else { 0 });
        let blocks = [&self.fields];
        let head = Head::new(self.status).with_fields(&blocks);
        let begun = if self.broken { None } else { begin(head, date, &content, idle, &mut output) };
        let mut http = begun.unwrap_or_else(|| {
            begin(Head::new(500), date, &content, idle, &mut output).expect("any body goes with a 500")
        });
        content.send(&mut http, &mut output).expect("the head says the length of this body");
        output.into_parts()
    }
}

/// Writes the head of an answer outside the request cycle. If the head cannot be sent, returns
/// `None` and writes nothing.
fn begin(
    head: Head<'_>,
    date: &FieldBlock,
    content: &Content,
    idle: Option<Duration>,
    output: &mut Output,
) -> Option<Connection<Server>> {
    let mut http = Connection::<Server>::answering_get(http1::Limits::DEFAULT);
    if idle.is_none() {
        http.close();
    }
    let head = head.with_first_fields(date).with_idle_timeout(idle.map_or(0, whole_seconds));
    let length = content.length(head.status());
    http.send_head(&head, length, output.own()).ok().map(|()| http)
}

impl Content {
    const EMPTY: Self = Content::One(Bytes::new());

    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Content::One(bytes) => bytes.len(),
            Content::Parts(parts) => parts.iter().map(Bytes::len).sum(),
        }
    }

    /// The same content in one part.
    pub(crate) fn joined(self) -> Self {
        match self {
            Content::Parts(parts) => Content::One(parts.concat().into()),
            one => one,
        }
    }

    /// The body length in a head with this status.
    #[inline]
    pub(crate) fn length(&self, status: u16) -> BodyLength {
        match status {
            // These have no content. `Content-Length: 0` is forbidden in a 204, and in a 304 it
            // would describe the content of a 200 (RFC 9110 §8.6).
            204 | 304 => BodyLength::Empty,
            _ => BodyLength::Length(self.len() as u64),
        }
    }

    /// Sends the content after its head, and ends the message.
    #[inline]
    pub(crate) fn send(self, http: &mut Connection<Server>, output: &mut Output) -> Result<(), EncodeError> {
        match self {
            Content::One(bytes) => output.send_data(http, bytes)?,
            Content::Parts(parts) => {
                parts.into_iter().try_for_each(|part| output.send_data(http, part))?;
            }
        }
        http.send_end(output.own())
    }
}

/// Calls `f` with the date and its edition.
pub(crate) fn with_date<T>(f: impl FnOnce(&FieldBlock, u64) -> T) -> T {
    DATE.with_borrow_mut(|date| {
        let (date, edition) = date.get(Instant::now());
        f(date, edition)
    })
}

thread_local! {
    /// The date of answers that are written outside the request cycle. Inside, the worker has its
    /// own.
    static DATE: RefCell<DateCache> = RefCell::new(DateCache::new());
}

/// The body of [`Response::without_body`].
struct Unsent(Option<u64>);

impl http_body::Body for Unsent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResponseBody::Whole(content) => write!(f, "Whole({} bytes)", content.len()),
            ResponseBody::Stream(_) => f.write_str("Stream(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_time_of_less_than_a_second_is_not_named() {
        let head = |idle| String::from_utf8(Response::new(200).into_parts(idle).concat()).unwrap();
        let named = head(Some(Duration::from_millis(1_999)));
        assert!(named.contains("\r\nConnection: keep-alive\r\nKeep-Alive: timeout=1\r\n"), "{named}");
        let unnamed = head(Some(Duration::from_millis(999)));
        assert!(!unnamed.contains("Connection") && !unnamed.contains("Keep-Alive"), "{unnamed}");
        assert!(head(None).contains("\r\nConnection: close\r\n"));
    }

    #[test]
    fn a_response_outside_the_request_cycle_has_these_bytes() {
        let date = FieldBlock::from_pairs([("Date", "now")]).unwrap();
        let bytes = |response: Response, idle| {
            String::from_utf8(response.into_parts_dated(&date, idle).concat()).unwrap()
        };
        let text = |status| Response::new(status).with("Content-Type", "text/plain").body("hello");
        let minute = Some(Duration::from_secs(60));
        let kept = "Connection: keep-alive\r\nKeep-Alive: timeout=60\r\n";
        assert_eq!(
            bytes(text(200), minute),
            format!(
                "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 5\r\n{kept}\
                 Content-Type: text/plain\r\n\r\nhello"
            )
        );
        assert_eq!(
            bytes(text(410), None),
            "HTTP/1.1 410 Gone\r\nDate: now\r\nContent-Length: 5\r\nConnection: close\r\n\
             Content-Type: text/plain\r\n\r\nhello"
        );
        assert_eq!(bytes(text(200).closing(), minute), bytes(text(200), None));
        for (status, phrase) in [(204, "No Content"), (304, "Not Modified")] {
            assert_eq!(
                bytes(Response::new(status), minute),
                format!("HTTP/1.1 {status} {phrase}\r\nDate: now\r\n{kept}\r\n")
            );
        }
    }

    #[test]
    fn a_response_that_cannot_be_sent_becomes_a_500() {
        for response in [Response::new(200).with("X", "a\r\nb"), Response::new(205).with("A", "b")] {
            let sent = response.body("hello").into_parts_dated(&FieldBlock::new(), None);
            let plain = Response::new(500).body("hello").into_parts_dated(&FieldBlock::new(), None);
            assert_eq!(sent, plain);
        }
    }
}
