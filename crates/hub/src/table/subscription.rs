//! What a request leaves behind for its connection, once that is detached.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::ids::GroupId;
use super::websocket::WebSocket;
use crate::gzip;
use crate::reader::{Channels, Positions};
use crate::shape::Shape;

/// What a request leaves behind for its connection, once that is detached; opaque to everyone else.
pub struct Ticket(pub(crate) Subscription);

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Ticket").field(self.0.shape()).finish()
    }
}

/// A new subscriber.
pub(crate) enum Subscription {
    /// Of a stream.
    Stream(StreamStart),
    /// Of the next message, or of the end of its wait. Many may ask the same.
    Poll(Rc<HeldPoll>),
}

/// A stream, as its request leaves it.
pub(crate) struct StreamStart {
    pub(crate) shape: Shape,
    pub(crate) channels: Channels,
    /// What the client has, or was just sent.
    pub(crate) positions: Positions,
    /// For a WebSocket: the state of the protocol.
    pub(crate) websocket: Option<Box<WebSocket>>,
    /// For a compressed body: what was sent of it.
    pub(crate) gzip: Option<Box<gzip::Body>>,
    /// Nothing more is sent: what was written already ended the stream.
    pub(crate) ended: bool,
}

/// A poll for which there is nothing yet.
pub(crate) struct HeldPoll {
    pub(super) shape: Shape,
    pub(super) channels: Channels,
    /// What the client has.
    pub(super) positions: Positions,
    /// How long the client wants to wait at most.
    pub(super) wait: Duration,
    /// Where the last one that asked the same was put.
    pub(super) group: Cell<Option<GroupId>>,
}

impl HeldPoll {
    pub(crate) fn new(shape: Shape, channels: Channels, positions: Positions, wait: Duration) -> Self {
        HeldPoll { shape, channels, positions, wait, group: Cell::new(None) }
    }
}

impl Subscription {
    pub(crate) fn shape(&self) -> &Shape {
        match self {
            Subscription::Stream(stream) => &stream.shape,
            Subscription::Poll(poll) => &poll.shape,
        }
    }
}
