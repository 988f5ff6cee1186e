//! Tests of groups and the registrations of their worker, without connections.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use tidewire_store::{ChannelName, Message};

use super::delivery::Delivery;
use super::ids::{GroupId, RowId};
use super::turn::Turn;
use crate::channel::Channel;
use crate::feeds::{HttpFormat, StreamFormat, Wire};
use crate::form_cache::FormCache;
use crate::hub::Hub;
use crate::positions::Channels;
use crate::publication::Publication;
use crate::shape::Shape;
use crate::{HubConfig, Retention};

fn hub(keeps: usize) -> Arc<Hub> {
    let retention = Retention::DEFAULT.with_max_messages(keeps);
    Hub::new(HubConfig { retention, ..HubConfig::default() }, 2)
}

fn name(name: &str) -> ChannelName {
    ChannelName::new(name).unwrap()
}

/// The parts of a worker's table.
fn delivery(hub: &Arc<Hub>, worker: u16) -> Delivery {
    let forms = FormCache::new(hub.counters.forms.clone());
    Delivery::new(hub.clone(), Arc::default(), forms, worker)
}

/// A group of these channels with one member, which is not live. A second group with the same
/// channels must be `labelled`, otherwise it would be the same group.
fn come(delivery: &mut Delivery, names: &[&ChannelName], labelled: bool) -> GroupId {
    let wire = Wire { format: StreamFormat::Http(HttpFormat::JsonLines), chunked: true, gzip: false };
    let channels = names.iter().map(|&name| delivery.hub.channel(name).unwrap()).collect();
    let id = delivery.audience.group(&Channels(channels), &Shape::Stream { wire, labelled });
    delivery.audience.groups[id].enter();
    delivery.audience.advance_later(id);
    id
}

/// Does all work, in as many turns as needed.
fn finish(delivery: &mut Delivery) {
    while !delivery.audience.todo.is_empty() {
        delivery.turn = Turn::begin();
        delivery.run();
    }
}

/// The channels in the inbox of a worker.
fn news(hub: &Hub, worker: u16) -> Vec<Arc<Channel>> {
    let mut news = Vec::new();
    let _ = hub.inbox(worker).poll_take(&mut Context::from_waker(Waker::noop()), &mut news);
    news
}

/// Publishes, whether there is room or not.
fn publish(hub: &Hub, name: &ChannelName) {
    hub.publish(name, Message::new("x".into(), 0), None).unwrap();
}

/// Publishes if there is room. Returns whether there was.
fn publish_if_room(hub: &Hub, name: &ChannelName) -> bool {
    let mut publication = Publication::new(name.clone(), Message::new("x".into(), 0), None);
    hub.poll_publish(&mut Context::from_waker(Waker::noop()), &mut publication).is_ready()
}

#[test]
fn late_news_of_a_removed_group_does_not_keep_a_channel() {
    let retention = Retention::DEFAULT.with_max_age_ms(Some(0));
    let hub = Hub::new(HubConfig { retention, idle: Duration::ZERO, ..HubConfig::default() }, 1);
    let (mut delivery, name) = (delivery(&hub, 0), name("a"));
    let first = come(&mut delivery, &[&name], false);
    finish(&mut delivery);
    publish(&hub, &name);
    delivery.audience.remove(first);
    let second = come(&mut delivery, &[&name], false);
    finish(&mut delivery);
    let news = news(&hub, 0);
    assert_eq!(news.len(), 1);
    news.iter().for_each(|channel| delivery.audience.on_news(channel));
    drop(news);
    finish(&mut delivery);
    assert!(delivery.audience.is_registered(second));
    delivery.audience.remove(second);
    // Nobody waits, so the channel is forgotten when its message has expired.
    let since = std::time::Instant::now();
    while hub.channels() > 0 {
        assert!(since.elapsed() < Duration::from_secs(30), "a worker is still registered");
        hub.sweep();
    }
}

#[test]
fn a_busy_group_does_not_delay_others() {
    let hub = hub(2);
    let (mut delivery, hot, flooded) = (delivery(&hub, 0), name("hot"), name("flooded"));
    let one = come(&mut delivery, &[&hot], false);
    let busy = come(&mut delivery, &[&hot, &flooded], true);
    finish(&mut delivery);
    for _ in 0..3 {
        // The second group gets no turn here.
        for _ in 0..2 {
            assert!(publish_if_room(&hub, &hot), "there is room for two messages");
            let news = news(&hub, 0);
            assert_eq!(news.len(), 1, "the worker is woken, whatever the second group has to do");
            news.iter().for_each(|channel| delivery.audience.on_news(channel));
            delivery.advance(one);
        }
        assert!(!publish_if_room(&hub, &hot), "the second group was not served");
        delivery.advance(busy);
        assert!(delivery.audience.is_registered(one) && delivery.audience.is_registered(busy));
        assert!(publish_if_room(&hub, &hot), "both groups were served");
        news(&hub, 0).iter().for_each(|channel| delivery.audience.on_news(channel));
        finish(&mut delivery);
    }
}

#[test]
fn reported_progress_is_kept_when_a_member_falls_behind() {
    let hub = hub(4);
    let (mut delivery, name) = (delivery(&hub, 0), name("a"));
    let groups = [false, true].map(|labelled| come(&mut delivery, &[&name], labelled));
    let channel = hub.channel(&name).unwrap();
    finish(&mut delivery);
    (0..4).for_each(|_| publish(&hub, &name));
    delivery.audience.on_news(&channel);
    delivery.turn = Turn::begin();
    delivery.advance(groups[0]);
    publish(&hub, &name);
    delivery.advance(groups[1]);
    delivery.audience.hold(groups[0]);
    delivery.audience.on_news(&channel);
    finish(&mut delivery);
    assert!(delivery.audience.is_registered(groups[0]));
    // Four messages were served. Publishers evict three more, and then they wait.
    assert_eq!((0..10).take_while(|_| publish_if_room(&hub, &name)).count(), 3);
}

#[test]
fn alternating_holds_stop_publishers_for_at_most_a_quarter_of_the_time() {
    let (hub, name) = (hub(1_000), name("a"));
    // Two workers, with two groups each.
    let mut workers = [0, 1].map(|worker| {
        let mut delivery = delivery(&hub, worker);
        let groups = [false, true].map(|labelled| come(&mut delivery, &[&name], labelled));
        finish(&mut delivery);
        (delivery, groups)
    });
    let mut dice = fastrand::Rng::with_seed(5);
    let (mut held_ms, mut held) = (0, Vec::new());
    for now_ms in 0..100_000_u64 {
        held_ms += u64::from(!held.is_empty());
        for (worker, (delivery, groups)) in workers.iter_mut().enumerate() {
            delivery.audience.set_now(now_ms);
            for group in groups.iter().copied() {
                let until = delivery.audience.may_hold_until(group);
                if until > now_ms && dice.u8(..4) == 0 {
                    delivery.audience.hold(group);
                    held.push((until, worker, group));
                }
            }
        }
        held.retain(|&(until, worker, group)| {
            let holds_on = until > now_ms && dice.u8(..20) > 0;
            if !holds_on {
                workers[worker].0.audience.release(group);
            }
            holds_on
        });
    }
    assert!((10_000..=25_200).contains(&held_ms), "{held_ms} of 100,000 ms");
}

#[test]
fn a_late_worker_that_lost_messages_is_waited_for_again() {
    let hub = hub(4);
    let (mut delivery, name) = (delivery(&hub, 0), name("a"));
    let id = come(&mut delivery, &[&name], false);
    finish(&mut delivery);
    delivery.audience.groups[id].join(RowId::of_key(0));
    // A publisher that does not wait evicts messages.
    (0..6).for_each(|_| publish(&hub, &name));
    assert!(
        (0..10).all(|_| publish_if_room(&hub, &name)),
        "publishers do not wait for a worker that may hang"
    );
    assert!(delivery.next_batch(id), "the batch has a gap and the kept messages");
    assert!(!publish_if_room(&hub, &name), "publishers wait for the worker again");
}
