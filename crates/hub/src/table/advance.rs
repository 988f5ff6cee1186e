//! Groups: what is new is given to their live members, in as many turns as that takes.
//!
//! ```text
//!   news ──► queued ──► next batch ──► one member after another ──► next batch ──► ... ──► head: registered
//!               ▲                          │ the turn is over           │ others wait
//!               └──────────────────────────┴────────────────────────────┘
//! ```

use super::delivery::Delivery;
use super::ids::{GroupId, RowId};
use super::row::{Member, Place};
use super::state::{Event, State};
use super::todo::Work;
use crate::feeds::Flow;

/// Members between two looks at the clock.
const STEP: usize = 16;

impl Delivery {
    /// Does what is to be done, until the turn is over.
    pub(super) fn run(&mut self) {
        while !self.turn.is_over() {
            match self.audience.todo.next() {
                None => return,
                Some(Work::Advance(group)) => self.advance(group),
                Some(Work::Turn(id)) => {
                    if let Some(row) = self.rows.get_mut(id).filter(|row| row.is_queued) {
                        row.is_queued = false;
                        self.drive(id, Event::Turn);
                    }
                }
                Some(Work::SayStop(from)) => self.say_stop_from(from),
            }
        }
    }

    /// Brings a group on: to the heads of its channels, if the turn is long enough and nobody else
    /// waits. What is left is queued again.
    pub(super) fn advance(&mut self, id: GroupId) {
        let Some(group) = self.audience.groups.get_mut(id) else { return };
        group.is_queued = false;
        if group.is_unused() {
            return self.audience.remove(id);
        }
        if group.is_closed {
            return self.disband(id);
        }
        while self.audience.groups[id].is_delivering() || self.next_batch(id) {
            self.deliver(id);
            // All members may have left on the way, as those of a poll do.
            let Some(group) = self.audience.groups.get(id) else { return };
            if group.is_delivering() || self.turn.is_over() || !self.audience.todo.is_empty() {
                return self.audience.advance_later(id);
            }
        }
        self.audience.settle(id);
    }

    fn next_batch(&mut self, id: GroupId) -> bool {
        let others_wait = !self.audience.todo.is_empty();
        let group = &mut self.audience.groups[id];
        let any = group.next_batch(others_wait, &self.hub.counters, &self.forms);
        if any && group.is_broken() {
            self.audience.come_again(id);
        }
        any
    }

    /// Gives the batch that is on its way to the members that wait for it, until the turn is over.
    fn deliver(&mut self, id: GroupId) {
        let mut given = 0;
        while let Some((row, batch)) =
            self.audience.groups.get_mut(id).and_then(|group| group.next_receiver())
        {
            let event = match batch.flow {
                Flow::Continue => self.rows[row].offer(&batch.rope),
                Flow::End => {
                    self.rows[row].put_last(batch.rope.clone(), self.clock.ran_ms());
                    self.end(id)
                }
            };
            if event != Event::Sent {
                self.drive(row, event);
                self.keep_unit(row);
            }
            given += 1;
            if given % STEP == 0 && self.turn.is_over() {
                return;
            }
        }
    }

    /// Keeps of the batch that a member did not take whole only so much as it may; from there it
    /// reads the log itself. A reader that does not read holds little then, whatever else there was
    /// to write.
    fn keep_unit(&mut self, id: RowId) {
        let Some(row) = self.rows.get_mut(id).filter(|row| row.state == State::Sending) else { return };
        let Some(Member { group, place: Place::Behind(positions) }) = &mut row.member else { return };
        self.audience.groups[*group].keep_unit(&mut row.pending, positions);
    }

    /// Tells the members of a closed group that are up to date to come back.
    fn disband(&mut self, id: GroupId) {
        let mut told = 0;
        while let Some(row) = self.audience.groups.get_mut(id).and_then(|group| group.next_to_disband()) {
            self.drive(row, Event::Failed);
            told += 1;
            if told % STEP == 0 && self.turn.is_over() {
                return self.audience.advance_later(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use tidewire_channel::Retention;

    use super::super::turn::Turn;
    use super::*;
    use crate::HubConfig;
    use crate::feeds::{HttpFormat, StreamFormat, Wire};
    use crate::forms::Forms;
    use crate::hub::Hub;
    use crate::message::Message;
    use crate::name::ChannelName;
    use crate::positions::Channels;
    use crate::publication::Publication;
    use crate::settings::Settings;
    use crate::shape::Shape;

    /// Does all that is to be done, in as many turns as that takes.
    fn finish(delivery: &mut Delivery) {
        while !delivery.audience.todo.is_empty() {
            delivery.turn = Turn::begin();
            delivery.run();
        }
    }

    #[test]
    fn news_of_a_group_that_left_does_not_keep_the_channel_of_the_one_that_came() {
        let retention = Retention { max_age_ms: Some(0), ..Retention::default() };
        let hub = Hub::new(HubConfig { retention, idle: Duration::ZERO, ..HubConfig::default() }, 1);
        let name = ChannelName::new("a").unwrap();
        let forms = Forms::new(hub.counters.forms.clone());
        let mut delivery = Delivery::new(hub.clone(), Arc::new(Settings::default()), forms, 0);
        let wire = Wire { format: StreamFormat::Http(HttpFormat::JsonLines), chunked: true, gzip: false };
        let channel = hub.channel(&name).unwrap();
        let come = |delivery: &mut Delivery| {
            let channels = Channels([channel.clone()].into());
            let id = delivery.audience.group(&channels, &Shape::Stream { wire, labelled: false });
            delivery.audience.groups[id].enter();
            delivery.audience.advance_later(id);
            finish(delivery);
            id
        };
        let first = come(&mut delivery);
        hub.publish(&name, Message::new("x".into(), 0), None).unwrap();
        delivery.audience.remove(first);
        let second = come(&mut delivery);
        let mut news = Vec::new();
        assert!(hub.inbox(0).poll_take(&mut Context::from_waker(Waker::noop()), &mut news).is_ready());
        news.iter().for_each(|channel| delivery.audience.on_news(channel));
        finish(&mut delivery);
        assert!(delivery.audience.is_registered(second));
        delivery.audience.remove(second);
        // Nobody waits, so the channel goes with its message.
        let since = std::time::Instant::now();
        while hub.channels() > 0 {
            assert!(since.elapsed() < Duration::from_secs(30), "somebody is still registered");
            hub.sweep();
        }
    }

    #[test]
    fn a_group_with_much_to_do_keeps_no_news_from_the_others() {
        let retention = Retention { max_messages: 2, ..Retention::default() };
        let hub = Hub::new(HubConfig { retention, ..HubConfig::default() }, 1);
        let forms = Forms::new(hub.counters.forms.clone());
        let mut delivery = Delivery::new(hub.clone(), Arc::new(Settings::default()), forms, 0);
        let wire = Wire { format: StreamFormat::Http(HttpFormat::JsonLines), chunked: true, gzip: false };
        let [hot, flooded] = ["hot", "flooded"].map(|name| ChannelName::new(name).unwrap());
        let mut come = |names: &[&ChannelName]| {
            let channels = names.iter().map(|&name| hub.channel(name).unwrap()).collect();
            let shape = Shape::Stream { wire, labelled: names.len() > 1 };
            let id = delivery.audience.group(&Channels(channels), &shape);
            delivery.audience.groups[id].enter();
            delivery.audience.advance_later(id);
            id
        };
        let (one, busy) = (come(&[&hot]), come(&[&hot, &flooded]));
        finish(&mut delivery);
        let news = || {
            let mut news = Vec::new();
            let mut no_waker = Context::from_waker(Waker::noop());
            hub.inbox(0).poll_take(&mut no_waker, &mut news).is_ready().then_some(news)
        };
        let publish = |name: &ChannelName| {
            let mut publication = Publication::new(name.clone(), Message::new("x".into(), 0), None);
            hub.poll_publish(&mut Context::from_waker(Waker::noop()), &mut publication).is_ready()
        };
        for _ in 0..3 {
            // The second group never gets its turn.
            for _ in 0..2 {
                assert!(publish(&hot), "there is room for two");
                let channels = news().expect("the worker is woken, whatever the second group has to do");
                channels.iter().for_each(|channel| delivery.audience.on_news(channel));
                delivery.advance(one);
            }
            assert!(!publish(&hot), "the second group was not served");
            delivery.advance(busy);
            assert!(delivery.audience.is_registered(one) && delivery.audience.is_registered(busy));
            assert!(publish(&hot), "both were served");
            news().into_iter().flatten().for_each(|channel| delivery.audience.on_news(&channel));
            finish(&mut delivery);
        }
    }

    #[test]
    fn what_publishers_were_told_is_not_taken_back_when_a_member_falls_behind() {
        let retention = Retention { max_messages: 4, ..Retention::default() };
        let hub = Hub::new(HubConfig { retention, ..HubConfig::default() }, 1);
        let name = ChannelName::new("a").unwrap();
        let forms = Forms::new(hub.counters.forms.clone());
        let mut delivery = Delivery::new(hub.clone(), Arc::new(Settings::default()), forms, 0);
        let channel = hub.channel(&name).unwrap();
        let groups = [false, true].map(|labelled| {
            let wire = Wire { format: StreamFormat::Http(HttpFormat::JsonLines), chunked: true, gzip: false };
            let channels = Channels([channel.clone()].into());
            let id = delivery.audience.group(&channels, &Shape::Stream { wire, labelled });
            delivery.audience.groups[id].enter();
            delivery.audience.advance_later(id);
            id
        });
        finish(&mut delivery);
        let publish = || hub.publish(&name, Message::new("x".into(), 0), None).unwrap();
        for _ in 0..4 {
            publish();
        }
        delivery.audience.on_news(&channel);
        delivery.turn = Turn::begin();
        delivery.advance(groups[0]);
        publish();
        delivery.advance(groups[1]);
        delivery.audience.hold(groups[0]);
        delivery.audience.on_news(&channel);
        finish(&mut delivery);
        assert!(delivery.audience.is_registered(groups[0]));
        // Four messages were served. Publishers evict these, and then they wait.
        let mut cx = Context::from_waker(Waker::noop());
        let publishes = (0..10).take_while(|_| {
            let mut publication = Publication::new(name.clone(), Message::new("x".into(), 0), None);
            hub.poll_publish(&mut cx, &mut publication).is_ready()
        });
        assert_eq!(publishes.count(), 3);
    }

    #[test]
    fn readers_that_hold_a_channel_in_turn_stop_publishers_for_a_quarter_of_the_time() {
        let hub = Hub::new(HubConfig::default(), 2);
        let name = ChannelName::new("a").unwrap();
        let channel = hub.channel(&name).unwrap();
        let wire = Wire { format: StreamFormat::Http(HttpFormat::JsonLines), chunked: true, gzip: false };
        // Two workers, with two groups each.
        let mut workers = [0, 1].map(|worker| {
            let forms = Forms::new(hub.counters.forms.clone());
            let mut delivery = Delivery::new(hub.clone(), Arc::new(Settings::default()), forms, worker);
            let groups = [false, true].map(|labelled| {
                let channels = Channels([channel.clone()].into());
                let id = delivery.audience.group(&channels, &Shape::Stream { wire, labelled });
                delivery.audience.groups[id].enter();
                delivery.audience.advance_later(id);
                id
            });
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
    fn a_worker_that_was_so_late_that_messages_were_lost_is_waited_for_again() {
        let retention = Retention { max_messages: 4, ..Retention::default() };
        let hub = Hub::new(HubConfig { retention, ..HubConfig::default() }, 1);
        let name = ChannelName::new("a").unwrap();
        let forms = Forms::new(hub.counters.forms.clone());
        let mut delivery = Delivery::new(hub.clone(), Arc::new(Settings::default()), forms, 0);
        let wire = Wire { format: StreamFormat::Http(HttpFormat::JsonLines), chunked: true, gzip: false };
        let channels = Channels([hub.channel(&name).unwrap()].into());
        let id = delivery.audience.group(&channels, &Shape::Stream { wire, labelled: false });
        delivery.audience.groups[id].enter();
        delivery.audience.advance_later(id);
        finish(&mut delivery);
        delivery.audience.groups[id].join(RowId::of_key(0));
        let publish = || {
            let mut publication = Publication::new(name.clone(), Message::new("x".into(), 0), None);
            hub.poll_publish(&mut Context::from_waker(Waker::noop()), &mut publication).is_ready()
        };
        for _ in 0..6 {
            // Who does not wait throws messages out.
            hub.publish(&name, Message::new("x".into(), 0), None).unwrap();
        }
        assert!((0..10).all(|_| publish()), "it may hang");
        assert!(delivery.next_batch(id), "a gap, and what is left");
        assert!(!publish(), "it is at work");
    }
}
