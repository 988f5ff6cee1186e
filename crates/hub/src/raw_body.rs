//! The response body for a raw reader. `feeds/raw.rs` says how it looks.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tidewire_channel::Cursor;
use tidewire_server::{BodyCut, LocalFuture};
use tidewire_store::{Mark, Message};

use crate::feeds::raw::{self, MAX_JOINED};
use crate::raw_reader::{RawReader, RawStop};
use crate::upload_state::RawStartError;

/// The response body for a raw reader. It holds at most [`MAX_JOINED`] bytes and one message.
/// Everything else stays in the log until the connection asks for it.
pub(crate) struct RawBody {
    reader: RawReader,
    stopping: LocalFuture<()>,
    next: Next,
}

/// What follows the bytes that were returned last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Messages,
    End,
    Cut(BodyCut),
}

impl RawBody {
    pub(crate) fn new(reader: RawReader, stopping: LocalFuture<()>) -> Self {
        RawBody { reader, stopping, next: Next::Messages }
    }

    /// Waits for the first message, without taking it. `None` if there will be none.
    ///
    /// # Errors
    /// [`RawStartError`]: it is lost.
    pub(crate) async fn first(&mut self) -> Result<Option<Arc<Message>>, RawStartError> {
        poll_fn(|cx| {
            if self.stopping.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(None));
            }
            self.reader.poll_peek(cx).map(|first| match first {
                Ok(message) => Ok(Some(message)),
                Err(RawStop::Broken(lost)) => Err(lost),
                Err(RawStop::Lost | RawStop::Ended) => Ok(None),
            })
        })
        .await
    }

    /// Returns the position before the first message. It counts from now on.
    pub(crate) fn begin(&mut self) -> Cursor {
        self.reader.begin();
        self.reader.position()
    }

    /// The first message, if it is there already.
    pub(crate) fn first_now(&mut self) -> Option<Arc<Message>> {
        match self.reader.poll_peek(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(message)) => Some(message),
            _ => None,
        }
    }

    /// Takes the bytes that are there, up to [`MAX_JOINED`], and sets what comes next.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let mut bytes = Bytes::new();
        while self.next == Next::Messages && bytes.len() < MAX_JOINED {
            let Poll::Ready(next) = self.reader.poll_next(cx) else {
                if !bytes.is_empty() {
                    break;
                }
                if self.stopping.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.next = Next::Cut(raw::STOPPING);
                break;
            };
            match next {
                Ok(message) => match message.as_mark() {
                    None => bytes = raw::join(bytes, message.data()),
                    Some(Mark::End) => self.next = Next::End,
                    Some(Mark::Aborted) => self.next = Next::Cut(raw::ABORTED),
                },
                Err(RawStop::Ended) => self.next = Next::End,
                Err(RawStop::Lost) if self.reader.is_deleted() => self.next = Next::Cut(raw::DELETED),
                Err(RawStop::Broken(_) | RawStop::Lost) => self.next = Next::Cut(raw::LOST),
            }
        }
        Poll::Ready(bytes)
    }
}

impl Body for RawBody {
    type Data = Bytes;
    type Error = BodyCut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyCut>>> {
        let Poll::Ready(bytes) = self.poll_bytes(cx) else { return Poll::Pending };
        Poll::Ready(match self.next {
            _ if !bytes.is_empty() => Some(Ok(Frame::data(bytes))),
            Next::Cut(cut) => Some(Err(cut)),
            _ => None,
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl fmt::Debug for RawBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawBody")
            .field("reader", &self.reader)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
