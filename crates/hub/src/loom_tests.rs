//! Models of the hub, its channels and uploads. Workers, publishers, tasks and the sweep run in
//! every possible order. No message is lost, and no thread sleeps while there is a message for it;
//! loom reports a thread that sleeps for ever as a deadlock. (`tidewire-server` has the models of
//! the inbox.)

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use loom::sync::Notify;
use loom::thread;
use tidewire_channel::{Budget, Cursor, Retention, Since};
use tidewire_store::suite::{Fault, FaultyStore, RequestKind};
use tidewire_store::{ChannelName, Limits, MemoryStore, Message};

use crate::channel::{Channel, Watch};
use crate::channel_state::{Page, Published, Waiter};
use crate::config::HubConfig;
use crate::error::HubError;
use crate::hub::Hub;
use crate::publication::Publication;
use crate::raw_reader::RawReader;
use crate::upload::Upload;
use crate::upload_state::{Pace, RawStart};

/// What a thread sleeps on.
struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// Runs a future on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let bell = Arc::new(Bell(Notify::new()));
    let waker = Waker::from(bell.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        bell.0.wait();
    }
}

fn name() -> ChannelName {
    ChannelName::new("a").expect("the name is valid")
}

fn publish(hub: &Hub, text: &'static str, key: Option<&[u8]>) -> Published {
    hub.publish(&name(), Message::new(text.into(), 0), key).expect("nothing refuses the message")
}

/// Few channels need few locks, so there are fewer orders to try.
fn config() -> HubConfig {
    HubConfig { max_channels: 1, ..HubConfig::default() }
}

/// A hub whose channel is full, with a message that worker 0 has still to serve.
fn full() -> (Arc<Hub>, Arc<Channel>) {
    let retention = Retention::DEFAULT.with_max_messages(1);
    let hub = Hub::new(HubConfig { retention, ..config() }, 1);
    let channel = hub.channel(&name()).expect("there is room for a channel");
    let start = channel.head();
    assert!(matches!(channel.watch(start, start, Waiter::Worker(0)), Watch::Waiting(_)));
    publish(&hub, "one", None);
    (hub, channel)
}

async fn room(upload: &Upload, len: usize) {
    std::future::poll_fn(|cx| upload.poll_room(cx, len, Pace::Readers)).await;
}

fn texts(page: &Page) -> Vec<String> {
    page.messages.iter().map(|(_, message)| message.text().expect("the message is text").to_owned()).collect()
}

/// Does what a worker does for its subscribers of a channel. It reads to the head and delivers,
/// registers there, and sleeps until its inbox has the channel. The table does the same for many
/// channels.
fn follow(hub: &Arc<Hub>, start: Cursor, count: usize) -> Vec<String> {
    let channel = hub.channel(&name()).expect("there is room for a channel");
    let inbox = hub.inbox(0);
    let (mut position, mut delivered, mut news) = (start, Vec::new(), Vec::new());
    loop {
        loop {
            let page = channel.read(Since::After(position), Budget::UNLIMITED);
            assert!(!page.continuity.is_broken(), "{:?}", page.continuity);
            position = page.cursor;
            delivered.extend(texts(&page));
            match channel.watch(position, position, Waiter::Worker(0)) {
                Watch::Waiting(_) => break,
                Watch::Ready => {}
                Watch::Ended | Watch::Closed => panic!("a channel with messages is not forgotten"),
            }
        }
        if delivered.len() >= count {
            return delivered;
        }
        block_on(std::future::poll_fn(|cx| inbox.poll_take(cx, &mut news)));
        assert_eq!(news.drain(..).count(), 1, "one wake-up for all messages that came meanwhile");
    }
}

#[test]
fn a_worker_gets_every_message_of_two_publishers() {
    bounded().check(|| {
        let hub = Hub::new(config(), 1);
        let start = hub.channel(&name()).expect("there is room for a channel").head();
        let publishers = ["one", "two"].map(|text| {
            let hub = hub.clone();
            thread::spawn(move || publish(&hub, text, None))
        });
        let mut delivered = follow(&hub, start, 2);
        delivered.sort_unstable();
        assert_eq!(delivered, ["one", "two"]);
        publishers.into_iter().for_each(|publisher| drop(publisher.join()));
    });
}

#[test]
fn concurrent_publishes_with_one_key_append_once() {
    bounded().check(|| {
        let hub = Hub::new(config(), 1);
        let other = {
            let hub = hub.clone();
            thread::spawn(move || publish(&hub, "x", Some(b"key")))
        };
        let (ours, theirs) = (publish(&hub, "x", Some(b"key")), other.join().expect("the thread ends"));
        assert_eq!(ours.cursor, theirs.cursor);
        assert_ne!(ours.duplicate, theirs.duplicate);
        assert_eq!(hub.channel(&name()).expect("the channel exists").head().seq(), 1);
    });
}

/// The future for servers that are not ours.
#[test]
fn a_task_that_waits_for_a_change_wakes() {
    bounded().check(|| {
        let hub = Hub::new(config(), 0);
        let channel = hub.channel(&name()).expect("there is room for a channel");
        let start = channel.head();
        let publisher = {
            let hub = hub.clone();
            thread::spawn(move || publish(&hub, "one", None))
        };
        block_on(channel.changed(start));
        assert_eq!(texts(&channel.read(Since::After(start), Budget::UNLIMITED)), ["one"]);
        drop(publisher.join());
    });
}

/// The sweep forgets the channel while somebody publishes to it or begins to wait on it.
#[test]
fn a_sweep_loses_no_message() {
    bounded().check(|| {
        let hub = Hub::new(HubConfig { idle: Duration::ZERO, ..config() }, 1);
        let seen = hub.channel(&name()).expect("there is room for a channel");
        let start = seen.head();
        let sweep = {
            let hub = hub.clone();
            thread::spawn(move || hub.sweep())
        };
        let publisher = {
            let hub = hub.clone();
            thread::spawn(move || publish(&hub, "one", None))
        };
        // A watch on a forgotten channel says so, and does not wait.
        let waits = matches!(seen.watch(start, start, Waiter::Worker(0)), Watch::Waiting(_));
        let published = publisher.join().expect("the thread ends");
        sweep.join().expect("the thread ends");
        let channel = hub.channel(&name()).expect("the channel exists");
        let page = channel.read(Since::Earliest, Budget::UNLIMITED);
        assert_eq!((texts(&page), page.cursor), (vec!["one".to_owned()], published.cursor));
        if waits {
            assert_eq!(seen.head(), published.cursor, "a waiter is in the channel that is published to");
            let mut news = Vec::new();
            block_on(std::future::poll_fn(|cx| hub.inbox(0).poll_take(cx, &mut news)));
        }
    });
}

/// If a message is acknowledged while the server stops, a worker sees it when it reads the channel
/// before it disconnects its readers.
#[test]
fn a_message_acknowledged_during_a_stop_is_in_the_log() {
    bounded().check(|| {
        let hub = Hub::new(config(), 1);
        let channel = hub.channel(&name()).expect("there is room for a channel");
        let publisher = {
            let hub = hub.clone();
            thread::spawn(move || hub.publish(&name(), Message::new("one".into(), 0), None))
        };
        hub.stop();
        let last = texts(&channel.read(Since::Earliest, Budget::UNLIMITED));
        match publisher.join().expect("the thread ends") {
            Ok(_) => assert_eq!(last, ["one"]),
            Err(error) => assert_eq!(error, HubError::Stopping),
        }
    });
}

/// The upload waits for its reader, and the reader for the upload. The log has two pieces. Neither
/// sleeps for ever, and no byte is lost.
#[test]
fn an_upload_and_its_reader_wait_for_each_other() {
    bounded().check(|| {
        let retention = Retention::DEFAULT.with_max_messages(2);
        let hub = Hub::new(HubConfig { retention, ..config() }, 0);
        let upload = block_on(Upload::begin(&hub, &name(), None)).expect("the channel is free");
        let channel = hub.channel(&name()).expect("the channel exists");
        let mut reader =
            RawReader::new(&channel, RawStart::Upload).expect("the log has the start of the upload");
        let source = thread::spawn(move || {
            for piece in ["1", "2", "3"] {
                block_on(room(&upload, 1));
                block_on(upload.piece(piece.into())).expect("the store keeps it");
            }
            block_on(room(&upload, 0));
            block_on(upload.end(false)).expect("the store keeps it");
        });
        let mut got = String::new();
        loop {
            match block_on(std::future::poll_fn(|cx| reader.poll_next(cx))) {
                Ok(message) if message.as_mark().is_some() => break,
                Ok(message) => got += message.text().expect("the message is text"),
                Err(_) => panic!("lost after {got}"),
            }
        }
        assert_eq!(got, "123");
        source.join().expect("the thread ends");
    });
}

/// An upload that waits for a reader goes on when the reader leaves.
#[test]
fn an_upload_goes_on_when_its_reader_leaves() {
    bounded().check(|| {
        let retention = Retention::DEFAULT.with_max_messages(1);
        let hub = Hub::new(HubConfig { retention, ..config() }, 0);
        let upload = block_on(Upload::begin(&hub, &name(), None)).expect("the channel is free");
        let channel = hub.channel(&name()).expect("the channel exists");
        let reader = RawReader::new(&channel, RawStart::Upload).expect("the log has the start of the upload");
        block_on(upload.piece("1".into())).expect("the store keeps it");
        let leaves = thread::spawn(move || drop(reader));
        block_on(room(&upload, 1));
        block_on(upload.end(false)).expect("the store keeps it");
        leaves.join().expect("the thread ends");
    });
}

/// Two publishers use a log of one message, and a worker reads it. Nobody sleeps for ever, and
/// nothing is evicted before it is delivered.
#[test]
fn publishers_wait_for_a_worker_that_keeps_up() {
    bounded().check(|| {
        let retention = Retention::DEFAULT.with_max_messages(1);
        let hub = Hub::new(HubConfig { retention, ..config() }, 1);
        let channel = hub.channel(&name()).expect("there is room for a channel");
        let start = channel.head();
        assert!(matches!(channel.watch(start, start, Waiter::Worker(0)), Watch::Waiting(_)));
        let publishers = ["one", "two"].map(|text| {
            let hub = hub.clone();
            thread::spawn(move || {
                let message = Message::new(text.into(), 0);
                block_on(hub.publish_when_room(&name(), message, None)).expect("nothing refuses the message");
            })
        });
        let mut delivered = follow(&hub, start, 2);
        delivered.sort_unstable();
        assert_eq!(delivered, ["one", "two"]);
        publishers.into_iter().for_each(|publisher| publisher.join().expect("the thread ends"));
    });
}

/// The last worker leaves. That makes room for all publishers that wait. It wakes the first of
/// them, and each wakes the next.
#[test]
fn waiting_publishers_wake_each_other() {
    bounded().check(|| {
        let (hub, channel) = full();
        let publishers = ["two", "three"].map(|text| {
            let hub = hub.clone();
            thread::spawn(move || {
                let message = Message::new(text.into(), 0);
                block_on(hub.publish_when_room(&name(), message, None)).expect("nothing refuses the message");
            })
        });
        channel.leave(0);
        publishers.into_iter().for_each(|publisher| publisher.join().expect("the thread ends"));
        assert_eq!(channel.head().seq(), 3);
    });
}

/// The first publisher in line gives up at the moment it is woken, while the worker leaves. The
/// next publisher goes on.
#[test]
fn a_publisher_that_gives_up_passes_its_turn_on() {
    bounded().check(|| {
        let (hub, channel) = full();
        let mut first = Publication::new(name(), Message::new("two".into(), 0), None);
        assert!(hub.poll_publish(&mut Context::from_waker(Waker::noop()), &mut first).is_pending());
        let second = {
            let hub = hub.clone();
            thread::spawn(move || {
                let message = Message::new("three".into(), 0);
                block_on(hub.publish_when_room(&name(), message, None)).expect("nothing refuses the message");
            })
        };
        let gives_up = thread::spawn(move || drop(first));
        channel.leave(0);
        second.join().expect("the thread ends");
        gives_up.join().expect("the thread ends");
        assert_eq!(texts(&channel.read(Since::Earliest, Budget::UNLIMITED)), ["three"]);
    });
}

/// The store answers on a thread of its own. The publisher and the reader of its message wake, and
/// so does a publisher whose message was answered before.
#[test]
fn an_answer_from_another_thread_wakes_publishers_and_readers() {
    bounded().check(|| {
        let store = Arc::new(FaultyStore::new(MemoryStore::new(Limits::DEFAULT.with_max_logs(1))));
        let hub = Hub::with_store(config(), 1, store.clone());
        let start = hub.channel(&name()).expect("the store opens it").head();
        store.always(RequestKind::Append, Some(Fault::HoldAnswer));
        let mut publications = ["one", "two"].map(|text| {
            let mut publication = Publication::new(name(), Message::new(text.into(), 0), None);
            assert!(hub.poll_publish(&mut Context::from_waker(Waker::noop()), &mut publication).is_pending());
            publication
        });
        let answers = thread::spawn(move || {
            let held: Vec<_> = store.held().iter().map(|held| held.number).collect();
            held.into_iter().rev().for_each(|number| assert!(FaultyStore::release(&store, number)));
        });
        let publisher = {
            let hub = hub.clone();
            thread::spawn(move || {
                for publication in &mut publications {
                    block_on(std::future::poll_fn(|cx| hub.poll_publish(cx, publication)))
                        .expect("the store keeps it");
                }
            })
        };
        assert_eq!(follow(&hub, start, 2), ["one", "two"]);
        answers.join().expect("the thread ends");
        publisher.join().expect("the thread ends");
    });
}

/// A page comes while a task begins to wait for it.
#[test]
fn a_page_from_another_thread_wakes_its_reader() {
    bounded().check(|| {
        let store = Arc::new(FaultyStore::new(MemoryStore::new(Limits::DEFAULT.with_max_logs(1))));
        let window = Retention::DEFAULT.with_max_messages(1);
        let hub = Hub::with_store(HubConfig { window, ..config() }, 0, store.clone());
        let channel = hub.channel(&name()).expect("the store opens it");
        let start = channel.head();
        publish(&hub, "one", None);
        publish(&hub, "two", None);
        store.plan(RequestKind::Read, Fault::HoldAnswer);
        assert!(channel.read(Since::After(start), Budget::UNLIMITED).waits);
        let answers = thread::spawn(move || store.release_all());
        block_on(channel.changed(start));
        assert_eq!(texts(&channel.read(Since::After(start), Budget::messages(1))), ["one"]);
        assert_eq!(answers.join().expect("the thread ends"), 1);
    });
}

/// A worker with the usual mistake: it registers at the head of the log and not at the position
/// that it has read. loom finds the order in which it sleeps for ever, so the models above can
/// fail.
#[test]
fn a_worker_that_registers_at_the_head_is_found_to_sleep_for_ever() {
    let found = Arc::new(AtomicBool::new(false));
    let note = found.clone();
    bounded().check(move || {
        let hub = Hub::new(config(), 1);
        let channel = hub.channel(&name()).expect("there is room for a channel");
        let publisher = {
            let hub = hub.clone();
            thread::spawn(move || publish(&hub, "one", None))
        };
        let read = channel.read(Since::Earliest, Budget::UNLIMITED).messages.len();
        let waits =
            matches!(channel.watch(channel.head(), channel.head(), Waiter::Worker(0)), Watch::Waiting(_));
        drop(publisher.join());
        let mut news = Vec::new();
        let woken = hub.inbox(0).poll_take(&mut Context::from_waker(Waker::noop()), &mut news).is_ready();
        note.fetch_or(read == 0 && waits && !woken, Ordering::Relaxed);
    });
    assert!(found.load(Ordering::Relaxed), "a lost wake-up goes unnoticed");
}

/// With the locks of the map and of the channel there are too many orders to try all. According to
/// loom's documentation, two or three preemptions find most bugs.
fn bounded() -> loom::model::Builder {
    let mut some = loom::model::Builder::new();
    some.preemption_bound = Some(2);
    some
}
