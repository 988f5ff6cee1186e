//! Answers of proxies, caches and other servers. None of them may make the client ask without end,
//! or deliver a message twice.

#![allow(clippy::unwrap_used)]

mod script;

use std::time::Duration;

use futures_util::StreamExt;
use script::*;
use tidewire_client::{Backoff, Client, Error, Event, Feed, Options, Publish, Since, Subscription};
use tidewire_testkit::deadline::Deadline;

const HTTP_FEEDS: [Feed; 4] = [Feed::Sse, Feed::Stream, Feed::LongPoll, Feed::Poll];
const PROBLEM: &str = "Content-Type: application/problem+json\r\n";

/// Short waits, so that the tests are short.
fn options(feeds: &[Feed]) -> Options {
    let backoff = Backoff::DEFAULT.with_min(Duration::from_millis(1)).with_max(Duration::from_millis(5));
    Options::DEFAULT
        .with_feeds(feeds.iter().copied())
        .with_backoff(backoff)
        .with_poll_interval(Duration::from_millis(20))
}

fn subscribe(url: &str, options: Options) -> Subscription {
    Client::new(url).unwrap().with_connect_timeout(Duration::from_secs(5)).subscribe(options)
}

fn media_type(feed: Feed) -> &'static str {
    match feed {
        Feed::Sse => "text/event-stream",
        Feed::Stream => "application/x-ndjson",
        _ => "application/json",
    }
}

/// A reader that holds `cursor`.
fn at(cursor: &str) -> Since {
    Since::After(cursor.parse().unwrap())
}

#[tokio::test]
async fn a_compressed_answer_is_not_read_and_ends_a_subscription_without_another_feed() {
    for coding in ["gzip", "identity, br", "GZIP"] {
        for feed in HTTP_FEEDS {
            let fields = format!("Content-Type: {}\r\nContent-Encoding: {coding}\r\n", media_type(feed));
            let server = always(move |_, _| bytes(answer("200 OK", &fields, "\x1f\x08 not read")));
            let end = take(&mut subscribe(&server.url, options(&[feed])), 1).await;
            assert!(
                end[0].starts_with("end: the answer cannot be understood: the content is compressed"),
                "{end:?}"
            );
            assert!(end[0].contains(coding), "{end:?}");
            assert_eq!(server.count(), 1, "{feed}");
        }
    }
}

#[tokio::test]
async fn after_a_compressed_answer_another_feed_is_tried() {
    let server = always(|_, request| {
        bytes(if request.contains("feed=poll") {
            poll(&[1], "e-1")
        } else {
            let coded = "Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n";
            answer("200 OK", coded, "")
        })
    });
    let mut events = subscribe(&server.url, options(&[Feed::Sse, Feed::Poll]).with_since(at("e-0")));
    let texts = take(&mut events, 3).await;
    assert!(
        texts[0].starts_with("sse failed: the answer cannot be understood: the content is compressed"),
        "{texts:?}"
    );
    assert_eq!(texts[1..], ["poll at e-0", "e-1 m1"]);
}

#[tokio::test]
async fn the_identity_coding_is_no_compression() {
    for coding in ["identity", "Identity", "", ", identity ,"] {
        let fields = format!("Content-Type: application/json\r\nContent-Encoding: {coding}\r\n");
        let body = r#"{"messages":[],"cursor":"e-0","gap":null}"#;
        let server = always(move |_, _| bytes(answer("200 OK", &fields, body)));
        assert_eq!(take(&mut subscribe(&server.url, options(&[Feed::Poll])), 1).await, ["poll at e-0"]);
    }
}

/// The proxy compresses everything and does not know upgrades. All five feeds are given up, once.
#[tokio::test]
async fn a_proxy_that_compresses_every_feed_ends_the_subscription() {
    let server = always(|_, request| {
        let feed = HTTP_FEEDS.into_iter().find(|feed| request.contains(&format!("feed={feed}&")));
        let media_type = media_type(feed.unwrap_or(Feed::Poll));
        let fields = format!("Content-Type: {media_type}\r\nContent-Encoding: gzip\r\n");
        bytes(answer("200 OK", &fields, "x"))
    });
    let texts = take(&mut subscribe(&server.url, options(&Feed::ALL)), 5).await;
    assert!(texts.iter().all(|text| text.contains("the content is compressed (gzip)")), "{texts:?}");
    assert!(texts[4].starts_with("end: "), "{texts:?}");
    assert_eq!(server.count(), 5);
}

#[tokio::test]
async fn a_compressed_refusal_does_not_count_as_the_servers_own() {
    let fields = format!("{PROBLEM}Content-Encoding: gzip\r\n");
    let refusal = fields.clone();
    let server = always(move |_, _| bytes(answer("403 Forbidden", &refusal, "{}")));
    let texts = take(&mut subscribe(&server.url, options(&[Feed::Sse, Feed::Poll])), 2).await;
    assert_eq!(
        texts,
        ["sse failed: the server answered 403 Forbidden", "end: the server answered 403 Forbidden"]
    );
    let server = always(move |_, _| bytes(answer("410 Gone", &fields, "{}")));
    let texts = take(&mut subscribe(&server.url, options(&[Feed::Poll])), 1).await;
    assert!(
        texts[0].starts_with("end: the answer cannot be understood: the content is compressed"),
        "{texts:?}"
    );
}

#[tokio::test]
async fn an_acknowledgement_is_json_and_not_compressed() {
    for (status, fields, expected) in [
        ("200 OK", "Content-Type: text/html\r\n", "the media type \"text/html\" is wrong"),
        (
            "201 Created",
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
            "the content is compressed (gzip)",
        ),
        ("200 OK", "Content-Type: application/json\r\n", "a message without a valid cursor"),
    ] {
        let server = always(move |_, _| bytes(answer(status, fields, "{}")));
        let error = Client::new(&server.url).unwrap().publish(Publish::new("x")).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        let Error::UnknownOutcome { last, .. } = error else { panic!("{error:?}") };
        assert!(matches!(*last, Error::Protocol(_)), "{last:?}");
        assert_eq!(server.count(), 1);
    }
    for status in [
        "202 Accepted",
        "204 No Content",
        "205 Reset Content",
        "302 Found",
        "511 Network Authentication Required",
    ] {
        let server = always(move |_, _| bytes(answer(status, "Content-Type: text/html\r\n", "")));
        let error = Client::new(&server.url).unwrap().publish(Publish::new("x")).await.unwrap_err();
        assert!(error.to_string().ends_with(&format!("the server answered {status}")), "{error}");
        let is_unknown = matches!(error, Error::UnknownOutcome { .. });
        assert_eq!(is_unknown, status.starts_with('2'), "a gateway may have taken the message: {error}");
    }
    let said = || problem("415 Unsupported Media Type", "Accept-Encoding: identity\r\n", "Send it plain.");
    let server = always(move |_, _| bytes(said()));
    let error = Client::new(&server.url).unwrap().publish(Publish::new("x")).await.unwrap_err();
    assert_eq!(error.to_string(), "the server answered 415 Unsupported Media Type: Send it plain.");
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_204_on_a_stream_ends_the_subscription_normally() {
    for feed in [Feed::Sse, Feed::Stream] {
        let server = always(|_, _| b"HTTP/1.1 204 No Content\r\n\r\n".to_vec());
        let mut events = subscribe(&server.url, options(&[feed, Feed::Poll]));
        for _ in 0..2 {
            assert!(matches!(next(&mut events).await, Err(Error::Stopped)));
        }
        assert_eq!(server.count(), 1);
        let mut events = subscribe(&server.url, options(&[feed, Feed::Poll]));
        assert!(StreamExt::next(&mut events).await.is_none(), "the stream ends without an error");
    }
}

#[tokio::test]
async fn a_status_line_without_its_last_space_is_understood() {
    let json = r#"{"messages":[],"cursor":"e-0","gap":null}"#;
    let text = format!(
        "HTTP/1.1 200\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
        json.len()
    );
    let server = always(move |_, _| text.clone().into_bytes());
    assert_eq!(take(&mut subscribe(&server.url, options(&[Feed::Poll])), 1).await, ["poll at e-0"]);
}

/// Each failed request is an event, and a wait follows it. So the client does not spin.
#[tokio::test]
async fn each_failed_request_is_reported() {
    let html = "Content-Type: text/html\r\n";
    let flood = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000);
    let whole = |status: &str, fields: &str| bytes(answer(status, fields, "<p>Log in"));
    for (name, answer) in [
        ("a captive portal", whole("200 OK", html)),
        ("HTML without a type", whole("200 OK", "")),
        ("203", whole("203 Non-Authoritative Information", html)),
        ("204 to a poll", b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        ("205", whole("205 Reset Content", "")),
        ("206", whole("206 Partial Content", "Content-Range: bytes 0-8/99\r\n")),
        ("302", whole("302 Found", "Location: /login\r\n")),
        ("304", b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec()),
        ("511", whole("511 Network Authentication Required", html)),
        ("a 410 page", whole("410 Gone", html)),
        ("a flood of 103", flood.into_bytes()),
        (
            "an unasked 101",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_vec(),
        ),
        ("JSON of somebody else", whole("200 OK", "Content-Type: application/json\r\n")),
        ("no HTTP", b"\x15\x03\x01\x00\x02\x02\x46".to_vec()),
    ] {
        for feeds in [&[Feed::LongPoll][..], &[Feed::Poll], &Feed::ALL] {
            if name == "204 to a poll" && feeds.len() > 1 {
                continue;
            }
            let (name, answer) = (name.to_owned(), answer.clone());
            let server = always(move |_, _| answer.clone());
            let mut events = subscribe(&server.url, options(feeds));
            let mut told = 0;
            while told < 12 {
                let event = tokio::time::timeout(PATIENCE, events.next()).await;
                told += 1;
                match event.unwrap_or_else(|_| panic!("{name}: nothing after {told} events")) {
                    Ok(Event::Disconnected { .. }) => {}
                    Ok(event) => panic!("{name}: {event:?}"),
                    Err(_) => break,
                }
            }
            assert!(server.count() <= told, "{name}, {feeds:?}");
        }
    }
}

const REPEATED: &str = "failed: the answer cannot be understood: the answer has nothing new";

#[tokio::test]
async fn an_old_answer_that_is_repeated_is_a_failure_of_the_feed() {
    for feed in [Feed::LongPoll, Feed::Poll] {
        let server = always(|_, _| bytes(poll(&[1, 2], "e-2")));
        let mut events = subscribe(&server.url, options(&[feed]).with_since(at("e-0")));
        let texts = take(&mut events, 20).await;
        assert_eq!(texts[..3], [&format!("{feed} at e-0"), "e-1 m1", "e-2 m2"]);
        for text in &texts[3..] {
            assert!(text.starts_with(&format!("{feed} {REPEATED}")), "{text}");
        }
        // Each request except the first is reported.
        assert!(server.count() <= 1 + 17);
    }
}

/// A cache does not repeat a stream. The waits between failures grow as always.
#[tokio::test]
async fn behind_a_cache_another_feed_is_tried() {
    let server = always(|_, request| {
        bytes(if request.contains("feed=stream") {
            let hello = r#"{"type":"hello","cursor":"e-2"}"#;
            stream("application/x-ndjson", &[&format!("{hello}\n{}\n", object(3))])
        } else {
            poll(&[1, 2], "e-2")
        })
    });
    let mut events = subscribe(&server.url, options(&[Feed::LongPoll, Feed::Stream]).with_since(at("e-0")));
    let texts = take_until(&mut events, |texts| texts.last().is_some_and(|text| text == "e-3 m3")).await;
    let messages: Vec<&String> = texts.iter().filter(|text| text.starts_with("e-")).collect();
    assert_eq!(messages, ["e-1 m1", "e-2 m2", "e-3 m3"]);
}

/// These cursors have another form, so messages cannot be counted. But the client can see that the
/// answer ends at the reader's position.
#[tokio::test]
async fn an_answer_that_ends_at_the_readers_position_is_old_for_any_form_of_cursor() {
    let message =
        |cursor: &str| format!("{{\"type\":\"message\",\"cursor\":\"{cursor}\",\"time\":7,\"data\":\"x\"}}");
    let body =
        format!("{{\"messages\":[{},{}],\"cursor\":\"two\",\"gap\":null}}", message("one"), message("two"));
    let server = always(move |_, _| bytes(answer("200 OK", "Content-Type: application/json\r\n", &body)));
    let mut events = subscribe(&server.url, options(&[Feed::Poll]).with_since(at("zero")));
    let texts = take(&mut events, 6).await;
    assert_eq!(texts[..3], ["poll at zero", "one x", "two x"]);
    assert!(texts[3..].iter().all(|text| text.starts_with(&format!("poll {REPEATED}"))), "{texts:?}");
}

#[tokio::test]
async fn messages_of_a_log_before_a_reset_are_not_delivered_again() {
    let fresh = |n: u32| {
        let body = poll(&[n], &format!("e-{n}"));
        String::from_utf8(bytes(body)).unwrap().replace("e-", "f-").into_bytes()
    };
    let server = always(move |n, _| match n {
        0 => bytes(poll(&[1], "e-1")),
        1 => bytes(gone("f-0")),
        // An old answer from a cache, then an answer of the server.
        2 | 4 => bytes(poll(&[1], "e-1")),
        3 => fresh(1),
        // A reset says that the old log is back, so its messages are new again.
        5 => bytes(gone("e-0")),
        _ => bytes(poll(&[1], "e-1")),
    });
    let mut events = subscribe(&server.url, options(&[Feed::Poll]).with_since(at("e-0")));
    let is_back = |texts: &[String]| texts.last().is_some_and(|text| text == "reset unknown-epoch e-0");
    let mut texts = take_until(&mut events, is_back).await;
    texts.extend(take(&mut events, 1).await);
    texts.retain(|text| !text.contains("poll failed") && !text.starts_with("poll at"));
    assert_eq!(texts, ["e-1 m1", "reset unknown-epoch f-0", "f-1 m1", "reset unknown-epoch e-0", "e-1 m1"]);
}

#[tokio::test]
async fn a_gap_or_a_reset_is_reported_once() {
    let hello = r#"{"type":"hello","cursor":"e-1"}"#;
    let gap = r#"{"type":"gap","from":"e-1","cursor":"e-5","missed":4}"#;
    let reset = r#"{"type":"reset","reason":"unknown-epoch","cursor":"f-0"}"#;
    let ahead = r#"{"type":"reset","reason":"ahead-of-log","cursor":"f-0"}"#;
    let new = object(1).replace("e-1", "f-1");
    let lines = [hello, gap, gap, &object(6), gap, reset, reset, &new, reset, ahead, &new, ""].join("\n");
    let server = serve(vec![vec![Request, stream("application/x-ndjson", &[&lines]), Hold]]);
    let mut events = subscribe(&server.url, options(&[Feed::Stream]).with_since(at("e-1")));
    assert_eq!(
        take(&mut events, 7).await,
        [
            "stream at e-1",
            "gap e-1 e-5 4",
            "e-6 m6",
            "reset unknown-epoch f-0",
            "f-1 m1",
            "reset ahead-of-log f-0",
            "f-1 m1"
        ],
        "a log that lost its newest messages goes back, and its new messages have old numbers"
    );
}

/// Two servers behind one address have different logs. Every answer says that the cursor belongs to
/// the other log.
#[tokio::test]
async fn alternating_resets_are_failures() {
    let server = always(|n, _| bytes(gone(["f-0", "g-0"][n % 2])));
    for feed in [Feed::LongPoll, Feed::Poll] {
        server.count();
        let mut events = subscribe(&server.url, options(&[feed]).with_since(at("e-1")));
        let texts = take(&mut events, 30).await;
        let failures = texts.iter().filter(|text| text.contains(REPEATED)).count();
        assert!(server.count() <= failures + 2, "{texts:?}");
    }
}

/// The cursor moves with each gap, but no message is delivered.
#[tokio::test]
async fn gaps_without_a_message_between_them_are_failures() {
    for feed in [Feed::LongPoll, Feed::Poll] {
        let server = always(|n, _| {
            let gap = format!(r#"{{"type":"gap","from":"e-0","cursor":"e-{}","missed":8}}"#, 8 * (n + 1));
            bytes(answer("410 Gone", PROBLEM, &format!("{{\"gap\":{gap}}}")))
        });
        let mut events = subscribe(&server.url, options(&[feed]).with_since(at("e-0")));
        let texts = take(&mut events, 30).await;
        let failures = texts.iter().filter(|text| text.contains(REPEATED)).count();
        assert!(server.count() <= failures + 2, "{texts:?}");
    }
}

/// After a restart of the server, each of several channels has a new log, and each 410 reports one.
#[tokio::test]
async fn a_reset_for_each_of_several_channels_is_no_failure() {
    const CURSORS: [&str; 4] = ["e-1.x-1.y-1", "f-0.x-1.y-1", "f-0.g-0.y-1", "f-0.g-0.h-0"];
    for feed in [Feed::LongPoll, Feed::Poll] {
        let server = always(|n, _| {
            bytes(match n {
                0 => poll(&[], CURSORS[0]),
                1..4 => gone(CURSORS[n]),
                _ => poll(&[], CURSORS[3]),
            })
        });
        let mut events = subscribe(&server.url, options(&[feed]).with_since(at(CURSORS[0])));
        let resets = CURSORS[1..].iter().map(|cursor| format!("reset unknown-epoch {cursor}"));
        let mut expected = vec![format!("{feed} at {}", CURSORS[0])];
        expected.extend(resets);
        assert_eq!(take(&mut events, 4).await, expected);
        is_quiet(&server, &mut events).await;
    }
}

/// Nobody publishes, and the server restarts now and then.
#[tokio::test]
async fn a_reset_long_after_another_is_no_failure() {
    for feed in [Feed::LongPoll, Feed::Poll] {
        let server = always(|n, _| {
            bytes(match n {
                0..3 => poll(&[], "e-0"),
                3 => gone("f-0"),
                4..7 => poll(&[], "f-0"),
                7 => gone("g-0"),
                _ => poll(&[], "g-0"),
            })
        });
        let mut events = subscribe(&server.url, options(&[feed]).with_since(at("e-0")));
        assert_eq!(
            take(&mut events, 3).await,
            [&format!("{feed} at e-0"), "reset unknown-epoch f-0", "reset unknown-epoch g-0"]
        );
        is_quiet(&server, &mut events).await;
    }
}

/// A 410 that continues at this cursor.
fn gone(cursor: &str) -> Step {
    let body = format!("{{\"earliest\":\"{cursor}\",\"reason\":\"unknown-epoch\"}}");
    answer("410 Gone", PROBLEM, &body)
}

/// Checks that some more polls yield no event.
async fn is_quiet(server: &Always, events: &mut Subscription) {
    server.count();
    let (mut polls, deadline) = (0, Deadline::soon());
    while polls < 3 {
        deadline.check("three polls", || format!("{polls} polls"));
        let next = tokio::time::timeout(Duration::from_millis(20), events.next()).await;
        assert!(next.is_err(), "{next:?}");
        polls += server.count();
    }
}

#[tokio::test]
async fn polls_that_are_not_held_are_spaced() {
    let interval = Duration::from_millis(60);
    for wait in [Duration::ZERO, Duration::from_secs(25), Duration::MAX] {
        let server = always(|_, _| bytes(poll(&[], "e-0")));
        let options =
            options(&[Feed::LongPoll]).with_since(at("e-0")).with_wait(wait).with_poll_interval(interval);
        let mut events = subscribe(&server.url, options);
        let reading = tokio::spawn(async move {
            events.next().await.map(|_| ())?;
            events.next().await
        });
        let times =
            tokio::task::spawn_blocking(move || (0..5).map(|_| server.received().1).collect::<Vec<_>>());
        let times = times.await.unwrap();
        // The first poll asks for no wait, so its pause is not checked.
        for pair in times[1..].windows(2) {
            assert!(pair[1] - pair[0] >= interval, "{wait:?}: {:?}", pair[1] - pair[0]);
        }
        reading.abort();
    }
}

/// With `prefer_again` zero there is still a pause between two attempts.
#[tokio::test]
async fn the_first_feed_is_not_tried_in_a_loop() {
    let interval = Duration::from_millis(60);
    for feed in [Feed::LongPoll, Feed::Poll] {
        let server = always(|_, request| {
            bytes(if request.contains("feed=sse") {
                answer("502 Bad Gateway", "", "")
            } else {
                poll(&[], "e-0")
            })
        });
        let options =
            options(&[Feed::Sse, feed]).with_prefer_again(Duration::ZERO).with_poll_interval(interval);
        let mut events = subscribe(&server.url, options);
        let reading = tokio::spawn(async move { while events.next().await.is_ok() {} });
        let times = tokio::task::spawn_blocking(move || {
            let deadline = Deadline::soon();
            let all = std::iter::repeat_with(|| {
                deadline.check("five polls of the second feed", || "requests of the first feed");
                server.received()
            });
            all.filter(|(request, _)| !request.contains("feed=sse"))
                .map(|(_, at)| at)
                .take(5)
                .collect::<Vec<_>>()
        });
        for pair in times.await.unwrap().windows(2) {
            assert!(pair[1] - pair[0] >= interval, "{feed}: {:?}", pair[1] - pair[0]);
        }
        reading.abort();
    }
}
