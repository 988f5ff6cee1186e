//! Requests that are served, one after another on one connection, with bodies that the handler
//! reads and bodies that it does not read.

use std::time::{Duration, Instant};

use crate::site::{Site, get, post, quick};

/// Enough time for an answer that need not wait for anything.
const MOMENT: Duration = Duration::from_millis(80);

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let site = Site::start();
    let mut raw = site.raw();
    let paths: Vec<String> = (0..100).map(|n| format!("/{n}")).collect();
    raw.send(paths.iter().map(|path| get(path)).collect::<String>());
    for path in &paths {
        assert_eq!(raw.response().text(), format!("you asked for {path}"));
    }
}

#[test]
fn answers_of_every_kind_come_in_the_order_of_their_requests() {
    let site = Site::start();
    let mut raw = site.raw();
    // All requests are in one write. An answer that waits, streams, drains or is empty must not
    // swallow the next request.
    raw.send(
        [
            get("/a"),
            get("/later"),
            post("/echo", "one"),
            post("/ignore", "not read"),
            get("/sized"),
            get("/204"),
            "HEAD /b HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            get("/304"),
            "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
                .to_owned(),
            get("/resume"),
            "HEAD /endless HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            get("/z"),
        ]
        .concat(),
    );
    assert_eq!(raw.response().text(), "you asked for /a");
    assert_eq!(raw.response().text(), "later");
    assert_eq!(raw.response().text(), "one");
    assert_eq!(raw.response().text(), "ignored");
    assert_eq!(raw.response().text(), "exactly");
    assert_eq!(raw.response().status, 204);
    let head = raw.head_response();
    assert_eq!((head.status, head.field("content-length")), (200, Some("16")));
    assert_eq!(raw.response().status, 304);
    assert_eq!(raw.response().text(), "two");
    assert_eq!(raw.response().text(), "parked");
    assert_eq!(raw.head_response().status, 200);
    assert_eq!(raw.response().text(), "you asked for /z");
}

#[test]
fn an_answer_does_not_wait_for_the_answer_to_a_later_request() {
    let site = Site::start();
    let mut raw = site.raw();
    raw.send([get("/a"), get("/never")].concat());
    assert_eq!(raw.response().text(), "you asked for /a");
    assert!(raw.is_silent_for(MOMENT));
}

#[test]
fn the_server_does_not_read_from_a_client_that_reads_no_answers() {
    let site = Site::with(quick());
    let mut raw = site.raw();
    // Each answer has 8 MiB: no socket buffer takes a second one.
    raw.send(get("/big").repeat(200));
    raw.until("\r\n\r\n");
    // The worker serves others meanwhile, so it has had the time to read further requests.
    for _ in 0..20 {
        assert_eq!(site.raw().send(get("/other")).response().status, 200);
    }
    let asked = site.seen.requests().iter().filter(|request| request.contains("/big")).count();
    assert!(asked <= 2, "one answer at a time: {asked}");
}

#[test]
fn requests_that_come_byte_by_byte_are_answered() {
    let site = Site::start();
    let mut raw = site.raw();
    let chunked = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n";
    for byte in [post("/echo", "hello"), chunked.to_owned(), get("/end")].concat().as_bytes() {
        raw.send([*byte]);
        // Only for chance: the server gets most bytes one by one.
        std::thread::sleep(Duration::from_micros(20));
    }
    assert_eq!(raw.response().text(), "hello");
    assert_eq!(raw.response().text(), "hello");
    assert_eq!(raw.response().text(), "you asked for /end");
}

#[test]
fn large_bodies_pass_both_ways() {
    let site = Site::start();
    let mut raw = site.raw();
    let body = "0123456789abcdef".repeat(64 * 1024); // 1 MiB
    raw.send(post("/echo", &body));
    assert_eq!(raw.response().text(), body);
    raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for piece in body.as_bytes().chunks(9_999) {
        raw.send(format!("{:x}\r\n", piece.len())).send(piece).send("\r\n");
    }
    raw.send("0\r\n\r\n");
    assert_eq!(raw.response().text(), body);
    raw.send(get("/big"));
    assert_eq!(raw.response().body.len(), 8 * 1024 * 1024);
    raw.send(get("/after"));
    assert_eq!(raw.response().text(), "you asked for /after");
}

#[test]
fn a_small_body_that_nobody_reads_is_drained() {
    let site = Site::start();
    let body = get("/smuggled").repeat(100);
    for late in [false, true] {
        let mut raw = site.raw();
        let request = post("/ignore", &body) + &get("/next");
        let (now, later) = request.split_at(if late { 200 } else { request.len() });
        raw.send(now);
        // Only for chance: the server has read the first part before the second comes.
        std::thread::sleep(MOMENT);
        raw.send(later);
        assert_eq!(raw.response().text(), "ignored");
        assert_eq!(raw.response().text(), "you asked for /next");
    }
    assert!(!site.seen.requests().iter().any(|request| request.contains("smuggled")));
}

#[test]
fn a_large_body_that_nobody_reads_closes_the_connection() {
    let site = Site::start();
    let body = get("/smuggled").repeat(10_000);
    let declared = format!("POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    let in_chunks =
        format!("POST /404 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len());
    for head in [&declared, &in_chunks] {
        let mut raw = site.raw();
        raw.send(head.clone() + &body);
        let answer = raw.response();
        assert!(matches!(answer.status, 200 | 404));
        if *head == declared {
            assert_eq!(
                answer.field("connection"),
                Some("close"),
                "the length of the body was known when the answer was made"
            );
        }
        raw.offer(get("/smuggled"));
        assert!(raw.rest().is_empty(), "nothing after the answer");
    }
    assert!(!site.seen.requests().iter().any(|request| request.contains("smuggled")));
}

#[test]
fn a_client_that_sends_a_large_body_before_it_reads_gets_its_answer() {
    let site = Site::start();
    let request = post("/ignore", &"x".repeat(16 * 1024 * 1024));
    for _ in 0..5 {
        let mut raw = site.raw();
        assert_eq!(raw.send(&request).response().text(), "ignored");
    }
}

#[test]
fn an_unread_body_that_does_not_come_closes_the_connection() {
    let site = Site::with(quick());
    let mut raw = site.raw();
    let start = Instant::now();
    raw.send("POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
    assert_eq!(raw.response().text(), "ignored");
    assert!(raw.rest().is_empty());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn a_body_over_the_limit_of_its_reader_is_refused() {
    let site = Site::start();
    let answer = site.ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n");
    assert_eq!(answer.status, 413, "at the head, before the body");
    let mut raw = site.raw();
    raw.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..17 {
        if !raw.offer(&chunk) {
            break;
        }
    }
    assert_eq!(raw.response().status, 413);
}

#[test]
fn a_100_continue_is_sent_when_the_client_expects_it_and_the_handler_reads() {
    let site = Site::start();
    let expects = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    };
    let mut raw = site.raw();
    raw.send(expects("/echo"));
    assert_eq!(raw.response().status, 100);
    raw.send("hello");
    assert_eq!(raw.response().text(), "hello");
    // A client that did not wait for it gets only the answer.
    raw.send(expects("/echo") + "hello");
    assert_eq!(raw.response().text(), "hello");
    // The value is case-insensitive.
    raw.send(expects("/echo").replace("100-continue", "100-Continue"));
    assert_eq!(raw.response().status, 100);
    raw.send("hello");
    assert_eq!(raw.response().text(), "hello");
    // The handler does not read the body and answers at once. It is unknown whether the body comes
    // nevertheless, so the server reads no more requests.
    for next in ["hello", "", "chunked"] {
        let mut raw = site.raw();
        raw.send(if next == "chunked" {
            expects("/ignore").replace("Content-Length: 5", "Transfer-Encoding: chunked")
        } else {
            expects("/ignore")
        });
        let answer = raw.response();
        assert_eq!((answer.text(), answer.field("connection")), ("ignored", Some("close")), "{next}");
        raw.offer(next.to_owned() + &get("/smuggled"));
        assert!(raw.rest().is_empty(), "{next}");
    }
    assert!(!site.seen.requests().iter().any(|request| request.contains("smuggled")));
    // HTTP/1.0 cannot mean it.
    let mut raw = site.raw();
    raw.send(expects("/echo").replace("HTTP/1.1", "HTTP/1.0"));
    assert!(raw.is_silent_for(MOMENT), "no interim answer to HTTP/1.0");
    assert_eq!(raw.send("hello").response().text(), "hello");
}

#[test]
fn any_other_expectation_fails() {
    let site = Site::start();
    for expectation in ["200-ok", "100-continue, other", "\"100-continue\""] {
        let mut raw = site.raw();
        raw.send(format!("GET / HTTP/1.1\r\nHost: x\r\nExpect: {expectation}\r\n\r\n") + &get("/smuggled"));
        assert_eq!(raw.response().status, 417, "{expectation}");
        assert!(raw.rest().is_empty());
    }
    assert_eq!(site.seen.requests(), [""; 0]);
}

#[test]
fn close_of_either_side_closes_the_connection() {
    let site = Site::start();
    let mut raw = site.raw();
    raw.send("GET /a HTTP/1.1\r\nHost: x\r\nConnection: foo, Close\r\n\r\n".to_owned() + &get("/smuggled"));
    let answer = raw.response();
    assert_eq!((answer.text(), answer.field("connection")), ("you asked for /a", Some("close")));
    assert!(raw.rest().is_empty());
    let mut raw = site.raw();
    raw.send([get("/last"), get("/smuggled")].concat());
    let answer = raw.response();
    assert_eq!((answer.text(), answer.field("connection")), ("last", Some("close")));
    assert!(raw.rest().is_empty());
    assert!(!site.seen.requests().iter().any(|request| request.contains("smuggled")));
}

#[test]
fn a_client_that_ends_its_output_gets_its_answers() {
    let site = Site::start();
    for request in [get("/a"), get("/later"), post("/echo", "hello"), get("/a") + &get("/later")] {
        let answers = request.matches("HTTP/1.1").count();
        let mut raw = site.raw();
        raw.send(request).half_close();
        for _ in 0..answers {
            assert_eq!(raw.response().status, 200);
        }
        assert!(raw.rest().is_empty());
    }
    // In the middle of a request it is an error.
    for request in
        ["GET / HT", "GET / HTTP/1.1\r\nHost: x\r\n", "POST /ignore HTTP/1.1\r\nHost: x\r\nContent-"]
    {
        let mut raw = site.raw();
        raw.send(request).half_close();
        assert_eq!(raw.response().status, 400, "{request:?}");
        assert!(raw.rest().is_empty());
    }
    // In the middle of a body the answer is an error, or there is none. Half of a body is never
    // handled as a whole one.
    for request in [
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let mut raw = site.raw();
        let said = raw.send(request).half_close().rest();
        assert!(!said.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&said));
    }
}

/// Complete requests are answered, and an incomplete one is never executed.
#[test]
fn the_input_may_end_at_every_byte() {
    let site = Site::start();
    let chunks =
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\nA: b\r\n\r\n";
    let requests = [get("/one"), chunks.to_owned(), post("/echo", "three"), get("/four")];
    let texts = ["you asked for /one", "two", "three", "you asked for /four"];
    let ends: Vec<usize> = (1..=requests.len()).map(|n| requests[..n].concat().len()).collect();
    let all = requests.concat();
    for cut in 0..=all.len() {
        let mut raw = site.raw();
        raw.send(&all[..cut]).half_close();
        for (text, _) in texts.iter().zip(&ends).filter(|(_, end)| **end <= cut) {
            assert_eq!(raw.response().text(), *text, "cut at {cut}");
        }
        let rest = raw.rest();
        let between = cut == 0 || ends.contains(&cut);
        let refusal = !between && rest.starts_with(b"HTTP/1.1 400 ");
        assert!(rest.is_empty() || refusal, "cut at {cut}: {}", String::from_utf8_lossy(&rest));
    }
}

#[test]
fn http_1_0_is_served() {
    let site = Site::start();
    let mut raw = site.raw();
    // Without a Host, closed after the answer.
    raw.send("GET /a HTTP/1.0\r\n\r\n".to_owned() + &get("/smuggled"));
    let answer = raw.response();
    assert_eq!(answer.text(), "you asked for /a");
    assert!(answer.head.starts_with("HTTP/1.1 200 OK\r\n"), "our version, not the peer's");
    assert!(raw.rest().is_empty());
    // Kept alive if it asks.
    let mut raw = site.raw();
    for path in ["/a", "/b"] {
        let answer = raw.send(format!("GET {path} HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")).response();
        assert_eq!(answer.text(), format!("you asked for {path}"));
        assert_eq!(answer.field("connection").map(str::to_ascii_lowercase).as_deref(), Some("keep-alive"));
    }
    // HTTP/1.0 has no chunks, so a body without a length ends with the connection.
    let mut raw = site.raw();
    raw.send("GET /two HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = raw.response();
    assert_eq!((answer.text(), answer.field("transfer-encoding")), ("onetwo", None));
    let mut raw = site.raw();
    raw.send("GET /endless HTTP/1.0\r\n\r\n");
    raw.until("\r\n\r\n");
    assert_eq!(raw.until("tick tick "), b"tick tick ");
}

#[test]
fn the_answer_to_a_head_is_the_head_of_the_answer() {
    let site = Site::start();
    let without_date = |head: &str| {
        head.lines().filter(|line| !line.starts_with("Date")).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut raw = site.raw();
    for path in ["/a", "/big", "/sized", "/204", "/304"] {
        let get_answer = raw.send(get(path)).response();
        let head = raw.send(get(path).replace("GET", "HEAD")).head_response();
        assert_eq!(without_date(&head.head), without_date(&get_answer.head), "{path}");
    }
    // The answer may be endless. The connection stays open.
    let head = raw.send(get("/endless").replace("GET", "HEAD")).head_response();
    assert_eq!((head.status, head.field("content-length")), (200, None));
    assert_eq!(raw.send(get("/next")).response().text(), "you asked for /next");
    assert_eq!(site.seen.streams(), 0);
}

#[test]
fn statuses_without_content_have_none() {
    let site = Site::start();
    let mut raw = site.raw();
    for (path, status) in [("/204", 204), ("/304", 304)] {
        let answer = raw.send(get(path)).response();
        assert_eq!((answer.status, answer.field("content-length")), (status, None), "{path}");
        assert_eq!(answer.field("transfer-encoding"), None);
    }
    raw.send([get("/204-with-body"), get("/next")].concat());
    assert_eq!(raw.response().status, 204);
    assert_eq!(
        raw.response().text(),
        "you asked for /next",
        "the content that a handler gave with a 204 is not sent"
    );
}

/// RFC 9110 §7.4.
#[test]
fn a_target_of_another_scheme_is_misdirected() {
    let site = Site::start();
    let mut raw = site.raw();
    for (target, status) in [("HTTP://x/a", 200), ("https://x/b", 421), ("ftp://x/c", 421), ("http://x", 200)]
    {
        raw.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(raw.response().status, status, "{target}");
    }
    assert_eq!(site.seen.requests(), ["GET /a", "GET /"]);
}

#[test]
fn every_answer_has_a_date() {
    let site = Site::start();
    for request in [get("/a"), get("/204"), "BAD\r\n\r\n".to_owned()] {
        let date = site.ask(request).field("date").unwrap().to_owned();
        assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
    }
}

#[test]
fn a_handler_that_panics_closes_only_its_connection() {
    let site = Site::start();
    let mut other = site.raw();
    assert_eq!(other.send(get("/a")).response().status, 200);
    assert_eq!(site.raw().send(get("/panic")).rest(), b"");
    assert_eq!(other.send(get("/b")).response().text(), "you asked for /b");
    assert_eq!(site.ask(post("/echo", "hello")).text(), "hello");
}
