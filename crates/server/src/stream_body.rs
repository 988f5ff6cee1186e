//! The body of a streamed answer. Its length may be known before its bytes are: a file, or the
//! answer of another server.
//!
//! ```text
//!   declared 10     body   aaaa bbbb cc        all 10 bytes, as announced
//!                          aaaa bbbb           an error: the connection is cut, so the client notices
//!                          aaaa bbbb cccc      the first 10 bytes, and a line in the log
//! ```
//!
//! A longer body is usually a file that grows while it is sent, such as a log. Its first bytes are
//! what the head announced.

use std::error::Error as StdError;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::LogLimit;

/// A streamed answer: any [`http_body::Body`] of [`Bytes`].
pub type StreamBody = Pin<Box<dyn http_body::Body<Data = Bytes, Error = Box<dyn StdError + Send + Sync>>>>;

/// The error of a streamed answer that the handler cuts on purpose. The text says why the answer is
/// not complete. The client sees that its end is missing. This is not a fault, so it is logged at
/// the level *debug*. Every other error of a body is a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BodyCut(pub &'static str);

/// A body with the length that its head declares.
pub(crate) struct SizedBody {
    body: StreamBody,
    declared: u64,
    left: u64,
}

impl SizedBody {
    pub(crate) fn new(body: StreamBody, declared: u64) -> Self {
        SizedBody { body, declared, left: declared }
    }
}

/// The body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body has a Content-Length of {declared} bytes and ended {missing} bytes earlier")]
struct TooShort {
    declared: u64,
    missing: u64,
}

impl http_body::Body for SizedBody {
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let polled = this.body.as_mut().poll_frame(cx);
        if this.left == 0 {
            // All bytes are sent. This poll only looks for bytes that are too many.
            if let Poll::Ready(Some(Ok(frame))) = polled {
                this.log_longer(frame.data_ref().map_or(0, Bytes::len));
            }
            return Poll::Ready(None);
        }
        let Some(frame) = ready!(polled).transpose()? else {
            return Poll::Ready(Some(Err(TooShort { declared: this.declared, missing: this.left }.into())));
        };
        Poll::Ready(Some(Ok(match frame.into_data() {
            Ok(data) => Frame::data(this.take(data)),
            Err(trailers) => trailers,
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl SizedBody {
    /// The part of `data` that belongs to the declared length.
    fn take(&mut self, mut data: Bytes) -> Bytes {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        if data.len() > left {
            self.log_longer(data.len() - left);
            data.truncate(left);
        }
        self.left -= data.len() as u64;
        data
    }

    fn log_longer(&self, surplus: usize) {
        static LONGER: LogLimit = LogLimit::new();
        if surplus > 0
            && let Some(more) = LONGER.admit()
        {
            tracing::warn!(
                content_length = self.declared,
                surplus,
                more,
                "a body is longer than its Content-Length; only the declared bytes were sent"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::task::Waker;

    use http_body::Body as _;
    use http_body_util::BodyExt;

    use super::*;

    struct Frames(VecDeque<&'static str>);

    impl http_body::Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|data| Ok(Frame::data(data.into()))))
        }
    }

    /// What arrives of a body of these frames, and the error at its end.
    fn arrives(frames: &[&'static str], declared: u64) -> (String, Option<String>) {
        let frames = Frames(frames.iter().copied().collect());
        let mut body = SizedBody::new(Box::pin(frames.map_err(Into::into)), declared);
        let mut cx = Context::from_waker(Waker::noop());
        let mut text = String::new();
        loop {
            assert_eq!(body.size_hint().exact(), Some(declared - text.len() as u64));
            match Pin::new(&mut body).poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
                }
                Poll::Ready(Some(Err(error))) => return (text, Some(error.to_string())),
                Poll::Ready(None) => return (text, None),
                Poll::Pending => panic!("the frames are ready"),
            }
        }
    }

    #[test]
    fn a_body_never_has_more_bytes_than_it_declares() {
        for frames in [&["aaaa", "bbbb", "cc"][..], &["aaaa", "bbbb", "cccc"], &["aaaabbbbcc", "more"]] {
            assert_eq!(arrives(frames, 10), ("aaaabbbbcc".to_owned(), None), "{frames:?}");
        }
        assert_eq!(arrives(&[], 0), (String::new(), None));
        assert_eq!(arrives(&["surplus"], 0), (String::new(), None));
    }

    #[test]
    fn a_body_that_is_too_short_ends_with_an_error() {
        let (text, error) = arrives(&["aaaa", "bbbb"], 10);
        let error = error.unwrap();
        assert_eq!(text, "aaaabbbb");
        assert!(error.contains("10 bytes") && error.contains("2 bytes earlier"), "{error}");
    }
}
