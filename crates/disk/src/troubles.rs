//! What the operator is told of messages that cannot be read.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use tidewire_store::ChannelName;

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The index says so, since the start.
    Lost,
    /// The part of the index that says where it is cannot be read.
    Run,
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
            Self::Lost => "it was lost before the start",
            Self::Run => "the row of the index that says where it is is missing or damaged",
            Self::Missing => "its row is missing",
            Self::Sum => "the checksum of its row is wrong",
            Self::Other => "its row has another message",
            Self::Page => "SQLite says that its page of the file is damaged",
        })
    }
}

/// The messages of which the operator was told already.
#[derive(Debug, Default)]
pub(crate) struct Troubles(Mutex<HashSet<(i64, u64)>>);

impl Troubles {
    /// Tells of a message that cannot be read, once.
    pub(crate) fn tell(&self, name: &ChannelName, log: i64, number: u64, trouble: Trouble) {
        let told = {
            let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() > MAX_TOLD || !told.insert((log, number)) {
                return;
            }
            told.len()
        };
        if told > MAX_TOLD {
            tracing::error!("more messages cannot be read; there are no more lines about them");
            return;
        }
        tracing::error!(
            channel = %name, log, number, reason = %trouble,
            "a message cannot be read, and its readers are told of a gap; \
             check the disk, and copy the data to another one with `tidewire backup`",
        );
    }
}

#[cfg(test)]
impl Troubles {
    /// The number of messages of which it has told.
    pub(crate) fn told(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Lines about messages that cannot be read. A damaged disk may have millions of them.
const MAX_TOLD: usize = 1_000;
