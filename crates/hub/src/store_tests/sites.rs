//! A site over a store that is slow or fails: what its clients get.

use std::io::Read;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidewire_store::suite::{Fault, RequestKind};

use super::setup::{
    ask, faulty, get, hub, hub_with_short_windows, name, post, publish, publish_many, read_until, release,
    serve, serve_with, websocket,
};
use crate::flight::at_once;
use crate::pages::MAX_ATTEMPTS;
use crate::settings::Settings;

#[test]
fn a_slow_store_blocks_no_worker() {
    let store = faulty();
    let hub = hub(&store);
    let (running, address) = serve(&hub);
    for kind in [RequestKind::Open, RequestKind::Append] {
        store.plan(kind, Fault::HoldRequest);
        let mut slow = ask(address, &post(&format!("/c/slow-{kind:?}")));
        let held = store.wait_held(1);
        read_until(&mut ask(address, &post("/c/fast")), "201 Created");
        release(&store, held[0].number);
        read_until(&mut slow, "201 Created");
    }
    store.plan(RequestKind::Open, Fault::HoldRequest);
    let mut poll = ask(address, &get("/c/new"));
    let held = store.wait_held(1);
    read_until(&mut ask(address, &get("/c/fast")), "200 OK");
    release(&store, held[0].number);
    read_until(&mut poll, "200 OK");
    drop(poll);
    running.stop().unwrap();
}

/// Of several channels, the refusal names the one that was deleted, also if the store says so
/// later.
#[test]
fn a_refusal_names_the_deleted_one_of_several_channels() {
    let store = faulty();
    let hub = hub(&store);
    let (running, address) = serve(&hub);
    for is_slow in [false, true] {
        publish(&hub, "x");
        assert_eq!(at_once(hub.delete(&name("a"))), Ok(true));
        store.always(RequestKind::Open, is_slow.then_some(Fault::HoldRequest));
        for (target, member) in
            [("/c/b,a", r#""reason":"deleted","channel":"a"}"#), ("/c/a", r#""reason":"deleted"}"#)]
        {
            // The hub forgets that the channel was deleted, and asks the store again.
            hub.sweep();
            let mut poll = ask(address, &get(target));
            if is_slow {
                store.wait_held(1);
                store.release_all();
            }
            let answer = read_until(&mut poll, "}");
            assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains(member), "{answer}");
        }
    }
    store.always(RequestKind::Open, None);
    running.stop().unwrap();
}

/// Every feed begins far behind the window, gets pages, and goes on with what is published then.
#[test]
fn readers_behind_the_window_get_everything_in_order() {
    const COUNT: usize = 40;
    let store = faulty();
    let hub = hub_with_short_windows(&store);
    // A page holds a few of these messages.
    let text = |n: usize| format!("{n:03}{}", "x".repeat(60_000));
    let start = hub.channel(&name("a")).unwrap().head();
    publish_many(&hub, (0..COUNT).map(text));
    let (running, address) = serve(&hub);
    store.always(RequestKind::Read, Some(Fault::HoldRequest));
    let streams = [
        get(&format!("/c/a?feed=sse&since={start}")),
        get(&format!("/c/a?feed=stream&since={start}")),
        get(&format!("/c/a?feed=raw&since={start}")),
        websocket(&format!("/c/a?since={start}"), false),
    ];
    let mut sockets = streams.map(|request| ask(address, &request));
    let mut long_poll = ask(address, &get(&format!("/c/a?feed=longpoll&wait=30&since={start}")));
    let mut short_poll = ask(address, &get(&format!("/c/a?feed=poll&since={start}")));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                store.release_all();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for poll in [&mut long_poll, &mut short_poll] {
            let got = read_until(poll, "\"cursor\"");
            assert!(got.contains("200 OK"), "{}", &got[..200.min(got.len())]);
            read_until_number(poll, got, 1);
        }
        // One after the other: while one is read, the others are slow readers.
        for socket in &mut sockets {
            read_until_number(socket, String::new(), COUNT);
        }
        publish(&hub, &text(COUNT));
        for socket in &mut sockets {
            read_until(socket, &text(COUNT)[..3]);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(store.count(RequestKind::Read) >= COUNT / 5, "pages are short");
    drop((sockets, long_poll, short_poll));
    running.stop().unwrap();
}

/// A stream that waits for a page gets heartbeats: proxies and clients cut a silent one.
#[test]
fn a_reader_that_waits_for_a_page_gets_heartbeats() {
    let store = faulty();
    let hub = hub_with_short_windows(&store);
    let start = hub.channel(&name("a")).unwrap().head();
    publish_many(&hub, (0..10).map(|n| format!("<{n}>")));
    let settings = Settings { heartbeat: Duration::from_secs(1), ..Settings::default() };
    let (running, address) = serve_with(&hub, settings);
    store.always(RequestKind::Read, Some(Fault::HoldRequest));
    let requests = [
        (get(&format!("/c/a?feed=sse&since={start}")), "\n:"),
        (get(&format!("/c/a?feed=stream&since={start}")), "\r\n1\r\n\n\r\n"),
    ];
    let mut sockets: Vec<_> = requests.iter().map(|(request, _)| ask(address, request)).collect();
    for (socket, (_, heartbeat)) in sockets.iter_mut().zip(&requests) {
        (0..2).for_each(|_| assert!(!read_until(socket, heartbeat).contains('<')));
    }
    store.heal();
    store.release_all();
    sockets.iter_mut().for_each(|socket| assert!(read_until(socket, "<9>").contains("<0>")));
    drop(sockets);
    running.stop().unwrap();
}

/// Reads on until the first `count` payloads have come, and checks their order.
fn read_until_number(socket: &mut TcpStream, first: String, count: usize) {
    let mut all = first.into_bytes();
    loop {
        let text = String::from_utf8_lossy(&all);
        // Where each payload begins: three digits before a run of x.
        let numbers: Vec<usize> = text
            .match_indices("xxxxxxxx")
            .filter(|&(at, _)| text[..at].chars().next_back().is_some_and(|c| c.is_ascii_digit()))
            .filter_map(|(at, _)| text.get(at - 3..at)?.parse().ok())
            .collect();
        assert!(numbers.iter().copied().eq(0..numbers.len()), "{numbers:?}");
        if numbers.len() >= count {
            return;
        }
        let mut bytes = [0; 65_536];
        let n = socket.read(&mut bytes).unwrap();
        assert!(n > 0, "the stream ended after {} messages", numbers.len());
        all.extend_from_slice(&bytes[..n]);
    }
}

/// The readers of a page that cannot be read are cut, and polls are refused.
#[test]
fn a_page_that_cannot_be_read_ends_its_readers_and_not_others() {
    let store = faulty();
    let hub = hub_with_short_windows(&store);
    let start = hub.channel(&name("a")).unwrap().head();
    publish_many(&hub, (0..10).map(|n| n.to_string()));
    let (running, address) = serve(&hub);
    store.always(RequestKind::Read, Some(Fault::Fail));
    let mut stream = ask(address, &get(&format!("/c/a?feed=stream&since={start}")));
    let mut poll = ask(address, &get(&format!("/c/a?since={start}")));
    read_until(&mut ask(address, &get("/c/a?since=now")), "200 OK");
    // The worker does this each second.
    while store.count(RequestKind::Read) < MAX_ATTEMPTS as usize {
        hub.tend_pages();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(read_until(&mut poll, "\r\n\r\n").starts_with("HTTP/1.1 503"));
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains("message"));
    drop((stream, poll));
    running.stop().unwrap();
}
