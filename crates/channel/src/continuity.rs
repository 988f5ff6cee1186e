//! How a read continues what its reader has.

use crate::cursor::Cursor;

/// How the returned messages continue what the reader has. Tell the reader about a gap or a reset.
///
/// ```
/// use tidewire_channel::{Budget, Continuity, Cursor, Epoch, Log, Retention};
///
/// let epoch = Epoch::new(7);
/// let mut log = Log::new(epoch, Retention::DEFAULT.with_max_messages(1));
/// log.append(0, 4, "high")?;
/// log.append(0, 3, "low")?;
/// let of = |cursor: Cursor| log.read(cursor.into(), Budget::UNLIMITED).continuity();
///
/// assert_eq!(of(Cursor::new(epoch, 1)), Continuity::Resumed);
/// assert!(matches!(of(Cursor::new(epoch, 0)), Continuity::Gap { missed: 1, .. }));
/// assert!(matches!(of(Cursor::new(Epoch::new(8), 1)), Continuity::Reset { .. }));
/// # Ok::<(), tidewire_channel::Refused>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuity {
    /// The reader had no cursor.
    Fresh,
    /// The first message returned is the one after the reader's cursor.
    Resumed,
    /// The reader's next message is no longer kept. The read continues after `to`.
    Gap {
        /// The cursor that the reader came with.
        from: Cursor,
        /// The position up to which messages are missing: the position before the earliest message
        /// kept, or after a message that a store has lost.
        to: Cursor,
        /// The number of missing messages; at least 1.
        missed: u64,
    },
    /// The reader's cursor is not a position of this log. The read continues after `to`. Nobody
    /// knows how many messages are missing.
    Reset {
        /// Why.
        reason: ResetReason,
        /// The position before the earliest message kept. For [`ResetReason::TailLost`], the
        /// position before the lost messages, if that is later.
        to: Cursor,
    },
}

impl Continuity {
    /// Returns whether messages are missing or may be missing. Then the reader must be told.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        matches!(self, Self::Gap { .. } | Self::Reset { .. })
    }
}

/// Why a cursor does not belong to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResetReason {
    /// The cursor has an epoch that the log does not know: the log was created anew since.
    UnknownEpoch,
    /// The cursor has the current epoch but is ahead of the newest message: it was never given out,
    /// or the log lost its newest messages and began no [epoch](crate::Log::begin_epoch).
    AheadOfLog,
    /// The cursor has a past epoch and is after the end of it: the log lost messages that the
    /// reader has. Their numbers went to other messages.
    TailLost,
}

impl ResetReason {
    /// Returns the name on the wire: `unknown-epoch`, `ahead-of-log` or `tail-lost`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownEpoch => "unknown-epoch",
            Self::AheadOfLog => "ahead-of-log",
            Self::TailLost => "tail-lost",
        }
    }
}
