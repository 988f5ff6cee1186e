//! The table: handles events of its connections, and reports to its owner.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tidewire_server::{Inbox, Parked, Peer};

use super::delivery::Delivery;
use super::ids::RowId;
use super::incoming::Incoming;
use super::stalled::StalledBytes;
use super::state::{Event, State};
use super::subscription::{HeldPoll, OpenStream, Subscription};
use super::tick::Tick;
use super::todo::Work;
use super::turn::Turn;
use crate::channel::Channel;
use crate::form_cache::FormCache;
use crate::hub::Hub;
use crate::rope::Rope;
use crate::settings::Settings;

/// Reads of one socket in one turn. After that, other sockets have their turn.
const READS_PER_TURN: usize = 8;

/// The largest number of unread bytes of a client that sends while it waits for an answer or reads
/// a stream: one pipelined request head. During a poll, further input stays in the socket until the
/// answer is written. A stream never answers, so a client that sends more is dropped.
const MAX_UNREAD: usize = 16 * 1024;

/// The subscribers of one worker.
pub(crate) struct Table {
    pub(super) delivery: Delivery,
    pub(super) worker: u16,
    scratch: Vec<u8>,
    /// The number of references to this `Rc` is one more than the number of connections that
    /// inflate a message.
    pub(super) inflating: Rc<()>,
    pub(super) stalled: StalledBytes,
    /// The time of the next check for readers that hold too much.
    pub(super) next_slow_check_ms: u64,
    /// The progress of the current tick.
    pub(super) tick: Tick,
}

/// What the owner must handle before the connection is read further.
pub(crate) enum Report {
    /// A connection whose poll was answered has sent a new request with this number of bytes, see
    /// [`Table::received`]. Call [`Table::go_on`] next.
    Request(usize),
    /// Messages of a WebSocket. Call [`Table::end_turn`] afterwards.
    Messages(Vec<Incoming>),
}

/// How to continue with a connection that has sent a new request.
pub(crate) enum Next {
    /// Its poll must wait for a message.
    Hold(Rc<HeldPoll>),
    /// The whole answer to it. The connection stays.
    Answer(Rope),
    /// The request cycle must read the request again.
    Return,
}

impl Table {
    pub(crate) fn new(hub: Arc<Hub>, settings: Arc<Settings>, forms: FormCache, worker: u16) -> Self {
        let delivery = Delivery::new(hub, settings, forms, worker);
        Table {
            delivery,
            worker,
            scratch: vec![0; 64 * 1024],
            inflating: Rc::default(),
            stalled: StalledBytes::default(),
            next_slow_check_ms: 0,
            tick: Tick::default(),
        }
    }

    /// The inbox of ready sockets.
    pub(crate) fn ready(&self) -> Inbox<u32> {
        self.delivery.ready.clone()
    }

    /// Adds a connection. It is behind, at the position of its request, and catches up.
    /// [Read](Self::read) it next, and then [wake](Self::wake_if_busy) the task.
    pub(crate) fn add(&mut self, connection: Parked, subscription: Subscription) -> RowId {
        self.read_clock();
        let is_first = self.delivery.audience.todo.is_empty();
        let row = match subscription {
            Subscription::Stream(stream) => self.add_stream(connection, stream),
            Subscription::Poll(poll) => {
                let group = self.delivery.audience.group(&poll.channels, &poll.shape);
                poll.group.set(Some(group));
                let row = self.delivery.add(connection, group, poll.positions.clone(), None, None);
                self.delivery.hold(row, poll.wait);
                self.delivery.audience.advance_later(group);
                self.delivery.turn_later(row);
                row
            }
        };
        // If no work waits, serve it at once. Otherwise it waits for its turn.
        if is_first {
            self.begin_turn();
            self.run();
        }
        row
    }

    fn add_stream(&mut self, connection: Parked, stream: OpenStream) -> RowId {
        let OpenStream { shape, channels, positions, mut websocket, gzip, ended } = stream;
        if let Some(websocket) = &mut websocket {
            websocket.enter(self.delivery.clock.ran_ms());
        }
        let group = self.delivery.audience.group(&channels, &shape);
        let row = self.delivery.add(connection, group, positions, websocket, gzip);
        if ended {
            self.delivery.drive(row, Event::Ended);
        } else {
            self.delivery.audience.advance_later(group);
            self.delivery.turn_later(row);
        }
        row
    }

    /// A channel has new messages: queues the groups that read it.
    pub(crate) fn on_news(&mut self, channel: &Arc<Channel>) {
        self.delivery.audience.on_news(channel);
    }

    /// Begins the turn of one kind of work.
    pub(crate) fn begin_turn(&mut self) {
        self.delivery.turn = Turn::begin();
    }

    pub(crate) fn is_turn_over(&self) -> bool {
        self.delivery.turn.is_over()
    }

    /// Works on the list until the turn is over.
    pub(crate) fn run(&mut self) {
        self.delivery.run();
    }

    /// Whether work is left for the next turns.
    pub(crate) fn is_busy(&self) -> bool {
        !self.delivery.audience.todo.is_empty() || self.tick.is_busy()
    }

    /// Wakes the task of the table if there is work. Needed if work was added outside of its turns.
    pub(crate) fn wake_if_busy(&self) {
        if self.is_busy() {
            self.delivery.ready.push(RowId::NONE.key());
        }
    }

    /// A socket is ready to read or write. [Read](Self::read) it next.
    pub(crate) fn on_ready(&mut self, id: RowId) {
        let Some(row) = self.delivery.rows.get_mut(id) else { return };
        if row.state == State::Idle {
            // Its next request is read next.
            return;
        }
        let before = row.pending.len();
        let event = if before == 0 { Event::Turn } else { row.flush() };
        if row.pending.len() != before {
            row.progress_ms = self.delivery.clock.ran_ms();
        }
        self.delivery.drive(id, event);
    }

    /// Reads the input of a client, and notices when it has left. `reads` counts the reads of this
    /// turn.
    pub(crate) fn read(&mut self, id: RowId, reads: &mut usize) -> Option<Report> {
        loop {
            let row = self.delivery.rows.get_mut(id)?;
            if let Some(websocket) = &mut row.websocket
                && websocket.is_stalled()
            {
                // Try it again whatever its client does: others may wait in the line behind it.
                return websocket.take_stalled(self.delivery.clock.ran_ms()).map(Report::Messages);
            }
            let has_more = match &row.websocket {
                // The client does not accept its answers, so read nothing more from it. Write
                // first.
                Some(websocket) if websocket.is_full() => return None,
                Some(websocket) => websocket.has_more() || row.connection.unread_len() > 0,
                None if row.connection.unread_len() > MAX_UNREAD => {
                    let group = row.group().and_then(|group| self.delivery.audience.groups.get(group));
                    if group.is_some_and(|group| group.shape.is_stream()) {
                        self.delivery.drive(id, Event::Failed);
                    }
                    return None;
                }
                None => false,
            };
            if *reads == READS_PER_TURN || has_more && *reads > 0 {
                self.delivery.ready.push(id.key());
                return None;
            }
            *reads += 1;
            let len = if has_more {
                0
            } else {
                let mut context = Context::from_waker(&row.waker);
                match row.connection.poll_read(&mut context, &mut self.scratch) {
                    Poll::Pending => return None,
                    Poll::Ready(Ok(len)) if len > 0 => len,
                    Poll::Ready(_) => {
                        self.delivery.drive(id, Event::Failed);
                        return None;
                    }
                }
            };
            if let Some(report) = self.take_input(id, len) {
                return Some(report);
            }
        }
    }

    /// Handles input: the first `len` bytes of `scratch`.
    fn take_input(&mut self, id: RowId, len: usize) -> Option<Report> {
        let row = &mut self.delivery.rows[id];
        let Some(websocket) = &mut row.websocket else {
            match row.state {
                State::Idle => return Some(Report::Request(len)),
                State::Ending | State::Closed | State::Gone => {}
                // The next request, while this answer is not complete.
                _ => row.connection.unread(&self.scratch[..len]),
            }
            return None;
        };
        // Input that came with the handshake is first.
        let mut rest = row.connection.take_rest();
        if !row.state.is_member() {
            websocket.stop_receiving();
            return None;
        }
        let bytes = if rest.is_empty() { &mut self.scratch[..len] } else { &mut rest[..] };
        let longest = self.delivery.hub.config().max_message;
        Some(Report::Messages(websocket.receive(bytes, self.delivery.clock.ran_ms(), longest)))
    }

    /// The bytes of a [`Report::Request`].
    pub(crate) fn received(&self, len: usize) -> &[u8] {
        &self.scratch[..len]
    }

    pub(crate) fn peer(&self, id: RowId) -> Peer {
        self.delivery.rows[id].connection.peer()
    }

    /// Continues with a connection that has sent a new request of `len` bytes.
    pub(crate) fn go_on(&mut self, id: RowId, next: Next, len: usize) {
        match next {
            Next::Hold(poll) => self.hold(id, &poll),
            Next::Answer(answer) => {
                self.delivery.rows[id].append_last(answer, self.delivery.clock.ran_ms());
                self.delivery.drive(id, Event::Answered);
            }
            Next::Return => {
                self.delivery.rows[id].connection.unread(&self.scratch[..len]);
                self.delivery.drive(id, Event::Returned);
            }
        }
    }

    fn hold(&mut self, id: RowId, poll: &HeldPoll) {
        // Use the group of the last poll that asked the same, if it still exists.
        let is_there = |&id: &_| self.delivery.audience.groups.get(id).is_some_and(|group| !group.is_closed);
        let known = poll.group.get().filter(is_there);
        let group = known.unwrap_or_else(|| self.delivery.audience.group(&poll.channels, &poll.shape));
        poll.group.set(Some(group));
        self.delivery.hold(id, poll.wait);
        // After a message, all its readers send the same next poll. In the usual case nothing has
        // happened since.
        if self.delivery.audience.is_registered(group)
            && self.delivery.audience.groups[group].now.positions == poll.positions
        {
            return self.delivery.enter_live(id, group);
        }
        self.delivery.enter(id, group, poll.positions.clone());
        self.delivery.audience.advance_later(group);
        self.delivery.drive(id, Event::Held);
    }

    /// Tells all subscribers, in the next turns, that the server stops.
    pub(crate) fn drain(&mut self) {
        if std::mem::replace(&mut self.delivery.draining, true) {
            return;
        }
        // The hub accepts no more messages. All subscribers get every message that it has
        // acknowledged, even if the inbox does not have its channel yet.
        let groups = self.delivery.audience.groups.ids();
        groups.into_iter().for_each(|group| self.delivery.audience.advance_later(group));
        self.delivery.audience.todo.push(Work::SendStop(0));
        self.wake_if_busy();
    }

    /// Reads the clock. Call it once in each turn.
    pub(crate) fn read_clock(&mut self) {
        let now_ms = self.delivery.hub.now_ms();
        self.delivery.clock.set(now_ms);
        self.delivery.audience.set_now(now_ms);
    }

    /// The time of the hub, in milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        self.delivery.clock.now_ms()
    }

    /// The time until the next deadline.
    pub(crate) fn next_deadline(&self) -> Duration {
        let tick_ms = self.delivery.clock.next_tick_ms();
        let due = [self.delivery.deadlines.first_ms(), self.delivery.holds.first_ms()];
        let next_ms = due.into_iter().flatten().fold(tick_ms, u64::min);
        Duration::from_millis(next_ms.saturating_sub(self.delivery.hub.now_ms()).max(1))
    }
}
