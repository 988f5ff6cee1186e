//! Hostile clients: their cost is limited, and other clients do not notice them.
//!
//! | file | clients that |
//! |---|---|
//! | this one | do not read, or send without end |
//! | `bursts.rs` | publish faster than readers are served |
//! | `many_clients.rs` | connect and disconnect in large numbers, or send garbage |
//! | `stuck_readers.rs` | each stop at a different message |
//! | `shared_work.rs` | cause the same work many times, or hold many copies of one message |
//! | `slow.rs` | never end a WebSocket message |
//! | `turns.rs` | cause much work for a worker |
#![allow(clippy::unwrap_used)]

#[path = "hostile/bursts.rs"]
mod bursts;
mod common;
#[path = "hostile/many_clients.rs"]
mod many_clients;
#[path = "hostile/shared_work.rs"]
mod shared_work;
#[path = "hostile/slow.rs"]
mod slow;
#[path = "hostile/stuck_readers.rs"]
mod stuck_readers;
#[path = "hostile/turns.rs"]
mod turns;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{
    Client, Deadline, Ended, Feed, PATIENCE, Post, Raw, Server, eventually, narrow, open, soon, tail,
};
use tidewire::server::{Listen, Running};
use tidewire::{App, ChannelName, Hub, HubConfig, Message, Playground, Settings};

fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Returns the request for a feed that stays open.
fn request(feed: Feed, channel: &str) -> String {
    let protocol = match (feed.name(), feed) {
        (Some(name), _) => return get(&format!("/c/{channel}?feed={name}"), ""),
        (None, Feed::WsV1) => "Sec-WebSocket-Protocol: tidewire.v1\r\n",
        (None, _) => "",
    };
    get(&format!("/c/{channel}"), &format!("{UPGRADE}{protocol}"))
}

#[test]
fn readers_that_never_read_cost_little_and_delay_nobody() {
    let server = Server::start(&["--comet", "--retain-bytes", "1000000", "--threads", "2"]);
    let start = Post::new("first").to(&server.address, "slow");
    let payload = vec![b'x'; 50_000];
    for _ in 0..30 {
        Post::new(payload.clone()).to(&server.address, "warm-up");
    }
    let before = server.memory_kib();
    let streams = Feed::streams();
    let subscribe = |n: usize| {
        let mut stream = narrow(&server.address);
        stream.write_all(request(streams[n % streams.len()], "slow").as_bytes()).unwrap();
        stream
    };
    // Half of them connect before the messages, the others meanwhile, each at a different message.
    let mut stuck: Vec<TcpStream> = (0..50).map(subscribe).collect();
    // One reader reads every message. The publisher waits for it, so that the log evicts no message
    // that it needs.
    let read = Arc::new(AtomicU64::new(0));
    let reader = std::thread::spawn({
        let (address, start, read) = (server.address.clone(), start, read.clone());
        move || follow(&address, &start, 600, &read)
    });
    let mut raw = server.raw();
    let mut most = 0;
    for n in 0..600 {
        if n % 12 == 0 {
            stuck.push(subscribe(n as usize / 12));
        }
        common::eventually("the reader that reads to keep up", || read.load(Ordering::SeqCst) + 8 > n);
        let mut payload = payload.clone();
        payload.extend(n.to_string().bytes());
        Post::new(payload).on(&mut raw, "slow");
        most = most.max(server.memory_kib());
    }
    assert_eq!(reader.join().unwrap(), 0, "messages that were reported as lost");
    // A log of 1 MB, and the encoded forms that each of two workers keeps. A reader that is behind
    // shares a message with others, and has a few bytes of its own.
    let grown = most.saturating_sub(before);
    assert!(grown < 1_000 + 2 * 16 * 1024 + 8_000, "100 readers that do not read 30 MB cost {grown} KiB");
    drop(stuck);
}

/// Reads `count` messages of the channel, and stores in `read` how many it has. Returns how many
/// were reported as lost.
fn follow(address: &str, start: &str, count: u64, read: &AtomicU64) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut client = Client::at(start);
        let mut reader = open(Feed::Stream, address, "slow", start).await.unwrap();
        while client.messages.len() as u64 + client.missed < count {
            client.take(Feed::Stream, soon("a message", reader.next()).await.unwrap());
            read.store(client.messages.len() as u64, Ordering::SeqCst);
        }
        client.missed
    })
}

/// A reader stops in the middle, while more is published than the log and all buffers hold. Then it
/// continues.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_and_continues_gets_a_report_of_its_losses() {
    let server = Server::start(&["--comet", "--retain-bytes", "300000", "--threads", "2"]);
    let start = Post::new("first").to(&server.address, "stop");
    let mut readers = Vec::new();
    for feed in Feed::streams() {
        let reader = soon("a stream", open(feed, &server.address, "stop", &start)).await.unwrap();
        readers.push((feed, reader, Client::at(&start)));
    }
    let payload = |n: u64| format!("{n:06}{}", "x".repeat(60_000)).into_bytes();
    let address = server.address.clone();
    tokio::task::spawn_blocking(move || {
        let mut raw = Raw::connect(address.as_str());
        for n in 2..=500 {
            Post::new(payload(n)).on(&mut raw, "stop");
        }
    })
    .await
    .unwrap();
    for (feed, mut reader, mut client) in readers {
        while common::seq(&client.cursor) < 500 {
            match soon("what is left", reader.next()).await {
                Ok(event) => client.take(feed, event),
                Err(Ended::Well) if feed == Feed::WsBare => {
                    assert!(client.missed > 0, "a bare socket ends only to report a loss");
                    reader =
                        soon("an answer", open(feed, &server.address, "stop", &client.cursor)).await.unwrap();
                }
                Err(ended) => panic!("{feed:?}: {ended:?}"),
            }
        }
        assert!(client.missed > 0, "{feed:?}: 30 MB fit into the buffers, so the test shows nothing");
        assert_eq!(client.messages.len() as u64 + client.missed, 499, "{feed:?}");
        for (seq, _, got) in client.messages {
            assert!(got == payload(seq), "{feed:?}: message {seq}");
        }
    }
}

/// Starts a server of one worker in this process, for settings that are not options of the command.
fn in_process(config: HubConfig, settings: Settings) -> (Arc<Hub>, Running) {
    let address: Listen = "127.0.0.1:0".parse().unwrap();
    let server = tidewire::server::Server::builder().listen(address).threads(1).bind().unwrap();
    let hub = Hub::new(config, server.threads());
    let (shared, settings) = (hub.clone(), Arc::new(settings));
    let app = move |worker| {
        App::new(shared.clone(), settings.clone(), worker).with_playground(Some(Playground::new()))
    };
    (hub, server.serve(app).unwrap())
}

#[test]
fn a_subscriber_that_reads_nothing_is_dropped_and_a_slow_one_is_not() {
    let mut settings = Settings::default();
    settings.stall_timeout = Duration::from_secs(5);
    settings.comet = true;
    let (hub, running) = in_process(HubConfig::default(), settings);
    let address = running.addresses()[0].to_string();
    let name = ChannelName::new("stall").unwrap();
    let channel = hub.channel(&name).unwrap();
    let mut stuck: Vec<TcpStream> =
        Feed::streams().into_iter().map(|feed| subscribe(&address, feed)).collect();
    let mut trickle = subscribe(&address, Feed::Stream);
    eventually("all of them", || channel.subscribers() == stuck.len() + 1);
    let publish = |count: usize| {
        for _ in 0..count {
            hub.publish(&name, Message::new(vec![b'x'; 50_000].into(), 0), None).unwrap();
        }
    };
    let start = Instant::now();
    publish(100);
    let mut piece = [0; 8 * 1024];
    Deadline::soon().limit(&trickle);
    while start.elapsed() < PATIENCE {
        // It reads a little: far less than is waiting.
        assert!(trickle.read(&mut piece).unwrap() > 0);
        std::thread::sleep(Duration::from_millis(100));
        if channel.subscribers() == 1 {
            break;
        }
    }
    let took = start.elapsed();
    assert!((Duration::from_millis(4_900)..PATIENCE).contains(&took), "{took:?}");
    assert_eq!(channel.subscribers(), 1, "the one that reads");
    for stream in &mut stuck {
        // The bytes in flight, then the end.
        let deadline = Deadline::soon();
        deadline.limit(stream);
        while matches!(stream.read(&mut piece), Ok(1..)) {
            deadline.check("the end of a stuck reader", || tail(&piece));
        }
    }
    publish(1);
    assert!(trickle.read(&mut piece).unwrap() > 0);
    drop(trickle);
    eventually("nobody", || channel.subscribers() == 0);
}

fn subscribe(address: &str, feed: Feed) -> TcpStream {
    let mut stream = narrow(address);
    stream.write_all(request(feed, "stall").as_bytes()).unwrap();
    stream
}

/// Returns a frame of a client. `first` is FIN and the opcode, and the mask is zero.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(payload.len()).unwrap() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len => {
            frame.push(0x80 | 126);
            frame.extend(len.to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Sends `piece` again and again until `bytes` are sent or the peer accepts no more. Returns how
/// many were accepted.
fn pour(stream: &mut TcpStream, piece: &[u8], bytes: usize) -> usize {
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut sent = 0;
    while sent < bytes {
        match stream.write(piece) {
            // After a partial write, the next frame starts in the middle of this one. Garbage does
            // not matter here.
            Ok(n) => sent += n,
            Err(_) => break,
        }
    }
    sent
}

#[test]
fn the_server_stops_reading_from_a_client_that_reads_no_answers() {
    let server = Server::start(&["--threads", "1"]);
    let v1 = format!("{UPGRADE}Sec-WebSocket-Protocol: tidewire.v1\r\n");
    let publish =
        br#"{"type":"publish","id":"0123456789012345678901234567890123456789","channel":"b","data":"x"}"#;
    let unknown = br#"{"type":"dance"}"#;
    for (name, fields, message) in [
        ("pings", UPGRADE, frame(0x89, &[b'p'; 125])),
        ("publishes", &v1, frame(0x81, publish)),
        ("errors", &v1, frame(0x81, unknown)),
    ] {
        let before = server.memory_kib();
        let mut stream = narrow(&server.address);
        stream.write_all(get("/c/owed", fields).as_bytes()).unwrap();
        let many = message.repeat(1_000);
        let sent = pour(&mut stream, &many, 64 * 1024 * 1024);
        let grown = server.memory_kib().saturating_sub(before);
        assert!(grown < 8_000, "{name}: {sent} bytes of them cost {grown} KiB");
        // Other clients are served meanwhile.
        let asked = Instant::now();
        Post::new("x").to(&server.address, "others");
        assert!(asked.elapsed() < Duration::from_secs(20), "{name}");
    }
}

#[test]
fn the_number_of_fragments_is_limited() {
    let server = Server::start(&["--threads", "1", "--max-message", "100000"]);
    for (name, first, rest) in [
        ("empty ones", frame(0x01, b""), frame(0x00, b"")),
        ("of one byte", frame(0x01, b"x"), frame(0x00, b"x")),
    ] {
        let before = server.memory_kib();
        let mut raw = server.raw();
        assert_eq!(raw.send(get("/c/fragments", UPGRADE)).response().status, 101);
        raw.send(&first);
        // More fragments than a message may have, and fewer than the server discards while it waits
        // for the close.
        raw.offer(rest.repeat(300_000));
        let grown = server.memory_kib().saturating_sub(before);
        assert!(grown < 4_000, "{name}: {grown} KiB");
        let close = raw.exactly(4);
        let code = u16::from_be_bytes([close[2], close[3]]);
        assert!(close[0] == 0x88 && matches!(code, 1008 | 1009), "{name}: {close:x?}");
    }
    assert_eq!(server.raw().send(get("/c/fragments", "")).response().status, 200);
}

/// If a socket is closed with unread bytes, the kernel sends a reset, and a reset discards bytes in
/// flight.
#[test]
fn a_reader_that_sends_bytes_and_half_closes_is_not_reset() {
    let server = Server::start(&["--threads", "1"]);
    for _ in 0..30 {
        Post::new([b'x'; 100_000]).to(&server.address, "said");
    }
    let mut stream = narrow(&server.address);
    stream.write_all(get("/c/said?feed=stream&since=earliest", "").as_bytes()).unwrap();
    // The sockets are full, and the rest waits.
    server.calm();
    stream.write_all(b"\r\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let (mut got, mut piece, deadline) = (Vec::new(), [0; 16 * 1024], Deadline::soon());
    loop {
        deadline.limit(&stream);
        match stream.read(&mut piece).expect("an end, and no reset") {
            0 => break,
            n => got.extend_from_slice(&piece[..n]),
        }
        deadline.check("the end of a stream", || tail(&got));
    }
    assert!(got.len() > 50_000, "{} bytes had been written", got.len());
}

#[test]
fn stuck_readers_do_not_delay_a_stop() {
    let server = Server::start(&["--comet", "--drain", "1", "--threads", "2"]);
    let streams = Feed::streams();
    let stuck: Vec<TcpStream> = (0..20)
        .map(|n| {
            let mut stream = narrow(&server.address);
            stream.write_all(request(streams[n % streams.len()], "stuck").as_bytes()).unwrap();
            stream
        })
        .collect();
    server.calm();
    for _ in 0..100 {
        Post::new(vec![b'x'; 50_000]).to(&server.address, "stuck");
    }
    let start = Instant::now();
    server.terminate();
    assert_eq!(server.join().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    drop(stuck);
}
