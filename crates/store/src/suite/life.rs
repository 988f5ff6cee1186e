//! How logs come and go.

use std::sync::Arc;

use tidewire_channel::{Continuity, ResetReason, Retention, Since};

use super::Fixture;
use super::tools::{
    HOUR, Log, START, batch, expiring, keeping_all, key, message, messages, name, now, owned, producer,
};
use crate::append::{Append, Once};
use crate::error::{CreateError, ReadError, Refusal};
use crate::info::Opened;
use crate::settings::{ChannelSettings, Expiry, Retain};

pub(super) fn a_deleted_log_is_remembered(fixture: &mut dyn Fixture) {
    let mut log = Log::new(fixture, "tide");
    assert!(!log.delete(), "there is none");
    assert!(matches!(log.open(), Opened::Absent { .. }), "what was not there is not deleted");
    let cursor = log.say("one");
    assert!(log.delete());
    assert!(!log.delete());
    assert!(matches!(log.open(), Opened::Deleted));
    assert_eq!(log.page_error(cursor), ReadError::Deleted);
    assert!(matches!(Log::new(fixture, "other").open(), Opened::Absent { .. }));
    // For some minutes, and not for ever.
    log.now_ms += 60_000;
    assert!(matches!(log.open(), Opened::Deleted));
    log.now_ms += 24 * HOUR;
    log.sweep();
    assert!(matches!(log.open(), Opened::Absent { .. }));
    assert!(matches!(log.page_error(cursor), ReadError::Absent { .. }));
}

pub(super) fn a_new_log_tells_the_readers_of_the_old_one(fixture: &mut dyn Fixture) {
    for how in ["written", "created", "much later"] {
        let mut log = Log::new(fixture, &how.replace(' ', "-"));
        let start = log.start();
        let (first, second) = (log.say("one"), log.say("two"));
        log.append(messages(&["three"]).with_once(producer("p", 0, 0)).with_stream_seq(Some("m".into())));
        log.delete();
        match how {
            "written" => {}
            "created" => assert!(log.create(&Arc::new(keeping_all())).expect("it is free").created),
            _ => {
                log.now_ms += 24 * HOUR;
                assert_ne!(log.start(), start, "the next log does not begin where the deleted one began");
            }
        }
        let append = messages(&["new"]).with_once(producer("p", 0, 0)).with_stream_seq(Some("a".into()));
        let appended = log.append(append);
        assert!(!appended.duplicate && appended.cursor.seq() == 1, "nothing is left: {appended:?}");
        assert_ne!(appended.cursor, first, "no position is given twice");
        for old in [start, first, second] {
            assert!(log.resets(old, ResetReason::UnknownEpoch), "{how}: {old}");
        }
        assert_eq!(log.texts(), ["new"]);
        assert!(matches!(log.open(), Opened::Log(_)), "it is not deleted any more");
    }
}

pub(super) fn a_log_that_was_not_used_expires(fixture: &mut dyn Fixture) {
    let settings = expiring(Expiry::Sliding { ms: HOUR });
    let mut log = Log::new(fixture, "tide");
    log.create(&settings).expect("it is free");
    let mut time = START;
    for use_it in [0, 1, 2] {
        time += HOUR - 1;
        log.now_ms = time;
        assert!(log.sweep().is_empty(), "its last use was not long ago");
        match use_it {
            0 => drop(log.say("one")),
            1 => log.touch(),
            _ => drop(log.say("two")),
        }
        assert!(matches!(log.open(), Opened::Log(_)));
        assert_eq!(*log.info().settings, *settings);
    }
    log.now_ms = time + HOUR - 1;
    assert!(log.sweep().is_empty());
    log.now_ms = time + HOUR;
    assert_eq!(log.sweep(), [log.name.clone()], "its readers must be told");
    assert!(log.sweep().is_empty(), "once");
    assert!(matches!(log.open(), Opened::Deleted));
    // If nobody uses it, it has expired before a sweep comes.
    let mut unused = Log::new(fixture, "unused");
    unused.create(&settings).expect("it is free");
    unused.now_ms = START + HOUR;
    assert!(!matches!(unused.open(), Opened::Log(_)));
}

pub(super) fn a_log_expires_at_its_time(fixture: &mut dyn Fixture) {
    let settings = expiring(Expiry::At { ms: START + HOUR });
    let mut log = Log::new(fixture, "tide");
    log.append(Append::new(START, batch(&["one"]), settings.clone()));
    log.now_ms = START + HOUR - 1;
    log.say("two");
    log.touch();
    assert!(log.sweep().is_empty());
    assert_eq!(*log.info().settings, *settings, "the first append has set it");
    log.now_ms += 1;
    assert_eq!(log.sweep(), [log.name.clone()]);
    assert!(matches!(log.open(), Opened::Deleted));
}

/// Whether a store forgets a log of which it keeps nothing is its own affair. But no reader may
/// miss a message without being told.
pub(super) fn a_forgotten_log_tells_its_readers(fixture: &mut dyn Fixture) {
    let retention = Retention::DEFAULT.with_max_age_ms(Some(HOUR));
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention)));
    for released in ["late", "early"] {
        let mut log = Log::new(fixture, released);
        let start = log.start();
        let append = |text| Append::new(START, batch(&[text]), settings.clone());
        let first = log.append(append("one")).cursor;
        if released == "early" {
            log.release();
        }
        log.now_ms += HOUR;
        log.sweep();
        if released == "late" {
            let info = log.info();
            assert_eq!((info.head, info.earliest), (1, 1), "a log that a hub uses is not forgotten");
            log.release();
            log.sweep();
        }
        log.open();
        let next = log.append(append("two"));
        assert_ne!(next.cursor, first, "no position is given twice");
        assert!(log.continuity(start).is_broken(), "this reader has missed a message");
        let to_first = log.continuity(first);
        assert!(to_first.is_broken() || next.after == first, "{to_first:?}");
        assert_eq!(log.texts(), ["two"]);
    }
}

/// A key, a producer and a stream sequence are remembered for longer than the message.
pub(super) fn a_forgotten_message_is_not_appended_again(fixture: &mut dyn Fixture) {
    let retention = Retention::DEFAULT.with_max_age_ms(Some(60_000));
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention)));
    let limits = fixture.limits();
    let longest = limits.key_age_ms.min(limits.producer_age_ms) - 1;
    let ways = [("key", key("k", "one")), ("producer", producer("p", 0, 0)), ("stream", Once::No)];
    for (way, once) in ways {
        let mut log = Log::new(fixture, way);
        let seq = (way == "stream").then(|| "m".into());
        let append = Append::new(START, batch(&["one"]), settings.clone());
        let append = append.with_once(once).with_stream_seq(seq);
        log.append(append.clone());
        log.now_ms += longest;
        log.sweep();
        log.release();
        log.sweep();
        match log.ask(append) {
            Ok(appended) => assert!(appended.duplicate && way != "stream", "{way}"),
            Err(error) => assert_eq!((error, way), (Refusal::StreamSeq.into(), "stream")),
        }
        assert!(log.texts().is_empty(), "{way}");
    }
}

pub(super) fn a_creation_can_be_repeated(fixture: &mut dyn Fixture) {
    let log = Log::new(fixture, "tide");
    let start = log.start();
    let typed = |media: &str| Arc::new(keeping_all().with_content_type(Some(media.into())));
    let created = log.create(&typed("text/plain")).expect("it is free");
    assert_eq!((created.created, created.cursor, created.info.head), (true, start, 0));
    assert_eq!(log.info(), created.info);
    let page = log.page(Since::Earliest);
    assert_eq!((page.start, page.messages.len()), (start, 0));
    log.release();
    log.sweep();
    assert_eq!(log.info().settings, typed("text/plain"), "what was created is not forgotten");
    let first = log.say("one");
    assert_eq!(log.info().settings, typed("text/plain"), "an append does not change them");
    let again = log.create(&typed("text/plain")).expect("it is the same");
    assert_eq!((again.created, again.cursor), (false, first));
    for other in [typed("text/html"), Arc::new(keeping_all()), Arc::default()] {
        assert!(matches!(log.create(&other), Err(CreateError::Exists)), "{other:?}");
    }
    assert_eq!(log.continuity(start), Continuity::Resumed);
    let end = log.append(messages(&[]).closing()).cursor;
    let closed = log.create(&typed("text/plain")).expect("it is the same");
    assert_eq!((closed.created, closed.cursor), (false, end), "a closed log is at its end");
}

pub(super) fn a_log_is_created_with_messages(fixture: &mut dyn Fixture) {
    let log = Log::new(fixture, "tide");
    let start = log.start();
    let create = |texts: &[&str]| {
        crate::Create::new(START, Arc::new(keeping_all())).with_messages(batch(texts)).closing()
    };
    let ask = |create| now(log.store.create(&log.name, create)).expect("it is free, or the same");
    let created = ask(create(&["one", "two"]));
    assert_eq!((created.created, created.info.head, created.info.is_closed), (true, 2, true));
    assert_eq!(Some(created.cursor), log.info().end());
    let again = ask(create(&["three"]));
    assert_eq!((again.created, again.cursor), (false, created.cursor));
    let page = log.page(start);
    assert_eq!((page.continuity, log.texts()), (Continuity::Resumed, owned(&["one", "two"])));
    // After the messages that it shares.
    let fork = Log::new(fixture, "fork");
    let at = crate::Fork { source: log.name.clone(), at: page.messages[0].0, bytes: 1 };
    let create = create(&["own"]).with_fork(at);
    let created = now(fork.store.create(&fork.name, create)).expect("it is free");
    assert_eq!((fork.texts(), created.info.is_closed), (owned(&["one", "t", "own"]), true));
    assert_eq!(created.cursor.seq(), 4);
}

pub(super) fn a_log_that_keeps_all_is_never_evicted(fixture: &mut dyn Fixture) {
    let mut log = Log::new(fixture, "tide");
    let many = Retention::DEFAULT.max_messages + 10;
    let texts: Vec<&str> = vec!["x"; many];
    let cursor = log.append(messages(&texts)).cursor;
    log.now_ms += 1_000 * 24 * HOUR;
    log.sweep();
    assert_eq!((log.texts().len(), log.info().earliest), (many, 0));
    assert_eq!(log.page(Since::Now).cursor, cursor);
    let Some(room) = fixture.room() else { return };

    let large = "x".repeat(room / 4);
    let full = Log::new(fixture, "full");
    let mut kept = 0;
    let refusal = loop {
        match full.ask(messages(&[&large])) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 4, "there is no room for so much");
    };
    assert_eq!(refusal, Refusal::NoRoom.into());
    assert_eq!(full.texts().len(), kept, "nothing was evicted");
    let batch = vec![large.as_str(); 4];
    assert_eq!(full.refused(messages(&batch).closing()), Refusal::NoRoom, "all or nothing");
    assert!(!full.info().is_closed);
    let bounded = Append::new(START, crate::Batch::One(message(&large)), Arc::default());
    assert!(Log::new(fixture, "bounded").ask(bounded).is_ok(), "a log that evicts has room");
    assert!(log.delete(), "this makes room");
    full.append(messages(&vec!["x"; many / 2]));
    assert!(matches!(Log::new(fixture, "tide").open(), Opened::Deleted));
    assert_eq!(full.name, name("full"));
}
