//! Where the rows of a log are: the runs, whose entries are on the disk, and the tail.
//!
//! ```text
//!   number   1 … 128    129 … 256    257 … 300     301  302  303     304
//!            └ run ┘    └── run ─┘   └── run ─┘    └── tail ──┘      next()
//!            first, count, bytes, last time: 32 bytes    one entry each
//! ```

use std::collections::VecDeque;

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::entry::{self, Entry};
use crate::sum::Sum;

/// Messages in a full run.
pub(crate) const RUN: usize = 128;

/// Runs of a small log.
const FEW: usize = 3;

/// What the memory has of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The number of its first message.
    pub(crate) first: u64,
    /// Its messages; at least 1.
    pub(crate) count: u32,
    /// The sum of their sizes.
    pub(crate) bytes: u64,
    /// When the last of them was appended.
    pub(crate) last_appended_ms: u64,
}

impl Run {
    /// The run of these entries, which begin with the number `first`.
    pub(crate) fn new(first: u64, entries: &[Entry]) -> Self {
        Self {
            first,
            count: u32::try_from(entries.len()).unwrap_or(u32::MAX),
            bytes: entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.size as u64)),
            last_appended_ms: entries.last().map_or(0, |entry| entry.appended_ms),
        }
    }

    /// The number after its last message.
    pub(crate) fn end(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// In a run.
    Run(&'a Run),
    /// In the tail.
    Tail(Entry),
    /// The index does not have it.
    Absent,
}

/// Messages next to each other, and where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The messages from one number to another, in a run.
    Run { run: Run, first: u64, last: u64 },
    /// Messages of the tail.
    Tail { first: u64, entries: Vec<Entry> },
    /// The index does not have the messages from one number to another.
    Lost { first: u64, last: u64 },
}

impl Piece {
    /// The number of messages; at least 1.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Run { first, last, .. } | Self::Lost { first, last } => {
                last.saturating_sub(*first).saturating_add(1)
            }
            Self::Tail { entries, .. } => entries.len() as u64,
        }
    }
}

/// Where the messages of a page are: in order, at least those that fit, and the first in any case.
#[derive(Debug)]
pub(crate) struct Pieces {
    /// Each with the id of the log that has it.
    pub(crate) list: Vec<(i64, Piece)>,
    /// What still fits.
    messages: u64,
    bytes: u64,
}

impl Pieces {
    /// No pieces yet, and room for this number of messages and bytes.
    pub(crate) fn new(messages: usize, bytes: usize) -> Self {
        Self { list: Vec::new(), messages: messages as u64, bytes: bytes as u64 }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.messages == 0 || (self.bytes == 0 && !self.list.is_empty())
    }

    /// Adds a piece that has these bytes at least.
    fn add(&mut self, log: i64, piece: Piece, bytes: u64) {
        self.messages = self.messages.saturating_sub(piece.count());
        self.bytes = self.bytes.saturating_sub(bytes);
        self.list.push((log, piece));
    }
}

/// The own messages of a log, also those that are evicted but still on the disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// In order. There may be numbers between two of them that are lost.
    runs: VecDeque<Run>,
    /// The number of the first entry of the tail.
    tail_first: u64,
    tail: VecDeque<Entry>,
}

impl Index {
    /// An empty index. The next own message is `head` + 1.
    pub(crate) fn new(head: u64) -> Self {
        Self { runs: VecDeque::new(), tail_first: head.saturating_add(1), tail: VecDeque::new() }
    }

    /// The number of the first message that it has; [`next`](Self::next) if it has none.
    #[cfg(test)]
    pub(crate) fn first(&self) -> u64 {
        self.runs.front().map_or(self.tail_first, |run| run.first)
    }

    /// The number of the next message.
    pub(crate) fn next(&self) -> u64 {
        self.tail_first.saturating_add(self.tail.len() as u64)
    }

    /// Adds a new message, which gets the number [`next`](Self::next).
    pub(crate) fn push(&mut self, entry: Entry) {
        self.tail.push_back(entry);
    }

    /// Adds a run at the start. Runs come in order, before any message of the tail.
    pub(crate) fn push_run(&mut self, run: Run) {
        debug_assert!(self.tail.is_empty(), "runs come first");
        self.tail_first = run.end();
        self.add_run(run);
    }

    /// The runs are followed by messages that the disk does not have any more, up to the one before
    /// this number. At the start, after the runs.
    pub(crate) fn skip_to(&mut self, next: u64) {
        debug_assert!(self.tail.is_empty() && next >= self.tail_first, "it comes after the runs");
        self.tail_first = next;
    }

    /// The messages that are in no run: the number of the first one, and all of them.
    pub(crate) fn tail(&self) -> (u64, &VecDeque<Entry>) {
        (self.tail_first, &self.tail)
    }

    /// Messages at the front of the tail are in this run now. It is a new one, or the last one with
    /// more messages.
    pub(crate) fn folded(&mut self, run: Run) {
        if self.runs.back().is_some_and(|last| last.first == run.first) {
            self.runs.pop_back();
        }
        self.cut_tail(run.end());
        self.add_run(run);
    }

    fn add_run(&mut self, run: Run) {
        if self.runs.len() < FEW {
            // Most logs have one run. Without this, it would take the room of four.
            self.runs.reserve_exact(1);
        }
        self.runs.push_back(run);
    }

    /// The last run.
    pub(crate) fn last_run(&self) -> Option<&Run> {
        self.runs.back()
    }

    /// The runs, in order.
    pub(crate) fn runs(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.runs.iter()
    }

    /// Where a message is. A search in the runs.
    pub(crate) fn find(&self, number: u64) -> Place<'_> {
        if let Some(offset) = number.checked_sub(self.tail_first) {
            let entry = usize::try_from(offset).ok().and_then(|offset| self.tail.get(offset));
            return entry.map_or(Place::Absent, |entry| Place::Tail(*entry));
        }
        let after = self.runs.partition_point(|run| run.first <= number);
        let run = after.checked_sub(1).and_then(|index| self.runs.get(index));
        run.filter(|run| number < run.end()).map_or(Place::Absent, Place::Run)
    }

    /// Forgets the runs that begin with these numbers, which increase.
    pub(crate) fn forget(&mut self, gone: &[u64]) {
        let Some((&first, &last)) = gone.first().zip(gone.last()) else { return };
        let from = self.runs.partition_point(|run| run.first < first);
        let to = self.runs.partition_point(|run| run.first <= last);
        if from == 0 && to == gone.len() {
            // The usual case: the oldest are gone.
            self.runs.drain(..to);
            return;
        }
        self.runs.retain(|run| gone.binary_search(&run.first).is_err());
    }

    /// Adds where the messages from one number to another are, until the pieces are full. It takes
    /// time for the pieces and the entries of the tail alone.
    pub(crate) fn collect(&self, log: i64, from: u64, to: u64, pieces: &mut Pieces) {
        let mut number = from;
        while number <= to && !pieces.is_full() {
            let last = to.min(number.saturating_add(pieces.messages.saturating_sub(1)));
            let (piece, bytes) = self.piece(number, last, pieces.bytes);
            number = number.saturating_add(piece.count());
            pieces.add(log, piece, bytes);
        }
    }

    /// The piece that begins with a number and ends with `last` at most, and the bytes that it
    /// surely has.
    fn piece(&self, number: u64, last: u64, bytes: u64) -> (Piece, u64) {
        if let Some(offset) = number.checked_sub(self.tail_first) {
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.tail.len());
            let (mut sum, mut entries) = (0_u64, Vec::new());
            for (entry, at) in self.tail.range(from..).zip(number..=last) {
                if sum >= bytes && at > number {
                    break;
                }
                sum = sum.saturating_add(entry.size as u64);
                entries.push(*entry);
            }
            if !entries.is_empty() {
                return (Piece::Tail { first: number, entries }, sum);
            }
            return (Piece::Lost { first: number, last }, 0);
        }
        let after = self.runs.partition_point(|run| run.first <= number);
        let next = self.runs.get(after).map_or(self.tail_first, |run| run.first);
        let last = last.min(next.saturating_sub(1));
        let run = after.checked_sub(1).and_then(|index| self.runs.get(index));
        match run.filter(|run| number < run.end()) {
            Some(run) => {
                let last = last.min(run.end().saturating_sub(1));
                let is_whole = number == run.first && last == run.end().saturating_sub(1);
                (Piece::Run { run: *run, first: number, last }, if is_whole { run.bytes } else { 0 })
            }
            None => (Piece::Lost { first: number, last }, 0),
        }
    }

    /// Forgets the messages of the tail before a number.
    pub(crate) fn cut_tail(&mut self, number: u64) {
        let count = usize::try_from(number.saturating_sub(self.tail_first)).unwrap_or(usize::MAX);
        let count = count.min(self.tail.len());
        self.tail.drain(..count);
        if self.tail.is_empty() {
            // Most logs are idle.
            self.tail = VecDeque::new();
        }
        self.tail_first = self.tail_first.saturating_add(count as u64);
    }
}

/// Why the entries of a run cannot be read.
#[derive(Debug)]
pub(crate) enum ReadRunError {
    /// Its row is missing, or its sum is wrong.
    Damaged,
    /// The database failed.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for ReadRunError {
    fn from(error: rusqlite::Error) -> Self {
        if is_corrupt(&error) { Self::Damaged } else { Self::Database(error) }
    }
}

/// Whether the database says that a part of its file is damaged.
pub(crate) fn is_corrupt(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Reads the entries of a run. There may be more than a reader knows of, because a run grows.
///
/// # Errors
/// [`ReadRunError`].
pub(crate) fn read_run(db: &Connection, log: i64, first: u64) -> Result<Vec<Entry>, ReadRunError> {
    let sql = "SELECT count, entries, entries_sum FROM run WHERE log = ?1 AND first = ?2";
    let mut statement = db.prepare_cached(sql).map_err(ReadRunError::Database)?;
    let entries = statement.query_row(params![log, first.cast_signed()], |row| {
        let count = usize::try_from(row.get_ref(0)?.as_i64()?).unwrap_or(usize::MAX);
        let (entries, sum) = (row.get_ref(1)?.as_blob()?, row.get_ref(2)?.as_i64()?);
        let is_right = sum == entries_sum(log, first, entries);
        Ok(if is_right { entry::decode(entries, count) } else { None })
    });
    match entries.optional() {
        Ok(entries) => entries.flatten().ok_or(ReadRunError::Damaged),
        // A value of another type.
        Err(error) if error.sqlite_error_code().is_none() => Err(ReadRunError::Damaged),
        Err(error) => Err(error.into()),
    }
}

/// Writes a run, in place of the one that has begun with the same number.
///
/// # Errors
/// The database failed.
pub(crate) fn write_run(db: &Connection, log: i64, run: &Run, entries: &[Entry]) -> rusqlite::Result<()> {
    let entries = entry::encode(entries);
    let entries_sum = entries_sum(log, run.first, &entries);
    let mut statement = db.prepare_cached(
        "REPLACE INTO run (log, first, count, bytes, last_appended, entries_sum, sum, entries) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    statement.execute(params![
        log,
        run.first.cast_signed(),
        run.count,
        run.bytes.cast_signed(),
        run.last_appended_ms.cast_signed(),
        entries_sum,
        sum(log, run, entries_sum),
        entries,
    ])?;
    Ok(())
}

/// The sum of the entries of a run. It covers which run they are of.
fn entries_sum(log: i64, first: u64, entries: &[u8]) -> i64 {
    Sum::new().int(log).number(first).blob(entries).get()
}

/// The sum of the other columns of a run. The start reads them without the entries.
pub(crate) fn sum(log: i64, run: &Run, entries_sum: i64) -> i64 {
    let sum = Sum::new().int(log).number(run.first).number(u64::from(run.count)).number(run.bytes);
    sum.number(run.last_appended_ms).int(entries_sum).get()
}

#[cfg(test)]
mod tests;
