//! From the response to its messages: the check of status and media type.

#[cfg(feature = "http-body")]
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::pin::pin;

use futures_core::stream::TryStream;

use crate::media_type::is_event_stream;
use crate::stream::EventStream;

/// Why a response has no messages: its status is not 200, or its body is not an event stream.
///
/// The text has all that is known, in one line:
///
/// ```text
/// not an event stream: status 401, application/json: {"error": "no such key"}
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAnEventStream {
    status: u16,
    content_type: Option<Vec<u8>>,
    body: Vec<u8>,
    #[cfg(feature = "http-body")]
    headers: Box<http::HeaderMap>,
}

impl<S: TryStream<Ok: AsRef<[u8]>>> EventStream<S> {
    /// The messages of a response, if it is an event stream: status 200 and
    /// [`is_event_stream`](crate::is_event_stream). `body` is what follows the head.
    ///
    /// `from_response`, with the feature `http-body`, takes the parts from the response.
    ///
    /// # Errors
    /// [`NotAnEventStream`] with the status, the media type, and the first 8 KiB of the body. It
    /// waits for this part of the body, without a deadline. An error of the body ends the part. So
    /// with a deadline on the source (`read_timeout` in reqwest), the error still has the status.
    pub async fn from_parts(
        status: u16,
        content_type: Option<impl AsRef<[u8]>>,
        body: S,
    ) -> Result<Self, NotAnEventStream> {
        // HTML §9.2.2 (1)
        if status == 200 && content_type.as_ref().is_some_and(is_event_stream) {
            return Ok(Self::new(body));
        }
        let content_type = content_type.map(|value| value.as_ref().to_vec());
        Err(NotAnEventStream {
            status,
            content_type,
            body: start(body).await,
            #[cfg(feature = "http-body")]
            headers: Box::default(),
        })
    }
}

/// The start of a body.
async fn start<S: TryStream<Ok: AsRef<[u8]>>>(body: S) -> Vec<u8> {
    let mut body = pin!(body);
    let mut start = Vec::new();
    while let room @ 1.. = ERROR_BODY.saturating_sub(start.len()) {
        let next = core::future::poll_fn(|context| body.as_mut().try_poll_next(context));
        let Some(Ok(chunk)) = next.await else { break };
        let chunk = chunk.as_ref();
        start.extend_from_slice(chunk.get(..room).unwrap_or(chunk));
    }
    start
}

impl NotAnEventStream {
    /// The status of the response. After 204 a client does not reconnect (HTML §9.2.1).
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The field `Content-Type` of the response.
    #[must_use]
    pub fn content_type(&self) -> Option<&[u8]> {
        self.content_type.as_deref()
    }

    /// The header fields of the response, such as `Retry-After`. Only
    /// [`from_response`](EventStream::from_response) knows them: after
    /// [`from_parts`](EventStream::from_parts) there are none.
    #[cfg(feature = "http-body")]
    #[cfg_attr(docsrs, doc(cfg(feature = "http-body")))]
    #[must_use]
    pub fn headers(&self) -> &http::HeaderMap {
        &self.headers
    }

    #[cfg(feature = "http-body")]
    pub(crate) fn with_headers(mut self, headers: http::HeaderMap) -> Self {
        *self.headers = headers;
        self
    }

    /// The body of the response, at most its first 8 KiB.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

impl fmt::Display for NotAnEventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an event stream: status {}", self.status)?;
        match &self.content_type {
            Some(value) => write!(f, ", {}", one_line(value))?,
            None => f.write_str(", no content type")?,
        }
        if !self.body.is_empty() {
            write!(f, ": {}", one_line(self.body.get(..SHOWN).unwrap_or(&self.body)))?;
        }
        Ok(())
    }
}

impl core::error::Error for NotAnEventStream {}

/// Text without control characters: the server wrote it, and it may be printed to a log or a
/// terminal.
fn one_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(char::is_control, " ")
}

/// The most bytes of a body that is not an event stream. Enough for the error of an API in JSON.
const ERROR_BODY: usize = 8 << 10;

/// The bytes of the body that `Display` shows.
const SHOWN: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use core::convert::Infallible;
    use futures_util::{FutureExt, StreamExt, stream};

    type Body = futures_util::stream::BoxStream<'static, Result<Vec<u8>, &'static str>>;

    fn check(
        status: u16,
        content_type: Option<&str>,
        body: Body,
    ) -> Result<EventStream<Body>, NotAnEventStream> {
        EventStream::from_parts(status, content_type, body).now_or_never().unwrap()
    }

    fn body(chunks: Vec<Result<&'static str, &'static str>>) -> Body {
        stream::iter(chunks).map(|chunk| chunk.map(|text| text.as_bytes().to_vec())).boxed()
    }

    #[test]
    fn an_error_page_is_an_error() {
        let page = check(200, Some("text/html"), body(vec![Ok("<h1>\r\nno "), Ok("such page")])).unwrap_err();
        assert_eq!(page.to_string(), "not an event stream: status 200, text/html: <h1>  no such page");
        assert_eq!((page.status(), page.content_type()), (200, Some(&b"text/html"[..])));
        assert_eq!(page.body(), b"<h1>\r\nno such page");

        let none = check(204, None, body(vec![])).unwrap_err();
        assert_eq!(none.to_string(), "not an event stream: status 204, no content type");
        let broken = check(502, Some("\x1b[2J"), body(vec![Ok("a"), Err("cut"), Ok("b")])).unwrap_err();
        assert_eq!((broken.body(), broken.to_string().contains('\x1b')), (&b"a"[..], false));
        // An error in the format of events is an error too.
        let busy = check(503, Some("text/event-stream"), body(vec![Ok("data: busy\n\n")])).unwrap_err();
        assert_eq!(busy.body(), b"data: busy\n\n");
    }

    #[test]
    fn the_body_of_an_error_is_bounded() {
        let endless = stream::repeat(Ok(vec![b'x'; 1000])).boxed();
        let page = check(500, Some("text/plain"), endless).unwrap_err();
        assert_eq!(page.body().len(), ERROR_BODY);
        assert!(page.to_string().len() < SHOWN + 100);
    }

    #[test]
    fn an_event_stream_is_read() {
        let mut events =
            check(200, Some("Text/Event-Stream; charset=utf-8"), body(vec![Ok("data: a\n\n")])).unwrap();
        assert_eq!(events.try_next().now_or_never().unwrap().unwrap().unwrap().data, "a");
        // Nothing is read before the first `next`, so a silent stream does not wait here.
        let silent = stream::pending::<Result<&str, Infallible>>();
        let events = EventStream::from_parts(200, Some("text/event-stream"), silent);
        assert!(events.now_or_never().is_some_and(|events| events.is_ok()));
    }
}
