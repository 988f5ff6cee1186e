//! What makes a repeated append harmless, and what an append does not change when it is refused.

use super::Fixture;
use super::tools::{Log, key, messages, producer};
use crate::append::{Append, Appended};
use crate::error::Refusal;
use crate::info::Opened;

/// The answer to a repetition of an append.
fn duplicate(first: Appended) -> Appended {
    Appended { after: first.cursor, duplicate: true, ..first }
}

pub(super) fn a_key_makes_a_repetition_a_duplicate(fixture: &mut dyn Fixture) {
    let log = Log::new(fixture, "tide");
    let append = |text| messages(&[text]).with_once(key("k1", text));
    assert!(!log.store.is_known(&log.name, &key("k1", "one"), log.now_ms), "nothing is there");
    let first = log.append(append("one"));
    assert_eq!(log.append(append("one")), duplicate(first));
    assert!(!log.store.is_known(&log.name, &key("k2", "one"), log.now_ms), "it would append");
    log.say("two");
    assert_eq!(log.append(append("one")), duplicate(first), "it is told the first position");
    assert_eq!(log.refused(append("other")), Refusal::KeyTaken);
    let limit = fixture.limits().max_key;
    let long = "k".repeat(limit + 1);
    let refusal = log.refused(messages(&["x"]).with_once(key(&long, "x")));
    assert_eq!(refusal, Refusal::KeyTooLong { len: limit + 1, limit });
    let several = || messages(&["three", "four"]).with_once(key("k2", "three four"));
    let batch = log.append(several());
    assert_eq!(log.append(several()), duplicate(batch));
    assert_eq!(log.texts(), ["one", "two", "three", "four"]);
    let elsewhere = Log::new(fixture, "other").append(append("other"));
    assert!(!elsewhere.duplicate, "another log may use the same key");
}

pub(super) fn a_producer_makes_a_repetition_a_duplicate(fixture: &mut dyn Fixture) {
    let log = Log::new(fixture, "tide");
    let append = |seq, texts: &[&str]| messages(texts).with_once(producer("p", 7, seq));
    assert_eq!(log.refused(append(1, &["x"])), Refusal::ProducerStart);
    assert!(matches!(log.open(), Opened::Absent { .. }), "a refused append creates no log");
    let first = log.append(append(0, &["one"]));
    assert_eq!(log.append(append(0, &["one"])), duplicate(first));
    let second = log.append(append(1, &["two", "three"]));
    assert_eq!((second.after, second.cursor.seq()), (first.cursor, 3));
    assert_eq!(log.append(append(1, &["two", "three"])), duplicate(second));
    assert_eq!(
        log.append(append(0, &["one"])),
        duplicate(second),
        "it is told the position of its last append"
    );
    assert_eq!(log.refused(append(3, &["x"])), Refusal::ProducerGap { expected: 2 });
    let other = log.append(messages(&["four"]).with_once(producer("q", 0, 0)));
    assert!(!other.duplicate, "each producer counts for itself");
    assert!(!log.append(append(2, &["five"])).duplicate);
    assert_eq!(log.texts(), ["one", "two", "three", "four", "five"]);
    let long = "p".repeat(fixture.limits().max_producer_id + 1);
    let refusal = log.refused(messages(&["x"]).with_once(producer(&long, 0, 0)));
    assert!(matches!(refusal, Refusal::ProducerIdTooLong { .. }), "{refusal}");
}

pub(super) fn a_producer_of_an_earlier_run_is_fenced(fixture: &mut dyn Fixture) {
    let log = Log::new(fixture, "tide");
    let append = |epoch, seq, text| messages(&[text]).with_once(producer("p", epoch, seq));
    log.append(append(3, 0, "one"));
    log.append(append(3, 1, "two"));
    assert_eq!(log.refused(append(4, 1, "x")), Refusal::ProducerStart);
    assert!(!log.append(append(3, 2, "three")).duplicate, "a run that was refused fences nobody");
    assert!(!log.append(append(5, 0, "four")).duplicate);
    for seq in [0, 2, 3, 9] {
        assert_eq!(log.refused(append(3, seq, "x")), Refusal::ProducerFenced { epoch: 5 });
    }
    assert!(!log.append(append(5, 1, "five")).duplicate);
    assert_eq!(log.texts(), ["one", "two", "three", "four", "five"]);
}

pub(super) fn keys_and_producers_are_bounded(fixture: &mut dyn Fixture) {
    let limits = fixture.limits();
    let log = Log::new(fixture, "keys");
    let append = |number: usize| messages(&["x"]).with_once(key(&format!("k{number}"), "x"));
    for number in 0..=limits.max_keys {
        assert!(!log.append(append(number)).duplicate);
    }
    assert!(log.append(append(1)).duplicate, "as many as the limit are remembered");
    assert!(!log.append(append(0)).duplicate, "the oldest is forgotten");

    let mut log = Log::new(fixture, "producers");
    let append = |number: usize, seq| messages(&["x"]).with_once(producer(&format!("p{number}"), 0, seq));
    for number in 0..limits.max_producers {
        log.append(append(number, 0));
    }
    assert!(!log.append(append(0, 1)).duplicate, "this one was used last");
    log.append(append(limits.max_producers, 0));
    assert!(log.append(append(0, 1)).duplicate);
    assert_eq!(
        log.refused(append(1, 1)),
        Refusal::ProducerStart,
        "the one not used for longest is forgotten"
    );
    log.now_ms += limits.producer_age_ms - 1;
    assert!(log.append(append(0, 1)).duplicate, "a repetition is a use");
    log.now_ms += 1;
    assert_eq!(log.refused(append(limits.max_producers, 1)), Refusal::ProducerStart, "too old");
    assert!(log.append(append(0, 1)).duplicate);
}

pub(super) fn a_stream_sequence_increases(fixture: &mut dyn Fixture) {
    let log = Log::new(fixture, "tide");
    let append = |seq: &str, text| messages(&[text]).with_stream_seq(Some(seq.into()));
    log.append(append("b", "one"));
    for not_greater in ["b", "a", "B", ""] {
        assert_eq!(log.refused(append(not_greater, "x")), Refusal::StreamSeq, "{not_greater:?}");
    }
    log.say("two");
    log.append(append("b0", "three"));
    assert_eq!(log.refused(append("b", "x")), Refusal::StreamSeq);
    let repeated = || append("c", "four").with_once(producer("p", 0, 0));
    let first = log.append(repeated());
    assert_eq!(log.append(repeated()), duplicate(first), "a repetition has the same sequence");
    log.append(append("é", "five"));
    assert_eq!(log.refused(append("z", "x")), Refusal::StreamSeq, "compared as bytes");
    assert_eq!(log.texts(), ["one", "two", "three", "four", "five"]);
}

/// A refused append leaves everything as it was: also what the append would have changed beside the
/// log.
pub(super) fn an_append_is_all_or_nothing(fixture: &mut dyn Fixture) {
    let log = Log::new(fixture, "tide");
    assert_eq!(log.refused(messages(&[])), Refusal::Empty);
    assert!(matches!(log.open(), Opened::Absent { .. }), "a refused append creates no log");
    log.append(messages(&["one"]).with_stream_seq(Some("m".into())).with_once(producer("p", 1, 0)));
    let before = log.info();
    let several = || messages(&["x", "y"]).closing();
    let refuse = |append: Append| {
        let refusal = log.refused(append);
        assert_eq!(log.info(), before, "{refusal}");
        refusal
    };
    assert_eq!(refuse(several().with_stream_seq(Some("a".into()))), Refusal::StreamSeq);
    refuse(several().with_stream_seq(Some("z".into())).with_once(producer("p", 1, 5)));
    refuse(several().with_stream_seq(Some("z".into())).with_once(producer("p", 0, 0)));
    refuse(several().with_stream_seq(Some("a".into())).with_once(producer("p", 1, 1)));
    refuse(several().with_stream_seq(Some("a".into())).with_once(key("k", "xy")));
    assert_eq!(refuse(messages(&[])), Refusal::Empty);
    // The refused ones have left no sequence, no key and no number.
    assert!(!log.append(messages(&["two"]).with_stream_seq(Some("n".into()))).duplicate);
    assert!(!log.append(messages(&["three"]).with_once(key("k", "three"))).duplicate);
    assert!(!log.append(messages(&["four"]).with_once(producer("p", 1, 1))).duplicate);
    assert_eq!(log.texts(), ["one", "two", "three", "four"]);
}
