//! How a page is made, in turns.
//!
//! ```text
//!   under the lock of Seen:  the position ──► the pieces of the index after it
//!   without a lock:          the rows of the pieces
//!   a bad row:               the page ends before it; if it is the first, the page begins after it
//! ```
//!
//! A row may be gone because it was evicted since the lock was released. So whoever finds a bad row
//! looks again first, and then begins again.

use std::sync::Arc;

use tidewire_channel::{Budget, Continuity, Cursor, Since};
use tidewire_store::{ChannelName, Failed, LogInfo, Message, Page, ReadError};

use crate::index::Pieces;
use crate::rows::Reader;
use crate::seen::{Seen, SeenState};
use crate::shared::Shared;
use crate::troubles::Troubles;

/// A read that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct ReadRequest {
    pub(crate) name: ChannelName,
    pub(crate) since: Since,
    pub(crate) budget: Budget,
    pub(crate) now_ms: u64,
}

/// What a read needs.
#[derive(Debug)]
pub(crate) enum Look {
    /// Nothing more.
    Answer(Result<Page, ReadError>),
    /// The writer must evict the oldest message first.
    Expire,
    /// Rows of the database.
    Rows,
}

impl Shared {
    /// What a read needs, without a look at the disk.
    pub(crate) fn look(&self, request: &ReadRequest) -> Look {
        let seen = match self.find_or_tell(&request.name, request.now_ms) {
            Ok(seen) => seen,
            Err(error) => return Look::Answer(Err(error)),
        };
        let state = seen.lock();
        if state.is_deleted {
            return Look::Answer(Err(ReadError::SoftDeleted));
        }
        if state.is_over_age(request.now_ms) {
            return Look::Expire;
        }
        match locate(&state, request) {
            (.., true) => Look::Rows,
            (start, continuity, false) => {
                Look::Answer(Ok(Page::new((start, continuity), Vec::new(), state.info.clone())))
            }
        }
    }
}

/// A page that is being made.
#[derive(Debug)]
pub(crate) struct Job {
    request: ReadRequest,
    draft: Option<Draft>,
    /// Whether it has found a bad row, and has looked again since.
    has_looked_again: bool,
    /// How often rows were evicted while it read.
    evictions: u32,
}

/// What a turn of a job has done.
#[derive(Debug)]
pub(crate) enum Turn {
    Done(Result<Page, ReadError>),
    More,
}

impl Job {
    pub(crate) fn new(request: ReadRequest) -> Self {
        Self { request, draft: None, has_looked_again: false, evictions: 0 }
    }

    /// Reads a bounded number of messages.
    pub(crate) fn turn(&mut self, shared: &Shared, reader: &mut Reader, troubles: &Troubles) -> Turn {
        let draft = match self.draft.take().map_or_else(|| self.begin(shared), Ok) {
            Ok(draft) => draft,
            Err(error) => return Turn::Done(Err(error)),
        };
        if !draft.needs_rows {
            return Turn::Done(Ok(draft.page()));
        }
        match self.read(draft, shared, reader, troubles) {
            Ok(turn) => turn,
            Err(error) => {
                let detail = format!("SQLite cannot read messages: {error}");
                Turn::Done(Err(ReadError::Failed(Failed::clean(detail))))
            }
        }
    }

    fn begin(&self, shared: &Shared) -> Result<Draft, ReadError> {
        let seen = shared.find_or_tell(&self.request.name, self.request.now_ms)?;
        let state = seen.lock();
        if state.is_deleted {
            return Err(ReadError::SoftDeleted);
        }
        let (start, continuity, needs_rows) = locate(&state, &self.request);
        let info = state.info.clone();
        drop(state);
        let (messages, bytes, skipped) = (Vec::new(), 0, 0);
        Ok(Draft { seen, info, start, continuity, needs_rows, messages, bytes, skipped })
    }

    fn read(
        &mut self,
        mut draft: Draft,
        shared: &Shared,
        reader: &mut Reader,
        troubles: &Troubles,
    ) -> rusqlite::Result<Turn> {
        let budget = draft.left(self.request.budget);
        let mut pieces = Pieces::new(budget.messages.min(TURN), budget.bytes.min(TURN_BYTES));
        draft.seen.collect(draft.next(), draft.info.head, &mut pieces);
        let must_have_one = draft.messages.is_empty();
        let rows = reader.read(&pieces.list, &draft.info.lineage, budget, must_have_one)?;
        for (log, first) in rows.damaged {
            troubles.tell_run(&self.request.name, log, first);
        }
        for found in rows.found {
            let trouble = match found.message {
                Ok(message) => {
                    draft.add(message, found.size);
                    continue;
                }
                Err(trouble) => trouble,
            };
            if !draft.messages.is_empty() {
                // The next page begins with it, and tells.
                return Ok(Turn::Done(Ok(draft.page())));
            }
            if !self.has_looked_again {
                // It may have been evicted meanwhile, or the thread remembers too much.
                self.has_looked_again = true;
                reader.forget();
                return Ok(Turn::More);
            }
            if draft.needs(found.number, &self.request.name, shared) {
                troubles.tell(&self.request.name, found.log, found.number, trouble);
            } else if self.evictions < MAX_EVICTIONS {
                self.evictions = self.evictions.saturating_add(1);
                return Ok(Turn::More);
            }
            draft.skip();
        }
        let has_all = draft.next() > draft.info.head;
        let has_enough = !draft.messages.is_empty()
            && (rows.is_full || draft.messages.len() >= self.request.budget.messages);
        if has_all || has_enough || draft.skipped >= MAX_SKIPPED {
            return Ok(Turn::Done(Ok(draft.page())));
        }
        self.draft = Some(draft);
        Ok(Turn::More)
    }
}

/// What is known of a page.
#[derive(Debug)]
struct Draft {
    seen: Arc<Seen>,
    /// The log when the page was begun.
    info: LogInfo,
    start: Cursor,
    continuity: Continuity,
    /// Whether there are messages after the position.
    needs_rows: bool,
    messages: Vec<(Cursor, Arc<Message>)>,
    bytes: usize,
    /// Bad rows before the first message.
    skipped: u64,
}

impl Draft {
    /// The number of the next message.
    fn next(&self) -> u64 {
        self.start.seq().saturating_add(self.messages.len() as u64).saturating_add(1)
    }

    fn left(&self, budget: Budget) -> Budget {
        Budget {
            messages: budget.messages.saturating_sub(self.messages.len()),
            bytes: budget.bytes.saturating_sub(self.bytes),
        }
    }

    fn add(&mut self, message: Arc<Message>, size: usize) {
        self.messages.push((self.info.lineage.at(self.next()), message));
        self.bytes = self.bytes.saturating_add(size);
    }

    /// Whether the log still has a message.
    fn needs(&self, number: u64, name: &ChannelName, shared: &Shared) -> bool {
        let is_there = shared.find(name).is_some_and(|seen| Arc::ptr_eq(&seen, &self.seen));
        let state = self.seen.lock();
        is_there && !state.is_deleted && state.info.earliest < number
    }

    /// Begins the page after its first message, which is lost.
    fn skip(&mut self) {
        let to = self.info.lineage.at(self.next());
        self.continuity = match self.continuity {
            Continuity::Fresh => Continuity::Fresh,
            Continuity::Resumed => Continuity::Gap { from: self.start, to, missed: 1 },
            Continuity::Gap { from, missed, .. } => {
                Continuity::Gap { from, to, missed: missed.saturating_add(1) }
            }
            Continuity::Reset { reason, .. } => Continuity::Reset { reason, to },
        };
        self.start = to;
        self.skipped = self.skipped.saturating_add(1);
    }

    fn page(self) -> Page {
        Page::new((self.start, self.continuity), self.messages, self.info)
    }
}

/// Where a read starts, how that continues its position, and whether it needs rows.
fn locate(state: &SeenState, request: &ReadRequest) -> (Cursor, Continuity, bool) {
    let info = &state.info;
    let (start, continuity) = info.lineage.locate(request.since, info.bounds());
    (start, continuity, request.budget.messages > 0 && start.seq() < info.head)
}

/// Messages of one turn.
const TURN: usize = 512;

/// Bytes of one turn. A larger message has a turn of its own.
const TURN_BYTES: usize = 1 << 20;

/// How often a page is begun again because the log evicts faster than it is read. Then its reader
/// is told of a gap, which is true.
const MAX_EVICTIONS: u32 = 8;

/// Bad rows that one page steps over. A damaged file may have millions of them.
const MAX_SKIPPED: u64 = 4_096;
