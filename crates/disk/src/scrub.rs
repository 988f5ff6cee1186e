//! Finds messages that no log needs, after a stop that was not in order.
//!
//! What waited for its deletion was in memory only. So after such a stop, all older rows are looked
//! at, some at a time, while nothing else is to do. Until then they take room, and nothing else:
//! nobody reads a row that is in no index.

use crate::index::Place;
use crate::state::Writer;
use crate::upkeep::Scrub;

/// Rows that one step looks at.
const ROWS: usize = 512;

impl Writer {
    /// Looks at some rows.
    pub(crate) fn scrub_step(&mut self) {
        let Some(mut scrub) = self.scrub.take() else { return };
        match self.find_dead(&mut scrub) {
            Ok(true) => self.scrub = Some(scrub),
            Ok(false) => {}
            // What is damaged here is told to whoever needs it.
            Err(error) => tracing::warn!(%error, "dead messages stay in the database until the next start"),
        }
    }

    /// Returns whether there are more rows.
    fn find_dead(&mut self, scrub: &mut Scrub) -> rusqlite::Result<bool> {
        let sql = "SELECT id, log, number FROM message WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3";
        let mut statement = self.db.prepare_cached(sql)?;
        let limit = i64::try_from(ROWS).unwrap_or(i64::MAX);
        let mut rows = statement.query([scrub.at.cast_signed(), scrub.end.cast_signed(), limit])?;
        let (mut count, mut dead) = (0_usize, Vec::new());
        while let Some(row) = rows.next()? {
            let (id, log, number): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (id, number) = (id.cast_unsigned(), number.cast_unsigned());
            count = count.saturating_add(1);
            scrub.at = id;
            let slot = scrub.slots.get(&log);
            // The slot may have another log by now.
            let of = slot.and_then(|slot| self.logs.get(*slot)).filter(|found| found.id == log);
            let is_needed = of.is_some_and(|log| log.seen.lock().index.find(number) != Place::Absent);
            if !is_needed {
                dead.push(id);
            }
        }
        self.graveyard.add(dead);
        Ok(count >= ROWS)
    }
}
