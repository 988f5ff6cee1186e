//! The table itself: what happens on its connections, and what its owner is told of it.

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
use crate::forms::Forms;
use crate::hub::Hub;
use crate::rope::Rope;
use crate::settings::Settings;

/// Reads of one socket in one turn; the others want theirs.
const READS_A_TURN: usize = 8;

/// What is read of a client that sends while it waits for an answer or reads a stream: one
/// pipelined head, not more. Behind a poll the rest waits in the socket until the answer is out.
/// Behind a stream nothing is ever answered, and who floods is dropped.
const MAX_UNREAD: usize = 16 * 1024;

/// The subscribers of one worker.
pub(crate) struct Table {
    pub(super) delivery: Delivery,
    pub(super) worker: u16,
    scratch: Vec<u8>,
    /// The places of those that inflate a message, counted by its references.
    pub(super) inflating: Rc<()>,
    pub(super) stalled: StalledBytes,
    /// When readers that hold too much are looked for again.
    pub(super) look_for_laggards_ms: u64,
    /// What a tick has begun.
    pub(super) tick: Tick,
}

/// What its owner has to see to, before the connection is read on.
pub(crate) enum Report {
    /// A connection whose poll was answered asks again: so many bytes, see [`Table::received`].
    /// [`Table::go_on`] has to follow.
    Request(usize),
    /// Messages of a WebSocket. [`Table::end_turn`] has to follow.
    Messages(Vec<Incoming>),
}

/// How to go on with a connection that asked again.
pub(crate) enum Next {
    /// There is nothing for its poll yet.
    Hold(Rc<HeldPoll>),
    /// The whole answer. The connection stays.
    Answer(Rope),
    /// The request cycle is to read the request once more.
    Return,
}

impl Table {
    pub(crate) fn new(hub: Arc<Hub>, settings: Arc<Settings>, forms: Forms, worker: u16) -> Self {
        let delivery = Delivery::new(hub, settings, forms, worker);
        Table {
            delivery,
            worker,
            scratch: vec![0; 64 * 1024],
            inflating: Rc::default(),
            stalled: StalledBytes::default(),
            look_for_laggards_ms: 0,
            tick: Tick::default(),
        }
    }

    /// Where ready sockets are listed.
    pub(crate) fn ready(&self) -> Inbox<u32> {
        self.delivery.ready.clone()
    }

    /// Takes a connection in: it is behind, at the position that its request left it at, and
    /// catches up. It has to be [read](Self::read) next, and then the task is to be
    /// [woken](Self::wake_if_busy).
    pub(crate) fn add(&mut self, connection: Parked, subscription: Subscription) -> RowId {
        self.look_at_the_clock();
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
        // In the usual case it is served at once; else it waits until those before it are.
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

    /// A channel has news: its groups are to move to its head, with all their live members.
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

    /// Does what is to be done, until the turn is over.
    pub(crate) fn run(&mut self) {
        self.delivery.run();
    }

    /// Whether there is work left for the next turns.
    pub(crate) fn is_busy(&self) -> bool {
        !self.delivery.audience.todo.is_empty() || self.tick.is_busy()
    }

    /// Wakes the task of the table where work was added from outside of it.
    pub(crate) fn wake_if_busy(&self) {
        if self.is_busy() {
            self.delivery.ready.push(RowId::NONE.key());
        }
    }

    /// A socket is ready to take or to give. It has to be [read](Self::read) next.
    pub(crate) fn on_ready(&mut self, id: RowId) {
        let Some(row) = self.delivery.rows.get_mut(id) else { return };
        if row.state == State::Idle {
            // What it waits for is read next.
            return;
        }
        let before = row.pending.len();
        let event = if before == 0 { Event::Turn } else { row.flush() };
        if row.pending.len() != before {
            row.progress_ms = self.delivery.clock.ran_ms();
        }
        self.delivery.drive(id, event);
    }

    /// Reads what the client sent, and notices when it left. `reads` counts the reads of this turn.
    pub(crate) fn read(&mut self, id: RowId, reads: &mut usize) -> Option<Report> {
        loop {
            let row = self.delivery.rows.get_mut(id)?;
            if let Some(websocket) = &mut row.websocket
                && websocket.is_stalled()
            {
                // Others may wait in line behind it, so it is tried whatever its client does.
                return websocket.take_stalled(self.delivery.clock.ran_ms()).map(Report::Messages);
            }
            let has_more = match &row.websocket {
                // The client does not take what it is owed, so nothing more is taken from it.
                // Writing goes on first.
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
            if *reads == READS_A_TURN || has_more && *reads > 0 {
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
            if let Some(report) = self.take_in(id, len) {
                return Some(report);
            }
        }
    }

    /// Bytes from the client, the first of `scratch`.
    fn take_in(&mut self, id: RowId, len: usize) -> Option<Report> {
        let row = &mut self.delivery.rows[id];
        let Some(websocket) = &mut row.websocket else {
            match row.state {
                State::Idle => return Some(Report::Request(len)),
                State::Ending | State::Closed | State::Gone => {}
                // The next request while this answer is not complete.
                _ => row.connection.unread(&self.scratch[..len]),
            }
            return None;
        };
        // What came with the handshake is first.
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

    /// Goes on with a connection that asked again with so many bytes.
    pub(crate) fn go_on(&mut self, id: RowId, next: Next, len: usize) {
        match next {
            Next::Hold(poll) => self.hold(id, &poll),
            Next::Answer(answer) => {
                self.delivery.rows[id].put_last(answer, self.delivery.clock.ran_ms());
                self.delivery.drive(id, Event::Answered);
            }
            Next::Return => {
                self.delivery.rows[id].connection.unread(&self.scratch[..len]);
                self.delivery.drive(id, Event::Returned);
            }
        }
    }

    fn hold(&mut self, id: RowId, poll: &HeldPoll) {
        // Where the last one that asked the same is, if that group is still there.
        let is_there = |&id: &_| self.delivery.audience.groups.get(id).is_some_and(|group| !group.is_closed);
        let known = poll.group.get().filter(is_there);
        let group = known.unwrap_or_else(|| self.delivery.audience.group(&poll.channels, &poll.shape));
        poll.group.set(Some(group));
        self.delivery.hold(id, poll.wait);
        // After a message all its readers ask the same next question, and nothing happened since.
        if self.delivery.audience.is_registered(group)
            && self.delivery.audience.groups[group].now.positions == poll.positions
        {
            return self.delivery.enter_live(id, group);
        }
        self.delivery.enter(id, group, poll.positions.clone());
        self.delivery.audience.advance_later(group);
        self.delivery.drive(id, Event::Held);
    }

    /// Says to everybody that the server stops, in the next turns.
    pub(crate) fn drain(&mut self) {
        if std::mem::replace(&mut self.delivery.draining, true) {
            return;
        }
        // The hub takes no more. What it has acknowledged goes to everybody, whether its news has
        // come or not.
        let groups = self.delivery.audience.groups.ids();
        groups.into_iter().for_each(|group| self.delivery.audience.advance_later(group));
        self.delivery.audience.todo.push(Work::SayStop(0));
        self.wake_if_busy();
    }

    /// Once for each turn.
    pub(crate) fn look_at_the_clock(&mut self) {
        let now_ms = self.delivery.hub.now_ms();
        self.delivery.clock.set(now_ms);
        self.delivery.audience.set_now(now_ms);
    }

    /// The time of the hub, in milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        self.delivery.clock.now_ms()
    }

    /// Time until something is due.
    pub(crate) fn next_deadline(&self) -> Duration {
        let tick_ms = self.delivery.clock.next_tick_ms();
        let due = [self.delivery.deadlines.first_ms(), self.delivery.holds.first_ms()];
        let next_ms = due.into_iter().flatten().fold(tick_ms, u64::min);
        Duration::from_millis(next_ms.saturating_sub(self.delivery.hub.now_ms()).max(1))
    }
}
