//! Gives new messages to the live members of groups, in as many turns as needed.
//!
//! ```text
//!   news ──► queued ──► next batch ──► one member after another ──► next batch ──► ... ──► head: registered
//!               ▲                          │ the turn is over           │ others wait
//!               └──────────────────────────┴────────────────────────────┘
//! ```

use super::delivery::Delivery;
use super::ids::{GroupId, RowId};
use super::row::{Member, Place};
use super::state::{Event, State};
use super::todo::Work;
use crate::feeds::Flow;
use crate::fetching::PageAt;
use crate::pages::PageWaiter;

/// Members served between two checks of the time.
const STEP: usize = 16;

impl Delivery {
    /// Works on the list until the turn is over.
    pub(super) fn run(&mut self) {
        while !self.turn.is_over() {
            match self.audience.todo.next() {
                None => return,
                Some(Work::Advance(group)) => self.advance(group),
                Some(Work::Turn(id)) => {
                    if let Some(row) = self.rows.get_mut(id).filter(|row| row.is_queued) {
                        row.is_queued = false;
                        self.drive(id, Event::Turn);
                    }
                }
                Some(Work::SendStop(from)) => self.send_stop_from(from),
            }
        }
    }

    /// Brings a group to the heads of its channels, unless the turn ends or other work waits. Then
    /// the group is queued again.
    pub(super) fn advance(&mut self, id: GroupId) {
        let Some(group) = self.audience.groups.get_mut(id) else { return };
        group.is_queued = false;
        if group.is_unused() {
            return self.audience.remove(id);
        }
        if !group.is_closed && group.has_lost_a_channel() {
            return self.audience.close_group(id);
        }
        if group.is_closed {
            // Those that have a part of a batch get the whole of it.
            if group.is_delivering() {
                self.deliver(id);
            }
            return match self.audience.groups.get(id) {
                Some(group) if group.is_delivering() => self.audience.advance_later(id),
                Some(_) => self.disband(id),
                None => {}
            };
        }
        while self.audience.groups[id].is_delivering() || self.next_batch(id) {
            self.deliver(id);
            // All members may have left meanwhile, as after an answer to a poll.
            let Some(group) = self.audience.groups.get(id) else { return };
            if group.is_delivering() || self.turn.is_over() || !self.audience.todo.is_empty() {
                return self.audience.advance_later(id);
            }
        }
        if self.audience.groups[id].waits() {
            return self.await_pages(id);
        }
        if self.audience.groups[id].has_ended() && !self.finish(id) {
            return self.audience.advance_later(id);
        }
        self.audience.settle(id);
    }

    /// A group has fallen behind the window of a channel. The channel comes with the news when the
    /// store has fetched what follows. Until then the group is busy: it has not settled.
    fn await_pages(&mut self, id: GroupId) {
        let group = &self.audience.groups[id];
        let waiter = || PageWaiter::Worker(self.audience.worker());
        match group.channels.await_pages(&group.now.positions, waiter) {
            PageAt::Waiting => {}
            PageAt::Ready => self.audience.advance_later(id),
            // Its members come back, perhaps when the store works again.
            PageAt::Failed => self.audience.close_group(id),
        }
    }

    /// Encodes the next batch of a group. Returns whether there is one.
    pub(super) fn next_batch(&mut self, id: GroupId) -> bool {
        let others_wait = !self.audience.todo.is_empty();
        let group = &mut self.audience.groups[id];
        let any = group.next_batch(others_wait, &self.hub.counters, &self.forms);
        if any && group.is_broken() {
            self.audience.report_again(id);
        }
        any
    }

    /// Gives the current batch to the members that wait for it, until the turn is over.
    fn deliver(&mut self, id: GroupId) {
        let mut given = 0;
        while let Some((row, batch)) =
            self.audience.groups.get_mut(id).and_then(|group| group.next_receiver())
        {
            let event = match batch.flow {
                Flow::Continue => self.rows[row].offer(&batch.rope),
                Flow::End => {
                    self.rows[row].append_last(batch.rope.clone(), self.clock.ran_ms());
                    self.end(id)
                }
            };
            if event != Event::Sent {
                self.drive(row, event);
                self.keep_unit(row);
            }
            given += 1;
            if given % STEP == 0 && self.turn.is_over() {
                return;
            }
        }
    }

    /// Limits what a member keeps of a batch that it did not accept whole. After that it reads the
    /// log by itself. So a reader that reads nothing holds only little.
    fn keep_unit(&mut self, id: RowId) {
        let Some(row) = self.rows.get_mut(id).filter(|row| row.state == State::Sending) else { return };
        let Some(Member { group, place: Place::Behind(positions) }) = &mut row.member else { return };
        self.audience.groups[*group].keep_unit(&mut row.pending, positions);
    }

    /// Ends the live members of a closed group. If a channel was deleted, they are told. If the hub
    /// has forgotten it, they are disconnected, so that they come back.
    fn disband(&mut self, id: GroupId) {
        let event = self.audience.groups[id].closed_event();
        if !self.end_all(id, event) {
            self.audience.advance_later(id);
        }
    }

    /// Gives the live members of a group whose channels have all ended their last bytes. Returns
    /// whether all have them; if not, the turn is over.
    fn finish(&mut self, id: GroupId) -> bool {
        self.end_all(id, Event::Finished)
    }

    /// Ends the live members of a group with an event after which none of them is live, until the
    /// turn is over. Returns whether all have ended.
    fn end_all(&mut self, id: GroupId, event: Event) -> bool {
        let mut told = 0;
        while let Some(row) = self.audience.groups.get(id).and_then(|group| group.last_live()) {
            if self.rows[row].is_stalled() {
                self.set_aside(row);
            } else {
                self.drive(row, event);
            }
            told += 1;
            if told % STEP == 0 && self.turn.is_over() {
                return false;
            }
        }
        true
    }
}
