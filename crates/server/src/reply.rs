//! What a handler answers with.

use std::cell::RefCell;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tidewire_http1::{
    self as http1, BodyLength, Connection, EncodeError, FieldBlock, Response as Head, Server, WholeResponse,
};

use crate::date::DateCache;
use crate::limits::whole_seconds;

/// A future that stays on its worker.
pub type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// A streamed answer: any [`http_body::Body`] of [`Bytes`].
pub type StreamBody = Pin<Box<dyn http_body::Body<Data = Bytes, Error = Box<dyn StdError + Send + Sync>>>>;

/// The error of a streamed answer that is cut on purpose. The text says why it is not complete; the
/// missing end tells the client. That is part of the service and no fault, so it is logged at the
/// level *debug*. Every other error of a body is a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BodyCut(pub &'static str);

/// The outcome of [`Handler::handle`](crate::Handler::handle); `T` is the handler's ticket for a
/// detached connection.
pub enum Reply<T> {
    /// The answer is known at once. Answers to pipelined requests gather and leave in one write.
    Ready(Response),
    /// An answer that was made before, for a request that asked the same.
    Shared(Arc<Prepared>),
    /// The answer needs waiting.
    Later(LocalFuture<Reply<T>>),
    /// The connection leaves the request cycle: for WebSocket, for a stream without end, or to wait
    /// without a task. The head (if any) and `first` are written, then
    /// [`Handler::detached`](crate::Handler::detached) receives the socket. Where the head is the answer to a HEAD it is all that is sent,
    /// and the connection stays.
    Detach {
        /// The head to send: a 101, or a 200 whose body the handler frames. `None`: nothing is sent
        /// yet.
        head: Option<DetachHead>,
        /// Bytes that follow the head in the same write, as they shall stand on the wire.
        first: Bytes,
        /// Handed back with the connection.
        ticket: T,
    },
}

/// The head of a detached answer.
#[derive(Debug)]
pub struct DetachHead {
    /// Status and fields; the body of this response is ignored.
    pub response: Response,
    /// Whether the handler will write chunks. Otherwise the answer ends with the connection (or,
    /// for 101, never began).
    pub chunked: bool,
}

impl<T> From<Response> for Reply<T> {
    fn from(response: Response) -> Self {
        Reply::Ready(response)
    }
}

impl<T: 'static> Reply<T> {
    /// The same answer with another ticket: for a handler that gives requests to another handler.
    pub fn map_ticket<U: 'static>(self, map: impl FnOnce(T) -> U + 'static) -> Reply<U> {
        match self {
            Reply::Ready(response) => Reply::Ready(response),
            Reply::Shared(prepared) => Reply::Shared(prepared),
            Reply::Later(reply) => Reply::Later(Box::pin(async move { reply.await.map_ticket(map) })),
            Reply::Detach { head, first, ticket } => Reply::Detach { head, first, ticket: map(ticket) },
        }
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Ready(response) => f.debug_tuple("Ready").field(response).finish(),
            Reply::Shared(prepared) => f.debug_tuple("Shared").field(prepared).finish(),
            Reply::Later(_) => f.write_str("Later(..)"),
            Reply::Detach { head, .. } => {
                f.debug_struct("Detach").field("head", head).finish_non_exhaustive()
            }
        }
    }
}

/// A response: status, fields and body. Framing fields (`Content-Length`, `Transfer-Encoding`,
/// `Connection`) and `Date` are the engine's; a handler does not set them.
#[derive(Debug)]
pub struct Response {
    pub(crate) status: u16,
    pub(crate) fields: FieldBlock,
    pub(crate) body: ResponseBody,
    pub(crate) close: bool,
    /// A field that cannot stand in a head was added: the peer gets a 500 instead.
    pub(crate) broken: bool,
}

/// Bytes that the fields of most answers need: room for them at once is cheaper than room for each.
const FIELDS: usize = 320;

/// The body of a [`Response`].
pub(crate) enum ResponseBody {
    Whole(Bytes),
    Stream(StreamBody),
}

impl Response {
    /// A response with this status and no body.
    pub fn new(status: u16) -> Self {
        let body = ResponseBody::Whole(Bytes::new());
        Response { status, fields: FieldBlock::with_capacity(FIELDS), body, close: false, broken: false }
    }

    /// Adds a field that is known to be good: part of the program, or checked before. One that
    /// cannot stand in a head after all never gets there: the peer gets a 500, and the log an
    /// error.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.broken |= self.fields.push(name, value).is_err();
        self
    }

    /// Adds fields that were checked before: those that many answers share are encoded once.
    #[must_use]
    pub fn with_block(mut self, block: &FieldBlock) -> Self {
        self.fields.append(block);
        self
    }

    /// Adds a field whose value came from outside.
    ///
    /// # Errors
    /// The value (or name) would break the head, or is the engine's to set; nothing is replaced in
    /// silence.
    pub fn try_with(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<Self, EncodeError> {
        self.fields.push(name, value)?;
        Ok(self)
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = ResponseBody::Whole(bytes.into());
        self
    }

    /// Streams the body: with a length if its size hint is exact, else chunked (until close for
    /// HTTP/1.0).
    #[must_use]
    pub fn stream<B>(mut self, body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.body = ResponseBody::Stream(Box::pin(body.map_err(Into::into)));
        self
    }

    /// Describes a body and does not send it: for the answer to a HEAD whose body is not worth
    /// making. `length` is that of the body in the answer to a GET, `None` where that would be
    /// chunked.
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

    /// Writes the whole response, for a handler that answers on a [`Parked`](crate::Parked)
    /// connection: head and body, framed by its length. `idle` is how long an HTTP/1.1 connection
    /// may be idle afterwards, `None` where it closes; one of HTTP/1.0 must be closed on. A
    /// streamed body cannot be written so and is left out.
    pub fn write_to(&self, idle: Option<Duration>, out: &mut Vec<u8>) {
        DATE.with_borrow_mut(|date| self.write_dated(date.get(Instant::now()).0, idle, out));
    }

    /// The same with this `Date`, or none if the block is empty.
    pub(crate) fn write_dated(&self, date: &FieldBlock, idle: Option<Duration>, out: &mut Vec<u8>) {
        let head = Head::new(self.status).with_first_fields(date);
        if self.broken || self.write(head.with_fields(&[&self.fields]), idle, out).is_err() {
            let head = Head::new(500).with_first_fields(date);
            self.write(head, idle, out).expect("any body goes with a 500");
        }
    }

    /// Writes the body behind this head. After an error nothing was written.
    fn write(&self, head: Head<'_>, idle: Option<Duration>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let content = match &self.body {
            ResponseBody::Whole(bytes) => &bytes[..],
            ResponseBody::Stream(_) => &[],
        };
        let length = match head.status() {
            // These have no content, and a length of nothing would be a lie about it (RFC 9110
            // §8.6).
            204 | 304 => BodyLength::Empty,
            _ => BodyLength::Length(content.len() as u64),
        };
        let mut http = Connection::<Server>::answering_get(http1::Limits::new());
        if self.close || idle.is_none() {
            http.close();
        }
        // Room at once for a whole answer.
        out.reserve(512 + content.len());
        let head = head.with_idle_timeout(idle.map_or(0, whole_seconds));
        http.send_head(&head, length, out)?;
        http.send_data(content, out)?;
        http.send_end(out)
    }
}

thread_local! {
    /// For answers that are written apart from the request cycle, whose worker has a date of its
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

/// A whole response to give to many requests: encoded once, copied into each connection's output.
/// See [`Reply::Shared`].
#[derive(Debug)]
pub struct Prepared {
    pub(crate) status: u16,
    pub(crate) fields: FieldBlock,
    pub(crate) body: Bytes,
    /// All of it as it goes out, with the date of this edition and this idle time: what else is in
    /// it never changes.
    whole: Mutex<Option<((u64, u32), WholeResponse)>>,
    /// The same for parked connections.
    bytes: Mutex<Option<((u64, Duration), Bytes)>>,
}

impl Response {
    /// Makes a response that can be shared: one with a whole body, that does not close its
    /// connection. Any other is given back.
    ///
    /// # Errors
    /// The response, unchanged.
    pub fn prepare(self) -> Result<Prepared, Self> {
        match self {
            Response { status, fields, body: ResponseBody::Whole(body), close: false, broken: false }
                if !matches!(status, 204 | 205 | 304) =>
            {
                Ok(Prepared { status, fields, body, whole: Mutex::new(None), bytes: Mutex::new(None) })
            }
            other => Err(other),
        }
    }
}

impl Prepared {
    /// Sends it in one piece, if the exchange is one of the usual kind.
    pub(crate) fn send(
        &self,
        http: &mut Connection<Server>,
        (date, edition): (&FieldBlock, u64),
        idle: u32,
        out: &mut Vec<u8>,
    ) -> bool {
        // No code panics while it holds the lock, so a poisoned one holds good data.
        let mut whole = self.whole.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if whole.as_ref().is_none_or(|(made, _)| *made != (edition, idle)) {
            let blocks = [date, &self.fields];
            let head = Head::new(self.status).with_fields(&blocks).with_idle_timeout(idle);
            *whole = WholeResponse::new(&head, &self.body).ok().map(|whole| ((edition, idle), whole));
        }
        whole.as_ref().is_some_and(|(_, whole)| http.send_whole(whole, out))
    }

    /// All of it, for a handler that answers on [`Parked`](crate::Parked) connections: as
    /// [`Response::write_to`] writes it, and not written anew for each of them.
    pub fn to_bytes(&self, idle: Duration) -> Bytes {
        DATE.with_borrow_mut(|date| {
            let (date, edition) = date.get(Instant::now());
            let mut kept = self.bytes.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if let Some((_, bytes)) = kept.as_ref().filter(|(made, _)| *made == (edition, idle)) {
                return bytes.clone();
            }
            let mut out = Vec::new();
            let response = Response {
                status: self.status,
                fields: self.fields.clone(),
                body: ResponseBody::Whole(self.body.clone()),
                close: false,
                broken: false,
            };
            response.write_dated(date, Some(idle), &mut out);
            let bytes = Bytes::from(out);
            *kept = Some(((edition, idle), bytes.clone()));
            bytes
        })
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResponseBody::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            ResponseBody::Stream(_) => f.write_str("Stream(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_time_of_less_than_a_second_is_not_told() {
        let head = |idle| {
            let mut out = Vec::new();
            Response::new(200).write_to(idle, &mut out);
            String::from_utf8(out).unwrap()
        };
        let told = head(Some(Duration::from_millis(1_999)));
        assert!(told.contains("\r\nConnection: keep-alive\r\nKeep-Alive: timeout=1\r\n"), "{told}");
        let not_told = head(Some(Duration::from_millis(999)));
        assert!(!not_told.contains("Connection") && !not_told.contains("Keep-Alive"), "{not_told}");
        assert!(head(None).contains("\r\nConnection: close\r\n"));
    }

    #[test]
    fn a_response_apart_from_its_request_has_these_bytes() {
        let date = FieldBlock::from_pairs([("Date", "now")]).unwrap();
        let bytes = |response: Response, idle| {
            let mut out = Vec::new();
            response.write_dated(&date, idle, &mut out);
            String::from_utf8(out).unwrap()
        };
        let text = |status| Response::new(status).with("Content-Type", "text/plain").body("hello");
        let minute = Some(Duration::from_secs(60));
        let kept = "Connection: keep-alive\r\nKeep-Alive: timeout=60\r\n";
        assert_eq!(
            bytes(text(200), minute),
            format!(
                "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 5\r\n{kept}Content-Type: text/plain\r\n\r\nhello"
            )
        );
        assert_eq!(
            bytes(text(410), None),
            "HTTP/1.1 410 Gone\r\nDate: now\r\nContent-Length: 5\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\nhello"
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
    fn what_cannot_be_sent_is_a_500() {
        for response in [Response::new(200).with("X", "a\r\nb"), Response::new(205).with("A", "b")] {
            let (mut out, mut plain) = (Vec::new(), Vec::new());
            response.body("hello").write_dated(&FieldBlock::new(), None, &mut out);
            Response::new(500).body("hello").write_dated(&FieldBlock::new(), None, &mut plain);
            assert_eq!(String::from_utf8(out), String::from_utf8(plain));
        }
    }
}
