//! Messages from a stream of byte chunks, such as the body of a response.

use alloc::boxed::Box;
use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use futures_core::stream::{FusedStream, Stream, TryStream};

use crate::decode::{Decoder, Event};
use crate::error::Error;
use crate::limits::Limits;
use crate::message::Message;

/// The messages of a stream of byte chunks, such as `reqwest::Response::bytes_stream()`.
///
/// The chunks may be cut anywhere, also within a character or a CRLF. The memory is bounded by
/// [`Limits`], and one chunk.
///
/// ```
/// # use futures_util::{FutureExt, stream};
/// # use std::convert::Infallible;
/// use tidewire_sse::EventStream;
///
/// # async {
/// # let body = stream::iter([Ok::<_, Infallible>("data: hi"), Ok("gh\n\ndata: [DONE]\n"), Ok("\n")]);
/// let mut events = EventStream::new(body);
/// while let Some(event) = events.try_next().await? {
///     if event.data == "[DONE]" {
///         break; // many servers of language models end their streams so
///     }
///     assert_eq!(event.data, "high");
/// }
/// # Ok::<(), tidewire_sse::StreamError<Infallible>>(())
/// # }.now_or_never().unwrap().unwrap();
/// ```
///
/// It is also a `Stream` of `Result<Message, StreamError>`. After an error or the end it yields
/// `None`.
///
/// # Check the response first
///
/// Every sequence of bytes is an event stream: an error page in HTML has no event and no error. So
/// begin with `from_response` or [`from_parts`](Self::from_parts), which check the status and the
/// media type.
///
/// # Resume
///
/// After an error or the end, send [`last_event_id`](Self::last_event_id) in the header field
/// `Last-Event-ID` of the next request, if it is not empty. Wait for
/// [`reconnect_delay`](Self::reconnect_delay) first, if the server has set it. Begin the next
/// stream with [`with_last_event_id`](Self::with_last_event_id).
///
/// # Forward
///
/// A proxy gives the stream to an `EventBody` (feature `http-body`), and may change each message:
///
/// ```
/// # #[cfg(feature = "http-body")]
/// # async {
/// # let upstream = http::Response::new(http_body_util::Empty::<bytes::Bytes>::new());
/// use futures_util::TryStreamExt;
/// use tidewire_sse::{EventBody, EventStream, HEARTBEAT_PERIOD};
///
/// let events = EventStream::from_response(upstream).await?.map_ok(|mut message| {
///     message.data = message.data.to_uppercase();
///     message
/// });
/// let response = EventBody::new(events).with_heartbeat(HEARTBEAT_PERIOD).into_response();
/// # Ok::<_, Box<dyn std::error::Error>>(drop(response))
/// # };
/// ```
///
/// If the upstream breaks off, so does the response. Only messages are passed on: not `retry`, and
/// not an id without a message. A proxy that needs them too reads with the [`Decoder`], and
/// forwards each [`Event`].
///
/// # Deadlines
///
/// It has none: a stream may be silent for hours. A server that sends heartbeats is silent for a
/// shorter time, but heartbeats yield no event. To notice that no bytes come, put the deadline on
/// the source (`read_timeout` in reqwest).
pub struct EventStream<S: TryStream> {
    /// `None` after the end.
    source: Option<Pin<Box<S>>>,
    /// The chunk that is being decoded, and the number of bytes that are decoded.
    chunk: Option<(S::Ok, usize)>,
    decoder: Decoder,
    reconnect_delay: Option<Duration>,
}

/// Why an [`EventStream`] has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError<E> {
    /// The source failed: the connection, in most cases. Reconnect with the last id.
    Source(E),
    /// An event exceeds [`Limits`]. Reconnecting with the last id would bring the same event again.
    Decode(Error),
}

impl<S: TryStream<Ok: AsRef<[u8]>>> EventStream<S> {
    /// The messages of a body that is known to be an event stream, with [`Limits::DEFAULT`].
    #[must_use]
    pub fn new(source: S) -> Self {
        Self {
            source: Some(Box::pin(source)),
            chunk: None,
            decoder: Decoder::new(Limits::DEFAULT),
            reconnect_delay: None,
        }
    }

    /// Sets the limits.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.decoder.set_limits(limits);
        self
    }

    /// Sets the last id of an earlier connection. Messages that set no id have this id, as in a
    /// browser.
    #[must_use]
    pub fn with_last_event_id(mut self, id: &str) -> Self {
        self.decoder = self.decoder.with_last_event_id(id);
        self
    }

    /// The next message. `None` after the end and after an error.
    ///
    /// Cancelling the future loses nothing.
    ///
    /// # Errors
    /// Those of the source, and limits that were passed.
    #[allow(clippy::should_implement_trait)] // as `StreamExt::next`, without its import
    pub async fn next(&mut self) -> Option<Result<Message, StreamError<S::Error>>> {
        poll_fn(|context| self.poll(context)).await
    }

    /// [`next`](Self::next), for use with `?`: `while let Some(event) = events.try_next().await?`.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn try_next(&mut self) -> Result<Option<Message>, StreamError<S::Error>> {
        self.next().await.transpose()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Message, StreamError<S::Error>>>> {
        loop {
            let Some(source) = &mut self.source else { return Poll::Ready(None) };
            if let Some((chunk, at)) = &mut self.chunk {
                match self.decoder.decode(chunk.as_ref().get(*at..).unwrap_or_default()) {
                    Ok((n, event)) => {
                        *at = at.saturating_add(n);
                        match event {
                            Some(Event::Message { event_type, data, last_event_id }) => {
                                let message = Message::new(event_type, data, last_event_id);
                                return Poll::Ready(Some(Ok(message)));
                            }
                            Some(Event::Retry(ms)) => self.reconnect_delay = Some(Duration::from_millis(ms)),
                            // The decoder keeps the id.
                            Some(Event::Id(_)) => {}
                            None => self.chunk = None,
                        }
                    }
                    Err(error) => {
                        self.end();
                        return Poll::Ready(Some(Err(StreamError::Decode(error))));
                    }
                }
                continue;
            }
            match ready!(source.as_mut().try_poll_next(context)) {
                Some(Ok(chunk)) => self.chunk = Some((chunk, 0)),
                Some(Err(error)) => {
                    self.end();
                    return Poll::Ready(Some(Err(StreamError::Source(error))));
                }
                None => self.end(),
            }
        }
    }

    /// Drops the source, and with it the connection.
    fn end(&mut self) {
        self.source = None;
        self.chunk = None;
    }
}

impl<S: TryStream> EventStream<S> {
    /// The last event ID so far, of messages and of blocks without data. Send it in the header
    /// field `Last-Event-ID` when reconnecting. If it is empty, send no such field.
    ///
    /// It may have characters that are not ASCII. Most HTTP crates take them as bytes only:
    /// `.header("Last-Event-ID", events.last_event_id().as_bytes())`.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        self.decoder.last_event_id()
    }

    /// The time that the server asked a client to wait before it reconnects, if it did.
    ///
    /// The server chooses it freely. A client should bound it at both ends.
    #[must_use]
    pub fn reconnect_delay(&self) -> Option<Duration> {
        self.reconnect_delay
    }

    /// Whether a part of an event has come whose end has not. After the end of the stream this part
    /// is lost: the standard discards it, so [`next`](Self::next) only returns `None`.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.decoder.is_unfinished()
    }
}

// The source is pinned in its box, and nothing else is pinned.
impl<S: TryStream> Unpin for EventStream<S> {}

impl<S: TryStream<Ok: AsRef<[u8]>>> Stream for EventStream<S> {
    type Item = Result<Message, StreamError<S::Error>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(context)
    }
}

impl<S: TryStream<Ok: AsRef<[u8]>>> FusedStream for EventStream<S> {
    fn is_terminated(&self) -> bool {
        self.source.is_none()
    }
}

impl<S: TryStream> fmt::Debug for EventStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("last_event_id", &self.last_event_id())
            .field("reconnect_delay", &self.reconnect_delay)
            .field("is_unfinished", &self.is_unfinished())
            .field("is_terminated", &self.source.is_none())
            .finish_non_exhaustive()
    }
}

impl<E: fmt::Display> fmt::Display for StreamError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => write!(f, "the event stream broke off: {error}"),
            Self::Decode(error) => error.fmt(f),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for StreamError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(match self {
            Self::Source(error) => error,
            Self::Decode(error) => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;
    use alloc::{format, vec};
    use core::convert::Infallible;
    use futures_util::{FutureExt, stream};
    use proptest::prelude::*;

    /// What a test source fails with.
    type Cut = core::num::ParseIntError;

    fn cut() -> Cut {
        "".parse::<u8>().unwrap_err()
    }

    type Chunks = stream::Iter<vec::IntoIter<Result<&'static str, Cut>>>;

    fn of(chunks: &[&'static str]) -> EventStream<Chunks> {
        EventStream::new(stream::iter(chunks.iter().map(|chunk| Ok(*chunk)).collect::<Vec<_>>()))
    }

    /// The next result of a stream that does not wait.
    fn next<S: TryStream<Ok: AsRef<[u8]>>>(
        events: &mut EventStream<S>,
    ) -> Option<Result<Message, StreamError<S::Error>>> {
        events.next().now_or_never().unwrap()
    }

    #[test]
    fn ids_and_retry_without_a_message_are_kept() {
        let mut events = of(&["retry: 2000\nid: 7\n\n", ":\n", "event: a\ndata: x\n\nid: 8\n\n", "id: 9\n"])
            .with_last_event_id("6");
        assert_eq!((events.last_event_id(), events.reconnect_delay()), ("6", None));
        let message = Message { event_type: "a".into(), data: "x".into(), last_event_id: "7".into() };
        assert_eq!(next(&mut events).unwrap(), Ok(message));
        // The id 8 is after the message. A caller that stops here resumes after the message.
        assert_eq!(events.last_event_id(), "7");
        assert_eq!(events.reconnect_delay(), Some(Duration::from_secs(2)));
        assert!(!events.is_unfinished(), "the message is complete, also its type");
        assert!(next(&mut events).is_none());
        // The block with the id 9 has no end.
        assert_eq!(events.last_event_id(), "8");
        assert!(events.is_unfinished());
        assert_eq!(
            format!("{events:?}"),
            "EventStream { last_event_id: \"8\", reconnect_delay: Some(2s), is_unfinished: true, \
             is_terminated: true, .. }"
        );
    }

    #[test]
    fn a_lost_part_of_an_event_is_noticed() {
        for (text, lost) in [
            ("", false),
            ("\u{feff}", false),
            ("data: x\n\n", false),
            ("data: x\r\r", false),
            ("event: a\ndata: x\n\n: comm", false),
            ("unknown: x", false),
            ("retry: 5\n", false),
            ("event: a\n\n", false),
            ("data: x\n", true),
            ("data", true),
            ("d", true),
            ("id: 7\n", true),
            ("event: a\n", true),
            ("retry: 5", true),
            ("data: x\n\ndata: y", true),
        ] {
            let mut events = of(&[text]);
            while next(&mut events).is_some() {}
            assert_eq!(events.is_unfinished(), lost, "{text:?}");
        }
    }

    #[test]
    fn after_an_error_of_the_source_it_ends_and_can_resume() {
        let chunks = [Ok("id: 7\ndata: a\n\n"), Ok("id: 8\nda"), Err(cut()), Ok("ta: b\n\n")];
        let mut events = EventStream::new(stream::iter(chunks));
        assert_eq!(next(&mut events).unwrap().unwrap().data, "a");
        assert!(!events.is_terminated());
        let error = next(&mut events).unwrap().unwrap_err();
        assert_eq!(error, StreamError::Source(cut()));
        assert_eq!(error.to_string(), format!("the event stream broke off: {}", cut()));
        assert!(core::error::Error::source(&error).is_some_and(|source| source.is::<Cut>()));
        assert!(events.is_terminated() && next(&mut events).is_none() && next(&mut events).is_none());
        assert_eq!((events.last_event_id(), events.is_unfinished()), ("7", true));
    }

    #[test]
    fn after_a_passed_limit_it_ends() {
        let mut events =
            of(&["data: abc\n\ndata: abcd", "\n\ndata: a\n\n"]).with_limits(Limits::DEFAULT.with_max_data(3));
        assert_eq!(next(&mut events).unwrap().unwrap().data, "abc");
        let error = next(&mut events).unwrap().unwrap_err();
        let StreamError::Decode(inner) = error else { panic!("{error:?}") };
        assert_eq!((inner.kind(), inner.offset()), (ErrorKind::DataTooLong, 20));
        assert_eq!(error.to_string(), inner.to_string());
        assert!(core::error::Error::source(&error).is_some_and(|source| source.is::<Error>()));
        assert!(next(&mut events).is_none());
    }

    #[test]
    fn limits_that_shrink_in_the_middle_of_an_event_are_kept() {
        let (send, receive) = std::sync::mpsc::channel::<&str>();
        let source = stream::poll_fn(move |_| match receive.try_recv() {
            Ok(text) => Poll::Ready(Some(Ok::<_, Infallible>(text))),
            Err(_) => Poll::Pending,
        });
        let mut events = EventStream::new(source);
        send.send("data: abcdef").unwrap();
        // A cancelled `next` has read the chunk.
        assert!(events.next().now_or_never().is_none() && events.is_unfinished());
        let mut events = events.with_limits(Limits::DEFAULT.with_max_data(3));
        send.send("g").unwrap();
        assert!(matches!(next(&mut events), Some(Err(StreamError::Decode(_)))));
    }

    #[test]
    fn a_cancelled_next_loses_nothing() {
        let mut waits = false;
        let mut chunks = ["data: a", "b\n", "\ndata: c\n\n"].into_iter();
        let mut events = EventStream::new(stream::poll_fn(move |_| {
            waits = !waits;
            if waits { Poll::Pending } else { Poll::Ready(chunks.next().map(Ok::<_, Infallible>)) }
        }));
        let mut received = Vec::new();
        let mut cancelled = 0;
        loop {
            match events.try_next().now_or_never() {
                None => cancelled += 1,
                Some(Ok(Some(message))) => received.push(String::from(message)),
                Some(end) => break assert_eq!(end, Ok(None)),
            }
        }
        assert_eq!((received, cancelled), (["ab".into(), "c".into()].into(), 4));
    }

    /// All messages and the last id, from the decoder that gets the bytes whole.
    fn whole(mut stream: &[u8], limits: Limits) -> (Vec<Message>, Option<Error>, String) {
        let (mut decoder, mut messages) = (Decoder::new(limits), Vec::new());
        let error = loop {
            match decoder.decode(stream) {
                Ok((_, None)) => break None,
                Ok((n, event)) => {
                    stream = &stream[n..];
                    if let Some(Event::Message { event_type, data, last_event_id }) = event {
                        messages.push(Message::new(event_type, data, last_event_id));
                    }
                }
                Err(error) => break Some(error),
            }
        };
        (messages, error, decoder.last_event_id().into())
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "data: ", "data", "id: ", "event:", "retry: 5", "\r", "\n", "\r\n", "\n\n", ":", "é🌊",
            "\u{feff}", "\0", "abc",
        ]);
        let piece = prop_oneof![
            9 => piece.prop_map(|text| text.as_bytes().to_vec()),
            1 => any::<u8>().prop_map(|byte| vec![byte]),
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_messages_of_the_decoder(
            bytes in bytes(), step in 1_usize..9, max_data in 0_usize..40,
        ) {
            let limits = Limits::DEFAULT.with_max_data(max_data);
            let (expected, error, last_id) = whole(&bytes, limits);
            // An empty chunk between two others is not the end.
            let chunks = bytes.chunks(step).flat_map(|chunk| [chunk, &[]]).map(Ok::<_, Infallible>);
            let mut events = EventStream::new(stream::iter(chunks)).with_limits(limits);
            for message in expected {
                prop_assert_eq!(next(&mut events), Some(Ok(message)));
            }
            prop_assert_eq!(next(&mut events), error.map(|error| Err(StreamError::Decode(error))));
            prop_assert_eq!(next(&mut events), None);
            prop_assert_eq!(events.last_event_id(), last_id);
        }
    }
}
