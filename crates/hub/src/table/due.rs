//! Timed work: answers polls whose time is over, and once per second runs a tick, which sends
//! heartbeats, drops overdue connections and tidies up. It takes as many turns as needed.

use super::ids::RowId;
use super::row::Place;
use super::state::{Event, State};
use super::table::Table;
use crate::close_code::CloseCode;
use crate::rope::Rope;
use crate::settings::TOO_SLOW;
use crate::shape::Shape;

/// Ticks between two sweeps of the hub. Worker 0 makes them.
const SWEEP_TICKS: u64 = 5;

/// Rows checked between two checks of the time.
const STEP: usize = 128;

/// The reason for dropping a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overdue {
    /// The socket accepts none of the pending bytes.
    Stuck,
    /// A WebSocket that has sent nothing for too long.
    Silent,
    /// A WebSocket that takes too long over a message.
    Late,
    /// Its time for the next request, or for closing, is over.
    Over,
}

impl Table {
    /// Does timed work until the turn is over. Returns connections that are overdue. What they
    /// waited for may be in their sockets, so call [`on_ready`](Self::on_ready) and
    /// [`read`](Self::read) first, and then [`give_up_if_overdue`](Self::give_up_if_overdue).
    pub(crate) fn on_time(&mut self) -> Vec<RowId> {
        let now_ms = self.delivery.clock.now_ms();
        while !self.is_turn_over()
            && let Some(id) = self.delivery.holds.next(now_ms)
        {
            self.delivery.release_if_over(id);
        }
        while !self.is_turn_over()
            && let Some(id) = self.delivery.deadlines.next(now_ms)
        {
            let row = &mut self.delivery.rows[id];
            let waits = row.state.is_member();
            if self.delivery.deadlines.is_due(id, &mut row.deadline, now_ms, waits) {
                self.answer_empty(id);
            }
        }
        if !self.tick.is_busy() && self.delivery.clock.tick() {
            self.begin_tick();
        }
        while let Some(from) = self.tick.row.filter(|_| !self.is_turn_over()) {
            let overdue = self.check_rows(from);
            if !overdue.is_empty() {
                return overdue;
            }
        }
        while let Some(from) = self.tick.sweep.filter(|_| !self.is_turn_over()) {
            self.tick.sweep = self.delivery.hub.sweep_some(from);
        }
        Vec::new()
    }

    /// Answers a long poll whose time is over.
    fn answer_empty(&mut self, id: RowId) {
        let row = &self.delivery.rows[id];
        let Some(group) = row.group().filter(|_| row.pending.is_empty()) else { return };
        let Shape::LongPoll(shape) = &self.delivery.audience.groups[group].shape else { return };
        let answer = shape.empty_answer(&self.delivery.positions(id).to_text(), false, &self.delivery.forms);
        self.delivery.rows[id].append_last(answer, self.delivery.clock.ran_ms());
        let end = self.delivery.end(group);
        self.delivery.drive(id, end);
    }

    fn begin_tick(&mut self) {
        while let Some(group) = self.delivery.audience.groups.take_unused() {
            self.delivery.audience.remove(group);
        }
        self.delivery.shrink();
        self.delivery.forms.forget_unused();
        self.delivery.hub.tend_pages();
        self.tick.heartbeats.clear();
        self.tick.row = Some(0);
        // Do not sweep in the first tick after the process was stopped. A reader may have asked
        // again meanwhile, and that input is not read yet. Its empty channel must not be forgotten.
        let clock = &self.delivery.clock;
        if self.worker == 0 && clock.ticks().is_multiple_of(SWEEP_TICKS) && !clock.spares_connections() {
            self.tick.sweep = Some(0);
        }
    }

    /// Checks the next rows. Returns those that are overdue.
    fn check_rows(&mut self, from: usize) -> Vec<RowId> {
        let end = self.delivery.rows.end();
        self.tick.row = (from + STEP < end).then_some(from + STEP);
        let mut overdue = Vec::new();
        for index in from..end.min(from + STEP) {
            let Some(id) = self.delivery.rows.id_at(index) else { continue };
            let ran_ms = self.delivery.clock.ran_ms();
            if let Some(websocket) = &mut self.delivery.rows[id].websocket {
                websocket.bound_time(ran_ms, &self.delivery.settings);
                if websocket.is_stalled() {
                    // The message may have waited for the longest time, but the worker that wakes
                    // its connection may hang. So check it here.
                    self.delivery.ready.push(id.key());
                }
            }
            if !self.delivery.clock.spares_connections() && self.overdue(id).is_some() {
                overdue.push(id);
            } else {
                self.send_heartbeat(id);
            }
        }
        overdue
    }

    /// Sends a heartbeat to a share of the rows, so that not all rows get theirs at once. A row
    /// that is behind gets one too, because it may wait for the store.
    fn send_heartbeat(&mut self, id: RowId) {
        let every = self.delivery.settings.heartbeat.as_secs().max(1);
        // Counts down, so that the first rows of a worker get their first heartbeat last, however
        // long the interval is.
        let turn = every - 1 - self.delivery.clock.ticks() % every;
        if u64::from(id.key()) % every != turn {
            return;
        }
        let row = &mut self.delivery.rows[id];
        // Otherwise a part of a unit is pending.
        if !matches!(row.state, State::Live | State::Behind) {
            return;
        }
        let Some(member) = &row.member else { return };
        let group = &self.delivery.audience.groups[member.group];
        let Shape::Stream { wire, .. } = group.shape else { return };
        let reached = match member.place {
            Place::Live(slot) => group.reached_by(slot).sum,
            Place::Behind(_) => group.now.sum,
        };
        let (heartbeat, sum) = self.tick.heartbeats.entry(wire).or_insert_with(|| {
            let mut out = wire.out(&self.delivery.forms);
            wire.unit(&mut out, |feed, out| feed.heartbeat(out.own()));
            let packed = wire.pack(out);
            (packed.rope, packed.sum)
        });
        if let Some(body) = &mut row.gzip {
            body.add(reached, *sum);
        }
        let event = row.offer(heartbeat);
        self.delivery.drive(id, event);
    }

    /// Drops a connection that is overdue.
    pub(crate) fn give_up_if_overdue(&mut self, id: RowId) {
        let Some(overdue) = self.overdue(id) else { return };
        let ran_ms = self.delivery.clock.ran_ms();
        let row = &mut self.delivery.rows[id];
        tracing::debug!(peer = %row.connection.peer(), ?overdue, "subscriber dropped");
        let event = match &mut row.websocket {
            Some(websocket) if overdue == Overdue::Late => {
                websocket.close(CloseCode::Policy, TOO_SLOW);
                row.append_last(Rope::default(), ran_ms);
                // Free the received part of the message now.
                row.websocket = None;
                Event::Ended
            }
            _ if overdue == Overdue::Over => Event::TimeOver,
            _ => Event::Failed,
        };
        self.delivery.drive(id, event);
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
