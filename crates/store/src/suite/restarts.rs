//! Restarts and crashes.

use std::collections::HashMap;
use std::sync::Arc;

use tidewire_channel::{Budget, Continuity, Cursor, ResetReason, Since};

use super::random::Random;
use super::tools::{Log, check_page, keeping_all, key, messages, owned, producer, texts};
use super::{Fixture, Loss};
use crate::append::UploadStep;
use crate::error::Refusal;
use crate::info::Opened;

pub(super) fn a_restart_in_order_is_invisible(fixture: &mut dyn Fixture) {
    let names = ["written", "closed", "created", "fork", "deleted", "soft", "absent"];
    let logs = names.map(|name| Log::new(fixture, name));
    let [written, closed, created, fork, deleted, soft, absent] = &logs;
    let first = written.append(messages(&["one"]).with_once(key("k", "one"))).cursor;
    let append =
        || messages(&["two", "three"]).with_once(producer("p", 1, 0)).with_stream_seq(Some("m".into()));
    let head = written.append(append()).cursor;
    closed.append(messages(&["last"]).closing());
    let settings = Arc::new(keeping_all().with_content_type(Some("text/plain".into())));
    created.create(&settings).expect("it is free");
    soft.say("shared");
    let shared = soft.say("not shared");
    fork.fork(soft, shared, 0).expect("this is a position");
    fork.say("own");
    soft.delete();
    deleted.say("x");
    deleted.delete();

    let look = |log: &Log| {
        let page = log.read(Since::Earliest, Budget::UNLIMITED);
        (format!("{:?}", log.open()), page.map(|page| format!("{page:?}")))
    };
    let before = logs.each_ref().map(look);
    let start = absent.start();
    if !fixture.restart(Loss::Nothing) {
        return;
    }
    let logs = logs.map(|log| log.moved(fixture));
    let after = logs.each_ref().map(look);
    for (name, (before, after)) in names.iter().zip(before.iter().zip(&after)) {
        assert_eq!(after, before, "{name}");
    }
    let [written, closed, created, fork, .., absent] = &logs;
    assert!(written.append(messages(&["one"]).with_once(key("k", "one"))).duplicate);
    assert!(written.append(append()).duplicate);
    assert_eq!(written.refused(messages(&["x"]).with_stream_seq(Some("m".into()))), Refusal::StreamSeq);
    let next = written.say("four");
    assert_eq!(next, Cursor::new(head.epoch(), 4), "the epoch goes on");
    for cursor in [first, head, next] {
        assert_eq!(written.continuity(cursor), Continuity::Resumed);
    }
    assert!(matches!(closed.refused(messages(&["x"])), Refusal::Closed { .. }));
    assert!(!created.create(&settings).expect("it is the same").created);
    assert_eq!(fork.texts(), ["shared", "not shared", "own"]);
    assert_eq!(absent.append(messages(&["first"])).after, start);
}

pub(super) fn a_lost_tail_is_told_to_those_who_had_seen_it(fixture: &mut dyn Fixture) {
    for count in 0..=6 {
        let log = Log::new(fixture, &format!("tide{count}"));
        let mut cursors = vec![log.start()];
        cursors.extend(["1", "2", "3", "4", "5"].map(|text| log.say(text)));
        if !fixture.restart(Loss::Tail(count)) {
            return;
        }
        let log = log.moved(fixture);
        // With its first append, the log may be lost as a whole.
        let is_there = matches!(log.open(), Opened::Log(_));
        let head = if is_there { log.info().head } else { 0 };
        let head = usize::try_from(head).expect("five at most");
        assert!(head <= 5 && head + count >= 5, "{head} of 5 are there, and {count} were to be lost");
        let told = || {
            let kept = log.info().lineage.at(head as u64);
            assert_eq!(kept, cursors[head], "the messages that are there keep their epoch");
            for (number, cursor) in cursors.iter().enumerate() {
                let page = log.page(*cursor);
                check_page(&page);
                match page.continuity {
                    Continuity::Resumed if number <= head => assert_eq!(page.start, *cursor),
                    Continuity::Reset { reason, to } if number > head => {
                        // Of an epoch without a message, the store remembers nothing.
                        let is_right = reason == ResetReason::TailLost || head == 0;
                        assert!(is_right && to == kept, "{count} lost, {cursor}: {reason:?}");
                    }
                    other => panic!("{count} lost, {cursor}: {other:?}"),
                }
            }
        };
        if is_there {
            told();
        }
        let next = log.append(messages(&["new", "newer"]));
        assert_eq!((next.after, next.cursor.seq()), (cursors[head], head as u64 + 2), "the numbers go on");
        assert!(head == 5 || log.info().lineage.at(head as u64 + 1) != cursors[head + 1], "not given twice");
        told();
        assert_eq!(texts(&log.page(cursors[head])), ["new", "newer"]);
    }
}

pub(super) fn what_a_lost_append_left_is_lost(fixture: &mut dyn Fixture) {
    let log = Log::new(fixture, "tide");
    let append = |text, seq, stream_seq: &str| {
        messages(&[text]).with_once(producer("p", 0, seq)).with_stream_seq(Some(stream_seq.into()))
    };
    log.append(append("one", 0, "a"));
    log.append(messages(&["two"]).with_once(key("k", "two")));
    let last = || messages(&["three", "four"]).with_once(producer("p", 0, 1)).closing();
    log.append(last().with_stream_seq(Some("z".into())));
    if !fixture.restart(Loss::Tail(1)) {
        return;
    }
    let log = log.moved(fixture);
    let info = log.info();
    assert!([2, 4].contains(&info.head), "a batch is lost whole: {info:?}");
    assert_eq!(info.is_closed, info.head == 4, "and so is its end");
    let was_lost = info.head == 2;
    assert!(log.append(append("one", 0, "a")).duplicate, "what is there is known");
    assert!(log.append(messages(&["two"]).with_once(key("k", "two"))).duplicate);
    let again = log.append(last().with_stream_seq(Some("b".into())));
    assert_eq!((again.duplicate, again.cursor.seq()), (!was_lost, 4));
    assert_eq!(log.texts(), ["one", "two", "three", "four"], "each message is there once");
    assert!(log.append(last()).duplicate);
}

pub(super) fn many_crashes_leave_one_spelling_of_each_place(fixture: &mut dyn Fixture) {
    for seed in 0..5 {
        let mut random = Random::new(seed);
        let mut log = Log::new(fixture, &format!("tide{seed}"));
        let mut kept: Vec<(Cursor, String)> = vec![(log.start(), String::new())];
        let mut given: HashMap<Cursor, String> = HashMap::new();
        for round in 0..20 {
            for number in 0..random.below(4) {
                let text = format!("{round}.{number}");
                let cursor = log.say(&text);
                assert_eq!(cursor.seq(), kept.len() as u64);
                assert_eq!(given.insert(cursor, text.clone()), None, "{cursor} is given twice");
                kept.push((cursor, text));
            }
            let loss = Loss::Tail(random.below(3));
            if !fixture.restart(if random.below(4) == 0 { Loss::Nothing } else { loss }) {
                return;
            }
            log = log.moved(fixture);
            let opened = log.open();
            if let Opened::Absent { start } = opened {
                // With its first append, the log may be lost as a whole.
                assert_eq!(start, kept[0].0);
                kept.truncate(1);
            }
            if let Opened::Log(info) = opened {
                kept.truncate(usize::try_from(info.head).expect("some messages") + 1);
                for (number, (cursor, _)) in kept.iter().enumerate() {
                    let page = log.page(*cursor);
                    check_page(&page);
                    let expected: Vec<&str> = kept[number + 1..].iter().map(|kept| kept.1.as_str()).collect();
                    assert_eq!((page.continuity, texts(&page)), (Continuity::Resumed, owned(&expected)));
                }
                let lost = given.keys().filter(|given| kept.iter().all(|(cursor, _)| cursor != *given));
                for cursor in lost {
                    assert!(log.continuity(*cursor).is_broken(), "{cursor} is lost");
                }
            }
        }
    }
}

pub(super) fn an_upload_is_open_after_a_crash(fixture: &mut dyn Fixture) {
    for loss in [Loss::Tail(0), Loss::Nothing] {
        let log = Log::new(fixture, if loss == Loss::Nothing { "in-order" } else { "crash" });
        log.append(messages(&["piece"]).with_upload(UploadStep::Piece));
        assert!(log.info().upload_open);
        if !fixture.restart(loss) {
            return;
        }
        let log = log.moved(fixture);
        assert!(log.info().upload_open, "its publisher is gone");
        log.append(messages(&["mark"]).with_upload(UploadStep::Mark));
        assert!(!log.info().upload_open);
        log.say("an ordinary message");
        assert!(fixture.restart(loss));
        let log = log.moved(fixture);
        assert!(!log.info().upload_open);
    }
}

pub(super) fn a_log_is_closed_after_a_crash(fixture: &mut dyn Fixture) {
    let closed = Log::new(fixture, "closed");
    let end = closed.append(messages(&["last"]).closing()).end;
    let open = Log::new(fixture, "open");
    let head = open.say("one");
    if !fixture.restart(Loss::Tail(0)) {
        return;
    }
    let (closed, open) = (closed.moved(fixture), open.moved(fixture));
    assert_eq!((closed.info().is_closed, closed.info().end()), (true, end));
    // The end has the epoch of the next message, also if that has begun no message yet.
    let end = open.append(messages(&[]).closing()).end.expect("it is closed");
    let info = open.info();
    assert_eq!(end, Cursor::new(info.lineage.current(), 2));
    assert_eq!((info.head_cursor(), open.page(head).end()), (head, Some(end)));
    let page = open.page(end);
    assert_eq!((page.continuity, page.cursor), (Continuity::Resumed, end));
    assert!(fixture.restart(Loss::Tail(0)));
    let open = open.moved(fixture);
    assert_eq!(open.info().end(), Some(end), "a closed log begins no epoch");
}

pub(super) fn a_fork_is_there_after_a_crash(fixture: &mut dyn Fixture) {
    let (source, fork) = (Log::new(fixture, "source"), Log::new(fixture, "fork"));
    let shared = ["one", "two"].map(|text| source.say(text));
    fork.fork(&source, shared[1], 0).expect("this is a position");
    let own = ["own", "lost"].map(|text| fork.say(text));
    let other = source.say("lost");
    if !fixture.restart(Loss::Tail(1)) {
        return;
    }
    let (source, fork) = (source.moved(fixture), fork.moved(fixture));
    for log in [&source, &fork] {
        for cursor in shared {
            assert_eq!(log.continuity(cursor), Continuity::Resumed, "{cursor}");
        }
    }
    assert_eq!(fork.continuity(own[0]), Continuity::Resumed);
    for (log, cursor) in [(&fork, own[1]), (&source, other)] {
        let is_lost = log.info().head < cursor.seq();
        let to = log.info().head_cursor();
        let told = Continuity::Reset { reason: ResetReason::TailLost, to };
        assert_eq!(log.continuity(cursor), if is_lost { told } else { Continuity::Resumed });
    }
    assert!(source.delete());
    assert!(fixture.restart(Loss::Tail(0)));
    let (source, fork) = (source.moved(fixture), fork.moved(fixture));
    assert!(matches!(source.open(), Opened::SoftDeleted));
    fork.say("more");
    assert_eq!(fork.texts()[..3], ["one", "two", "own"]);
    assert!(fork.delete());
    assert!(matches!(source.open(), Opened::Absent { .. } | Opened::Deleted));
}
