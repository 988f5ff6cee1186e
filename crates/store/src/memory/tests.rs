use std::thread;

use tidewire_channel::{Continuity, Retention};

use super::*;
use crate::append::{Batch, Once, UploadStep};
use crate::message::Message;
use crate::settings::{ChannelSettings, Retain};
use crate::suite::Random;

fn name(text: &str) -> ChannelName {
    ChannelName::new(text).unwrap()
}

fn message(text: &'static str) -> Arc<Message> {
    Arc::new(Message::new(text.into(), 0))
}

fn one(text: &'static str) -> Append {
    Append::new(0, Batch::One(message(text)), Arc::default())
}

fn texts(store: &MemoryStore, name: &ChannelName, since: Since) -> Vec<String> {
    let page = store.read_now(name, since, Budget::UNLIMITED, 0).unwrap();
    page.messages.iter().map(|(_, message)| message.text().unwrap().to_owned()).collect()
}

#[test]
fn a_channel_that_was_never_written_has_no_log() {
    let store = MemoryStore::new(Limits::DEFAULT);
    for number in 0..1_000 {
        store.open_now(&name(&format!("c{number}")), 0);
    }
    assert_eq!(store.logs(), 0);
    let refused = store.append_now(&name("a"), &Append::new(0, Batch::None, Arc::default()));
    assert_eq!((refused, store.logs()), (Err(Refusal::Empty), 0), "a refused append creates nothing");
}

#[test]
fn a_forgotten_log_has_another_start() {
    let store = MemoryStore::new(Limits::DEFAULT);
    let Opened::Absent { start } = store.open_now(&name("a"), 0) else { panic!() };
    assert_eq!(store.append_now(&name("a"), &one("x")).unwrap().after, start);
    let hour = 60 * 60 * 1_000;
    assert_eq!(store.sweep_now(hour), Swept { expired: vec![], more: false });
    assert_eq!(store.logs(), 1, "it is in use");
    store.release_now(&name("a"), hour);
    assert_eq!(store.logs(), 0);
    let Opened::Absent { start: again } = store.open_now(&name("a"), hour) else { panic!() };
    assert_ne!(again, start);
    store.append_now(&name("a"), &one("y")).unwrap();
    let page = store.read_now(&name("a"), start.into(), Budget::UNLIMITED, hour).unwrap();
    assert!(matches!(page.continuity, Continuity::Reset { .. }), "{page:?}");
}

#[test]
fn a_fork_shares_messages_and_gives_their_room_back() {
    let store = MemoryStore::new(Limits::DEFAULT);
    let all = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::All));
    let (source, fork) = (name("source"), name("fork"));
    store.create_now(&source, &Create::new(0, all.clone())).unwrap();
    let mut at = Vec::new();
    for text in ["one", "two", "three"] {
        at.push(store.append_now(&source, &one(text)).unwrap().cursor);
    }
    let used = store.kept_bytes();
    let create = Create::new(0, all.clone()).with_fork(Fork { source: source.clone(), at: at[1], bytes: 2 });
    assert!(store.create_now(&fork, &create).unwrap().created);
    assert!(!store.create_now(&fork, &create).unwrap().created);
    store.append_now(&source, &one("four")).unwrap();
    store.append_now(&fork, &one("other")).unwrap();
    assert_eq!(texts(&store, &fork, Since::Earliest), ["one", "two", "th", "other"]);
    assert_eq!(texts(&store, &fork, at[0].into()), ["two", "th", "other"]);
    assert_eq!(texts(&store, &source, Since::Earliest), ["one", "two", "three", "four"]);
    let own = store.kept_bytes() - used;
    assert_eq!(own, message("th").weight() + message("other").weight() + message("four").weight());
    assert!(store.delete_if(&source, 0, |_| true));
    assert!(matches!(store.open_now(&source, 0), Opened::SoftDeleted));
    assert_eq!(texts(&store, &fork, Since::Earliest), ["one", "two", "th", "other"]);
    assert!(store.delete_if(&fork, 0, |_| true));
    assert_eq!((store.logs(), store.kept_bytes()), (0, 0));
}

#[test]
fn the_room_of_logs_that_keep_all_is_bounded() {
    let weight = message("x").weight();
    let store = MemoryStore::new(Limits::DEFAULT.with_max_kept_bytes(2 * weight));
    let all = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::All));
    let once = |n: u8| Once::Producer { id: "p".into(), epoch: 0, seq: u64::from(n) };
    let append =
        |n| store.append_now(&name("a"), &Append { settings: all.clone(), ..one("x") }.with_once(once(n)));
    assert!(append(0).is_ok() && append(1).is_ok());
    assert_eq!(append(2), Err(Refusal::NoRoom));
    assert!(append(1).unwrap().duplicate, "a repetition needs no room");
    assert_eq!(texts(&store, &name("a"), Since::Earliest).len(), 2, "nothing was evicted");
    store.delete_if(&name("a"), 0, |_| true);
    assert_eq!(store.kept_bytes(), 0);
}

#[test]
fn the_number_of_logs_is_bounded() {
    let store = MemoryStore::new(Limits::DEFAULT.with_max_logs(2));
    let cursor = store.append_now(&name("a"), &one("x")).unwrap().cursor;
    store.append_now(&name("b"), &one("x")).unwrap();
    assert_eq!(store.append_now(&name("c"), &one("x")), Err(Refusal::TooManyLogs(2)));
    let fork = Fork { source: name("a"), at: cursor, bytes: 0 };
    let create = Create::new(0, Arc::default());
    for create in [create.clone(), create.with_fork(fork)] {
        let refused = store.create_now(&name("c"), &create);
        assert!(matches!(refused, Err(CreateError::TooManyLogs(2))), "{refused:?}");
    }
    assert!(store.append_now(&name("a"), &one("x")).is_ok());
    store.delete_if(&name("a"), 0, |_| true);
    assert!(matches!(store.open_now(&name("a"), 0), Opened::Deleted), "the refused fork does not keep it");
    assert!(store.append_now(&name("c"), &one("x")).is_ok());
}

#[test]
fn a_fork_without_room_does_not_keep_its_source() {
    let store = MemoryStore::new(Limits::DEFAULT.with_max_kept_bytes(message("xy").weight()));
    let start = store.append_now(&name("a"), &one("xy")).unwrap().after;
    let fork = Fork { source: name("a"), at: start, bytes: 1 };
    let all = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::All));
    let refused = store.create_now(&name("fork"), &Create::new(0, all).with_fork(fork));
    assert!(matches!(refused, Err(CreateError::NoRoom)), "{refused:?}");
    store.delete_if(&name("a"), 0, |_| true);
    assert!(matches!(store.open_now(&name("a"), 0), Opened::Deleted));
    assert_eq!((store.logs(), store.kept_bytes()), (0, 0));
    // Messages of a log that evicts are shared only if there is room for them.
    store.append_now(&name("b"), &one("long enough")).unwrap();
    let Opened::Log(info) = store.open_now(&name("b"), 0) else { panic!() };
    let fork = Fork { source: name("b"), at: info.head_cursor(), bytes: 0 };
    let refused = store.create_now(&name("fork"), &Create::new(0, Arc::default()).with_fork(fork));
    assert!(matches!(refused, Err(CreateError::NoRoom)), "{refused:?}");
}

#[test]
fn deleted_names_are_remembered_within_limits() {
    let store = MemoryStore::new(Limits::DEFAULT.with_max_deleted(2).with_deleted_ms(100));
    let delete = |text, now_ms| {
        store.append_now(&name(text), &one("x")).unwrap();
        assert!(store.delete_if(&name(text), now_ms, |_| true));
    };
    let is_deleted = |text, now_ms| matches!(store.open_now(&name(text), now_ms), Opened::Deleted);
    delete("a", 0);
    delete("a", 50);
    assert!(is_deleted("a", 120), "it was deleted again later");
    delete("b", 120);
    assert!(is_deleted("a", 149) && !is_deleted("a", 150));
    delete("c", 130);
    delete("d", 130);
    assert_eq!(["b", "c", "d"].map(|text| is_deleted(text, 130)), [false, true, true]);
    store.sweep_now(230);
    assert!(!format!("{:?}", store.names()).contains("\"d\""), "a sweep frees their memory");
    // A name that was written again is not deleted, also when its new log is forgotten.
    delete("e", 300);
    let retention = Retention::DEFAULT.with_max_age_ms(Some(5));
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention)));
    store.append_now(&name("e"), &Append { settings, now_ms: 300, ..one("x") }).unwrap();
    store.release_now(&name("e"), 310);
    assert_eq!(store.logs(), 0);
    assert!(!is_deleted("e", 310));
}

#[test]
fn the_store_takes_a_new_epoch_when_it_cannot_count_the_forgotten_logs() {
    let store = MemoryStore::new(Limits::DEFAULT.with_max_forgotten(2));
    let start = |text| match store.open_now(&name(text), 1_000_000) {
        Opened::Absent { start } => start,
        other => panic!("{other:?}"),
    };
    let first = start("absent");
    let mut starts = vec![("a", first), ("b", first), ("c", first)];
    for text in ["a", "b", "a", "b", "c"] {
        assert_eq!(start("absent"), first, "up to two names, any number of logs");
        store.append_now(&name(text), &one("x")).unwrap();
        store.delete_if(&name(text), 0, |_| true);
        let next = start(text);
        assert!(!starts.contains(&(text, next)), "{text}");
        starts.push((text, next));
    }
    assert_ne!(start("absent"), first);
    assert_eq!(start("c"), start("absent"));
}

/// What a log should keep: a naive copy.
#[derive(Clone, Default)]
struct Model {
    kept: Vec<(u64, usize, String)>,
    retention: Retention,
}

impl Model {
    fn expire(&mut self, now_ms: u64) {
        let max_age_ms = self.retention.max_age_ms.unwrap();
        self.kept.retain(|(time_ms, ..)| now_ms - time_ms < max_age_ms);
        let is_over = |kept: &[(u64, usize, String)]| {
            let bytes: usize = kept.iter().map(|(_, size, _)| size).sum();
            kept.len() > 1 && (kept.len() > self.retention.max_messages || bytes > self.retention.max_bytes)
        };
        while is_over(&self.kept) {
            self.kept.remove(0);
        }
    }

    fn append(&mut self, now_ms: u64, text: &str, size: usize) {
        self.expire(now_ms);
        self.kept.push((now_ms, size, text.to_owned()));
        self.expire(now_ms);
    }
}

#[test]
fn logs_and_their_forks_keep_what_a_naive_copy_keeps() {
    for seed in 0..100 {
        let mut random = Random::new(seed);
        let store = MemoryStore::new(Limits::DEFAULT);
        let mut logs: Vec<(ChannelName, Model)> = Vec::new();
        let (mut now_ms, mut made) = (0, 0);
        for step in 0..80 {
            now_ms += random.below(40) as u64;
            let weight = message("").weight();
            let retention = Retention::DEFAULT
                .with_max_messages(1 + random.below(8))
                .with_max_bytes(random.below(8 * weight))
                .with_max_age_ms(Some(50 + random.below(400) as u64));
            let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention)));
            let (place, count) = (random.below(logs.len() + 1), logs.len());
            let Some((log, model)) = logs.get_mut(place) else {
                if count < 5 {
                    made += 1;
                    let log = name(&format!("root{made}"));
                    store.create_now(&log, &Create::new(now_ms, settings)).unwrap();
                    logs.push((log, Model { kept: vec![], retention }));
                }
                continue;
            };
            match random.below(10) {
                0..6 => {
                    let text = format!("{step}{}", "x".repeat(random.below(3) * weight));
                    let message = Arc::new(Message::new(text.clone().into(), now_ms));
                    let size = message.weight();
                    let append = Append::new(now_ms, Batch::One(message), settings);
                    store.append_now(log, &append).unwrap();
                    model.append(now_ms, &text, size);
                }
                6..9 if count < 12 => {
                    model.expire(now_ms);
                    let (log, mut model) = (log.clone(), model.clone());
                    let page = store.read_now(&log, Since::Earliest, Budget::UNLIMITED, now_ms).unwrap();
                    let shared = random.below(page.messages.len() + 1);
                    let at = shared.checked_sub(1).map_or(page.start, |last| page.messages[last].0);
                    made += 1;
                    let fork = name(&format!("fork{made}"));
                    let create = Create::new(now_ms, settings);
                    let create = create.with_fork(Fork { source: log, at, bytes: 0 });
                    store.create_now(&fork, &create).unwrap();
                    model.kept.truncate(shared);
                    model.retention = retention;
                    logs.push((fork, model));
                }
                9 => {
                    store.delete_if(&log.clone(), now_ms, |_| true);
                    logs.remove(place);
                }
                _ => {}
            }
            for (log, model) in &mut logs {
                model.expire(now_ms);
                let kept: Vec<&str> = model.kept.iter().map(|(.., text)| text.as_str()).collect();
                let page = store.read_now(log, Since::Earliest, Budget::UNLIMITED, now_ms).unwrap();
                let read: Vec<&str> =
                    page.messages.iter().map(|(_, message)| message.text().unwrap()).collect();
                assert_eq!(read, kept, "seed {seed}, step {step}, {log}");
                assert_eq!(page.info.head - page.info.earliest, kept.len() as u64);
                let from = random.below(kept.len() + 1);
                let after = page.info.lineage.at(page.info.earliest + from as u64);
                let page = store.read_now(log, after.into(), Budget::UNLIMITED, now_ms).unwrap();
                assert_eq!((page.continuity, page.messages.len()), (Continuity::Resumed, kept.len() - from));
            }
        }
        logs.iter().for_each(|(log, _)| assert!(store.delete_if(log, now_ms, |_| true)));
        assert_eq!((store.logs(), store.kept_bytes()), (0, 0), "seed {seed}: all memory is free");
    }
}

#[test]
fn threads_fork_in_both_directions_and_none_waits_for_ever() {
    let store = MemoryStore::new(Limits::DEFAULT.with_max_logs(100));
    let names = ["a", "b", "c"].map(name);
    let (store, names) = (&store, &names);
    thread::scope(|scope| {
        for seed in 0..3 {
            scope.spawn(move || {
                let mut random = Random::new(seed);
                for _ in 0..2_000 {
                    let (log, other) = (&names[random.below(3)], &names[random.below(3)]);
                    match random.below(6) {
                        0..3 => drop(store.append_now(log, &one("x"))),
                        3 => {
                            let Ok(page) = store.read_now(other, Since::Now, Budget::UNLIMITED, 0) else {
                                continue;
                            };
                            let fork = Fork { source: other.clone(), at: page.cursor, bytes: 0 };
                            drop(store.create_now(log, &Create::new(0, Arc::default()).with_fork(fork)));
                        }
                        4 => drop(store.delete_if(log, 0, |_| true)),
                        _ => drop(store.sweep_now(0)),
                    }
                }
            });
        }
    });
    for log in names {
        store.delete_if(log, 0, |_| true);
    }
    assert_eq!((store.logs(), store.kept_bytes()), (0, 0), "no fork keeps a source that it does not have");
}

#[test]
fn a_store_that_is_nearly_full_forgets_writers_earlier() {
    let hour = 60 * 60 * 1_000;
    let retention = Retention::DEFAULT.with_max_age_ms(Some(10));
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention)));
    for (logs, is_full) in [(13, false), (14, true)] {
        let store = MemoryStore::new(Limits::DEFAULT.with_max_logs(16));
        for number in 0..logs {
            let (log, once) =
                (name(&format!("c{number}")), Once::Producer { id: "p".into(), epoch: 0, seq: 0 });
            let append = Append { settings: settings.clone(), ..one("x") }.with_once(once);
            let append = if number == 0 { append.with_stream_seq(Some("m".into())) } else { append };
            store.append_now(&log, &append).unwrap();
            store.release_now(&log, 20);
        }
        store.sweep_now(hour - 1);
        assert_eq!(store.logs(), logs);
        store.sweep_now(hour);
        assert_eq!(store.logs(), if is_full { 0 } else { logs });
        store.sweep_now(7 * 24 * hour);
        assert_eq!(store.logs(), 0, "a week is enough in any case");
    }
}

#[test]
fn a_log_that_others_depend_on_is_not_forgotten() {
    let store = MemoryStore::new(Limits::DEFAULT);
    let retention = Retention::DEFAULT.with_max_age_ms(Some(10));
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention)));
    let append = |text| Append { settings: settings.clone(), ..one(text) };
    let at = store.append_now(&name("source"), &append("x")).unwrap().cursor;
    let fork = Fork { source: name("source"), at, bytes: 0 };
    store.create_now(&name("fork"), &Create::new(0, Arc::default()).with_fork(fork)).unwrap();
    store.append_now(&name("upload"), &append("x").with_upload(UploadStep::Piece)).unwrap();
    store.append_now(&name("closed"), &append("x").closing()).unwrap();
    let names = ["source", "upload", "closed"].map(name);
    names.iter().for_each(|name| store.release_now(name, 9));
    store.sweep_now(9);
    assert_eq!(store.logs(), 4);
    store.sweep_now(10);
    assert_eq!(store.logs(), 3, "the end is remembered for as long as a message");
    store.append_now(&name("upload"), &append("x").with_upload(UploadStep::Mark)).unwrap();
    store.release_now(&name("upload"), 20);
    store.delete_if(&name("fork"), 20, |_| true);
    store.sweep_now(20);
    assert_eq!(store.logs(), 0);
}

/// Otherwise a worker would stop for a second.
#[test]
fn a_long_log_is_freed_elsewhere() {
    let store = MemoryStore::new(Limits::DEFAULT);
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::All));
    let message = Arc::new(Message::new("x".into(), 0));
    let held = |count: usize| {
        let many = Batch::Many(vec![message.clone(); count]);
        store.append(&name("a"), Append::new(0, many, settings.clone())).wait().unwrap().unwrap();
        store.delete(&name("a"), 0).wait().unwrap().unwrap();
    };
    held(FREED_AT_ONCE);
    assert_eq!((Arc::strong_count(&message), store.kept_bytes()), (1, 0));
    held(FREED_AT_ONCE + 1);
    while Arc::strong_count(&message) > 1 || store.kept_bytes() > 0 {
        std::thread::yield_now();
    }
}
