//! Short and long polls.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Post, Raw, Server, after, seq};
use crate::{get, json, post, sentence};

const VARY: &str = "Accept, Origin, Last-Event-ID, Prefer";

#[test]
fn a_short_poll_has_a_cursor_even_if_it_is_empty() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    let empty = raw.send(get("/c/p", "")).response();
    assert_eq!(empty.status, 200);
    let cursor = empty.field("tidewire-cursor").unwrap().to_owned();
    assert_eq!(json(&empty), json!({"messages": [], "cursor": cursor, "gap": null}));
    Post::new("x").to(&server.address, "p");
    // A later poll from there has only the messages since then.
    let next = raw.send(get(&format!("/c/p?since={cursor}"), "")).response();
    assert_eq!(json(&next)["messages"].as_array().unwrap().len(), 1);
    // The first message begins the epoch of the channel.
    assert_eq!(seq(json(&next)["cursor"].as_str().unwrap()), 1);
    assert_eq!(next.field("tidewire-cursor"), json(&next)["cursor"].as_str());
}

#[test]
fn a_short_poll_has_the_fields_for_revalidation() {
    let server = Server::start(&[]);
    let cursor = Post::new("x").to(&server.address, "h");
    let answer = server.raw().send(get("/c/h", "")).response();
    assert_eq!(answer.field("etag"), Some(&*format!("\"{cursor}\"")), "strong, and the cursor");
    assert_eq!(answer.field("cache-control"), Some("no-cache"));
    assert_eq!(answer.field("vary"), Some(VARY));
    assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.field("content-type"), Some("application/json"));
}

#[test]
fn a_poll_without_new_messages_gets_a_304() {
    let server = Server::start(&[]);
    let cursor = Post::new("x").to(&server.address, "n");
    let mut raw = server.raw();
    // Twice, because the second response may come from a cache.
    for _ in 0..2 {
        for (tag, status) in [
            (format!("\"{cursor}\""), 304),
            (format!("W/\"{cursor}\""), 304),
            (format!("\"other\", \"{cursor}\""), 304),
            ("*".to_owned(), 304),
            (cursor.clone(), 200),
            ("\"other\"".to_owned(), 200),
            (format!("\"{}\"", after(&cursor, 1)), 200),
            (format!("x{cursor}x"), 200),
            (String::new(), 200),
        ] {
            let answer = raw.send(get("/c/n", &format!("If-None-Match: {tag}\r\n"))).response();
            assert_eq!(answer.status, status, "If-None-Match: {tag}");
            assert_eq!(answer.field("etag"), Some(&*format!("\"{cursor}\"")));
            assert_eq!(answer.field("tidewire-cursor"), Some(&*cursor));
            assert_eq!(answer.field("vary"), Some(VARY), "on a 304 too (RFC 9110 §15.4.5)");
            assert_eq!(answer.field("cache-control"), Some("no-cache"));
            if status == 304 {
                assert_eq!(answer.field("content-length"), None);
            }
        }
    }
    Post::new("y").to(&server.address, "n");
    assert_eq!(raw.send(get("/c/n", &format!("If-None-Match: \"{cursor}\"\r\n"))).response().status, 200);
}

#[test]
fn a_poll_sees_every_message_that_was_published_before_it() {
    // A publish must invalidate the cached response.
    let server = Server::start(&["--threads", "2"]);
    let (mut publisher, mut readers) = (server.raw(), [server.raw(), server.raw(), server.raw()]);
    for n in 1..=300 {
        assert_eq!(publisher.send(post("/c/k", "", "x")).response().status, 201);
        for raw in &mut readers {
            let answer = raw.send(get("/c/k?limit=1000", "")).response();
            assert_eq!(json(&answer)["messages"].as_array().unwrap().len(), n);
        }
    }
}

#[test]
fn messages_expire_after_retain_age() {
    let server = Server::start(&["--retain-age", "1"]);
    let mut raw = server.raw();
    let before = raw.send(get("/c/age", "")).response().field("tidewire-cursor").unwrap().to_owned();
    let cursor = Post::new("old").to(&server.address, "age");
    crate::common::eventually("the message to be too old", || {
        let answer = raw.send(get("/c/age", "")).response();
        json(&answer)["messages"] == json!([])
    });
    // A reader that has the message has lost nothing. A reader without it gets a 410.
    assert_eq!(raw.send(get(&format!("/c/age?since={cursor}"), "")).response().status, 200);
    let answer = raw.send(get(&format!("/c/age?since={before}"), "")).response();
    assert_eq!((answer.status, &json(&answer)["reason"]), (410, &json!("gap")));
}

#[test]
fn the_size_of_a_poll_is_limited() {
    let server = Server::start(&["--retain-bytes", "100000000"]);
    let text = "x".repeat(200_000);
    for _ in 0..12 {
        Post::new(text.clone()).to(&server.address, "much");
    }
    let mut raw = server.raw();
    for (query, most) in [("", 256 * 1024), ("&wait=5", 64 * 1024)] {
        let (mut cursor, mut count) = ("earliest".to_owned(), 0);
        while count < 12 {
            let answer = raw.send(get(&format!("/c/much?since={cursor}{query}"), "")).response();
            let poll = json(&answer);
            let messages = poll["messages"].as_array().unwrap();
            assert!(!messages.is_empty(), "at least one, however long it is");
            assert!(messages.len() == 1 || answer.body.len() <= most + 1000, "{}", answer.body.len());
            count += messages.len();
            cursor = poll["cursor"].as_str().unwrap().to_owned();
        }
        assert_eq!(seq(&cursor), 12);
    }
    // The first message of a second channel is in the same response only if it fits.
    Post::new(text).to(&server.address, "more");
    let answer = raw.send(get("/c/much,more?since=earliest&limit=1000", "")).response();
    assert_eq!(json(&answer)["messages"].as_array().unwrap().len(), 1);
}

#[test]
fn a_long_poll_is_answered_as_soon_as_there_is_something() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    let start = raw.send(get("/c/l", "")).response().field("tidewire-cursor").unwrap().to_owned();
    for feed in ["wait=55", "feed=longpoll", "feed=longpoll&wait=55"] {
        raw.send(get(&format!("/c/l?{feed}&since=now"), ""));
        server.calm();
        assert!(raw.is_silent_for(Duration::from_millis(80)), "{feed}");
        let asked = Instant::now();
        let cursor = Post::new("now").to(&server.address, "l");
        let answer = raw.response();
        assert!(asked.elapsed() < Duration::from_secs(20), "before the hold ends: {:?}", asked.elapsed());
        let poll = json(&answer);
        assert_eq!(
            (answer.status, &poll["cursor"], poll["messages"].as_array().unwrap().len()),
            (200, &json!(cursor), 1)
        );
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        assert_eq!(answer.field("vary"), Some(VARY));
        assert_eq!(answer.field("tidewire-cursor"), Some(&*cursor));
        assert_eq!(answer.field("etag"), None, "a long poll cannot be revalidated");
    }
    // If there is a message already, the poll is answered at once.
    raw.send(get(&format!("/c/l?wait=55&since={start}"), "Prefer: wait=30\r\n"));
    assert_eq!(json(&raw.response())["messages"].as_array().unwrap().len(), 3);
}

#[test]
fn holds_end_spread_over_the_last_tenth_of_the_wait() {
    let server = Server::start(&["--threads", "1"]);
    let cursor = Post::new("x").to(&server.address, "h");
    let ask = |n: usize| {
        if n.is_multiple_of(2) {
            get("/c/h?wait=1", "")
        } else {
            get("/c/h", "Prefer: respond-async, wait=1\r\n")
        }
    };
    let mut polls: Vec<Raw> = (0..20).map(|_| server.raw()).collect();
    let start = Instant::now();
    for (n, raw) in polls.iter_mut().enumerate() {
        // A poll with `Prefer: wait` is a long poll too. So it starts now, and not at the earliest
        // message like a short poll.
        raw.send(ask(n));
    }
    let mut times: Vec<u128> = polls
        .into_iter()
        .map(|mut raw| {
            std::thread::spawn(move || {
                let answer = raw.response();
                (start.elapsed().as_millis(), answer)
            })
        })
        .collect::<Vec<_>>()
        .into_iter()
        .map(|thread| {
            let (ms, answer) = thread.join().unwrap();
            assert_eq!(answer.status, 200, "a time-out is no error");
            assert_eq!(json(&answer), json!({"messages": [], "cursor": cursor, "gap": null}));
            ms
        })
        .collect();
    times.sort_unstable();
    assert!(times[0] >= 890, "held for nine tenths at least: {times:?}");
    // The exact spread is tested in `feeds/longpoll.rs`: a busy machine sends the responses late.
    assert!(times[19] - times[0] >= 20, "spread: {times:?}");
}

#[test]
fn the_prefer_field_follows_rfc_7240() {
    let server = Server::start(&[]);
    Post::new("x").to(&server.address, "r");
    for (value, held) in [
        ("wait=1", true),
        ("wait = 1", true),
        ("Wait=1", true),
        ("wait=\"1\"", true),
        ("respond-async, wait=1", true),
        ("wait=1; foo=bar", true),
        ("wait=0", false),
        ("respond-async", false),
        ("wait", false),
        ("wait=x", false),
        ("foo; wait=1", false),
    ] {
        let answer =
            server.raw().send(get("/c/r?since=earliest", &format!("Prefer: {value}\r\n"))).response();
        let expected = if held { "no-store" } else { "no-cache" };
        assert_eq!(answer.field("cache-control"), Some(expected), "Prefer: {value}");
        assert_eq!(answer.field("preference-applied"), held.then_some("wait"), "Prefer: {value}");
    }
    // The response to a held poll has the field too.
    let answer = server.raw().send(get("/c/r?since=now", "Prefer: wait=0.1\r\n")).response();
    assert_eq!(answer.field("preference-applied"), Some("wait"));
    // The query takes precedence over a preference.
    let answer = server.raw().send(get("/c/r?wait=0", "Prefer: wait=5\r\n")).response();
    assert_eq!(answer.field("cache-control"), Some("no-cache"));
    let answer = server.raw().send(get("/c/r?wait=0.1&since=earliest", "Prefer: wait=5\r\n")).response();
    assert_eq!(answer.field("preference-applied"), None);
}

/// Many polls of both kinds on one connection: it moves back and forth between the request cycle
/// and the table of waiting polls.
#[test]
fn one_connection_serves_many_polls() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    let mut cursor = raw.send(get("/c/k", "")).response().field("tidewire-cursor").unwrap().to_owned();
    let mut publisher = server.raw();
    for n in 1..=60 {
        raw.send(get(&format!("/c/k?wait=20&since={cursor}"), ""));
        if n % 3 == 0 {
            // Only for chance: most polls wait already. Others get the message at once.
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(publisher.send(post("/c/k", "", &n.to_string())).response().status, 201);
        let answer = raw.response();
        let poll = json(&answer);
        assert_eq!(poll["messages"][0]["data"], n.to_string());
        cursor = poll["cursor"].as_str().unwrap().to_owned();
        assert_eq!(answer.field("connection"), Some("keep-alive"));
        match n % 6 {
            // Other kinds of requests in between.
            0 => assert_eq!(raw.send(get(&format!("/c/k?since={cursor}"), "")).response().status, 200),
            1 => {
                let same = format!("If-None-Match: \"{cursor}\"\r\n");
                let answer = raw.send(get("/c/k", &same)).response();
                assert_eq!((answer.status, answer.field("content-length")), (304, None));
            }
            2 => {
                let answer = raw.send(get("/c/k?since=0-0", "")).response();
                assert_eq!(answer.status, 410);
            }
            3 => {
                let answer = raw.send(post("/c/other", "", "x")).response();
                assert_eq!(answer.status, 201);
            }
            4 => assert_eq!(raw.send(get("/c/k", "").replace("GET", "HEAD")).head_response().status, 200),
            _ => {
                // A request in pieces of one byte.
                let request = get("/c/k?limit=1", "");
                for byte in request.as_bytes() {
                    raw.send([*byte]);
                }
                assert_eq!(raw.response().status, 200);
            }
        }
    }
}

#[test]
fn requests_pipelined_after_a_held_poll_wait_for_it() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    raw.send(
        [
            get("/c/w?wait=55", ""),
            get("/c/w", ""),
            post("/c/w", "", "second"),
            get("/c/w?wait=55&since=earliest", ""),
        ]
        .concat(),
    );
    server.calm();
    assert!(raw.is_silent_for(Duration::from_millis(80)));
    Post::new("first").to(&server.address, "w");
    let data = |answer: &crate::common::Response| -> Vec<Value> {
        json(answer)["messages"].as_array().unwrap().iter().map(|m| m["data"].clone()).collect()
    };
    assert_eq!(data(&raw.response()), ["first"]);
    assert_eq!(data(&raw.response()), ["first"]);
    assert_eq!(raw.response().status, 201);
    assert_eq!(data(&raw.response()), ["first", "second"]);
    // A pipelined request that is refused gets its refusal after the answer to the first request.
    raw.send(get("/c/w?wait=55", "") + "BAD\r\n\r\n");
    server.calm();
    assert!(raw.is_silent_for(Duration::from_millis(50)));
    Post::new("third").to(&server.address, "w");
    assert_eq!(data(&raw.response()), ["third"]);
    assert_eq!(raw.response().status, 400);
    assert!(raw.rest().is_empty());
}

/// More bytes than the server buffers. The client must wait, and no byte is lost.
#[test]
fn a_large_request_pipelined_after_a_held_poll_waits_too() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    let long = "x".repeat(200_000);
    // The server does not read all bytes, so a test cannot see when the poll is held. The poll has
    // a cursor, so that the order does not matter.
    let cursor = raw.send(get("/c/m", "")).response().field("tidewire-cursor").unwrap().to_owned();
    let poll = get(&format!("/c/m?wait=55&since={cursor}"), "");
    raw.send([poll, post("/c/m", "", &long), get("/c/m?limit=1", "")].concat());
    assert!(raw.is_silent_for(Duration::from_millis(80)));
    Post::new("first").to(&server.address, "m");
    assert_eq!(json(&raw.response())["messages"][0]["data"], "first");
    assert_eq!(raw.response().status, 201);
    assert_eq!(raw.response().status, 200);
}

#[test]
fn a_long_poll_with_connection_close_closes_the_connection() {
    let server = Server::start(&[]);
    for request in [
        get("/c/c?wait=0.1", "Connection: close\r\n"),
        "GET /c/c?wait=0.1 HTTP/1.0\r\n\r\n".to_owned(),
        "GET /c/c?wait=0.1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_owned(),
    ] {
        let mut raw = server.raw();
        let answer = raw.send(&request).response();
        assert_eq!((answer.status, answer.field("connection")), (200, Some("close")), "{request}");
        assert!(raw.rest().is_empty());
    }
}

#[test]
fn a_410_says_why_and_from_where_to_continue() {
    let server = Server::start(&["--retain-messages", "2"]);
    let first = Post::new("1").to(&server.address, "g");
    for n in 2..=5 {
        Post::new(n.to_string()).to(&server.address, "g");
    }
    let (earliest, head) = (after(&first, 2), after(&first, 4));
    for feed in ["poll", "longpoll"] {
        let problem_of = |since: &str| {
            let answer = server.raw().send(get(&format!("/c/g?feed={feed}&since={since}"), "")).response();
            assert_eq!(answer.status, 410, "{feed} {since}");
            assert!(sentence(&answer).contains(&earliest), "the sentence says it too");
            assert_eq!(answer.field("vary"), Some(VARY));
            json(&answer)
        };
        let problem = problem_of(&first);
        assert_eq!((&problem["earliest"], &problem["reason"]), (&json!(earliest), &json!("gap")));
        assert_eq!(problem["gap"], json!({"type": "gap", "from": first, "cursor": earliest, "missed": 2}));
        for (since, reason) in [("zzz-9".to_owned(), "unknown-epoch"), (after(&head, 1), "ahead-of-log")] {
            let problem = problem_of(&since);
            assert_eq!((&problem["earliest"], &problem["reason"]), (&json!(earliest), &json!(reason)));
            assert_eq!(problem["gap"], json!({"type": "reset", "reason": reason, "cursor": earliest}));
        }
        let poll =
            json(&server.raw().send(get(&format!("/c/g?feed={feed}&since={earliest}"), "")).response());
        assert_eq!(poll["messages"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn a_poll_whose_client_has_gone_consumes_no_message() {
    let server = Server::start(&[]);
    let start = server.raw().send(get("/c/t", "")).response().field("tidewire-cursor").unwrap().to_owned();
    for _ in 0..20 {
        server.raw().send(get(&format!("/c/t?wait=55&since={start}"), ""));
    }
    Post::new("x").to(&server.address, "t");
    let poll = json(&server.raw().send(get(&format!("/c/t?wait=55&since={start}"), "")).response());
    assert_eq!(poll["messages"].as_array().unwrap().len(), 1);
}

#[test]
fn a_held_poll_whose_client_has_half_closed_gets_no_answer() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    raw.send(get("/c/h?wait=55", "")).half_close();
    assert_eq!(raw.rest(), b"", "closed, long before the hold is over");
    Post::new("x").to(&server.address, "h");
    // A poll that need not be held is answered, like any other request.
    for query in ["", "?wait=55&since=earliest", "?feed=longpoll&wait=0"] {
        let mut raw = server.raw();
        let answer = raw.send(get(&format!("/c/h{query}"), "")).half_close().response();
        assert_eq!(answer.status, 200, "{query}");
    }
}

#[test]
fn the_next_poll_of_a_connection_is_parsed_as_strictly_as_the_first() {
    let server = Server::start(&["--threads", "1"]);
    let mut raw = server.raw();
    for _ in 0..2 {
        // The poll is held until its wait is over, so the connection is in the table.
        assert_eq!(raw.send(get("/c/n?wait=0.1", "")).response().status, 200);
        let next = raw.send("GET https://x/c/n?wait=0.1 HTTP/1.1\r\nHost: x\r\n\r\n").response();
        assert_eq!(next.status, 421, "this is another scheme's: {next:?}");
    }
}

/// The deadline of an answered poll must not apply to the next poll of the connection.
#[test]
fn each_poll_of_a_connection_has_its_own_deadline() {
    let server = Server::start(&["--threads", "1"]);
    let mut raw = server.raw();
    let mut cursor = Post::new("0").to(&server.address, "o");
    for (wait, message) in [("55", Some("1")), ("0.2", None), ("0.4", Some("2")), ("55", Some("3"))] {
        raw.send(get(&format!("/c/o?wait={wait}&since={cursor}"), ""));
        if message == Some("3") {
            assert!(
                raw.is_silent_for(Duration::from_millis(800)),
                "the time of an earlier poll ended this one"
            );
        }
        if let Some(message) = message {
            Post::new(message).to(&server.address, "o");
        }
        let poll = json(&raw.response());
        if wait == "55" {
            assert_eq!(poll["messages"][0]["data"], json!(message));
        }
        cursor = poll["cursor"].as_str().unwrap().to_owned();
    }
}

/// Equal polls that wait in one table share one response.
#[test]
fn a_shared_response_equals_the_response_to_each_poll() {
    let server = Server::start(&["--threads", "1", "--retain-messages", "3"]);
    let cursor = Post::new("1").to(&server.address, "s");
    let mut readers: Vec<Raw> = (0..5).map(|_| server.raw()).collect();
    let ask = |readers: &mut Vec<Raw>, wait: &str| {
        let request = get(&format!("/c/s?wait={wait}&since={cursor}"), "");
        readers.iter_mut().for_each(|raw| _ = raw.send(&request));
        readers.iter_mut().map(|raw| raw.response()).collect::<Vec<_>>()
    };
    // From here on, the connections are in the table.
    assert!(ask(&mut readers, "0.1").iter().all(|answer| answer.status == 200));
    let mut expected = Vec::new();
    for n in 2..=4 {
        let newest = Post::new(n.to_string()).to(&server.address, "s");
        expected.push(json!(n.to_string()));
        for answer in ask(&mut readers, "30").iter().chain(&ask(&mut readers, "30")) {
            let poll = json(answer);
            let data: Vec<_> =
                poll["messages"].as_array().unwrap().iter().map(|one| one["data"].clone()).collect();
            assert_eq!((data, &poll["cursor"]), (expected.clone(), &json!(newest)));
            assert_eq!(answer.field("tidewire-cursor"), Some(&*newest));
        }
    }
    Post::new("5").to(&server.address, "s");
    assert!(ask(&mut readers, "30").iter().all(|answer| answer.status == 410), "message 2 is no longer kept");
}

/// A 410 about one channel must not skip messages of another channel.
#[test]
fn messages_before_a_gap_in_another_channel_are_delivered_first() {
    let server = Server::start(&["--retain-messages", "3"]);
    let publish = |channel: &str, texts: &[&str]| {
        texts.iter().for_each(|text| drop(Post::new(*text).to(&server.address, channel)));
    };
    publish("a", &["a1"]);
    publish("b", &["b1"]);
    let poll = |query: &str| server.raw().send(get(&format!("/c/a,b?{query}"), "")).response();
    let since = json(&poll("since=earliest"))["cursor"].as_str().unwrap().to_owned();
    publish("a", &["a2", "a3"]);
    publish("b", &["b2", "b3", "b4", "b5"]);
    for query in ["", "&feed=longpoll&wait=0", "&feed=longpoll&wait=20"] {
        let mut since = since.clone();
        let mut received = Vec::new();
        for _ in 0..3 {
            let answer = poll(&format!("since={since}{query}"));
            let body = json(&answer);
            let messages = body["messages"].as_array().into_iter().flatten();
            received.extend(messages.map(|one| one["data"].as_str().unwrap().to_owned()));
            let go_on = if answer.status == 410 { &body["earliest"] } else { &body["cursor"] };
            received.extend((answer.status == 410).then(|| body["gap"]["missed"].to_string()));
            since = go_on.as_str().unwrap().to_owned();
        }
        assert_eq!(received, ["a2", "a3", "1", "b3", "b4", "b5"], "{query}");
    }
}
