//! Work that is the same for many readers is done once, and its result is held once. This holds for
//! readers of different channel lists, and for readers that are behind.
//!
//! These tests count, or compare with a bound that a server that shares stays far below. None
//! depends on the speed of the machine.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use flate2::{Decompress, FlushDecompress};
use serde_json::Value;
use tidewire::{ChannelName, HubConfig, Message, Settings};

use super::common::{self, Post, Raw, Server, eventually, narrow, seq};
use super::{UPGRADE, get, in_process};

pub(super) const V1: &str = "Sec-WebSocket-Protocol: tidewire.v1\r\n";
const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// Settings without heartbeats, which could arrive between any two messages.
pub(super) fn without_heartbeats() -> Settings {
    let mut settings = Settings::default();
    settings.heartbeat = Duration::from_secs(3600);
    settings
}

/// Opens a WebSocket.
pub(super) fn websocket(address: &str, path: &str, fields: &str) -> Raw {
    let mut raw = Raw::connect(address);
    let answer = raw.send(get(path, &format!("{UPGRADE}{fields}"))).response();
    assert_eq!(answer.status, 101, "{answer:?}");
    raw
}

/// Reads the next frame. Returns its first byte and its raw payload.
pub(super) fn next_frame(raw: &mut Raw) -> (u8, Vec<u8>) {
    let head = raw.exactly(2);
    let len = match head[1] {
        126 => usize::from(u16::from_be_bytes(raw.exactly(2).try_into().unwrap())),
        127 => u64::from_be_bytes(raw.exactly(8).try_into().unwrap()) as usize,
        len => usize::from(len),
    };
    (head[0], raw.exactly(len))
}

/// Reads the JSON object of the next frame, and inflates it (RFC 7692 §7.2.2) if it is compressed.
fn next_object(raw: &mut Raw) -> Value {
    let (first, payload) = next_frame(raw);
    assert!(matches!(first, 0x81 | 0xc1), "not a text: {first:x}");
    let mut text = payload;
    if first == 0xc1 {
        let input = [&text[..], &[0, 0, 0xff, 0xff]].concat();
        text = Vec::with_capacity(8 << 20);
        Decompress::new(false).decompress_vec(&input, &mut text, FlushDecompress::Sync).unwrap();
    }
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&text)))
}

/// Returns the payload of a message object, from `data` or `data_b64`.
fn payload(message: &Value) -> Vec<u8> {
    use base64::Engine;
    match (message["data"].as_str(), message["data_b64"].as_str()) {
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(text)) => base64::engine::general_purpose::STANDARD.decode(text).unwrap(),
        _ => panic!("neither or both: {message}"),
    }
}

#[test]
fn a_message_is_compressed_once_however_many_channel_lists_there_are() {
    let (hub, running) = in_process(HubConfig::default(), without_heartbeats());
    let address = running.addresses()[0].to_string();
    let hot = ChannelName::new("hot").unwrap();
    let channel = hub.channel(&hot).unwrap();
    let mut readers: Vec<Raw> =
        (0..200).map(|n| websocket(&address, &format!("/c/hot,u{n}"), &format!("{V1}{DEFLATE}"))).collect();
    readers.iter_mut().for_each(|raw| assert_eq!(next_object(raw)["type"], "hello"));
    eventually("all of them", || channel.subscribers() == 200);
    for (n, content) in [vec![1; 50_000], b"a line of text, and one more\n".repeat(2_000)].iter().enumerate()
    {
        let before = hub.work().compressed;
        hub.publish(&hot, Message::new(content.clone().into(), 0), None).unwrap();
        for raw in &mut readers {
            let message = next_object(raw);
            assert_eq!((&message["type"], &message["channel"]), (&"message".into(), &"hot".into()));
            // The position in both channels of this list.
            let cursor = message["cursor"].as_str().unwrap();
            let places: Vec<u64> = cursor.split(['.', ',']).map(seq).collect();
            assert_eq!(places, [n as u64 + 1, 0], "{cursor}");
            assert!(payload(&message) == *content);
        }
        let compressed = hub.work().compressed - before;
        assert!(compressed <= 8, "{compressed} compressions of one message for 200 readers");
    }
}

#[test]
fn stuck_readers_of_distinct_channel_lists_share_one_message() {
    let server = Server::start(&["--threads", "1"]);
    // One message and one response of this kind first, to fill the allocator's pools.
    Post::new(vec![1; 1 << 20]).to(&server.address, "warm-up");
    server.raw().send(get("/c/warm-up", "")).response();
    let silent: Vec<TcpStream> = (0..100)
        .map(|n| {
            let mut stream = narrow(&server.address);
            let request = match n % 4 {
                0 => get(&format!("/c/hot,u{n}"), &format!("{UPGRADE}{V1}")),
                1 => get(&format!("/c/hot,u{n}?feed=sse"), ""),
                2 => get(&format!("/c/hot,u{n}?wait=55"), ""),
                _ => get(&format!("/c/hot,u{n}?feed=stream"), ""),
            };
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    server.calm();
    let before = server.memory_kib();
    Post::new(vec![1; 1 << 20]).to(&server.address, "hot");
    server.calm();
    let grown = server.memory_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "100 readers that do not read hold {grown} KiB after one message of 1 MiB");
    drop(silent);
}

#[test]
fn a_payload_that_escapes_would_multiply_is_sent_in_base64() {
    let server = Server::start(&["--threads", "1", "--comet"]);
    // In JSON, this byte takes six bytes: \u0001.
    let escapes = vec![1; 100_000];
    // This one takes two bytes, which is allowed.
    let quotes = "\"".repeat(100_000);
    for (channel, content) in [("escapes", &escapes[..]), ("quotes", quotes.as_bytes())] {
        let start = Post::new("first").to(&server.address, channel);
        Post::new(content).to(&server.address, channel);
        let check = |name: &str, raw: &mut Raw| {
            raw.until("\"data");
            if channel == "quotes" {
                assert_eq!(raw.exactly(3), b"\":\"", "{name}");
                return;
            }
            let key = raw.exactly(7);
            assert_eq!(
                key,
                b"_b64\":\"",
                "{name}: {} stands before the payload",
                String::from_utf8_lossy(&key)
            );
            let mut object = raw.until("\"");
            object.splice(..0, *b"{\"data_b64\":\"");
            object.push(b'}');
            assert!(payload(&serde_json::from_slice(&object).unwrap()) == content, "{name}");
        };
        let feeds =
            ["poll", "longpoll", "stream", "sse&objects=1", "xhr", "multipart", "iframe", "jsonp&callback=f"];
        for feed in feeds {
            let mut raw = server.raw();
            // HTTP/1.0 has no chunks, whose sizes would be between the bytes.
            raw.send(format!("GET /c/{channel}?feed={feed}&since={start} HTTP/1.0\r\nHost: x\r\n\r\n"));
            check(feed, &mut raw);
        }
        check("v1", &mut websocket(&server.address, &format!("/c/{channel}?since={start}"), V1));
    }
}

#[test]
fn readers_that_are_behind_at_the_same_messages_share_them() {
    let server = Server::start(&["--threads", "1"]);
    let start = Post::new("first").to(&server.address, "lag");
    for _ in 0..5 {
        Post::new(vec![1; 1 << 20]).to(&server.address, "lag");
    }
    server.raw().send(get(&format!("/c/lag?since={start}&limit=1"), "")).response();
    server.calm();
    let before = server.memory_kib();
    // Each of them sends some hundred bytes, and reads almost nothing.
    let lagging: Vec<TcpStream> = (0..100)
        .map(|n| {
            let mut stream = narrow(&server.address);
            let since = common::after(&start, n % 5);
            let request = match n % 4 {
                0 => get(&format!("/c/lag?since={since}"), &format!("{UPGRADE}{V1}")),
                1 => get(&format!("/c/lag?feed=stream&since={since}"), ""),
                2 => get(&format!("/c/lag?wait=55&since={since}"), ""),
                _ => get(&format!("/c/lag?limit=1&since={since}"), ""),
            };
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    server.calm();
    let grown = server.memory_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "100 requests for the same five messages of 1 MiB hold {grown} KiB");
    drop(lagging);
}
