//! Logs that are deleted, expire, or are made anew.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use tidewire_channel::{Budget, Continuity, ResetReason};
use tidewire_store::suite::{Fault, RequestKind};
use tidewire_store::{Append, Batch, ChannelSettings, Expiry, Store};

use super::setup::{
    Bell, all, faulty, hub, hub_with_short_windows, is_told, message, name, poll, publication, publish,
    publish_many, texts,
};
use crate::channel::{Channel, Watch};
use crate::channel_state::Waiter;
use crate::config::HubConfig;
use crate::error::HubError;
use crate::flight::at_once;
use crate::hub::Hub;
use crate::publication::Publication;
use crate::raw_reader::RawReader;
use crate::upload_state::RawStart;

#[test]
fn those_who_wait_at_an_end_hear_that_another_node_has_made_a_new_log() {
    let store = faulty();
    let hub = hub(&store);
    publish(&hub, "1");
    assert!(poll(&hub, &mut Publication::close(name("a"))).is_ready());
    let channel = hub.channel(&name("a")).unwrap();
    let end = channel.end().unwrap();
    assert!(matches!(channel.watch(end, end, Waiter::Worker(0)), Watch::Ended));
    store.inner().delete(&name("a"), hub.now_ms()).wait();
    let append = Append::new(hub.now_ms(), Batch::One(Arc::new(message("2"))), Arc::default());
    store.inner().append(&name("a"), append).wait().unwrap().unwrap();
    store.tell(&name("a"));
    assert!(is_told(&hub));
    assert_eq!(texts(&channel.read(end.into(), Budget::UNLIMITED)), ["2"]);
}

#[test]
fn a_deletion_ends_the_wait_for_a_page() {
    let store = faulty();
    let hub = hub_with_short_windows(&store);
    let channel = hub.channel(&name("a")).unwrap();
    let start = channel.head();
    publish_many(&hub, (1..=10).map(|n| n.to_string()));
    store.plan(RequestKind::Read, Fault::HoldRequest);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let mut cx = Context::from_waker(&waker);
    let mut reader = pin!(channel.changed(start));
    assert!(reader.as_mut().poll(&mut cx).is_pending());
    assert_eq!(at_once(hub.delete(&name("a"))), Ok(true));
    assert!(bell.0.load(Ordering::Relaxed), "it is woken");
    assert!(reader.as_mut().poll(&mut cx).is_ready() && channel.is_deleted());
    let look_up = |writes| channel.poll_open(writes, Waker::noop());
    assert_eq!(look_up(false), Poll::Ready(Err(HubError::Deleted)));
    assert_eq!(look_up(true), Poll::Ready(Err(HubError::NotReady)), "a writer looks it up again");
    assert_eq!(hub.channel(&name("a")).unwrap_err(), HubError::Deleted);
    store.release_all();
    publish(&hub, "new");
    let page = hub.channel(&name("a")).unwrap().read(start.into(), Budget::UNLIMITED);
    assert_eq!(texts(&page), ["new"]);
    assert!(matches!(page.continuity, Continuity::Reset { reason: ResetReason::UnknownEpoch, .. }));
}

#[test]
fn a_deletion_waits_for_the_store_and_publishers_wait_for_it() {
    let store = faulty();
    let hub = hub(&store);
    publish(&hub, "old");
    let channel = hub.channel(&name("a")).unwrap();
    // It is done, but the hub does not know.
    store.plan(RequestKind::Delete, Fault::HoldAnswer);
    let a = name("a");
    let mut delete = pin!(hub.delete(&a));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(delete.as_mut().poll(&mut cx).is_pending());
    assert!(!channel.is_deleted());
    let mut waits = publication("new", None);
    assert!(poll(&hub, &mut waits).is_pending());
    assert_eq!((texts(&all(&channel)), store.count(RequestKind::Append)), (vec!["old"], 1));
    store.release_all();
    assert_eq!(delete.as_mut().poll(&mut cx), Poll::Ready(Ok(true)));
    assert!(channel.is_deleted() && poll(&hub, &mut waits).is_ready());
    assert_eq!(texts(&all(&hub.channel(&name("a")).unwrap())), ["new"]);
}

#[test]
fn an_expired_log_is_deleted_under_its_readers() {
    let hub = hub(&faulty());
    let expiry = Some(Expiry::At { ms: hub.now_ms() });
    let created = at_once(hub.create(&name("a"), ChannelSettings::DEFAULT.with_expiry(expiry))).unwrap();
    assert!(created.created);
    let channel = hub.channel(&name("a")).unwrap();
    assert_eq!(channel.info().settings.expiry, expiry);
    let start = channel.head();
    assert!(matches!(channel.watch(start, start, Waiter::Worker(0)), Watch::Waiting(_)));
    hub.sweep();
    assert!(channel.is_deleted() && is_told(&hub));
    assert_eq!(hub.channel(&name("a")).unwrap_err(), HubError::Deleted);
}

#[test]
fn readers_that_wait_prolong_a_sliding_expiry() {
    let hub = hub(&faulty());
    let expiry = Some(Expiry::Sliding { ms: 60_000 });
    at_once(hub.create(&name("a"), ChannelSettings::DEFAULT.with_expiry(expiry))).unwrap();
    let (channel, later_ms) = (hub.channel(&name("a")).unwrap(), hub.now_ms() + 30_000);
    channel.sweep(later_ms);
    assert!(channel.is_to_prolong(later_ms), "nobody waits");
    let start = channel.head();
    assert!(matches!(channel.watch(start, start, Waiter::Worker(0)), Watch::Waiting(_)));
    channel.sweep(later_ms);
    assert!(!channel.is_to_prolong(later_ms));
}

/// `count` channels that are deleted after a second without a reader.
fn expiring(hub: &Arc<Hub>, count: usize) -> Vec<Arc<Channel>> {
    let settings = ChannelSettings::DEFAULT.with_expiry(Some(Expiry::Sliding { ms: 1_000 }));
    let names = (0..count).map(|number| name(&format!("c{number}")));
    names
        .map(|name| {
            at_once(hub.create(&name, settings.clone())).unwrap();
            hub.channel(&name).unwrap()
        })
        .collect()
}

#[test]
fn a_channel_does_not_expire_under_readers_that_wait() {
    // The second hub needs several steps for a sweep.
    for count in [2, 600] {
        let hub = Hub::new(HubConfig::DEFAULT, 1);
        let channels = expiring(&hub, count);
        let (read, unread): (Vec<_>, Vec<_>) =
            channels.into_iter().enumerate().partition(|(number, _)| number % 2 == 0);
        let raw = RawReader::new(&read[0].1, RawStart::Now).unwrap();
        read[1..].iter().for_each(|(_, channel)| channel.add_subscriber());
        let mut now_ms = hub.now_ms();
        let mut sweep = || {
            now_ms += 5_000;
            let mut next = Some(0);
            while let Some(from) = next {
                next = hub.sweep_some_at(from, now_ms);
                now_ms += 2_000;
            }
        };
        // The store may be a whole sweep later.
        (0..4).for_each(|_| sweep());
        assert!(read.iter().all(|(_, channel)| channel.is_open()));
        assert!(unread.iter().all(|(_, channel)| channel.is_deleted()));
        drop(raw);
        read[1..].iter().for_each(|(_, channel)| channel.remove_subscriber());
        (0..4).for_each(|_| sweep());
        assert!(read.iter().all(|(_, channel)| channel.is_deleted()));
    }
}

#[test]
fn the_time_of_an_expiry_begins_when_a_reader_leaves() {
    let hub = Hub::new(HubConfig::DEFAULT, 1);
    let channel = &expiring(&hub, 1)[0];
    channel.add_subscriber();
    let mut state = channel.lock();
    state.touched_ms = 0;
    channel.note_open(&state);
    drop(state);
    assert!(channel.is_to_prolong(hub.now_ms()));
    channel.remove_subscriber();
    assert!(channel.lock().touched_ms > 0);
}
