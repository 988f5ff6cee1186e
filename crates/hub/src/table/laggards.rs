//! What readers that do not read hold: long payloads in their forms, which they share. All together
//! may hold so much; above that, those who hold most are dropped. They can resume.

use super::ids::RowId;
use super::state::Event;
use super::table::Table;
use crate::forms;
use crate::hub::Hub;

/// Bytes that the readers of a hub may hold. With longer messages than the usual ones it is more.
const MAX_HELD: u64 = 256 * 1024 * 1024;

/// As many messages of the longest size may be held, if that is more.
const MAX_HELD_MESSAGES: u64 = 64;

/// Readers that are dropped in one turn.
const A_TURN: usize = 16;

/// When nobody here held anything, the next look is so much later: other workers drop theirs.
const PAUSE_MS: u64 = 20;

impl Table {
    /// Drops who holds most, if readers hold too much. Called once for each turn.
    pub(crate) fn drop_laggards(&mut self) {
        let most = max_held(&self.delivery.hub);
        if self.delivery.hub.forms_held() <= most || self.now_ms() < self.look_for_laggards_ms {
            return;
        }
        let mut laggards: Vec<(usize, RowId)> = self
            .delivery
            .rows
            .iter()
            .map(|(id, row)| (row.pending.len(), id))
            .filter(|&(len, _)| len > 0)
            .collect();
        if laggards.is_empty() {
            self.look_for_laggards_ms = self.now_ms() + PAUSE_MS;
        }
        laggards.sort_unstable_by_key(|&(len, _)| std::cmp::Reverse(len));
        for (held, id) in laggards.into_iter().take(A_TURN) {
            if self.delivery.hub.forms_held() <= most {
                break;
            }
            let peer = self.peer(id);
            tracing::debug!(%peer, held, "subscriber dropped, for readers hold too much that they do not take");
            self.delivery.hub.counters.dropped.add(1);
            self.delivery.drive(id, Event::Failed);
        }
    }
}

/// Beside the readers, each worker holds what it made last.
fn max_held(hub: &Hub) -> u64 {
    let messages = MAX_HELD_MESSAGES.saturating_mul(hub.config().max_message as u64);
    MAX_HELD.max(messages) + (hub.workers() * forms::MAX_BYTES) as u64
}
