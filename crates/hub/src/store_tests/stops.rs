//! The stop of a server over a store that answers later.

use std::io::Write;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use tidewire_channel::{Budget, Since};
use tidewire_store::suite::{Fault, RequestKind, ThreadedStore};
use tidewire_store::{Limits, MemoryStore, Message, Opened, Store};

use super::setup::{
    PATIENCE, ask, faulty, get, hub, hub_with_short_windows, name, poll, publication, publish, publish_many,
    read_until, serve,
};
use crate::config::HubConfig;
use crate::flight::at_once;
use crate::hub::Hub;
use crate::upload::Upload;

const NOT: Duration = Duration::ZERO;

#[test]
fn a_hub_has_settled_when_the_store_has_answered_everything() {
    for kind in [
        RequestKind::Open,
        RequestKind::Append,
        RequestKind::Read,
        RequestKind::Create,
        RequestKind::Delete,
        RequestKind::Sweep,
    ] {
        let store = faulty();
        let hub = hub_with_short_windows(&store);
        publish_many(&hub, (0..10).map(|n| n.to_string()));
        assert!(hub.settle(NOT), "nothing is under way");
        store.plan(kind, Fault::HoldAnswer);
        let (a, b, mut cx) = (name("a"), name("b"), Context::from_waker(Waker::noop()));
        let channel = hub.channel(&a).unwrap();
        match kind {
            RequestKind::Open => assert!(hub.poll_open(&mut cx, &b).is_pending()),
            RequestKind::Append => assert!(poll(&hub, &mut publication("x", None)).is_pending()),
            RequestKind::Read => assert!(channel.read(Since::Earliest, Budget::UNLIMITED).waits),
            RequestKind::Create => {
                assert!(pin!(hub.create(&a, Default::default())).poll(&mut cx).is_pending());
            }
            RequestKind::Delete => assert!(pin!(hub.delete(&a)).poll(&mut cx).is_pending()),
            _ => hub.sweep(),
        }
        assert!(!hub.settle(NOT), "{kind:?}");
        store.release_all();
        assert!(hub.settle(NOT), "{kind:?}");
    }
}

/// The mark of an upload that is cut waits for the piece before it.
#[test]
fn a_hub_has_settled_when_an_upload_that_was_cut_has_its_mark() {
    let store = faulty();
    let hub = hub(&store);
    let upload = at_once(Upload::begin(&hub, &name("a"), None)).unwrap();
    store.always(RequestKind::Append, Some(Fault::HoldRequest));
    {
        let mut piece = pin!(upload.piece("1".into()));
        assert!(piece.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    hub.stop();
    drop(upload);
    assert!(!hub.settle(NOT));
    store.release_all();
    assert!(hub.settle(NOT));
    assert!(
        matches!(store.inner().open(&name("a"), 0).wait(), Some(Ok(Opened::Log(info))) if !info.upload_open)
    );
}

/// The order of a planned stop: the server, the hub, the store.
#[test]
fn a_stop_leaves_nothing_under_way_and_nobody_holds_the_store() {
    let store = Arc::new(ThreadedStore::new(MemoryStore::new(Limits::DEFAULT), 2));
    let hub = Hub::with_store(HubConfig::DEFAULT, 1, store.clone());
    let (running, address) = serve(&hub);
    let mut readers: Vec<_> = ["sse", "stream", "longpoll&wait=60", "raw&since=now&wait=0"]
        .iter()
        .map(|feed| ask(address, &get(&format!("/c/film?feed={feed}"))))
        .collect();
    let mut upload =
        ask(address, "PUT /c/film HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    upload.write_all(b"5\r\npiece\r\n").unwrap();
    read_until(&mut readers[0], "piece");
    let post = |text: &str| format!("POST /c/a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n{text}");
    let publishers: Vec<_> = (0..20).map(|_| ask(address, &post("x"))).collect();
    running.stop().unwrap();
    assert!(hub.settle(PATIENCE));
    drop((hub, readers, publishers, upload));
    let store = Arc::try_unwrap(store).unwrap_or_else(|store| {
        panic!("{} others hold the store", Arc::strong_count(&store) - 1);
    });
    let page = store.inner().read(&name("film"), Since::Earliest, Budget::UNLIMITED, 0).wait();
    let page = page.unwrap().unwrap();
    let texts: Vec<_> = page.messages.iter().map(|(_, m)| m.event().or(m.text()).unwrap()).collect();
    assert_eq!(texts, ["piece", "upload-aborted"]);
}

/// An acknowledgement that comes while the server drains is one.
#[test]
fn a_publish_in_flight_at_the_stop_is_answered() {
    let store = faulty();
    let hub = hub(&store);
    let (running, address) = serve(&hub);
    publish(&hub, "x");
    store.plan(RequestKind::Append, Fault::HoldRequest);
    let mut publisher = ask(address, &super::setup::post("/c/a"));
    store.wait_held(1);
    let stopping = std::thread::spawn(move || running.stop());
    while !hub.is_stopped() {
        std::thread::yield_now();
    }
    let refused = hub.publish(&name("a"), Message::new("y".into(), 0), None);
    assert_eq!(refused, Err(crate::error::HubError::Stopping));
    store.release_all();
    read_until(&mut publisher, "201 Created");
    stopping.join().unwrap().unwrap();
    assert!(hub.settle(NOT));
}
