//! Access to the WebSockets of a table, for the code that handles their commands.

use std::task::Waker;

use tidewire_channel::Cursor;

use super::ids::RowId;
use super::incoming::Incoming;
use super::state::Event;
use super::table::Table;
use crate::close_code::CloseCode;
use crate::feeds::{StreamFormat, Wire};
use crate::object::Object;
use crate::positions::Channels;
use crate::rope::Rope;
use crate::shape::Shape;

impl Table {
    /// Whether the connection speaks `tidewire.v1`.
    pub(crate) fn is_v1(&self, id: RowId) -> bool {
        let websocket = self.delivery.rows.get(id).and_then(|row| row.websocket.as_ref());
        websocket.is_some_and(|websocket| websocket.is_v1())
    }

    /// The channels of a member; `None` if it is leaving.
    pub(crate) fn channels(&self, id: RowId) -> Option<Channels> {
        let group = self.delivery.rows.get(id)?.group()?;
        Some(self.delivery.audience.groups[group].channels.clone())
    }

    /// The cursor text for the positions of a member.
    pub(crate) fn cursor(&self, id: RowId) -> String {
        self.delivery.positions(id).to_text()
    }

    /// Queues an object to be written.
    pub(crate) fn enqueue(&mut self, id: RowId, object: &Object<'_>) {
        let row = self.delivery.rows.get_mut(id).filter(|row| row.state.is_member());
        if let Some(websocket) = row.and_then(|row| row.websocket.as_mut()) {
            websocket.enqueue(object);
        }
    }

    /// Queues a close frame after other queued frames, unless one was queued before.
    pub(crate) fn close(&mut self, id: RowId, code: CloseCode, reason: &str) {
        if let Some(websocket) = self.delivery.rows.get_mut(id).and_then(|row| row.websocket.as_mut()) {
            websocket.close(code, reason);
        }
    }

    /// Moves the connection to other channels. Queue the answer to the command next, with the
    /// positions after the move. Everything written before comes before that answer. Then call
    /// [`turn`](Self::turn), which sends the answer and the messages after the positions.
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

    /// Sends a member what is queued for it.
    pub(crate) fn turn(&mut self, id: RowId) {
        let Some(row) = self.delivery.rows.get(id) else { return };
        let waits = row.pending.is_empty();
        if let Some(group) = row.group() {
            self.delivery.audience.advance_later(group);
        }
        if waits {
            self.delivery.turn_later(id);
        }
    }

    /// Wakes the connection, so that it is read again.
    pub(crate) fn row_waker(&self, id: RowId) -> Waker {
        self.delivery.rows.get(id).map_or_else(|| Waker::noop().clone(), |row| row.waker.clone())
    }

    /// Stores messages until there is room for the first. The next [read](Self::read) after that
    /// reports them again. Returns `false` if too many messages wait already, so that these were
    /// not stored.
    pub(crate) fn stall(&mut self, id: RowId, messages: Vec<Incoming>) -> bool {
        let row = self.delivery.rows.get_mut(id).filter(|row| row.state.is_member());
        let Some(websocket) = row.and_then(|row| row.websocket.as_mut()) else { return true };
        let stalled = self.stalled.keep(messages);
        let is_kept = stalled.is_some();
        stalled.into_iter().for_each(|stalled| websocket.stall(stalled));
        is_kept
    }

    /// Ends the handling of messages that were reported.
    pub(crate) fn end_turn(&mut self, id: RowId) {
        let row = self.delivery.rows.get_mut(id).filter(|row| row.state.is_member());
        // A command may have ended the subscription and written the last frame.
        let Some(row) = row else { return };
        let Some(websocket) = &mut row.websocket else { return };
        websocket.end_turn(&self.inflating);
        if websocket.is_closing() && !websocket.is_stalled() {
            row.append_last(Rope::default(), self.delivery.clock.ran_ms());
            self.delivery.drive(id, Event::Ended);
        } else if row.pending.is_empty() {
            self.delivery.drive(id, Event::Turn);
        }
    }

    fn format(&self, id: RowId) -> Option<StreamFormat> {
        self.delivery.rows[id].websocket.as_ref().map(|websocket| websocket.format())
    }
}
