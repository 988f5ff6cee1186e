//! What a log evicts: its retention decides.

use rusqlite::Connection;

use crate::kept::Entries;
use crate::log::Log;

/// Evicts messages of a log that are too old for its clock. Returns their number.
pub(crate) fn expire(db: &Connection, log: &mut Log) -> rusqlite::Result<u64> {
    let retention = log.retention();
    let entries = Entries { db, seen: &log.seen, fresh: &log.fresh };
    log.kept.expire(log.head, log.clock_ms, retention, &entries)
}

/// Evicts messages of a log that are too many, or have too many bytes.
pub(crate) fn fit(db: &Connection, log: &mut Log) -> rusqlite::Result<u64> {
    let retention = log.retention();
    let entries = Entries { db, seen: &log.seen, fresh: &log.fresh };
    log.kept.fit(log.head, retention, &entries)
}
