//! What the operator is told of messages that cannot be read.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use tidewire_store::ChannelName;

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The index has no row of it.
    Lost,
    /// There is no row.
    Missing,
    /// The row is damaged: its sum is wrong.
    Sum,
    /// The row has another message.
    Other,
    /// The page of the file that has the row is damaged.
    Page,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "it was lost before, or was not found when the index was damaged",
            Self::Missing => "its row is missing",
            Self::Sum => "the checksum of its row is wrong",
            Self::Other => "its row has another message",
            Self::Page => "SQLite says that its page of the file is damaged",
        })
    }
}

/// What the operator was told already: the kind, the log and the number.
#[derive(Debug, Default)]
pub(crate) struct Troubles(Mutex<HashSet<(What, i64, u64)>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    Message,
    Run,
}

impl Troubles {
    /// Tells of a message that cannot be read, once.
    pub(crate) fn tell(&self, name: &ChannelName, log: i64, number: u64, trouble: Trouble) {
        if !self.is_new(What::Message, log, number) {
            return;
        }
        tracing::error!(
            channel = %name, log, number, reason = %trouble,
            "a message cannot be read, and its readers are told of a gap; \
             check the disk, and copy the data to another one with `tidewire backup`",
        );
    }

    /// Tells of a part of the index that cannot be read, once.
    pub(crate) fn tell_run(&self, name: &ChannelName, log: i64, first: u64) {
        if !self.is_new(What::Run, log, first) {
            return;
        }
        tracing::error!(
            channel = %name, log, first,
            "the row of the index for a run of messages is missing or damaged, and a search looks for \
             the messages; check the disk, and copy the data to another one with `tidewire backup`",
        );
    }

    /// Whether to tell of this.
    fn is_new(&self, what: What, log: i64, number: u64) -> bool {
        let told = {
            let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() > MAX_TOLD || !told.insert((what, log, number)) {
                return false;
            }
            told.len()
        };
        if told > MAX_TOLD {
            tracing::error!("more messages cannot be read; there are no more lines about them");
        }
        told <= MAX_TOLD
    }
}

#[cfg(test)]
impl Troubles {
    /// The number of its lines.
    pub(crate) fn told(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Lines about messages that cannot be read. A damaged disk may have millions of them.
const MAX_TOLD: usize = 1_000;
