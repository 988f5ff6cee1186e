//! Every refusal is `application/problem+json`, with a sentence that says what to do.

use crate::common::{Post, Server};
use crate::{get, json, post, sentence};

#[test]
fn other_paths_are_refused() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    for path in
        ["/nowhere", "/c", "/C/demo", "/c//demo/", "//c/demo", "/%63/demo", "/../c/demo", "/favicon.ico"]
    {
        let answer = raw.send(get(path, "")).response();
        assert!(matches!(answer.status, 404 | 400), "{path}: {answer:?}");
        sentence(&answer);
    }
    let answer = raw.send(post("/nowhere", "", "body")).response();
    assert_eq!(answer.status, 404);
    assert!(sentence(&answer).contains("/c/NAME"), "it names the path of channels");
    assert_eq!(raw.send(get("/c/demo", "")).response().status, 200, "the connection stays open");
}

#[test]
fn a_405_names_the_allowed_methods() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    for (method, path) in [
        ("PATCH", "/c/demo"),
        ("TRACE", "/c/demo"),
        ("BREW", "/c/demo"),
        ("get", "/c/demo"),
        ("POST", "/"),
        ("DELETE", "/"),
    ] {
        let answer = raw.send(get(path, "").replace("GET", method)).response();
        assert_eq!(answer.status, 405, "{method} {path}");
        let allow = answer.field("allow").unwrap();
        assert!(allow.contains("GET, HEAD") && !allow.contains(method), "{allow}");
        assert!(sentence(&answer).contains(allow), "{answer:?}");
    }
    // CONNECT is for proxies, and its target is a host.
    let mut raw = server.raw();
    let answer = raw.send("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n").response();
    assert!((400..500).contains(&answer.status), "{answer:?}");
    sentence(&answer);
}

#[test]
fn options_names_the_allowed_methods() {
    let server = Server::start(&[]);
    let answer = server.raw().send(get("/c/demo", "").replace("GET", "OPTIONS")).response();
    assert_eq!((answer.status, answer.field("content-length")), (204, None));
    let allow = answer.field("allow").unwrap();
    assert!(
        ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"].iter().all(|method| allow.contains(method)),
        "{allow}"
    );
    // For the server as a whole. The connection stays open.
    let mut raw = server.raw();
    let whole = raw.send("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").response();
    assert_eq!((whole.status, whole.field("allow")), (204, Some(allow)));
    assert_eq!(raw.send(get("/c/demo", "")).response().status, 200);
}

#[test]
fn malformed_and_oversized_requests_are_refused_with_a_sentence() {
    let server = Server::start(&[]);
    let long = "x".repeat(9_000);
    for (request, status) in [
        ("GARBAGE\r\n\r\n".to_owned(), 400),
        ("GET /c/demo HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /c/demo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), 400),
        ("GET /c/demo HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(), 400),
        ("GET /c/demo HTTP/2.0\r\nHost: x\r\n\r\n".to_owned(), 505),
        (format!("GET /c/{long} HTTP/1.1\r\nHost: x\r\n\r\n"), 414),
        (get("/c/demo", &format!("A: {long}\r\nB: {long}\r\n")), 431),
        (get("/c/demo", "Expect: miracles\r\n"), 417),
        (get("/c/demo", "Transfer-Encoding: gzip\r\n"), 501),
    ] {
        let mut raw = server.raw();
        let answer = raw.send(request).response();
        assert_eq!(answer.status, status);
        sentence(&answer);
        assert_eq!(answer.field("connection"), Some("close"));
        assert!(raw.rest().is_empty());
    }
}

#[test]
fn a_channel_beyond_the_limit_is_refused() {
    let server = Server::start(&["--max-channels", "3"]);
    for name in ["a", "b", "c"] {
        Post::new("x").to(&server.address, name);
    }
    for request in [post("/c/d", "", "x"), get("/c/d", ""), get("/c/d?feed=sse", ""), get("/c/a,d", "")] {
        let answer = server.raw().send(request).response();
        assert_eq!(answer.status, 503);
        assert!(sentence(&answer).contains('3'));
    }
    Post::new("y").to(&server.address, "c");
}

#[test]
fn a_refused_poll_creates_no_channel() {
    let server = Server::start(&["--max-channels", "1"]);
    let mut raw = server.raw();
    for path in ["/c/a?since=none", "/c/a?limit=0", "/c/a?wait=x", "/c/a?feed=none"] {
        assert_eq!(raw.send(get(path, "")).response().status, 400, "{path}");
    }
    // So another channel can still be created.
    Post::new("x").to(&server.address, "b");
}

#[test]
fn a_connection_beyond_the_limit_is_refused() {
    let server = Server::start(&["--max-connections", "2", "--threads", "1"]);
    let mut kept = [server.raw(), server.raw()];
    for raw in &mut kept {
        assert_eq!(raw.send(get("/c/a", "")).response().status, 200);
    }
    let answer = server.raw().response();
    assert_eq!((answer.status, answer.field("connection")), (503, Some("close")));
    sentence(&answer);
    assert!(answer.field("retry-after").is_some());
}

#[test]
fn a_refused_request_publishes_nothing() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    for request in
        [get("/c/a//b", ""), post("/c/%00", "", "x"), get("/c/a?since=x", ""), get("/c/a?feed=x", "")]
    {
        assert_eq!(raw.send(request).response().status, 400);
    }
    let poll = json(&raw.send(get("/c/a", "")).response());
    assert_eq!(poll["messages"], serde_json::json!([]));
}
