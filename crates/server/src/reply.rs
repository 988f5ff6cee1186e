//! What a handler answers with.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tidewire_http1::BodyLength;

use crate::{PreparedResponse, Response};

/// A future that stays on its worker.
pub type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// What [`Handler::handle`](crate::Handler::handle) returns. `T` is the handler's ticket for a
/// detached connection.
pub enum Reply<T> {
    /// The answer is known at once. Answers to pipelined requests leave in one write.
    Ready(Response),
    /// An answer that was made for many requests.
    Shared(Arc<PreparedResponse>),
    /// The answer must be waited for. The next request of the connection waits for it too.
    Later(LocalFuture<Reply<T>>),
    /// The answer must be waited for, and the next request of the connection may be handled
    /// meanwhile, if [`Handler::is_pipelined`](crate::Handler::is_pipelined) says so. The answers
    /// leave in the order of their requests, many in one write.
    ///
    /// For work whose order counts: everything that must happen before the next request is handled
    /// has happened when [`Handler::handle`](crate::Handler::handle) returns this. The engine polls
    /// the future when the answers before it are complete, and drops it if the connection fails.
    ///
    /// The body of the answer is whole. With a streamed one, the peer gets a 500. If the answer
    /// closes the connection, those behind it are still sent.
    ///
    /// If the request has not come whole, is HTTP/1.0, or is the last one of its connection, this
    /// is the same as [`Later`](Self::Later).
    Pipelined(LocalFuture<Response>),
    /// The connection leaves the request cycle: for WebSocket, for an endless stream, or to wait
    /// without a task. The engine writes the head (if any) and `first`. Then
    /// [`Handler::detached`](crate::Handler::detached) receives the socket. If the head answers a
    /// HEAD request, the engine sends only the head, and the connection is not detached.
    Detach {
        /// The head to send: a 101, or a 200 whose body the handler frames. With `None` nothing is
        /// sent yet.
        head: Option<DetachHead>,
        /// Bytes that follow the head in the same write. They go on the wire as they are. Long
        /// parts are not copied.
        first: Vec<Bytes>,
        /// Handed back with the connection.
        ticket: T,
    },
}

/// The head of a detached answer.
#[derive(Debug)]
pub struct DetachHead {
    /// Status and fields. The body of this response is ignored.
    pub response: Response,
    /// Whether the handler will write chunks. If not, the answer ends with the connection (a 101
    /// has no body at all).
    pub chunked: bool,
}

impl DetachHead {
    /// The framing of the bytes that follow the head.
    pub(crate) fn body(&self) -> BodyLength {
        match self.response.status() {
            101 => BodyLength::Empty,
            _ if self.chunked => BodyLength::Chunked,
            _ => BodyLength::UntilClose,
        }
    }
}

impl<T> From<Response> for Reply<T> {
    fn from(response: Response) -> Self {
        Reply::Ready(response)
    }
}

impl<T: 'static> Reply<T> {
    /// The same answer with another ticket, for a handler that passes requests to another handler.
    pub fn map_ticket<U: 'static>(self, map: impl FnOnce(T) -> U + 'static) -> Reply<U> {
        match self {
            Reply::Ready(response) => Reply::Ready(response),
            Reply::Shared(prepared) => Reply::Shared(prepared),
            Reply::Later(reply) => Reply::Later(Box::pin(async move { reply.await.map_ticket(map) })),
            Reply::Pipelined(response) => Reply::Pipelined(response),
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
            Reply::Pipelined(_) => f.write_str("Pipelined(..)"),
            Reply::Detach { head, .. } => {
                f.debug_struct("Detach").field("head", head).finish_non_exhaustive()
            }
        }
    }
}
