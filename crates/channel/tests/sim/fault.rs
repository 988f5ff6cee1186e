//! Ways to lose messages that were found in other servers and their clients. The simulation must
//! find each of them. A check that never fails proves nothing.

/// One deliberate mistake. Everything else works correctly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A stream replays what it found first and then continues at the head. It loses messages that
    /// came during the replay.
    LiveFromHead,
    /// An unknown cursor counts as "from now on". The reader is not told.
    UnknownMeansNow,
    /// An unknown cursor replays everything that is kept. The reader is not told.
    UnknownMeansEverything,
    /// A cursor is searched among the oldest few messages only. If it is not there, everything is
    /// replayed.
    LooksFromTheWrongEnd,
    /// A poll whose time is up answers with the newest cursor, although a message came at the same
    /// moment.
    PollEndsAtHead,
    /// A reader that changes transports starts the new one "now", not where the old one was.
    SwitchStartsNow,
    /// After a restart, the new epoch is combined with the old number.
    NewEpochOldNumber,
    /// A reader whose messages were evicted is moved forward and not told.
    SilentEviction,
    /// A slow reader's messages are dropped when its socket is full.
    DropsForSlowReaders,
    /// A stream's greeting has the position after a gap that has not been told yet. If the
    /// connection is cut there, the reader never learns of the gap.
    HelloSkipsGap,
    /// The id is sent before its message. If the connection is cut between the two, the message is
    /// lost.
    IdBeforeMessage,
    /// A waiter is registered without a check whether a message came since the read.
    WaitsTooLate,
    /// The idempotency key of a retried publish is ignored.
    IgnoresKeys,
    /// A reader that leaves or joins a channel is put back to its earlier positions. Messages that
    /// were delivered meanwhile come again.
    PutsPositionsBack,
    /// A log that lost its newest messages counts on in the same epoch, and gives numbers twice.
    NewEpochSameNumber,
    /// A reader that has seen a lost tail continues at its number, and is not told.
    TailLostUntold,
    /// A reader takes the next number as the next message, whatever its epoch, from any feed. After
    /// a lost tail, a feed that lags has other messages with these numbers.
    TakesStaleTail,
    /// A closing append is told as the end, and then as a message.
    EndBeforeLastMessage,
    /// The end is told only after a message. A reader that was cut between the two waits for ever.
    EndLostAtCut,
    /// A publisher is answered before the store has promised to keep its message.
    AckBeforePromise,
    /// Readers get a message before the store has promised to keep it.
    SeenBeforePromise,
    /// The window takes messages in the order of the store's answers.
    WindowFollowsAnswers,
    /// An append whose answer was lost is carried out again when it is repeated.
    RetryAppendsTwiceAfterUnknown,
    /// A log that follows a deleted one descends from the position that every unwritten channel
    /// has. A reader there never learns of the deleted messages.
    DeletedLogResumes,
}

impl Fault {
    pub(crate) const ALL: [Self; 24] = [
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
        Self::NewEpochSameNumber,
        Self::TailLostUntold,
        Self::TakesStaleTail,
        Self::EndBeforeLastMessage,
        Self::EndLostAtCut,
        Self::AckBeforePromise,
        Self::SeenBeforePromise,
        Self::WindowFollowsAnswers,
        Self::RetryAppendsTwiceAfterUnknown,
        Self::DeletedLogResumes,
    ];
}
