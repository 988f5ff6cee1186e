//! The trait between the engine and what it serves.

use std::time::Instant;

use tidewire_http1::RequestHead;

use crate::{Body, BodyLimits, LocalFuture, Parked, Peer, Reply};

/// A request, borrowed from the read buffer of the worker.
#[derive(Debug)]
pub struct Request<'a> {
    /// The head. It borrows from the read buffer; nothing is copied.
    pub head: &'a RequestHead<'a>,
    /// The body. It is whole if it arrived together with the head.
    pub body: Body,
    /// The client that sent the request.
    pub peer: Peer,
    /// When the request was read. All requests of one read have the same time.
    pub at: Instant,
}

/// Answers requests on one worker thread. Each worker has its own instance, so nothing here needs
/// to be [`Send`]. An implementation holds what the workers share in an `Arc`.
pub trait Handler: 'static {
    /// What the handler keeps for a connection between [`Reply::Detach`] and
    /// [`detached`](Self::detached).
    type Ticket: 'static;

    /// Answers one request. The engine calls it for the next request of the connection when this
    /// answer is complete. Only after [`Reply::Pipelined`] may it be earlier.
    fn handle(&self, request: Request<'_>) -> Reply<Self::Ticket>;

    /// Returns whether this request may be handled while answers to requests before it are under
    /// way: see [`Reply::Pipelined`]. The engine asks only then, and only for a request that has
    /// come whole it calls [`handle`](Self::handle). Any other request waits until those answers
    /// are complete. A handler says yes to the requests that it answers with `Reply::Pipelined`. By
    /// default it says no.
    fn is_pipelined(&self, head: &RequestHead<'_>) -> bool {
        let _ = head;
        false
    }

    /// Returns the limits of this request's body. The engine calls it for each request with a body,
    /// before it reads any of the body. `usual` is what [`Limits`](crate::Limits) says. A body over
    /// [`BodyLimits::max`] is answered with 413.
    fn body_limits(&self, head: &RequestHead<'_>, usual: BodyLimits) -> BodyLimits {
        let _ = head;
        usual
    }

    /// Returns whether a request is given up when its client closes the connection: the future of
    /// [`Reply::Later`] is dropped, and so is a streamed body with a length. By default they run
    /// on, because a client may close its sending side and still read. A streamed body without a
    /// length is given up in any case. The engine notices only when the whole request has come.
    fn gives_up(&self) -> bool {
        false
    }

    /// Takes a connection over. The handler may read and write it without a task, give it back to
    /// the request cycle ([`Parked::resume`]) or turn it into an async stream
    /// ([`Parked::into_io`]). Dropping the connection closes it.
    fn detached(&self, connection: Parked, ticket: Self::Ticket);

    /// Finishes the detached connections, because the server stops. The worker ends when every
    /// connection has ended, or after [`Limits::drain_timeout`](crate::Limits::drain_timeout).
    fn drain(&self) {}

    /// Resolves with the reason when the handler cannot continue: for example one of its tasks has
    /// ended, and its connections would hang. Then the worker closes its connections and ends, the
    /// other workers drain, and the server ends with an error. The engine calls it once, when the
    /// worker starts. By default the future never resolves.
    fn failed(&self) -> LocalFuture<String> {
        Box::pin(std::future::pending())
    }
}

/// The ticket of a handler that never detaches a connection. It has no values.
#[derive(Clone, Copy, Debug)]
pub enum Never {}
