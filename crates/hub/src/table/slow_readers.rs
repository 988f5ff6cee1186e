//! Limits the bytes that slow readers hold: encoded long payloads, which they share. If all readers
//! together hold too much, those that hold most are dropped. They can resume.

use super::ids::RowId;
use super::state::Event;
use super::table::Table;
use crate::form_cache;
use crate::hub::Hub;

/// The readers of a hub may hold at most this many bytes, or [`MAX_HELD_MESSAGES`] if that is more.
const MAX_HELD: u64 = 256 * 1024 * 1024;

/// Readers may hold this number of messages of the longest size, even if that is more than
/// [`MAX_HELD`].
const MAX_HELD_MESSAGES: u64 = 64;

/// Readers that are dropped in one turn.
const DROPS_PER_TURN: usize = 16;

/// The time until the next check, if this worker has no reader to drop. Meanwhile other workers
/// drop their readers.
const PAUSE_MS: u64 = 20;

impl Table {
    /// Drops the readers that hold the most bytes, if readers hold too much. Called once in each
    /// turn.
    pub(crate) fn drop_slow_readers(&mut self) {
        let hub = &self.delivery.hub;
        let (most, workers) = (max_held(hub), hub.workers());
        let most_with_forms = most + (workers * form_cache::MAX_BYTES) as u64;
        if hub.forms_held() <= most_with_forms || self.now_ms() < self.next_slow_check_ms {
            return;
        }
        let mut slow_readers: Vec<(usize, RowId)> = self
            .delivery
            .rows
            .iter()
            .map(|(id, row)| (row.pending.held(), id))
            .filter(|&(held, _)| held > 0)
            .collect();
        // Answers that the request cycle writes hold bytes too, and their readers are not in this
        // table. So the readers of this worker are dropped only if they hold more than the share of
        // this worker.
        let mut sum: u64 = slow_readers.iter().map(|&(held, _)| held as u64).sum();
        let share = most / workers as u64;
        if sum <= share {
            self.next_slow_check_ms = self.now_ms() + PAUSE_MS;
        }
        if slow_readers.len() > DROPS_PER_TURN {
            // There may be more readers to drop in the next turn.
            self.delivery.ready.push(RowId::NONE.key());
        }
        slow_readers.sort_unstable_by_key(|&(held, _)| std::cmp::Reverse(held));
        for (held, id) in slow_readers.into_iter().take(DROPS_PER_TURN) {
            if sum <= share || self.delivery.hub.forms_held() <= most_with_forms {
                break;
            }
            sum -= held as u64;
            let peer = self.peer(id);
            tracing::debug!(%peer, held, "subscriber dropped: all readers together hold too many bytes");
            self.delivery.hub.counters.dropped.add(1);
            self.delivery.drive(id, Event::Failed);
        }
    }
}

/// The most bytes that readers may hold. Each worker holds its cache of encoded payloads besides.
fn max_held(hub: &Hub) -> u64 {
    MAX_HELD.max(MAX_HELD_MESSAGES.saturating_mul(hub.config().max_message as u64))
}
