//! All parts of a table, and how a row moves through its states.

use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use tidewire_channel::Cursor;
use tidewire_server::{Inbox, Parked};

use super::audience::Audience;
use super::clock::Clock;
use super::deadlines::{Deadline, Deadlines};
use super::group::KEPT;
use super::holds::{Hold, Holds};
use super::ids::{GroupId, RowId};
use super::row::{Member, Place, Row};
use super::rows::Rows;
use super::state::{Action, Event, Last, State};
use super::todo::Work;
use super::turn::Turn;
use super::websocket::WebSocket;
use crate::credit::ConnectionCredit;
use crate::feeds::{Ending, Flow, longpoll};
use crate::fetching::PageAt;
use crate::form_cache::FormCache;
use crate::gzip;
use crate::hub::Hub;
use crate::pages::PageWaiter;
use crate::positions::{Channels, Positions};
use crate::rope::Rope;
use crate::settings::Settings;
use crate::shape::Shape;

/// Slices that a slow reader gets in one turn.
const SLICES_PER_TURN: usize = 4;

/// Rows handled between two checks of the time.
const STEP: usize = 16;

/// How long a closed connection may take until the peer closes it too.
const LINGER_MS: u64 = 2_000;

/// The parts of a table, and what moves a row from one state to the next.
pub(super) struct Delivery {
    pub(super) hub: Arc<Hub>,
    pub(super) settings: Arc<Settings>,
    pub(super) forms: FormCache,
    pub(super) rows: Rows,
    pub(super) audience: Audience,
    pub(super) deadlines: Deadlines,
    pub(super) holds: Holds,
    pub(super) clock: Clock,
    /// Rows whose sockets are ready.
    pub(super) ready: Inbox<u32>,
    /// The current turn.
    pub(super) turn: Turn,
    pub(super) draining: bool,
}

impl Delivery {
    pub(super) fn new(hub: Arc<Hub>, settings: Arc<Settings>, forms: FormCache, worker: u16) -> Self {
        Delivery {
            rows: Rows::default(),
            audience: Audience::new(worker),
            deadlines: Deadlines::default(),
            holds: Holds::default(),
            clock: Clock::new(hub.now_ms()),
            ready: Inbox::new(),
            turn: Turn::begin(),
            draining: false,
            hub,
            settings,
            forms,
        }
    }

    /// Adds a row, as a member of a group that has everything before these positions.
    pub(super) fn add(
        &mut self,
        connection: Parked,
        group: GroupId,
        positions: Positions,
        websocket: Option<Box<WebSocket>>,
        gzip: Option<Box<gzip::Body>>,
    ) -> RowId {
        let row = self.rows.add(|id| Row {
            connection,
            waker: self.ready.waker(id.key()),
            state: State::Behind,
            member: None,
            pending: Rope::default(),
            deadline: Deadline::default(),
            holds: None,
            credit: ConnectionCredit::default(),
            is_queued: false,
            give_up_ms: 0,
            progress_ms: self.clock.ran_ms(),
            websocket,
            gzip,
        });
        self.enter(row, group, positions);
        row
    }

    /// Makes a row a member of a group. It is behind; its turn follows.
    pub(super) fn enter(&mut self, row: RowId, group: GroupId, positions: Positions) {
        self.audience.groups[group].enter();
        self.rows[row].member = Some(Member { group, place: Place::Behind(positions) });
    }

    /// The same for a row that has everything that the group has.
    pub(super) fn enter_live(&mut self, row: RowId, group: GroupId) {
        self.audience.groups[group].enter();
        // It gets its index in the list of live members when it joins.
        self.rows[row].member = Some(Member { group, place: Place::Live(Place::NONE) });
        self.drive(row, Event::CaughtUp);
    }

    /// Moves a member to other channels. From then on it is behind, and gets nothing before its
    /// next turn.
    ///
    /// `positions` makes the new positions from the current ones. They are read here, in the same
    /// step as the move. Otherwise messages that are delivered between reading the positions and
    /// the move would be sent twice.
    pub(super) fn move_to(
        &mut self,
        row: RowId,
        channels: &Channels,
        shape: &Shape,
        positions: impl FnOnce(Vec<Cursor>) -> Vec<Cursor>,
    ) {
        let positions = Positions(positions(self.positions(row).0.into()).into());
        self.leave(row);
        let group = self.audience.group(channels, shape);
        self.enter(row, group, positions);
        self.drive(row, Event::Moved);
    }

    /// The positions of a member.
    pub(super) fn positions(&self, row: RowId) -> Positions {
        match &self.rows[row].member {
            Some(Member { place: Place::Behind(positions), .. }) => positions.clone(),
            Some(Member { group, place: Place::Live(slot) }) => {
                self.audience.groups[*group].reached_by(*slot).positions.clone()
            }
            None => Positions(Box::new([])),
        }
    }

    pub(super) fn turn_later(&mut self, id: RowId) {
        let Some(row) = self.rows.get_mut(id) else { return };
        if !std::mem::replace(&mut row.is_queued, true) {
            self.audience.todo.push(Work::Turn(id));
        }
    }

    /// Handles an event of a row, and the events that follow from it, until the row waits.
    pub(super) fn drive(&mut self, row: RowId, event: Event) {
        let mut slices = 0;
        let mut next = Some(event);
        while let Some(event) = next {
            let Some(action) = self.rows.step(row, event) else { return };
            if action == Action::Read {
                slices += 1;
                if slices > SLICES_PER_TURN || slices > 1 && self.turn.is_over() {
                    // Other rows must have their turn.
                    return self.ready.push(row.key());
                }
            }
            next = self.perform(row, action);
        }
    }

    /// Performs an action. Returns the event that follows from it.
    fn perform(&mut self, row: RowId, action: Action) -> Option<Event> {
        match action {
            Action::Wait => None,
            Action::SendFrames => self.send_frames(row),
            Action::Read => self.send_frames(row).or_else(|| self.read_on(row)),
            Action::Join => self.join(row),
            Action::FallBehind => self.fall_behind(row),
            Action::Finish => {
                let group = self.leave(row);
                if let Some(group) = group.filter(|_| self.rows[row].state == State::Answering) {
                    self.hold_publishers(row, group);
                }
                if let Some(websocket) = &mut self.rows[row].websocket {
                    websocket.stop_receiving();
                }
                Some(self.rows[row].flush())
            }
            Action::AwaitRequest => {
                let row = &mut self.rows[row];
                row.give_up_ms = self.clock.ran_ms() + self.settings.idle_timeout.as_millis() as u64;
                (row.connection.unread_len() > 0 || self.draining).then_some(Event::Returned)
            }
            Action::SendLast(last) => self.send_last(row, last),
            Action::ShutDown => {
                let row = &mut self.rows[row];
                let _ = row.connection.poll_shutdown(&mut Context::from_waker(&row.waker));
                row.give_up_ms = self.clock.ran_ms() + LINGER_MS;
                None
            }
            Action::GiveBack => {
                self.take_out(row).connection.resume(&[]);
                None
            }
            Action::Drop => {
                self.leave(row);
                self.take_out(row);
                None
            }
        }
    }

    /// Sends queued frames: pongs, a close, answers to commands.
    fn send_frames(&mut self, row: RowId) -> Option<Event> {
        let row = &mut self.rows[row];
        let bytes = row.websocket.as_mut()?.take_output()?;
        let event = row.offer(&bytes.into());
        if event == Event::Blocked {
            row.progress_ms = self.clock.ran_ms();
        }
        Some(event)
    }

    /// Sends the next slice to a row that is behind.
    fn read_on(&mut self, id: RowId) -> Option<Event> {
        let row = &mut self.rows[id];
        let Some(Member { group, place: Place::Behind(positions) }) = &mut row.member else { return None };
        let (group_id, group) = (*group, &self.audience.groups[*group]);
        let has_finished = group.has_ended() && *positions == group.now.positions;
        if (has_finished || group.is_closed) && row.is_stalled() {
            // Its turn comes when its publish is answered.
            return None;
        }
        let Some(Member { place: Place::Behind(positions), .. }) = &mut row.member else { return None };
        if group.is_closed {
            return Some(group.closed_event());
        }
        // When the server stops, a member that has caught up is disconnected. So it must not count
        // as caught up before its group has everything.
        let has_more = self.draining && group.is_busy;
        if *positions == group.now.positions && !has_more {
            return Some(Event::CaughtUp);
        }
        let (batch, waits) = group.next_slice(positions, &self.hub.counters, &self.forms);
        let Some(batch) = batch else {
            if waits {
                let waiter = || PageWaiter::Task(row.waker.clone());
                return match group.channels.await_pages(positions, waiter) {
                    PageAt::Waiting => None,
                    // It came meanwhile.
                    PageAt::Ready => {
                        self.ready.push(id.key());
                        None
                    }
                    PageAt::Failed => Some(Event::Failed),
                };
            }
            if *positions == group.now.positions && !has_more {
                return Some(Event::CaughtUp);
            }
            // The member has read further than its group. It waits until the group follows.
            self.audience.advance_later(group_id);
            self.turn_later(id);
            return None;
        };
        row.progress_ms = self.clock.ran_ms();
        if let Some(body) = &mut row.gzip {
            body.add(group.now.sum, batch.sum);
        }
        match batch.flow {
            Flow::Continue => {
                let event = row.offer(&batch.rope);
                if event == Event::Blocked
                    && let Some(Member { place: Place::Behind(positions), .. }) = &mut row.member
                {
                    let end = positions.clone();
                    *positions = batch.keep_unit(&mut row.pending, KEPT, &end);
                }
                Some(event)
            }
            Flow::End => {
                row.append_last(batch.rope, self.clock.ran_ms());
                Some(self.end(group_id))
            }
        }
    }

    fn join(&mut self, id: RowId) -> Option<Event> {
        self.release(id);
        let row = &mut self.rows[id];
        let Some(member) = &mut row.member else { return None };
        let group = &mut self.audience.groups[member.group];
        member.place = Place::Live(group.join(id));
        if let Some(body) = &mut row.gzip {
            body.join(group.now.sum);
        }
        if group.has_ended() {
            return Some(Event::Finished);
        }
        self.draining.then_some(Event::Stop)
    }

    fn fall_behind(&mut self, id: RowId) -> Option<Event> {
        let row = &mut self.rows[id];
        let Some(Member { group, place: Place::Live(slot) }) = row.member else { return None };
        let reached = self.audience.groups[group].reached_by(slot).clone();
        row.progress_ms = self.clock.ran_ms();
        if let Some(body) = &mut row.gzip {
            body.leave(reached.sum);
        }
        self.vacate(group, slot);
        self.rows[id].member = Some(Member { group, place: Place::Behind(reached.positions) });
        self.hold_publishers(id, group);
        None
    }

    /// Puts a member behind that has everything. Its client waits for the answer to a publish,
    /// which must come before the last bytes.
    pub(super) fn set_aside(&mut self, id: RowId) {
        let Some(Member { group, place: Place::Live(slot) }) = self.rows[id].member else { return };
        let positions = self.audience.groups[group].reached_by(slot).positions.clone();
        self.vacate(group, slot);
        self.rows[id].member = Some(Member { group, place: Place::Behind(positions) });
        self.drive(id, Event::Moved);
    }

    /// Makes publishers wait for a member that fell behind a moment ago, since it still counts as
    /// fast. The same for the reader of a long poll that was answered a moment ago: its next poll
    /// is on its way.
    fn hold_publishers(&mut self, id: RowId, group: GroupId) {
        let (row, now_ms) = (&mut self.rows[id], self.clock.now_ms());
        debug_assert!(row.holds.is_none(), "a row that holds its channels has not caught up");
        let until_ms = row.credit.end_ms(now_ms).min(self.audience.may_hold_until(group));
        if until_ms > now_ms {
            row.credit.begin(now_ms);
            row.holds = Some(Hold { group, until_ms });
            self.audience.hold(group);
            if self.holds.list(id, until_ms) {
                self.wake_task();
            }
        }
    }

    /// Ends a hold: the row has caught up, was removed, or has used up its credit.
    pub(super) fn release(&mut self, id: RowId) {
        let row = &mut self.rows[id];
        let Some(Hold { group, .. }) = row.holds.take() else { return };
        row.credit.end(self.clock.now_ms());
        self.audience.release(group);
    }

    /// Ends a hold whose time is over.
    pub(super) fn release_if_over(&mut self, id: RowId) {
        let hold = self.rows.get(id).and_then(|row| row.holds);
        if hold.is_some_and(|hold| hold.until_ms <= self.clock.now_ms()) {
            self.release(id);
        }
    }

    /// Tells rows that the server stops, after the work list is empty, so that they have all
    /// messages. A row that is behind is told when it has caught up.
    pub(super) fn send_stop_from(&mut self, from: usize) {
        if !self.audience.todo.is_empty() {
            return self.audience.todo.push(Work::SendStop(from));
        }
        let end = self.rows.end();
        for index in from..end.min(from + STEP) {
            let Some(id) = self.rows.id_at(index) else { continue };
            let is_behind = self.rows[id].member.as_ref().is_some_and(|member| {
                matches!(member.place, Place::Behind(_))
                    && self.audience.groups[member.group].shape.is_stream()
            });
            self.drive(id, if is_behind { Event::Turn } else { Event::Stop });
        }
        if from + STEP < end {
            self.audience.todo.push(Work::SendStop(from + STEP));
        }
    }

    /// Writes the last bytes, after what is pending. That ends with a whole unit.
    fn send_last(&mut self, id: RowId, last: Last) -> Option<Event> {
        let member = self.rows[id].member.as_ref()?;
        let (group_id, group) = (member.group, &self.audience.groups[member.group]);
        let sum = match member.place {
            Place::Live(slot) => group.reached_by(slot).sum,
            Place::Behind(_) => group.now.sum,
        };
        let bytes = match &group.shape {
            Shape::Stream { wire, .. } => {
                let sum = self.rows[id].gzip.as_ref().map(|body| body.sum(sum));
                let ending = match last {
                    Last::Stop => Ending::Stop { retry_ms: self.settings.restart_retry_ms() },
                    Last::AllEnded => Ending::AllEnded,
                    Last::Deleted => Ending::Deleted { channel: group.deleted_label() },
                };
                let mut out = Vec::new();
                wire.end(&mut out, &ending, sum.unwrap_or_default());
                out.into()
            }
            Shape::LongPoll(shape) => {
                let cursor = self.positions(id).to_text();
                match last {
                    Last::Stop => shape.closing().empty_answer(&cursor, false, &self.forms),
                    Last::AllEnded => shape.empty_answer(&cursor, true, &self.forms),
                    Last::Deleted => shape.deleted_answer(&cursor, group.deleted_label(), &self.forms),
                }
            }
        };
        self.rows[id].append_last(bytes, self.clock.ran_ms());
        Some(if last == Last::Stop { Event::Ended } else { self.end(group_id) })
    }

    /// The event with which a subscription of this group ends after its last bytes.
    pub(super) fn end(&self, group: GroupId) -> Event {
        let keeps = self.audience.groups[group].shape.keeps_connection() && !self.draining;
        if keeps { Event::Answered } else { Event::Ended }
    }

    /// Removes a member from its group. Returns the group.
    fn leave(&mut self, row: RowId) -> Option<GroupId> {
        let member = self.rows[row].member.take()?;
        self.release(row);
        if let Place::Live(slot) = member.place {
            self.vacate(member.group, slot);
        }
        self.audience.leave(member.group);
        Some(member.group)
    }

    /// Removes a member from the live members.
    fn vacate(&mut self, group: GroupId, slot: u32) {
        // A member that has just entered has no place yet.
        if slot == Place::NONE {
            return;
        }
        self.audience.groups[group].vacate(slot, |moved, slot| {
            self.rows[moved].member = Some(Member { group, place: Place::Live(slot) });
        });
    }

    /// Removes a row from the table.
    fn take_out(&mut self, id: RowId) -> Row {
        self.release(id);
        let mut row = self.rows.remove(id);
        self.deadlines.forget(id, &mut row.deadline);
        row
    }

    /// Sets the deadline of a long poll: the wait of its client, minus a random part.
    pub(super) fn hold(&mut self, row: RowId, wait: Duration) {
        let at_ms = self.clock.now_ms() + longpoll::hold(wait, fastrand::f64()).as_millis() as u64;
        if self.deadlines.set(row, &mut self.rows[row].deadline, at_ms) {
            self.wake_task();
        }
    }

    /// Wakes the task, which may sleep past the new first deadline.
    fn wake_task(&self) {
        self.ready.push(RowId::NONE.key());
    }

    pub(super) fn shrink(&mut self) {
        self.rows.shrink();
        self.audience.shrink();
        self.holds.shrink();
    }
}
