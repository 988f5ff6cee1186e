//! The clock of the table: deadlines of polls, and once a second heartbeats, an end for those that are stuck, and tidying up.

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

/// Ticks between two sweeps of the hub, made by worker 0.
const SWEEP_TICKS: u64 = 5;

/// Rows (and groups, and channels) that an empty table keeps room for.
const SPARE_ROWS: usize = 256;

/// A key that no row has: it wakes the task of the table and nothing else.
const NOBODY: u32 = u32::MAX;

impl Table {
    /// Time until something is due.
    pub(crate) fn next_deadline(&self) -> Duration {
        let next = self.deadlines.first().map_or(self.next_tick_ms, |&(at, _)| at.min(self.next_tick_ms));
        Duration::from_millis(next.saturating_sub(self.place.hub.now_ms()).max(1))
    }

    /// Once for each turn: a thousand sockets that are ready do not need it a thousand times.
    pub(crate) fn look_at_the_clock(&mut self) {
        self.now_ms = self.place.hub.now_ms();
    }

    /// Deadlines and, once a second, the tick.
    pub(crate) fn on_time(&mut self) {
        self.now_ms = self.place.hub.now_ms();
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
        if self.worker == 0 && self.tick.is_multiple_of(SWEEP_TICKS) {
            self.place.hub.sweep();
        }
        self.shrink();
        let every = self.place.settings.heartbeat.as_secs().max(1);
        // Counted down: the first rows of a worker have their turn last, and not in its first seconds, however long the interval is.
        let turn = every - 1 - self.tick % every;
        let mut beats: HashMap<Wire, (Bytes, Sum)> = HashMap::new();
        for key in self.keys() {
            let Some(row) = self.rows.get_mut(key as usize) else { continue };
            let stuck = !row.pending.is_empty()
                && self.now_ms.saturating_sub(row.moved_ms) >= self.place.settings.stall_ms();
            let silent = row
                .websocket
                .as_ref()
                .is_some_and(|ws| ws.is_silent(self.now_ms, self.place.settings.heartbeat));
            let endless = row
                .websocket
                .as_ref()
                .is_some_and(|ws| ws.is_stuck(self.now_ms, self.place.settings.stall_ms()));
            let over = row.group().is_none() && row.pending.is_empty() && self.now_ms >= row.due_ms;
            if stuck || silent || endless || over {
                tracing::debug!(peer = %row.connection.peer(), stuck, silent, endless, "subscriber dropped");
                self.remove(key);
                continue;
            }
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
