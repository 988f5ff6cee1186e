//! The old Comet feeds: the exact bytes that old browsers need. `every_feed.rs` tests that they
//! deliver the log like every other feed.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::{Deadline, Feed, Post, Raw, Response, Server, server};
use serde_json::Value;

fn comet() -> Server {
    Server::start(&["--comet", "--heartbeat", "1"])
}

fn send(raw: &mut Raw, target: &str, fields: &str) {
    raw.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
}

fn get(raw: &mut Raw, target: &str, fields: &str) -> Response {
    send(raw, target, fields);
    raw.response()
}

/// Opens a stream and returns its head.
fn open(raw: &mut Raw, target: &str, fields: &str) -> Response {
    send(raw, target, fields);
    let head = String::from_utf8(raw.until("\r\n\r\n")).unwrap();
    let status = head[9..12].parse().unwrap();
    Response { status, head, body: Vec::new() }
}

fn chunk(raw: &mut Raw) -> String {
    String::from_utf8(raw.chunk().expect("the stream goes on")).unwrap()
}

/// The media type of a stream.
fn media_type(feed: Feed) -> &'static str {
    match feed {
        Feed::Sse => "text/event-stream",
        Feed::Stream => "application/x-ndjson",
        Feed::Xhr => "text/plain; charset=utf-8",
        Feed::Mixed => "multipart/mixed; boundary=tidewire",
        Feed::Replace => "multipart/x-mixed-replace; boundary=tidewire",
        Feed::Iframe => "text/html; charset=utf-8",
        Feed::Poll | Feed::LongPoll | Feed::Jsonp | Feed::WsV1 | Feed::WsBare => panic!("no HTTP stream"),
    }
}

#[test]
fn every_stream_has_the_fields_against_caching_and_buffering() {
    let server = comet();
    for (kind, feed) in Feed::http_streams() {
        let mut raw = server.raw();
        let head = open(&mut raw, &format!("/c/a?feed={feed}"), "");
        assert_eq!(head.status, 200, "{feed}");
        for (name, value) in [
            ("content-type", media_type(kind)),
            ("cache-control", "no-store, no-transform"),
            ("x-accel-buffering", "no"),
            ("x-content-type-options", "nosniff"),
            ("transfer-encoding", "chunked"),
        ] {
            assert_eq!(head.field(name), Some(value), "{feed}: {name}");
        }
        assert!(head.field("tidewire-cursor").is_some(), "{feed} says where it begins");
        assert!(!chunk(&mut raw).is_empty(), "{feed} says hello at once");
    }
}

#[test]
fn accept_chooses_multipart() {
    let server = comet();
    for (accept, media) in [
        ("multipart/mixed", "multipart/mixed; boundary=tidewire"),
        ("application/json;q=0.5, multipart/mixed", "multipart/mixed; boundary=tidewire"),
        ("multipart/x-mixed-replace", "multipart/x-mixed-replace; boundary=tidewire"),
    ] {
        let head = open(&mut server.raw(), "/c/a", &format!("Accept: {accept}\r\n"));
        assert_eq!(head.field("content-type"), Some(media), "{accept}");
    }
    let poll = get(&mut server.raw(), "/c/a", "Accept: multipart/mixed;q=0.1, application/json\r\n");
    assert_eq!(poll.field("content-type"), Some("application/json"));
}

#[test]
fn a_part_is_sent_with_the_delimiter_that_ends_it() {
    let server = comet();
    let mut raw = server.raw();
    open(&mut raw, "/c/a?feed=multipart", "");
    let hello = chunk(&mut raw);
    assert!(
        hello.starts_with("--tidewire\r\nContent-Type: application/json\r\n\r\n{\"type\":\"hello\""),
        "{hello}"
    );
    assert!(hello.ends_with("}\r\n--tidewire\r\n"), "{hello}");
    Post::new("one").to(&server.address, "a");
    let part = chunk(&mut raw);
    assert!(part.contains("\"data\":\"one\""), "{part}");
    assert!(part.ends_with("}\r\n--tidewire\r\n"), "the delimiter comes with the part: {part}");
    assert_eq!(chunk(&mut raw), "\r\n\r\n--tidewire\r\n", "a heartbeat is an empty part");
    server.terminate();
    assert_eq!(chunk(&mut raw), "\r\n\r\n--tidewire--\r\n", "the closing delimiter");
    assert_eq!(raw.chunk(), None);
    assert!(server.join().success());
}

#[test]
fn each_picture_replaces_the_one_before() {
    let server = comet();
    let picture = |n: u8| Post::new([0xff, 0xd8, n, b'\r', b'\n', 0xff, 0xd9]).content_type("image/jpeg");
    picture(1).to(&server.address, "cam");
    let cursor = picture(2).to(&server.address, "cam");
    let mut raw = server.raw();
    let head = open(&mut raw, "/c/cam?feed=replace", "");
    assert_eq!(
        head.field("content-security-policy"),
        Some("sandbox"),
        "a payload must not act for this origin"
    );
    assert_eq!(raw.chunk().unwrap(), b"--tidewire\r\n");
    // A new reader gets the newest picture at once, and none of the earlier ones.
    let part = raw.chunk().unwrap();
    let want = format!("Tidewire-Cursor: {cursor}\r\nContent-Type: image/jpeg\r\nContent-Length: 7\r\n\r\n");
    assert_eq!(
        part,
        [want.as_bytes(), &[0xff, 0xd8, 2, b'\r', b'\n', 0xff, 0xd9], b"\r\n--tidewire\r\n"].concat()
    );
    assert_eq!(chunk(&mut raw), "Tidewire-Beat: 1\r\n", "a heartbeat must not be a part: it would be shown");
    let cursor = picture(3).to(&server.address, "cam");
    assert!(raw.chunk().unwrap().starts_with(format!("Tidewire-Cursor: {cursor}\r\n").as_bytes()));
}

#[test]
fn xhr_streaming_begins_with_padding() {
    let server = comet();
    let mut raw = server.raw();
    open(&mut raw, "/c/a?feed=xhr", "");
    let hello = chunk(&mut raw);
    let (padding, line) = hello.split_once('\n').unwrap();
    assert!(padding.len() >= 2047 && padding.bytes().all(|b| b == b' '));
    assert!(line.starts_with("{\"type\":\"hello\""), "{line}");
    Post::new("one").to(&server.address, "a");
    assert!(chunk(&mut raw).contains("\"data\":\"one\""));
}

#[test]
fn iframe_and_jsonp_are_off_unless_asked_for() {
    // Only the address is set.
    let server = Server::spawn(server::command(&["--listen", "127.0.0.1:0"]));
    for target in ["/c/a?feed=iframe", "/c/a?feed=jsonp&callback=f"] {
        let refused = get(&mut server.raw(), target, "");
        assert_eq!(refused.status, 403, "{target}");
        assert!(refused.text().contains("--comet"), "{refused:?}");
    }
}

#[test]
fn a_payload_cannot_break_out_of_a_script_of_the_frame() {
    let server = comet();
    Post::new("</script><script>alert(1)</script><!--\u{2028}&").to(&server.address, "a");
    let mut raw = server.raw();
    let head = open(&mut raw, "/c/a?feed=iframe&since=earliest&callback=app.on", "");
    let policy = head.field("content-security-policy").unwrap();
    for part in ["default-src 'none'", "script-src 'unsafe-inline'", "frame-ancestors 'self'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(head.field("x-frame-options"), Some("SAMEORIGIN"));
    let page = chunk(&mut raw);
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("(['app','on'])</script>"), "{page}");
    assert!(page.len() > 2048, "browsers show nothing of the first kilobyte");
    let script = chunk(&mut raw);
    let call = script.strip_prefix("<script>t(").unwrap().strip_suffix(")</script>\n").unwrap();
    assert!(!call.contains(['<', '>', '&', '\u{2028}']), "{call}");
    let object: Value = serde_json::from_str(call).unwrap();
    assert_eq!(object["data"], "</script><script>alert(1)</script><!--\u{2028}&");
    assert_eq!(chunk(&mut raw), "\n", "a heartbeat that a page ignores");
}

#[test]
fn a_callback_must_be_a_name() {
    let server = comet();
    for bad in ["", "1a", "a-b", "alert(1)//", "a%3Cb", "a%0Ab", "a%2Bb", "[]", "a%20b", &"a".repeat(65)] {
        for feed in ["jsonp", "iframe"] {
            let refused = get(&mut server.raw(), &format!("/c/a?feed={feed}&callback={bad}"), "");
            assert_eq!(refused.status, 400, "{feed} {bad}: {refused:?}");
            assert_eq!(refused.field("content-type"), Some("application/problem+json"));
        }
    }
    let missing = get(&mut server.raw(), "/c/a?feed=jsonp", "");
    assert_eq!(missing.status, 400, "{missing:?}");
}

#[test]
fn jsonp_is_a_long_poll_with_a_function_call() {
    let server = comet();
    let mut raw = server.raw();
    let call = |answer: &Response| -> Value {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("content-type"), Some("application/javascript; charset=utf-8"));
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        let call = answer.text().strip_prefix("/**/$.on(").and_then(|rest| rest.strip_suffix(");\n"));
        serde_json::from_str(call.unwrap_or_else(|| panic!("{answer:?}"))).unwrap()
    };
    // After the wait: empty, with a cursor. Then held until there is a message, on the same
    // connection.
    let empty = call(&get(&mut raw, "/c/a?feed=jsonp&callback=$.on&wait=0.2", ""));
    assert_eq!(empty["messages"], Value::Array(Vec::new()));
    let since = empty["cursor"].as_str().unwrap();
    send(&mut raw, &format!("/c/a?feed=jsonp&callback=$.on&since={since}"), "");
    assert!(raw.is_silent_for(Duration::from_millis(200)));
    let start = Instant::now();
    Post::new("one").to(&server.address, "a");
    let answer = call(&raw.response());
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(answer["messages"][0]["data"], "one");
    assert_eq!(answer["gap"], Value::Null);
    // If there is a message already, the answer comes at once.
    let again = call(&get(&mut raw, &format!("/c/a?feed=jsonp&callback=$.on&since={since}"), ""));
    assert_eq!(again["messages"], answer["messages"]);
}

#[test]
fn a_jsonp_response_reports_a_gap() {
    let server = Server::start(&["--comet", "--retain-messages", "2"]);
    let first = Post::new("1").to(&server.address, "a");
    for n in 2..=5 {
        Post::new(format!("{n}")).to(&server.address, "a");
    }
    let target = format!("/c/a?feed=jsonp&callback=f&since={first}");
    let answer = get(&mut server.raw(), &target, "");
    assert_eq!(answer.status, 200, "a script does not see a status");
    let json = answer.text().strip_prefix("/**/f(").unwrap().strip_suffix(");\n").unwrap();
    let answer: Value = serde_json::from_str(json).unwrap();
    assert_eq!((&answer["gap"]["type"], &answer["gap"]["missed"]), (&"gap".into(), &2.into()));
    let messages = answer["messages"].as_array().unwrap();
    assert_eq!(messages[0], answer["gap"], "at its place");
    assert_eq!((&messages[1]["data"], &messages[2]["data"]), (&"4".into(), &"5".into()));
}

/// How a stream names the channel `b`.
fn channel_b(feed: Feed) -> &'static str {
    match feed {
        Feed::Sse | Feed::Stream | Feed::Xhr | Feed::Mixed | Feed::Iframe => "\"channel\":\"b\"",
        Feed::Replace => "Tidewire-Channel: b\r\n",
        Feed::Poll | Feed::LongPoll | Feed::Jsonp | Feed::WsV1 | Feed::WsBare => panic!("no HTTP stream"),
    }
}

#[test]
fn every_stream_delivers_several_channels() {
    let server = comet();
    for (kind, feed) in Feed::http_streams() {
        let mut raw = server.raw();
        let head = open(&mut raw, &format!("/c/a,b?feed={feed}&since=now"), "");
        assert!(head.field("tidewire-cursor").unwrap().contains('.'), "one cursor for both: {head:?}");
        let cursor = Post::new("for b").to(&server.address, "b");
        let deadline = Deadline::soon();
        let message = loop {
            let chunk = chunk(&mut raw);
            if chunk.contains("for b") {
                break chunk;
            }
            deadline.check(&format!("the message on {feed}"), || format!("{chunk:?}"));
        };
        assert!(message.contains(channel_b(kind)) && message.contains(&cursor), "{feed}: {message}");
    }
}

/// A frame of this origin may call only the page that contains it.
#[test]
fn the_iframe_feed_loads_only_in_frames_of_the_same_origin() {
    let server = comet();
    let target = "/c/a?feed=iframe&callback=on";
    for dest in ["document", "object", "embed", "fencedframe", "script", "image", "worker"] {
        let fields = format!("Sec-Fetch-Dest: {dest}\r\n");
        assert_eq!(open(&mut server.raw(), target, &fields).status, 403, "{dest}");
        assert!(get(&mut server.raw(), target, &fields).text().contains("iframe"), "{dest}");
    }
    // A frame of another origin within a page of this origin could load it too.
    for site in ["cross-site", "same-site"] {
        let fields = format!("Sec-Fetch-Dest: iframe\r\nSec-Fetch-Site: {site}\r\n");
        assert_eq!(open(&mut server.raw(), target, &fields).status, 403, "{site}");
    }
    for fields in [
        "",
        "Sec-Fetch-Dest: iframe\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\n",
        "Sec-Fetch-Dest: frame\r\nSec-Fetch-Site: same-origin\r\n",
        "Sec-Fetch-Dest: empty\r\nSec-Fetch-Site: same-origin\r\n",
    ] {
        let mut raw = server.raw();
        let head = open(&mut raw, target, fields);
        assert_eq!(
            (head.status, head.field("cross-origin-opener-policy")),
            (200, Some("same-origin")),
            "{fields}"
        );
        assert!(chunk(&mut raw).contains("parent!==window"), "a page without a parent calls nothing");
    }
}

#[test]
fn a_callback_cannot_reach_another_window() {
    let server = comet();
    for bad in [
        "opener.document.body.firstElementChild.click",
        "opener.focus",
        "parent.close",
        "top.f",
        "window.f",
        "self.f",
        "document.write",
        "location.replace",
        "frames.f",
        "eval",
        "alert",
        "postMessage",
        "setTimeout",
        "opener",
        "app.a.b.c",
        "app..on",
        "app.",
        "app.1",
        "app.__proto__",
        "constructor",
        "app.constructor",
        "app.prototype.f",
        "Function",
    ] {
        for feed in ["iframe", "jsonp"] {
            let target = format!("/c/a?feed={feed}&wait=0&callback={bad}");
            assert_eq!(open(&mut server.raw(), &target, "").status, 400, "{feed} {bad}");
        }
    }
    for good in ["f", "app.on", "jQuery3_1", "$.on", "_a.b1"] {
        assert_eq!(
            get(&mut server.raw(), &format!("/c/a?feed=jsonp&wait=0&callback={good}"), "").status,
            200,
            "{good}"
        );
        let head = open(&mut server.raw(), &format!("/c/a?feed=iframe&callback={good}"), "");
        assert_eq!(head.status, 200, "{good}");
    }
    // The name that Angular uses.
    let angular = "/c/a?feed=jsonp&wait=0&callback=angular.callbacks._0";
    assert_eq!(get(&mut server.raw(), angular, "").status, 200);
    assert_eq!(open(&mut server.raw(), &angular.replace("jsonp", "iframe"), "").status, 400);
}
