//! Deadlines, peers that are slow or gone, limits on connections.

use std::time::{Duration, Instant};

use tidewire_server::Limits;
use tidewire_testkit::raw::{Raw, Response as Answer};

use crate::site::{Site, eventually, get, post, quick};

/// Runs `what`, connecting included, which must take at least so many milliseconds; the patience of
/// the client bounds it from above.
fn after<T>(at_least: u64, what: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = what();
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(at_least), "{took:?}, not {at_least} ms");
    value
}

#[test]
fn a_head_that_is_not_finished_is_answered_with_408() {
    let site = Site::with(quick());
    for beginning in ["G", "GET / HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r"] {
        let (mut raw, answer) = after(1_500, || {
            let mut raw = site.raw();
            let answer = raw.send(beginning).response();
            (raw, answer)
        });
        assert_eq!((answer.status, answer.field("connection")), (408, Some("close")), "{beginning:?}");
        assert!(raw.rest().is_empty());
    }
}

#[test]
fn a_head_that_dribbles_gains_no_time() {
    let site = Site::with(quick());
    after(1_500, || {
        let mut raw = site.raw();
        // All of it would take four seconds.
        let head = [&b"GET / HTTP/1.1\r\nHost: x\r\nA: "[..], &[b'b'; 70]].concat();
        let goes_on = |byte: &u8| raw.offer([*byte]) && raw.is_silent_for(Duration::from_millis(40));
        assert!(!head.iter().all(goes_on), "each byte gained time");
        assert_eq!(raw.response().status, 408);
    });
    // The same for the second request of a connection.
    let mut raw = site.raw();
    after(1_500, || {
        assert_eq!(raw.send(get("/a")).response().status, 200);
        assert_eq!(raw.send("GET /b HT").response().status, 408);
    });
}

#[test]
fn who_says_nothing_is_hung_up_on_without_a_word() {
    let site = Site::with(quick());
    assert_eq!(after(1_500, || site.raw().rest()), b"");
    let mut raw = site.raw();
    let rest = after(2_000, || {
        assert_eq!(raw.send(get("/a")).response().status, 200);
        raw.rest()
    });
    assert_eq!(rest, b"", "an idle connection");
}

#[test]
fn an_idle_connection_that_speaks_in_time_is_kept() {
    let mut limits = quick();
    limits.idle_timeout = Duration::from_secs(4);
    let site = Site::with(limits);
    let mut raw = site.raw();
    // In all longer than the time, and each far shorter.
    for _ in 0..20 {
        assert_eq!(raw.send(get("/a")).response().status, 200);
        std::thread::sleep(Duration::from_millis(250));
    }
}

#[test]
fn a_body_that_does_not_come_is_answered_with_408() {
    let site = Site::with(quick());
    for beginning in [
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
    ] {
        let mut raw = site.raw();
        let answer = after(1_500, || raw.send(beginning).response());
        assert_eq!((answer.status, answer.field("connection")), (408, Some("close")));
        assert!(raw.rest().is_empty());
    }
}

#[test]
fn a_body_that_dribbles_gains_no_more_than_its_bytes_are_worth() {
    let site = Site::with(quick());
    // 25 bytes a second, where 1,000 are asked for.
    after(1_500, || {
        let mut raw = site.raw();
        raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
        let goes_on = |_: &i32| raw.is_silent_for(Duration::from_millis(40)) && raw.offer("x");
        assert!((0..200).take_while(goes_on).count() < 200, "each byte gained time");
        assert_eq!(raw.response().status, 408);
    });
    // 2,500 bytes a second and more, for longer than the grace.
    let mut raw = site.raw();
    raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n");
    for _ in 0..50 {
        raw.send([b'x'; 200]);
        std::thread::sleep(Duration::from_millis(35));
    }
    assert_eq!(raw.response().body.len(), 10_000);
}

/// 50,000 bytes are worth 50 seconds. They must not be spent on a byte now and then.
#[test]
fn a_burst_does_not_pay_for_a_dribble() {
    let mut limits = quick();
    limits.body_stall = Duration::from_millis(1_500);
    let site = Site::with(limits);
    after(1_500, || {
        let mut raw = site.raw();
        raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n");
        raw.send([b'x'; 50_000]);
        let goes_on = |_: &i32| raw.is_silent_for(Duration::from_millis(40)) && raw.offer("x");
        assert!((0..500).take_while(goes_on).count() < 500, "the burst was worth too much");
        assert_eq!(raw.response().status, 408);
    });
}

#[test]
fn who_does_not_take_its_answer_is_dropped() {
    let site = Site::with(quick());
    let mut raw = site.raw();
    raw.send(get("/flood"));
    raw.until("\r\n\r\n");
    assert_eq!(site.seen.streams(), 1);
    eventually("the stream of a reader that reads nothing", || site.seen.streams() == 0);
    // It got what the sockets held, and no end in good order.
    let got = raw.rest();
    assert!(!got.ends_with(b"0\r\n\r\n"));
}

#[test]
fn who_takes_its_answer_slowly_gets_it() {
    let mut limits = quick();
    limits.idle_timeout = Duration::from_secs(10);
    let site = Site::with(limits);
    let mut raw = site.raw();
    raw.send(get("/big"));
    raw.until("\r\n\r\n");
    // In all longer than the time-out of a write, which is about progress.
    let mut got = 0;
    for _ in 0..32 {
        got += raw.exactly(256 * 1024).len();
        std::thread::sleep(Duration::from_millis(60));
    }
    assert_eq!(got, 8 * 1024 * 1024);
    assert_eq!(raw.send(get("/next")).response().text(), "you asked for /next");
}

#[test]
fn a_stream_ends_when_its_reader_leaves() {
    let site = Site::start();
    for path in ["/endless", "/silent", "/flood"] {
        let mut raw = site.raw();
        raw.send(get(path));
        raw.until("\r\n\r\n");
        assert_eq!(site.seen.streams(), 1, "{path}");
        drop(raw);
        eventually("the end of the stream", || site.seen.streams() == 0);
    }
}

#[test]
fn a_streamed_answer_that_fails_has_no_end() {
    let site = Site::start();
    let mut raw = site.raw();
    raw.send([get("/fails"), get("/smuggled")].concat());
    raw.until("\r\n\r\n");
    assert_eq!(raw.rest(), b"5\r\nbegun\r\n", "the missing last chunk tells that it failed");
}

#[test]
fn one_connection_too_many_is_told_so() {
    let mut limits = quick();
    limits.max_connections = 2;
    limits.idle_timeout = Duration::from_secs(5);
    let site = Site::with(limits);
    let mut kept: Vec<Raw> = (0..2).map(|_| site.raw()).collect();
    for raw in &mut kept {
        assert_eq!(raw.send(get("/a")).response().status, 200);
    }
    for _ in 0..5 {
        let answer = site.raw().response();
        assert_eq!((answer.status, answer.field("connection")), (503, Some("close")));
        assert_eq!(answer.field("content-type"), Some("application/problem+json"));
        assert!(answer.field("retry-after").is_some());
    }
    // Those that were there first are none the worse, and a place that was given back is a place.
    assert_eq!(kept[0].send(get("/b")).response().text(), "you asked for /b");
    kept.pop();
    eventually("a free place", || {
        let mut raw = site.raw();
        raw.offer(get("/c"));
        raw.response().status == 200
    });
}

#[test]
fn garbage_is_refused_and_forgotten() {
    let site = Site::with(quick());
    let mut rng = tidewire_testkit::Rng::new(7);
    for _ in 0..200 {
        let len = rng.below(2_000) + 1;
        let mut raw = site.raw();
        raw.offer(rng.bytes(len));
        // The server may have refused it and closed by now.
        raw.try_half_close();
        let said = raw.rest();
        assert!(
            said.is_empty() || said.starts_with(b"HTTP/1.1 4") || said.starts_with(b"HTTP/1.1 5"),
            "{said:?}"
        );
    }
    assert_eq!(site.ask(post("/echo", "alive")).text(), "alive");
}

/// RFC 9110 §7.6.1: the field is about this connection, so `Connection` names it.
#[test]
fn an_answer_that_stays_open_says_for_how_long() {
    let mut limits = Limits::default();
    limits.idle_timeout = Duration::from_millis(90_900);
    let site = Site::with(limits);
    let said = |answer: &Answer| {
        (answer.field("connection").map(str::to_owned), answer.field("keep-alive").map(str::to_owned))
    };
    let stays = (Some("keep-alive".to_owned()), Some("timeout=90".to_owned()));
    let mut raw = site.raw();
    for path in ["/a", "/shared", "/shared", "/later", "/sized", "/204", "/304", "/resume"] {
        let answer = raw.send(get(path)).response();
        if path != "/resume" {
            assert_eq!(said(&answer), stays, "{path}: {answer:?}");
        }
    }
    raw.send("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(said(&raw.head_response()), stays);
    assert_eq!(said(&raw.send(post("/nothing", "x")).response()), stays);
    raw.send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = String::from_utf8(raw.until("\r\n\r\n")).unwrap();
    assert!(head.contains("\r\nKeep-Alive: timeout=90\r\n"), "chunks may end, and then it stays: {head}");
    let mut old = site.raw();
    for path in ["/a", "/shared"] {
        old.send(format!("GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        assert_eq!(said(&old.response()), stays, "{path}");
    }
    // Not where the connection closes, or becomes another.
    for (request, status, connection) in [
        ("GET /a HTTP/1.0\r\n\r\n", 200, Some("close")),
        ("GET /shared HTTP/1.0\r\n\r\n", 200, Some("close")),
        ("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200, Some("close")),
        ("GET /shared HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200, Some("close")),
        ("GET /last HTTP/1.1\r\nHost: x\r\n\r\n", 200, Some("close")),
        ("GET /endless HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, Some("close")),
        ("GET /two HTTP/1.1\r\nHost: x\r\n\r\n", 200, None),
        ("BAD\r\n\r\n", 400, Some("close")),
    ] {
        let mut raw = site.raw();
        raw.send(request);
        let head = String::from_utf8(raw.until("\r\n\r\n")).unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {head}");
        assert!(!head.to_ascii_lowercase().contains("keep-alive"), "{request}: {head}");
        assert_eq!(head.contains("\r\nConnection: close\r\n"), connection.is_some(), "{request}: {head}");
    }
    let mut switched = site.raw();
    switched.send("GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    let head = String::from_utf8(switched.until("\r\n\r\n")).unwrap();
    assert!(head.starts_with("HTTP/1.1 101") && !head.to_ascii_lowercase().contains("keep-alive"), "{head}");
}
