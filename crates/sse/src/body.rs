//! A stream of events as the body of a response.
//!
//! ```text
//!   source ── event, event, … ──► one frame, up to 8 KiB ──► server
//!     │ nothing for a while          ▲
//!     ├──────────────── heartbeat ───┘
//!     │ end                              the body ends
//!     └ error, or a refused event ─────► the frame before it, then the error
//! ```
//!
//! The body asks the source only when the server asks the body, so a slow client slows the source
//! (backpressure). The source's events go into a frame until it has no event ready.

use alloc::boxed::Box;
use alloc::string::ToString;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::stream::Stream;
use http::header::{self, HeaderName, HeaderValue};
use http_body::Frame;

use crate::encode::{CONTENT_TYPE, lines};
use crate::heartbeat::Heartbeat;
use crate::item::{BodyError, BodyItem};
use crate::prepared::PreparedEvent;

/// The body of a response that sends the events of a stream. It implements [`http_body::Body`], for
/// hyper, axum, warp and other servers.
///
/// ```
/// use futures_util::stream;
/// use tidewire_sse::{EventBody, HEARTBEAT_PERIOD, OutgoingEvent};
///
/// let ticks = stream::iter((1..4).map(|tick| OutgoingEvent::data(format!("tick {tick}"))));
/// let response = EventBody::new(ticks).with_heartbeat(HEARTBEAT_PERIOD).into_response();
/// assert_eq!(response.headers()["content-type"], "text/event-stream");
/// ```
///
/// In axum, a handler returns this response. Each item of the stream is a [`BodyItem`]: an
/// [`OutgoingEvent`](crate::OutgoingEvent), a [`PreparedEvent`] (for broadcasts), a received
/// [`Message`](crate::Message), or a `Result` of one of these.
///
/// # From a channel
///
/// ```
/// use tidewire_sse::{EventBody, OutgoingEvent};
///
/// let (events, mut receiver) = tokio::sync::mpsc::channel::<OutgoingEvent>(64);
/// let body = EventBody::from_fn(move |context| receiver.poll_recv(context));
/// # let _ = (events, body);
/// ```
///
/// `events.send(event).await` waits while the client is slow and the channel is full. It fails when
/// the client has gone: the server drops the body, and with it the receiver. Otherwise the body
/// ends when all senders are dropped.
///
/// # A broadcast
///
/// Each event is encoded once. A receiver that is too slow for its channel gets the error `Lagged`,
/// which ends its body, so that a browser reconnects with its last id:
///
/// ```
/// use futures_util::stream;
/// use tidewire_sse::{EventBody, PreparedEvent};
/// use tokio::sync::broadcast;
/// use tokio::sync::broadcast::error::RecvError;
///
/// let news = broadcast::Sender::<PreparedEvent>::new(64);
/// let events = stream::unfold(news.subscribe(), async |mut news| match news.recv().await {
///     Err(RecvError::Closed) => None,
///     event => Some((event, news)),
/// });
/// let response = EventBody::new(events).into_response();
/// # let _ = response;
/// ```
///
/// # Errors
///
/// No event is left out. Of its text, only CR changes: it arrives as LF, the only line end that
/// data can have. If an event cannot be encoded, for example one whose id has a
/// line feed, the body sends the events before it, and then fails with [`BodyError::Encode`]. The
/// same holds if the stream yields an error. The server then cuts the connection, so that the
/// client cannot take the response for complete: a browser reconnects, with the last id that it
/// has. For the developer at a terminal, an encode error is also the last comment of the body. The
/// text of the stream's own error is not sent.
///
/// axum and hyper do not log errors of bodies. To log them, use `map_err` of `http-body-util`:
///
/// ```
/// # use futures_util::stream;
/// # use tidewire_sse::{EventBody, OutgoingEvent};
/// use http_body_util::BodyExt;
///
/// # let events = stream::empty::<OutgoingEvent>();
/// let response = EventBody::new(events).into_response().map(|body| {
///     body.map_err(|error| {
///         eprintln!("an event stream failed: {error}");
///         error
///     })
/// });
/// # let _ = response;
/// ```
///
/// To refuse an event where it is made, call [`prepare`](crate::OutgoingEvent::prepare) there.
pub struct EventBody<S> {
    source: Pin<Box<S>>,
    state: State,
    heartbeat: Heartbeat,
    /// The frame that is being filled.
    frame: BytesMut,
}

impl<S: Stream<Item: BodyItem>> EventBody<S> {
    /// A body that sends the events of a stream, without heartbeats.
    #[must_use]
    pub fn new(events: S) -> Self {
        Self {
            source: Box::pin(events),
            state: State::Open,
            heartbeat: Heartbeat::default(),
            frame: BytesMut::new(),
        }
    }
}

impl<T: BodyItem, F: FnMut(&mut Context<'_>) -> Poll<Option<T>>> EventBody<FromFn<F>> {
    /// A body that calls a function for the next event, as `poll_recv` of tokio's channels. `None`
    /// ends the body.
    #[must_use]
    pub fn from_fn(poll_next: F) -> Self {
        Self::new(FromFn(poll_next))
    }
}

impl<S> EventBody<S> {
    /// Sends a heartbeat whenever nothing was sent for this time.
    /// [`HEARTBEAT_PERIOD`](crate::HEARTBEAT_PERIOD) is a good value. Zero turns heartbeats off,
    /// which is the default.
    ///
    /// The heartbeat is [`HEARTBEAT`](crate::HEARTBEAT), an empty comment. A client does not see it
    /// as an event.
    ///
    /// # Panics
    /// The body panics when it is polled outside of a tokio runtime with its time enabled, which
    /// servers on tokio have. Without heartbeats, it needs no runtime.
    #[must_use]
    pub fn with_heartbeat(mut self, idle: Duration) -> Self {
        self.heartbeat.set_period(idle);
        self
    }

    /// Sets what is sent as a heartbeat, for clients that expect a text or an event. It has no
    /// effect without [`with_heartbeat`](Self::with_heartbeat).
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use tidewire_sse::{EventBody, HEARTBEAT_PERIOD, OutgoingEvent};
    /// # let events = stream::empty::<OutgoingEvent>();
    /// let ping = OutgoingEvent::comment("still here").prepare()?;
    /// let body = EventBody::new(events).with_heartbeat(HEARTBEAT_PERIOD).with_heartbeat_event(ping);
    /// # let _ = body;
    /// # Ok::<(), tidewire_sse::EncodeError>(())
    /// ```
    #[must_use]
    pub fn with_heartbeat_event(mut self, event: PreparedEvent) -> Self {
        self.heartbeat.set_bytes(event.into());
        self
    }

    /// The response with this body: status 200, `Content-Type: text/event-stream`, `Cache-Control:
    /// no-store`, and `X-Accel-Buffering: no`, which tells nginx not to hold events back.
    ///
    /// To let a client resume, read its `Last-Event-ID` field when you make the stream.
    #[must_use]
    pub fn into_response(self) -> http::Response<Self> {
        let mut response = http::Response::new(self);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        response
    }
}

impl<S: Stream<Item: BodyItem>> EventBody<S> {
    /// Fills the frame, until the source has no event ready or the frame is large enough.
    fn fill(&mut self, context: &mut Context<'_>) {
        while self.frame.len() < BATCH {
            match self.source.as_mut().poll_next(context) {
                Poll::Ready(Some(item)) => {
                    if let Err(error) = item.append(&mut self.frame) {
                        if let BodyError::Encode(_) = error {
                            // Its text has no part of the event, so a client may see it.
                            lines(&mut self.frame, b": ", error.to_string().as_bytes());
                        }
                        self.state = State::Failed { error, may_flush: true };
                        return;
                    }
                }
                Poll::Ready(None) => {
                    self.state = State::Ended;
                    return;
                }
                Poll::Pending => return,
            }
        }
    }
}

impl<S: Stream<Item: BodyItem>> http_body::Body for EventBody<S> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if matches!(this.state, State::Open) {
            this.fill(context);
            if !this.frame.is_empty() {
                this.heartbeat.restart();
                let frame = core::mem::take(&mut this.frame).freeze();
                return Poll::Ready(Some(Ok(Frame::data(frame))));
            }
        }
        match core::mem::replace(&mut this.state, State::Ended) {
            State::Open => {
                this.state = State::Open;
                let heartbeat = ready!(this.heartbeat.poll(context));
                Poll::Ready(Some(Ok(Frame::data(heartbeat))))
            }
            // hyper writes what it has when the body waits, but not when the body fails.
            State::Failed { error, may_flush: true } => {
                this.state = State::Failed { error, may_flush: false };
                context.waker().wake_by_ref();
                Poll::Pending
            }
            State::Failed { error, may_flush: false } => Poll::Ready(Some(Err(error))),
            State::Ended => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended)
    }
}

enum State {
    Open,
    /// The error is yet to be returned. `may_flush`: the body waits once before, so that the server
    /// can write the events before it.
    Failed {
        error: BodyError,
        may_flush: bool,
    },
    Ended,
}

/// The stream of [`EventBody::from_fn`].
pub struct FromFn<F>(F);

// The function is never pinned.
impl<F> Unpin for FromFn<F> {}

impl<T, F: FnMut(&mut Context<'_>) -> Poll<Option<T>>> Stream for FromFn<F> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        (self.0)(context)
    }
}

impl<S> fmt::Debug for EventBody<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBody")
            .field("heartbeat", &self.heartbeat.period())
            .field("is_open", &matches!(self.state, State::Open))
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").finish_non_exhaustive()
    }
}

/// A frame is full when it has this many bytes: it takes at most one event more. Larger frames save
/// nothing.
const BATCH: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decoder, EventFields, EventStream, HEARTBEAT_PERIOD, Limits, Message, OutgoingEvent};
    use alloc::string::String;
    use alloc::{format, vec};
    use core::convert::Infallible;
    use core::task::Waker;
    use futures_util::{FutureExt, stream};
    use http_body::Body as _;
    use http_body_util::BodyExt;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::mpsc;
    use tokio::time::Instant;

    /// The next frame, as text.
    async fn frame(body: &mut (impl http_body::Body<Data = Bytes, Error = BodyError> + Unpin)) -> String {
        let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
        String::from_utf8(data.to_vec()).unwrap()
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        future.now_or_never().expect("it does not wait")
    }

    fn from_channel<T: BodyItem>(size: usize) -> (mpsc::Sender<T>, EventBody<impl Stream<Item = T>>) {
        let (send, mut receiver) = mpsc::channel(size);
        (send, EventBody::from_fn(move |context| receiver.poll_recv(context)))
    }

    #[test]
    fn the_response_has_the_fields_of_an_event_stream() {
        let response = EventBody::new(stream::empty::<OutgoingEvent>()).into_response();
        assert_eq!(response.status(), 200);
        let field = |name: &str| response.headers()[name].to_str().unwrap();
        assert_eq!(field("content-type"), "text/event-stream");
        assert_eq!(field("cache-control"), "no-store");
        assert_eq!(field("x-accel-buffering"), "no");
    }

    #[test]
    fn every_kind_of_item_is_sent() {
        fn sent<T: BodyItem>(item: T) -> String {
            let mut body = EventBody::new(stream::iter([item]));
            let text = now(frame(&mut body));
            assert!(body.is_end_stream());
            assert!(now(body.frame()).is_none());
            text
        }
        let event = || OutgoingEvent::data("x").with_comment("c");
        let message = Message { event_type: "a".into(), data: "x".into(), last_event_id: "7".into() };
        assert_eq!(sent(event()), ": c\ndata: x\n\n");
        assert_eq!(sent(event().prepare().unwrap()), ": c\ndata: x\n\n");
        assert_eq!(sent(message.as_event()), "id: 7\nevent: a\ndata: x\n\n");
        assert_eq!(sent(message), "id: 7\nevent: a\ndata: x\n\n");
        assert_eq!(sent(EventFields { retry: Some(5), ..EventFields::default() }), "retry: 5\n\n");
        assert_eq!(sent(Ok::<_, Infallible>(event())), ": c\ndata: x\n\n");
    }

    #[test]
    fn ready_events_share_a_frame_up_to_its_bound() {
        let made = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&made);
        let data = "x".repeat(1000);
        let events = stream::repeat_with(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            OutgoingEvent::data(data.as_str())
        });
        let mut body = EventBody::new(events);
        let len = now(frame(&mut body)).len();
        assert!((BATCH..BATCH + 1008).contains(&len), "{len}");
        // Backpressure: no event is made before the server asks for the next frame.
        assert_eq!(made.load(Ordering::Relaxed), len / 1008);
    }

    #[tokio::test]
    async fn an_event_is_sent_at_once_and_a_slow_client_slows_the_channel() {
        let (send, mut body) = from_channel(1);
        send.send(OutgoingEvent::data("1")).await.unwrap();
        assert!(send.try_send(OutgoingEvent::data("2")).is_err(), "nobody has read");
        assert_eq!(frame(&mut body).await, "data: 1\n\n");
        assert!(body.frame().now_or_never().is_none());
        send.send(OutgoingEvent::data("2")).await.unwrap();
        assert_eq!(frame(&mut body).await, "data: 2\n\n");
        drop(send);
        assert!(body.frame().await.is_none() && body.frame().await.is_none());
        let (send, body) = from_channel::<OutgoingEvent>(1);
        drop(body);
        assert!(send.is_closed(), "the sender learns that the client has gone");
    }

    #[test]
    fn an_event_that_cannot_be_written_ends_the_body_with_an_error() {
        let events = ["1", "2\n", "3"].map(|id| OutgoingEvent::data("x").with_id(id));
        let mut body = EventBody::new(stream::iter(events));
        let sent = now(frame(&mut body));
        let comment = ": an event could not be written: CR, LF or NUL in an id, at byte 1\n";
        assert_eq!(sent, format!("id: 1\ndata: x\n\n{comment}"));
        assert!(!body.is_end_stream());
        // The server gets a moment to write this frame.
        assert!(body.frame().now_or_never().is_none());
        let error = now(body.frame()).unwrap().unwrap_err();
        assert!(matches!(error, BodyError::Encode(_)));
        assert_eq!(error.to_string(), comment[2..].trim());
        assert!(core::error::Error::source(&error).is_some_and(|source| source.is::<crate::EncodeError>()));
        assert!(now(body.frame()).is_none() && body.is_end_stream());
    }

    #[test]
    fn an_error_of_the_source_is_passed_on_and_not_shown_to_the_client() {
        let items = [Ok(OutgoingEvent::data("x")), Err("the password is 1234"), Ok(OutgoingEvent::data("y"))];
        let mut body = EventBody::new(stream::iter(items));
        assert_eq!(now(frame(&mut body)), "data: x\n\n");
        assert!(body.frame().now_or_never().is_none());
        let error = now(body.frame()).unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the stream of events failed: the password is 1234");
        assert!(now(body.frame()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_comes_after_silence_only() {
        let (send, body) = from_channel(8);
        let mut body = body.with_heartbeat(HEARTBEAT_PERIOD);
        let start = Instant::now();
        assert_eq!(frame(&mut body).await, ":\n");
        assert_eq!(start.elapsed().as_secs(), 15);
        // An event 10 s later begins the time again.
        let event = async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            send.send(OutgoingEvent::data("x")).await.unwrap();
        };
        assert_eq!(tokio::join!(frame(&mut body), event).0, "data: x\n\n");
        assert_eq!(start.elapsed().as_secs(), 25);
        assert_eq!(frame(&mut body).await, ":\n");
        assert_eq!(start.elapsed().as_secs(), 40);
        assert_eq!(frame(&mut body).await, ":\n");
        assert_eq!(start.elapsed().as_secs(), 55);
        // While nobody polls, heartbeats do not pile up.
        tokio::time::sleep(Duration::from_secs(100)).await;
        send.send(OutgoingEvent::data("y")).await.unwrap();
        assert_eq!(frame(&mut body).await, "data: y\n\n");
        assert_eq!(frame(&mut body).await, ":\n");
        assert_eq!(start.elapsed().as_secs(), 170);
        drop(send);
        assert!(body.frame().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_heartbeat_may_be_an_event_and_its_period_any() {
        let silent = || EventBody::new(stream::pending::<OutgoingEvent>());
        let ping = OutgoingEvent::data("{}").with_event_type("ping").prepare().unwrap();
        let mut body = silent().with_heartbeat(Duration::from_millis(5)).with_heartbeat_event(ping);
        assert_eq!(frame(&mut body).await, "event: ping\ndata: {}\n\n");
        for period in [Duration::MAX, Duration::from_secs(1 << 40)] {
            let mut body = silent().with_heartbeat(period);
            let year = Duration::from_secs(31_536_000);
            assert!(tokio::time::timeout(year, body.frame()).await.is_err());
        }
    }

    #[test]
    fn without_heartbeats_no_runtime_is_needed() {
        for body in [
            EventBody::new(stream::pending::<OutgoingEvent>()),
            EventBody::new(stream::pending::<OutgoingEvent>()).with_heartbeat(Duration::ZERO),
        ] {
            let mut body = body;
            let mut context = Context::from_waker(Waker::noop());
            assert!(Pin::new(&mut body).poll_frame(&mut context).is_pending());
        }
    }

    #[test]
    fn the_other_side_reads_what_was_sent() {
        let events = (0..500).map(|n| OutgoingEvent::data("a\rb".repeat(n)).with_id(format!("{n}")));
        let response = EventBody::new(stream::iter(events)).into_response();
        let mut events = now(EventStream::from_response(response)).unwrap();
        for n in 0..500 {
            let message = now(events.try_next()).unwrap().unwrap();
            assert_eq!((message.data, message.last_event_id), ("a\nb".repeat(n), format!("{n}")));
        }
        assert!(now(events.next()).is_none());
        let body = EventBody::new(stream::iter(vec![OutgoingEvent::data("x"); 3]));
        let wire = now(body.collect()).unwrap().to_bytes();
        assert_eq!(Decoder::new(Limits::DEFAULT).decode(&wire).unwrap().0, 9);
        let page = http::Response::builder().status(500).body(String::from("no")).unwrap();
        let error = now(EventStream::from_response(page.map(http_body_util::Full::<Bytes>::from)));
        assert_eq!(error.unwrap_err().to_string(), "not an event stream: status 500, no content type: no");
    }

    #[test]
    fn an_error_page_has_its_fields() {
        let page = http::Response::builder().status(429).header("Retry-After", "5");
        let page = page.body(http_body_util::Full::<Bytes>::from("slow down")).unwrap();
        let error = now(EventStream::from_response(page)).unwrap_err();
        assert_eq!((error.status(), &error.headers()["retry-after"]), (429, &HeaderValue::from_static("5")));
        assert_eq!(error.body(), b"slow down");
    }
}
