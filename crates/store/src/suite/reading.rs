//! Order, positions, retention.

use std::sync::Arc;

use tidewire_channel::{Budget, Continuity, Cursor, Epoch, ResetReason, Retention, Since};

use super::Fixture;
use super::random::Random;
use super::tools::{HOUR, Log, START, batch, check_page, message, messages, texts};
use crate::append::Append;
use crate::error::ReadError;
use crate::settings::{ChannelSettings, Retain};

pub(super) fn messages_are_numbered_and_kept_in_order(fixture: &mut dyn Fixture) {
    let log = Log::new(fixture, "tide");
    let start = log.start();
    let one = log.append(messages(&["one"]));
    assert_eq!((one.after, one.cursor.seq(), one.duplicate, one.end), (start, 1, false, None));
    let more = log.append(messages(&["two", "three", "four"]));
    assert_eq!((more.after, more.cursor.seq()), (one.cursor, 4), "a batch has numbers next to each other");
    let last = log.append(messages(&["five"]));
    assert_eq!((last.after, last.earliest), (more.cursor, 0));

    let page = log.page(Since::Earliest);
    check_page(&page);
    assert_eq!(texts(&page), ["one", "two", "three", "four", "five"]);
    assert_eq!((page.start, page.cursor, page.continuity), (start, last.cursor, Continuity::Fresh));
    let info = log.info();
    assert_eq!((info.head, info.earliest, info.head_cursor()), (5, 0, last.cursor));
    assert_eq!(info.last_time_ms, START);
    assert_eq!((page.end(), info.end(), info.upload_open), (None, None, false));
}

/// A naive model: all messages ever appended, each with the position after it.
pub(super) fn a_reader_resumes_at_every_position(fixture: &mut dyn Fixture) {
    let mut random = Random::new(7);
    let retention = Retention::DEFAULT.with_max_messages(20);
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention)));
    let log = Log::new(fixture, "tide");
    let mut all: Vec<(Cursor, String)> = vec![(log.start(), String::new())];
    for _ in 0..20 {
        let count = 1 + random.below(5);
        let new: Vec<String> =
            (0..count).map(|n| format!("{} {}", all.len() + n, random.below(10))).collect();
        let refs: Vec<&str> = new.iter().map(String::as_str).collect();
        let appended = log.append(Append::new(START, batch(&refs), settings.clone()));
        let lineage = log.info().lineage;
        for text in new {
            all.push((lineage.at(all.len() as u64), text));
        }
        assert_eq!(appended.cursor, all[all.len() - 1].0);
        let earliest = all.len().saturating_sub(21);
        for (place, (cursor, _)) in all.iter().enumerate() {
            for limit in [0, 1, 7, 100] {
                let page = log.read(*cursor, Budget::messages(limit)).expect("there is a log");
                check_page(&page);
                let from = place.max(earliest);
                let expected: Vec<&str> = all[from + 1..].iter().take(limit).map(|m| m.1.as_str()).collect();
                assert_eq!(texts(&page), expected, "{limit} messages after {cursor}");
                let (to, missed) = (all[from].0, (from - place) as u64);
                let continuity = match missed {
                    0 => Continuity::Resumed,
                    _ => Continuity::Gap { from: *cursor, to, missed },
                };
                assert_eq!((page.continuity, page.start), (continuity, to));
                assert_eq!(page.more, from + expected.len() + 1 < all.len());
            }
        }
    }
}

pub(super) fn the_oldest_messages_are_evicted(fixture: &mut dyn Fixture) {
    let weight = message("aa").weight();
    let most = Retention::DEFAULT.with_max_messages(3);
    let bytes = Retention::DEFAULT.with_max_bytes(3 * weight + 1);
    for (name, retention) in [("messages", most), ("bytes", bytes)] {
        let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention)));
        let log = Log::new(fixture, name);
        for (number, text) in ["aa", "bb", "cc", "dd", "ee"].into_iter().enumerate() {
            let appended = log.append(Append::new(START, batch(&[text]), settings.clone()));
            assert_eq!(appended.earliest, (number as u64 + 1).saturating_sub(3), "by {name}");
        }
        assert_eq!(log.texts(), ["cc", "dd", "ee"], "by {name}");
        let large = "x".repeat(10 * weight);
        log.append(Append::new(START, batch(&[&large]), settings.clone()));
        let kept = if name == "bytes" { 1 } else { 3 };
        assert_eq!(log.texts().len(), kept, "the newest message is kept, whatever its size");
        log.append(Append::new(START, batch(&["ff", "gg", "hh", "ii"]), settings));
        assert_eq!(log.texts(), ["gg", "hh", "ii"], "a batch may evict its own messages");
    }
}

pub(super) fn old_messages_are_evicted(fixture: &mut dyn Fixture) {
    let retention = Retention::DEFAULT.with_max_age_ms(Some(HOUR));
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention)));
    let mut log = Log::new(fixture, "tide");
    let append = |text| Append::new(START, batch(&[text]), settings.clone());
    let first = log.append(append("old")).cursor;
    log.now_ms += HOUR / 2;
    let second = log.append(append("new")).cursor;
    log.now_ms = START + HOUR - 1;
    assert_eq!(log.texts(), ["old", "new"]);
    log.now_ms += 1;
    assert_eq!(log.texts(), ["new"]);
    let page = log.page(log.info().lineage.at(0));
    assert!(matches!(page.continuity, Continuity::Gap { missed: 1, to, .. } if to == first), "{page:?}");
    log.now_ms += HOUR;
    assert!(log.texts().is_empty());
    assert_eq!(log.page(second).continuity, Continuity::Resumed);
    let next = log.append(append("next"));
    assert_eq!((next.after, next.cursor.seq(), next.earliest), (second, 3, 2), "no number is given twice");
}

pub(super) fn a_budget_ends_a_read(fixture: &mut dyn Fixture) {
    let log = Log::new(fixture, "tide");
    let cursors = ["a", "bb", "ccc"].map(|text| log.say(text));
    let weights = ["a", "bb", "ccc"].map(|text| message(text).weight());
    let read = |since: Since, budget| {
        let page = log.read(since, budget).expect("there is a log");
        check_page(&page);
        (texts(&page).len(), page.more)
    };
    assert_eq!(read(Since::Earliest, Budget::messages(0)), (0, true));
    assert_eq!(read(Since::Earliest, Budget::messages(2)), (2, true));
    assert_eq!(read(Since::Earliest, Budget::messages(3)), (3, false));
    assert_eq!(read(Since::Earliest, Budget::bytes(0)), (1, true), "the first is read in any case");
    assert_eq!(read(Since::Earliest, Budget::bytes(weights[0] + weights[1])), (2, true));
    assert_eq!(read(Since::Earliest, Budget::bytes(weights[0] + weights[1] - 1)), (1, true));
    assert_eq!(read(cursors[1].into(), Budget::UNLIMITED), (1, false));
    assert_eq!(read(cursors[2].into(), Budget::UNLIMITED), (0, false));
    assert_eq!(read(Since::Now, Budget::UNLIMITED), (0, false));
    assert_eq!(log.page(Since::Now).cursor, cursors[2]);
}

pub(super) fn a_cursor_of_another_log_is_told(fixture: &mut dyn Fixture) {
    let (log, other) = (Log::new(fixture, "tide"), Log::new(fixture, "other"));
    let cursor = log.say("one");
    let foreign = other.say("other");
    assert_ne!(cursor.epoch(), foreign.epoch(), "each log has an epoch of its own");
    assert!(log.resets(foreign, ResetReason::UnknownEpoch));
    assert!(log.resets(Cursor::FOREIGN, ResetReason::UnknownEpoch));
    assert!(log.resets(Cursor::new(Epoch::new(cursor.epoch().get() ^ 1), 1), ResetReason::UnknownEpoch));
    assert!(log.resets(Cursor::new(cursor.epoch(), 2), ResetReason::AheadOfLog));
    assert!(
        log.resets(Cursor::new(cursor.epoch(), 0), ResetReason::UnknownEpoch),
        "0 has the epoch of the store"
    );
    assert_eq!(texts(&log.page(foreign)), ["one"]);
}

pub(super) fn a_channel_that_was_never_written_has_a_position(fixture: &mut dyn Fixture) {
    let (log, other) = (Log::new(fixture, "tide"), Log::new(fixture, "other"));
    let start = log.start();
    assert_eq!((start.seq(), other.start()), (0, start), "it is the same for all channels of the store");
    assert_eq!(log.start(), start, "opening creates nothing");
    let unread = log.read(Since::Earliest, Budget::UNLIMITED);
    assert!(matches!(unread, Err(ReadError::Absent { start: at }) if at == start), "{unread:?}");
    let first = log.say("one");
    assert_ne!(first.epoch(), start.epoch(), "the first message opens an epoch of the channel");
    let page = log.page(start);
    assert_eq!((page.continuity, texts(&page)), (Continuity::Resumed, vec!["one".to_owned()]));
    let foreign = Log::new(fixture, "other").page_error(first);
    assert!(matches!(foreign, ReadError::Absent { .. }));
}
