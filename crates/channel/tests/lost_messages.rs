//! How other systems lost messages: one test for each way. The simulation makes the same mistakes
//! on purpose and finds them (`sim/fault.rs`). Here each is shown by itself, in a few lines.
//!
//! References are to public reports of the systems, read in November 2026.

use tidewire_channel::{
    Appended, Budget, Channel, Continuity, Cursor, Epoch, Fingerprint, Limits, Log, Once, ProducerSeq,
    RefusedKind, ResetReason, Retention, Since, WaitError,
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

    // Channels that were never written may share an epoch.
    let mut same = self::channel();
    assert!(same.wait(at(0), "of another one").is_ok());
    assert_eq!(same.cancel(key), None);
    assert_eq!(old.cancel(key), Some("of the old one"));
}

/// A log loses its newest messages and counts on from the last one that is there. Other messages
/// get the lost numbers, and a reader that has the old ones skips the new ones. Redis streams after
/// a failover.
#[test]
fn a_lost_tail_is_told_to_exactly_those_who_had_seen_it() {
    let mut log = Log::continuing(at(40), Retention::DEFAULT).expect("the number is small");
    let other = |seq| Cursor::new(Epoch::new(8), seq);
    log.begin_epoch(Epoch::new(8)); // the storage had given out numbers after 40
    log.append(0, 1, "other 41").expect("the log is open");
    let continuity = |log: &Log<_>, cursor: Cursor| log.read(cursor.into(), ALL).continuity();
    for seq in 41..50 {
        let lost = Continuity::Reset { reason: ResetReason::TailLost, to: at(40) };
        assert_eq!(continuity(&log, at(seq)), lost, "it goes on after the last message that is there");
    }
    // All others continue. Nobody tells them anything.
    for cursor in [at(40), other(41)] {
        assert_eq!(continuity(&log, cursor), Continuity::Resumed);
    }
    let cursors: Vec<_> = log.read(at(40).into(), ALL).iter().map(|entry| entry.cursor).collect();
    assert_eq!(cursors, [other(41)], "the next message has the next number");
    // The place after 40 has one spelling. Nobody was given the other.
    let unknown = Continuity::Reset { reason: ResetReason::UnknownEpoch, to: at(40) };
    assert_eq!(continuity(&log, other(40)), unknown);
    assert_eq!(log.head(), other(41));
}

/// The same when the tail was lost twice, and the messages after the first loss too.
#[test]
fn a_second_loss_does_not_hide_the_first() {
    let mut log = Log::continuing(at(40), Retention::DEFAULT).expect("the number is small");
    log.begin_epoch(Epoch::new(8));
    log.append(0, 1, "other 41").expect("the log is open");
    let mut lineage = log.lineage().clone();
    lineage.begin(Epoch::new(9), 39);
    let log: Log<&str> = Log::restored(lineage, 39, Retention::DEFAULT).expect("the parts fit");
    let reset = |cursor: Cursor| match log.read(cursor.into(), ALL).continuity() {
        Continuity::Reset { reason, to } => Some((reason, to)),
        _ => None,
    };
    assert_eq!(reset(at(39)), None);
    assert_eq!([reset(at(40)), reset(at(41))], [Some((ResetReason::TailLost, at(39))); 2]);
    // No message of this epoch is left, so it is not remembered. Its readers are told too.
    assert_eq!(reset(Cursor::new(Epoch::new(8), 41)), Some((ResetReason::UnknownEpoch, at(39))));
}

/// A reader waits on a channel that was never written, and the server restarts. A new epoch would
/// tell a reset to every reader of such a channel. So the position of a channel that was never
/// written is one of the whole store, and the first message opens the channel's own epoch.
#[test]
fn a_channel_that_was_never_written_resumes_after_a_restart() {
    let store = Epoch::new(1);
    let mut channel: Channel<&str, &str> = Channel::new(store, Retention::DEFAULT, Limits::DEFAULT);
    let hello = channel.read(Since::Now, ALL).cursor();
    assert_eq!(hello, Cursor::new(store, 0));
    channel.log_mut().begin_epoch(Epoch::new(7));
    assert!(channel.wait(hello, "reader").is_ok(), "an epoch alone is no news");
    assert_eq!(publish(&mut channel, "one"), ["reader"]);
    let read = channel.read(hello.into(), ALL);
    assert_eq!((read.continuity(), read.cursor()), (Continuity::Resumed, at(1)));
    // Another channel that was never written has the same position. Here it is before the first
    // message, so its reader loses nothing.
    assert_eq!(texts(&channel, Cursor::new(store, 0)), ["one"]);
    assert!(channel.read(at(0).into(), ALL).continuity().is_broken(), "it has another spelling");
}

/// The last message and the end of a stream come as two events. If the connection is cut between
/// them, the reader comes back and waits for ever for a message that will never come.
#[test]
fn a_cut_before_the_end_does_not_lose_the_end() {
    let mut channel = channel();
    assert!(channel.wait(at(0), "early").is_ok());
    let (appended, woken) = channel.append_batch(0, [(1, "last")], true, Once::No).expect("the log is open");
    assert_eq!((appended, woken.collect::<Vec<_>>()), (Appended::New(at(1)), vec!["early"]));
    let read = channel.read(at(0).into(), Budget::messages(0));
    assert_eq!((read.more(), read.end()), (true, None), "the end comes after the last message");
    let read = channel.read(at(0).into(), ALL);
    assert_eq!((read.cursor(), read.end()), (at(1), Some(at(2))));

    // The cut is here. The reader has the last message, and not the end.
    assert_eq!(channel.wait(at(1), "late"), Err(WaitError::Ready("late")));
    let read = channel.read(at(1).into(), ALL);
    assert_eq!((read.is_news(), read.len(), read.end()), (true, 0, Some(at(2))));
    // A reader that has the end is not made to wait either.
    assert_eq!(channel.wait(at(2), "at the end"), Err(WaitError::Ready("at the end")));
    let read = channel.read(at(2).into(), ALL);
    assert_eq!((read.continuity(), read.cursor(), read.end()), (Continuity::Resumed, at(2), Some(at(2))));
    assert_eq!(channel.read(at(3).into(), ALL).end(), Some(at(2)));
    assert!(channel.read(at(3).into(), ALL).continuity().is_broken());
}

/// A message comes after the end. Readers that were told the end never get it.
#[test]
fn nothing_comes_after_the_end() {
    let mut channel = channel();
    publish(&mut channel, "one");
    assert_eq!(channel.log_mut().close(), at(2));
    assert_eq!(channel.append(0, 1, "two").expect_err("the log is closed").kind(), RefusedKind::Closed);
    assert_eq!(
        channel.log_mut().append(0, 1, "two").map_err(|refused| refused.kind()),
        Err(RefusedKind::Closed)
    );
    let again = channel.append_batch(0, [], true, Once::No).expect("closing can be repeated").0;
    assert_eq!(again, Appended::Duplicate(at(2)));
    // Nor does anything move the end.
    channel.log_mut().begin_epoch(Epoch::new(8));
    channel.log_mut().skip_to(9);
    assert_eq!((channel.log().head(), channel.log().end()), (at(1), Some(at(2))));
}

/// The answer to a closing append is lost, and the publisher sends it again. It must not be told
/// that the log was closed by somebody else.
#[test]
fn a_retried_closing_append_is_one_end() {
    let mut with_key = channel();
    let mut with_producer = channel();
    let key = Once::Key { text: b"key", fingerprint: Fingerprint([1; 16]) };
    let producer = Once::Producer(ProducerSeq { id: b"id", epoch: 0, seq: 0 });
    for (channel, once) in [(&mut with_key, key), (&mut with_producer, producer)] {
        let batch = [(1, "one"), (1, "last")];
        for expected in [Appended::New(at(2)), Appended::Duplicate(at(2))] {
            let (appended, _) = channel.append_batch(0, batch, true, once).expect("it is the same append");
            assert_eq!((appended, channel.log().end()), (expected, Some(at(3))));
        }
        assert_eq!(texts(channel, Since::Earliest), ["one", "last"]);
    }
}

/// A program is thought to be dead, and another one takes its place. Then both write. Kafka calls
/// the first one a zombie, and fences it.
#[test]
fn an_old_run_of_a_producer_is_shut_out() {
    let mut channel = channel();
    let mut publish = |epoch, seq, text| {
        let once = Once::Producer(ProducerSeq { id: b"gauge", epoch, seq });
        channel.append_batch(0, [(1, text)], false, once).map(|_| ()).map_err(|refused| refused.kind())
    };
    assert_eq!([publish(0, 0, "a"), publish(0, 1, "b")], [Ok(()); 2]);
    assert_eq!(publish(0, 3, "d"), Err(RefusedKind::ProducerGap { expected: 2 }), "c is missing");
    assert_eq!(publish(1, 2, "c"), Err(RefusedKind::ProducerStart));
    assert_eq!(publish(1, 0, "c"), Ok(()));
    assert_eq!(publish(0, 2, "the zombie's"), Err(RefusedKind::ProducerFenced { epoch: 1 }));
    assert_eq!(texts(&channel, Since::Earliest), ["a", "b", "c"]);
}
