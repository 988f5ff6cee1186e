//! The stop: every subscriber gets what was acknowledged, and then a goodbye.

use super::group::Shape;
use super::subscriber::{Role, Then};
use super::table::Table;
use crate::feeds::poll::Answer;

impl Table {
    /// Says goodbye to everybody.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
        // The hub takes no more. What it has acknowledged goes to everybody, whether its news has come or not.
        let groups: Vec<u32> = self.groups.iter().map(|(id, _)| id as u32).collect();
        groups.into_iter().for_each(|id| self.advance(id));
        for key in self.keys() {
            if self.is_behind(key) {
                // Its goodbye comes when it has the rest.
                self.catch_up(key);
            } else if self.rows.contains(key as usize) {
                self.say_goodbye(key, false);
            }
        }
    }

    /// Whether it is a reader of a stream that has still to read.
    fn is_behind(&self, key: u32) -> bool {
        match self.rows.get(key as usize).map(|row| &row.role) {
            Some(Role::Lagging { group, .. }) => {
                matches!(self.groups[*group as usize].shape, Shape::Stream { .. })
            }
            _ => false,
        }
    }

    /// Ends a subscription because the server stops (or, `silently`, because its last word is written already).
    pub(super) fn say_goodbye(&mut self, key: u32, silently: bool) {
        let row = &self.rows[key as usize];
        let Some(group) = row.group() else {
            if matches!(row.role, Role::Idle) && row.pending.is_empty() {
                // Its next request may be under way: the request cycle answers it, or closes in a moment.
                self.resume(key, &[]);
            }
            return;
        };
        let mut out = Vec::new();
        match &self.groups[group as usize].shape {
            _ if silently => {}
            Shape::Stream { wire, .. } => {
                let sum = row.gzip.as_ref().map(|body| body.sum(self.groups[group as usize].sum));
                wire.end(&mut out, self.context.settings.restart_retry_ms(), sum.unwrap_or_default());
            }
            Shape::LongPoll(shape) => {
                let text = self.positions(key).to_text();
                shape.closing().write_answer(Answer::new(), &text, &mut out);
            }
        }
        self.answer(key, out.into());
        if let Some(row) = self.rows.get_mut(key as usize) {
            row.then = if matches!(row.role, Role::Closing) { row.then } else { Then::Close };
        }
    }
}
