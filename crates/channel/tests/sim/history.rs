//! The truth: every message that was published, by channel, epoch and number. And the law.

use std::collections::{BTreeMap, BTreeSet};
use tidewire_channel::{Cursor, Epoch};

/// What went wrong, in a sentence.
pub(crate) type Violation = String;

/// All that was ever published.
#[derive(Default)]
pub(crate) struct History {
    logs: BTreeMap<(String, Epoch), Vec<String>>,
    keys: BTreeMap<(Epoch, Vec<u8>), Cursor>,
}

impl History {
    /// Notes a message that the server has appended; each must have the number after the one
    /// before, and each key only one message.
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

    /// A publish was told that its key is known: it must be told where the first one is, and that
    /// must say the same.
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

    /// **The law**: what a reader got of a channel is a contiguous run of the log, or runs with
    /// told gaps between them.
    ///
    /// It looks at nothing but what was handed to the reader's owner, in order. No cleverness of
    /// the feeds or of the merger has any part in it. `so_far` is how far it has read `record`
    /// already, so that it can be asked at each step.
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
                        return Err(format!("{channel}: after {at:?} came {cursor}, and nothing was told"));
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

/// How far the law has been read over one record.
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
    /// It was told that what follows starts after this.
    Gap(Cursor),
    /// It was told that the log is another one, which it has from here.
    Reset(Cursor),
}
