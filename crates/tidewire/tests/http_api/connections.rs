//! How long a connection may be idle.

use std::time::{Duration, Instant};

use crate::common::{Response, Server};
use crate::{get, post};

/// All responses announce the time of `--idle-timeout`: those of the request cycle, and those of
/// the table of waiting polls.
#[test]
fn every_response_that_keeps_the_connection_announces_the_idle_timeout() {
    let server = Server::start(&["--idle-timeout", "1.5m", "--threads", "1"]);
    let mut raw = server.raw();
    let keep_alive = |answer: &Response| (answer.status, answer.field("keep-alive").map(str::to_owned));
    let stays = |status| (status, Some("timeout=90".to_owned()));
    assert_eq!(keep_alive(&raw.send(post("/c/i", "", "first")).response()), stays(201));
    // Twice, because the second response comes from a cache.
    for _ in 0..2 {
        assert_eq!(keep_alive(&raw.send(get("/c/i", "")).response()), stays(200));
        assert_eq!(keep_alive(&raw.send(get("/c/i?wait=20&since=earliest", "")).response()), stays(200));
        assert_eq!(
            keep_alive(&raw.send(get("/c/i?wait=0.05", "")).response()),
            stays(200),
            "held until the wait is over"
        );
        // A poll right after a held one.
        assert_eq!(keep_alive(&raw.send(get("/c/i?wait=20&since=earliest", "")).response()), stays(200));
    }
    assert_eq!(keep_alive(&raw.send(get("/c/i?since=0-0&wait=20", "")).response()), stays(410));
    assert_eq!(keep_alive(&raw.send(get("/nowhere", "")).response()), stays(404));
    let leaving = raw.send(get("/c/i?wait=0.05", "Connection: close\r\n")).response();
    assert_eq!((keep_alive(&leaving), leaving.field("connection")), ((200, None), Some("close")));
    let mut stream = server.raw();
    stream.send(get("/c/i?feed=sse", ""));
    assert_eq!(
        keep_alive(&crate::stream_head(&mut stream)),
        (200, None),
        "a stream ends with its connection"
    );
}

/// In the request cycle and in the table of waiting polls, the connection stays open at least as
/// long as announced, and then it is closed.
#[test]
fn an_idle_connection_is_closed_after_the_idle_timeout() {
    let server = Server::start(&["--idle-timeout", "1"]);
    for path in ["/c/i", "/c/i?wait=0.05"] {
        let mut raw = server.raw();
        raw.send(get(path, ""));
        let start = Instant::now();
        assert_eq!(raw.response().field("keep-alive"), Some("timeout=1"), "{path}");
        assert_eq!(raw.rest(), b"", "{path}");
        let took = start.elapsed();
        assert!((Duration::from_millis(950)..Duration::from_secs(25)).contains(&took), "{path}: {took:?}");
    }
}
