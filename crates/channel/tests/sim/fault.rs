//! Ways to lose messages that other servers and their clients were found to have. The simulation
//! must find each of them: a law that nothing can break shows nothing.

/// One deliberate mistake. Everything else is done right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A stream goes live at the head as soon as it has replayed what it first found: what came
    /// meanwhile falls between.
    LiveFromHead,
    /// An unknown cursor is taken for "from now on", and nobody is told.
    UnknownMeansNow,
    /// An unknown cursor replays everything that is kept, and nobody is told.
    UnknownMeansEverything,
    /// A cursor is looked for among the oldest few messages only; when it is not there, everything
    /// is replayed.
    LooksFromTheWrongEnd,
    /// A poll whose time is up answers with the newest cursor, although a message has come in the
    /// same instant.
    PollEndsAtHead,
    /// Who switches transports starts the new one "now", not where the old one was.
    SwitchStartsNow,
    /// After a restart the new epoch is paired with the old number.
    NewEpochOldNumber,
    /// A reader whose messages were evicted is moved on without a word.
    SilentEviction,
    /// A slow reader's messages are dropped when its socket is full.
    DropsForSlowReaders,
    /// A stream's greeting carries the position after a gap that has not been told yet; a cut right
    /// there loses it.
    HelloSkipsGap,
    /// The id goes out before the message that it stands for; a cut between the two loses the
    /// message.
    IdBeforeMessage,
    /// A waiter is registered without looking whether something came since the read.
    WaitsTooLate,
    /// The idempotency key of a publish that is tried again is not looked at.
    IgnoresKeys,
    /// Who drops or takes up a channel is put back to the positions from before: what was delivered
    /// meanwhile comes again.
    PutsPositionsBack,
}

impl Fault {
    pub(crate) const ALL: [Self; 14] = [
        Self::LiveFromHead,
        Self::UnknownMeansNow,
        Self::UnknownMeansEverything,
        Self::LooksFromTheWrongEnd,
        Self::PollEndsAtHead,
        Self::SwitchStartsNow,
        Self::NewEpochOldNumber,
        Self::SilentEviction,
        Self::DropsForSlowReaders,
        Self::HelloSkipsGap,
        Self::IdBeforeMessage,
        Self::WaitsTooLate,
        Self::IgnoresKeys,
        Self::PutsPositionsBack,
    ];
}
