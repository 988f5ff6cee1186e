//! The store in memory passes the suite, and the suite finds mistakes.

use std::sync::{Arc, mpsc};
use std::{panic, thread};

use tidewire_channel::{Budget, Continuity, Cursor, Epoch, ResetReason, Since};
use tidewire_store::suite::{Fixture, JournalStore, Loss, run_case};
use tidewire_store::*;

/// A store in memory that is started again from its journal.
#[derive(Clone, Debug)]
struct InMemory(Arc<JournalStore>);

const ROOM: usize = 400_000;

fn limits() -> Limits {
    let channel = tidewire_channel::Limits::DEFAULT.with_max_keys(4).with_max_producers(4);
    Limits::DEFAULT.with_channel(channel).with_max_kept_bytes(ROOM).with_max_logs(1_000)
}

fn in_memory() -> InMemory {
    InMemory(Arc::new(JournalStore::new(limits())))
}

impl Fixture for InMemory {
    fn store(&self) -> Arc<dyn Store> {
        self.0.clone()
    }

    fn restart(&mut self, loss: Loss) -> bool {
        self.0 = Arc::new(self.0.restart(loss));
        true
    }

    fn limits(&self) -> tidewire_channel::Limits {
        limits().channel
    }

    fn room(&self) -> Option<usize> {
        Some(ROOM)
    }
}

mod at_once {
    tidewire_store::store_suite!(super::in_memory);
}

mod later {
    tidewire_store::store_suite!(|| super::Queued::new(super::in_memory()));
}

/// The same store, whose changes are made by a thread of its own, as in the README.
#[derive(Debug)]
struct Queued {
    memory: InMemory,
    queue: Arc<Queue>,
}

#[derive(Debug)]
struct Queue {
    logs: Arc<JournalStore>,
    work: mpsc::Sender<Box<dyn FnOnce() + Send>>,
}

impl Queued {
    fn new(memory: InMemory) -> Self {
        let (work, jobs) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        thread::spawn(move || jobs.into_iter().for_each(|job| job()));
        let queue = Arc::new(Queue { logs: memory.0.clone(), work });
        Self { memory, queue }
    }
}

impl Queue {
    fn queue<T: Send + 'static>(
        &self,
        change: impl FnOnce(&JournalStore) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let (responder, later) = later();
        let logs = self.logs.clone();
        drop(self.work.send(Box::new(move || change(&logs).pass_to(responder))));
        Answer::Later(later)
    }
}

impl Fixture for Queued {
    fn store(&self) -> Arc<dyn Store> {
        self.queue.clone()
    }

    fn restart(&mut self, loss: Loss) -> bool {
        self.memory.restart(loss);
        *self = Self::new(InMemory(self.memory.0.clone()));
        true
    }

    fn limits(&self) -> tidewire_channel::Limits {
        self.memory.limits()
    }

    fn room(&self) -> Option<usize> {
        self.memory.room()
    }
}

impl Store for Queue {
    fn open(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<Opened, Failed>> {
        let name = name.clone();
        self.queue(move |logs| logs.open(&name, now_ms))
    }

    fn release(&self, name: &ChannelName, now_ms: u64) {
        self.logs.release(name, now_ms);
    }

    fn append(&self, name: &ChannelName, append: Append) -> Answer<Result<Appended, AppendError>> {
        let name = name.clone();
        self.queue(move |logs| logs.append(&name, append))
    }

    fn read(&self, name: &ChannelName, since: Since, budget: Budget, now_ms: u64) -> Answer<ReadResult> {
        let name = name.clone();
        self.queue(move |logs| logs.read(&name, since, budget, now_ms))
    }

    fn create(&self, name: &ChannelName, create: Create) -> Answer<Result<Created, CreateError>> {
        let name = name.clone();
        self.queue(move |logs| logs.create(&name, create))
    }

    fn delete(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<bool, Failed>> {
        let name = name.clone();
        self.queue(move |logs| logs.delete(&name, now_ms))
    }

    fn touch(&self, name: &ChannelName, now_ms: u64) -> Answer<Result<(), Failed>> {
        let name = name.clone();
        self.queue(move |logs| logs.touch(&name, now_ms))
    }

    fn sweep(&self, now_ms: u64) -> Answer<Result<Swept, Failed>> {
        self.queue(move |logs| logs.sweep(now_ms))
    }
}

type ReadResult = Result<Page, ReadError>;

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
