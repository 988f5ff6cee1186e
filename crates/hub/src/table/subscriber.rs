//! One row of the table.

use std::io::ErrorKind;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tidewire_server::Parked;

use super::group::Shape;
use super::protocol::WebSocket;
use crate::gzip::{self, Sum};
use crate::positions::{Channels, Positions};

/// What a request leaves behind for its connection, once that is detached; opaque to everyone else.
pub struct Ticket(pub(crate) Subscription);

/// What the table has to know of a new subscriber.
pub(crate) struct Subscription {
    pub(crate) shape: Shape,
    pub(crate) channels: Channels,
    /// What the client has, or was just sent.
    pub(crate) positions: Positions,
    /// For a held poll: how long the client wants to wait at most.
    pub(crate) wait: Option<Duration>,
    /// For a WebSocket: the state of the protocol.
    pub(crate) websocket: Option<Box<WebSocket>>,
    /// For a compressed body: what was sent of it.
    pub(crate) gzip: Option<Box<gzip::Body>>,
    /// Nothing more is sent: what was written already ended the stream.
    pub(crate) ended: bool,
}

impl From<Subscription> for Ticket {
    fn from(subscription: Subscription) -> Self {
        Ticket(subscription)
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Ticket").field(&self.0.shape).finish()
    }
}

/// What a connection is for at this moment.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    /// A member of a group that has everything the group has. `slot` is its index among the live.
    Live { group: u32, slot: u32 },
    /// A member that is behind.
    Lagging { group: u32, positions: Positions },
    /// A held poll was answered; the next request is awaited.
    Idle,
    /// The last bytes are out or on their way; whatever the client still sends is thrown away until it hangs up.
    Closing,
}

/// What follows when the pending bytes are out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Go on.
    Stay,
    /// Wait for the next request.
    Resume,
    /// Close.
    Close,
}

pub(crate) struct Subscriber {
    pub(crate) connection: Parked,
    pub(crate) waker: Waker,
    pub(crate) role: Role,
    /// The rest of a slice that the socket did not take whole.
    pub(crate) pending: Bytes,
    pub(crate) then: Then,
    /// When a held poll is answered empty, by the clock of the hub. For an idle or closing
    /// connection: when its time is over, by the time that the table ran; that is checked once a
    /// second.
    pub(crate) due_ms: u64,
    /// When the table looks whether a held poll is due, which may have moved on by then; 0 if it is not on the list.
    pub(crate) listed_ms: u64,
    /// The last time that the socket took something, or nothing was pending; by the time that the table ran.
    pub(crate) moved_ms: u64,
    pub(crate) websocket: Option<Box<WebSocket>>,
    /// For a compressed body: what its trailer must say.
    pub(crate) gzip: Option<Box<gzip::Body>>,
}

/// How far a write came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrote {
    All,
    /// The rest is pending; the row's waker is registered.
    Some,
    /// The connection is dead.
    Failed,
}

impl Subscriber {
    /// Writes a slice of which nothing was written yet. Nothing may be pending.
    pub(crate) fn offer(&mut self, bytes: &Bytes) -> Wrote {
        debug_assert!(self.pending.is_empty(), "two slices would interleave");
        match self.connection.try_write(bytes) {
            Ok(n) if n == bytes.len() => Wrote::All,
            Ok(n) => {
                self.pending = bytes.slice(n..);
                self.flush()
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.pending = bytes.clone();
                self.flush()
            }
            Err(_) => Wrote::Failed,
        }
    }

    /// Writes what is pending, until it is out or the socket is full.
    pub(crate) fn flush(&mut self) -> Wrote {
        while !self.pending.is_empty() {
            match self.connection.try_write(&self.pending) {
                Ok(n) => self.pending.advance(n),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    match self.connection.poll_write_ready(&mut Context::from_waker(&self.waker)) {
                        Poll::Pending => return Wrote::Some,
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(_)) => return Wrote::Failed,
                    }
                }
                Err(_) => return Wrote::Failed,
            }
        }
        self.pending = Bytes::new();
        Wrote::All
    }

    /// It does not get what its group gets any more; `sum` is what the group has.
    pub(crate) fn leave_body(&mut self, sum: Sum) {
        if let Some(body) = &mut self.gzip {
            body.leave(sum);
        }
    }

    pub(crate) fn group(&self) -> Option<u32> {
        match self.role {
            Role::Live { group, .. } | Role::Lagging { group, .. } => Some(group),
            Role::Idle | Role::Closing => None,
        }
    }
}
