//! Reads the rows of a page.
//!
//! ```text
//!   pieces ──► entries of runs (the last few are remembered) ──► ids:  501 502 504 │ 780 │ 931
//!                                                                      one scan     look-ups
//! ```
//!
//! A scan steps over the rows of other logs between two of its own, if they are few: a step takes a
//! tenth of the time of a look-up.

use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, params};
use tidewire_channel::{Budget, Cursor, Lineage};
use tidewire_store::Message;

use crate::entry::Entry;
use crate::index::{Piece, ReadRunError, Run, is_corrupt, read_run};
use crate::row::{self, COLUMNS};
use crate::search::search;
use crate::troubles::Trouble;

/// A connection that reads, and what its thread remembers.
#[derive(Debug)]
pub(crate) struct Reader {
    db: Connection,
    /// The entries of the last runs, the latest one at the end.
    runs: Vec<(i64, u64, Arc<[Entry]>)>,
    damaged: Vec<(i64, u64)>,
}

/// Messages that were read.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// In order, without holes.
    pub(crate) found: Vec<Found>,
    /// Whether the next message is over the budget.
    pub(crate) is_full: bool,
    /// Runs whose entries are damaged: the log and the first number of each.
    pub(crate) damaged: Vec<(i64, u64)>,
}

/// A message, or why it cannot be read.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) log: i64,
    pub(crate) number: u64,
    pub(crate) size: usize,
    pub(crate) message: Result<Arc<Message>, Trouble>,
}

impl Reader {
    pub(crate) fn new(db: Connection) -> Self {
        Self { db, runs: Vec::new(), damaged: Vec::new() }
    }

    /// Forgets what it remembers.
    pub(crate) fn forget(&mut self) {
        self.runs.clear();
    }

    /// Reads the messages of the pieces that are within the budget, but the first one in any case
    /// if `must_have_one`.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) fn read(
        &mut self,
        pieces: &[(i64, Piece)],
        lineage: &Lineage,
        budget: Budget,
        must_have_one: bool,
    ) -> rusqlite::Result<Rows> {
        // One transaction: each statement on its own would take its locks again.
        self.db.prepare_cached("BEGIN")?.execute([])?;
        let rows = self.wants(pieces, budget, must_have_one).and_then(|(wants, is_full)| {
            let found = Finder::new(&self.db, lineage)?.find(wants)?;
            Ok(Rows { found, is_full, damaged: std::mem::take(&mut self.damaged) })
        });
        // After some errors there is no transaction any more.
        drop(self.db.prepare_cached("COMMIT").and_then(|mut statement| statement.execute([])));
        rows
    }

    /// The rows that are within the budget.
    fn wants(
        &mut self,
        pieces: &[(i64, Piece)],
        budget: Budget,
        must_have_one: bool,
    ) -> rusqlite::Result<(Vec<Want>, bool)> {
        let (mut wants, mut bytes) = (Vec::new(), 0_usize);
        let mut add = |log, number, entry: Entry| {
            let sum = bytes.saturating_add(entry.size);
            let is_first = must_have_one && wants.is_empty();
            if wants.len() >= budget.messages || (sum > budget.bytes && !is_first) {
                return false;
            }
            bytes = sum;
            wants.push(Want { log, number, entry });
            true
        };
        for &(log, ref piece) in pieces {
            let is_within = match piece {
                Piece::Tail { first, entries } => {
                    (*first..).zip(entries).all(|(number, entry)| add(log, number, *entry))
                }
                Piece::Lost { first, last } => (*first..=*last).all(|number| add(log, number, LOST)),
                Piece::Run { run, first, last } => {
                    let entries = self.run(log, run, *last)?;
                    (*first..=*last).all(|number| {
                        let at = usize::try_from(number.saturating_sub(run.first)).unwrap_or(usize::MAX);
                        match entries.get(at) {
                            Some(entry) => add(log, number, *entry),
                            None => add(log, number, LOST),
                        }
                    })
                }
            };
            if !is_within {
                return Ok((wants, true));
            }
        }
        Ok((wants, false))
    }

    /// The entries of a run, which has the message `last`. If they are damaged, a search finds
    /// those of good rows.
    fn run(&mut self, log: i64, run: &Run, last: u64) -> rusqlite::Result<Arc<[Entry]>> {
        let runs = &mut self.runs;
        if let Some(at) = runs.iter().position(|&(of, first, _)| (of, first) == (log, run.first)) {
            let remembered = runs.remove(at);
            // A run grows.
            if last.saturating_sub(run.first) < remembered.2.len() as u64 {
                let entries = remembered.2.clone();
                runs.push(remembered);
                return Ok(entries);
            }
        }
        let entries: Arc<[Entry]> = match read_run(&self.db, log, run.first) {
            Ok(entries) => entries.into(),
            Err(ReadRunError::Damaged) => {
                self.damaged.push((log, run.first));
                search(&self.db, log, run)?.into()
            }
            Err(ReadRunError::Database(error)) => return Err(error),
        };
        if runs.len() >= REMEMBERED {
            runs.remove(0);
        }
        runs.push((log, run.first, entries.clone()));
        Ok(entries)
    }
}

/// A message to be read.
#[derive(Clone, Copy, Debug)]
struct Want {
    log: i64,
    number: u64,
    entry: Entry,
}

impl Want {
    fn found(&self, message: Result<Arc<Message>, Trouble>) -> Found {
        Found { log: self.log, number: self.number, size: self.entry.size, message }
    }
}

/// Finds rows.
struct Finder<'a> {
    scan: CachedStatement<'a>,
    lineage: &'a Lineage,
    found: Vec<Found>,
}

impl<'a> Finder<'a> {
    fn new(db: &'a Connection, lineage: &'a Lineage) -> rusqlite::Result<Self> {
        let scan = db.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM message WHERE id BETWEEN ?1 AND ?2 ORDER BY id"
        ))?;
        Ok(Self { scan, lineage, found: Vec::new() })
    }

    fn find(mut self, wants: Vec<Want>) -> rusqlite::Result<Vec<Found>> {
        self.found.reserve(wants.len());
        let mut wants = &wants[..];
        while let Some(first) = wants.first() {
            if first.entry.id == 0 {
                self.found.push(first.found(Err(Trouble::Lost)));
                wants = &wants[1..];
                continue;
            }
            let is_near = |pair: &[Want]| {
                let step = pair[1].entry.id.checked_sub(pair[0].entry.id);
                step.is_some_and(|step| (1..=NEAR).contains(&step))
            };
            let near = wants.windows(2).take_while(|pair| is_near(pair)).count();
            let (scan, rest) = wants.split_at(near.saturating_add(1));
            self.scan(scan)?;
            wants = rest;
        }
        Ok(self.found)
    }

    /// Reads rows that are near to each other. If a page of the file is damaged, the rest is looked
    /// up one by one, since some may be on other pages.
    fn scan(&mut self, wants: &[Want]) -> rusqlite::Result<()> {
        let (Some(first), Some(last)) = (wants.first(), wants.last()) else { return Ok(()) };
        let ids = params![first.entry.id.cast_signed(), last.entry.id.cast_signed()];
        let mut left = wants.iter();
        let mut next = left.next();
        let mut damage = None;
        {
            let mut rows = self.scan.query(ids)?;
            // In a damaged file, a scan might not end.
            let most = last.entry.id.saturating_sub(first.entry.id).saturating_add(1);
            for _ in 0..most {
                let row = match rows.next() {
                    Ok(Some(row)) => row,
                    Ok(None) => break,
                    Err(error) if is_corrupt(&error) => {
                        damage = Some(Trouble::Page);
                        break;
                    }
                    Err(error) => return Err(error),
                };
                let id = row.get_ref(0)?.as_i64().unwrap_or(0).cast_unsigned();
                while let Some(want) = next.filter(|want| want.entry.id < id) {
                    self.found.push(want.found(Err(Trouble::Missing)));
                    next = left.next();
                }
                if let Some(want) = next.filter(|want| want.entry.id == id) {
                    self.found.push(want.found(check(row::read(row), want, self.lineage)));
                    next = left.next();
                }
            }
        }
        let left: Vec<Want> = next.into_iter().chain(left).copied().collect();
        match damage {
            Some(trouble) if wants.len() == 1 => {
                self.found.extend(left.iter().map(|want| want.found(Err(trouble))));
            }
            Some(_) => {
                for want in &left {
                    self.scan(std::slice::from_ref(want))?;
                }
            }
            None => self.found.extend(left.iter().map(|want| want.found(Err(Trouble::Missing)))),
        }
        Ok(())
    }
}

/// Whether a row has the message that is wanted.
fn check(stored: Option<row::Stored>, want: &Want, lineage: &Lineage) -> Result<Arc<Message>, Trouble> {
    let stored = stored.ok_or(Trouble::Sum)?;
    let is_right =
        stored.log == want.log && stored.cursor.seq() == want.number && has_epoch(lineage, stored.cursor);
    if is_right { Ok(Arc::new(stored.message)) } else { Err(Trouble::Other) }
}

/// Whether a message may have this epoch. Only the position 0 has the first epoch of a log. So if
/// the first one that the lineage remembers has messages, older ones were forgotten, and its
/// messages may have any of these.
fn has_epoch(lineage: &Lineage, cursor: Cursor) -> bool {
    let forgotten = lineage.past().first().map_or(0, |&(_, end)| end);
    cursor.seq() <= forgotten || lineage.at(cursor.seq()) == cursor
}

const LOST: Entry = Entry { id: 0, size: 0, appended_ms: 0 };

/// Runs whose entries a thread remembers: 3 kB each. Readers of one log that are near to each other
/// share them.
const REMEMBERED: usize = 32;

/// The largest step between two rows of a scan.
const NEAR: u64 = 8;
