//! The bytes of Server-Sent Events and of HTTP streaming.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Deadline, Post, Server, after};
use crate::{get, json, piece, stream_head};

#[test]
fn the_head_of_a_stream_prevents_buffering_and_caching() {
    let server = Server::start(&[]);
    let cursor = Post::new("x").to(&server.address, "h");
    for (feed, media) in [("sse", "text/event-stream"), ("stream", "application/x-ndjson")] {
        let mut raw = server.raw();
        let start = Instant::now();
        raw.send(get(&format!("/c/h?feed={feed}"), ""));
        let head = stream_head(&mut raw);
        let hello = piece(&mut raw);
        assert!(
            start.elapsed() < Duration::from_secs(12),
            "the head and a hello at once: {:?}",
            start.elapsed()
        );
        assert!(hello.contains(&cursor), "{hello}");
        for (name, value) in [
            ("content-type", media),
            ("cache-control", "no-store, no-transform"),
            ("x-accel-buffering", "no"),
            ("x-content-type-options", "nosniff"),
            ("transfer-encoding", "chunked"),
            ("vary", "Accept, Origin, Last-Event-ID, Prefer"),
            ("tidewire-cursor", &cursor),
        ] {
            assert_eq!(head.field(name), Some(value), "{feed}: {name}");
        }
        assert_eq!(head.field("content-length"), None);
        assert!(head.field("date").is_some());
    }
}

#[test]
fn an_event_stream_on_the_wire() {
    let server = Server::start(&[]);
    // It begins the epoch of the channel.
    Post::new("first").to(&server.address, "w");
    let mut raw = server.raw();
    raw.send(get("/c/w?feed=sse", ""));
    let start = stream_head(&mut raw).field("tidewire-cursor").unwrap().to_owned();
    let id = |n: u64| format!("id: {}", after(&start, n));
    let hello = piece(&mut raw);
    let mut fields: Vec<&str> = hello.strip_suffix("\n\n").unwrap().lines().collect();
    fields.sort_unstable();
    let retry: u32 = fields[1].strip_prefix("retry: ").unwrap().parse().unwrap();
    assert!((1_000..3_000).contains(&retry), "{retry}");
    assert_eq!(
        (fields[0], fields.len()),
        (&*id(0), 2),
        "an id without data: a cursor before the first message"
    );

    let lines = |event: &str| -> Vec<String> {
        let mut lines: Vec<_> = event.strip_suffix("\n\n").unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    for (n, (post, expected)) in [
        (Post::new("plain"), vec!["data: plain"]),
        (Post::new(""), vec!["data: "]),
        (Post::new("a\nb\n"), vec!["data: ", "data: a", "data: b"]),
        (Post::new("{}").event("json"), vec!["data: {}", "event: json"]),
    ]
    .into_iter()
    .enumerate()
    {
        post.to(&server.address, "w");
        let event = piece(&mut raw);
        // `data:` and `data: ` are the same to every reader.
        let got: Vec<_> = lines(&event)
            .into_iter()
            .map(|line| if line == "data:" { "data: ".to_owned() } else { line })
            .collect();
        let mut expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        expected.push(id(n as u64 + 1));
        expected.sort();
        assert_eq!(got, expected, "one message a chunk");
    }
    // The format has three line ends and cannot tell them apart. Each becomes the end of a line.
    for (n, (payload, expected)) in [
        ("CR\r\nLF", vec!["data: CR", "data: LF"]),
        ("a\rb\r", vec!["data: a", "data: b", "data: "]),
        ("\r\n\r", vec!["data: ", "data: ", "data: "]),
        ("\n\r", vec!["data: ", "data: ", "data: "]),
        ("id: 7\r\revent: gap\r", vec!["data: id: 7", "data: ", "data: event: gap", "data: "]),
        ("\u{feff}NUL\0 NEL\u{85} LS\u{2028}\r", vec!["data: \u{feff}NUL\0 NEL\u{85} LS\u{2028}", "data: "]),
    ]
    .into_iter()
    .enumerate()
    {
        Post::new(payload).event("named").to(&server.address, "w");
        let event = piece(&mut raw);
        let mut all = vec![id(n as u64 + 5), "event: named".to_owned()];
        all.extend(expected.into_iter().map(str::to_owned));
        assert_eq!(event, format!("{}\n\n", all.join("\n")), "{payload:?}");
    }
    // A payload that is not text is sent in an envelope.
    Post::new([0xff, 0x00, b'\r']).event("named").to(&server.address, "w");
    let event = piece(&mut raw);
    assert!(event.contains("event: envelope\n"), "{event}");
    let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!((&data["type"], &data["event"]), (&json!("message"), &json!("named")));
}

#[test]
fn an_event_stream_of_objects_keeps_payloads_unchanged() {
    let server = Server::start(&[]);
    let payload = "a\r\nb\rc\n\u{feff}\0\u{2028}\r";
    Post::new(payload).event("named").to(&server.address, "o");
    for (path, label) in [("/c/o?feed=sse&objects=1", Value::Null), ("/c/o,p?feed=sse", json!("o"))] {
        let mut raw = server.raw();
        raw.send(get(&format!("{path}&since=earliest"), ""));
        stream_head(&mut raw);
        let events =
            String::from_utf8(raw.until("\"data\":\"a").into_iter().chain(raw.until("\n\n")).collect());
        let events = events.unwrap();
        let line = events.lines().find(|line| line.contains("\"data\"")).unwrap();
        let object: Value = serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!((&object["data"], &object["event"]), (&json!(payload), &json!("named")), "{path}");
        assert_eq!(object["channel"], label);
    }
}

#[test]
fn an_http_stream_on_the_wire() {
    let server = Server::start(&[]);
    Post::new("first").to(&server.address, "w");
    let mut raw = server.raw();
    raw.send(get("/c/w?feed=stream", ""));
    let start = stream_head(&mut raw).field("tidewire-cursor").unwrap().to_owned();
    assert_eq!(piece(&mut raw), format!("{{\"type\":\"hello\",\"cursor\":\"{start}\"}}\n"));
    Post::new("a\r\nb").event("e").content_type("text/plain").to(&server.address, "w");
    let line = piece(&mut raw);
    assert!(line.ends_with("}\n") && line.matches('\n').count() == 1, "one line a chunk: {line:?}");
    let object: Value = serde_json::from_str(&line).unwrap();
    let time = object["time"].clone();
    assert_eq!(
        object,
        json!({
            "type": "message", "cursor": after(&start, 1), "time": time, "event": "e",
            "content_type": "text/plain", "data": "a\r\nb"
        })
    );
    Post::new([0xff, 0x00]).to(&server.address, "w");
    let object: Value = serde_json::from_str(&piece(&mut raw)).unwrap();
    assert_eq!((&object["data_b64"], &object["data"]), (&json!("/wA="), &Value::Null));
}

/// Two feeds stand for all, as the timer is the same. `tests/heartbeats.rs` reads the heartbeat of
/// each feed.
#[test]
fn a_silent_stream_gets_heartbeats() {
    let server = Server::start(&["--heartbeat", "1"]);
    for (feed, beat) in [("sse", ":\n\n"), ("stream", "\n")] {
        let mut raw = server.raw();
        raw.send(get(&format!("/c/b?feed={feed}"), ""));
        stream_head(&mut raw);
        piece(&mut raw);
        let start = Instant::now();
        for _ in 0..2 {
            assert_eq!(piece(&mut raw), beat, "{feed}");
        }
        assert!(start.elapsed() < Duration::from_secs(12), "{feed}: {:?}", start.elapsed());
        // A message between two heartbeats is delivered.
        Post::new("x").to(&server.address, "b");
        assert!(piece(&mut raw).contains('x'), "{feed}");
    }
}

#[test]
fn a_stream_reports_a_gap_and_continues() {
    let server = Server::start(&["--retain-messages", "2"]);
    let first = Post::new("1").to(&server.address, "g");
    for n in 2..=5 {
        Post::new(n.to_string()).to(&server.address, "g");
    }
    let earliest = after(&first, 2);
    let gap = json!({"type": "gap", "from": first, "cursor": earliest, "missed": 2});
    let reset = json!({"type": "reset", "reason": "unknown-epoch", "cursor": earliest});
    for (since, name, object) in [(&*first, "gap", &gap), ("zzz-1", "reset", &reset)] {
        let mut raw = server.raw();
        raw.send(get(&format!("/c/g?feed=stream&since={since}"), ""));
        stream_head(&mut raw);
        piece(&mut raw);
        assert_eq!(serde_json::from_str::<Value>(&piece(&mut raw)).unwrap(), *object);
        assert!(piece(&mut raw).contains("\"data\":\"4\""));
        let mut raw = server.raw();
        raw.send(get("/c/g?feed=sse", &format!("Last-Event-ID: {since}\r\n")));
        let head = stream_head(&mut raw);
        assert_eq!(head.status, 200, "any other status would stop an EventSource for good");
        piece(&mut raw);
        let event = piece(&mut raw);
        assert!(event.contains(&format!("event: {name}\n")), "{event}");
        assert!(
            event.contains(&format!("id: {earliest}\n")),
            "a browser that reconnects now resumes there: {event}"
        );
        let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        assert_eq!(serde_json::from_str::<Value>(data).unwrap(), *object);
        assert!(piece(&mut raw).contains("data: 4\n"));
    }
}

#[test]
fn an_http_1_0_client_reads_until_the_end() {
    let server = Server::start(&[]);
    for feed in ["sse", "stream"] {
        let mut raw = server.raw();
        raw.send(format!("GET /c/old?feed={feed} HTTP/1.0\r\n\r\n"));
        let head = stream_head(&mut raw);
        assert_eq!((head.field("transfer-encoding"), head.field("content-length")), (None, None));
        assert_eq!(head.field("connection"), Some("close"));
        raw.until("\n");
        Post::new("for everyone").to(&server.address, "old");
        raw.until("for everyone");
    }
}

#[test]
fn requests_pipelined_after_a_stream_are_not_answered() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    // The stream has no end, so the request after it gets no answer.
    raw.send([get("/c/f?feed=stream", ""), get("/c/f", "")].concat());
    stream_head(&mut raw);
    piece(&mut raw);
    Post::new("x").to(&server.address, "f");
    assert!(piece(&mut raw).contains('x'));
    let deadline = Deadline::soon();
    while raw.offer([b'x'; 4096]) {
        deadline.check("the end of a connection that sends after its stream", || "it is read on");
    }
    assert_eq!(server.raw().send(get("/c/f", "")).response().status, 200);
}

#[test]
fn a_stream_with_a_body_is_refused() {
    let server = Server::start(&[]);
    for fields in [
        "Content-Length: 5\r\n\r\nhello",
        "Content-Length: 5\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let mut raw = server.raw();
        let answer = raw.send(format!("GET /c/b?feed=sse HTTP/1.1\r\nHost: x\r\n{fields}")).response();
        assert_eq!(answer.status, 400, "{fields:?}");
        crate::sentence(&answer);
        assert!(raw.rest().is_empty());
    }
    // A poll with a body is unusual, but harmless.
    let mut raw = server.raw();
    let poll = raw.send("GET /c/b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello").response();
    assert_eq!(json(&poll)["messages"], json!([]));
    assert_eq!(raw.send(get("/c/b", "")).response().status, 200);
}
