//! The body of a request, as a handler sees it.
//!
//! A body that arrived together with its head is handed over whole. Any other is *pulled*: the
//! connection reads from the socket only while somebody waits for a piece, so a handler that
//! does not read exerts back-pressure, and `100 Continue` is sent at the first pull and not before
//! (RFC 9110 §10.1.1).
//!
//! ```text
//!  connection task                 shared                    handler (any thread)
//!  poll_pull ◄──── wanted ──── queue ≤ 64 KiB ◄──── next().await / poll_frame
//!     └──► push(data) ─────────►   │    ────────────►  Some(Ok(bytes))
//!          end(Ok | Err) ──────►   ┘    ────────────►  None | Some(Err(_))
//! ```

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

/// Bytes that may lie between the connection and a slow handler.
const QUEUE: usize = 64 * 1024;

/// A request body.
///
/// Read it with [`next`](Body::next), [`collect`](Body::collect) or as an [`http_body::Body`]. Not
/// reading it is allowed: the engine drains a small rest and closes the connection over a large
/// one.
#[derive(Debug)]
pub struct Body(Inner);

#[derive(Debug)]
enum Inner {
    Whole(Bytes),
    Pulled { state: Arc<Mutex<State>>, length: Option<u64> },
}

/// Why a body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The peer broke the framing; the connection answers with 400 and closes.
    #[error("the request body is malformed")]
    Malformed,
    /// The connection ended before the body did.
    #[error("the connection ended before the request body did")]
    Incomplete,
    /// The body came slower than the limits allow.
    #[error("the request body came too slowly")]
    TooSlow,
    /// The body is longer than the caller of [`Body::collect`] allows, or than the limit of the
    /// engine.
    #[error("the request body is too large")]
    TooLarge,
}

impl Body {
    /// A body without bytes.
    #[must_use]
    pub fn empty() -> Self {
        Body(Inner::Whole(Bytes::new()))
    }

    pub(crate) fn whole(bytes: Bytes) -> Self {
        Body(Inner::Whole(bytes))
    }

    /// A body that the connection sends through the returned end.
    pub(crate) fn pulled(length: Option<u64>) -> (Self, BodySender) {
        let state = Arc::new(Mutex::new(State::default()));
        (Body(Inner::Pulled { state: state.clone(), length }), BodySender { state })
    }

    /// The bytes, if the whole body is here already; needs no waiting.
    pub fn as_whole(&self) -> Option<&Bytes> {
        match &self.0 {
            Inner::Whole(bytes) => Some(bytes),
            Inner::Pulled { .. } => None,
        }
    }

    /// The declared length in bytes; `None` for a chunked body that has not arrived whole.
    pub fn length(&self) -> Option<u64> {
        match &self.0 {
            Inner::Whole(bytes) => Some(bytes.len() as u64),
            Inner::Pulled { length, .. } => *length,
        }
    }

    /// The next piece, `None` at the end. After an error the body yields nothing more.
    pub async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// All of it, or [`BodyError::TooLarge`] as soon as it is known to exceed `limit` bytes. Memory
    /// grows with what arrived, not with the declared length.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, BodyError> {
        if self.length().is_some_and(|n| n > limit as u64) {
            return Err(BodyError::TooLarge);
        }
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await.transpose()? {
            if piece.len() > limit - all.len() {
                return Err(BodyError::TooLarge);
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match &mut self.0 {
            Inner::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Inner::Whole(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            Inner::Pulled { state, .. } => lock(state).poll_next(cx),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.poll_next(cx).map(|piece| piece.map(|result| result.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.as_whole().is_some_and(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Pulled { .. } => SizeHint::default(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Inner::Pulled { state, .. } = &self.0 {
            let mut state = lock(state);
            state.dropped = true;
            state.queue = Vec::new();
            wake(&mut state.sender);
        }
    }
}

#[derive(Debug, Default)]
struct State {
    /// What came and was not read yet: one buffer, so that a body of many small pieces costs no more
    /// than its bytes.
    queue: Vec<u8>,
    /// Set by the first pull; the connection reads nothing before.
    wanted: bool,
    dropped: bool,
    end: Option<Result<(), BodyError>>,
    reader: Option<Waker>,
    sender: Option<Waker>,
}

impl State {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.wanted = true;
        if !self.queue.is_empty() {
            wake(&mut self.sender);
            // Without the room that it has grown by: the reader may keep it for long.
            let piece = std::mem::take(&mut self.queue).into_boxed_slice();
            return Poll::Ready(Some(Ok(piece.into())));
        }
        match self.end {
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(error)) => {
                self.end = Some(Ok(()));
                Poll::Ready(Some(Err(error)))
            }
            None => {
                self.reader = Some(cx.waker().clone());
                wake(&mut self.sender);
                Poll::Pending
            }
        }
    }
}

/// The connection's end of a pulled [`Body`].
#[derive(Debug)]
pub(crate) struct BodySender {
    state: Arc<Mutex<State>>,
}

/// What the handler wants of the body now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Room in the queue and somebody who reads.
    More,
    /// Nothing now; the connection will be woken.
    Wait,
    /// The handler threw the body away.
    Dropped,
}

impl BodySender {
    pub(crate) fn demand(&self, cx: &mut Context<'_>) -> Demand {
        let mut state = lock(&self.state);
        if state.dropped {
            return Demand::Dropped;
        }
        if state.wanted && state.queue.len() < QUEUE {
            return Demand::More;
        }
        state.sender = Some(cx.waker().clone());
        Demand::Wait
    }

    /// The handler threw the body away.
    pub(crate) fn is_dropped(&self) -> bool {
        lock(&self.state).dropped
    }

    pub(crate) fn push(&self, piece: &[u8]) {
        let mut state = lock(&self.state);
        if !state.dropped && !piece.is_empty() {
            state.queue.extend_from_slice(piece);
            wake(&mut state.reader);
        }
    }

    pub(crate) fn end(&self, result: Result<(), BodyError>) {
        let mut state = lock(&self.state);
        state.end.get_or_insert(result);
        wake(&mut state.reader);
    }
}

impl Drop for BodySender {
    /// A connection that dies must not leave its handler waiting.
    fn drop(&mut self) {
        self.end(Err(BodyError::Incomplete));
    }
}

fn wake(slot: &mut Option<Waker>) {
    if let Some(waker) = slot.take() {
        waker.wake();
    }
}

/// No code panics while it holds the lock, so a poisoned one holds good data.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn many_small_pieces_are_read_as_one() {
        let (mut body, sender) = Body::pulled(None);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(body.poll_next(&mut cx).is_pending());
        for byte in 0..=255 {
            sender.push(&[byte]);
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(body.poll_next(&mut cx), Poll::Ready(Some(Ok(all.into()))));
        assert!(body.poll_next(&mut cx).is_pending());
        sender.push(b"last");
        sender.end(Ok(()));
        assert_eq!(body.poll_next(&mut cx), Poll::Ready(Some(Ok("last".into()))));
        assert_eq!(body.poll_next(&mut cx), Poll::Ready(None));
    }

    #[test]
    fn a_full_queue_waits_for_its_reader() {
        let (mut body, sender) = Body::pulled(None);
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(sender.demand(&mut cx), Demand::Wait, "nobody reads yet");
        assert!(body.poll_next(&mut cx).is_pending());
        sender.push(&[0; QUEUE - 1]);
        assert_eq!(sender.demand(&mut cx), Demand::More);
        sender.push(&[0]);
        assert_eq!(sender.demand(&mut cx), Demand::Wait);
        assert!(body.poll_next(&mut cx).is_ready());
        assert_eq!(sender.demand(&mut cx), Demand::More);
    }
}
