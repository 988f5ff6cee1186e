//! The one trait between the engine and what it serves.

use std::time::Instant;

use tidewire_http1::RequestHead;

use crate::{Body, BodyLimits, LocalFuture, Parked, Peer, Reply};

/// A request, borrowed from the read buffer of the worker.
#[derive(Debug)]
pub struct Request<'a> {
    /// The head: spans into the read buffer, nothing is copied.
    pub head: &'a RequestHead<'a>,
    /// The body; whole if it arrived together with the head.
    pub body: Body,
    /// Who asks.
    pub peer: Peer,
    /// When it was read: one look at the clock for all requests of one read.
    pub at: Instant,
}

/// Answers requests on one worker thread. Each worker has an instance of its own, so nothing here
/// needs to be [`Send`]; what the workers share, an implementation holds in an `Arc`.
pub trait Handler: 'static {
    /// What the handler remembers for a connection between [`Reply::Detach`] and
    /// [`detached`](Self::detached).
    type Ticket: 'static;

    /// Answers one request. Called again for the next one only when this answer is complete.
    fn handle(&self, request: Request<'_>) -> Reply<Self::Ticket>;

    /// What the body of this request may be. Asked for each request that has one, before any of it
    /// is read; `usual` is what [`Limits`](crate::Limits) says. A body over [`BodyLimits::max`] is
    /// answered with 413.
    fn body_limits(&self, head: &RequestHead<'_>, usual: BodyLimits) -> BodyLimits {
        let _ = head;
        usual
    }

    /// Takes a connection over. It may be read and written without a task, given back to the
    /// request cycle ([`Parked::resume`]) or turned into an async stream ([`Parked::into_io`]).
    /// Dropping it closes it.
    fn detached(&self, connection: Parked, ticket: Self::Ticket);

    /// The server is stopping: finish what is detached. The worker ends when every connection has
    /// ended, or after [`Limits::drain_timeout`](crate::Limits::drain_timeout).
    fn drain(&self) {}

    /// Resolves with the reason when the handler cannot go on: a task of its own has ended, and its
    /// connections would hang. Then the worker closes its connections and ends; the other workers
    /// drain, and the server ends with an error. Called once, when the worker starts. By default it
    /// never resolves.
    fn failed(&self) -> LocalFuture<String> {
        Box::pin(std::future::pending())
    }
}

/// The uninhabited ticket of a handler that never detaches.
#[derive(Clone, Copy, Debug)]
pub enum Never {}
