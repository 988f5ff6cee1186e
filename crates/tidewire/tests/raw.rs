//! A body is uploaded with PUT and read with `feed=raw` at the same time. Readers see whether the
//! upload was complete or failed.
#![allow(clippy::unwrap_used)]

mod common;

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::publish::{close, delete};
use common::{PATIENCE, Post, Raw, Response, Server, eventually};
use serde_json::Value;

/// An upload in chunks.
struct Upload(Raw);

impl Upload {
    fn begin(server: &Server, target: &str, fields: &str) -> Self {
        let mut raw = server.raw();
        raw.send(format!(
            "PUT /c/{target} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{fields}\r\n"
        ));
        Upload(raw)
    }

    fn send(&mut self, piece: impl AsRef<[u8]>) {
        let piece = piece.as_ref();
        self.0.send([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
    }

    fn end(mut self) -> Response {
        self.0.send("0\r\n\r\n").response()
    }
}

/// Opens a raw reader, and reads its head.
fn read(server: &Server, target: &str) -> (Raw, Response) {
    let mut raw = server.raw();
    raw.send(format!("GET /c/{target} HTTP/1.1\r\nHost: h\r\n\r\n"));
    let head = String::from_utf8(raw.until("\r\n\r\n")).unwrap();
    let status = head[9..12].parse().unwrap();
    (raw, Response { status, head, body: Vec::new() })
}

fn whole(server: &Server, target: &str) -> Response {
    server.raw().send(format!("GET /c/{target} HTTP/1.1\r\nHost: h\r\n\r\n")).response()
}

/// Reads chunks until at least `len` bytes have arrived.
fn bytes(raw: &mut Raw, len: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < len {
        all.extend(raw.chunk().expect("the body goes on"));
    }
    all
}

/// Asserts that a chunked body was cut: it ended without the last chunk.
fn assert_cut(raw: &mut Raw) {
    let rest = raw.rest();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "the body ended normally: {:?}", String::from_utf8_lossy(&rest));
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn an_upload_can_be_read_while_it_arrives() {
    let server = Server::start(&[]);
    let mut upload = Upload::begin(&server, "film", "Content-Type: video/webm\r\n");
    upload.send("one ");
    let (mut reader, head) = read(&server, "film?feed=raw");
    assert_eq!(head.status, 200);
    for (name, value) in [
        ("content-type", "video/webm"),
        ("transfer-encoding", "chunked"),
        ("cache-control", "no-store, no-transform"),
        ("x-accel-buffering", "no"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox"),
    ] {
        assert_eq!(head.field(name), Some(value), "{name}");
    }
    assert_eq!(bytes(&mut reader, 4), b"one ");
    assert!(reader.is_silent_for(Duration::from_millis(100)), "there is no more yet");
    upload.send("two ");
    assert_eq!(bytes(&mut reader, 4), b"two ");
    // A second reader starts at the beginning.
    let (mut second, _) = read(&server, "film?feed=raw");
    assert_eq!(bytes(&mut second, 8), b"one two ");
    upload.send([0xff, 0, b'\r', b'\n']);
    let done = upload.end();
    assert_eq!((done.status, done.field("content-type")), (201, Some("application/json")), "{done:?}");
    let answer: Value = serde_json::from_slice(&done.body).unwrap();
    assert_eq!((&answer["bytes"], &answer["messages"]), (&12.into(), &3.into()));
    assert_eq!(done.field("tidewire-cursor"), answer["cursor"].as_str());
    for reader in [&mut reader, &mut second] {
        assert_eq!(bytes(reader, 4), [0xff, 0, b'\r', b'\n']);
        assert_eq!(reader.chunk(), None, "the end of the upload is the end of the body");
        // The connection stays open.
        assert_eq!(reader.send("GET /c/film HTTP/1.1\r\nHost: h\r\n\r\n").response().status, 200);
    }
}

#[test]
fn a_late_reader_gets_the_newest_upload_from_start_to_end() {
    let server = Server::start(&[]);
    for (media, body) in [("text/plain", "first"), ("text/css", "second")] {
        let put = server
            .raw()
            .send(format!(
                "PUT /c/a HTTP/1.1\r\nHost: h\r\nContent-Type: {media}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ))
            .response();
        assert_eq!(put.status, 201, "{put:?}");
        let newest = whole(&server, "a?feed=raw");
        assert_eq!((newest.text(), newest.field("content-type")), (body, Some(media)));
    }
    assert_eq!(
        whole(&server, "a?feed=raw&since=earliest").text(),
        "first",
        "the oldest upload is still kept"
    );
    // The pieces are ordinary messages, and so are the marks of the end.
    let poll: Value = serde_json::from_slice(&whole(&server, "a").body).unwrap();
    let messages: Vec<_> = poll["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (m["data"].as_str().unwrap(), m["event"].as_str()))
        .collect();
    assert_eq!(
        messages,
        [("first", None), ("", Some("upload-end")), ("second", None), ("", Some("upload-end"))]
    );
    // From the cursor of another feed, and with HEAD.
    let cursor = poll["messages"][1]["cursor"].as_str().unwrap();
    let from = whole(&server, &format!("a?feed=raw&since={cursor}"));
    assert_eq!((from.text(), from.field("tidewire-cursor")), ("second", Some(cursor)));
    let head = server.raw().send("HEAD /c/a?feed=raw HTTP/1.1\r\nHost: h\r\n\r\n").head_response();
    assert_eq!((head.status, head.field("content-type")), (200, Some("text/css")));
    assert_eq!(head.field("content-length"), None, "the GET has none");
    // An empty upload works too.
    assert_eq!(Upload::begin(&server, "empty", "Content-Type: a/b\r\n").end().status, 201);
    let empty = whole(&server, "empty?feed=raw");
    assert_eq!((empty.status, empty.text(), empty.field("content-type")), (200, "", Some("a/b")));
}

#[test]
fn a_reader_before_the_upload_gets_its_media_type() {
    let server = Server::start(&[]);
    let mut reader = server.raw();
    reader.send("GET /c/a?feed=raw HTTP/1.1\r\nHost: h\r\n\r\n");
    server.calm();
    assert!(reader.is_silent_for(Duration::from_millis(100)), "the head waits for the first piece");
    let mut upload = Upload::begin(&server, "a", "Content-Type: audio/mpeg\r\n");
    upload.send("x");
    let head = String::from_utf8(reader.until("\r\n\r\n")).unwrap();
    assert!(head.contains("Content-Type: audio/mpeg\r\n"), "{head}");
    assert_eq!(bytes(&mut reader, 1), b"x");
    // The wait is limited.
    let (_raw, head) = read(&server, "nothing?feed=raw&wait=0.1");
    assert_eq!(head.field("content-type"), Some("application/octet-stream"));
    // Published messages are bytes too, one after the other, without an end.
    Post::new("a").to(&server.address, "posts");
    Post::new("b").to(&server.address, "posts");
    let (mut posts, head) = read(&server, "posts?feed=raw");
    assert_eq!(
        head.field("content-type"),
        Some("application/octet-stream"),
        "no publisher has set a media type"
    );
    assert_eq!(bytes(&mut posts, 2), b"ab");
    assert!(posts.is_silent_for(Duration::from_millis(100)));
}

#[test]
fn readers_see_that_an_upload_was_aborted() {
    let server = Server::start(&[]);
    for (channel, framing) in
        [("a", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"), ("b", "Content-Length: 10\r\n\r\nhalf")]
    {
        let mut publisher = server.raw();
        publisher.send(format!("PUT /c/{channel} HTTP/1.1\r\nHost: h\r\n{framing}"));
        let (mut reader, _) = read(&server, &format!("{channel}?feed=raw"));
        assert_eq!(bytes(&mut reader, 4), b"half");
        drop(publisher);
        assert_cut(&mut reader);
        let (mut late, _) = read(&server, &format!("{channel}?feed=raw"));
        assert_eq!(bytes(&mut late, 4), b"half");
        assert_cut(&mut late);
        let poll: Value = serde_json::from_slice(&whole(&server, channel).body).unwrap();
        assert_eq!(poll["messages"][1]["event"], "upload-aborted");
    }
    // Invalid framing aborts an upload too. Then the channel is free for the next one.
    let mut wrong = Upload::begin(&server, "a", "");
    wrong.send("x");
    assert_eq!(wrong.0.send("zz\r\n").response().status, 400);
    assert_eq!(Upload::begin(&server, "a", "").end().status, 201);
}

#[test]
fn during_an_upload_other_publishes_to_the_channel_are_refused() {
    let server = Server::start(&[]);
    let mut upload = Upload::begin(&server, "a", "");
    upload.send("x");
    let (mut reader, _) = read(&server, "a?feed=raw");
    assert_eq!(bytes(&mut reader, 1), b"x");
    let mut other = server.raw();
    // Refused before the body: the client gets no 100 Continue.
    let put = other
        .send("PUT /c/a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .response();
    assert_eq!((put.status, put.field("content-type")), (409, Some("application/problem+json")), "{put:?}");
    let post = server.raw().send("POST /c/a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\ny").response();
    assert_eq!(post.status, 409, "its bytes would be mixed with those of the upload: {post:?}");
    assert_eq!(upload.end().status, 201);
    assert_eq!(reader.chunk(), None);
    let again = "PUT /c/a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let mut raw = server.raw();
    assert_eq!(raw.send(again).response().status, 100);
    assert_eq!(raw.send("again").response().status, 201);
    assert_eq!(whole(&server, "a?feed=raw").text(), "again");
}

#[test]
fn uploads_with_unsupported_parameters_are_refused() {
    let server = Server::start(&[]);
    for (target, field) in [
        ("a,b", ""),
        ("a?event=x", ""),
        ("a?pace=fast", ""),
        ("a", "Idempotency-Key: k\r\n"),
        ("a", "Content-Range: bytes 0-4/10\r\n"),
    ] {
        let put = format!("PUT /c/{target} HTTP/1.1\r\nHost: h\r\n{field}Content-Length: 1\r\n\r\nx");
        let refused = server.raw().send(put).response();
        assert_eq!(refused.status, 400, "{target} {field}: {refused:?}");
    }
    assert_eq!(whole(&server, "a,b?feed=raw").status, 400, "bytes of two channels cannot be told apart");
    let foreign =
        "PUT /c/a HTTP/1.1\r\nHost: h\r\nOrigin: https://evil.example\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(server.raw().send(foreign).response().status, 403);
    let reserved = "POST /c/a?event=upload-end HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(server.raw().send(reserved).response().status, 400, "only an upload may publish its end");
}

/// Sends a body of a known length in a new thread.
fn upload_all(server: &Server, target: &str, body: Vec<u8>) -> JoinHandle<String> {
    let mut raw = server.raw();
    let head = format!(
        "PUT /c/{target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    std::thread::spawn(move || {
        raw.send(head).send(&body);
        String::from_utf8(raw.rest()).unwrap()
    })
}

/// A file that is ten times larger than the log is uploaded at full speed to readers of different
/// speeds. Each reader gets every byte, because the upload waits for them.
#[test]
fn an_upload_with_a_length_waits_for_its_readers() {
    let body = pattern(10 << 20);
    let server = Server::start(&[]);
    let before = server.memory_kib();
    let mut readers: Vec<_> = (0..3)
        .map(|n| {
            let mut raw = server.raw();
            raw.send("GET /c/file?feed=raw HTTP/1.1\r\nHost: h\r\n\r\n");
            (n, raw)
        })
        .collect();
    // The readers are subscribed before the upload begins.
    server.calm();
    let publisher = upload_all(&server, "file", body.clone());
    let threads: Vec<_> = readers
        .drain(..)
        .map(|(n, mut raw)| {
            std::thread::spawn(move || {
                raw.until("\r\n\r\n");
                let mut all = Vec::new();
                while let Some(chunk) = raw.chunk() {
                    all.extend(chunk);
                    std::thread::sleep(Duration::from_millis(n));
                }
                all
            })
        })
        .collect();
    for thread in threads {
        assert!(thread.join().unwrap() == body, "a reader got different bytes");
    }
    assert!(publisher.join().unwrap().starts_with("HTTP/1.1 201 "));
    let grown = server.memory_kib().saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB more, for a file of 10 MiB and a log of one");
}

/// A live source does not wait. A reader that is too slow is cut, so that it does not mistake its
/// bytes for the whole.
#[test]
fn a_chunked_upload_does_not_wait_for_slow_readers() {
    let server = Server::start(&[]);
    let mut upload = Upload::begin(&server, "live", "");
    upload.send("begin");
    let (mut slow, _) = read(&server, "live?feed=raw");
    let piece = pattern(64 << 10);
    let start = Instant::now();
    // More than the sockets' buffers and the log hold together.
    for _ in 0..512 {
        upload.send(&piece);
    }
    assert_eq!(upload.end().status, 201);
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    assert_cut(&mut slow);
}

/// An upload may be larger than the limit of messages, and costs only the memory of the log.
#[test]
fn an_upload_may_be_larger_than_any_message() {
    const SIZE: usize = 80 << 20;
    let server = Server::start(&[]);
    let before = server.memory_kib();
    let post = format!("POST /c/a HTTP/1.1\r\nHost: h\r\nContent-Length: {SIZE}\r\n\r\n");
    assert_eq!(server.raw().send(post).response().status, 413);
    let mut upload = Upload::begin(&server, "a", "");
    let piece = pattern(1 << 20);
    for _ in 0..SIZE >> 20 {
        upload.send(&piece);
    }
    let done: Value = serde_json::from_slice(&upload.end().body).unwrap();
    assert_eq!(done["bytes"], SIZE);
    let grown = server.memory_kib().saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB more");
}

#[test]
fn pieces_respect_the_limit_of_messages() {
    let server = Server::start(&["--max-message", "1000"]);
    let body = pattern(10_500);
    let mut upload = Upload::begin(&server, "a", "");
    upload.send(&body);
    let done: Value = serde_json::from_slice(&upload.end().body).unwrap();
    assert_eq!((&done["bytes"], &done["messages"]), (&10_500.into(), &11.into()));
    assert!(whole(&server, "a?feed=raw").body == body);
}

#[test]
fn an_evicted_beginning_is_a_410_and_a_reader_may_join_in_the_middle() {
    let server = Server::start(&["--retain-messages", "3"]);
    let mut upload = Upload::begin(&server, "a", "Content-Type: audio/mpeg\r\n");
    let mut cursors = Vec::new();
    for n in 1..=6 {
        upload.send(format!("{n}"));
        eventually("the piece to be published", || {
            let cursor = whole(&server, "a").field("tidewire-cursor").unwrap().to_owned();
            let is_new = common::seq(&cursor) == n;
            cursors.extend(is_new.then_some(cursor));
            is_new
        });
    }
    let gone = whole(&server, "a?feed=raw");
    assert_eq!(gone.status, 410);
    let problem: Value = serde_json::from_slice(&gone.body).unwrap();
    assert_eq!((&problem["reason"], &problem["gap"]["missed"]), (&"gap".into(), &3.into()));
    assert!(problem["detail"].as_str().unwrap().contains("since=earliest"), "{problem}");
    assert_eq!(whole(&server, &format!("a?feed=raw&since={}", cursors[0])).status, 410);
    assert_eq!(whole(&server, "a?feed=raw&since=0-1").status, 410, "a cursor of another log");
    let (mut joined, _) = read(&server, "a?feed=raw&since=earliest");
    assert_eq!(bytes(&mut joined, 3), b"456");
    let (mut exact, _) = read(&server, &format!("a?feed=raw&since={}", cursors[4]));
    assert_eq!(bytes(&mut exact, 1), b"6");
    assert_eq!(upload.end().status, 201);
    assert_eq!((joined.chunk(), exact.chunk()), (None, None));
}

#[test]
fn an_http_1_0_client_reads_until_the_close() {
    let server = Server::start(&[]);
    let mut upload = Upload::begin(&server, "a", "");
    upload.send("one ");
    let mut old = server.raw();
    old.send("GET /c/a?feed=raw HTTP/1.0\r\n\r\n");
    let head = String::from_utf8(old.until("\r\n\r\n")).unwrap();
    assert!(!head.contains("chunked"), "{head}");
    assert_eq!(old.exactly(4), b"one ");
    upload.send("two");
    assert_eq!(old.exactly(3), b"two");
    assert_eq!(upload.end().status, 201);
    assert_eq!(old.rest(), b"");
}

#[test]
fn a_silent_upload_is_ended_and_a_slow_one_is_not() {
    let server = Server::start(&["--upload-pause", "3"]);
    let mut slow = Upload::begin(&server, "slow", "");
    // The times matter here. In total, they are longer than the limit, but each pause is far
    // shorter, even on a busy machine.
    for n in 0..20 {
        slow.send(format!("{n}"));
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(slow.end().status, 201, "a byte from time to time is enough");
    let mut silent = Upload::begin(&server, "silent", "");
    silent.send("x");
    let (mut reader, _) = read(&server, "silent?feed=raw");
    assert_eq!(silent.0.response().status, 408);
    assert_eq!(bytes(&mut reader, 1), b"x");
    assert_cut(&mut reader);
}

#[test]
fn a_stop_cuts_the_readers_of_an_incomplete_upload() {
    let server = Server::start(&[]);
    let mut upload = Upload::begin(&server, "a", "");
    upload.send("x");
    let (mut reader, _) = read(&server, "a?feed=raw");
    assert_eq!(bytes(&mut reader, 1), b"x");
    let mut waiting = server.raw();
    waiting.send("GET /c/b?feed=raw HTTP/1.1\r\nHost: h\r\n\r\n");
    server.calm();
    server.terminate();
    let refused = upload.0.response();
    assert_eq!((refused.status, refused.field("connection")), (503, Some("close")), "{refused:?}");
    assert_cut(&mut reader);
    assert_cut(&mut waiting);
    assert!(server.join().success());
}

/// A reader may leave while it waits for a head, for bytes or for room in its socket.
/// Between bytes nothing can be told, so the end of the body tells it.
#[test]
fn a_body_ends_with_its_channel_and_is_cut_if_the_channel_is_deleted() {
    let server = Server::start(&[]);
    for with_last in [true, false] {
        let channel = format!("closed-{with_last}");
        let first = Post::new("first ").to(&server.address, &channel);
        let (mut waiting, _) = read(&server, &format!("{channel}?feed=raw"));
        let (mut at_head, _) = read(&server, &format!("{channel}?feed=raw&since={first}&wait=0"));
        assert_eq!(bytes(&mut waiting, 6), b"first ");
        let end = close(&server.address, &channel, with_last.then_some("last"));
        let last = if with_last { "last" } else { "" };
        assert_eq!(bytes(&mut waiting, last.len()), last.as_bytes());
        assert_eq!(bytes(&mut at_head, last.len()), last.as_bytes());
        // The last chunk.
        assert_eq!((waiting.chunk(), at_head.chunk()), (None, None));
        for (since, body) in [
            ("earliest", format!("first {last}")),
            (&*first, last.to_owned()),
            (&*end, String::new()),
            ("now", String::new()),
        ] {
            let answer = whole(&server, &format!("{channel}?feed=raw&since={since}"));
            assert_eq!((answer.status, answer.text()), (200, &*body), "{since}");
        }
    }
    // The end of an upload ends its readers. A later end of the channel changes nothing for them.
    let mut upload = Upload::begin(&server, "film", "");
    upload.send("film");
    assert_eq!(upload.end().status, 201);
    close(&server.address, "film", None);
    assert_eq!(whole(&server, "film?feed=raw").text(), "film");
    let mut upload = Upload::begin(&server, "one?close=1", "");
    upload.send("one");
    assert_eq!(upload.end().status, 201);
    let (_, end) = (whole(&server, "one?feed=raw"), whole(&server, "one?feed=poll"));
    let poll: Value = serde_json::from_slice(&end.body).unwrap();
    assert_eq!((poll["closed"].as_bool(), poll["messages"].as_array().unwrap().len()), (Some(true), 2));
    // A deletion cuts a reader that waits, at the head or behind.
    Post::new("gone").to(&server.address, "gone");
    let (mut reader, _) = read(&server, "gone?feed=raw");
    assert_eq!(bytes(&mut reader, 4), b"gone");
    delete(&server.address, "gone");
    assert_cut(&mut reader);
    assert_eq!(whole(&server, "gone?feed=raw").status, 404);
}

#[test]
fn the_connections_of_readers_that_leave_are_freed() {
    let server = Server::start(&[]);
    let mut upload = Upload::begin(&server, "a", "");
    upload.send("x");
    let keep = read(&server, "a?feed=raw");
    let descriptors = server.descriptors();
    for _ in 0..10 {
        drop(read(&server, "a?feed=raw"));
    }
    server.settle(descriptors);
    let piece = pattern(64 << 10);
    for _ in 0..64 {
        upload.send(&piece);
    }
    assert_eq!(upload.end().status, 201);
    drop(keep);
}
