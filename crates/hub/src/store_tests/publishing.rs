//! Publishing to a store that is slow, fails, answers in another order, or is shared.

use std::sync::Arc;
use std::task::Poll;

use tidewire_channel::{Budget, Continuity, ResetReason};
use tidewire_store::suite::{Fault, RequestKind};
use tidewire_store::{Append, Batch, ChannelSettings, Store};

use super::setup::{
    UNKNOWN, all, faulty, hub, is_told, message, name, poll, publication, publish, release, texts,
};
use crate::channel::Watch;
use crate::channel_state::Waiter;
use crate::error::HubError;
use crate::flight::at_once;

#[test]
fn a_message_is_neither_visible_nor_acknowledged_before_the_store_has_kept_it() {
    for fault in [Fault::HoldRequest, Fault::HoldAnswer] {
        let store = faulty();
        let hub = hub(&store);
        let channel = hub.channel(&name("a")).unwrap();
        let start = channel.head();
        assert!(matches!(channel.watch(start, start, Waiter::Worker(0)), Watch::Waiting(_)));
        store.plan(RequestKind::Append, fault);
        let mut publication = publication("x", None);
        assert!(poll(&hub, &mut publication).is_pending());
        assert!(poll(&hub, &mut publication).is_pending(), "it is sent once");
        assert!(texts(&all(&channel)).is_empty() && channel.head() == start && !is_told(&hub));
        store.release_all();
        assert_eq!(texts(&all(&channel)), ["x"]);
        assert!(is_told(&hub));
        let Poll::Ready(Ok(published)) = poll(&hub, &mut publication) else { panic!("it is kept") };
        assert_eq!((published.cursor, published.cursor.seq()), (channel.head(), 1));
    }
}

#[test]
fn answers_in_another_order_give_the_messages_in_order() {
    let store = faulty();
    let hub = hub(&store);
    let channel = hub.channel(&name("a")).unwrap();
    store.always(RequestKind::Append, Some(Fault::HoldAnswer));
    let mut publications = ["1", "2", "3"].map(|text| publication(text, None));
    assert!(publications.iter_mut().all(|publication| poll(&hub, publication).is_pending()));
    let held = store.held();
    for index in [2, 1] {
        release(&store, held[index].number);
        assert!(texts(&all(&channel)).is_empty());
        assert!(publications.iter_mut().all(|publication| poll(&hub, publication).is_pending()));
    }
    release(&store, held[0].number);
    assert_eq!(texts(&all(&channel)), ["1", "2", "3"]);
    for (seq, publication) in (1..).zip(&mut publications) {
        assert!(matches!(poll(&hub, publication), Poll::Ready(Ok(done)) if done.cursor.seq() == seq));
    }
}

#[test]
fn a_publisher_that_leaves_cancels_nothing_and_a_hole_is_filled() {
    let store = faulty();
    let hub = hub(&store);
    let channel = hub.channel(&name("a")).unwrap();
    store.plan(RequestKind::Append, Fault::DropAnswer);
    store.plan(RequestKind::Read, Fault::Fail);
    let mut lost = publication("1", None);
    assert_eq!(poll(&hub, &mut lost), Poll::Ready(Err(UNKNOWN)));
    store.plan(RequestKind::Append, Fault::HoldRequest);
    let mut left = publication("2", None);
    assert!(poll(&hub, &mut left).is_pending());
    drop(left);
    assert!(texts(&all(&channel)).is_empty());
    store.release_all();
    assert_eq!(texts(&all(&channel)), ["1", "2"], "the first was read from the store");
}

#[test]
fn a_lost_answer_is_unknown_and_the_message_can_be_sent_again_with_its_key() {
    for (fault, is_kept) in [
        (Fault::LoseAnswer, true),
        (Fault::DropAnswer, true),
        (Fault::LoseRequest, false),
        (Fault::DropRequest, false),
    ] {
        let store = faulty();
        let hub = hub(&store);
        let channel = hub.channel(&name("a")).unwrap();
        store.plan(RequestKind::Append, fault);
        assert_eq!(poll(&hub, &mut publication("x", Some(b"key"))), Poll::Ready(Err(UNKNOWN)));
        assert_eq!(texts(&all(&channel)).len(), usize::from(is_kept), "{fault:?}");
        let again = poll(&hub, &mut publication("x", Some(b"key")));
        let Poll::Ready(Ok(again)) = again else { panic!("{again:?}") };
        assert_eq!((again.cursor.seq(), again.duplicate), (1, is_kept), "{fault:?}");
        assert_eq!(texts(&all(&channel)), ["x"]);
    }
    let store = faulty();
    store.plan(RequestKind::Append, Fault::Fail);
    let failed = poll(&hub(&store), &mut publication("x", None));
    assert_eq!(failed, Poll::Ready(Err(HubError::Store { unknown: false })));
}

#[test]
fn a_duplicate_of_a_message_that_the_window_lacks_waits_for_it() {
    let store = faulty();
    let hub = hub(&store);
    let channel = hub.channel(&name("a")).unwrap();
    store.plan(RequestKind::Append, Fault::LoseAnswer);
    store.plan(RequestKind::Read, Fault::Fail);
    assert_eq!(poll(&hub, &mut publication("x", Some(b"key"))), Poll::Ready(Err(UNKNOWN)));
    store.plan(RequestKind::Read, Fault::HoldAnswer);
    let mut again = publication("x", Some(b"key"));
    assert!(poll(&hub, &mut again).is_pending() && texts(&all(&channel)).is_empty());
    store.release_all();
    assert_eq!(texts(&all(&channel)), ["x"]);
    let Poll::Ready(Ok(again)) = poll(&hub, &mut again) else { panic!("it is known") };
    assert!(again.duplicate && again.cursor == channel.head());
}

#[test]
fn a_window_that_may_lack_messages_is_filled_by_the_sweep() {
    let store = faulty();
    let hub = hub(&store);
    let channel = hub.channel(&name("a")).unwrap();
    store.always(RequestKind::Read, Some(Fault::Fail));
    store.plan(RequestKind::Append, Fault::LoseAnswer);
    assert_eq!(poll(&hub, &mut publication("x", None)), Poll::Ready(Err(UNKNOWN)));
    hub.sweep();
    assert!(texts(&all(&channel)).is_empty());
    store.heal();
    hub.sweep();
    assert_eq!(texts(&all(&channel)), ["x"]);
}

#[test]
fn messages_of_other_nodes_are_read() {
    let store = faulty();
    let hub = hub(&store);
    let channel = hub.channel(&name("a")).unwrap();
    publish(&hub, "1");
    let append = |text| {
        let batch = Batch::One(Arc::new(message(text)));
        store
            .inner()
            .append(&name("a"), Append::new(hub.now_ms(), batch, Arc::default()))
            .wait()
            .unwrap()
            .unwrap()
    };
    append("2");
    store.tell(&name("a"));
    assert_eq!(texts(&all(&channel)), ["1", "2"]);
    append("3");
    publish(&hub, "4");
    assert_eq!(texts(&all(&channel)), ["1", "2", "3", "4"], "without being told");
    // Another node deletes the log and writes a new one, which is as long.
    let before = channel.head();
    store.inner().delete(&name("a"), 0).wait().unwrap().unwrap();
    for text in ["a", "b", "c", "d"] {
        append(text);
    }
    store.tell(&name("a"));
    let page = channel.read(before.into(), Budget::UNLIMITED);
    assert_eq!(texts(&page), ["a", "b", "c", "d"]);
    assert!(matches!(page.continuity, Continuity::Reset { reason: ResetReason::UnknownEpoch, .. }));
}

#[test]
fn a_typed_channel_gives_its_type_and_refuses_others() {
    let hub = hub(&faulty());
    let settings = ChannelSettings::DEFAULT.with_content_type(Some("text/x".into()));
    at_once(hub.create(&name("a"), settings)).unwrap();
    publish(&hub, "1");
    let other = message("2").with_content_type("text/y").unwrap();
    assert_eq!(hub.publish(&name("a"), other, None), Err(HubError::OtherType));
    let page = all(&hub.channel(&name("a")).unwrap());
    assert_eq!(page.messages[0].1.content_type(), Some("text/x"));
}
