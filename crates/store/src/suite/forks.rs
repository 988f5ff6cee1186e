//! Forks.

use std::sync::Arc;

use tidewire_channel::{Continuity, Cursor, ResetReason, Retention, Since};

use super::Fixture;
use super::tools::{Log, START, batch, check_page, keeping_all, key, messages, owned, producer, texts};
use crate::append::Append;
use crate::error::{CreateError, ReadError, Refusal};
use crate::info::Opened;
use crate::settings::{ChannelSettings, Retain};

/// A log with these messages, and the positions before and after each.
fn source(fixture: &dyn Fixture, said: &[&str]) -> (Log, Vec<Cursor>) {
    let log = Log::new(fixture, "source");
    let mut cursors = vec![log.start()];
    cursors.extend(said.iter().map(|text| log.say(text)));
    (log, cursors)
}

pub(super) fn a_fork_begins_with_the_messages_of_its_source(fixture: &mut dyn Fixture) {
    let said = ["one", "two", "three"];
    let (source, cursors) = source(fixture, &said);
    for at in 0..=3 {
        let fork = Log::new(fixture, &format!("fork{at}"));
        let created = fork.fork(&source, cursors[at], 0).expect("this is a position");
        assert_eq!((created.created, created.cursor, created.info.head), (true, cursors[at], at as u64));
        let own = fork.say("own");
        assert_eq!(own.seq(), at as u64 + 1, "the numbers go on");
        assert!(own.epoch() != cursors[3].epoch() && own.epoch() != cursors[0].epoch());
        let mut expected = said[..at].to_vec();
        expected.push("own");
        assert_eq!(fork.texts(), expected);
        // The positions that both share are the same, and no others.
        for (number, cursor) in cursors.iter().enumerate() {
            if number <= at {
                let page = fork.page(*cursor);
                check_page(&page);
                assert_eq!(
                    (page.continuity, texts(&page)),
                    (Continuity::Resumed, owned(&expected[number..]))
                );
            } else {
                assert!(fork.continuity(*cursor).is_broken(), "{cursor} is a position of the source only");
            }
        }
        assert!(source.resets(own, ResetReason::UnknownEpoch));
    }
    let last = source.say("four");
    assert_eq!(last, Cursor::new(cursors[3].epoch(), 4));
    assert_eq!(source.texts(), ["one", "two", "three", "four"], "the source goes on");
    assert_eq!(Log::new(fixture, "fork3").texts(), ["one", "two", "three", "own"], "and the forks do not");
    let page = source.page(cursors[2]);
    check_page(&page);
    assert_eq!(texts(&page), ["three", "four"]);
}

pub(super) fn a_fork_begins_inside_a_message(fixture: &mut dyn Fixture) {
    let (source, cursors) = source(fixture, &["one", "twofold", "three"]);
    let fork = Log::new(fixture, "inside");
    let created = fork.fork(&source, cursors[1], 3).expect("the message has 3 bytes");
    assert_eq!(created.info.head, 2);
    assert_ne!(created.cursor, cursors[2], "the part is a message of the fork");
    assert!(fork.continuity(cursors[2]).is_broken());
    assert_eq!(fork.continuity(cursors[1]), Continuity::Resumed);
    fork.say("own");
    assert_eq!(fork.texts(), ["one", "two", "own"]);
    let whole = Log::new(fixture, "whole");
    let created = whole.fork(&source, cursors[1], "twofold".len()).expect("the message has as many bytes");
    assert_eq!((created.cursor, whole.texts()), (cursors[2], owned(&["one", "twofold"])));
    for (at, bytes) in [(1, 8), (3, 1)] {
        let fork = Log::new(fixture, "over");
        let refused = fork.fork(&source, cursors[at], bytes);
        assert!(matches!(refused, Err(CreateError::ForkBytes)), "{refused:?}");
        assert!(matches!(fork.open(), Opened::Absent { .. }));
    }
    assert_eq!(source.texts(), ["one", "twofold", "three"]);
}

pub(super) fn a_fork_outlives_its_source(fixture: &mut dyn Fixture) {
    // The source evicts what the fork has.
    let retention = Retention::DEFAULT.with_max_messages(2);
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention)));
    let source = Log::new(fixture, "source");
    let append = |texts: &[&str]| source.append(Append::new(START, batch(texts), settings.clone()));
    let at = append(&["one", "two"]).cursor;
    let fork = Log::new(fixture, "fork");
    fork.fork(&source, at, 0).expect("this is a position");
    append(&["three"]);
    assert_eq!(source.texts(), ["two", "three"], "a fork does not change what the source keeps");
    append(&["four"]);
    assert_eq!(source.texts(), ["three", "four"]);
    assert_eq!(fork.texts(), ["one", "two"]);

    // The source is deleted.
    assert!(source.delete());
    assert!(matches!(source.open(), Opened::SoftDeleted));
    assert_eq!(source.page_error(Since::Earliest), ReadError::SoftDeleted);
    assert_eq!(source.refused(messages(&["x"])), Refusal::Deleted);
    assert!(matches!(source.create(&settings), Err(CreateError::Deleted)));
    let late = Log::new(fixture, "late").fork(&source, at, 0);
    assert!(matches!(late, Err(CreateError::SourceDeleted)), "{late:?}");
    assert!(!source.delete());
    fork.say("own");
    assert_eq!(fork.texts(), ["one", "two", "own"]);

    // With the last fork, it is gone.
    assert!(fork.delete());
    assert!(matches!(fork.open(), Opened::Deleted));
    assert!(matches!(source.open(), Opened::Absent { .. } | Opened::Deleted));
    assert!(source.create(&settings).expect("the name is free").created);
    assert!(source.page(at).continuity.is_broken(), "this is another log");
}

pub(super) fn a_fork_of_a_fork(fixture: &mut dyn Fixture) {
    let (root, cursors) = source(fixture, &["one", "two"]);
    let logs = ["middle", "leaf", "leaf2"].map(|name| Log::new(fixture, name));
    let [middle, leaf, leaf2] = &logs;
    middle.fork(&root, cursors[1], 0).expect("a position of the root");
    let own = middle.say("middle");
    leaf.fork(middle, own, 0).expect("a position of the fork");
    leaf2.fork(middle, cursors[1], 3).expect("a shared position, and a part");
    leaf.say("leaf");
    assert_eq!(leaf.texts(), ["one", "middle", "leaf"]);
    assert_eq!(leaf2.texts(), ["one", "mid"]);
    for cursor in [cursors[0], cursors[1], own] {
        assert_eq!(leaf.continuity(cursor), Continuity::Resumed, "{cursor}");
    }
    assert!(leaf.continuity(cursors[2]).is_broken());
    assert!(root.delete() && middle.delete());
    assert!(matches!((root.open(), middle.open()), (Opened::SoftDeleted, Opened::SoftDeleted)));
    assert!(leaf2.delete());
    assert!(matches!((root.open(), middle.open()), (Opened::SoftDeleted, Opened::SoftDeleted)));
    assert_eq!(leaf.texts(), ["one", "middle", "leaf"]);
    assert!(leaf.delete());
    for log in [&root, middle, leaf] {
        assert!(matches!(log.open(), Opened::Absent { .. } | Opened::Deleted), "{}", log.name);
    }
}

pub(super) fn a_fork_needs_a_position_of_its_source(fixture: &mut dyn Fixture) {
    let retention = Retention::DEFAULT.with_max_messages(2);
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention)));
    let source = Log::new(fixture, "source");
    let fork = Log::new(fixture, "fork");
    let start = source.start();
    let refused = fork.fork(&source, start, 0);
    assert!(matches!(refused, Err(CreateError::SourceAbsent)), "{refused:?}");
    let append = |texts: &[&str]| source.append(Append::new(START, batch(texts), settings.clone())).cursor;
    let first = append(&["one"]);
    let head = append(&["two", "three"]);
    let ahead = Cursor::new(head.epoch(), 4);
    for wrong in [start, ahead, Cursor::new(first.epoch(), 0), Cursor::FOREIGN] {
        let refused = fork.fork(&source, wrong, 0);
        assert!(matches!(refused, Err(CreateError::ForkPosition)), "{wrong}: {refused:?}");
    }
    assert!(matches!(fork.open(), Opened::Absent { .. }));
    // Nothing counts the refused ones.
    assert!(source.delete());
    assert!(matches!(source.open(), Opened::Deleted));

    // The end of a closed log stands for its head, and the fork is open.
    let closed = Log::new(fixture, "closed");
    let end = closed.append(messages(&["one", "last"]).closing()).end.expect("it is closed");
    let created = fork.fork(&closed, end, 0).expect("the end is a position");
    assert_eq!((created.info.head, created.info.is_closed), (2, false));
    fork.say("more");
    assert_eq!(fork.texts(), ["one", "last", "more"]);
    assert_eq!(fork.append(messages(&[]).closing()).end.map(Cursor::seq), Some(4));
    assert!(closed.info().is_closed);
}

pub(super) fn a_fork_has_writers_of_its_own(fixture: &mut dyn Fixture) {
    let source = Log::new(fixture, "source");
    source.append(messages(&["one"]).with_once(key("k", "one")));
    let append = || messages(&["two"]).with_once(producer("p", 3, 0)).with_stream_seq(Some("m".into()));
    let head = source.append(append()).cursor;
    let fork = Log::new(fixture, "fork");
    fork.fork(&source, head, 0).expect("this is a position");
    assert!(!fork.append(messages(&["one"]).with_once(key("k", "one"))).duplicate);
    assert!(!fork.append(append()).duplicate);
    assert_eq!(fork.texts(), ["one", "two", "one", "two"]);
    assert!(source.append(append()).duplicate, "those of the source stay");
    // Its settings are its own.
    let retention = Retention::DEFAULT.with_max_messages(2);
    let bounded = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention)));
    let small = Log::new(fixture, "small");
    let at = crate::Fork { source: source.name.clone(), at: head, bytes: 0 };
    let create = crate::Create::new(START, bounded.clone()).with_fork(at);
    let created = super::tools::now(small.store.create(&small.name, create)).expect("this is a position");
    assert_eq!(created.info.settings, bounded);
    let own = small.say("own");
    assert_eq!(small.texts(), ["two", "own"], "its retention counts what it shares");
    assert_eq!((own.seq(), small.info().earliest), (3, 1));
    small.say("more");
    small.say("and more");
    assert_eq!(small.texts(), ["more", "and more"]);
    assert_eq!(source.texts(), ["one", "two"]);
    assert!(matches!(small.page(small.info().lineage.at(0)).continuity, Continuity::Gap { missed: 3, .. }));
}

pub(super) fn a_fork_can_be_created_again(fixture: &mut dyn Fixture) {
    let (source, cursors) = source(fixture, &["one", "two"]);
    let fork = Log::new(fixture, "fork");
    assert!(fork.fork(&source, cursors[1], 1).expect("it is free").created);
    fork.say("own");
    assert!(!fork.fork(&source, cursors[1], 1).expect("it is the same").created);
    for (at, bytes) in [(1, 0), (2, 0), (1, 2)] {
        let other = fork.fork(&source, cursors[at], bytes);
        assert!(matches!(other, Err(CreateError::Exists)), "{other:?}");
    }
    assert!(matches!(fork.create(&Arc::new(keeping_all())), Err(CreateError::Exists)), "it is a fork");
    assert_eq!(fork.texts(), ["one", "t", "own"]);
    // The repetitions and the refused ones do not keep the source.
    assert!(fork.delete() && source.delete());
    assert!(matches!(source.open(), Opened::Deleted));
}
