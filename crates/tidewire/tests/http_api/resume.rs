//! Resuming with the last event id of an `EventSource`, in the header field and in the parameters
//! of polyfills.

use serde_json::{Value, json};

use crate::common::{Feed, Post, Raw, Server, Ws};
use crate::{get, json, piece, sentence, stream_head};

/// The names of the parameter in polyfills and in their configurations.
const NAMES: [&str; 8] = [
    "lastEventId",
    "lastEventID",
    "lasteventid",
    "Last-Event-ID",
    "Last-Event-Id",
    "last-event-id",
    "last_event_id",
    "evs_last_event_id",
];

/// Encodes an id for a query, like `encodeURIComponent`.
fn encoded(id: &[u8]) -> String {
    let letter = |&b: &u8| match b {
        b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    id.iter().map(letter).collect()
}

/// Opens a stream, and reads its head.
fn stream(server: &Server, request: impl AsRef<[u8]>) -> Raw {
    let mut raw = server.raw();
    raw.send(request);
    assert_eq!(stream_head(&mut raw).status, 200);
    raw
}

/// A GET with a `Last-Event-ID` of any bytes.
fn with_field(path: &str, id: &[u8]) -> Vec<u8> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nLast-Event-ID: ");
    [head.as_bytes(), id, b"\r\n\r\n"].concat()
}

#[test]
fn the_parameter_of_a_polyfill_overrides_since_and_the_field_overrides_both() {
    let server = Server::start(&[]);
    let [first, second, third] = ["1", "2", "3"].map(|data| Post::new(data).to(&server.address, "l"));
    for name in NAMES {
        // `since` is from the URL of the page. The polyfill adds its parameter, which is newer.
        let query = format!("since={first}&{name}={second}");
        for feed in ["poll", "longpoll&wait=0.1"] {
            let path = format!("/c/l?feed={feed}&{query}");
            let poll = json(&server.raw().send(get(&path, "")).response());
            assert_eq!(
                (&poll["messages"][0]["data"], &poll["cursor"]),
                (&json!("3"), &json!(third)),
                "{path}"
            );
            let field = format!("Last-Event-ID: {third}\r\n");
            let poll = json(&server.raw().send(get(&path, &field)).response());
            assert_eq!((&poll["messages"], &poll["cursor"]), (&json!([]), &json!(third)), "{path}");
        }
        let mut sse = stream(&server, get(&format!("/c/l?feed=sse&{query}"), ""));
        assert!(piece(&mut sse).contains(&format!("id: {second}\n")), "the hello, {name}");
        assert!(piece(&mut sse).contains("data: 3\n"), "{name}");
        let mut ws = Ws::v1(&server, &format!("/c/l?{query}"));
        assert_eq!(ws.json(), json!({"type": "hello", "cursor": second}), "{name}");
        // An empty parameter is from a client without an id.
        let poll = json(&server.raw().send(get(&format!("/c/l?since={second}&{name}="), "")).response());
        assert_eq!(poll["messages"].as_array().unwrap().len(), 1, "{name}");
        for other in NAMES {
            let query = format!("{name}={second}&{other}={second}");
            let answer = server.raw().send(get(&format!("/c/l?{query}"), "")).response();
            assert_eq!(answer.status, 400, "{query}");
            assert!(sentence(&answer).contains("twice"), "{answer:?}");
        }
    }
    // Other names are ignored.
    for name in ["event_id", "last", "lastEvent", "xlastEventId", "lastEventIds"] {
        let poll = json(&server.raw().send(get(&format!("/c/l?since={second}&{name}=x"), "")).response());
        assert_eq!(poll["messages"].as_array().unwrap().len(), 1, "{name}");
    }
}

/// Ids of other servers, of pages that stored nothing, and of attackers.
fn foreign(mine: &str) -> Vec<Vec<u8>> {
    let long = "x".repeat(2_500);
    let cursors = vec!["a-1"; 65].join(".");
    let texts = [
        "0",
        "42",
        "-1",
        "urn:uuid:5e94c686-2c0b-4f9b-958c-92ccc3bbb4eb",
        "undefined",
        "null",
        "1699999999999-0-x",
        "Earliest",
        "a-01",
        "é🌊",
        "a b",
        "\"><script>",
        "18446744073709551616-1",
        // Cursors for another number of channels.
        &format!("{mine}.{mine}"),
        &format!("{mine}."),
        &cursors,
        &long,
    ];
    let mut ids: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    ids.push(b"\xe9t\xe9 \xff".to_vec());
    ids
}

#[test]
fn every_stream_reports_a_reset_for_an_id_of_another_server() {
    let server = Server::start(&["--comet"]);
    let unused = server.raw().send(get("/c/f", "")).response();
    let earliest = unused.field("tidewire-cursor").unwrap().to_owned();
    let first = Post::new("kept").to(&server.address, "f");
    let reset = json!({"type": "reset", "reason": "unknown-epoch", "cursor": earliest});
    let mut feeds: Vec<_> = Feed::http_streams().into_iter().map(|(_, name)| name).collect();
    feeds.push("sse&objects=1");
    for id in foreign(&first) {
        let shown = String::from_utf8_lossy(&id).into_owned();
        for feed in &feeds {
            let path = format!("/c/f?feed={feed}&since={first}");
            for request in
                [with_field(&path, &id), get(&format!("{path}&lastEventId={}", encoded(&id)), "").into()]
            {
                let mut raw = stream(&server, request);
                let until_reset = String::from_utf8(raw.until("unknown-epoch")).unwrap();
                assert!(!until_reset.contains("kept"), "first the reset: {feed} {shown}");
                let rest = String::from_utf8(raw.until("kept")).unwrap();
                assert!(rest.contains(&earliest), "where it goes on: {feed} {shown}");
            }
        }
        // An EventSource gets an event, with an id from which it can resume.
        let mut sse = stream(&server, with_field("/c/f?feed=sse", &id));
        piece(&mut sse);
        let event = piece(&mut sse);
        assert!(event.contains("event: reset\n") && event.contains(&format!("id: {earliest}\n")), "{event}");
        let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        assert_eq!(serde_json::from_str::<Value>(data).unwrap(), reset, "{shown}");
    }
}

#[test]
fn an_id_of_another_server_is_a_410_for_polls_and_closes_a_bare_socket() {
    let server = Server::start(&["--comet"]);
    let unused = server.raw().send(get("/c/f", "")).response();
    let earliest = unused.field("tidewire-cursor").unwrap().to_owned();
    let first = Post::new("kept").to(&server.address, "f");
    let reset = json!({"type": "reset", "reason": "unknown-epoch", "cursor": earliest});
    for id in foreign(&first) {
        let shown = String::from_utf8_lossy(&id).into_owned();
        let parameter = format!("lastEventId={}", encoded(&id));
        for feed in ["poll", "longpoll", "raw"] {
            let path = format!("/c/f?feed={feed}");
            for request in [with_field(&path, &id), get(&format!("{path}&{parameter}"), "").into()] {
                let answer = server.raw().send(request).response();
                assert_eq!(answer.status, 410, "{feed} {shown}");
                sentence(&answer);
                let problem = json(&answer);
                assert_eq!(
                    (&problem["gap"], &problem["earliest"]),
                    (&reset, &json!(earliest)),
                    "{feed} {shown}"
                );
                assert_eq!(problem["reason"], "unknown-epoch");
            }
        }
        // A script sees no status, so the response has the reset and the messages.
        let script =
            server.raw().send(get(&format!("/c/f?feed=jsonp&callback=f&{parameter}"), "")).response();
        assert_eq!(script.status, 200, "{shown}");
        let text = script.text().strip_prefix("/**/f(").and_then(|text| text.strip_suffix(");\n")).unwrap();
        let answer: Value = serde_json::from_str(text).unwrap();
        assert_eq!((&answer["gap"], &answer["messages"][0]), (&reset, &reset), "{shown}");
        assert_eq!(answer["messages"][1]["data"], "kept");

        assert_eq!(
            Ws::bare(&server, &format!("/c/f?{parameter}")).closed(),
            (4410, earliest.clone()),
            "{shown}"
        );
        let mut ws = Ws::v1(&server, &format!("/c/f?{parameter}"));
        assert_eq!(ws.json()["type"], "hello", "{shown}");
        assert_eq!(ws.json(), reset, "{shown}");
        assert_eq!(ws.json()["data"], "kept");
    }
}

#[test]
fn a_reader_that_is_cut_before_the_reset_gets_it_when_it_reconnects() {
    let server = Server::start(&[]);
    Post::new("kept").to(&server.address, "f");
    let mut sse = stream(&server, with_field("/c/f?feed=sse", b"42"));
    let hello = piece(&mut sse);
    let id = hello.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    drop(sse);
    let mut sse = stream(&server, with_field("/c/f?feed=sse", id.as_bytes()));
    piece(&mut sse);
    assert!(piece(&mut sse).contains("event: reset\n"), "{id}");
    // The Tidewire clients resume with the parameter `since`.
    let poll = server.raw().send(get(&format!("/c/f?since={id}"), "")).response();
    assert_eq!((poll.status, &json(&poll)["reason"]), (410, &json!("unknown-epoch")));
}

#[test]
fn each_of_several_channels_is_reset() {
    let server = Server::start(&[]);
    let one = Post::new("kept a").to(&server.address, "a");
    Post::new("kept b").to(&server.address, "b");
    for id in ["0", "undefined", &one, &format!("{one}.{one}.{one}")] {
        let mut raw = stream(&server, with_field("/c/a,b?feed=stream", id.as_bytes()));
        let lines = String::from_utf8(raw.until("kept b")).unwrap();
        assert_eq!(lines.matches("\"unknown-epoch\"").count(), 2, "{id}: {lines}");
    }
}

#[test]
fn earliest_and_now_work_in_the_field_too() {
    let server = Server::start(&[]);
    let cursor = Post::new("kept").to(&server.address, "w");
    for (word, count) in [("earliest", 1), ("now", 0)] {
        for request in
            [with_field("/c/w", word.as_bytes()), get(&format!("/c/w?lastEventId={word}"), "").into_bytes()]
        {
            let poll = json(&server.raw().send(request).response());
            assert_eq!(poll["messages"].as_array().unwrap().len(), count, "{word}");
            assert_eq!(poll["cursor"], json!(cursor));
        }
    }
}
