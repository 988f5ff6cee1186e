//! How other systems lost messages: one test for each way. The simulation makes the same mistakes
//! on purpose and finds them (`sim/fault.rs`). Here each is shown by itself, in a few lines.
//!
//! References are to public reports of the systems, read in November 2026.

use tidewire_channel::{
    Appended, Budget, Channel, Continuity, Cursor, Epoch, Fingerprint, Limits, Log, RefusedKind, ResetReason,
    Retention, Since, WaitError,
};

const ALL: Budget = Budget::UNLIMITED;

fn channel() -> Channel<&'static str, &'static str> {
    Channel::new(Epoch::new(7), Retention::DEFAULT, Limits::DEFAULT)
}

fn at(seq: u64) -> Cursor {
    Cursor::new(Epoch::new(7), seq)
}

fn texts<'a>(channel: &Channel<&'a str, &str>, since: impl Into<Since>) -> Vec<&'a str> {
    channel.read(since.into(), ALL).iter().map(|entry| *entry.value).collect()
}

/// Appends a message and returns the waiters that it wakes.
fn publish(channel: &mut Channel<&'static str, &'static str>, text: &'static str) -> Vec<&'static str> {
    channel.append(0, text.len(), text).expect("the message is small").1.collect()
}

/// A hub replays the history, then registers the subscriber. An update between the two steps is
/// never delivered. Mercure #178, #354.
#[test]
fn an_update_between_replay_and_wait_is_delivered() {
    let mut channel = channel();
    publish(&mut channel, "one");
    let replayed = channel.read(Since::Earliest, ALL).cursor();

    publish(&mut channel, "two"); // in between

    assert_eq!(channel.wait(replayed, "reader"), Err(WaitError::Ready("reader")));
    assert_eq!(texts(&channel, replayed), ["two"]);
    assert!(channel.wait(at(2), "reader").is_ok());
    assert_eq!(publish(&mut channel, "three"), ["reader"]);
    assert_eq!(texts(&channel, at(2)), ["three"]);
}

/// A server that does not know an id replays everything (ntfy), or nothing for ever (Mercure #704),
/// and does not tell the reader.
#[test]
fn an_unknown_cursor_is_a_reset() {
    let mut channel = channel();
    publish(&mut channel, "one");
    publish(&mut channel, "two");
    let stranger = Cursor::new(Epoch::new(8), 1);
    for (cursor, reason) in [(stranger, ResetReason::UnknownEpoch), (at(3), ResetReason::AheadOfLog)] {
        let read = channel.read(cursor.into(), ALL);
        assert_eq!(read.continuity(), Continuity::Reset { reason, to: at(0) });
        assert_eq!((read.len(), read.cursor()), (2, at(2)));
        assert_eq!(channel.wait(cursor, "reader"), Err(WaitError::Ready("reader")));
    }
}

/// A poll's time is up at the moment when its event arrives. The event counts as delivered, or the
/// answer says "nothing until now" and the next poll starts after the event. CometD #1142.
#[test]
fn a_poll_that_ends_as_its_event_arrives_loses_nothing() {
    // The event comes first: the poll cannot be cancelled any more, so it knows of the event.
    let mut channel = channel();
    let key = channel.wait(at(0), "poll").expect("nothing is there");
    assert_eq!(publish(&mut channel, "one"), ["poll"]);
    assert_eq!(channel.cancel(key), None);
    assert_eq!(texts(&channel, at(0)), ["one"]);

    // The time-out comes first: the answer is empty and has the cursor of the request. The next
    // poll begins there.
    let key = channel.wait(at(1), "poll").expect("all is read");
    assert_eq!(channel.cancel(key), Some("poll"));
    assert!(publish(&mut channel, "two").is_empty());
    assert_eq!(texts(&channel, at(1)), ["two"]);
}

/// A client leaves one transport before the other is open. Messages go to neither. Engine.IO and
/// its ports; Atmosphere #2444.
#[test]
fn a_message_during_a_transport_upgrade_is_delivered() {
    let mut channel = channel();
    publish(&mut channel, "one");
    let [old_feed, new_feed] = [at(1); 2];
    publish(&mut channel, "two"); // during the upgrade
    assert_eq!(texts(&channel, new_feed), ["two"]);
    // The old transport delivers it too, with the same cursor, so the reader knows that it is the
    // same message.
    let cursors = |since: Cursor| channel.read(since.into(), ALL).iter().map(|entry| entry.cursor).collect();
    let (by_old, by_new): (Vec<Cursor>, Vec<Cursor>) = (cursors(old_feed), cursors(new_feed));
    assert_eq!((&by_old[..], by_old == by_new), (&[at(2)][..], true));

    // The old transport is cut first. The new one delivers the message, because it was opened at
    // the cursor and not "now".
    publish(&mut channel, "three");
    assert_eq!(texts(&channel, new_feed), ["two", "three"]);
}

/// The search for an id has a limit and starts at the oldest message. It never finds the id of the
/// usual reconnect, one message behind. Mercure #1382.
#[test]
fn a_cursor_one_message_behind_is_found_in_a_long_log() {
    let retention =
        Retention::DEFAULT.with_max_messages(50_000).with_max_bytes(usize::MAX).with_max_age_ms(None);
    let mut log = Log::new(Epoch::new(7), retention);
    for number in 0..50_000 {
        log.append(0, 1, number).expect("the log is open");
    }
    let read = log.read(at(49_999).into(), Budget::messages(1));
    assert_eq!((read.continuity(), read.len(), read.more()), (Continuity::Resumed, 1, false));
    let read = log.read(at(1).into(), Budget::messages(1));
    assert_eq!((read.continuity(), read.cursor(), read.more()), (Continuity::Resumed, at(2), true));
}

/// A client stores a new epoch with the offset of the old one: "a position that never existed". The
/// server then takes it for the current one. centrifuge-go #160.
#[test]
fn a_new_epoch_is_never_combined_with_an_old_number() {
    let mut old = channel();
    publish(&mut old, "one");
    publish(&mut old, "two");
    let mut reader = old.log().head();

    // The log is lost. The new log has counted past the reader's number since.
    let mut new: Channel<_, &str> = Channel::new(Epoch::new(8), Retention::DEFAULT, Limits::DEFAULT);
    for text in ["uno", "due", "tre"] {
        let (_, woken) = new.append(0, 1, text).expect("the message is small");
        assert_eq!(woken.count(), 0);
    }
    let read = new.read(reader.into(), ALL);
    let Continuity::Reset { to, .. } = read.continuity() else { panic!("{:?}", read.continuity()) };
    // Epoch and number are one value here and in the reader, so nobody can take only one of them.
    reader = to;
    for entry in &read {
        assert_eq!(entry.cursor, Cursor::new(reader.epoch(), reader.seq() + 1));
        reader = entry.cursor;
    }
    assert_eq!(reader, new.log().head());
}

/// A second poll comes before the first has ended. The answer to the first takes the messages, but
/// nobody reads it any more. CometD #511.
#[test]
fn overlapping_polls_take_nothing_from_each_other() {
    let mut channel = channel();
    assert!(channel.wait(at(0), "first").is_ok());
    assert!(channel.wait(at(0), "second").is_ok());
    assert_eq!(publish(&mut channel, "one"), ["first", "second"]);
    assert_eq!(texts(&channel, at(0)), ["one"]);
    assert_eq!(texts(&channel, at(0)), ["one"]); // reading moves nothing in the log
}

/// A reader's messages are evicted while it reads. The server skips them, writes a line to its own
/// log and tells the client nothing. Nchan #689.
#[test]
fn an_eviction_during_a_replay_is_a_gap() {
    let retention = Retention::DEFAULT.with_max_messages(4);
    let mut log = Log::new(Epoch::new(7), retention);
    for number in 1..=4 {
        log.append(0, 1, number).expect("the log is open");
    }
    let cursor = log.read(Since::Earliest, Budget::messages(2)).cursor();
    assert_eq!(cursor, at(2));
    for number in 5..=9 {
        log.append(0, 1, number).expect("the log is open");
    }
    let read = log.read(cursor.into(), ALL);
    assert_eq!(read.continuity(), Continuity::Gap { from: at(2), to: at(5), missed: 3 });
    assert_eq!(read.iter().map(|entry| *entry.value).collect::<Vec<_>>(), [6, 7, 8, 9]);
}

/// Cursors are made of the time of day. When the clock is set back, messages are not delivered.
/// Nchan #469.
#[test]
fn a_clock_that_is_set_back_hides_no_message() {
    let retention = Retention::DEFAULT.with_max_age_ms(Some(1_000));
    let mut log = Log::new(Epoch::new(7), retention);
    log.append(10_000, 1, "before").expect("the log is open");
    log.append(4_000, 1, "after").expect("the log is open");
    let times: Vec<_> = log.read(Since::Earliest, ALL).iter().map(|entry| entry.time_ms).collect();
    assert_eq!(times, [10_000, 10_000]);
    assert_eq!(log.expire(5_500), 0); // no message expires while the clock catches up
    assert_eq!(log.expire(11_000), 2);
    assert_eq!(log.expire(4_000), 0); // and no message comes back
    assert!(log.is_empty());
}

/// A connection that was cut before its first message has no cursor to come back with. Socket.IO
/// #5538.
#[test]
fn a_cut_before_the_first_message_loses_nothing() {
    let mut channel = channel();
    let hello = channel.read(Since::Now, ALL).cursor();
    assert_eq!(hello, at(0));
    publish(&mut channel, "one");
    assert_eq!(texts(&channel, hello), ["one"]);
    assert_eq!(channel.read(hello.into(), ALL).continuity(), Continuity::Resumed);
}

/// A publisher that lost the answer publishes again. Within its window, the same key stands for the
/// same message.
#[test]
fn a_retried_publish_is_one_message() {
    let mut channel = channel();
    let one = Fingerprint([1; 16]);
    let mut once = |text| channel.append_once(0, b"key", one, 1, text).expect("the message is small");
    assert_eq!(once("one").0, Appended::New(at(1)));
    let (again, woken) = once("one");
    assert_eq!((again, woken.count()), (Appended::Duplicate(at(1)), 0));
    assert_eq!(texts(&channel, Since::Earliest), ["one"]);
}

/// An attacker guesses a key and uses it first. The owner of the key must not be told that its
/// message is there.
#[test]
fn a_publish_whose_key_was_guessed_is_refused() {
    let mut channel = channel();
    let mut once = |text, says| channel.append_once(0, b"key", Fingerprint([says; 16]), 1, text);
    assert!(once("the attacker's", 1).is_ok());
    let refused = once("the owner's", 2).expect_err("the key belongs to another message");
    assert_eq!(refused.kind(), RefusedKind::KeyTaken);
    assert_eq!(texts(&channel, Since::Earliest), ["the attacker's"]);
}

/// A late cancellation for a lost channel removes a waiter from the new channel of the same name.
/// That waiter then waits for ever. The simulation found this in an early version of this crate.
#[test]
fn a_late_cancellation_does_not_hit_a_new_channel() {
    let mut old = channel();
    let key = old.wait(at(0), "of the old one").expect("nothing is there");
    let mut new: Channel<&str, &str> = Channel::new(Epoch::new(8), Retention::DEFAULT, Limits::DEFAULT);
    assert!(new.wait(Cursor::new(Epoch::new(8), 0), "of the new one").is_ok());
    assert_eq!(new.cancel(key), None);
    assert_eq!(new.waiters(), 1);
}
