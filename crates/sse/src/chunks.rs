//! Messages from an [`http::Response`], also one that converts into it.

use alloc::boxed::Box;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::stream::Stream;
use http_body::Body;

use crate::response::NotAnEventStream;
use crate::stream::EventStream;

/// The data of a body as a stream, without trailers. It is the source of an [`EventStream`] of a
/// response.
pub struct BodyChunks<B>(Pin<Box<B>>);

impl<B: Body<Data: AsRef<[u8]>>> EventStream<BodyChunks<B>> {
    /// The messages of a response, if it is an event stream: status 200 and
    /// [`is_event_stream`](crate::is_event_stream).
    ///
    /// It takes the response of hyper, of tower clients, and of reqwest:
    ///
    /// ```
    /// # use futures_util::FutureExt;
    /// # use tidewire_sse::{EventBody, OutgoingEvent};
    /// # use futures_util::stream;
    /// use tidewire_sse::EventStream;
    ///
    /// # async {
    /// # let events = stream::iter([OutgoingEvent::data("high")]);
    /// # let response = EventBody::new(events).into_response();
    /// let mut events = EventStream::from_response(response).await?;
    /// while let Some(event) = events.try_next().await? {
    ///     assert_eq!(event.data, "high");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }.now_or_never().unwrap().unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`from_parts`](Self::from_parts). The error also has the header fields:
    ///
    /// ```
    /// # use futures_util::FutureExt;
    /// # use tidewire_sse::EventStream;
    /// # let response = http::Response::builder().status(429).header("retry-after", "5");
    /// # let response = response.body(http_body_util::Full::<bytes::Bytes>::from("slow down")).unwrap();
    /// # async {
    /// let error = EventStream::from_response(response).await.unwrap_err();
    /// if error.status() == 429 {
    ///     let wait = error.headers().get("retry-after").and_then(|value| value.to_str().ok());
    ///     assert_eq!(wait, Some("5")); // seconds, or a date
    /// }
    /// # }.now_or_never().unwrap();
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "http-body")))]
    pub async fn from_response(response: impl Into<http::Response<B>>) -> Result<Self, NotAnEventStream> {
        let (head, body) = response.into().into_parts();
        let content_type = head.headers.get(http::header::CONTENT_TYPE);
        let events = Self::from_parts(head.status.as_u16(), content_type, BodyChunks(Box::pin(body))).await;
        events.map_err(|error| error.with_headers(head.headers))
    }
}

impl<B: Body> Stream for BodyChunks<B> {
    type Item = Result<B::Data, B::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(self.0.as_mut().poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return Poll::Ready(Some(Ok(data))),
                    Err(_trailers) => {}
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<B> fmt::Debug for BodyChunks<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyChunks").finish_non_exhaustive()
    }
}
