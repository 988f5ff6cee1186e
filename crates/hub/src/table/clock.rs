//! The clock of the table: deadlines of polls, and once a second heartbeats, an end for those that are stuck, and tidying up.
//!
//! A process can be stopped for any time (SIGSTOP, a debugger, `docker pause`, a laptop that
//! sleeps), and a busy machine can keep it from running. Its clients do not know that, and their
//! answers wait in the sockets. So time in which the table did not run does not count. A tick that
//! comes late moves all deadlines of clients by its lateness, and ends no connection: what clients
//! sent is not known until the runtime has asked the kernel. A connection whose time is over is
//! read once more before it is dropped.
//!
//! Polls are held by the clock itself: their clients have clocks of their own, and an empty answer
//! costs nothing.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;

use super::TICK;
use super::group::Shape;
use super::subscriber::Role;
use super::table::Table;
use crate::feeds::poll::Answer;
use crate::feeds::{Wire, longpoll};
use crate::gzip::Sum;
use crate::settings::TOO_SLOW;

/// Ticks between two sweeps of the hub, made by worker 0.
const SWEEP_TICKS: u64 = 5;

/// A tick that is later than this means that the process did not run.
const LATE_MS: u64 = TICK.as_millis() as u64 / 2;

/// Rows (and groups, and channels) that an empty table keeps room for.
const SPARE_ROWS: usize = 256;

/// A key that no row has: it wakes the task of the table and nothing else.
const NOBODY: u32 = u32::MAX;

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
    /// Time until something is due.
    pub(crate) fn next_deadline(&self) -> Duration {
        let next = self.deadlines.first().map_or(self.next_tick_ms, |&(at, _)| at.min(self.next_tick_ms));
        Duration::from_millis(next.saturating_sub(self.context.hub.now_ms()).max(1))
    }

    /// Once for each turn: a thousand sockets that are ready do not need it a thousand times.
    pub(crate) fn look_at_the_clock(&mut self) {
        let now_ms = self.context.hub.now_ms();
        let late = now_ms.saturating_sub(self.next_tick_ms);
        self.next_tick_ms += late;
        self.late_ms += late;
        self.ran_ms += now_ms.saturating_sub(self.now_ms).saturating_sub(late);
        self.now_ms = now_ms;
    }

    /// Deadlines and, once a second, the tick.
    pub(crate) fn on_time(&mut self) {
        self.look_at_the_clock();
        while let Some(&(at, key)) = self.deadlines.first() {
            if at > self.now_ms {
                break;
            }
            self.deadlines.pop_first();
            let row = &mut self.rows[key as usize];
            row.listed_ms = 0;
            if row.due_ms <= self.now_ms {
                self.on_deadline(key);
            } else if row.group().is_some() {
                let due = row.due_ms;
                self.list_deadline(key, due);
            }
        }
        if self.now_ms >= self.next_tick_ms {
            self.next_tick_ms = self.now_ms + TICK.as_millis() as u64;
            let is_late = std::mem::take(&mut self.late_ms) >= LATE_MS;
            // Not twice in a row: an overloaded worker would never end a connection.
            self.spared = is_late && !self.spared;
            self.on_tick();
        }
    }

    fn on_deadline(&mut self, key: u32) {
        let row = &self.rows[key as usize];
        let Some(group) = row.group() else { return };
        let Shape::LongPoll(shape) = self.groups[group as usize].shape.clone() else { return };
        if !row.pending.is_empty() {
            return;
        }
        let mut out = Vec::new();
        shape.write_answer(Answer::new(), &self.positions(key).to_text(), &mut out);
        self.answer(key, out.into());
    }

    /// Heartbeats for a share of the rows, so that they do not all beat at once, and an end for those that are stuck.
    fn on_tick(&mut self) {
        self.tick += 1;
        let empty: Vec<u32> =
            self.groups.iter().filter(|(_, g)| g.members == 0).map(|(id, _)| id as u32).collect();
        for id in empty {
            self.remove_group(id);
        }
        // Not before what came during a stop is read: an empty channel whose reader asks again must
        // not be forgotten.
        if self.worker == 0 && self.tick.is_multiple_of(SWEEP_TICKS) && !self.spared {
            self.context.hub.sweep();
        }
        self.shrink();
        let every = self.context.settings.heartbeat.as_secs().max(1);
        // Counted down, so that the first rows of a worker get their first heartbeat last, however
        // long the interval is.
        let turn = every - 1 - self.tick % every;
        let mut beats: HashMap<Wire, (Bytes, Sum)> = HashMap::new();
        for key in self.keys() {
            self.end_if_overdue(key);
            let Some(row) = self.rows.get_mut(key as usize) else { continue };
            let Role::Live { group, .. } = row.role else { continue };
            if u64::from(key) % every != turn {
                continue;
            }
            let Shape::Stream { wire, .. } = self.groups[group as usize].shape else { continue };
            let beat = beats.entry(wire).or_insert_with(|| {
                let mut out = Vec::new();
                wire.unit(&mut out, |feed, out| feed.heartbeat(out));
                let packed = wire.pack(out);
                (packed.bytes.into(), packed.sum)
            });
            let (beat, sum) = beat.clone();
            if let Some(body) = &mut row.gzip {
                body.add(self.groups[group as usize].sum, sum);
            }
            self.interject(key, &beat);
        }
    }

    /// Gives up a connection whose time is over.
    fn end_if_overdue(&mut self, key: u32) {
        if let Some(websocket) = self.rows.get_mut(key as usize).and_then(|row| row.websocket.as_mut()) {
            websocket.bound_time(self.ran_ms, &self.context.settings);
        }
        if self.spared || self.overdue(key).is_none() {
            return;
        }
        // What it waited for may be in the socket.
        self.on_ready(key);
        let Some(overdue) = self.overdue(key) else { return };
        let row = &mut self.rows[key as usize];
        tracing::debug!(peer = %row.connection.peer(), ?overdue, "subscriber dropped");
        match &mut row.websocket {
            Some(websocket) if overdue == Overdue::Late => {
                websocket.close(1008, TOO_SLOW);
                let last = websocket.take_output().unwrap_or_default();
                // The part of the message that came is freed now.
                row.websocket = None;
                self.answer(key, last);
            }
            _ => self.remove(key),
        }
    }

    fn overdue(&self, key: u32) -> Option<Overdue> {
        let row = self.rows.get(key as usize)?;
        let settings = &self.context.settings;
        let stalled = self.ran_ms.saturating_sub(row.moved_ms) >= settings.stall_ms();
        if stalled && !row.pending.is_empty() {
            return Some(Overdue::Stuck);
        }
        if row.group().is_none() {
            return (row.pending.is_empty() && self.ran_ms >= row.due_ms).then_some(Overdue::Over);
        }
        let websocket = row.websocket.as_deref()?;
        if websocket.is_silent(self.ran_ms, row.moved_ms, settings.heartbeat) {
            return Some(Overdue::Silent);
        }
        websocket.is_late(self.ran_ms, settings).then_some(Overdue::Late)
    }

    /// A crowd came and left: what was made for it goes back to the allocator.
    fn shrink(&mut self) {
        let is_roomy = |capacity: usize, len: usize| capacity > 4 * len.max(SPARE_ROWS);
        if is_roomy(self.rows.capacity(), self.rows.len()) {
            self.rows.shrink_to_fit();
        }
        if is_roomy(self.groups.capacity(), self.groups.len()) {
            self.groups.shrink_to_fit();
        }
        if is_roomy(self.by_key.capacity(), self.by_key.len()) {
            self.by_key.shrink_to_fit();
        }
        if is_roomy(self.watched.capacity(), self.watched.len()) {
            self.watched.shrink_to_fit();
        }
    }

    /// Holds a poll for as long as its client wants, less a jitter.
    ///
    /// Most polls are answered long before that, and asked again with a later deadline. So what is on the list stays there, and is looked at when
    /// its time comes: a row is listed once in a hold, however many polls it makes.
    pub(super) fn hold(&mut self, key: u32, wait: Duration) {
        let at = self.now_ms + longpoll::hold(wait, fastrand::f64()).as_millis() as u64;
        let row = &mut self.rows[key as usize];
        row.due_ms = at;
        if row.listed_ms == 0 || row.listed_ms > at {
            self.unlist_deadline(key);
            self.list_deadline(key, at);
            if self.deadlines.first() == Some(&(at, key)) {
                // The task may be asleep for longer than that: it looks again.
                self.ready.push(NOBODY);
            }
        }
    }

    fn list_deadline(&mut self, key: u32, at: u64) {
        self.rows[key as usize].listed_ms = at;
        self.deadlines.insert((at, key));
    }

    /// Before a row goes.
    pub(super) fn unlist_deadline(&mut self, key: u32) {
        let at = std::mem::take(&mut self.rows[key as usize].listed_ms);
        if at != 0 {
            self.deadlines.remove(&(at, key));
        }
    }
}
