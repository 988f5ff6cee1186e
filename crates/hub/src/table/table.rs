//! The table itself: what happens on its connections, and what its owner is told of it.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tidewire_channel::Cursor;
use tidewire_server::{Inbox, Parked, Peer};

use super::delivery::Delivery;
use super::ids::RowId;
use super::row::Place;
use super::state::{Event, State};
use super::subscription::{HeldPoll, OpenStream, Subscription};
use super::websocket::Incoming;
use crate::channel::Channel;
use crate::feeds::{StreamFormat, Wire};
use crate::forms::Forms;
use crate::gzip::Sum;
use crate::hub::Hub;
use crate::object::Object;
use crate::positions::Channels;
use crate::rope::Rope;
use crate::settings::{Settings, TOO_SLOW};
use crate::shape::Shape;

/// Reads of one socket in one turn; the others want theirs.
const READS_A_TURN: usize = 8;

/// What is read of a client that sends while it waits for an answer or reads a stream: one
/// pipelined head, not more. Behind a poll the rest waits in the socket until the answer is out.
/// Behind a stream nothing is ever answered, and who floods is dropped.
const MAX_UNREAD: usize = 16 * 1024;

/// Ticks between two sweeps of the hub, made by worker 0.
const SWEEP_TICKS: u64 = 5;

/// The subscribers of one worker.
pub(crate) struct Table {
    delivery: Delivery,
    worker: u16,
    scratch: Vec<u8>,
    /// The places of those that inflate a message, counted by its references.
    inflating: Rc<()>,
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

/// Why a connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overdue {
    /// It takes nothing of what is pending.
    Stuck,
    /// A WebSocket that gave no sign of life.
    Silent,
    /// A WebSocket that takes too long over a message.
    Late,
    /// It was waited for long enough, for its next request or for its end.
    Over,
}

impl Table {
    pub(crate) fn new(hub: Arc<Hub>, settings: Arc<Settings>, forms: Forms, worker: u16) -> Self {
        let delivery = Delivery::new(hub, settings, forms, worker);
        Table { delivery, worker, scratch: vec![0; 64 * 1024], inflating: Rc::default() }
    }

    /// Where ready sockets are listed.
    pub(crate) fn ready(&self) -> Inbox<u32> {
        self.delivery.ready.clone()
    }

    /// Takes a connection in: it is behind, at the position that its request left it at, and
    /// catches up. It has to be [read](Self::read) next.
    pub(crate) fn add(&mut self, connection: Parked, subscription: Subscription) -> RowId {
        self.look_at_the_clock();
        let row = match subscription {
            Subscription::Stream(stream) => self.add_stream(connection, stream),
            Subscription::Poll(poll) => {
                let group = self.delivery.group(&poll.channels, &poll.shape);
                poll.group.set(Some(group));
                let row = self.delivery.add(connection, group, poll.positions.clone(), None, None);
                self.delivery.hold(row, poll.wait);
                self.delivery.advance_later(group);
                self.delivery.turn_later(row);
                row
            }
        };
        self.delivery.run();
        row
    }

    fn add_stream(&mut self, connection: Parked, stream: OpenStream) -> RowId {
        let OpenStream { shape, channels, positions, mut websocket, gzip, ended } = stream;
        if let Some(websocket) = &mut websocket {
            websocket.enter(self.delivery.clock.ran_ms());
        }
        let group = self.delivery.group(&channels, &shape);
        let row = self.delivery.add(connection, group, positions, websocket, gzip);
        if ended {
            self.delivery.drive(row, Event::Ended);
        } else {
            self.delivery.advance_later(group);
            self.delivery.turn_later(row);
        }
        row
    }

    /// A channel has news: its groups move to its head, with all their live members.
    pub(crate) fn on_news(&mut self, channel: &Arc<Channel>) {
        self.delivery.on_news(channel);
        self.delivery.run();
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
        self.delivery.run();
    }

    /// Reads what the client sent, and notices when it left. `reads` counts the reads of this turn.
    pub(crate) fn read(&mut self, id: RowId, reads: &mut usize) -> Option<Report> {
        loop {
            let row = self.delivery.rows.get_mut(id)?;
            let has_more = match &row.websocket {
                // The client does not take what it is owed, so nothing more is taken from it.
                // Writing goes on first.
                Some(websocket) if websocket.is_full() => return None,
                Some(websocket) => websocket.has_more() || row.connection.unread_len() > 0,
                None if row.connection.unread_len() > MAX_UNREAD => {
                    let group = row.group().and_then(|group| self.delivery.groups.get(group));
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
        self.delivery.run();
    }

    fn hold(&mut self, id: RowId, poll: &HeldPoll) {
        // Where the last one that asked the same is, if that group is still there.
        let known = poll.group.get().filter(|&group| self.delivery.groups.get(group).is_some());
        let group = known.unwrap_or_else(|| self.delivery.group(&poll.channels, &poll.shape));
        poll.group.set(Some(group));
        self.delivery.hold(id, poll.wait);
        // After a message all its readers ask the same next question, and nothing happened since.
        if self.delivery.is_registered(group) && self.delivery.groups[group].positions == poll.positions {
            return self.delivery.enter_live(id, group);
        }
        self.delivery.enter(id, group, poll.positions.clone());
        self.delivery.advance_later(group);
        self.delivery.drive(id, Event::Held);
    }

    /// Says to everybody that the server stops.
    pub(crate) fn drain(&mut self) {
        self.delivery.draining = true;
        // The hub takes no more. What it has acknowledged goes to everybody, whether its news has
        // come or not.
        let groups = self.delivery.groups.ids();
        groups.into_iter().for_each(|group| self.delivery.advance_later(group));
        self.delivery.run();
        for id in self.delivery.rows.ids() {
            let Some(row) = self.delivery.rows.get(id) else { continue };
            let is_behind = row.member.as_ref().is_some_and(|member| {
                matches!(member.place, Place::Behind(_))
                    && self.delivery.groups[member.group].shape.is_stream()
            });
            // Who is behind is told when it has the rest.
            self.delivery.drive(id, if is_behind { Event::Turn } else { Event::Stop });
        }
        self.delivery.run();
    }

    /// Once for each turn.
    pub(crate) fn look_at_the_clock(&mut self) {
        let now_ms = self.delivery.hub.now_ms();
        self.delivery.clock.set(now_ms);
    }

    /// The time of the hub, in milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        self.delivery.clock.now_ms()
    }

    /// Time until something is due.
    pub(crate) fn next_deadline(&self) -> Duration {
        let tick_ms = self.delivery.clock.next_tick_ms();
        let next_ms = self.delivery.deadlines.first_ms().map_or(tick_ms, |first_ms| first_ms.min(tick_ms));
        Duration::from_millis(next_ms.saturating_sub(self.delivery.hub.now_ms()).max(1))
    }

    /// Answers the polls that were held long enough. Once a second there is a tick too: heartbeats,
    /// and tidying up. Says which connections are overdue: after one more [ready](Self::on_ready)
    /// and read, for what they waited for may be in the socket, they have to be
    /// [given up](Self::give_up_if_overdue).
    pub(crate) fn on_time(&mut self) -> Vec<RowId> {
        self.look_at_the_clock();
        let now_ms = self.delivery.clock.now_ms();
        while let Some(id) = self.delivery.deadlines.next(now_ms) {
            let row = &mut self.delivery.rows[id];
            let waits = row.state.is_member();
            if self.delivery.deadlines.is_due(id, &mut row.deadline, now_ms, waits) {
                self.answer_empty(id);
            }
        }
        let overdue = if self.delivery.clock.tick() { self.tick() } else { Vec::new() };
        self.delivery.run();
        overdue
    }

    /// A poll was held for as long as it may be.
    fn answer_empty(&mut self, id: RowId) {
        let row = &self.delivery.rows[id];
        let Some(group) = row.group().filter(|_| row.pending.is_empty()) else { return };
        let Shape::LongPoll(shape) = &self.delivery.groups[group].shape else { return };
        let answer = shape.empty_answer(&self.delivery.positions(id).to_text(), &self.delivery.forms);
        self.delivery.rows[id].put_last(answer, self.delivery.clock.ran_ms());
        let end = self.delivery.end(group);
        self.delivery.drive(id, end);
    }

    fn tick(&mut self) -> Vec<RowId> {
        for group in self.delivery.groups.empty() {
            self.delivery.remove_group(group);
        }
        let (ticks, spares) = (self.delivery.clock.ticks(), self.delivery.clock.spares());
        // Not before what came during a stop is read: an empty channel whose reader asks again must
        // not be forgotten.
        if self.worker == 0 && ticks.is_multiple_of(SWEEP_TICKS) && !spares {
            self.delivery.hub.sweep();
        }
        self.delivery.shrink();
        self.delivery.forms.forget_unused();
        let mut overdue = Vec::new();
        let mut heartbeats = HashMap::new();
        for id in self.delivery.rows.ids() {
            let ran_ms = self.delivery.clock.ran_ms();
            if let Some(websocket) = &mut self.delivery.rows[id].websocket {
                websocket.bound_time(ran_ms, &self.delivery.settings);
            }
            if !spares && self.overdue(id).is_some() {
                overdue.push(id);
            } else {
                self.send_heartbeat(id, ticks, &mut heartbeats);
            }
        }
        overdue
    }

    /// A heartbeat for a share of the rows, so that they do not all get theirs at once.
    fn send_heartbeat(&mut self, id: RowId, ticks: u64, made: &mut HashMap<Wire, (Rope, Sum)>) {
        let every = self.delivery.settings.heartbeat.as_secs().max(1);
        // Counted down, so that the first rows of a worker get their first heartbeat last, however
        // long the interval is.
        let turn = every - 1 - ticks % every;
        let row = &mut self.delivery.rows[id];
        let Some(group) = row.group().filter(|_| row.state == State::Live) else { return };
        let group = &self.delivery.groups[group];
        let Shape::Stream { wire, .. } = group.shape else { return };
        if u64::from(id.key()) % every != turn {
            return;
        }
        let (heartbeat, sum) = made.entry(wire).or_insert_with(|| {
            let mut out = wire.out(&self.delivery.forms);
            wire.unit(&mut out, |feed, out| feed.heartbeat(out.own()));
            let packed = wire.pack(out);
            (packed.rope, packed.sum)
        });
        if let Some(body) = &mut row.gzip {
            body.add(group.sum, *sum);
        }
        let event = row.offer(heartbeat);
        self.delivery.drive(id, event);
    }

    /// Gives up a connection whose time is over.
    pub(crate) fn give_up_if_overdue(&mut self, id: RowId) {
        let Some(overdue) = self.overdue(id) else { return };
        let ran_ms = self.delivery.clock.ran_ms();
        let row = &mut self.delivery.rows[id];
        tracing::debug!(peer = %row.connection.peer(), ?overdue, "subscriber dropped");
        let event = match &mut row.websocket {
            Some(websocket) if overdue == Overdue::Late => {
                websocket.close(1008, TOO_SLOW);
                row.put_last(Rope::default(), ran_ms);
                // The part of the message that came is freed now.
                row.websocket = None;
                Event::Ended
            }
            _ if overdue == Overdue::Over => Event::TimeOver,
            _ => Event::Failed,
        };
        self.delivery.drive(id, event);
        self.delivery.run();
    }

    fn overdue(&self, id: RowId) -> Option<Overdue> {
        let row = self.delivery.rows.get(id)?;
        let (ran_ms, settings) = (self.delivery.clock.ran_ms(), &self.delivery.settings);
        let stalled = ran_ms.saturating_sub(row.progress_ms) >= settings.stall_ms();
        if stalled && !row.pending.is_empty() {
            return Some(Overdue::Stuck);
        }
        if !row.state.is_member() {
            return (row.pending.is_empty() && ran_ms >= row.give_up_ms).then_some(Overdue::Over);
        }
        let websocket = row.websocket.as_deref()?;
        if websocket.is_silent(ran_ms, row.progress_ms, settings.heartbeat) {
            return Some(Overdue::Silent);
        }
        websocket.is_late(ran_ms, settings).then_some(Overdue::Late)
    }
}

/// The WebSockets of a table, for who carries out what their clients say.
impl Table {
    /// Whether it speaks `tidewire.v1`.
    pub(crate) fn is_v1(&self, id: RowId) -> bool {
        let websocket = self.delivery.rows.get(id).and_then(|row| row.websocket.as_ref());
        websocket.is_some_and(|websocket| websocket.is_v1())
    }

    /// The channels of a member; none if it is leaving.
    pub(crate) fn channels(&self, id: RowId) -> Option<Channels> {
        let group = self.delivery.rows.get(id)?.group()?;
        Some(self.delivery.groups[group].channels.clone())
    }

    /// The one cursor of what it has.
    pub(crate) fn cursor(&self, id: RowId) -> String {
        self.delivery.positions(id).to_text()
    }

    /// Adds an object to what is written next.
    pub(crate) fn owe(&mut self, id: RowId, object: &Object<'_>) {
        let row = self.delivery.rows.get_mut(id).filter(|row| row.state.is_member());
        if let Some(websocket) = row.and_then(|row| row.websocket.as_mut()) {
            websocket.owe(object);
        }
    }

    /// Writes a close behind what is owed, unless one was written before.
    pub(crate) fn close(&mut self, id: RowId, code: u16, reason: &str) {
        if let Some(websocket) = self.delivery.rows.get_mut(id).and_then(|row| row.websocket.as_mut()) {
            websocket.close(code, reason);
        }
    }

    /// Moves the connection to other channels. What is owed next has to be the answer to the
    /// command, with the positions after the move. Everything that was written before stands before
    /// it, and nothing comes between. [`turn`](Self::turn) sends it, and then the messages that it
    /// has not read.
    pub(crate) fn move_to(
        &mut self,
        id: RowId,
        channels: &Channels,
        positions: impl FnOnce(Vec<Cursor>) -> Vec<Cursor>,
    ) {
        let Some(format) = self.format(id) else { return };
        let wire = Wire { format, chunked: false, gzip: false };
        let shape = Shape::Stream { wire, labelled: channels.0.len() > 1 };
        self.delivery.move_to(id, channels, &shape, positions);
    }

    /// Sends a member what waits for it.
    pub(crate) fn turn(&mut self, id: RowId) {
        let Some(row) = self.delivery.rows.get(id) else { return };
        let waits = row.pending.is_empty();
        if let Some(group) = row.group() {
            self.delivery.advance_later(group);
        }
        if waits {
            self.delivery.turn_later(id);
        }
        self.delivery.run();
    }

    /// The messages of a read were seen to.
    pub(crate) fn end_turn(&mut self, id: RowId) {
        let row = self.delivery.rows.get_mut(id).filter(|row| row.state.is_member());
        // One of the commands may have ended the subscription, and written the last frame.
        let Some(row) = row else { return };
        let Some(websocket) = &mut row.websocket else { return };
        websocket.end_turn(&self.inflating);
        if websocket.is_closing() {
            row.put_last(Rope::default(), self.delivery.clock.ran_ms());
            self.delivery.drive(id, Event::Ended);
        } else if row.pending.is_empty() {
            self.delivery.drive(id, Event::Turn);
        }
        self.delivery.run();
    }

    fn format(&self, id: RowId) -> Option<StreamFormat> {
        self.delivery.rows[id].websocket.as_ref().map(|websocket| websocket.format())
    }
}
