//! One loaded page: messages of a log that are next to each other, and how they continue the
//! position that was asked for.

use std::sync::Arc;

use tidewire_channel::{Budget, Continuity, Cursor};
use tidewire_store::Message;

/// The content of a page.
#[derive(Debug)]
pub(crate) struct Content {
    /// The position that was asked for.
    pub(crate) asked: Cursor,
    /// Whether messages were evicted before they were read, or the store has lost them.
    pub(crate) continuity: Continuity,
    /// The position before the first message.
    pub(crate) start: Cursor,
    pub(crate) messages: Vec<(Cursor, Arc<Message>)>,
}

/// Some messages of a page.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) continuity: Continuity,
    pub(crate) messages: Vec<(Cursor, Arc<Message>)>,
    /// The position after the messages.
    pub(crate) cursor: Cursor,
}

impl Part {
    /// What there is up to a position of the log.
    pub(crate) fn up_to(mut self, ceiling: Option<Cursor>) -> Self {
        let Some(ceiling) = ceiling.filter(|ceiling| ceiling.seq() < self.cursor.seq()) else { return self };
        let known = self.messages.partition_point(|(cursor, _)| cursor.seq() <= ceiling.seq());
        self.messages.truncate(known);
        self.cursor = ceiling;
        if let Continuity::Gap { to, missed, .. } = &mut self.continuity
            && to.seq() > ceiling.seq()
        {
            *missed = missed.saturating_sub(to.seq() - ceiling.seq()).max(1);
            *to = ceiling;
        }
        self
    }
}

/// Bytes of a page besides its messages. After a restart there may be many pages with few messages.
const OVERHEAD: usize = 512;

/// A page in memory.
#[derive(Debug)]
pub(crate) struct Loaded {
    content: Content,
    weights: Box<[usize]>,
    pub(crate) bytes: usize,
    pub(crate) use_number: u64,
    /// Waiters that were woken and have not read it yet.
    pub(crate) expected: usize,
    pub(crate) since_ms: u64,
}

impl Loaded {
    pub(crate) fn new(content: Content, expected: usize, use_number: u64, since_ms: u64) -> Self {
        let weights: Box<[usize]> = content.messages.iter().map(|(_, message)| message.weight()).collect();
        let bytes = weights.iter().sum::<usize>() + OVERHEAD;
        Loaded { content, weights, bytes, use_number, expected, since_ms }
    }

    /// The messages after `start`. `None` if the page does not have them.
    pub(crate) fn part(&self, start: Cursor, budget: Budget) -> Option<Part> {
        let Content { asked, continuity, start: first, messages } = &self.content;
        if start == *asked && continuity.is_broken() {
            let (messages, cursor) = self.some(0, budget, *first);
            return Some(Part { continuity: *continuity, messages, cursor });
        }
        let skipped = usize::try_from(start.seq().checked_sub(first.seq())?).ok()?;
        let before = match skipped.checked_sub(1) {
            None => *first,
            Some(last) => messages.get(last)?.0,
        };
        if before != start || skipped >= messages.len() {
            return None;
        }
        let (messages, cursor) = self.some(skipped, budget, start);
        Some(Part { continuity: Continuity::Resumed, messages, cursor })
    }

    fn some(&self, from: usize, budget: Budget, start: Cursor) -> (Vec<(Cursor, Arc<Message>)>, Cursor) {
        let (mut bytes, mut some) = (0_usize, Vec::new());
        for (entry, weight) in self.content.messages[from..].iter().zip(&self.weights[from..]) {
            bytes = bytes.saturating_add(*weight);
            if some.len() >= budget.messages || bytes > budget.bytes && !some.is_empty() {
                break;
            }
            some.push(entry.clone());
        }
        let cursor = some.last().map_or(start, |&(cursor, _)| cursor);
        (some, cursor)
    }
}
