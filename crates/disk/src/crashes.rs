//! The crashes of a database, and the epochs that follow from them.
//!
//! ```text
//!   crash      1 (after id 70)         2 (after id 90)
//!   log        … 40 in epoch A         41 … 44 in epoch B = derive(A, 1)        45 … in C = derive(B, 2)
//!   its row    A, crashes 0    A-40,B, crashes 1     the same      A-40,B-44,C, crashes 2
//! ```
//!
//! After a crash, the newest messages of each log may be lost, so each log begins an epoch. To
//! write this into 100,000 rows would take a second. So a crash is one row, with a random number
//! from which the new epochs follow, and the row of a log says for how many crashes it accounts.
//! The later ones are applied in memory, at each start in the same way: those before the next
//! message of the log have ended the epoch, and the last of them gave the next one. A crash without
//! a message before the next crash has left no trace.

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use std::hash::{BuildHasher, RandomState};

use tidewire_channel::{Epoch, Lineage};

use crate::bad_row::{LoadError, WRONG_SUM, bad};
use crate::sum::Sum;

/// A row of the table `crash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crash {
    /// 1 for the first one.
    pub(crate) number: u64,
    /// A random number.
    pub(crate) nonce: u64,
    /// The newest id of a message at that time.
    pub(crate) after: u64,
    /// The time of the start after it, for operators.
    pub(crate) time_ms: u64,
}

/// All crashes that are remembered, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crashes(Vec<Crash>);

impl Crashes {
    pub(crate) fn load(db: &Connection) -> Result<Self, LoadError> {
        let mut statement =
            db.prepare("SELECT number, nonce, after, time, sum FROM crash ORDER BY number")?;
        let mut rows = statement.query(())?;
        let mut crashes: Vec<Crash> = Vec::new();
        while let Some(row) = rows.next()? {
            let number = |column: usize| row.get::<_, i64>(column).map(i64::cast_unsigned);
            let crash =
                Crash { number: number(0)?, nonce: number(1)?, after: number(2)?, time_ms: number(3)? };
            if crash.sum() != row.get::<_, i64>(4)? {
                return Err(bad("crash", crash.number, WRONG_SUM));
            }
            if crashes.last().is_some_and(|last| last.after > crash.after) {
                return Err(bad("crash", crash.number, "it is before an earlier one"));
            }
            crashes.push(crash);
        }
        Ok(Self(crashes))
    }

    /// The number of the last one; 0 if there was none. A new log accounts for all up to it.
    pub(crate) fn last(&self) -> u64 {
        self.0.last().map_or(0, |crash| crash.number)
    }

    /// The newest id of a message at the last one.
    pub(crate) fn after(&self) -> u64 {
        self.0.last().map_or(0, |crash| crash.after)
    }

    /// Writes that the newest messages may be lost. `after` is the newest id of a message.
    pub(crate) fn add(&mut self, db: &Connection, after: u64, time_ms: u64) -> rusqlite::Result<()> {
        let number = self.last().saturating_add(1);
        let crash = Crash { number, nonce: random(), after: after.max(self.after()), time_ms };
        db.execute(
            "INSERT INTO crash(number, nonce, after, time, sum) VALUES(?, ?, ?, ?, ?)",
            params![
                crash.number.cast_signed(),
                crash.nonce.cast_signed(),
                crash.after.cast_signed(),
                crash.time_ms.cast_signed(),
                crash.sum(),
            ],
        )?;
        self.0.push(crash);
        Ok(())
    }

    /// Lets a log begin the epoch that follows from the crashes before message `id`, for which its
    /// lineage does not account. `head` is its newest message before that one.
    pub(crate) fn apply(&self, lineage: &mut Lineage, crashes: &mut u64, head: u64, id: u64) {
        let before = self.0.partition_point(|crash| crash.after < id);
        let Some(crash) = self.0.get(..before).and_then(<[Crash]>::last) else { return };
        if crash.number > *crashes {
            *crashes = crash.number;
            lineage.begin(derive(lineage.current(), crash.nonce), head);
        }
    }
}

impl Crash {
    fn sum(&self) -> i64 {
        Sum::new().number(self.number).number(self.nonce).number(self.after).number(self.time_ms).get()
    }
}

/// An epoch that follows from another one and a number.
pub(crate) fn derive(epoch: Epoch, from: u64) -> Epoch {
    let mut hash = Sha256::new();
    hash.update(epoch.get().to_le_bytes());
    hash.update(from.to_le_bytes());
    Epoch::new(first_bytes(&hash.finalize()).max(1))
}

/// The first 8 bytes of a hash as a number.
pub(crate) fn first_bytes(hash: &[u8]) -> u64 {
    hash.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

/// A random number.
pub(crate) fn random() -> u64 {
    // The standard library seeds its hashers with random numbers of the system.
    RandomState::new().hash_one(0)
}

/// A random epoch. Epoch 0 belongs to the cursor that is in no log.
pub(crate) fn random_epoch() -> Epoch {
    Epoch::new(random().max(1))
}
