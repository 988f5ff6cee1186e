//! Channels that get a new epoch, end or are deleted, on a server that plays a script.

#![allow(clippy::unwrap_used)]

mod script;

use std::time::Duration;

use futures_util::StreamExt;
use script::*;
use tidewire_client::{Backoff, Client, Error, Feed, Options, Since, Subscription};

const NDJSON: &str = "application/x-ndjson";
const JSON: &str = "Content-Type: application/json\r\n";
const END: &str = r#"{"type":"end","cursor":"f-3"}"#;
const ENDED: &str = "the channel has ended";

/// A reader of `feeds` after `since`, with short waits.
fn subscribe(url: &str, feeds: &[Feed], since: &str) -> Subscription {
    let backoff = Backoff::DEFAULT.with_min(Duration::from_millis(1)).with_max(Duration::from_millis(5));
    let options = Options::DEFAULT
        .with_feeds(feeds.iter().copied())
        .with_backoff(backoff)
        .with_poll_interval(Duration::from_millis(20))
        .with_since(Since::After(since.parse().unwrap()));
    Client::new(url).unwrap().with_connect_timeout(PATIENCE).subscribe(options)
}

fn hello(cursor: &str) -> String {
    format!("{{\"type\":\"hello\",\"cursor\":\"{cursor}\"}}")
}

fn frames(objects: &[&str]) -> Vec<u8> {
    objects.iter().flat_map(|json| frame(json)).collect()
}

/// An event stream with these objects, and whether its body ends in order.
fn sse(objects: &[(&str, &str)], ends: bool) -> Step {
    let events: String = objects.iter().map(|(id, json)| format!("id: {id}\ndata: {json}\n\n")).collect();
    body("text/event-stream", &events, ends)
}

fn lines(objects: &[&str], ends: bool) -> Step {
    body(NDJSON, &format!("{}\n", objects.join("\n")), ends)
}

fn body(media_type: &str, text: &str, ends: bool) -> Step {
    let mut out = bytes(stream(media_type, &[text]));
    out.extend(if ends { &b"0\r\n\r\n"[..] } else { b"" });
    send(out)
}

/// The answer of a poll at the end of all channels.
fn closed(objects: &[&str], cursor: &str) -> Step {
    polled(objects, cursor, ",\"closed\":true")
}

/// The answer of a poll.
fn polled(objects: &[&str], cursor: &str, closed: &str) -> Step {
    let objects = objects.join(",");
    let body = format!("{{\"messages\":[{objects}],\"cursor\":\"{cursor}\",\"gap\":null{closed}}}");
    answer("200 OK", JSON, &body)
}

/// The reader has lost messages of epoch a, which ended at a-5, and gets b-6. Every answer and
/// every stream may repeat what came before.
#[tokio::test]
async fn a_new_epoch_follows_and_a_lost_tail_does_not_come_back() {
    let message = |cursor: &str| format!("{{\"type\":\"message\",\"cursor\":\"{cursor}\",\"data\":\"x\"}}");
    let lines = |objects: &[String]| format!("{}\n", objects.join("\n"));
    let reset = r#"{"type":"reset","reason":"tail-lost","cursor":"a-5"}"#.to_owned();
    let body = |objects: &[String], cursor: &str| {
        let body = format!("{{\"messages\":[{}],\"cursor\":\"{cursor}\",\"gap\":null}}", objects.join(","));
        answer("200 OK", "Content-Type: application/json\r\n", &body)
    };
    let server = serve(vec![
        vec![Request, stream(NDJSON, &[&lines(&[hello("a-5"), message("a-6"), message("a-7")])])],
        // A server that knows that a-6 and a-7 are lost, and a stream that still has a-6.
        vec![
            Request,
            stream(NDJSON, &[&lines(&[hello("a-7"), reset.clone(), message("a-6"), reset, message("a-8")])]),
        ],
        vec![Request, stream(NDJSON, &[&lines(&[hello("a-5"), message("a-5"), message("b-6")])])],
        vec![Request, answer("502 Bad Gateway", "", "")],
        // Another feed repeats more of it.
        vec![
            Request,
            body(&["a-4", "a-5", "b-6", "b-7"].map(message), "b-7"),
            Request,
            body(&["a-6", "a-7", "a-8", "b-8"].map(message), "b-8"),
            Request,
            Hold,
        ],
    ]);
    let mut events = subscribe(&server.url, &[Feed::Stream, Feed::Poll], "a-5");
    let texts = take_until(&mut events, |texts| texts.last().is_some_and(|text| text == "b-8 x")).await;
    let told: Vec<&String> =
        texts.iter().filter(|text| !text.contains(" failed: ") && !text.contains(" at ")).collect();
    assert_eq!(told, ["a-6 x", "a-7 x", "reset tail-lost a-5", "b-6 x", "b-7 x", "b-8 x"], "{texts:?}");
}

#[tokio::test]
async fn a_message_of_another_log_without_a_reset_is_never_delivered() {
    let other = object(1).replace("e-1", "f-1");
    let script = || vec![Request, stream(NDJSON, &[&format!("{other}\n")]), Hold];
    let server =
        serve(vec![script(), script(), vec![Request, stream(NDJSON, &[&format!("{}\n", object(6))]), Hold]]);
    let mut events = subscribe(&server.url, &[Feed::Stream], "e-5");
    let failure = "stream failed: the answer cannot be understood: a message of another log came and the \
                   server reported no reset";
    assert_eq!(
        take(&mut events, 6).await,
        ["stream at e-5", failure, "stream at e-5", failure, "stream at e-5", "e-6 m6"]
    );
}

/// The steps of each feed that sends messages 1 and 2 and then the end, to a reader at e-0.
fn whole(feed: Feed) -> Vec<Step> {
    let (hello, one, two) = (hello("e-0"), object(1), object(2));
    match feed {
        Feed::WebSocket => {
            let close = close_frame(1000, ENDED);
            vec![Request, Upgrade([frames(&[&hello, &one, &two, END]), close].concat()), Hold]
        }
        Feed::Sse => {
            vec![Request, sse(&[("e-0", &hello), ("e-1", &one), ("e-2", &two), ("f-3", END)], true)]
        }
        Feed::Stream => vec![Request, lines(&[&hello, &one, &two, END], true)],
        Feed::LongPoll | Feed::Poll => vec![Request, closed(&[&one, &two], "f-3")],
    }
}

#[tokio::test]
async fn every_feed_tells_the_end_once() {
    for feed in Feed::ALL {
        let server = serve(vec![whole(feed)]);
        let mut events = subscribe(&server.url, &[feed], "e-0");
        assert_eq!(
            take(&mut events, 4).await,
            [&format!("{feed} at e-0"), "e-1 m1", "e-2 m2", "end of - f-3"]
        );
        for _ in 0..2 {
            assert!(matches!(next(&mut events).await, Err(Error::Ended)), "{feed}");
        }
        assert_eq!(events.cursor().unwrap().as_str(), "f-3");
        let server = serve(vec![whole(feed)]);
        let all: Vec<String> =
            subscribe(&server.url, &[feed], "e-0").map(|event| text(&event)).collect().await;
        assert_eq!(all.last().unwrap(), "end of - f-3", "{feed}: a Stream ends without an error");
    }
}

/// A reader that begins after the end is told the end too.
#[tokio::test]
async fn a_reader_at_the_end_is_told_the_end() {
    for feed in Feed::ALL {
        let hello = hello("f-3");
        let steps = match feed {
            Feed::WebSocket => {
                let close = close_frame(1000, ENDED);
                vec![Request, Upgrade([frames(&[&hello, END]), close].concat()), Hold]
            }
            Feed::Sse => vec![Request, send("HTTP/1.1 204 No Content\r\n\r\n")],
            Feed::Stream => vec![Request, lines(&[&hello, END], true)],
            Feed::LongPoll | Feed::Poll => vec![Request, closed(&[], "f-3")],
        };
        let server = serve(vec![steps]);
        let texts =
            take(&mut subscribe(&server.url, &[feed], "f-3"), if feed == Feed::Sse { 1 } else { 3 }).await;
        match feed {
            Feed::Sse => assert_eq!(texts, ["end: the server asks its readers to stop (204)"]),
            _ => assert_eq!(texts, [&format!("{feed} at f-3"), "end of - f-3", "end: the channel has ended"]),
        }
    }
}

/// The connection is cut between the last message and the end.
#[tokio::test]
async fn after_a_cut_before_the_end_the_end_is_told_once() {
    let (hello_0, one, two) = (hello("e-0"), object(1), object(2));
    for feed in [Feed::WebSocket, Feed::Sse, Feed::Stream] {
        let hello_2 = hello("e-2");
        let close = close_frame(1000, ENDED);
        let (cut, rest) = match feed {
            Feed::WebSocket => (
                Upgrade(frames(&[&hello_0, &one, &two])),
                vec![Upgrade([frames(&[&hello_2, &two, END, END]), close].concat()), Hold],
            ),
            Feed::Sse => (
                sse(&[("e-0", &hello_0), ("e-1", &one), ("e-2", &two)], false),
                vec![sse(&[("e-2", &hello_2), ("f-3", END)], true)],
            ),
            _ => (
                // A server that stops ends the body in order, but without an end.
                lines(&[&hello_0, &one, &two], true),
                vec![lines(&[&hello_2, END], true)],
            ),
        };
        let rest = [Request].into_iter().chain(rest).collect();
        let server = serve(vec![vec![Request, cut, Close], rest]);
        let mut events = subscribe(&server.url, &[feed], "e-0");
        let is_end = |texts: &[String]| texts.last().is_some_and(|text| text.starts_with("end: "));
        let mut texts = take_until(&mut events, is_end).await;
        texts.retain(|text| !text.contains(" at ") && !text.contains(" failed: "));
        assert_eq!(texts, ["e-1 m1", "e-2 m2", "end of - f-3", "end: the channel has ended"], "{feed}");
    }
}

/// The answer begins earlier than the reader, who has all its messages already.
#[tokio::test]
async fn an_end_in_an_answer_with_old_messages_is_told() {
    let (one, two) = (object(1), object(2));
    let server =
        serve(vec![vec![Request, poll(&[1, 2], "e-2"), Request, closed(&[&one, &two], "f-3"), Hold]]);
    let texts = take(&mut subscribe(&server.url, &[Feed::Poll], "e-0"), 5).await;
    assert_eq!(texts, ["poll at e-0", "e-1 m1", "e-2 m2", "end of - f-3", "end: the channel has ended"]);
}

/// Of two channels, one ends, and the connection is cut. Both ends are told, each once, and the
/// reader comes back at the end of the first.
#[tokio::test]
async fn channels_end_one_by_one() {
    let object = |kind: &str, cursor: &str, channel: &str| {
        format!("{{\"type\":\"{kind}\",\"cursor\":\"{cursor}\",\"channel\":\"{channel}\",\"data\":\"x\"}}")
    };
    let first = [hello("e-1.f-1"), object("end", "e-2.f-1", "a/b"), object("message", "e-2.f-2", "c")];
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    // A server tells the end again to a reader that comes back.
    let second = [hello("e-2.f-2"), object("end", "e-2.f-2", "a/b"), object("end", "e-2.f-3", "c")];
    let second: Vec<&str> = second.iter().map(String::as_str).collect();
    for ends_again in [true, false] {
        let last = match ends_again {
            true => vec![Request, lines(&second, true)],
            // An event source that has all gets a 204. So the rest has ended too.
            false => vec![Request, send("HTTP/1.1 204 No Content\r\n\r\n")],
        };
        let first = if ends_again { &first[..] } else { &first[..2] };
        let feed = Feed::Stream;
        let server = serve(vec![vec![Request, lines(first, false), Close], last]);
        let url = server.url.replace("/c/demo", "/c/a/b,c");
        let mut events = subscribe(&url, &[feed], "e-1.f-1");
        let is_end = |texts: &[String]| texts.last().is_some_and(|text| text.starts_with("end: "));
        let mut texts = take_until(&mut events, is_end).await;
        texts.retain(|text| !text.contains(" at ") && !text.contains(" failed: "));
        let ends = ["end of a/b e-2.f-1", "e-2.f-2 x", "end of c e-2.f-3", "end: the channel has ended"];
        match ends_again {
            true => assert_eq!(texts, ends),
            false => assert_eq!(texts, [ends[0], "end of c e-2.f-1", ends[3]]),
        }
        assert_eq!(server.received(), "GET /c/a/b,c?feed=stream&since=e-1.f-1");
        assert_eq!(server.received(), "closed");
        let since = if ends_again { "e-2.f-2" } else { "e-2.f-1" };
        assert_eq!(server.received(), format!("GET /c/a/b,c?feed=stream&since={since}"));
    }
}

/// A poll says nothing when one of several channels ends, but its cursor moves on.
#[tokio::test]
async fn a_poll_of_several_channels_tells_the_end_of_each() {
    let message = |cursor: &str, channel: &str| {
        format!("{{\"type\":\"message\",\"cursor\":\"{cursor}\",\"channel\":\"{channel}\",\"data\":\"x\"}}")
    };
    for feed in [Feed::LongPoll, Feed::Poll] {
        let server = serve(vec![vec![
            Request,
            polled(&[&message("e-2.f-1", "a/b")], "e-2.f-1", ""),
            Request,
            polled(&[], "g-3.f-1", ""),
            Request,
            closed(&[&message("g-3.f-2", "c")], "g-3.f-3"),
        ]]);
        let url = server.url.replace("/c/demo", "/c/a/b,c");
        assert_eq!(
            take(&mut subscribe(&url, &[feed], "e-1.f-1"), 6).await,
            [
                &format!("{feed} at e-1.f-1"),
                "e-2.f-1 x",
                "g-3.f-2 x",
                "end of a/b g-3.f-3",
                "end of c g-3.f-3",
                "end: the channel has ended"
            ]
        );
        for since in ["e-1.f-1", "e-2.f-1", "g-3.f-1"] {
            let request = server.received();
            assert!(request.contains(&format!("&since={since}")), "{request}");
        }
        // The message comes together with the silent end of the other channel.
        let server = serve(vec![vec![Request, closed(&[&message("g-3.f-2", "c")], "g-3.f-3")]]);
        let url = server.url.replace("/c/demo", "/c/a/b,c");
        let texts = take(&mut subscribe(&url, &[feed], "e-2.f-1"), 5).await;
        assert_eq!(texts[1], "g-3.f-2 x", "{texts:?}");
        assert_eq!(texts[4], "end: the channel has ended", "{texts:?}");
    }
}

/// The end has a number too. If messages before it are missing, the client asks again.
#[tokio::test]
async fn an_end_after_a_hole_is_not_believed_at_once() {
    for feed in [Feed::Stream, Feed::Poll] {
        let early = |end: Step| vec![Request, end];
        let (hello, one, two) = (hello("e-0"), object(1), object(2));
        let scripts = match feed {
            Feed::Stream => {
                vec![early(lines(&[&hello, END], true)), early(lines(&[&hello, &one, &two, END], true))]
            }
            _ => vec![early(closed(&[], "f-3")), early(closed(&[&one, &two], "f-3"))],
        };
        let server = serve(scripts);
        let hole =
            "failed: the answer cannot be understood: 2 messages are missing and the server reported no gap";
        assert_eq!(
            take(&mut subscribe(&server.url, &[feed], "e-0"), 7).await,
            [
                &format!("{feed} at e-0"),
                &format!("{feed} {hole}"),
                &format!("{feed} at e-0"),
                "e-1 m1",
                "e-2 m2",
                "end of - f-3",
                "end: the channel has ended"
            ]
        );
    }
}

#[tokio::test]
async fn a_deletion_ends_every_feed() {
    let deleted = r#"{"type":"deleted"}"#;
    let gone = || refusal("404 Not Found", r#""reason":"deleted""#);
    for feed in Feed::ALL {
        let (hello, one) = (hello("e-0"), object(1));
        let steps = match feed {
            Feed::WebSocket => {
                let close = close_frame(4404, "the channel was deleted");
                vec![Request, Upgrade([frames(&[&hello, &one, deleted]), close].concat()), Hold]
            }
            Feed::Sse => {
                let step = sse(&[("e-0", &hello), ("e-1", &one)], false);
                let text = chunk(&format!("data: {deleted}\n\n"));
                vec![Request, step, send(format!("{text}0\r\n\r\n"))]
            }
            Feed::Stream => vec![Request, lines(&[&hello, &one, deleted], true)],
            Feed::LongPoll | Feed::Poll => vec![Request, poll(&[1], "e-1"), Request, gone()],
        };
        let server = serve(vec![steps]);
        let mut events = subscribe(&server.url, &[feed], "e-0");
        assert_eq!(
            take(&mut events, 4).await,
            [&format!("{feed} at e-0"), "e-1 m1", "deleted -", "end: the channel was deleted"]
        );
        assert!(matches!(next(&mut events).await, Err(Error::Deleted)));
        // The server refuses to open the feed.
        let server = serve(vec![vec![Request, gone()]]);
        let mut events = subscribe(&server.url, &[feed, Feed::Poll], "e-0");
        assert_eq!(take(&mut events, 2).await, ["deleted -", "end: the channel was deleted"], "{feed}");
    }
    let one_of_two = r#"{"type":"deleted","channel":"b"}"#;
    let server = serve(vec![vec![Request, lines(&[&hello("e-0.f-0"), one_of_two], true)]]);
    let mut events = subscribe(&server.url, &[Feed::Stream], "e-0.f-0");
    assert_eq!(
        take(&mut events, 3).await,
        ["stream at e-0.f-0", "deleted b", "end: the channel was deleted"]
    );
    let gone = refusal("404 Not Found", r#""reason":"deleted","channel":"b""#);
    let server = serve(vec![vec![Request, poll(&[], "e-0.f-0"), Request, gone]]);
    let mut events = subscribe(&server.url, &[Feed::LongPoll], "e-0.f-0");
    assert_eq!(
        take(&mut events, 3).await,
        ["longpoll at e-0.f-0", "deleted b", "end: the channel was deleted"]
    );
    let server = serve(vec![vec![Request, Upgrade(close_frame(4404, "")), Hold]]);
    let mut events = subscribe(&server.url, &[Feed::WebSocket], "e-0");
    assert_eq!(take(&mut events, 2).await, ["deleted -", "end: the channel was deleted"]);
}

/// Other servers and proxies close with 1000 too, and a 404 may be a wrong address.
#[tokio::test]
async fn other_ends_are_failures_of_the_feed() {
    let other = [frame(&hello("e-0")), close_frame(1000, "idle")].concat();
    let server = serve(vec![
        vec![Request, Upgrade(other), Hold],
        vec![Request, answer("404 Not Found", "Content-Type: text/html\r\n", "<p>")],
        vec![Request, poll(&[1], "e-1"), Request, Hold],
    ]);
    let mut events = subscribe(&server.url, &[Feed::WebSocket, Feed::Poll], "e-0");
    assert_eq!(
        take(&mut events, 5).await,
        [
            "ws at e-0",
            "ws failed: the server closed the WebSocket with code 1000: idle",
            "ws failed: the server answered 404 Not Found",
            "poll at e-0",
            "e-1 m1"
        ]
    );
}
