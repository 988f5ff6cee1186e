//! The truth: every message that was published, by channel, epoch and number. And the check of the
//! law.

use std::collections::{BTreeMap, BTreeSet};
use tidewire_channel::{Cursor, Epoch};

/// What went wrong, in a sentence.
pub(crate) type Violation = String;

/// Everything that was ever published.
#[derive(Default)]
pub(crate) struct History {
    logs: BTreeMap<(String, Epoch), Vec<String>>,
    keys: BTreeMap<(Epoch, Vec<u8>), Cursor>,
}

impl History {
    /// Records a message that the server has appended. Numbers must have no holes, and each key
    /// must have only one message.
    pub(crate) fn append(
        &mut self,
        channel: &str,
        cursor: Cursor,
        text: &str,
        key: Option<&[u8]>,
    ) -> Result<(), Violation> {
        let log = self.logs.entry((channel.into(), cursor.epoch())).or_default();
        log.push(text.into());
        if cursor.seq() != log.len() as u64 {
            return Err(format!("message {} of {channel} was given the cursor {cursor}", log.len()));
        }
        if let Some(key) = key
            && self.keys.insert((cursor.epoch(), key.into()), cursor).is_some()
        {
            return Err(format!("{text} was published twice with the key {}", key.escape_ascii()));
        }
        Ok(())
    }

    /// A publisher was told that its key is known. The answer must have the position of the first
    /// message, and that message must have the same text.
    pub(crate) fn duplicate(
        &self,
        channel: &str,
        cursor: Cursor,
        text: &str,
        key: &[u8],
    ) -> Result<(), Violation> {
        match self.keys.get(&(cursor.epoch(), key.into())) {
            Some(first) if *first == cursor && self.text(channel, cursor) == Some(text) => Ok(()),
            first => Err(format!("{} is told to be at {cursor}, it is at {first:?}", key.escape_ascii())),
        }
    }

    fn text(&self, channel: &str, cursor: Cursor) -> Option<&str> {
        let log = self.logs.get(&(channel.into(), cursor.epoch()))?;
        Some(log.get(usize::try_from(cursor.seq().checked_sub(1)?).ok()?)?)
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
            match entry {
                Record::Start(cursor) if at.is_none() => *at = Some(*cursor),
                Record::Start(cursor) => {
                    return Err(format!("{channel}: started a second time, at {cursor}"));
                }
                Record::Message(cursor, text) => {
                    let next = at.map(|at| Cursor::new(at.epoch(), at.seq() + 1));
                    if next != Some(*cursor) {
                        return Err(format!(
                            "{channel}: after {at:?} came {cursor}, and nothing was reported"
                        ));
                    }
                    if self.text(channel, *cursor) != Some(text) {
                        return Err(format!("{channel}: {cursor} was delivered as {text:?}"));
                    }
                    if !delivered.insert((cursor.epoch(), cursor.seq())) {
                        return Err(format!("{channel}: {cursor} was delivered twice"));
                    }
                    *at = Some(*cursor);
                }
                Record::Gap(to) => {
                    let forward = at.is_some_and(|at| at.epoch() == to.epoch() && at.seq() < to.seq());
                    if !forward {
                        return Err(format!("{channel}: a gap from {at:?} to {to}"));
                    }
                    *at = Some(*to);
                }
                Record::Reset(to) => *at = Some(*to),
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
    /// The reader was told that the log is another one. It reads that log from here.
    Reset(Cursor),
}
