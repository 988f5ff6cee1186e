//! A publisher that floods a channel is slowed down, and its readers lose nothing.

use std::thread;

use crate::common::{Post, Raw, Server, Ws, after};
use crate::{get, json, post};

/// The log keeps only a small part of the flood.
const KEPT: &str = "--retain-messages=4";

/// Few enough messages that all fit into the socket of a reader that does not read yet.
const FLOOD: usize = 500;

/// Starts a reader on each feed that stays open, from this cursor on. Each returns the payloads
/// that it received.
fn readers(
    server: &Server,
    channel: &str,
    cursor: &str,
) -> Vec<thread::JoinHandle<(&'static str, Vec<String>)>> {
    let streams = ["stream", "sse"].map(|feed| {
        let mut raw = server.raw();
        raw.send(get(&format!("/c/{channel}?feed={feed}&since={cursor}"), ""));
        raw.until("\r\n\r\n");
        raw.chunk();
        thread::spawn(move || (feed, payloads(raw)))
    });
    let mut v1 = Ws::v1(server, &format!("/c/{channel}?since={cursor}"));
    assert_eq!(v1.json()["type"], "hello");
    let v1 = thread::spawn(move || {
        let payload = |_| v1.json()["data"].as_str().unwrap_or("no message").to_owned();
        ("tidewire.v1", (0..FLOOD).map(payload).collect())
    });
    let mut bare = Ws::bare(server, &format!("/c/{channel}?since={cursor}"));
    let bare = thread::spawn(move || ("bare", (0..FLOOD).map(|_| bare.text()).collect()));
    streams.into_iter().chain([v1, bare]).collect()
}

/// Reads the payloads of a stream. Each is a word with a number that appears nowhere else.
fn payloads(mut raw: Raw) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < FLOOD {
        let chunk = String::from_utf8(raw.chunk().expect("the stream goes on")).unwrap();
        // An epoch may contain the letters `gap`, so look for the whole marker.
        let is_gap = chunk.contains("\"gap\"") || chunk.contains("event: gap");
        assert!(!is_gap, "after {}: {chunk}", all.len());
        let words = chunk.split(|c: char| !c.is_ascii_alphanumeric());
        all.extend(words.filter(|word| word.starts_with("payload")).map(str::to_owned));
    }
    all
}

fn expected() -> Vec<String> {
    (0..FLOOD).map(|n| format!("payload{n:09}")).collect()
}

fn flood(path: &str) -> String {
    expected().iter().map(|payload| post(path, "", payload)).collect()
}

#[test]
fn pipelined_requests_evict_no_message_before_it_is_delivered() {
    for threads in ["1", "2"] {
        let server = Server::start(&[KEPT, "--threads", threads]);
        let start = Post::new("x").to(&server.address, "burst");
        let readers = readers(&server, "burst", &start);
        server.calm();
        let mut raw = server.raw();
        let mut sender = server.raw();
        // One connection sends without waiting for an answer.
        raw.send(flood("/c/burst"));
        for n in 1..=FLOOD {
            let answer = raw.response();
            assert_eq!(answer.status, 201);
            assert_eq!(answer.field("tidewire-cursor"), Some(&*after(&start, n as u64)), "in their order");
        }
        for reader in readers {
            let (feed, payloads) = reader.join().expect("a reader gets everything");
            assert_eq!(payloads, expected(), "{feed}");
        }
        // A channel without readers does not slow its publisher.
        sender.send(flood("/c/unread"));
        (0..FLOOD).for_each(|_| assert_eq!(sender.response().status, 201));
    }
}

#[test]
fn an_upload_evicts_no_piece_before_it_is_delivered() {
    // Each payload is a separate piece.
    let server = Server::start(&[KEPT, "--max-message=16", "--threads=2"]);
    for pace in ["readers", "source"] {
        let channel = format!("upload-{pace}");
        let start = Post::new("x").to(&server.address, &channel);
        let readers = readers(&server, &channel, &start);
        server.calm();
        let mut raw = server.raw();
        let body = expected().concat();
        raw.send(format!(
            "PUT /c/{channel}?pace={pace} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        let answer = raw.response();
        assert_eq!((answer.status, &json(&answer)["messages"]), (201, &FLOOD.into()));
        for reader in readers {
            let (feed, payloads) = reader.join().expect("a reader gets everything");
            assert_eq!(payloads, expected(), "{feed}");
        }
    }
}

#[test]
fn the_end_of_an_upload_does_not_evict_its_last_piece() {
    let server = Server::start(&["--retain-messages=1"]);
    for pace in ["readers", "source"] {
        let channel = format!("end-{pace}");
        let start = Post::new("x").to(&server.address, &channel);
        let mut reader = server.raw();
        let feed = if pace == "readers" { "raw" } else { "stream" };
        reader.send(get(&format!("/c/{channel}?feed={feed}&since={start}"), ""));
        server.calm();
        let mut raw = server.raw();
        raw.send(post(&format!("/c/{channel}?pace={pace}"), "", "payload").replacen("POST", "PUT", 1));
        assert_eq!(raw.response().status, 201);
        reader.until("payload");
    }
}

#[test]
fn several_publishers_take_turns() {
    let server = Server::start(&[KEPT, "--threads", "2"]);
    let start = Post::new("x").to(&server.address, "several");
    let mut raw = server.raw();
    raw.send(get(&format!("/c/several?feed=stream&since={start}"), ""));
    raw.until("\r\n\r\n");
    raw.chunk();
    server.calm();
    let publishers: Vec<_> = (0..5)
        .map(|publisher| {
            let mut raw = server.raw();
            thread::spawn(move || {
                let flood: String = (0..FLOOD / 5)
                    .map(|n| post("/c/several", "", &format!("payload{publisher}x{n}")))
                    .collect();
                raw.send(flood);
                (0..FLOOD / 5).for_each(|_| assert_eq!(raw.response().status, 201));
            })
        })
        .collect();
    let all = payloads(raw);
    for publisher in 0..5 {
        let mine: Vec<_> =
            all.iter().filter(|word| word.starts_with(&format!("payload{publisher}x"))).collect();
        let expected: Vec<_> = (0..FLOOD / 5).map(|n| format!("payload{publisher}x{n}")).collect();
        assert!(mine.into_iter().eq(expected.iter()), "each in its order");
    }
    publishers.into_iter().for_each(|publisher| publisher.join().expect("all are answered"));
}
