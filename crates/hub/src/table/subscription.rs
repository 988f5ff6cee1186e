//! How a request hands its connection over to the table.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::ids::GroupId;
use super::websocket::WebSocket;
use crate::gzip;
use crate::positions::{Channels, Positions};
use crate::shape::Shape;

/// What a request hands over to the table together with its connection. Its content is private.
pub struct Ticket(pub(crate) Subscription);

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Ticket").field(self.0.shape()).finish()
    }
}

/// A new subscriber.
pub(crate) enum Subscription {
    /// A subscriber of a stream.
    Stream(OpenStream),
    /// A long poll. Several subscribers may share it.
    Poll(Rc<HeldPoll>),
}

/// A stream whose first bytes are sent.
pub(crate) struct OpenStream {
    pub(crate) shape: Shape,
    pub(crate) channels: Channels,
    /// The position after what the client has, or was just sent.
    pub(crate) positions: Positions,
    /// The protocol state of a WebSocket.
    pub(crate) websocket: Option<Box<WebSocket>>,
    /// For a gzip body: the checksum of the bytes so far, for its trailer.
    pub(crate) gzip: Option<Box<gzip::Body>>,
    /// Whether the first bytes ended the stream already.
    pub(crate) ended: bool,
}

/// A long poll that must wait for a message.
pub(crate) struct HeldPoll {
    pub(super) shape: Shape,
    pub(super) channels: Channels,
    /// The position of the client.
    pub(super) positions: Positions,
    /// The longest wait that the client asked for.
    pub(super) wait: Duration,
    /// The group of the last poll that asked the same.
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
