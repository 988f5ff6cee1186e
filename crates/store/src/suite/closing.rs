//! The end of a log.

use tidewire_channel::{Continuity, Cursor, ResetReason};

use super::Fixture;
use super::tools::{Log, key, messages, producer};
use crate::error::Refusal;

/// The end of a log with this head: a number that no message gets, in the epoch of the next
/// message.
fn end_after(head: Cursor) -> Cursor {
    Cursor::new(head.epoch(), head.seq() + 1)
}

pub(super) fn a_closed_log_has_an_end(fixture: &mut dyn Fixture) {
    let log = Log::new(fixture, "tide");
    let first = log.say("one");
    let last = log.append(messages(&["two", "three"]).closing());
    let end = end_after(last.cursor);
    assert_eq!((last.after, last.cursor.seq(), last.end), (first, 3, Some(end)));
    let info = log.info();
    assert_eq!((info.is_closed, info.head, info.end()), (true, 3, Some(end)));

    let page = log.page(last.cursor);
    assert_eq!((page.continuity, page.end(), page.messages.len()), (Continuity::Resumed, Some(end), 0));
    let page = log.page(end);
    assert_eq!((page.continuity, page.cursor, page.end()), (Continuity::Resumed, end, Some(end)));
    assert!(page.messages.is_empty() && !page.more);
    let ahead = Cursor::new(end.epoch(), end.seq() + 1);
    assert!(log.resets(ahead, ResetReason::AheadOfLog));
    let part = log.read(first, tidewire_channel::Budget::messages(1)).expect("there is a log");
    assert_eq!(part.end(), None, "this page does not reach the end");

    assert_eq!(log.refused(messages(&["x"])), Refusal::Closed { end });
    assert_eq!(log.refused(messages(&["x"]).with_once(key("k", "x"))), Refusal::Closed { end });
    assert_eq!(log.refused(messages(&["x"]).with_once(producer("p", 0, 0))), Refusal::Closed { end });
    assert_eq!(log.refused(messages(&["x"]).closing()), Refusal::Closed { end });
    assert_eq!(log.texts(), ["one", "two", "three"]);
}

pub(super) fn a_log_is_closed_without_a_message(fixture: &mut dyn Fixture) {
    let log = Log::new(fixture, "tide");
    let head = log.say("one");
    let end = end_after(head);
    let closed = log.append(messages(&[]).closing());
    assert_eq!((closed.after, closed.cursor, closed.end), (head, end, Some(end)));
    assert_eq!((log.info().head, log.info().end()), (1, Some(end)));

    // A log that has no message.
    let empty = Log::new(fixture, "empty");
    let start = empty.start();
    let end = empty.append(messages(&[]).closing()).cursor;
    assert_eq!(end.seq(), 1);
    assert_ne!(end.epoch(), start.epoch(), "the next message would have opened an epoch of the channel");
    let page = empty.page(start);
    assert_eq!((page.continuity, page.cursor, page.end()), (Continuity::Resumed, start, Some(end)));
    assert_eq!(empty.refused(messages(&["x"])), Refusal::Closed { end });
    // A store keeps nothing of it but its end, and that is not nothing.
    empty.release();
    empty.sweep();
    assert_eq!(empty.info().end(), Some(end));
}

pub(super) fn closing_can_be_repeated(fixture: &mut dyn Fixture) {
    let log = Log::new(fixture, "alone");
    log.say("one");
    let closed = log.append(messages(&[]).closing());
    let again = log.append(messages(&[]).closing());
    assert_eq!((again.cursor, again.end, again.duplicate), (closed.cursor, closed.end, true));

    for (name, once) in [("key", key("k", "last")), ("producer", producer("p", 2, 0))] {
        let log = Log::new(fixture, name);
        let last = || messages(&["next to last", "last"]).closing().with_once(once.clone());
        let first = log.append(last());
        let again = log.append(last());
        assert_eq!((again.cursor, again.end, again.duplicate), (first.cursor, first.end, true), "{name}");
        assert_eq!(log.texts().len(), 2, "{name}");
    }
}
