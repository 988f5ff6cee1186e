//! The same random requests to this store and to the one in memory have the same answers, through
//! restarts, with folds of all sizes.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use super::random::Rng;
use tidewire_channel::{Budget, Continuity, Cursor, Epoch, Fingerprint, Retention, Since};
use tidewire_store::suite::{Fixture, JournalStore, Loss};
use tidewire_store::{
    Answer, Append, AppendError, Batch, ChannelName, ChannelSettings, Create, CreateError, Expiry, Fork,
    Limits, LogInfo, Message, Once, Opened, Page, ReadError, Refusal, Retain, Store, UploadStep,
};

use super::fixture::{OnDisk, TINY};
use crate::upkeep::Tuning;
use crate::{DiskOptions, SyncMode};

/// Both stores, and which epoch of the one is which of the other.
struct Both {
    memory: JournalStore,
    disk: OnDisk,
    to_disk: HashMap<Epoch, Epoch>,
    to_memory: HashMap<Epoch, Epoch>,
    /// Positions that both have told, by name.
    told: HashMap<ChannelName, Vec<(Cursor, Cursor)>>,
    now_ms: u64,
    /// What happens, for the message of a failure.
    what: String,
}

impl Both {
    fn new(limits: Limits, tuning: Tuning) -> Self {
        let options = DiskOptions::DEFAULT.with_sync(SyncMode::Never).with_limits(limits);
        Self {
            memory: JournalStore::new(limits),
            disk: OnDisk::new(options, tuning),
            to_disk: HashMap::new(),
            to_memory: HashMap::new(),
            told: HashMap::new(),
            now_ms: 1_000_000,
            what: String::new(),
        }
    }

    fn restart(&mut self, loss: Loss) {
        self.memory = self.memory.restart(loss);
        assert!(self.disk.restart(loss));
    }

    fn equal<T: PartialEq + Debug>(&self, memory: &T, disk: &T) {
        assert_eq!(disk, memory, "{}", self.what);
    }

    fn cursor(&mut self, memory: Cursor, disk: Cursor) {
        self.equal(&memory.seq(), &disk.seq());
        let to_disk = *self.to_disk.entry(memory.epoch()).or_insert(disk.epoch());
        let to_memory = *self.to_memory.entry(disk.epoch()).or_insert(memory.epoch());
        self.equal(&to_disk, &disk.epoch());
        self.equal(&to_memory, &memory.epoch());
    }

    fn cursors(&mut self, name: &ChannelName, memory: Cursor, disk: Cursor) {
        self.cursor(memory, disk);
        let told = self.told.entry(name.clone()).or_default();
        if !told.contains(&(memory, disk)) {
            told.push((memory, disk));
        }
    }

    fn info(&mut self, name: &ChannelName, memory: &LogInfo, disk: &LogInfo) {
        let plain = |info: &LogInfo| {
            let past: Vec<u64> = info.lineage.past().iter().map(|(_, end)| *end).collect();
            let rest = (info.is_closed, info.upload_open, info.last_time_ms, info.settings.clone());
            (info.head, info.earliest, past, rest)
        };
        self.equal(&plain(memory), &plain(disk));
        let past = memory.lineage.past().iter().zip(disk.lineage.past());
        for (&(memory, end), &(disk, _)) in past {
            self.cursors(name, Cursor::new(memory, end), Cursor::new(disk, end));
        }
        self.cursors(name, memory.lineage.end(memory.head), disk.lineage.end(disk.head));
        self.cursors(name, memory.earliest_cursor(), disk.earliest_cursor());
    }

    fn continuity(&mut self, memory: Continuity, disk: Continuity) {
        match (memory, disk) {
            (Continuity::Gap { from, to, missed }, Continuity::Gap { from: f, to: t, missed: m }) => {
                self.cursor(from, f);
                self.cursor(to, t);
                self.equal(&missed, &m);
            }
            (Continuity::Reset { reason, to }, Continuity::Reset { reason: r, to: t }) => {
                self.equal(&reason, &r);
                self.cursor(to, t);
            }
            (memory, disk) => self.equal(&memory, &disk),
        }
    }

    fn page(&mut self, name: &ChannelName, memory: &Page, disk: &Page) {
        self.info(name, &memory.info, &disk.info);
        self.continuity(memory.continuity, disk.continuity);
        let texts =
            |page: &Page| page.messages.iter().map(|(_, message)| message.clone()).collect::<Vec<_>>();
        self.equal(&texts(memory), &texts(disk));
        self.equal(&memory.more, &disk.more);
        self.cursors(name, memory.start, disk.start);
        self.cursors(name, memory.cursor, disk.cursor);
        for (memory, disk) in memory.messages.iter().zip(&disk.messages) {
            self.cursors(name, memory.0, disk.0);
        }
    }

    fn open(&mut self, name: &ChannelName) {
        let memory = now(self.memory.open(name, self.now_ms)).expect("open");
        let disk = now(self.disk.disk().open(name, self.now_ms)).expect("open");
        match (memory, disk) {
            (Opened::Absent { start }, Opened::Absent { start: other }) => self.cursors(name, start, other),
            (Opened::Deleted, Opened::Deleted) | (Opened::SoftDeleted, Opened::SoftDeleted) => {}
            (Opened::Log(memory), Opened::Log(disk)) => self.info(name, &memory, &disk),
            (memory, disk) => panic!("{}: {memory:?}, {disk:?}", self.what),
        }
    }

    fn append(&mut self, name: &ChannelName, append: Append) {
        let is_empty = append.messages.as_slice().is_empty();
        let memory = now(self.memory.append(name, append.clone()));
        let disk = now(self.disk.disk().append(name, append));
        match (memory, disk) {
            (Ok(memory), Ok(disk)) => {
                self.cursors(name, memory.after, disk.after);
                self.cursors(name, memory.cursor, disk.cursor);
                self.equal(&memory.end.map(Cursor::seq), &disk.end.map(Cursor::seq));
                self.equal(&memory.duplicate, &disk.duplicate);
                if !memory.duplicate && !is_empty {
                    self.equal(&memory.earliest, &disk.earliest);
                }
            }
            (Err(AppendError::Refused(memory)), Err(AppendError::Refused(disk))) => match (memory, disk) {
                (Refusal::Closed { end }, Refusal::Closed { end: other }) => self.cursor(end, other),
                (memory, disk) => self.equal(&memory, &disk),
            },
            (memory, disk) => panic!("{}: {memory:?}, {disk:?}", self.what),
        }
    }

    fn read(&mut self, name: &ChannelName, since: (Since, Since), budget: Budget) {
        let memory = now(self.memory.read(name, since.0, budget, self.now_ms));
        let disk = now(self.disk.disk().read(name, since.1, budget, self.now_ms));
        match (memory, disk) {
            (Ok(memory), Ok(disk)) => self.page(name, &memory, &disk),
            (Err(ReadError::Absent { start }), Err(ReadError::Absent { start: other })) => {
                self.cursors(name, start, other);
            }
            (Err(memory), Err(disk)) => self.equal(&memory, &disk),
            (memory, disk) => panic!("{}: {memory:?}, {disk:?}", self.what),
        }
    }

    fn create(
        &mut self,
        name: &ChannelName,
        create: Create,
        at: Option<(ChannelName, Cursor, Cursor, usize)>,
    ) {
        // It tells what there is, and evicts nothing. A read does.
        self.read(name, (Since::Now, Since::Now), Budget::messages(0));
        let (mut memory, mut disk) = (create.clone(), create);
        if let Some((source, at, other, bytes)) = at {
            memory = memory.with_fork(Fork { source: source.clone(), at, bytes });
            disk = disk.with_fork(Fork { source, at: other, bytes });
        }
        let memory = now(self.memory.create(name, memory));
        let disk = now(self.disk.disk().create(name, disk));
        match (memory, disk) {
            (Ok(memory), Ok(disk)) => {
                self.equal(&memory.created, &disk.created);
                self.cursors(name, memory.cursor, disk.cursor);
                self.info(name, &memory.info, &disk.info);
            }
            (Err(memory), Err(disk)) => {
                assert!(!matches!(disk, CreateError::Failed(_)), "{}: {disk:?}", self.what);
                self.equal(&memory, &disk);
            }
            (memory, disk) => panic!("{}: {memory:?}, {disk:?}", self.what),
        }
    }

    fn touch(&mut self, name: &ChannelName) {
        now(self.memory.touch(name, self.now_ms)).expect("touch");
        now(self.disk.disk().touch(name, self.now_ms)).expect("touch");
    }

    fn sweep(&mut self) {
        let swept = |store: &dyn Store| {
            let mut expired = Vec::new();
            loop {
                let swept = now(store.sweep(self.now_ms)).expect("sweep");
                expired.extend(swept.expired);
                if !swept.more {
                    expired.sort();
                    return expired;
                }
            }
        };
        let (memory, disk) = (swept(&self.memory), swept(&**self.disk.disk()));
        self.equal(&memory, &disk);
    }
}

fn now<T>(answer: Answer<T>) -> T {
    answer.wait().expect("it answers")
}

const NAMES: [&str; 7] = ["a", "b", "c", "d/1", "d/2", "e", "f"];

/// A crash may forget a tenth of the use of a log: then no log expires by its use.
fn settings(rng: &mut Rng, crashes: bool) -> Arc<ChannelSettings> {
    let weight = Message::new("".into(), 0).weight();
    let retain = match rng.below(5) {
        0 => Retain::All,
        1 => Retain::Bounded(Retention::DEFAULT.with_max_messages(1 + rng.below(6)).with_max_age_ms(None)),
        2 => Retain::Bounded(Retention::DEFAULT.with_max_bytes(rng.below(8 * weight)).with_max_age_ms(None)),
        3 => Retain::Bounded(Retention::DEFAULT.with_max_age_ms(Some(100))),
        _ => Retain::Bounded(
            Retention::DEFAULT
                .with_max_messages(1 + rng.below(9))
                .with_max_age_ms(Some(50 + rng.below(300) as u64)),
        ),
    };
    let settings = ChannelSettings::DEFAULT.with_retain(retain);
    Arc::new(match rng.below(8) {
        0 if !crashes => settings.with_expiry(Some(Expiry::Sliding { ms: 300 })),
        1 => settings.with_expiry(Some(Expiry::At { ms: 1_000_500 + rng.below(3_000) as u64 })),
        2 => settings.with_content_type(Some("text/plain".into())),
        _ => settings,
    })
}

fn batch(rng: &mut Rng, now_ms: u64, step: usize, least: usize) -> Batch {
    let message = |rng: &mut Rng, number: usize| {
        let text = format!("{step}.{number}{}", "x".repeat(rng.below(200)));
        let message = Message::new(text.into(), now_ms);
        let message = if rng.chance(20) { message.with_event("tide").expect("good") } else { message };
        Arc::new(if rng.chance(10) { message.with_content_type("text/css").expect("good") } else { message })
    };
    match least + rng.below(4) {
        0 => Batch::None,
        1 => Batch::One(message(rng, 0)),
        count => Batch::Many((0..count).map(|number| message(rng, number)).collect()),
    }
}

fn once(rng: &mut Rng) -> Once {
    match rng.below(6) {
        0 => {
            let (text, hash) = (format!("k{}", rng.below(4)), rng.below(2) as u8);
            Once::Key { text: text.into_bytes().into(), fingerprint: Fingerprint([hash; 16]) }
        }
        1 => Once::Producer {
            id: format!("p{}", rng.below(3)).into(),
            epoch: rng.below(2) as u64,
            seq: rng.below(3) as u64,
        },
        _ => Once::No,
    }
}

fn tuning(rng: &mut Rng) -> Tuning {
    match rng.below(4) {
        0 => Tuning::DEFAULT,
        1 => TINY,
        2 => Tuning { fold_messages: 5, run: 3, ..Tuning::DEFAULT },
        _ => Tuning { fold_messages: 12, run: 4, step_messages: 2, step_deletes: 2, ..Tuning::DEFAULT },
    }
}

fn run(seed: u64, steps: usize) {
    let mut rng = Rng::new(seed);
    // The disk does not know of the use of a producer that has only repeated its last request.
    let channel = tidewire_channel::Limits::DEFAULT.with_key_age_ms(400);
    let limits = Limits::DEFAULT
        .with_max_kept_bytes(usize::MAX)
        .with_max_logs(6)
        .with_deleted_ms(150)
        .with_channel(channel);
    let tuning = tuning(&mut rng);
    let crashes = rng.chance(50);
    let mut both = Both::new(limits, tuning);
    for step in 0..steps {
        if rng.chance(60) {
            both.now_ms += rng.below(30) as u64;
        }
        let name = ChannelName::new(NAMES[rng.below(NAMES.len())]).expect("good");
        let what = rng.below(100);
        both.what = format!("seed {seed}, step {step}, {name}, {what}, {tuning:?}");
        let (now_ms, told) = (both.now_ms, both.told.get(&name).cloned().unwrap_or_default());
        match what {
            0..40 => {
                let mut append =
                    Append::new(now_ms, batch(&mut rng, now_ms, step, 0), settings(&mut rng, crashes))
                        .with_once(once(&mut rng));
                if rng.chance(5) {
                    append = append.with_stream_seq(Some(format!("s{}", rng.below(9)).into()));
                }
                if rng.chance(3) {
                    append = append.closing();
                }
                if rng.chance(10) {
                    let step = *rng.pick(&[UploadStep::Piece, UploadStep::Mark]);
                    append = append.with_upload(step);
                }
                both.append(&name, append);
            }
            40..60 => {
                let since = match (rng.below(3), told.is_empty()) {
                    (0, _) => (Since::Earliest, Since::Earliest),
                    (1, false) | (2, false) => {
                        let (memory, disk) = *rng.pick(&told);
                        (memory.into(), disk.into())
                    }
                    _ => (Since::Now, Since::Now),
                };
                let budget = match rng.below(3) {
                    0 => Budget::UNLIMITED,
                    1 => Budget::messages(rng.below(4)),
                    _ => Budget::bytes(rng.below(900)),
                };
                both.read(&name, since, budget);
            }
            60..66 => both.open(&name),
            66..76 => {
                let mut create = Create::new(now_ms, settings(&mut rng, crashes));
                if rng.chance(30) {
                    create = create.with_messages(batch(&mut rng, now_ms, step, 0));
                }
                if rng.chance(5) {
                    create = create.closing();
                }
                let source = ChannelName::new(NAMES[rng.below(NAMES.len())]).expect("good");
                let at = both.told.get(&source).cloned().unwrap_or_default();
                let fork = (rng.chance(70) && !at.is_empty()).then(|| {
                    let (memory, disk) = *rng.pick(&at);
                    (source, memory, disk, if rng.chance(30) { rng.below(20) } else { 0 })
                });
                if fork.is_some() {
                    // If a source and its fork expire at once, their order decides what is told.
                    let settings = (*create.settings).clone().with_expiry(None);
                    create.settings = Arc::new(settings);
                }
                both.create(&name, create, fork);
            }
            76..82 => {
                let memory = now(both.memory.delete(&name, now_ms)).expect("delete");
                let disk = now(both.disk.disk().delete(&name, now_ms)).expect("delete");
                both.equal(&memory, &disk);
            }
            82..86 => {
                both.memory.release(&name, now_ms);
                both.disk.disk().release(&name, now_ms);
                // It has no answer. What comes after it in the queue has one.
                let nobody = ChannelName::new("nobody").expect("good");
                now(both.disk.disk().touch(&nobody, now_ms)).expect("touch");
            }
            86..90 if !crashes => both.touch(&name),
            90..94 => both.sweep(),
            94 | 95 => both.restart(if crashes { Loss::Tail(0) } else { Loss::Nothing }),
            96 if rng.chance(30) => both.now_ms += 500,
            _ => {}
        }
    }
    for name in NAMES {
        let name = ChannelName::new(name).expect("good");
        both.what = format!("seed {seed}, at the end, {name}");
        both.read(&name, (Since::Earliest, Since::Earliest), Budget::UNLIMITED);
    }
    for name in NAMES {
        let name = ChannelName::new(name).expect("good");
        now(both.disk.disk().delete(&name, both.now_ms)).expect("delete");
    }
    both.disk.is_empty_at_the_end();
}

#[test]
fn it_answers_as_the_store_in_memory_does() {
    (0..100).for_each(|seed| run(seed, 250));
}
