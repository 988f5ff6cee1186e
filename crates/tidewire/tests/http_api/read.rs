//! `GET /c/NAME[,NAME…]`: the choice of the feed, the position and the channels.

use serde_json::{Value, json};

use crate::common::feeds::catalogue;
use crate::common::{Feed, Post, Response, Server, Ws, after, seq};
use crate::{get, json, piece, sentence, stream_head};

/// Returns which feed answers a GET, from the head of the response.
fn kind(server: &Server, path: &str, fields: &str) -> String {
    let mut raw = server.raw();
    raw.send(get(path, fields));
    let head = stream_head(&mut raw);
    match (head.status, head.field("content-type"), head.field("cache-control")) {
        (101, ..) => "websocket".to_owned(),
        (200, Some("text/event-stream"), _) => "sse".to_owned(),
        (200, Some("application/x-ndjson"), _) => "stream".to_owned(),
        (200, Some("application/json"), Some("no-cache")) => "poll".to_owned(),
        (200, Some("application/json"), Some("no-store")) => "longpoll".to_owned(),
        other => format!("{other:?}"),
    }
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn the_feed_is_the_first_that_the_request_names() {
    let server = Server::start(&[]);
    Post::new("x").to(&server.address, "f");
    let sse = "Accept: text/event-stream\r\n";
    let stream = "Accept: application/x-ndjson\r\n";
    for (query, fields, expected) in [
        // An explicit feed wins over everything.
        ("feed=poll", sse, "poll"),
        ("feed=poll&wait=1", "", "poll"),
        ("feed=longpoll&wait=0.1", sse, "longpoll"),
        ("feed=sse", stream, "sse"),
        ("feed=stream", sse, "stream"),
        ("feed=sse", UPGRADE, "sse"),
        // Then an upgrade.
        ("", UPGRADE, "websocket"),
        ("wait=1", &(UPGRADE.to_owned() + sse), "websocket"),
        // Then Accept.
        ("", sse, "sse"),
        ("wait=1", sse, "sse"),
        ("", stream, "stream"),
        ("", "Accept: TEXT/Event-Stream;charset=utf-8\r\n", "sse"),
        ("", "Accept: application/json, text/event-stream;q=0.5\r\n", "poll"),
        ("", "Accept: application/json;q=0.5, text/event-stream\r\n", "sse"),
        ("", "Accept: application/x-ndjson;q=0.4, text/event-stream;q=0.6\r\n", "sse"),
        ("", "Accept: text/event-stream;q=0\r\n", "poll"),
        ("", "Accept: text/html\r\nAccept: text/event-stream\r\n", "sse"),
        ("", "Accept: */*\r\n", "poll"),
        ("", "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n", "poll"),
        // Then a wait.
        ("wait=0.1", "", "longpoll"),
        ("wait=0.1", "Accept: application/json\r\n", "longpoll"),
        ("", "Prefer: wait=1\r\n", "longpoll"),
        ("wait=0", "", "poll"),
        ("", "", "poll"),
    ] {
        // With a cursor, a held poll is answered at once.
        let since = if fields.contains("Prefer") { "since=earliest" } else { "" };
        let got = kind(&server, &format!("/c/f?{query}&{since}"), fields);
        assert_eq!(got, expected, "{query} {fields}");
    }
}

#[test]
fn without_a_cursor_short_polls_start_at_the_earliest_message_and_other_feeds_start_now() {
    let server = Server::start(&[]);
    let start = json(&server.raw().send(get("/c/s", "")).response())["cursor"].clone();
    let cursor = Post::new("old").to(&server.address, "s");
    let poll = json(&server.raw().send(get("/c/s", "")).response());
    assert_eq!(poll["messages"][0]["data"], "old");
    let held = json(&server.raw().send(get("/c/s?wait=0.1", "")).response());
    assert_eq!(held, json!({"messages": [], "cursor": cursor, "gap": null}));
    for (query, first) in [
        ("feed=stream", json!({"type": "hello", "cursor": cursor})),
        ("feed=stream&since=now", json!({"type": "hello", "cursor": cursor})),
        ("feed=stream&since=earliest", json!({"type": "hello", "cursor": start})),
    ] {
        let mut raw = server.raw();
        raw.send(get(&format!("/c/s?{query}"), ""));
        stream_head(&mut raw);
        assert_eq!(serde_json::from_str::<Value>(&piece(&mut raw)).unwrap(), first, "{query}");
    }
}

#[test]
fn last_event_id_overrides_since_on_every_feed() {
    let server = Server::start(&["--comet"]);
    let first = Post::new("1").to(&server.address, "l");
    let second = Post::new("2").to(&server.address, "l");
    let id = format!("Last-Event-ID: {second}\r\n");
    let streams = Feed::http_streams();
    for (_, feed) in &streams {
        let mut raw = server.raw();
        raw.send(get(&format!("/c/l?feed={feed}&since={first}"), &id));
        let head = stream_head(&mut raw);
        assert_eq!(head.field("tidewire-cursor"), Some(&*second), "{feed}");
        // The start. A reader that continues gets no message again.
        piece(&mut raw);
        assert!(raw.is_silent_for(std::time::Duration::from_millis(50)), "{feed}");
    }
    for feed in catalogue(&server) {
        // A raw body has no cursor and no end.
        if feed == "raw" || streams.iter().any(|(_, name)| *name == feed) {
            continue;
        }
        let path = format!("/c/l?feed={feed}&callback=f&wait=0.1&since={first}");
        let answer = server.raw().send(get(&path, &id)).response();
        let object = answer.text().trim_start_matches("/**/f(").trim_end_matches(");\n");
        let poll: Value = serde_json::from_str(object).expect(object);
        assert_eq!((&poll["messages"], &poll["cursor"]), (&json!([]), &json!(second)), "{feed}");
    }
    let mut ws = Ws::open(
        &server,
        &format!("/c/l?since={first}"),
        &[("Sec-WebSocket-Protocol", "tidewire.v1"), ("Last-Event-ID", &second)],
    )
    .unwrap();
    assert_eq!(ws.json(), json!({"type": "hello", "cursor": second}));
    // An empty field is ignored. Browsers do not send one.
    let poll = json(&server.raw().send(get(&format!("/c/l?since={first}"), "Last-Event-ID:\r\n")).response());
    assert_eq!(poll["messages"].as_array().unwrap().len(), 1);
}

#[test]
fn parameters_are_checked() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    for query in [
        "limit=0",
        "limit=-1",
        "limit=%2B5",
        "limit=+5",
        "limit=",
        "limit=1.5",
        "limit=0x5",
        "limit=00000",
        "limit=1_000",
        "limit=1e3",
        "limit=10001x",
        "wait=-1",
        "wait=",
        "wait=1e3",
        "wait=.5",
        "wait=5.",
        "wait=abc",
        "wait=%2B5",
        "wait=NaN",
        "wait=inf",
        "wait=1.2.3",
        "wait=99999999999s",
        "feed=",
        "feed=websocket",
        "feed=SSE",
        "feed=poll&feed=sse",
        "since=now&since=now",
        "limit=%ff",
    ] {
        let answer = raw.send(get(&format!("/c/p?{query}"), "")).response();
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
        sentence(&answer);
    }
    // Unknown parameters and empty pairs are ignored.
    for query in
        ["", "&", "x", "x=1&x=2", "LIMIT=0", "limit=1&&", "li%6Dit=0", "limit=10000", "wait=0&limit=00001"]
    {
        assert_eq!(raw.send(get(&format!("/c/p?{query}"), "")).response().status, 200, "{query}");
    }
}

#[test]
fn a_value_above_a_maximum_is_reduced_to_it() {
    let server = Server::start(&[]);
    Post::new("x").to(&server.address, "m");
    let nines = "9".repeat(400);
    for number in ["10001", "65536", "4294967296", "99999999999", "18446744073709551616", &nines] {
        for query in [
            format!("limit={number}"),
            format!("wait={number}"),
            format!("wait={number}.5"),
            format!("wait=0.{number}"),
            format!("feed=raw&wait={number}"),
            format!("limit={number}&wait={number}"),
        ] {
            // There is a message already, so nothing is held.
            let mut raw = server.raw();
            raw.send(get(&format!("/c/m?since=earliest&{query}"), ""));
            assert_eq!(stream_head(&mut raw).status, 200, "{query}");
        }
        let field = format!("Prefer: wait={number}\r\n");
        let answer = server.raw().send(get("/c/m?since=earliest", &field)).response();
        assert_eq!((answer.status, answer.field("preference-applied")), (200, Some("wait")), "{field}");
        let held = server.raw().send(get("/c/m?since=earliest&feed=longpoll", &field)).response();
        assert_eq!((held.status, held.field("preference-applied")), (200, Some("wait")), "{field}");
    }
}

#[test]
fn a_malformed_cursor_is_refused_on_every_feed() {
    let server = Server::start(&["--comet"]);
    let feeds = catalogue(&server);
    let good = Post::new("x").to(&server.address, "b");
    let padded = good.replace("-1", "-01");
    let upper = good.to_ascii_uppercase();
    let double = format!("{good}.{good}");
    let digits = format!("a-{}", "9".repeat(21));
    let long = format!("{}-1", "a".repeat(70));
    for bad in [
        "",
        "x",
        "-",
        "-1",
        "a-",
        "1",
        "a-1-2",
        "a-%2B1",
        "a--1",
        "a-1%20",
        "%20a-1",
        "a-1%00",
        "a-1%0D%0A",
        "Now",
        "earliest%20",
        "a-1.",
        ".a-1",
        &padded,
        &upper,
        &double,
        &digits,
        &long,
        "a_1",
        "%C3%A9-1",
    ] {
        for feed in &feeds {
            let target = format!("/c/b?callback=f&feed={feed}&since={bad}");
            let answer = server.raw().send(get(&target, "")).response();
            assert_eq!(answer.status, 400, "{feed} {bad}");
            assert!(sentence(&answer).contains("ursor"), "{answer:?}");
        }
        let Err((status, _)) = Ws::open(&server, &format!("/c/b?since={bad}"), &[]) else { panic!("{bad}") };
        assert_eq!(status, 400, "{bad}");
    }
}

#[test]
fn channel_names_are_checked_alike_on_every_feed() {
    let server = Server::start(&["--comet"]);
    Post::new("x").to(&server.address, "demo");
    let long = "n".repeat(128);
    let too_long = "n".repeat(129);
    let sixteen: Vec<String> = (0..16).map(|n| format!("c{n}")).collect();
    let seventeen = format!("{},c16", sixteen.join(","));
    let sixteen = sixteen.join(",");
    let rows = [
        ("demo", true),
        ("%64emo", true),
        ("%64%65%6d%6f", true),
        ("A.b_c~d:e@f-9", true),
        ("...", true),
        ("a/b", true),
        ("a/b,c", true),
        (&long, true),
        ("a,b,C", true),
        (&sixteen, true),
        ("", false),
        (".", false),
        ("..", false),
        ("%2e%2E", false),
        ("a%2fb", false),
        ("a%2Fb", false),
        ("a%5Cb", false),
        ("demo/", false),
        ("a%00", false),
        ("a%0d%0aSet-Cookie:x", false),
        ("a%20b", false),
        ("a+b", false),
        ("%2564emo", false),
        ("a%2Cb", false),
        ("%C3%A9", false),
        ("%FF", false),
        ("a%", false),
        ("a%2", false),
        ("a%zz", false),
        ("a*", false),
        ("a,,b", false),
        (",a", false),
        ("a,", false),
        ("a,a", false),
        ("a,%61", false),
        (&too_long, false),
        (&seventeen, false),
    ];
    let feeds = catalogue(&server);
    for (name, good) in rows {
        let several = name.contains(',');
        // Raw bytes of several channels could not be told apart. A publish is for one channel.
        let (one, made) = if several { (400, 400) } else { (200, 201) };
        let feed = |feed: &String| {
            let target = format!("/c/{name}?feed={feed}&callback=f&wait=0.05");
            (get(&target, ""), if feed == "raw" { one } else { 200 })
        };
        let put = format!("PUT /c/{name} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx");
        for (request, status) in feeds.iter().map(feed).chain([
            (get(&format!("/c/{name}?wait=0.05"), ""), 200),
            (get(&format!("/c/{name}"), "Accept: text/event-stream\r\n"), 200),
            (get(&format!("/c/{name}"), UPGRADE), 101),
            (crate::post(&format!("/c/{name}"), "", "x"), made),
            (put, made),
        ]) {
            let mut raw = server.raw();
            raw.send(&request);
            let head = stream_head(&mut raw);
            assert_eq!(head.status, if good { status } else { 400 }, "{request}");
            if head.status == 400 {
                assert_eq!(head.field("content-type"), Some("application/problem+json"), "{request}");
            }
        }
    }
    // Two spellings of the same name are the same channel.
    let poll = json(&server.raw().send(get("/c/%64emo?limit=1", "")).response());
    assert_eq!(poll["messages"][0]["data"], "x");
}

/// `/c/a,b` on every feed: messages name their channel, and one cursor is the position in both.
#[test]
fn several_channels_are_read_on_one_connection() {
    let server = Server::start(&[]);
    let at = |channel: &str, text: &str| Post::new(text).to(&server.address, channel);
    at("a", "a1");
    at("b", "b1");
    at("a", "a2");
    let check = |feed: &str, messages: &[Value]| {
        let mut seen: Vec<_> = messages.iter().map(|m| format!("{}/{}", m["channel"], m["data"])).collect();
        seen.sort();
        assert_eq!(seen, [r#""a"/"a1""#, r#""a"/"a2""#, r#""b"/"b1""#], "{feed}");
    };
    for feed in ["poll", "longpoll"] {
        let poll =
            json(&server.raw().send(get(&format!("/c/a,b?feed={feed}&since=earliest"), "")).response());
        check(feed, poll["messages"].as_array().unwrap());
        assert_eq!(poll["cursor"].as_str().unwrap().split('.').map(seq).collect::<Vec<_>>(), [2, 1]);
    }
    let mut raw = server.raw();
    raw.send(get("/c/a,b?feed=stream&since=earliest", ""));
    stream_head(&mut raw);
    let mut lines: Vec<Value> = (0..4).map(|_| serde_json::from_str(&piece(&mut raw)).unwrap()).collect();
    assert_eq!(lines.remove(0)["type"], "hello");
    check("stream", &lines);
    let mut raw = server.raw();
    raw.send(get("/c/a,b?feed=sse&since=earliest", ""));
    stream_head(&mut raw);
    piece(&mut raw);
    let events: Vec<String> = (0..3).map(|_| piece(&mut raw)).collect();
    let data = |event: &String| {
        let line = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        serde_json::from_str::<Value>(line).unwrap()
    };
    check("sse", &events.iter().map(data).collect::<Vec<_>>());
    let mut ws = Ws::v1(&server, "/c/a,b?since=earliest");
    ws.json();
    let messages: Vec<Value> = (0..3).map(|_| ws.json()).collect();
    check("tidewire.v1", &messages);
    let mut ws = Ws::bare(&server, "/c/a,b");
    // A bare WebSocket has no place for channel names, only payloads. There is an order within a
    // channel, but not between two.
    at("b", "b2");
    at("a", "a3");
    let mut both = [ws.text(), ws.text()];
    both.sort();
    assert_eq!(both, ["a3", "b2"]);

    // The cursor of both works on another feed. With the channels in another order, it is refused.
    let cursor = messages[2]["cursor"].as_str().unwrap();
    let poll = json(&server.raw().send(get(&format!("/c/a,b?since={cursor}"), "")).response());
    let data: Vec<_> = poll["messages"].as_array().unwrap().iter().map(|m| m["data"].clone()).collect();
    assert_eq!(data, ["a3", "b2"]);
    let swapped = server.raw().send(get(&format!("/c/b,a?since={cursor}"), "")).response();
    assert_eq!((swapped.status, &json(&swapped)["reason"]), (410, &json!("unknown-epoch")));
    let short = server.raw().send(get(&format!("/c/a,b,c?since={cursor}"), "")).response();
    assert_eq!(short.status, 400);
}

#[test]
fn a_head_response_has_the_fields_of_a_get_response() {
    let server = Server::start(&[]);
    Post::new("hello").to(&server.address, "h");
    let mut raw = server.raw();
    let lines = |answer: &Response| -> Vec<String> {
        // The response to a HEAD has no framing of the body. Its connection stays open, and that of
        // a stream does not.
        let differs = ["Date", "Transfer-Encoding", "Connection", "Keep-Alive", "Tidewire-Earliest"];
        let skip = |line: &&str| !differs.iter().any(|name| line.starts_with(name));
        answer.head.lines().filter(skip).map(str::to_owned).collect()
    };
    for path in ["/c/h", "/c/h?limit=1", "/", "/c/h?since=nonsense", "/nowhere"] {
        let got = raw.send(get(path, "")).response();
        let head = raw.send(get(path, "").replace("GET", "HEAD")).head_response();
        assert_eq!(lines(&head), lines(&got), "{path}");
    }
    // A HEAD for a long poll or a stream is answered at once, and the connection stays open.
    for path in ["/c/h?wait=55", "/c/h?feed=sse", "/c/h?feed=stream"] {
        let head = raw.send(get(path, "").replace("GET", "HEAD")).head_response();
        assert_eq!(head.status, 200, "{path}");
        if path.contains("feed") {
            let mut other = server.raw();
            other.send(get(path, ""));
            assert_eq!(lines(&head), lines(&stream_head(&mut other)), "{path}");
        }
    }
    assert_eq!(raw.send(get("/c/h", "")).response().status, 200);
}

#[test]
fn the_first_page_shows_commands_to_paste() {
    let server = Server::start(&[]);
    let page = server.raw().send(get("/", "").replace("Host: x", "Host: example.org:8080")).response();
    assert_eq!(page.status, 200);
    assert!(page.text().contains("curl -d 'hello' http://example.org:8080/c/demo"), "{page:?}");
}

#[test]
fn messages_beyond_the_limit_are_in_the_next_poll() {
    let server = Server::start(&[]);
    let first = Post::new("0").to(&server.address, "n");
    for n in 1..10 {
        Post::new(n.to_string()).to(&server.address, "n");
    }
    let mut raw = server.raw();
    let (mut cursor, mut data) = ("earliest".to_owned(), Vec::new());
    for _ in 0..4 {
        let poll = json(&raw.send(get(&format!("/c/n?limit=3&since={cursor}"), "")).response());
        cursor = poll["cursor"].as_str().unwrap().to_owned();
        data.extend(
            poll["messages"].as_array().unwrap().iter().map(|m| m["data"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(data.concat(), "0123456789");
    assert_eq!(cursor, after(&first, 9));
}
