//! permessage-deflate (RFC 7692) on the WebSocket feeds: the negotiation, compression once for all
//! readers, and limits on inflated messages.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Post, Raw, Rng, Server, eventually};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use serde_json::Value;
use tidewire_hub::server::{Listen, Running};
use tidewire_hub::{ChannelName, Hub, HubConfig, Message, Settings, Site};

const OFFER: &str = "permessage-deflate; client_max_window_bits";
const V1: &str = "Sec-WebSocket-Protocol: tidewire.v1\r\n";

/// Opens a WebSocket. Returns the connection and the server's answer to the offer.
fn connect(address: &str, path: &str, offer: Option<&str>, fields: &str) -> (Raw, Option<String>) {
    let offer = offer.map(|offer| format!("Sec-WebSocket-Extensions: {offer}\r\n")).unwrap_or_default();
    let mut raw = Raw::connect(address);
    let answer = raw
        .send(format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             {offer}{fields}\r\n"
        ))
        .response();
    assert_eq!(answer.status, 101, "{answer:?}");
    let agreed = answer.field("sec-websocket-extensions").map(str::to_owned);
    (raw, agreed)
}

fn deflating(address: &str, path: &str) -> Raw {
    let (raw, agreed) = connect(address, path, Some(OFFER), "");
    assert!(agreed.is_some());
    raw
}

/// Reads the next frame that is not a ping. Returns its first byte and its raw payload.
fn frame(raw: &mut Raw) -> (u8, Vec<u8>) {
    let head = raw.exactly(2);
    let len = match head[1] {
        126 => usize::from(u16::from_be_bytes(raw.exactly(2).try_into().unwrap())),
        127 => u64::from_be_bytes(raw.exactly(8).try_into().unwrap()) as usize,
        len => usize::from(len),
    };
    let payload = raw.exactly(len);
    let is_heartbeat = head[0] == 0x89 || payload == common::ws::HEARTBEAT.as_bytes();
    if is_heartbeat { frame(raw) } else { (head[0], payload) }
}

/// Returns the code and the reason of the close frame, which must come next.
fn close(raw: &mut Raw) -> (u16, String) {
    let (first, payload) = frame(raw);
    assert_eq!(first, 0x88, "{payload:?}");
    (u16::from_be_bytes([payload[0], payload[1]]), String::from_utf8(payload[2..].to_vec()).unwrap())
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        len @ ..126 => out.push(0x80 | len as u8),
        len @ 126..=0xffff => out.extend([0xfe].into_iter().chain((len as u16).to_be_bytes())),
        len => out.extend([0xff].into_iter().chain((len as u64).to_be_bytes())),
    }
    let mask = [9, 8, 7, 6];
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

/// Compresses a payload (RFC 7692 §7.2.1) with zlib's calls.
fn deflate(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 1024);
    let mut stream = Compress::new(Compression::best(), false);
    stream.compress_vec(payload, &mut out, FlushCompress::Sync).unwrap();
    assert_eq!(stream.total_in() as usize, payload.len());
    assert_eq!(out.split_off(out.len() - 4), [0, 0, 0xff, 0xff]);
    out
}

/// Inflates a payload (RFC 7692 §7.2.2), without the messages before it.
fn inflate(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 << 20);
    let input = [payload, &[0, 0, 0xff, 0xff]].concat();
    Decompress::new(false).decompress_vec(&input, &mut out, FlushDecompress::Sync).unwrap();
    out
}

/// A long text that compresses well, different for each message.
fn long(n: usize) -> String {
    (0..200).map(|line| format!("line {line} of message {n}\n")).collect()
}

/// Returns the messages of the channel, from a short poll.
fn published(server: &Server, channel: &str) -> Vec<String> {
    let answer = server.raw().send(format!("GET /c/{channel} HTTP/1.1\r\nHost: a\r\n\r\n")).response();
    let poll: Value = serde_json::from_slice(&answer.body).unwrap();
    let text = |m: &Value| m["data"].as_str().or(m["data_b64"].as_str()).unwrap().to_owned();
    poll["messages"].as_array().unwrap().iter().map(text).collect()
}

/// Starts a server in this process, so that its work can be counted.
fn in_process(threads: usize) -> (Running, Arc<Hub>) {
    let builder = tidewire_hub::server::Server::builder()
        .listen("127.0.0.1:0".parse::<Listen>().unwrap())
        .threads(threads);
    let server = builder.bind().unwrap();
    let hub = Hub::new(HubConfig::default(), threads);
    let (shared, settings) = (hub.clone(), Arc::new(Settings::default()));
    (server.serve(move |worker| Site::new(shared.clone(), settings.clone(), worker)).unwrap(), hub)
}

#[test]
fn compression_is_used_if_the_client_offers_it() {
    let server = Server::start(&[]);
    let agreed = |offer| connect(&server.address, "/c/a", offer, "").1;
    let plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    assert_eq!(agreed(None), None);
    assert_eq!(agreed(Some("permessage-deflate")).as_deref(), Some(plain));
    assert_eq!(agreed(Some(OFFER)).as_deref(), Some(plain), "the offer of browsers");
    assert_eq!(agreed(Some("x-webkit-deflate-frame")), None);
    assert_eq!(
        agreed(Some("permessage-deflate; server_max_window_bits=8")),
        None,
        "this offer cannot be met"
    );
    let off = Server::start(&["--no-deflate"]);
    assert_eq!(connect(&off.address, "/c/a", Some(OFFER), "").1, None);
}

#[test]
fn long_messages_are_compressed_only_for_clients_that_agreed() {
    let server = Server::start(&["--threads", "1"]);
    let path = "/c/a?since=earliest";
    Post::new(long(0)).to(&server.address, "a");
    let mut bare = deflating(&server.address, path);
    let mut plain = connect(&server.address, path, None, "").0;
    let mut v1 = connect(&server.address, path, Some(OFFER), V1).0;
    // A client that cannot hold the full window gets all messages uncompressed. It may compress its
    // own messages.
    let (mut small, agreed) =
        connect(&server.address, path, Some("permessage-deflate; server_max_window_bits=10"), "");
    assert!(agreed.unwrap().ends_with("; server_max_window_bits=10"));
    assert_eq!(frame(&mut v1).0, 0x81, "a hello is short");
    for n in 0..3 {
        // The first message is replayed, the others arrive live.
        let text = if n == 2 { "short".to_owned() } else { long(n) };
        if n > 0 {
            Post::new(text.clone()).to(&server.address, "a");
        }
        let (first, payload) = frame(&mut bare);
        if n == 2 {
            assert_eq!((first, payload), (0x81, text.clone().into_bytes()));
        } else {
            assert!(first == 0xc1 && payload.len() < text.len() / 4);
            assert_eq!(inflate(&payload), text.as_bytes());
        }
        let (first, payload) = frame(&mut v1);
        let json = if n == 2 { payload } else { inflate(&payload) };
        assert_eq!(first, if n == 2 { 0x81 } else { 0xc1 });
        assert_eq!(serde_json::from_slice::<Value>(&json).unwrap()["data"], text);
        for raw in [&mut plain, &mut small] {
            assert_eq!(frame(raw), (0x81, text.clone().into_bytes()));
        }
    }
    small.send(masked(0xc1, &deflate(b"compressed by the one with the small window")));
    assert_eq!(frame(&mut plain).1, b"compressed by the one with the small window");
}

#[test]
fn a_message_is_compressed_once_for_all_subscribers_of_a_worker() {
    let (running, hub) = in_process(1);
    let address = running.addresses()[0].to_string();
    let channel = hub.channel(&ChannelName::new("a").unwrap()).unwrap();
    let mut bare: Vec<Raw> = (0..40).map(|_| deflating(&address, "/c/a")).collect();
    let mut v1: Vec<Raw> = (0..10).map(|_| connect(&address, "/c/a", Some(OFFER), V1).0).collect();
    let mut plain: Vec<Raw> = (0..10).map(|_| connect(&address, "/c/a", None, "").0).collect();
    v1.iter_mut().for_each(|raw| assert_eq!(frame(raw).0, 0x81));
    eventually("sixty subscribers", || channel.subscribers() == 60);
    let before = hub.work();
    for n in 0..5 {
        hub.publish(channel.name(), Message::new(long(n).into(), 0), None).unwrap();
        let (first, shared) = frame(&mut bare[0]);
        assert_eq!((first, inflate(&shared)), (0xc1, long(n).into_bytes()));
        for raw in &mut bare[1..] {
            assert_eq!(frame(raw), (0xc1, shared.clone()), "the same bytes for all");
        }
        v1.iter_mut().for_each(|raw| assert_eq!(frame(raw).0, 0xc1));
        plain.iter_mut().for_each(|raw| assert_eq!(frame(raw), (0x81, long(n).into_bytes())));
    }
    let work = hub.work();
    assert_eq!(work.compressed - before.compressed, 10, "five messages, bare and as JSON");
    assert_eq!(work.encoded - before.encoded, 15, "and five uncompressed");
    assert_eq!(work.replayed, before.replayed, "nobody needed an encoding of its own");
    running.stop().unwrap();
}

#[test]
fn a_compressed_message_is_published_uncompressed() {
    let server = Server::start(&[]);
    let mut raw = deflating(&server.address, "/c/a?since=now");
    let (a, b, c) = (long(1), long(2), long(3));
    // Whole, with another message after it in the same write; byte by byte; and in three frames
    // with a ping in between.
    raw.send([masked(0xc1, &deflate(a.as_bytes())), masked(0x81, b"plain")].concat());
    for byte in masked(0xc1, &deflate(b.as_bytes())) {
        raw.send([byte]);
    }
    let packed = deflate(c.as_bytes());
    let (one, rest) = packed.split_at(packed.len() / 3);
    let (two, three) = rest.split_at(rest.len() / 2);
    raw.send(masked(0x41, one)).send(masked(0x89, b"p")).send(masked(0x00, two)).send(masked(0x80, three));
    let mut got = Vec::new();
    while got.len() < 5 {
        let (first, payload) = frame(&mut raw);
        got.push(if first & 0x40 != 0 { inflate(&payload) } else { payload });
    }
    let pong = got.iter().position(|one| one == b"p").expect("the ping is answered");
    got.remove(pong);
    assert_eq!(got, [a.as_bytes(), b"plain", b.as_bytes(), c.as_bytes()]);
    assert_eq!(published(&server, "a"), [a.as_str(), "plain", b.as_str(), c.as_str()]);
}

#[test]
fn the_message_limit_applies_to_the_inflated_size() {
    let server = Server::start(&["--max-message", "100000"]);
    let mut most = deflating(&server.address, "/c/a");
    most.send(masked(0xc1, &deflate(&[b'x'; 100_000])));
    assert_eq!(inflate(&frame(&mut most).1).len(), 100_000);
    // Inflated, this is a thousand times as long.
    let bomb = deflate(&vec![b'x'; 20_000_000]);
    for frames in [masked(0xc1, &bomb), [masked(0x41, &bomb[..9_000]), masked(0x80, &bomb[9_000..])].concat()]
    {
        let mut raw = deflating(&server.address, "/c/a");
        raw.send(frames);
        assert_eq!(close(&mut raw).0, 1009);
    }
    let mut raw = deflating(&server.address, "/c/a");
    raw.send(masked(0xc1, b"\xff\xff no DEFLATE data"));
    assert_eq!(close(&mut raw).0, 1007);
    let mut raw = connect(&server.address, "/c/a", None, "").0;
    raw.send(masked(0xc1, &deflate(b"nobody agreed on this")));
    assert_eq!(close(&mut raw).0, 1002);
    assert_eq!(published(&server, "a").len(), 1);
}

#[test]
fn the_number_of_partly_inflated_messages_is_limited() {
    let server = Server::start(&["--threads", "1"]);
    // A message may take ten seconds, and one more for each 512 bytes received. That is enough for
    // this test on a busy machine.
    let mut rng = Rng::new(7);
    let payload: Vec<u8> =
        (0..900_000).map(|n| if n % 36 == 0 { b'a' + rng.below(26) as u8 } else { b'x' }).collect();
    let packed = deflate(&payload);
    assert!((20_000..60_000).contains(&packed.len()), "{} bytes", packed.len());
    let before = server.memory_kib();
    // An incomplete first frame is kept compressed. Many connections may have one.
    let mut slow: Vec<Raw> = (0..100).map(|_| deflating(&server.address, "/c/a")).collect();
    slow.iter_mut().for_each(|raw| _ = raw.send(&masked(0xc1, &packed)[..packed.len()]));
    // A complete frame is inflated. Only some connections may have one.
    let mut half: Vec<Raw> = (0..32).map(|_| deflating(&server.address, "/c/b")).collect();
    half.iter_mut().for_each(|raw| _ = raw.send(masked(0x41, &packed)));
    half.iter_mut().for_each(|raw| _ = raw.send(masked(0x89, b"seen")));
    half.iter_mut().for_each(|raw| assert_eq!(frame(raw).0, 0x8a));
    let mut more = deflating(&server.address, "/c/b");
    more.send(masked(0x41, &packed));
    assert_eq!(close(&mut more).0, 1013);
    let grown = server.memory_kib() - before;
    assert!(grown < 100 * 1024, "{grown} KiB for 133 connections that sent {} bytes each", packed.len());
    // The end of a message or of a connection makes room for another.
    half[0].send(masked(0x80, b""));
    let (first, payload) = frame(&mut half[0]);
    assert_eq!(first, 0xc1, "{}", payload.escape_ascii());
    assert_eq!(inflate(&payload).len(), 900_000);
    half.pop();
    for channel in ["/c/d", "/c/e"] {
        eventually("room for another", || {
            let mut raw = deflating(&server.address, channel);
            raw.send(masked(0x41, &packed)).send(masked(0x80, b""));
            frame(&mut raw).0 == 0xc1
        });
    }
    // The slow messages are delivered when they are complete.
    let wire = masked(0xc1, &packed);
    slow[7].send(&wire[packed.len()..]);
    assert_eq!(inflate(&frame(&mut slow[0]).1).len(), 900_000);
}

#[test]
fn memory_of_an_inflated_message_is_freed_before_the_next_message() {
    let server = Server::start(&["--threads", "1", "--heartbeat", "3600"]);
    // Six megabytes that are not a valid command, and the beginning of the next message.
    let bomb = masked(0xc1, &deflate(&vec![b' '; 6 << 20]));
    let bytes = [&bomb[..], &bomb[..100]].concat();
    let mut crowd: Vec<Raw> = (0..60).map(|_| connect(&server.address, "/c/a", Some(OFFER), V1).0).collect();
    let before = server.memory_kib();
    for raw in &mut crowd {
        frame(raw);
        raw.send(&bytes);
        let refusal = String::from_utf8(frame(raw).1).unwrap();
        assert!(refusal.contains("This is not JSON"), "{refusal}");
    }
    let grown = server.memory_kib().saturating_sub(before);
    assert!(grown < 120 * 1024, "{grown} KiB for 60 connections that sent 6 KiB each");
}

#[test]
fn an_idle_connection_holds_no_context() {
    let server = Server::start(&["--threads", "1"]);
    let payload = long(0).into_bytes();
    let mut crowd: Vec<Raw> = Vec::new();
    let exchange = |raw: &mut Raw| {
        raw.send(masked(0xc2, &deflate(&payload)));
        assert_eq!(inflate(&frame(raw).1), payload);
    };
    // The first connections fill the pool and the caches of the allocator.
    for n in 0..50 {
        crowd.push(deflating(&server.address, &format!("/c/n{n}")));
        exchange(crowd.last_mut().unwrap());
    }
    let before = server.memory_kib();
    for n in 50..250 {
        crowd.push(deflating(&server.address, &format!("/c/n{n}")));
        exchange(crowd.last_mut().unwrap());
    }
    // This includes the channel with its message, group and subscriber. An inflater and a
    // compressor alone would take 300 KiB.
    let each = (server.memory_kib() - before) / 200;
    assert!(each < 40, "{each} KiB");
}
