//! The database fails at each step of a workload, in turn. What was acknowledged is there once and
//! in order, what was refused is not there, and of the rest nobody knows.

use std::collections::HashMap;
use std::sync::Arc;

use super::random::Rng;
use tidewire_channel::{Budget, Retention, Since};
use tidewire_store::{
    Answer, Append, AppendError, Batch, ChannelName, ChannelSettings, Create, CreateError, Failed, Fork,
    Message, Once, Opened, Outcome, ReadError, Refusal, Retain, Store,
};

use super::fixture::{OnDisk, TINY};
use crate::steps::{Fault, Step};
use crate::upkeep::Tuning;
use crate::{DiskOptions, SyncMode};

/// What a log may have.
#[derive(Clone, Debug, Default)]
struct Model {
    /// The texts of its messages, and whether they are surely there.
    messages: Vec<(String, Fate)>,
    /// Whether it may be there, or not, whatever its messages are.
    is_unknown: bool,
    exists: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    There,
    Unknown,
}

fn now<T>(answer: Answer<T>) -> T {
    answer.wait().expect("it answers")
}

fn name(text: &str) -> ChannelName {
    ChannelName::new(text).expect("good")
}

/// What a failure says.
fn outcome(failed: &Failed) -> Outcome {
    failed.outcome
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

struct World {
    disk: OnDisk,
    models: HashMap<&'static str, Model>,
    now_ms: u64,
    /// The number of requests so far.
    requests: usize,
}

impl World {
    fn append(&mut self, of: &'static str, texts: &[String], once: Once) {
        let messages = texts.iter().map(|text| Arc::new(Message::new(text.clone().into(), self.now_ms)));
        let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::All));
        let append = Append::new(self.now_ms, Batch::Many(messages.collect()), settings).with_once(once);
        let model = self.models.entry(of).or_default();
        match now(self.disk.disk().append(&name(of), append)) {
            Ok(_) => {
                model.exists = true;
                model.is_unknown = false;
                model.messages.extend(texts.iter().map(|text| (text.clone(), Fate::There)));
            }
            Err(AppendError::Refused(Refusal::NoRoom)) => {}
            Err(AppendError::Failed(failed)) if outcome(&failed) == Outcome::Failed => {}
            Err(AppendError::Failed(_)) => {
                model.is_unknown |= !model.exists;
                model.messages.extend(texts.iter().map(|text| (text.clone(), Fate::Unknown)));
            }
            // It has forks.
            Err(AppendError::Refused(Refusal::Deleted)) => assert!(!model.exists, "{of}: {model:?}"),
            Err(AppendError::Refused(refusal)) => panic!("{refusal}"),
        }
    }

    fn create(&mut self, of: &'static str, source: &'static str) {
        let shared = self.models.get(source).cloned().unwrap_or_default();
        let page = self.disk.disk().read(&name(source), Since::Now, Budget::messages(0), self.now_ms);
        let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::All));
        let mut create = Create::new(self.now_ms, settings);
        if let Ok(page) = now(page) {
            create = create.with_fork(Fork { source: name(source), at: page.cursor, bytes: 0 });
        }
        let is_fork = create.fork.is_some();
        let model = self.models.entry(of).or_default();
        let was_there = model.exists || model.is_unknown;
        match now(self.disk.disk().create(&name(of), create)) {
            Ok(created) => {
                assert!(!created.created || !model.exists);
                if created.created {
                    *model = if is_fork { shared } else { Model::default() };
                }
                (model.exists, model.is_unknown) = (true, false);
            }
            Err(CreateError::Failed(failed)) if outcome(&failed) == Outcome::Unknown => {
                if !was_there {
                    *model = if is_fork { shared } else { Model::default() };
                    (model.exists, model.is_unknown) = (false, true);
                }
            }
            Err(CreateError::NoRoom | CreateError::Failed(_)) => {}
            Err(CreateError::Exists) => assert!(was_there),
            Err(CreateError::Deleted) => assert!(!model.exists),
            Err(error) => panic!("{error}"),
        }
    }

    fn delete(&mut self, of: &'static str) {
        let model = self.models.entry(of).or_default();
        match now(self.disk.disk().delete(&name(of), self.now_ms)) {
            Ok(deleted) => {
                assert!(deleted == model.exists || model.is_unknown, "{of}: {model:?}");
                *model = Model::default();
            }
            Err(failed) if outcome(&failed) == Outcome::Failed => {}
            Err(_) => {
                model.is_unknown |= model.exists;
                model.exists = false;
            }
        }
    }

    /// All that was promised is true.
    fn check(&mut self, what: &str) {
        for (of, model) in &mut self.models {
            let page = now(self.disk.disk().read(&name(of), Since::Earliest, Budget::UNLIMITED, self.now_ms));
            let page = match page {
                Ok(page) => page,
                Err(ReadError::Absent { .. } | ReadError::Deleted | ReadError::SoftDeleted) => {
                    assert!(!model.exists, "{what}: {of} is not there: {model:?}");
                    *model = Model::default();
                    continue;
                }
                Err(error) => panic!("{what}: {of}: {error}"),
            };
            assert!(model.exists || model.is_unknown, "{what}: {of} is there: {model:?}");
            let mut read =
                page.messages.iter().map(|(_, message)| message.text().expect("a text")).peekable();
            let mut kept = Vec::new();
            for (text, fate) in &model.messages {
                if read.peek() == Some(&text.as_str()) {
                    read.next();
                    kept.push((text.clone(), Fate::There));
                } else {
                    assert_eq!(*fate, Fate::Unknown, "{what}: {of} has lost {text}: {page:?}");
                }
            }
            assert_eq!(read.next(), None, "{what}: {of} has a message that was refused: {model:?}");
            *model = Model { messages: kept, is_unknown: false, exists: true };
        }
    }
}

/// Makes requests. Those after a fault are refused, or carried out.
fn work(world: &mut World, rng: &mut Rng, requests: usize) {
    for _ in 0..requests {
        // No text and no producer is used twice.
        world.requests += 1;
        let request = world.requests;
        let of = NAMES[rng.below(NAMES.len())];
        match rng.below(12) {
            0..7 => {
                let texts: Vec<String> =
                    (0..1 + rng.below(3)).map(|number| format!("{of} {request} {number}")).collect();
                let id = format!("p{request}");
                let once = Once::Producer { id: id.into(), epoch: 0, seq: 0 };
                world.append(of, &texts, if rng.chance(30) { once } else { Once::No });
            }
            7 | 8 => world.create(of, NAMES[rng.below(NAMES.len())]),
            9 => world.delete(of),
            10 => drop(now(world.disk.disk().sweep(world.now_ms))),
            _ => {
                let opened = now(world.disk.disk().open(&name(of), world.now_ms)).expect("reads go on");
                let model = &world.models.entry(of).or_default();
                let is_there = matches!(opened, Opened::Log(_));
                assert!(model.is_unknown || is_there == model.exists, "{of}: {opened:?} {model:?}");
            }
        }
    }
}

/// Fails at this step, for some steps. Returns whether the workload came so far.
fn run(seed: u64, at: usize, count: usize, fault: Fault, tuning: Tuning) -> Option<Step> {
    let options = DiskOptions::DEFAULT.with_sync(SyncMode::Never);
    let disk = OnDisk::new(options, tuning);
    let made = disk.plan.lock().expect("no panic").made;
    disk.plan.lock().expect("no panic").fails = Some((made + at, count, fault));
    let mut world = World { disk, models: HashMap::new(), now_ms: 1_000, requests: 0 };
    let mut rng = Rng::new(seed);
    let what = format!("seed {seed}, step {at}, {count} {fault:?}");
    work(&mut world, &mut rng, 24);
    let failed = world.disk.plan.lock().expect("no panic").failed.first().copied();
    world.disk.plan.lock().expect("no panic").fails = None;
    if fault == Fault::Full {
        // There is room again. The writer tries it after a short time.
        let settings = Arc::new(ChannelSettings::DEFAULT);
        let message = Arc::new(Message::new("room".into(), 0));
        let append = || Append::new(world.now_ms, Batch::One(message.clone()), settings.clone());
        let sync_failed = failed == Some(Step::Sync);
        while !sync_failed && now(world.disk.disk().append(&name("room"), append())).is_err() {
            std::thread::yield_now();
        }
        if !sync_failed {
            world.check(&what);
            work(&mut world, &mut rng, 6);
        }
    }
    let crash = rng.chance(50);
    if crash {
        world.disk.crash(0);
    } else {
        drop(world.disk.disk().close());
        world.disk.forget();
    }
    world.disk.open();
    world.check(&what);
    work(&mut world, &mut rng, 6);
    world.check(&what);
    failed
}

#[test]
fn a_fault_at_each_step_breaks_no_promise() {
    for (seed, fault, count, tuning) in [
        (1, Fault::Full, 1, TINY),
        (2, Fault::Full, 9, Tuning { full_retry: TINY.full_retry, ..Tuning::DEFAULT }),
        (3, Fault::Io, 1, TINY),
        (4, Fault::Io, 1, Tuning::DEFAULT),
    ] {
        let mut failed = Vec::new();
        for at in 0.. {
            match run(seed, at, count, fault, tuning) {
                Some(step) if !failed.contains(&step) => failed.push(step),
                Some(_) => {}
                None => break,
            }
        }
        use Step::{Begin, Commit, Insert, Log, Sync};
        for step in [Begin, Insert, Log, Commit, Sync] {
            assert!(failed.contains(&step), "{step:?} has failed");
        }
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on() {
    let mut disk = OnDisk::new(DiskOptions::DEFAULT, Tuning::DEFAULT);
    let settings = Arc::new(
        ChannelSettings::DEFAULT.with_retain(Retain::Bounded(Retention::DEFAULT.with_max_messages(3))),
    );
    let append = |disk: &OnDisk, text: &str| {
        let message = Arc::new(Message::new(text.to_owned().into(), 0));
        now(disk.disk().append(&name("a"), Append::new(0, Batch::One(message), settings.clone())))
    };
    append(&disk, "one").expect("there is room");
    disk.plan.lock().expect("no panic").fails = Some((0, usize::MAX, Fault::Full));
    for _ in 0..3 {
        assert_eq!(append(&disk, "two"), Err(AppendError::Refused(Refusal::NoRoom)));
    }
    let read = |disk: &OnDisk| {
        let page = now(disk.disk().read(&name("a"), Since::Earliest, Budget::UNLIMITED, 0)).expect("a page");
        page.messages
            .iter()
            .map(|(_, message)| message.text().expect("a text").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(read(&disk), ["one"], "readers are undisturbed");
    assert!(matches!(now(disk.disk().open(&name("a"), 0)), Ok(Opened::Log(info)) if info.head == 1));
    assert!(matches!(now(disk.disk().open(&name("b"), 0)), Ok(Opened::Absent { .. })));
    disk.plan.lock().expect("no panic").fails = None;
    while append(&disk, "three").is_err() {
        std::thread::yield_now();
    }
    assert_eq!(read(&disk), ["one", "three"]);
    disk.close();
    disk.open();
    assert_eq!(read(&disk), ["one", "three"]);
}

#[test]
fn a_failed_sync_stops_all_changes_until_a_restart() {
    let mut disk = OnDisk::new(DiskOptions::DEFAULT, Tuning::DEFAULT);
    let append = |disk: &OnDisk, text: &str| {
        let message = Arc::new(Message::new(text.to_owned().into(), 0));
        now(disk.disk().append(&name("a"), Append::new(0, Batch::One(message), Arc::default())))
    };
    let first = append(&disk, "one").expect("it works");
    // Begin, insert, commit; then the sync.
    let made = disk.plan.lock().expect("no panic").made;
    disk.plan.lock().expect("no panic").fails = Some((made + 3, 1, Fault::Io));
    let failed = |result| match result {
        Err(AppendError::Failed(failed)) => outcome(&failed),
        other => panic!("{other:?}"),
    };
    assert_eq!(failed(append(&disk, "two")), Outcome::Unknown);
    assert_eq!(disk.plan.lock().expect("no panic").failed, [Step::Sync]);
    assert_eq!(failed(append(&disk, "three")), Outcome::Failed);
    let create = now(disk.disk().create(&name("b"), Create::new(0, Arc::default())));
    assert!(matches!(create, Err(CreateError::Failed(_))), "{create:?}");
    assert!(now(disk.disk().delete(&name("a"), 0)).is_err());
    assert!(now(disk.disk().sweep(0)).is_err() && now(disk.disk().touch(&name("a"), 0)).is_err());
    let page = now(disk.disk().read(&name("a"), Since::Earliest, Budget::UNLIMITED, 0)).expect("reads go on");
    assert_eq!((page.messages.len(), page.cursor), (1, first.cursor));
    assert!(matches!(now(disk.disk().open(&name("a"), 0)), Ok(Opened::Log(_))));
    assert!(disk.disk().close().is_err(), "it is not marked as closed in order");
    disk.forget();
    disk.open();
    assert!(!disk.disk().start_report().was_clean);
    append(&disk, "four").expect("it works again");
}
