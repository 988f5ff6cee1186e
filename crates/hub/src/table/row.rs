//! A row of the table: a connection, and what it waits for.

use std::io::ErrorKind;
use std::task::{Context, Poll, Waker};

use tidewire_server::Parked;

use super::deadlines::Deadline;
use super::holds::Hold;
use super::ids::GroupId;
use super::state::{Event, State};
use super::websocket::WebSocket;
use crate::credit::ConnectionCredit;
use crate::gzip;
use crate::positions::Positions;
use crate::rope::Rope;

pub(super) struct Row {
    pub(super) connection: Parked,
    pub(super) waker: Waker,
    pub(super) state: State,
    /// The group of a subscriber.
    pub(super) member: Option<Member>,
    /// The bytes that the socket has not accepted yet.
    pub(super) pending: Rope,
    /// For a long poll: the time at which it gets an empty answer.
    pub(super) deadline: Deadline,
    /// The channels that it holds, so that publishers wait for it.
    pub(super) holds: Option<Hold>,
    /// Limits how long it may do so.
    pub(super) credit: ConnectionCredit,
    /// Whether it is on the work list.
    pub(super) is_queued: bool,
    /// For an idle or closed connection: the time at which it is dropped, measured in the time in
    /// which the worker ran. Checked once per second.
    pub(super) give_up_ms: u64,
    /// The last time at which the socket accepted pending bytes, or at which bytes became pending.
    /// It is measured in the time in which the worker ran.
    pub(super) progress_ms: u64,
    pub(super) websocket: Option<Box<WebSocket>>,
    /// For a gzip body: the checksum of the bytes so far, for its trailer.
    pub(super) gzip: Option<Box<gzip::Body>>,
}

/// A place in a group.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) group: GroupId,
    pub(super) place: Place,
}

/// The place of a member in its group.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// It has what the group has. Its index in the list of live members.
    Live(u32),
    /// It has everything before these positions.
    Behind(Positions),
}

impl Place {
    /// The index of a member that has everything and is not in the list yet.
    pub(super) const NONE: u32 = u32::MAX;
}

impl Row {
    pub(super) fn group(&self) -> Option<GroupId> {
        self.member.as_ref().map(|member| member.group)
    }

    /// Whether it is a WebSocket whose client waits for the answer to a publish.
    pub(super) fn is_stalled(&self) -> bool {
        self.websocket.as_ref().is_some_and(|websocket| websocket.is_stalled())
    }

    /// Writes a slice. Nothing may be pending.
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

    /// Writes what is pending, until everything is written or the socket is full. In that case the
    /// waker is registered.
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

    /// Appends the last bytes: after what is pending and the queued frames of a WebSocket.
    pub(super) fn append_last(&mut self, last: Rope, now_ms: u64) {
        if let Some(frames) = self.websocket.as_mut().and_then(|websocket| websocket.take_output()) {
            self.pending.push(frames);
        }
        self.pending.append(last);
        self.progress_ms = now_ms;
    }
}
