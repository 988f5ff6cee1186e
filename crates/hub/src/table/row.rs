//! One row of the table: a connection that waits, and what it waits for.

use std::io::ErrorKind;
use std::task::{Context, Poll, Waker};

use tidewire_server::Parked;

use super::deadlines::Deadline;
use super::holds::Hold;
use super::ids::GroupId;
use super::state::{Event, State};
use super::websocket::WebSocket;
use crate::credit::OfConnection;
use crate::gzip;
use crate::positions::Positions;
use crate::rope::Rope;

pub(super) struct Row {
    pub(super) connection: Parked,
    pub(super) waker: Waker,
    pub(super) state: State,
    /// The group, of a subscriber.
    pub(super) member: Option<Member>,
    /// The rest of what the socket did not take whole.
    pub(super) pending: Rope,
    /// Of a held poll: when it is answered empty.
    pub(super) deadline: Deadline,
    /// Which channels it holds: publishers wait for it.
    pub(super) holds: Option<Hold>,
    /// How long it may do so.
    pub(super) credit: OfConnection,
    /// It is on the list of those that want a turn.
    pub(super) is_queued: bool,
    /// Of an idle or a closed connection: when its time is over, by the time that the table ran.
    /// That is checked once a second.
    pub(super) give_up_ms: u64,
    /// The last time that the socket took something of what was pending, or that something began to
    /// be pending; by the time that the table ran.
    pub(super) progress_ms: u64,
    pub(super) websocket: Option<Box<WebSocket>>,
    /// For a compressed body: what its trailer must say.
    pub(super) gzip: Option<Box<gzip::Body>>,
}

/// A place in a group.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) group: GroupId,
    pub(super) place: Place,
}

/// Where a member is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// It has what the group has; this is its index among the live ones.
    Live(u32),
    /// It has what is before these positions.
    Behind(Positions),
}

impl Place {
    /// The slot of a member that has everything and has not joined yet.
    pub(super) const NONE: u32 = u32::MAX;
}

impl Row {
    pub(super) fn group(&self) -> Option<GroupId> {
        self.member.as_ref().map(|member| member.group)
    }

    /// Writes a slice of which nothing was written yet. Nothing may be pending.
    pub(super) fn offer(&mut self, slice: &Rope) -> Event {
        debug_assert!(self.pending.is_empty(), "two slices would interleave");
        let written = match slice.write(&self.connection) {
            Ok(n) if n == slice.len() => return Event::Sent,
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(_) => return Event::Failed,
        };
        self.pending = slice.clone();
        self.pending.advance(written);
        self.flush()
    }

    /// Writes what is pending, until it is out or the socket is full. Then the waker is registered.
    pub(super) fn flush(&mut self) -> Event {
        while !self.pending.is_empty() {
            match self.pending.write(&self.connection) {
                Ok(n) => self.pending.advance(n),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    match self.connection.poll_write_ready(&mut Context::from_waker(&self.waker)) {
                        Poll::Pending => return Event::Blocked,
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(_)) => return Event::Failed,
                    }
                }
                Err(_) => return Event::Failed,
            }
        }
        Event::Sent
    }

    /// Puts bytes behind what is pending and what a WebSocket is owed, to be the last ones.
    pub(super) fn put_last(&mut self, last: Rope, now_ms: u64) {
        if let Some(frames) = self.websocket.as_mut().and_then(|websocket| websocket.take_output()) {
            self.pending.push(frames);
        }
        self.pending.append(last);
        self.progress_ms = now_ms;
    }
}
