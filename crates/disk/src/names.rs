//! What the store remembers of names without a log: where a new log begins, and which were deleted
//! a short time ago.
//!
//! A channel that was never written is at `S-0`, where S is an epoch of the whole store. If a log
//! is forgotten, `S-0` must not be a position of the next log of the same name: its reader would
//! miss all messages of the forgotten one without being told. So the store counts the forgotten
//! logs of each name, and derives an epoch from S and this number.
//!
//! A change is made at once, in memory and in the open transaction. Nobody looks at a name here
//! while it has a log, so nobody sees the change before the log is gone. If the transaction fails,
//! [`Names::roll_back`] takes it back.

use std::collections::{HashMap, VecDeque};
use std::mem;

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use tidewire_channel::{Cursor, Epoch};
use tidewire_store::{ChannelName, Limits};

use crate::bad_row::{LoadError, WRONG_SUM, bad};
use crate::crashes::{derive, first_bytes};
use crate::meta::Meta;
use crate::sum::Sum;

#[derive(Debug)]
pub(crate) struct Names {
    /// S.
    epoch: Epoch,
    /// The number of forgotten logs, by the hash of their name. If two names have the same hash,
    /// one gets another epoch without need.
    forgotten: HashMap<u64, u64>,
    deleted: HashMap<ChannelName, u64>,
    /// The deletions, oldest first. A name that is in use again, or was deleted again, is still
    /// here.
    by_age: VecDeque<(u64, ChannelName)>,
    limits: Limits,
    /// What takes the changes of the open transaction back, in order.
    undo: Vec<Undo>,
}

#[derive(Debug)]
enum Undo {
    Epoch(Epoch, HashMap<u64, u64>),
    Forgotten(u64, Option<u64>),
    Deleted(ChannelName, Option<u64>),
    PushedAge,
    PoppedAge(u64, ChannelName),
}

impl Names {
    /// Reads what the database remembers.
    pub(crate) fn load(db: &Connection, epoch: Epoch, limits: Limits) -> Result<Self, LoadError> {
        let mut names = Self {
            epoch,
            forgotten: HashMap::new(),
            deleted: HashMap::new(),
            by_age: VecDeque::new(),
            limits,
            undo: Vec::new(),
        };
        let mut statement = db.prepare("SELECT key, count, sum FROM forgotten")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let (key, count) = (number(row, 0)?, number(row, 1)?);
            if forgotten_sum(key, count) != row.get::<_, i64>(2)? {
                return Err(bad("forgotten", key.cast_signed(), WRONG_SUM));
            }
            names.forgotten.insert(key, count);
        }
        let mut statement = db.prepare("SELECT name, time, sum FROM deleted ORDER BY time, name")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let (name, time_ms) = (row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?, number(row, 1)?);
            if deleted_sum(name, time_ms) != row.get::<_, i64>(2)? {
                return Err(bad("deleted", name, WRONG_SUM));
            }
            let name = ChannelName::new(name).map_err(|error| bad("deleted", name, error))?;
            names.deleted.insert(name.clone(), time_ms);
            names.by_age.push_back((time_ms, name));
        }
        Ok(names)
    }

    /// The position before the first message of the next log with this name.
    pub(crate) fn start(&self, name: &ChannelName) -> Cursor {
        let forgotten = self.forgotten.get(&key(name)).copied().unwrap_or(0);
        let epoch = if forgotten == 0 { self.epoch } else { derive(self.epoch, forgotten) };
        Cursor::new(epoch, 0)
    }

    pub(crate) fn is_deleted(&self, name: &ChannelName, now_ms: u64) -> bool {
        let is_young = |&time_ms: &u64| now_ms.saturating_sub(time_ms) < self.limits.deleted_ms;
        !self.deleted.is_empty() && self.deleted.get(name).is_some_and(is_young)
    }

    /// A log is gone.
    pub(crate) fn forget(&mut self, db: &Connection, name: &ChannelName) -> rusqlite::Result<()> {
        let key = key(name);
        let before = self.forgotten.get(&key).copied();
        if before.is_none() && self.forgotten.len() >= self.limits.max_forgotten {
            return self.take_next_epoch(db);
        }
        let count = before.unwrap_or(0).wrapping_add(1).max(1);
        self.undo.push(Undo::Forgotten(key, before));
        self.forgotten.insert(key, count);
        let sql = "INSERT OR REPLACE INTO forgotten(key, count, sum) VALUES(?, ?, ?)";
        let row = params![key.cast_signed(), count.cast_signed(), forgotten_sum(key, count)];
        db.prepare_cached(sql)?.execute(row).map(drop)
    }

    /// There is no room to count one more name, so all counts end.
    fn take_next_epoch(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let next = derive(self.epoch, THE_NEXT);
        self.undo.push(Undo::Epoch(self.epoch, mem::take(&mut self.forgotten)));
        self.epoch = next;
        db.execute("DELETE FROM forgotten", ())?;
        Meta::change(db, |meta| meta.epoch = next)
    }

    /// A log was deleted.
    pub(crate) fn delete(
        &mut self,
        db: &Connection,
        name: &ChannelName,
        now_ms: u64,
    ) -> rusqlite::Result<()> {
        self.forget(db, name)?;
        let before = self.deleted.insert(name.clone(), now_ms);
        self.undo.push(Undo::Deleted(name.clone(), before));
        self.by_age.push_back((now_ms, name.clone()));
        self.undo.push(Undo::PushedAge);
        let sql = "INSERT OR REPLACE INTO deleted(name, time, sum) VALUES(?, ?, ?)";
        let row = params![name.as_str(), now_ms.cast_signed(), deleted_sum(name.as_str(), now_ms)];
        db.prepare_cached(sql)?.execute(row)?;
        self.expire(db, now_ms)
    }

    /// A log with this name was made.
    pub(crate) fn reuse(&mut self, db: &Connection, name: &ChannelName) -> rusqlite::Result<()> {
        if self.deleted.is_empty() { Ok(()) } else { self.remove(db, name) }
    }

    /// Forgets deletions that are too old or too many.
    pub(crate) fn expire(&mut self, db: &Connection, now_ms: u64) -> rusqlite::Result<()> {
        while let Some((time_ms, _)) = self.by_age.front() {
            let is_old = now_ms.saturating_sub(*time_ms) >= self.limits.deleted_ms;
            if !is_old && self.by_age.len() <= self.limits.max_deleted {
                break;
            }
            let Some((time_ms, name)) = self.by_age.pop_front() else { break };
            self.undo.push(Undo::PoppedAge(time_ms, name.clone()));
            // A later deletion of the same name stays.
            if self.deleted.get(&name) == Some(&time_ms) {
                self.remove(db, &name)?;
            }
        }
        Ok(())
    }

    fn remove(&mut self, db: &Connection, name: &ChannelName) -> rusqlite::Result<()> {
        let Some(time_ms) = self.deleted.remove(name) else { return Ok(()) };
        self.undo.push(Undo::Deleted(name.clone(), Some(time_ms)));
        db.prepare_cached("DELETE FROM deleted WHERE name = ?")?.execute([name.as_str()]).map(drop)
    }

    /// The transaction with the changes is committed.
    pub(crate) fn commit(&mut self) {
        self.undo.clear();
    }

    /// The transaction with the changes has failed: takes them back.
    pub(crate) fn roll_back(&mut self) {
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Epoch(epoch, forgotten) => (self.epoch, self.forgotten) = (epoch, forgotten),
                Undo::Forgotten(key, before) => put_back(&mut self.forgotten, key, before),
                Undo::Deleted(name, before) => put_back(&mut self.deleted, name, before),
                Undo::PushedAge => drop(self.by_age.pop_back()),
                Undo::PoppedAge(time_ms, name) => self.by_age.push_front((time_ms, name)),
            }
        }
    }
}

fn put_back<K: Eq + std::hash::Hash>(map: &mut HashMap<K, u64>, key: K, before: Option<u64>) {
    match before {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}

/// From this number follows the next S. No count of forgotten logs reaches it.
const THE_NEXT: u64 = u64::MAX;

fn number(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn key(name: &ChannelName) -> u64 {
    first_bytes(&Sha256::digest(name.as_str()))
}

fn forgotten_sum(key: u64, count: u64) -> i64 {
    Sum::new().number(key).number(count).get()
}

fn deleted_sum(name: &str, time_ms: u64) -> i64 {
    Sum::new().text(Some(name)).number(time_ms).get()
}

#[cfg(test)]
mod tests;
