//! A hub over stores that are slow, fail, answer in another order, crash, and are shared.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::SystemTime;

use tidewire_channel::{Budget, Continuity, Cursor, ResetReason, Retention, Since};
use tidewire_store::suite::{Fault, FaultyStore, JournalStore, Loss, RequestKind};
use tidewire_store::{
    Append, Batch, ChannelName, ChannelSettings, Expiry, Limits, MemoryStore, Message, Retain, Store,
};

use crate::channel::{Channel, Watch};
use crate::channel_state::{Page, Published, Waiter};
use crate::config::{HubConfig, Patterns};
use crate::error::HubError;
use crate::flight::at_once;
use crate::hub::Hub;
use crate::pages::MAX_FETCHES;
use crate::publication::Publication;
use crate::raw_reader::RawReader;
use crate::upload::Upload;
use crate::upload_state::RawStart;

pub(crate) type Faulty = Arc<FaultyStore<MemoryStore>>;

pub(crate) const UNKNOWN: HubError = HubError::Store { unknown: true };

pub(crate) fn faulty() -> Faulty {
    Arc::new(FaultyStore::new(MemoryStore::new(Limits::DEFAULT)))
}

pub(crate) fn release(store: &FaultyStore<MemoryStore>, number: usize) {
    assert!(store.release(number));
}

pub(crate) fn name(text: &str) -> ChannelName {
    ChannelName::new(text).unwrap()
}

/// A hub with one worker over this store.
pub(crate) fn hub(store: &Faulty) -> Arc<Hub> {
    Hub::with_store(HubConfig::default(), 1, store.clone())
}

/// The same, whose channels keep everything and have the last two messages in memory.
pub(crate) fn hub_with_short_windows(store: &Faulty) -> Arc<Hub> {
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::All));
    let window = Retention::DEFAULT.with_max_messages(2);
    let patterns = Patterns::new(move |_| Some(settings.clone()));
    Hub::with_store(HubConfig::DEFAULT.with_window(window).with_patterns(patterns), 1, store.clone())
}

fn message(text: impl Into<String>) -> Message {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Message::new(text.into().into(), now.as_millis() as u64)
}

pub(crate) fn publication(text: &str, key: Option<&[u8]>) -> Publication {
    Publication::new(name("a"), message(text), key)
}

pub(crate) fn poll(hub: &Hub, publication: &mut Publication) -> Poll<Result<Published, HubError>> {
    hub.poll_publish(&mut Context::from_waker(Waker::noop()), publication)
}

pub(crate) fn publish(hub: &Hub, text: &str) -> Cursor {
    hub.publish(&name("a"), message(text), None).unwrap().cursor
}

pub(crate) fn publish_many(hub: &Hub, texts: impl Iterator<Item = String>) {
    texts.for_each(|text| assert!(publish(hub, &text).seq() > 0));
}

pub(crate) fn all(channel: &Channel) -> Page {
    channel.read(Since::Earliest, Budget::UNLIMITED)
}

pub(crate) fn texts(page: &Page) -> Vec<&str> {
    page.messages.iter().map(|(_, message)| message.event().or(message.text()).unwrap()).collect()
}

/// Notes that it was woken.
#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether worker 0 was told of news.
fn is_told(hub: &Hub) -> bool {
    let mut news = Vec::new();
    hub.inbox(0).poll_take(&mut Context::from_waker(Waker::noop()), &mut news).is_ready()
}

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

#[test]
fn an_upload_that_a_crash_has_cut_is_marked_before_anybody_reads() {
    let store = Arc::new(JournalStore::new(Limits::DEFAULT));
    let before = Hub::with_store(HubConfig::default(), 0, store.clone());
    let upload = at_once(Upload::begin(&before, &name("a"), None)).unwrap();
    at_once(upload.piece("1".into())).unwrap();
    let faulty = Arc::new(FaultyStore::new(store.restart(Loss::Nothing)));
    let after = Hub::with_store(HubConfig::default(), 0, faulty.clone());
    faulty.plan(RequestKind::Append, Fault::HoldRequest);
    assert_eq!(after.channel(&name("a")).unwrap_err(), HubError::NotReady);
    faulty.release_all();
    assert_eq!(texts(&all(&after.channel(&name("a")).unwrap())), ["1", "upload-aborted"]);
    publish(&after, "2");
}

#[test]
fn an_upload_waits_for_a_change_of_its_log() {
    let store = faulty();
    let hub = hub(&store);
    at_once(hub.create(&name("a"), ChannelSettings::DEFAULT)).unwrap();
    let upload = at_once(Upload::begin(&hub, &name("a"), None)).unwrap();
    store.plan(RequestKind::Create, Fault::HoldRequest);
    let (a, mut cx) = (name("a"), Context::from_waker(Waker::noop()));
    let mut create = pin!(hub.create(&a, ChannelSettings::DEFAULT));
    assert!(create.as_mut().poll(&mut cx).is_pending());
    let mut piece = pin!(upload.piece("1".into()));
    assert!(piece.as_mut().poll(&mut cx).is_pending());
    store.release_all();
    assert_eq!(piece.as_mut().poll(&mut cx), Poll::Ready(Ok(())));
}

#[test]
fn an_upload_to_a_name_that_was_deleted_may_begin_slowly() {
    let hub = hub(&faulty());
    publish(&hub, "old");
    assert_eq!(at_once(hub.delete(&name("a"))), Ok(true));
    let upload = at_once(Upload::begin(&hub, &name("a"), None)).unwrap();
    hub.sweep();
    assert_eq!(at_once(upload.piece("1".into())), Ok(()));
    assert_eq!(texts(&all(&hub.channel(&name("a")).unwrap())), ["1"]);
}

#[test]
fn an_upload_ends_in_the_log_although_the_store_fails() {
    let store = faulty();
    let hub = hub(&store);
    let upload = at_once(Upload::begin(&hub, &name("a"), None)).unwrap();
    at_once(upload.piece("1".into())).unwrap();
    store.plan(RequestKind::Append, Fault::Fail);
    assert!(at_once(upload.piece("2".into())).is_err());
    store.plan(RequestKind::Append, Fault::Fail);
    drop(upload);
    let uploading = hub.publish(&name("a"), message("x"), None);
    assert_eq!(uploading, Err(HubError::Uploading));
    hub.sweep();
    publish(&hub, "3");
    assert_eq!(texts(&all(&hub.channel(&name("a")).unwrap())), ["1", "upload-aborted", "3"]);
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
