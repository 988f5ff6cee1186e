//! A hub over a store that does not answer: nobody waits for ever, and nothing grows for ever.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tidewire_channel::Retention;
use tidewire_store::suite::{Fault, RequestKind};
use tidewire_store::{ChannelSettings, Retain};

use super::setup::{UNKNOWN, all, faulty, hub, name, poll, publication, publish, texts};
use crate::channel::Watch;
use crate::channel_state::Waiter;
use crate::error::HubError;
use crate::flight::{MAX_FLYING, at_once};

#[test]
fn an_append_that_is_never_answered_does_not_stop_those_after_it() {
    let store = faulty();
    let hub = hub(&store);
    let channel = hub.channel(&name("a")).unwrap();
    store.plan(RequestKind::Append, Fault::HoldAnswer);
    let (mut first, mut second) = (publication("1", None), publication("2", None));
    assert!(poll(&hub, &mut first).is_pending() && poll(&hub, &mut second).is_pending());
    assert!(texts(&all(&channel)).is_empty());
    channel.sweep(hub.now_ms() + 30_000);
    assert_eq!(texts(&all(&channel)), ["1", "2"], "they were read from the store");
    assert_eq!(poll(&hub, &mut first), Poll::Ready(Err(UNKNOWN)));
    assert!(poll(&hub, &mut second).is_ready());
    store.release_all();
    publish(&hub, "3");
    assert_eq!(texts(&all(&channel)), ["1", "2", "3"]);
}

#[test]
fn a_read_of_what_the_window_lacks_is_made_again_if_it_is_never_answered() {
    let store = faulty();
    let hub = hub(&store);
    let channel = hub.channel(&name("a")).unwrap();
    store.plan(RequestKind::Append, Fault::LoseAnswer);
    store.plan(RequestKind::Read, Fault::HoldAnswer);
    assert_eq!(poll(&hub, &mut publication("1", None)), Poll::Ready(Err(UNKNOWN)));
    // The window does not know its place yet.
    let mut second = publication("2", None);
    assert!(poll(&hub, &mut second).is_pending());
    channel.sweep(hub.now_ms() + 30_000);
    assert_eq!(poll(&hub, &mut second), Poll::Ready(Err(UNKNOWN)));
    assert_eq!(texts(&all(&channel)), ["1", "2"]);
    store.release_all();
    assert_eq!(texts(&all(&channel)), ["1", "2"], "the late answer changes nothing");
}

#[test]
fn nobody_waits_for_ever_for_a_channel_that_the_store_does_not_open() {
    let store = faulty();
    let hub = hub(&store);
    store.plan(RequestKind::Open, Fault::HoldRequest);
    let failed = HubError::Store { unknown: false };
    let (mut waits, mut cx) = (publication("x", None), Context::from_waker(Waker::noop()));
    assert!(poll(&hub, &mut waits).is_pending() && hub.poll_open(&mut cx, &name("a")).is_pending());
    let channel = hub.peek(&name("a"));
    channel.sweep(hub.now_ms() + 30_000);
    assert_eq!(poll(&hub, &mut waits), Poll::Ready(Err(failed)));
    assert_eq!(hub.channel(&name("a")).unwrap_err(), failed, "at once");
    store.release_all();
    publish(&hub, "x");
    assert_eq!(store.count(RequestKind::Open), 1);
}

#[test]
fn nobody_waits_for_ever_for_a_change_that_the_store_does_not_make() {
    let store = faulty();
    let hub = hub(&store);
    publish(&hub, "old");
    let channel = hub.channel(&name("a")).unwrap();
    store.plan(RequestKind::Delete, Fault::HoldRequest);
    let (a, mut cx) = (name("a"), Context::from_waker(Waker::noop()));
    let (mut delete, mut create) = (pin!(hub.delete(&a)), pin!(hub.create(&a, ChannelSettings::DEFAULT)));
    let mut waits = publication("new", None);
    assert!(delete.as_mut().poll(&mut cx).is_pending() && create.as_mut().poll(&mut cx).is_pending());
    assert!(poll(&hub, &mut waits).is_pending());
    channel.sweep(hub.now_ms() + 30_000);
    assert_eq!(delete.as_mut().poll(&mut cx), Poll::Ready(Err(UNKNOWN)));
    let failed = Err(HubError::Store { unknown: false });
    assert_eq!(poll(&hub, &mut waits), Poll::Ready(failed));
    assert_eq!(poll(&hub, &mut publication("new", None)), Poll::Ready(failed), "at once");
    assert!(matches!(create.as_mut().poll(&mut cx), Poll::Ready(Err(HubError::Store { unknown: false }))));
    assert_eq!(texts(&all(&channel)), ["old"], "readers are not disturbed");
    store.release_all();
    assert!(channel.is_deleted());
    publish(&hub, "new");
}

#[test]
fn messages_on_their_way_to_a_store_that_does_not_answer_are_bounded() {
    let store = faulty();
    let hub = hub(&store);
    store.always(RequestKind::Append, Some(Fault::HoldRequest));
    let text = "x".repeat(1_000_000);
    let publish = || poll(&hub, &mut publication(&text, None));
    let sent = (0..100).take_while(|_| publish().is_pending()).count();
    assert_eq!(sent, MAX_FLYING / text.len() + 1);
    assert_eq!(publish(), Poll::Ready(Err(HubError::Store { unknown: false })));
    store.release_all();
    store.heal();
    assert!(matches!(publish(), Poll::Ready(Ok(published)) if published.cursor.seq() == sent as u64 + 1));
}

#[test]
fn a_publisher_does_not_wait_for_ever_for_an_answer() {
    let store = faulty();
    let hub = hub(&store);
    let channel = hub.channel(&name("a")).unwrap();
    store.plan(RequestKind::Append, Fault::HoldRequest);
    let mut waits = publication("x", None);
    assert!(poll(&hub, &mut waits).is_pending());
    channel.sweep(hub.now_ms() + 20_000);
    assert!(poll(&hub, &mut waits).is_pending());
    channel.sweep(hub.now_ms() + 30_000);
    assert_eq!(poll(&hub, &mut waits), Poll::Ready(Err(UNKNOWN)));
    store.release_all();
    assert_eq!(texts(&all(&channel)), ["x"], "it was kept all the same");
}

#[test]
fn a_publisher_that_is_refused_leaves_the_line() {
    let store = faulty();
    let retention = Retention::DEFAULT.with_max_messages(1);
    let settings = ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention));
    let hub = hub(&store);
    at_once(hub.create(&name("a"), settings.clone())).unwrap();
    let channel = hub.channel(&name("a")).unwrap();
    let serve = || channel.watch(channel.head(), channel.head(), Waiter::Worker(0));
    assert!(matches!(serve(), Watch::Waiting(_)));
    publish(&hub, "1");
    let mut waits = publication("2", None);
    assert!(poll(&hub, &mut waits).is_pending());
    store.plan(RequestKind::Create, Fault::HoldRequest);
    let (a, mut cx) = (name("a"), Context::from_waker(Waker::noop()));
    let mut create = pin!(hub.create(&a, settings));
    assert!(create.as_mut().poll(&mut cx).is_pending() && poll(&hub, &mut waits).is_pending());
    channel.sweep(hub.now_ms() + 30_000);
    assert_eq!(poll(&hub, &mut waits), Poll::Ready(Err(HubError::Store { unknown: false })));
    store.release_all();
    assert!(matches!(serve(), Watch::Waiting(_)));
    assert!(poll(&hub, &mut publication("2", None)).is_ready());
}

/// After a restart, the store opens many logs one after the other.
#[test]
fn those_in_the_line_of_a_store_that_answers_others_wait_for_longer() {
    let store = faulty();
    let hub = hub(&store);
    store.plan(RequestKind::Open, Fault::HoldRequest);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(hub.poll_open(&mut cx, &name("a")).is_pending());
    let channel = hub.peek(&name("a"));
    for (late_ms, is_given_up) in [(40_000, false), (69_000, false), (130_000, true)] {
        channel.common.note_answer(hub.now_ms() + late_ms.min(40_000));
        channel.sweep(hub.now_ms() + late_ms);
        assert_eq!(hub.poll_open(&mut cx, &name("a")).is_ready(), is_given_up, "after {late_ms} ms");
    }
    store.release_all();
    assert!(matches!(hub.poll_open(&mut cx, &name("a")), Poll::Ready(Ok(_))));
}
