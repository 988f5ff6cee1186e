//! The truth: every message that was ever in the store, with the position before it. And the check
//! of the law.

use std::collections::{BTreeMap, BTreeSet};
use tidewire_channel::{Cursor, Epoch};

use super::store::{Append, OwnedOnce};

/// What went wrong, in a sentence.
pub(crate) type Violation = String;

/// The number of a cursor that no log has given out, and no log reaches.
pub(crate) const FORGED: u64 = 9_999;

/// A position of a channel: its name, epoch and number.
type Place = (String, Epoch, u64);

/// Everything that was ever appended, also what was lost later.
#[derive(Default)]
pub(crate) struct History {
    messages: BTreeMap<Place, Message>,
    /// The position before each end.
    ends: BTreeMap<Place, Cursor>,
    logs: BTreeMap<String, Positions>,
}

struct Message {
    text: String,
    before: Cursor,
}

/// The log of a channel as it is now: its positions by number, from 0 on. Lost ones are not here.
struct Positions {
    all: Vec<Cursor>,
    end: Option<Cursor>,
    once: BTreeMap<OwnedOnce, Cursor>,
}

fn place(channel: &str, cursor: Cursor) -> Place {
    (channel.into(), cursor.epoch(), cursor.seq())
}

impl History {
    /// Records an append that the store has carried out, and has promised to keep. `start` is the
    /// position of the channel while it had no log. Numbers must have no holes, a cursor is given
    /// once, and a key or a producer's number has one batch.
    pub(crate) fn append(
        &mut self,
        channel: &str,
        start: Cursor,
        append: &Append,
        cursors: &[Cursor],
        end: Option<Cursor>,
    ) -> Result<(), Violation> {
        let new = || Positions { all: vec![start], end: None, once: BTreeMap::new() };
        let log = self.logs.entry(channel.into()).or_insert_with(new);
        if log.end.is_some() && !cursors.is_empty() {
            return Err(format!("{channel}: {cursors:?} after the end"));
        }
        if cursors.len() != append.texts.len() {
            return Err(format!("{channel}: {cursors:?} for {append:?}"));
        }
        for (text, cursor) in append.texts.iter().zip(cursors) {
            let before = log.all[log.all.len() - 1];
            if cursor.seq() != log.all.len() as u64 {
                return Err(format!("{channel}: after {before} a message was given {cursor}"));
            }
            let message = Message { text: text.clone(), before };
            if self.messages.insert(place(channel, *cursor), message).is_some() {
                return Err(format!("{channel}: {cursor} was given to two messages"));
            }
            log.all.push(*cursor);
        }
        let head = log.all[log.all.len() - 1];
        if append.close && log.end.is_none() {
            let end = end.ok_or_else(|| format!("{channel} was closed and has no end"))?;
            if end.seq() != head.seq() + 1 {
                return Err(format!("{channel}: at {head} the end is {end}"));
            }
            log.end = Some(end);
            self.ends.insert(place(channel, end), head);
        }
        if append.once != OwnedOnce::No {
            let cursor = log.end.filter(|_| cursors.is_empty()).unwrap_or(head);
            if log.once.insert(append.once.clone(), cursor).is_some() {
                return Err(format!("{channel}: {append:?} was appended twice"));
            }
        }
        Ok(())
    }

    /// A publisher was told that its append is a duplicate. It must have been carried out.
    pub(crate) fn duplicate(&self, channel: &str, append: &Append, cursor: Cursor) -> Result<(), Violation> {
        let log = self.logs.get(channel);
        let told = match &append.once {
            // A producer is told where its newest append is.
            OwnedOnce::Producer { id, epoch, .. } => {
                let newest = OwnedOnce::Producer { id: id.clone(), epoch: *epoch, seq: u64::MAX };
                log.filter(|log| log.once.contains_key(&append.once))
                    .and_then(|log| Some(log.once.range(..=newest).next_back()?.1))
            }
            once => log.and_then(|log| log.once.get(once)),
        };
        match told {
            Some(first) if *first == cursor => Ok(()),
            _ if append.texts.is_empty() && log.is_some_and(|log| log.end == Some(cursor)) => Ok(()),
            first => Err(format!("{channel}: {append:?} is told to be at {cursor}, it is at {first:?}")),
        }
    }

    /// A publisher was told that its messages are there.
    pub(crate) fn check_acknowledged(&self, channel: &str, cursor: Cursor) -> Result<(), Violation> {
        let place = place(channel, cursor);
        if self.messages.contains_key(&place) || self.ends.contains_key(&place) {
            return Ok(());
        }
        Err(format!("{channel}: {cursor} was acknowledged, and the store has not promised it"))
    }

    /// The store has lost what came after message `seq`.
    pub(crate) fn lose_tail(&mut self, channel: &str, seq: u64, is_closed: bool) {
        let Some(log) = self.logs.get_mut(channel) else { return };
        log.all.truncate(seq as usize + 1);
        log.end = log.end.filter(|_| is_closed);
        let end = log.end;
        log.once.retain(|_, cursor| cursor.seq() <= seq || Some(*cursor) == end);
    }

    /// The log is gone.
    pub(crate) fn lose(&mut self, channel: &str) {
        self.logs.remove(channel);
    }

    /// Whether the log has this position now.
    pub(crate) fn has(&self, channel: &str, cursor: Cursor) -> bool {
        let Some(log) = self.logs.get(channel) else { return false };
        log.all.get(cursor.seq() as usize) == Some(&cursor) || log.end == Some(cursor)
    }

    /// Whether a cursor ever was the end of a log.
    pub(crate) fn is_end(&self, channel: &str, cursor: Cursor) -> bool {
        self.ends.contains_key(&place(channel, cursor))
    }

    /// Whether a message or an end ever had this cursor.
    fn was_given(&self, channel: &str, cursor: Cursor) -> bool {
        let place = place(channel, cursor);
        self.messages.contains_key(&place) || self.ends.contains_key(&place)
    }

    /// Whether `to` is after `from` in one log.
    fn follows(&self, channel: &str, from: Cursor, mut to: Cursor) -> bool {
        while to.seq() > from.seq() {
            let Some(message) = self.messages.get(&place(channel, to)) else { return false };
            to = message.before;
        }
        from == to
    }

    /// Checks **the law**: a reader got a contiguous run of the channel's log, or runs with told
    /// gaps between them.
    ///
    /// It looks only at what the reader's owner received, in order. It uses no state of the feeds
    /// or of the merger. `so_far` says how much of `record` was checked already, so that it can be
    /// called at each step.
    pub(crate) fn check(
        &self,
        channel: &str,
        record: &[Record],
        so_far: &mut Checked,
    ) -> Result<(), Violation> {
        let Checked { entries, at, delivered } = so_far;
        for entry in &record[*entries..] {
            let before = *at;
            match entry {
                Record::Start(cursor) if before.is_none() => *at = Some(*cursor),
                Record::Start(cursor) => {
                    return Err(format!("{channel}: started a second time, at {cursor}"));
                }
                Record::Message(cursor, text) => {
                    let Some(message) = self.messages.get(&place(channel, *cursor)) else {
                        return Err(format!("{channel}: {cursor} was delivered, and nobody promised it"));
                    };
                    if before != Some(message.before) {
                        return Err(format!(
                            "{channel}: after {before:?} came {cursor}, and nothing was reported"
                        ));
                    }
                    if message.text != *text {
                        return Err(format!("{channel}: {cursor} was delivered as {text:?}"));
                    }
                    if !delivered.insert((cursor.epoch(), cursor.seq())) {
                        return Err(format!("{channel}: {cursor} was delivered twice"));
                    }
                    *at = Some(*cursor);
                }
                Record::Gap(to) => {
                    if !before.is_some_and(|at| at.seq() < to.seq() && self.follows(channel, at, *to)) {
                        return Err(format!("{channel}: a gap from {before:?} to {to}"));
                    }
                    *at = Some(*to);
                }
                Record::Reset { to, is_tail } => {
                    if to.seq() > 0 && !self.was_given(channel, *to) {
                        return Err(format!("{channel}: a reset to {to}, which was never given"));
                    }
                    if *is_tail && !before.is_some_and(|at| at.seq() == FORGED || self.was_given(channel, at))
                    {
                        return Err(format!(
                            "{channel}: at {before:?} it is told that it had seen a lost tail"
                        ));
                    }
                    // Any other reset may go back to what was delivered.
                    if !is_tail {
                        delivered.clear();
                    }
                    *at = Some(*to);
                }
                Record::End(end) => {
                    if before.is_none() || self.ends.get(&place(channel, *end)) != before.as_ref() {
                        return Err(format!("{channel}: the end {end} came at {before:?}"));
                    }
                    *at = Some(*end);
                }
            }
        }
        *entries = record.len();
        Ok(())
    }
}

/// How much of one record was checked.
#[derive(Default)]
pub(crate) struct Checked {
    entries: usize,
    at: Option<Cursor>,
    delivered: BTreeSet<(Epoch, u64)>,
}

/// What a reader's owner sees of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// The first cursor.
    Start(Cursor),
    /// A message.
    Message(Cursor, String),
    /// The reader was told that messages are missing up to this position.
    Gap(Cursor),
    /// The reader was told that it has no place in the log. It reads the log from here. `is_tail`:
    /// what it has seen after this position is lost.
    Reset { to: Cursor, is_tail: bool },
    /// The reader was told that nothing comes any more.
    End(Cursor),
}
