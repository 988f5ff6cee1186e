//! Deadlines, slow and absent peers, limits on connections.

use std::time::{Duration, Instant};

use tidewire_server::Limits;
use tidewire_testkit::raw::{Raw, Response as Answer};

use crate::site::{Site, eventually, get, post, quick};

/// Runs `what`, which must take at least this many milliseconds, with the time to connect. The
/// upper bound is the patience of the client.
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
fn single_bytes_of_a_head_do_not_move_its_deadline() {
    let site = Site::with(quick());
    after(1_500, || {
        let mut raw = site.raw();
        // All of it would take four seconds.
        let head = [&b"GET / HTTP/1.1\r\nHost: x\r\nA: "[..], &[b'b'; 70]].concat();
        let is_open = |byte: &u8| raw.offer([*byte]) && raw.is_silent_for(Duration::from_millis(40));
        assert!(!head.iter().all(is_open), "each byte gained time");
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
fn a_silent_connection_is_closed_without_an_answer() {
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
fn a_connection_with_a_request_in_time_is_kept() {
    let limits = quick().with_idle_timeout(Duration::from_secs(4));
    let site = Site::with(limits);
    let mut raw = site.raw();
    // All pauses together are longer than the timeout. Each is far shorter.
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
fn a_slow_body_gets_only_the_time_that_its_bytes_earn() {
    let site = Site::with(quick());
    // 25 bytes per second, where 1,000 are required.
    after(1_500, || {
        let mut raw = site.raw();
        raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
        let goes_on = |_: &i32| raw.is_silent_for(Duration::from_millis(40)) && raw.offer("x");
        assert!((0..200).take_while(goes_on).count() < 200, "each byte gained time");
        assert_eq!(raw.response().status, 408);
    });
    // 2,500 bytes per second and more, for longer than the grace.
    let mut raw = site.raw();
    raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n");
    for _ in 0..50 {
        raw.send([b'x'; 200]);
        std::thread::sleep(Duration::from_millis(35));
    }
    assert_eq!(raw.response().body.len(), 10_000);
}

/// 50,000 bytes earn 50 seconds. Single bytes must not hold the connection for that time.
#[test]
fn a_burst_does_not_earn_time_for_single_bytes() {
    let limits = quick().with_body_stall(Duration::from_millis(1_500));
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
fn a_client_that_does_not_read_its_answer_is_dropped() {
    let site = Site::with(quick());
    let mut raw = site.raw();
    raw.send(get("/flood"));
    raw.until("\r\n\r\n");
    assert_eq!(site.seen.streams(), 1);
    eventually("the stream of a reader that reads nothing", || site.seen.streams() == 0);
    // It got the bytes in the sockets, and no last chunk.
    let got = raw.rest();
    assert!(!got.ends_with(b"0\r\n\r\n"));
}

#[test]
fn a_client_that_reads_slowly_gets_its_answer() {
    let limits = quick().with_idle_timeout(Duration::from_secs(10));
    let site = Site::with(limits);
    let mut raw = site.raw();
    raw.send(get("/big"));
    raw.until("\r\n\r\n");
    // This takes longer than the write timeout, which counts only time without progress.
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
    assert_eq!(raw.rest(), b"5\r\nbegun\r\n", "the missing last chunk shows the failure");
}

#[test]
fn a_connection_over_the_limit_gets_a_503() {
    let limits = quick().with_max_connections(2).with_idle_timeout(Duration::from_secs(5));
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
    // The first connections still work, and a connection that closes frees a place.
    assert_eq!(kept[0].send(get("/b")).response().text(), "you asked for /b");
    kept.pop();
    eventually("a free place", || {
        let mut raw = site.raw();
        raw.offer(get("/c"));
        raw.response().status == 200
    });
}

#[test]
fn random_bytes_are_refused() {
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
fn a_kept_connection_says_how_long_it_may_be_idle() {
    let limits = Limits::DEFAULT.with_idle_timeout(Duration::from_millis(90_900));
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
    assert!(head.contains("\r\nKeep-Alive: timeout=90\r\n"), "a chunked answer may end: {head}");
    let mut old = site.raw();
    for path in ["/a", "/shared"] {
        old.send(format!("GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        assert_eq!(said(&old.response()), stays, "{path}");
    }
    // Not if the connection closes or changes its protocol.
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

#[test]
fn the_defaults_are_the_documented_ones() {
    // Of the limits of heads, the engine has a default of its own for the body only.
    let heads = [
        "max_head",
        "max_target",
        "max_method",
        "max_fields",
        "max_interim_responses",
        "max_overhead",
        "max_trailers",
        // Of an observer, which the engine does not use.
        "max_unanswered",
    ];
    tidewire_testkit::limits::check("tidewire-server", &[&Limits::DEFAULT], &heads);
}
