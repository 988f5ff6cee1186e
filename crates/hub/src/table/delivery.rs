//! Delivery: the way of a batch to the members of a group, and what each row does next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use tidewire_channel::Cursor;
use tidewire_server::{Inbox, Parked};

use super::clock::Clock;
use super::deadlines::{Deadline, Deadlines};
use super::groups::Groups;
use super::ids::{GroupId, RowId};
use super::row::{Member, Place, Row};
use super::rows::Rows;
use super::state::{Action, Event, State};
use super::watches::{Registration, Watches};
use super::websocket::WebSocket;
use crate::feeds::{Flow, longpoll};
use crate::forms::Forms;
use crate::gzip;
use crate::hub::Hub;
use crate::positions::{Channels, Positions};
use crate::rope::Rope;
use crate::settings::Settings;
use crate::shape::{Batch, Shape};

/// Slices that a slow reader gets in one turn.
const SLICES_A_TURN: usize = 4;

/// Bytes that a reader which is behind keeps of what it did not take, beside the rest of one unit.
/// Those of one batch that several do not take count once.
const KEPT: usize = 16 * 1024;

/// How long a closed connection may take to hang up.
const LINGER_MS: u64 = 2_000;

/// The parts of a table, and what moves a row from one state to the next.
pub(super) struct Delivery {
    pub(super) hub: Arc<Hub>,
    pub(super) settings: Arc<Settings>,
    pub(super) forms: Forms,
    pub(super) rows: Rows,
    pub(super) groups: Groups,
    watches: Watches,
    pub(super) deadlines: Deadlines,
    pub(super) clock: Clock,
    /// Rows that want a turn.
    pub(super) ready: Inbox<u32>,
    /// What is still to be done in this turn.
    todo: VecDeque<Work>,
    pub(super) draining: bool,
}

enum Work {
    /// Bring a group to the heads of its channels.
    Advance(GroupId),
    /// Give a row its turn.
    Turn(RowId),
}

impl Delivery {
    pub(super) fn new(hub: Arc<Hub>, settings: Arc<Settings>, forms: Forms, worker: u16) -> Self {
        Delivery {
            rows: Rows::default(),
            groups: Groups::default(),
            watches: Watches::new(worker),
            deadlines: Deadlines::default(),
            clock: Clock::new(hub.now_ms()),
            ready: Inbox::new(),
            todo: VecDeque::new(),
            draining: false,
            hub,
            settings,
            forms,
        }
    }

    /// Adds a row, as a member of a group that has what is before these positions.
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
            give_up_ms: 0,
            progress_ms: self.clock.ran_ms(),
            websocket,
            gzip,
        });
        self.enter(row, group, positions);
        row
    }

    /// The group of these channels and this shape, made if there is none.
    pub(super) fn group(&mut self, channels: &Channels, shape: &Shape) -> GroupId {
        self.groups.find(channels, shape).unwrap_or_else(|| {
            let id = self.groups.add(channels.clone(), shape.clone());
            self.watches.add(&self.groups[id]);
            id
        })
    }

    pub(super) fn remove_group(&mut self, id: GroupId) {
        if let Some(group) = self.groups.remove(id) {
            self.watches.remove(&group);
        }
    }

    /// Makes a row a member of a group. It is behind; a turn follows.
    pub(super) fn enter(&mut self, row: RowId, group: GroupId, positions: Positions) {
        self.groups[group].enter();
        self.rows[row].member = Some(Member { group, place: Place::Behind(positions) });
    }

    /// The same for a row that has all that the group has.
    pub(super) fn enter_live(&mut self, row: RowId, group: GroupId) {
        self.groups[group].enter();
        // Where among the live ones is said when it joins.
        self.rows[row].member = Some(Member { group, place: Place::Live(u32::MAX) });
        self.drive(row, Event::CaughtUp);
    }

    /// Moves a member to other channels. It is behind from then on, and gets nothing before its
    /// next turn.
    ///
    /// `positions` makes the new positions from the present ones, which are read here, in the same
    /// step as the move. Messages that are delivered between reading the positions and the move
    /// would come twice.
    pub(super) fn move_to(
        &mut self,
        row: RowId,
        channels: &Channels,
        shape: &Shape,
        positions: impl FnOnce(Vec<Cursor>) -> Vec<Cursor>,
    ) {
        let positions = Positions(positions(self.positions(row).0.into()).into());
        self.leave(row);
        let group = self.group(channels, shape);
        self.enter(row, group, positions);
        self.drive(row, Event::Moved);
    }

    /// What a member has.
    pub(super) fn positions(&self, row: RowId) -> Positions {
        match &self.rows[row].member {
            Some(Member { place: Place::Behind(positions), .. }) => positions.clone(),
            Some(Member { group, place: Place::Live(_) }) => self.groups[*group].positions.clone(),
            None => Positions(Box::new([])),
        }
    }

    /// The groups that read a channel are to be advanced.
    pub(super) fn on_news(&mut self, channel: &Arc<crate::channel::Channel>) {
        for group in self.watches.on_news(channel) {
            if self.groups.get(group).is_some_and(|group| group.has(channel)) {
                self.advance_later(group);
            }
        }
    }

    /// Whether a group's next news will come by itself.
    pub(super) fn is_registered(&self, group: GroupId) -> bool {
        self.groups.get(group).is_some_and(|group| self.watches.is_registered(group))
    }

    pub(super) fn advance_later(&mut self, group: GroupId) {
        self.todo.push_back(Work::Advance(group));
    }

    pub(super) fn turn_later(&mut self, row: RowId) {
        self.todo.push_back(Work::Turn(row));
    }

    /// Does what is still to be done in this turn.
    pub(super) fn run(&mut self) {
        while let Some(work) = self.todo.pop_front() {
            match work {
                Work::Advance(group) => self.advance(group),
                Work::Turn(row) => self.drive(row, Event::Turn),
            }
        }
    }

    /// Moves a row on by an event, and by what follows from it, until the row waits.
    pub(super) fn drive(&mut self, row: RowId, event: Event) {
        let mut slices = 0;
        let mut next = Some(event);
        while let Some(event) = next {
            let Some(action) = self.rows.step(row, event) else { return };
            slices += usize::from(action == Action::Read);
            if slices > SLICES_A_TURN {
                // The others want their turn.
                return self.ready.push(row.key());
            }
            next = self.perform(row, action);
        }
    }

    /// Does what a transition asks for; says what came of it.
    fn perform(&mut self, row: RowId, action: Action) -> Option<Event> {
        match action {
            Action::Wait => None,
            Action::SendFrames => self.send_frames(row),
            Action::Read => self.send_frames(row).or_else(|| self.read_on(row)),
            Action::Join => self.join(row),
            Action::FallBehind => self.fall_behind(row),
            Action::Finish => {
                self.leave(row);
                Some(self.rows[row].flush())
            }
            Action::AwaitRequest => {
                let row = &mut self.rows[row];
                row.give_up_ms = self.clock.ran_ms() + self.settings.idle_timeout.as_millis() as u64;
                (row.connection.unread_len() > 0 || self.draining).then_some(Event::Returned)
            }
            Action::SayStop => self.say_stop(row),
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

    /// Pongs, a close, answers to commands.
    fn send_frames(&mut self, row: RowId) -> Option<Event> {
        let row = &mut self.rows[row];
        let bytes = row.websocket.as_mut()?.take_output()?;
        let event = row.offer(&bytes.into());
        if event == Event::Blocked {
            row.progress_ms = self.clock.ran_ms();
        }
        Some(event)
    }

    /// The next slice for a row that is behind.
    fn read_on(&mut self, id: RowId) -> Option<Event> {
        let row = &mut self.rows[id];
        let Some(Member { group, place: Place::Behind(positions) }) = &mut row.member else { return None };
        let (group_id, group) = (*group, &self.groups[*group]);
        if *positions == group.positions {
            return Some(Event::CaughtUp);
        }
        let Some(batch) = group.next_slice(positions, &self.hub.counters, &self.forms) else {
            if *positions == group.positions {
                return Some(Event::CaughtUp);
            }
            // The member read past its group: the group follows.
            self.advance_later(group_id);
            self.turn_later(id);
            return None;
        };
        row.progress_ms = self.clock.ran_ms();
        if let Some(body) = &mut row.gzip {
            body.add(group.sum, batch.sum);
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
                row.put_last(batch.rope, self.clock.ran_ms());
                Some(self.end(group_id))
            }
        }
    }

    fn join(&mut self, id: RowId) -> Option<Event> {
        let row = &mut self.rows[id];
        let Some(member) = &mut row.member else { return None };
        let group = &mut self.groups[member.group];
        member.place = Place::Live(group.live.len() as u32);
        group.live.push(id);
        if let Some(body) = &mut row.gzip {
            body.join(group.sum);
        }
        self.draining.then_some(Event::Stop)
    }

    fn fall_behind(&mut self, id: RowId) -> Option<Event> {
        if let Some(Member { group, place: Place::Live(slot) }) = self.rows[id].member {
            self.vacate(id, group, slot);
        }
        let row = &mut self.rows[id];
        let Some(member) = &mut row.member else { return None };
        let group = &self.groups[member.group];
        member.place = Place::Behind(group.positions.clone());
        row.progress_ms = self.clock.ran_ms();
        if let Some(body) = &mut row.gzip {
            body.leave(group.sum);
        }
        None
    }

    /// The last bytes of a subscriber of a server that stops.
    fn say_stop(&mut self, id: RowId) -> Option<Event> {
        let group = &self.groups[self.rows[id].group()?];
        let last = match &group.shape {
            Shape::Stream { wire, .. } => {
                let sum = self.rows[id].gzip.as_ref().map(|body| body.sum(group.sum));
                let mut out = Vec::new();
                wire.end(&mut out, self.settings.restart_retry_ms(), sum.unwrap_or_default());
                out.into()
            }
            Shape::LongPoll(shape) => {
                shape.closing().empty_answer(&self.positions(id).to_text(), &self.forms)
            }
        };
        self.rows[id].put_last(last, self.clock.ran_ms());
        Some(Event::Ended)
    }

    /// How a subscription of this group ends when its last bytes are written.
    pub(super) fn end(&self, group: GroupId) -> Event {
        let keeps = self.groups[group].shape.keeps_connection() && !self.draining;
        if keeps { Event::Answered } else { Event::Ended }
    }

    /// Takes a member out of its group.
    fn leave(&mut self, row: RowId) {
        let Some(member) = self.rows[row].member.take() else { return };
        if let Place::Live(slot) = member.place {
            self.vacate(row, member.group, slot);
        }
        self.groups[member.group].leave();
    }

    /// Takes a member out of the live ones.
    fn vacate(&mut self, row: RowId, group: GroupId, slot: u32) {
        let live = &mut self.groups[group].live;
        // An answer to all takes all of them out at once.
        if live.get(slot as usize) != Some(&row) {
            return;
        }
        live.swap_remove(slot as usize);
        if let Some(&moved) = live.get(slot as usize) {
            self.rows[moved].member = Some(Member { group, place: Place::Live(slot) });
        }
    }

    /// Takes a row out of the table.
    fn take_out(&mut self, id: RowId) -> Row {
        let mut row = self.rows.remove(id);
        self.deadlines.forget(id, &mut row.deadline);
        row
    }

    /// Brings a group to the heads of its channels, delivering on the way, and registers it for
    /// what comes next.
    fn advance(&mut self, id: GroupId) {
        loop {
            let Some(group) = self.groups.get_mut(id) else { return };
            if group.members == 0 {
                return self.remove_group(id);
            }
            if group.live.is_empty() {
                // Nobody to deliver to: who is behind reads the log itself.
                group.positions = group.channels.heads();
            }
            while let Some(batch) = self.next_batch(id) {
                match batch.flow {
                    Flow::Continue => self.deliver(id, &batch),
                    Flow::End => self.deliver_last(id, &batch),
                }
            }
            let Some(group) = self.groups.get(id) else { return };
            match self.watches.register(group) {
                Registration::Registered => return,
                Registration::News => {}
                Registration::Closed => return self.disband(id),
            }
        }
    }

    fn next_batch(&mut self, id: GroupId) -> Option<Batch> {
        let group = self.groups.get_mut(id).filter(|group| !group.live.is_empty())?;
        group.next_batch(&self.hub.counters, &self.forms)
    }

    /// Writes one batch to every live member.
    fn deliver(&mut self, id: GroupId, batch: &Batch) {
        let live = std::mem::take(&mut self.groups[id].live);
        let offer = |&row: &RowId| match self.rows[row].offer(&batch.rope) {
            Event::Sent => None,
            event => Some((row, event)),
        };
        let left: Vec<(RowId, Event)> = live.iter().filter_map(offer).collect();
        self.groups[id].live = live;
        // What several of them keep is the same bytes.
        let most = KEPT * left.len();
        for (row, event) in left {
            let end = self.groups[id].positions.clone();
            self.drive(row, event);
            self.keep_unit(row, batch, most, &end);
        }
    }

    /// Keeps of what a member did not take so much as it may.
    fn keep_unit(&mut self, id: RowId, batch: &Batch, most: usize, end: &Positions) {
        let Some(row) = self.rows.get_mut(id).filter(|row| row.state == State::Sending) else { return };
        let positions = row.keep_unit(batch, most, end);
        if let Some(Member { place: Place::Behind(behind), .. }) = &mut row.member {
            *behind = positions;
        }
    }

    /// Writes the batch that ends the subscription of every live member, as an answer does: where
    /// in the log they are is not asked any more.
    fn deliver_last(&mut self, id: GroupId, batch: &Batch) {
        let end = self.end(id);
        for row in std::mem::take(&mut self.groups[id].live) {
            self.rows[row].put_last(batch.rope.clone(), self.clock.ran_ms());
            self.drive(row, end);
        }
    }

    /// A channel of the group is no more (it was forgotten between a request and its arrival here):
    /// its members come back and are told so by the new one.
    fn disband(&mut self, id: GroupId) {
        for row in self.rows.ids() {
            if self.rows[row].group() == Some(id) {
                self.drive(row, Event::Failed);
            }
        }
        self.remove_group(id);
    }

    /// Holds a poll for as long as its client wants, less a jitter.
    pub(super) fn hold(&mut self, row: RowId, wait: Duration) {
        let at_ms = self.clock.now_ms() + longpoll::hold(wait, fastrand::f64()).as_millis() as u64;
        if self.deadlines.set(row, &mut self.rows[row].deadline, at_ms) {
            // The task may be asleep for longer than that: it looks again.
            self.ready.push(RowId::NONE.key());
        }
    }

    pub(super) fn shrink(&mut self) {
        self.rows.shrink();
        self.groups.shrink();
        self.watches.shrink();
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use tidewire_channel::Retention;

    use super::*;
    use crate::HubConfig;
    use crate::feeds::{HttpFormat, StreamFormat, Wire};
    use crate::message::Message;
    use crate::name::ChannelName;
    use crate::settings::Settings;

    #[test]
    fn news_of_a_group_that_left_does_not_keep_the_channel_of_the_one_that_came() {
        let retention = Retention { max_age_ms: Some(0), ..Retention::default() };
        let hub = Hub::new(HubConfig { retention, idle: Duration::ZERO, ..HubConfig::default() }, 1);
        let forms = Forms::new(hub.counters.forms.clone());
        let name = ChannelName::new("a").unwrap();
        let mut delivery = Delivery::new(hub.clone(), Arc::new(Settings::default()), forms, 0);
        let wire = Wire { format: StreamFormat::Http(HttpFormat::JsonLines), chunked: true, gzip: false };
        let channel = hub.channel(&name).unwrap();
        let come = |delivery: &mut Delivery| {
            let channels = Channels([channel.clone()].into());
            let id = delivery.group(&channels, &Shape::Stream { wire, labelled: false });
            delivery.groups[id].enter();
            delivery.advance(id);
            id
        };
        let first = come(&mut delivery);
        hub.publish(&name, Message::new("x".into(), 0), None).unwrap();
        delivery.remove_group(first);
        let second = come(&mut delivery);
        let mut news = Vec::new();
        assert!(hub.inbox(0).poll_take(&mut Context::from_waker(Waker::noop()), &mut news).is_ready());
        news.iter().for_each(|channel| delivery.on_news(channel));
        delivery.run();
        assert!(delivery.is_registered(second));
        delivery.remove_group(second);
        // Nobody waits, so the channel goes with its message.
        let since = std::time::Instant::now();
        while hub.channels() > 0 {
            assert!(since.elapsed() < Duration::from_secs(30), "somebody is still registered");
            hub.sweep();
        }
    }
}
