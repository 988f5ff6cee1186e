//! The suite finds mistakes: each is made by a store that changes requests or answers on their way.

use std::panic;
use std::sync::Arc;

use tidewire_channel::{Budget, Continuity, Cursor, Epoch, ResetReason, Since};
use tidewire_store::suite::{Fixture, JournalStore, Loss, run_case};
use tidewire_store::*;

use super::{InMemory, ReadResult, in_memory};

/// A mistake that a store can make.
#[derive(Clone, Copy, Debug)]
enum Mistake {
    AnswersBeforeItKeeps,
    OpenCreates,
    ForgetsKeys,
    ForgetsProducers,
    ForgetsTheStreamSequence,
    LeavesLogsOpen,
    AppendsPartsOfBatches,
    HidesGaps,
    HidesLostTails,
    IgnoresBudgets,
    ForgetsUploads,
    ForgetsDeletions,
    FreesNamesOfSourcesEarly,
    ForksAtTheHead,
    ForksWithoutTheRest,
    IgnoresUse,
    ExpiresWithoutTelling,
    EvictsWhatItShouldKeep,
    AcceptsOtherSettings,
}

/// Each mistake, with a case that finds it.
const FOUND: [(Mistake, &str); 19] = [
    (Mistake::AnswersBeforeItKeeps, "messages_are_numbered_and_kept_in_order"),
    (Mistake::OpenCreates, "a_channel_that_was_never_written_has_a_position"),
    (Mistake::ForgetsKeys, "a_key_makes_a_repetition_a_duplicate"),
    (Mistake::ForgetsProducers, "publishers_under_random_faults_publish_once"),
    (Mistake::ForgetsTheStreamSequence, "a_stream_sequence_increases"),
    (Mistake::LeavesLogsOpen, "a_closed_log_has_an_end"),
    (Mistake::AppendsPartsOfBatches, "what_a_lost_append_left_is_lost"),
    (Mistake::HidesGaps, "a_reader_resumes_at_every_position"),
    (Mistake::HidesLostTails, "a_lost_tail_is_told_to_those_who_had_seen_it"),
    (Mistake::IgnoresBudgets, "a_budget_ends_a_read"),
    (Mistake::ForgetsUploads, "an_upload_is_open_after_a_crash"),
    (Mistake::ForgetsDeletions, "a_deleted_log_is_remembered"),
    (Mistake::FreesNamesOfSourcesEarly, "a_fork_outlives_its_source"),
    (Mistake::ForksAtTheHead, "a_fork_begins_with_the_messages_of_its_source"),
    (Mistake::ForksWithoutTheRest, "a_fork_begins_inside_a_message"),
    (Mistake::IgnoresUse, "a_log_that_was_not_used_expires"),
    (Mistake::ExpiresWithoutTelling, "a_log_expires_at_its_time"),
    (Mistake::EvictsWhatItShouldKeep, "a_log_that_keeps_all_is_never_evicted"),
    (Mistake::AcceptsOtherSettings, "a_creation_can_be_repeated"),
];

#[test]
fn the_suite_finds_mistakes() {
    for (mistake, case) in FOUND {
        let found = panic::catch_unwind(|| run_case(case, &mut Mistaken { memory: in_memory(), mistake }));
        assert!(found.is_err(), "{case} does not find a store that {mistake:?}");
    }
}

/// A store in memory that makes a mistake.
#[derive(Clone, Debug)]
struct Mistaken {
    memory: InMemory,
    mistake: Mistake,
}

impl Fixture for Mistaken {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.clone())
    }

    fn restart(&mut self, loss: Loss) -> bool {
        self.memory.restart(loss)
    }

    fn limits(&self) -> tidewire_channel::Limits {
        self.memory.limits()
    }

    fn room(&self) -> Option<usize> {
        self.memory.room()
    }
}

impl Mistaken {
    fn logs(&self) -> &JournalStore {
        &self.memory.0
    }

    /// Settings as the store takes them.
    fn settings(&self, settings: Arc<ChannelSettings>) -> Arc<ChannelSettings> {
        match self.mistake {
            Mistake::EvictsWhatItShouldKeep => Arc::default(),
            _ => settings,
        }
    }
}

impl Store for Mistaken {
    fn open(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<Opened, Failed>> {
        if matches!(self.mistake, Mistake::OpenCreates) {
            drop(self.logs().create(name, Create::new(now_ms, Arc::default())));
        }
        let mistake = self.mistake;
        self.logs().open(name, now_ms).map(move |opened| match (mistake, opened) {
            (Mistake::ForgetsDeletions, Ok(Opened::Deleted))
            | (Mistake::FreesNamesOfSourcesEarly, Ok(Opened::SoftDeleted)) => {
                Ok(Opened::Absent { start: Cursor::new(Epoch::new(7), 0) })
            }
            (_, opened) => opened,
        })
    }

    fn release(&self, name: &ChannelName, now_ms: u64) {
        self.logs().release(name, now_ms);
    }

    fn append(&self, name: &ChannelName, mut append: Append) -> Answer<Result<Appended, AppendError>> {
        append.settings = self.settings(append.settings);
        match (self.mistake, &append.once) {
            (Mistake::AnswersBeforeItKeeps, _) if append.messages.as_slice().len() > 1 => {
                append.messages = Batch::One(append.messages.as_slice()[0].clone());
            }
            (Mistake::AppendsPartsOfBatches, _) if append.messages.as_slice().len() > 1 => {
                let first = Batch::One(append.messages.as_slice()[0].clone());
                let settings = append.settings.clone();
                drop(self.logs().append(name, Append::new(append.now_ms, first, settings)));
                append.messages = Batch::Many(append.messages.as_slice()[1..].to_vec());
            }
            (Mistake::ForgetsKeys, Once::Key { .. }) | (Mistake::ForgetsProducers, Once::Producer { .. }) => {
                append.once = Once::No;
            }
            (Mistake::ForgetsTheStreamSequence, _) => append.stream_seq = None,
            (Mistake::LeavesLogsOpen, _) => append.close = false,
            (Mistake::ForgetsUploads, _) => append.upload = UploadStep::No,
            _ => {}
        }
        self.logs().append(name, append)
    }

    fn read(&self, name: &ChannelName, since: Since, budget: Budget, now_ms: u64) -> Answer<ReadResult> {
        let mistake = self.mistake;
        let budget = if matches!(mistake, Mistake::IgnoresBudgets) { Budget::UNLIMITED } else { budget };
        self.logs().read(name, since, budget, now_ms).map(move |page| {
            let mut page = page?;
            match (mistake, page.continuity) {
                (Mistake::HidesGaps, Continuity::Gap { .. })
                | (Mistake::HidesLostTails, Continuity::Reset { reason: ResetReason::TailLost, .. }) => {
                    page.continuity = Continuity::Resumed;
                }
                _ => {}
            }
            Ok(page)
        })
    }

    fn create(&self, name: &ChannelName, mut create: Create) -> Answer<Result<Created, CreateError>> {
        create.settings = self.settings(create.settings);
        if let Some(fork) = &mut create.fork {
            match self.mistake {
                Mistake::ForksWithoutTheRest => fork.bytes = 0,
                Mistake::ForksAtTheHead => {
                    let head = self.logs().read(&fork.source, Since::Now, Budget::UNLIMITED, create.now_ms);
                    fork.at = head.wait().unwrap().unwrap().cursor;
                }
                _ => {}
            }
        }
        let now_ms = create.now_ms;
        match (self.mistake, self.logs().create(name, create).wait().unwrap()) {
            (Mistake::AcceptsOtherSettings, Err(CreateError::Exists)) => {
                let page = self.logs().read(name, Since::Now, Budget::UNLIMITED, now_ms).wait().unwrap();
                Answer::Now(Ok(Created::new(false, page.unwrap().info)))
            }
            (_, created) => Answer::Now(created),
        }
    }

    fn delete(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<bool, Failed>> {
        self.logs().delete(name, now_ms)
    }

    fn touch(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<(), Failed>> {
        match self.mistake {
            Mistake::IgnoresUse => Answer::Now(Ok(())),
            _ => self.logs().touch(name, now_ms),
        }
    }

    fn sweep(&self, now_ms: u64) -> Answer<Result<Swept, Failed>> {
        let swept = self.logs().sweep(now_ms).wait().unwrap().unwrap();
        Answer::Now(Ok(match self.mistake {
            Mistake::ExpiresWithoutTelling => Swept { expired: vec![], ..swept },
            _ => swept,
        }))
    }
}
