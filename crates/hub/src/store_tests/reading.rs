//! Opening channels, and reading behind their windows.

use std::sync::Arc;
use std::task::{Context, Waker};

use tidewire_channel::{Budget, Continuity, Cursor, ResetReason};
use tidewire_store::suite::{Fault, JournalStore, Loss, RequestKind};
use tidewire_store::{ChannelName, Limits, Store};

use super::setup::{
    all, faulty, hub, hub_with_short_windows, message, name, poll, publication, publish, publish_many, texts,
};
use crate::config::HubConfig;
use crate::error::HubError;
use crate::hub::Hub;
use crate::pages::MAX_FETCHES;

#[test]
fn a_channel_is_opened_once_for_all_who_ask() {
    let store = faulty();
    let hub = hub(&store);
    store.plan(RequestKind::Open, Fault::HoldRequest);
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(hub.channel(&name("a")).unwrap_err(), HubError::NotReady);
    let mut publication = publication("x", None);
    assert!(hub.poll_open(&mut cx, &name("a")).is_pending() && poll(&hub, &mut publication).is_pending());
    assert!(hub.channel(&name("b")).is_ok(), "other channels are open");
    store.release_all();
    assert_eq!(store.count(RequestKind::Open), 2);
    assert!(hub.poll_open(&mut cx, &name("a")).is_ready() && poll(&hub, &mut publication).is_ready());

    store.plan(RequestKind::Open, Fault::Fail);
    assert_eq!(hub.channel(&name("c")).unwrap_err(), HubError::Store { unknown: false });
    assert!(hub.channel(&name("c")).is_ok(), "the next one tries again");
}

#[test]
fn one_fetch_serves_all_readers_at_the_same_place() {
    let store = faulty();
    let hub = hub_with_short_windows(&store);
    let channel = hub.channel(&name("a")).unwrap();
    let start = channel.head();
    publish_many(&hub, (1..=10).map(|n| n.to_string()));
    store.plan(RequestKind::Read, Fault::HoldRequest);
    let page = channel.read(start.into(), Budget::UNLIMITED);
    assert!(page.waits && page.more && page.messages.is_empty() && page.cursor == start);
    let mut cx = Context::from_waker(Waker::noop());
    let mut readers: Vec<_> = (0..100).map(|_| Box::pin(channel.changed(start))).collect();
    assert!(readers.iter_mut().all(|reader| reader.as_mut().poll(&mut cx).is_pending()));
    store.release_all();
    for reader in &mut readers {
        assert!(reader.as_mut().poll(&mut cx).is_ready());
        let page = channel.read(start.into(), Budget::messages(8));
        assert_eq!(texts(&page), ["1", "2", "3", "4", "5", "6", "7", "8"]);
        assert_eq!(page.continuity, Continuity::Resumed);
    }
    let rest = channel.read(channel.read(start.into(), Budget::messages(8)).cursor.into(), Budget::UNLIMITED);
    assert_eq!((texts(&rest), rest.more), (vec!["9", "10"], false), "these are in memory");
    assert_eq!(store.count(RequestKind::Read), 1);
}

#[test]
fn a_page_has_no_message_that_the_window_does_not_know() {
    for fault in [Fault::HoldAnswer, Fault::LoseAnswer] {
        let store = faulty();
        let hub = hub_with_short_windows(&store);
        let channel = hub.channel(&name("a")).unwrap();
        publish_many(&hub, (1..=5).map(|n| n.to_string()));
        store.plan(RequestKind::Append, fault);
        // The answer is lost, and so is what the store has then.
        store.plan(RequestKind::Read, Fault::Fail);
        let mut sixth = publication("6", None);
        assert_eq!(poll(&hub, &mut sixth).is_pending(), fault == Fault::HoldAnswer);
        if fault == Fault::HoldAnswer {
            store.heal();
        }
        let page = all(&channel);
        assert_eq!(texts(&page), ["1", "2", "3", "4", "5"], "{fault:?}");
        assert_eq!(page.cursor.seq(), 5);
        store.release_all();
        hub.sweep();
        let rest = channel.read(page.cursor.into(), Budget::UNLIMITED);
        assert_eq!((rest.continuity, texts(&rest)), (Continuity::Resumed, vec!["6"]), "{fault:?}");
    }
}

#[test]
fn logs_that_vanish_under_a_fetch_take_no_place_from_other_fetches() {
    let store = faulty();
    let hub = hub_with_short_windows(&store);
    let publish = |name: &ChannelName| {
        (1..=10).for_each(|n| assert!(hub.publish(name, message(n.to_string()), None).is_ok()));
        hub.channel(name).unwrap()
    };
    for number in 0..=MAX_FETCHES {
        let name = name(&format!("gone-{number}"));
        let channel = publish(&name);
        assert_eq!(store.inner().delete(&name, hub.now_ms()).wait(), Some(Ok(true)), "the hub is not told");
        assert!(all(&channel).waits && channel.is_deleted());
    }
    assert_eq!(texts(&all(&publish(&name("a")))).len(), 10);
}

#[test]
fn a_channel_that_is_opened_again_is_soon_in_memory() {
    let store = faulty();
    publish_many(&hub(&store), (1..=3).map(|n| n.to_string()));
    let hub = hub(&store);
    let channel = hub.channel(&name("a")).unwrap();
    assert_eq!(texts(&all(&channel)), ["1", "2", "3"]);
    publish(&hub, "4");
    let page = all(&channel);
    assert_eq!((texts(&page), page.more), (vec!["1", "2", "3", "4"], false));
    assert_eq!(store.count(RequestKind::Read), 1);
    assert!(channel.common.pages.forget(channel.number).workers.is_empty());
    assert_eq!(texts(&all(&channel)), ["1", "2", "3", "4"]);
    assert_eq!(store.count(RequestKind::Read), 1);
}

#[test]
fn a_restart_without_a_loss_is_invisible_and_a_loss_is_told_to_those_who_had_seen_it() {
    let begin = |store: &Arc<JournalStore>| Hub::with_store(HubConfig::default(), 0, store.clone());
    for lost in [0, 1] {
        let store = Arc::new(JournalStore::new(Limits::DEFAULT));
        let before = begin(&store);
        let cursors = ["1", "2", "3"].map(|text| publish(&before, text));
        let loss = if lost == 0 { Loss::Nothing } else { Loss::Tail(lost) };
        let store = Arc::new(store.restart(loss));
        let after = begin(&store);
        let next = publish(&after, "4");
        assert_eq!(next.seq(), 4 - lost as u64, "numbers go on");
        assert_eq!(next.epoch() == cursors[2].epoch(), lost == 0);
        let channel = after.channel(&name("a")).unwrap();
        let read = |cursor: Cursor| channel.read(cursor.into(), Budget::UNLIMITED);
        let second = read(cursors[1]);
        assert_eq!(second.continuity, Continuity::Resumed);
        let rest = if lost == 0 { vec!["3", "4"] } else { vec!["4"] };
        assert_eq!(texts(&second), rest);
        let third = read(cursors[2]);
        assert_eq!(texts(&third), ["4"]);
        let tail_lost = Continuity::Reset { reason: ResetReason::TailLost, to: cursors[1] };
        assert_eq!(third.continuity, if lost == 0 { Continuity::Resumed } else { tail_lost });
    }
}
