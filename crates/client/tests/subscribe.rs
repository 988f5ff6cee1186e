//! Subscriptions against a server that plays a script.

#![allow(clippy::unwrap_used)]

mod script;

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use script::*;
use tidewire_client::{Awaited, Backoff, Client, Error, Event, Feed, Options, Since, Subscription};
use tidewire_testkit::deadline::Deadline;

const SSE: &str = "text/event-stream";
const NDJSON: &str = "application/x-ndjson";

/// Short waits, so that the tests are short.
fn options(feeds: &[Feed]) -> Options {
    let backoff = Backoff::DEFAULT.with_min(Duration::from_millis(1)).with_max(Duration::from_millis(5));
    Options::DEFAULT
        .with_feeds(feeds.iter().copied())
        .with_backoff(backoff)
        .with_poll_interval(Duration::from_millis(20))
}

fn subscribe(server: &Server, options: Options) -> Subscription {
    Client::new(&server.url).unwrap().with_connect_timeout(PATIENCE).subscribe(options)
}

/// For tests in which an answer does not come. Three seconds are enough for the other answers, also
/// on a busy machine.
fn subscribe_briefly(server: &Server, options: Options) -> Subscription {
    Client::new(&server.url).unwrap().with_connect_timeout(Duration::from_secs(3)).subscribe(options)
}

#[tokio::test]
async fn a_stream_that_is_cut_within_a_message_continues_at_its_cursor() {
    let server = serve(vec![
        vec![Request, stream(SSE, &["retry: 10\nid: e-0\n\n", &event(1), "id: e-2\ndata: m"])],
        vec![Request, stream(SSE, &["id: e-1\n\n", &event(1), &event(2), &event(3)]), Hold],
    ]);
    let mut events = subscribe(&server, options(&[Feed::Sse]));
    assert_eq!(
        take(&mut events, 6).await,
        [
            "sse at e-0",
            "e-1 m1",
            "sse failed: the connection broke: the answer is incomplete",
            "sse at e-1",
            "e-2 m2",
            "e-3 m3"
        ],
        "e-1 came twice and is delivered once"
    );
    assert_eq!(server.received(), "GET /c/demo?feed=sse&objects=1&since=now");
    assert_eq!(server.received(), "GET /c/demo?feed=sse&objects=1&since=e-1");
    assert_eq!(events.cursor().unwrap().as_str(), "e-3");
}

#[tokio::test]
async fn every_feed_gives_the_same_messages() {
    let hello = r#"{"type":"hello","cursor":"e-0"}"#;
    let lines = [hello, "", &object(1), &object(2), ""].join("\n");
    let frames: Vec<u8> = [hello, &object(1), &object(2)].iter().flat_map(|json| frame(json)).collect();
    for (feed, steps) in [
        (Feed::WebSocket, vec![Request, Upgrade(frames), Hold]),
        (Feed::Sse, vec![Request, stream(SSE, &["id: e-0\n\n", &event(1), ":\n\n", &event(2)]), Hold]),
        (Feed::Stream, vec![Request, stream(NDJSON, &[&lines]), Hold]),
        (Feed::LongPoll, vec![Request, poll(&[], "e-0"), Request, poll(&[1, 2], "e-2"), Request, Hold]),
        (Feed::Poll, vec![Request, poll(&[], "e-0"), Request, poll(&[1, 2], "e-2"), Request, Hold]),
    ] {
        let server = serve(vec![steps]);
        let mut events = subscribe(&server, options(&[feed]));
        assert_eq!(take(&mut events, 3).await, [&format!("{feed} at e-0"), "e-1 m1", "e-2 m2"]);
    }
}

#[tokio::test]
async fn transports_are_tried_in_order_and_share_the_cursor() {
    let server = serve(vec![
        vec![Request, problem("426 Upgrade Required", "", "No.")],
        vec![Request, stream(SSE, &[]), Hold],
        vec![Request, answer("502 Bad Gateway", "Content-Type: text/html\r\n", "<p>")],
        vec![Request, poll(&[5], "e-5"), Request, poll(&[6], "e-6")],
        vec![Request, poll(&[7], "e-7"), Request, Hold],
    ]);
    let since = Since::After("e-4".parse().unwrap());
    let mut events = subscribe_briefly(&server, options(&Feed::ALL).with_since(since));
    assert_eq!(
        take(&mut events, 7).await,
        [
            "ws failed: the server answered 426 Upgrade Required: No.",
            "sse failed: the first bytes of the feed did not come in time",
            "stream failed: the server answered 502 Bad Gateway",
            "longpoll at e-4",
            "e-5 m5",
            "e-6 m6",
            "e-7 m7"
        ],
        "a kept connection that is closed between two polls is no failure"
    );
    assert_eq!(server.received(), "GET /c/demo?since=e-4");
    assert_eq!(server.received(), "GET /c/demo?feed=sse&objects=1&since=e-4");
    assert_eq!(server.received(), "GET /c/demo?feed=stream&since=e-4");
    assert_eq!(server.received(), "GET /c/demo?feed=longpoll&since=e-4&wait=0.000");
    assert_eq!(server.received(), "GET /c/demo?feed=longpoll&since=e-5&wait=25.000");
    assert_eq!(server.received(), "GET /c/demo?feed=longpoll&since=e-6&wait=25.000");
}

#[tokio::test]
async fn after_a_fallback_the_first_feed_is_tried_again() {
    // The number of polls until then depends on the clock.
    let polls = [Request, poll(&[1], "e-1")].into_iter();
    let polls = polls.chain((0..1000).flat_map(|_| [Request, poll(&[], "e-1")])).collect();
    let server = serve(vec![
        vec![Request, answer("501 Not Implemented", "", "")],
        polls,
        vec![Request, stream(SSE, &["id: e-1\n\n", &event(2)]), Hold],
    ]);
    let options = options(&[Feed::Sse, Feed::Poll]).with_since(Since::After("e-0".parse().unwrap()));
    let mut events = subscribe(&server, options.with_prefer_again(Duration::from_millis(100)));
    assert_eq!(
        take(&mut events, 5).await,
        [
            "sse failed: the server answered 501 Not Implemented",
            "poll at e-0",
            "e-1 m1",
            "sse at e-1",
            "e-2 m2"
        ]
    );
}

#[tokio::test]
async fn a_websocket_answers_pings_and_comes_back_after_a_restart() {
    let restart = [&[0x88, 0x09, 0x03, 0xf4][..], b"restart"].concat();
    let early = [frame(r#"{"type":"hello","cursor":"e-0"}"#), frame(&object(1))].concat();
    let server = serve(vec![
        vec![
            Request,
            Upgrade(early),
            send([0x89, 0x02, b'h', b'i']),
            ReadBytes(8),
            send(frame(&object(2))),
            send(&restart),
            ReadBytes(8),
        ],
        vec![Request, Upgrade(frame(r#"{"type":"hello","cursor":"e-2"}"#)), send(frame(&object(3))), Hold],
    ]);
    let mut events = subscribe(&server, options(&[Feed::WebSocket]));
    assert_eq!(
        take(&mut events, 6).await,
        [
            "ws at e-0",
            "e-1 m1",
            "e-2 m2",
            "ws failed: the server closed the WebSocket with code 1012: restart",
            "ws at e-2",
            "e-3 m3"
        ]
    );
    assert_eq!(server.received(), "GET /c/demo?since=now");
    assert!(server.received().starts_with("[8a, 82, "), "a masked pong of two bytes");
    assert!(server.received().starts_with("[88, 82, "), "a masked close with a code");
    assert_eq!(server.received(), "GET /c/demo?since=e-2");
}

#[tokio::test]
async fn a_websocket_with_a_wrong_handshake_is_refused() {
    let handshake = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
    let server = serve(vec![vec![Request, send(handshake)], vec![Request, poll(&[], "e-0"), Request, Hold]]);
    let mut events = subscribe(&server, options(&[Feed::WebSocket, Feed::Poll]));
    let texts = take(&mut events, 2).await;
    assert!(
        texts[0].starts_with("ws failed: the answer cannot be understood: WebSocket handshake"),
        "{texts:?}"
    );
    assert_eq!(texts[1], "poll at e-0");
}

#[tokio::test]
async fn gaps_and_resets_are_reported_on_every_feed() {
    let gap = r#"{"type":"gap","from":"e-1","cursor":"e-5","missed":4}"#;
    let reset = r#"{"type":"reset","reason":"unknown-epoch","cursor":"f-0"}"#;
    let gone = |member: &str| {
        let body = format!("{{\"status\":410,\"title\":\"Gone\",\"detail\":\"Go on.\",{member}}}");
        answer("410 Gone", "Content-Type: application/problem+json\r\n", &body)
    };
    let hello = r#"{"type":"hello","cursor":"e-1"}"#;
    let frames: Vec<u8> = [hello, gap, reset].iter().flat_map(|json| frame(json)).collect();
    let event = |name: &str, id: &str, json: &str| format!("id: {id}\nevent: {name}\ndata: {json}\n\n");
    for (feed, steps) in [
        (Feed::WebSocket, vec![Request, Upgrade(frames), Hold]),
        (
            Feed::Sse,
            vec![
                Request,
                stream(SSE, &["id: e-1\n\n", &event("gap", "e-5", gap), &event("reset", "f-0", reset)]),
                Hold,
            ],
        ),
        (Feed::Stream, vec![Request, stream(NDJSON, &[&format!("{hello}\n{gap}\n{reset}\n")]), Hold]),
        (
            Feed::LongPoll,
            vec![
                Request,
                poll(&[], "e-1"),
                Request,
                gone(&format!("\"earliest\":\"e-5\",\"reason\":\"gap\",\"gap\":{gap}")),
                Request,
                gone("\"earliest\":\"f-0\",\"reason\":\"unknown-epoch\""),
                Request,
                Hold,
            ],
        ),
    ] {
        let server = serve(vec![steps]);
        let since = Since::After("e-1".parse().unwrap());
        let mut events = subscribe(&server, options(&[feed]).with_since(since));
        assert_eq!(
            take(&mut events, 3).await,
            [&format!("{feed} at e-1"), "gap e-1 e-5 4", "reset unknown-epoch f-0"]
        );
        assert_eq!(events.cursor().unwrap().as_str(), "f-0");
    }
}

#[tokio::test]
async fn after_a_hole_the_client_asks_again_and_reports_a_gap_if_it_stays() {
    let server = serve(vec![
        vec![Request, stream(SSE, &["id: e-1\n\n", &event(4)])],
        vec![Request, stream(SSE, &["id: e-1\n\n", &event(4), &event(5)]), Hold],
    ]);
    let mut events =
        subscribe(&server, options(&[Feed::Sse]).with_since(Since::After("e-1".parse().unwrap())));
    assert_eq!(
        take(&mut events, 6).await,
        [
            "sse at e-1",
            "sse failed: the answer cannot be understood: 2 messages are missing and the server reported \
             no gap",
            "sse at e-1",
            "gap e-1 e-1 2",
            "e-4 m4",
            "e-5 m5"
        ]
    );
}

#[tokio::test]
async fn the_server_says_when_to_come_back() {
    let server = serve(vec![
        vec![Request, problem("503 Service Unavailable", "Retry-After: 1\r\n", "Full.")],
        vec![Request, stream(SSE, &["retry: 400\nid: e-0\n\n"]), send("0\r\n\r\n")],
        vec![Request, stream(SSE, &["id: e-0\n\n"]), Hold],
    ]);
    let backoff = Backoff::DEFAULT.with_min(Duration::from_millis(1)).with_max(Duration::from_secs(1));
    let mut events = subscribe(&server, options(&[Feed::Sse, Feed::Poll]).with_backoff(backoff));
    let start = Instant::now();
    let Ok(Event::Disconnected { retry_in, .. }) = next(&mut events).await else { panic!() };
    assert!(retry_in >= Duration::from_secs(1));
    assert_eq!(take(&mut events, 1).await, ["sse at e-0"]);
    assert!(start.elapsed() >= Duration::from_secs(1));
    let Ok(Event::Disconnected { retry_in, reason: Error::FeedEnded, .. }) = next(&mut events).await else {
        panic!()
    };
    assert!(retry_in >= Duration::from_millis(400));
    assert_eq!(take(&mut events, 1).await, ["sse at e-0"]);
}

#[tokio::test]
async fn a_silent_stream_is_cut() {
    let beats = (0..40).flat_map(|_| [Pause(100), send(chunk(":\n\n"))]);
    let script = [Request, stream(SSE, &["id: e-0\n\n"])].into_iter().chain(beats);
    let script = script.chain([send(chunk(&event(1))), Hold]).collect();
    let server = serve(vec![script, vec![Request, stream(SSE, &["id: e-1\n\n"]), Hold]]);
    // The comments take longer than this in all, and each comes long before the timeout.
    let options = options(&[Feed::Sse]).with_heartbeat_timeout(Duration::from_secs(3));
    let mut events = subscribe(&server, options);
    assert_eq!(
        take(&mut events, 4).await,
        ["sse at e-0", "e-1 m1", "sse failed: a heartbeat did not come in time", "sse at e-1"],
        "the comments kept the stream open"
    );
}

/// A server may send a 408 on an idle connection. It is not the answer to the next poll.
#[tokio::test]
async fn bytes_between_two_polls_are_not_an_answer() {
    let (say, go) = channel::<()>();
    let late = answer("408 Request Timeout", "", "");
    let server = serve(vec![
        vec![Request, poll(&[1], "e-1"), Wait(go), late, ReadBytes(0), Hold],
        vec![Request, poll(&[2], "e-2"), Hold],
    ]);
    let options = options(&[Feed::Poll]).with_since(Since::After("e-0".parse().unwrap()));
    let mut events = subscribe(&server, options);
    assert_eq!(take(&mut events, 2).await, ["poll at e-0", "e-1 m1"]);
    assert_eq!(server.received(), "GET /c/demo?feed=poll&since=e-0");
    drop(say);
    assert_eq!(server.received(), "[]", "the 408 is sent");
    // The runtime checks its sockets.
    tokio::task::yield_now().await;
    assert_eq!(take(&mut events, 1).await, ["e-2 m2"]);
}

#[tokio::test]
async fn the_servers_own_refusal_is_final() {
    let server = serve(vec![vec![Request, problem("403 Forbidden", "", "You may not read this channel.")]]);
    let client = Client::new(&server.url).unwrap().with_header("Authorization", "Bearer x").unwrap();
    let client = client.with_header("user-agent", "mine/1").unwrap();
    let mut events = client.subscribe(options(&[Feed::Sse, Feed::Poll]));
    for _ in 0..2 {
        let Err(Error::Refused(problem)) = next(&mut events).await else { panic!() };
        assert_eq!(
            (problem.status, &*problem.title, &*problem.detail),
            (403, "Forbidden", "You may not read this channel.")
        );
    }
    assert_eq!(
        server.received(),
        "GET /c/demo?feed=sse&objects=1&since=now Authorization=Bearer x user-agent=mine/1"
    );
}

#[tokio::test]
async fn answers_of_other_servers_lead_to_the_next_feed() {
    let server = serve(vec![
        vec![Request, answer("200 OK", "Content-Type: text/html; charset=utf-8\r\n", "<p>Log in")],
        vec![Request, send("SSH-2.0-OpenSSH_9.9\r\n"), Hold],
        vec![Request, answer("302 Found", "Location: /login\r\n", "")],
    ]);
    let options = options(&[Feed::Sse, Feed::Stream, Feed::Poll]).with_retry_limit(0);
    let mut events = subscribe(&server, options);
    assert_eq!(
        take(&mut events, 3).await,
        [
            "sse failed: the answer cannot be understood: the media type \"text/html\" is wrong",
            "stream failed: the answer cannot be understood: HTTP: malformed HTTP version at byte 0",
            "end: gave up after 1 attempts: the server answered 302 Found"
        ]
    );
}

#[tokio::test]
async fn a_server_cannot_make_the_client_exceed_its_limit() {
    let long = "x".repeat(5000);
    for (feed, steps) in [
        (Feed::WebSocket, vec![Request, Upgrade(frame(&long)), Hold]),
        (Feed::Sse, vec![Request, stream(SSE, &[&format!("data: {long}")]), Hold]),
        (Feed::Stream, vec![Request, stream(NDJSON, &[&long]), Hold]),
        (Feed::Poll, vec![Request, answer("200 OK", "Content-Type: application/json\r\n", &long), Hold]),
    ] {
        let server = serve(vec![steps]);
        let client = Client::new(&server.url).unwrap().with_max_message(4000);
        let mut events = client.subscribe(options(&[feed]));
        let end = next(&mut events).await;
        assert!(matches!(end, Err(Error::TooLarge { limit: 4000 })), "{feed}: {end:?}");
    }
}

#[tokio::test]
async fn a_caller_can_drop_next_halfway_without_a_loss() {
    let (go_on, waits): (Vec<_>, Vec<_>) = (0..40).map(|_| std::sync::mpsc::channel::<()>()).unzip();
    let (mut go_on, mut waits) = (go_on.into_iter(), waits.into_iter());
    let slow = (1..=20).flat_map(|n| {
        let event = chunk(&event(n));
        let (a, b) = event.split_at(event.len() / 2);
        // Each half is sent after a `next` that waited for it was dropped.
        let mut wait = || Wait(waits.next().unwrap());
        [wait(), send(a), wait(), send(b)]
    });
    let script = [Request, stream(SSE, &["id: e-0\n\n"])].into_iter().chain(slow).chain([Hold]).collect();
    let server = serve(vec![script]);
    let mut events = subscribe(&server, options(&[Feed::Sse]));
    let (mut texts, mut dropped) = (Vec::new(), 0);
    let deadline = Deadline::soon();
    while texts.len() < 21 {
        deadline.check("all messages", || format!("{texts:?}"));
        match tokio::time::timeout(Duration::from_micros(300), events.next()).await {
            Ok(event) => texts.push(text(&event)),
            Err(_) if texts.is_empty() => {}
            Err(_) => {
                dropped += 1;
                drop(go_on.next());
            }
        }
    }
    let expected: Vec<String> = (1..=20).map(|n| format!("e-{n} m{n}")).collect();
    assert_eq!(texts[1..], expected);
    assert!(dropped >= 40, "only {dropped} times");
}

#[tokio::test]
async fn an_unreachable_server_is_tried_again() {
    // Nobody listens at this port, and no other test gets it.
    let mut events =
        Client::new("http://127.0.0.1:1/c/demo").unwrap().subscribe(options(&Feed::ALL).with_retry_limit(2));
    for _ in 0..2 {
        let Ok(Event::Disconnected { feed: Feed::WebSocket, reason: Error::Connect { .. }, .. }) =
            next(&mut events).await
        else {
            panic!()
        };
    }
    assert!(matches!(next(&mut events).await, Err(Error::GaveUp { attempts: 3, .. })));
}

#[tokio::test]
async fn a_missing_answer_is_a_failure_of_the_poll() {
    let server = serve(vec![
        vec![Request, poll(&[], "e-0"), Request, Hold],
        vec![Request, poll(&[1], "e-1"), Request, Hold],
    ]);
    let mut events =
        subscribe_briefly(&server, options(&[Feed::LongPoll]).with_wait(Duration::from_millis(50)));
    assert_eq!(take(&mut events, 1).await, ["longpoll at e-0"]);
    let Ok(Event::Disconnected { reason: Error::Timeout(Awaited::Answer), .. }) = next(&mut events).await
    else {
        panic!()
    };
    assert_eq!(take(&mut events, 2).await, ["longpoll at e-0", "e-1 m1"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_an_address() {
    use std::io::{Read, Write};
    let path = std::env::temp_dir().join(format!("tidewire-client-{}.sock", std::process::id()));
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut head = [0; 1024];
        assert!(socket.read(&mut head).unwrap() > 0);
        let body = r#"{"messages":[],"cursor":"e-0","gap":null}"#;
        write!(
            socket,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
    });
    let url = format!("http+unix://{}/c/demo", path.to_str().unwrap().replace('/', "%2F"));
    let mut events = Client::new(&url).unwrap().subscribe(options(&[Feed::Poll]));
    assert_eq!(take(&mut events, 1).await, ["poll at e-0"]);
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn a_subscription_is_a_stream() {
    use futures_util::StreamExt;
    let server = serve(vec![vec![Request, problem("400 Bad Request", "", "Bad cursor.")]]);
    let texts: Vec<String> =
        subscribe(&server, options(&[Feed::Sse])).map(|event| text(&event)).collect().await;
    assert_eq!(
        texts,
        ["end: the server answered 400 Bad Request: Bad cursor."],
        "the stream ends after an error"
    );
}

#[tokio::test]
async fn a_server_that_does_not_know_its_own_cursor_is_not_asked_in_a_loop() {
    let fields = "Content-Type: application/problem+json\r\n";
    let gone = || answer("410 Gone", fields, r#"{"earliest":"f-0","reason":"unknown-epoch"}"#);
    let server = serve(vec![(0..50).flat_map(|_| [Request, gone()]).chain([Hold]).collect()]);
    let mut events =
        subscribe(&server, options(&[Feed::Poll]).with_poll_interval(Duration::from_millis(100)));
    assert_eq!(
        take(&mut events, 3).await,
        [
            "poll at -",
            "reset unknown-epoch f-0",
            "poll failed: the answer cannot be understood: the answer has nothing new: a cache on the way \
             may repeat old answers, or several servers may answer for one channel"
        ]
    );
}
