//! The body of a request, as a handler sees it.
//!
//! If a body arrived together with its head, the handler gets it whole. Any other body is *pulled*:
//! the connection reads from the socket only while the handler waits for a piece. So a handler that
//! does not read exerts back-pressure, and the connection sends `100 Continue` at the first pull
//! and not before (RFC 9110 §10.1.1).
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

/// The largest number of bytes that wait between the connection and a slow handler.
const MAX_QUEUE: usize = 64 * 1024;

/// A request body.
///
/// Read it with [`next`](Body::next), [`collect`](Body::collect) or as an [`http_body::Body`]. A
/// handler need not read it: the engine drains a small rest, and closes the connection if the rest
/// is large.
///
/// ```
/// use tidewire_server::{Handler, Never, Parked, Problem, Reply, Request, Response, Server};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     type Ticket = Never;
///
///     fn handle(&self, request: Request<'_>) -> Reply<Never> {
///         let body = request.body;
///         Reply::Later(Box::pin(async move {
///             match body.collect(1024).await {
///                 Ok(bytes) => Response::new(200).body(bytes).into(),
///                 Err(error) => Problem::new(400, error.to_string()).into_response().into(),
///             }
///         }))
///     }
///
///     fn detached(&self, _: Parked, ticket: Never) {
///         match ticket {}
///     }
/// }
/// # use std::io::{Read, Write};
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let running = Server::builder().listener(listener).threads(1).bind()?.serve(|_worker| Echo)?;
/// # let mut client = std::net::TcpStream::connect(running.addresses()[0].to_string())?;
/// # let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
/// # client.write_all(head.as_bytes())?;
/// # client.write_all(b"hello")?;
/// # let mut answer = String::new();
/// # client.read_to_string(&mut answer)?;
/// # assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

    /// A body that the connection fills through the returned sender.
    pub(crate) fn pulled(length: Option<u64>) -> (Self, BodySender) {
        let state = Arc::new(Mutex::new(State::default()));
        (Body(Inner::Pulled { state: state.clone(), length }), BodySender { state })
    }

    /// The bytes, if the whole body has arrived. Does not wait.
    pub fn as_whole(&self) -> Option<&Bytes> {
        match &self.0 {
            Inner::Whole(bytes) => Some(bytes),
            Inner::Pulled { .. } => None,
        }
    }

    /// The declared length in bytes, or `None` for a chunked body that has not arrived whole.
    pub fn length(&self) -> Option<u64> {
        match &self.0 {
            Inner::Whole(bytes) => Some(bytes.len() as u64),
            Inner::Pulled { length, .. } => *length,
        }
    }

    /// The next piece, or `None` at the end. After an error the body yields nothing more.
    pub async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The whole body, or [`BodyError::TooLarge`] as soon as it is known to exceed `limit` bytes.
    /// Memory grows with the bytes that arrived, not with the declared length.
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
        match &self.0 {
            Inner::Whole(bytes) => bytes.is_empty(),
            Inner::Pulled { state, .. } => lock(state).is_at_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Pulled { state, length: Some(length) } => {
                SizeHint::with_exact(length.saturating_sub(lock(state).read))
            }
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
    /// Bytes that came and were not read yet. They are in one buffer, so that many small pieces
    /// cost no more than their bytes.
    queue: Vec<u8>,
    /// Bytes that the handler has read.
    read: u64,
    /// The first pull sets this. The connection reads nothing before.
    wanted: bool,
    dropped: bool,
    end: Option<Result<(), BodyError>>,
    reader: Option<Waker>,
    sender: Option<Waker>,
}

impl State {
    fn is_at_end(&self) -> bool {
        self.queue.is_empty() && self.end == Some(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.wanted = true;
        if !self.queue.is_empty() {
            wake(&mut self.sender);
            // Without the spare capacity: the reader may keep the piece for a long time.
            let piece = std::mem::take(&mut self.queue).into_boxed_slice();
            self.read += piece.len() as u64;
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
    /// More bytes: the handler reads, and the queue has room.
    More,
    /// Nothing now. The connection will be woken.
    Wait,
    /// Nothing more: the handler dropped the body.
    Dropped,
}

impl BodySender {
    pub(crate) fn demand(&self, cx: &mut Context<'_>) -> Demand {
        let mut state = lock(&self.state);
        if state.dropped {
            return Demand::Dropped;
        }
        if state.wanted && state.queue.len() < MAX_QUEUE {
            return Demand::More;
        }
        state.sender = Some(cx.waker().clone());
        Demand::Wait
    }

    /// Returns whether the handler dropped the body.
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
    /// When a connection ends, its handler must not wait for ever.
    fn drop(&mut self) {
        self.end(Err(BodyError::Incomplete));
    }
}

fn wake(slot: &mut Option<Waker>) {
    if let Some(waker) = slot.take() {
        waker.wake();
    }
}

/// No code panics while it holds the lock, so a poisoned lock holds good data.
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

    /// A proxy passes the length on, and a limit can refuse the body before it has come.
    #[test]
    fn the_size_hint_is_the_rest_of_a_declared_length() {
        use http_body::Body as _;

        let (mut body, sender) = Body::pulled(Some(5));
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(body.size_hint().exact(), Some(5));
        sender.push(b"hel");
        assert_eq!(body.poll_next(&mut cx), Poll::Ready(Some(Ok("hel".into()))));
        assert_eq!((body.size_hint().exact(), body.length()), (Some(2), Some(5)));
        sender.push(b"lo");
        sender.end(Ok(()));
        assert!(!body.is_end_stream(), "two bytes wait");
        assert_eq!(body.poll_next(&mut cx), Poll::Ready(Some(Ok("lo".into()))));
        assert!(body.is_end_stream());
        assert_eq!(Body::pulled(None).0.size_hint().exact(), None);
    }

    #[test]
    fn a_full_queue_waits_for_its_reader() {
        let (mut body, sender) = Body::pulled(None);
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(sender.demand(&mut cx), Demand::Wait, "nobody reads yet");
        assert!(body.poll_next(&mut cx).is_pending());
        sender.push(&[0; MAX_QUEUE - 1]);
        assert_eq!(sender.demand(&mut cx), Demand::More);
        sender.push(&[0]);
        assert_eq!(sender.demand(&mut cx), Demand::Wait);
        assert!(body.poll_next(&mut cx).is_ready());
        assert_eq!(sender.demand(&mut cx), Demand::More);
    }
}
