//! Compressed event streams and JSON lines (`--compress`): compressed once for all readers,
//! readable at once, and complete with the trailer.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use common::feeds::catalogue;
use common::publish::{close, delete};
use common::{Deadline, Post, Raw, Rng, Server, eventually, narrow, tail};
use flate2::{read, write};
use tidewire_hub::server::{Listen, Running};
use tidewire_hub::{ChannelName, Hub, HubConfig, Message, Settings, Site};

const GZIP: &str = "Accept-Encoding: gzip, deflate, br, zstd\r\n";

/// Opens a stream, and reads its head.
fn open(address: &str, query: &str, fields: &str) -> (Raw, common::Response) {
    let mut raw = Raw::connect(address);
    let head = raw.send(format!("GET /c/a?{query} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).head_response();
    assert_eq!(head.status, 200, "{head:?}");
    (raw, head)
}

fn open_gzip(address: &str, query: &str) -> Raw {
    let (raw, head) = open(address, query, GZIP);
    assert_eq!(head.field("content-encoding"), Some("gzip"), "{head:?}");
    assert!(head.head.contains("Vary: Accept-Encoding"), "{head:?}");
    raw
}

/// The same with a small receive buffer.
fn slow_gzip(address: &str, query: &str) -> Raw {
    let mut raw = Raw::over(narrow(address));
    let head = raw.send(format!("GET /c/a?{query} HTTP/1.1\r\nHost: a\r\n{GZIP}\r\n")).head_response();
    assert_eq!(head.field("content-encoding"), Some("gzip"), "{head:?}");
    raw
}

/// Reads the whole body, and checks the trailer of the coding.
fn whole(raw: &mut Raw) -> String {
    let mut body = Vec::new();
    while let Some(chunk) = raw.chunk() {
        body.extend(chunk);
    }
    decode(&body)
}

fn decode(body: &[u8]) -> String {
    let mut text = String::new();
    let mut decoder = read::GzDecoder::new(body);
    decoder.read_to_string(&mut text).unwrap();
    assert!(decoder.into_inner().is_empty(), "one member and nothing after it");
    text
}

/// Decodes a stream of bytes while it arrives.
struct Live {
    raw: Raw,
    decoder: write::GzDecoder<Vec<u8>>,
}

impl Live {
    fn new(raw: Raw) -> Self {
        Live { raw, decoder: write::GzDecoder::new(Vec::new()) }
    }

    /// Reads chunks until the text contains `needle`. Returns the whole text.
    fn until(&mut self, needle: &str) -> String {
        let deadline = Deadline::soon();
        loop {
            let text = String::from_utf8_lossy(self.decoder.get_ref());
            if text.contains(needle) {
                return text.into_owned();
            }
            deadline.check(needle, || tail(text.as_bytes()));
            let chunk = self.raw.chunk().expect("the stream goes on");
            self.decoder.write_all(&chunk).unwrap();
            self.decoder.flush().unwrap();
        }
    }
}

/// Starts a server in this process, so that its work can be counted.
fn in_process() -> (Running, Arc<Hub>) {
    let listen = "127.0.0.1:0".parse::<Listen>().unwrap();
    let server = tidewire_hub::server::Server::builder().listen(listen).threads(1).bind().unwrap();
    let hub = Hub::new(HubConfig::default(), 1);
    let mut settings = Settings::default();
    (settings.compress, settings.heartbeat) = (true, Duration::from_secs(1));
    let (shared, settings) = (hub.clone(), Arc::new(settings));
    (server.serve(move |worker| Site::new(shared.clone(), settings.clone(), worker)).unwrap(), hub)
}

#[test]
fn compression_needs_the_option_and_an_accept_encoding() {
    let coding = |server: &Server, query: &str, fields: &str| {
        open(&server.address, query, fields).1.field("content-encoding").map(str::to_owned)
    };
    let off = Server::start(&[]);
    assert_eq!(coding(&off, "feed=sse", GZIP), None);
    let server = Server::start(&["--compress", "--comet"]);
    for feed in catalogue(&server).iter().map(String::as_str).chain(["sse&objects=1"]) {
        // Text that clients decompress while they read. If another feed is compressed, list it
        // here, and in the tests below.
        let expected = ["sse", "sse&objects=1", "stream"].contains(&feed).then_some("gzip");
        let query = format!("feed={feed}&callback=f&wait=0");
        assert_eq!(coding(&server, &query, GZIP).as_deref(), expected, "{feed}");
    }
    for (accepted, expected) in [
        ("gzip", true),
        ("x-gzip", true),
        ("*", true),
        ("deflate, GZIP;q=0.001", true),
        ("gzip;q=0.5, identity;q=0.5", true),
        ("", false),
        ("br, deflate", false),
        ("gzip;q=0", false),
        ("*;q=1, gzip;q=0", false),
        ("gzip;q=0.2, identity;q=0.8", false),
    ] {
        let got = coding(&server, "feed=sse", &format!("Accept-Encoding: {accepted}\r\n"));
        assert_eq!(got.is_some(), expected, "{accepted:?}");
    }
    assert_eq!(coding(&server, "feed=sse", ""), None);
}

#[test]
fn a_message_can_be_read_as_soon_as_it_is_published() {
    let server = Server::start(&["--compress", "--heartbeat", "1"]);
    let mut sse = Live::new(open_gzip(&server.address, "feed=sse"));
    let mut lines = Live::new(open_gzip(&server.address, "feed=stream"));
    sse.until("retry:");
    lines.until(r#"{"type":"hello""#);
    for n in 0..5 {
        Post::new(format!("message {n}.")).to(&server.address, "a");
        sse.until(&format!("data: message {n}.\n\n"));
        lines.until(&format!(r#""data":"message {n}.""#));
    }
    // Heartbeats too.
    sse.until("\n\n:\n\n");
    lines.until("\n\n");
}

#[test]
fn compressed_and_plain_streams_have_the_same_content() {
    let server = Server::start(&["--compress"]);
    let start = open(&server.address, "feed=sse", "").1.field("tidewire-cursor").unwrap().to_owned();
    let mut live = Live::new(open_gzip(&server.address, "feed=sse"));
    live.until("retry:");
    let mut plain = open(&server.address, "feed=sse", "").0;
    let texts = ["CR\rLF\nCRLF\r\n", "\r", "\u{feff}NUL\0 LS\u{2028}\r\r"];
    for text in texts {
        Post::new(text).event("tide").to(&server.address, "a");
    }
    Post::new("last").to(&server.address, "a");
    let expected = "event: tide\ndata: CR\ndata: LF\ndata: CRLF\ndata: \n\n";
    let compressed = live.until("data: last\n\n");
    assert!(compressed.contains(expected), "{compressed}");
    let mut replayed = Live::new(open_gzip(&server.address, &format!("feed=sse&since={start}")));
    let replayed = replayed.until("data: last\n\n");
    let events = |stream: &str| stream[stream.find("event: tide").unwrap()..].to_owned();
    assert_eq!(events(&compressed), events(&replayed));
    // Each chunk has one event.
    let mut events_plain = String::new();
    let deadline = Deadline::soon();
    while !events_plain.contains("data: last\n\n") {
        deadline.check("the last event", || tail(events_plain.as_bytes()));
        events_plain.push_str(std::str::from_utf8(&plain.chunk().unwrap()).unwrap());
    }
    assert_eq!(events(&compressed), events(&events_plain));
}

/// Readers join at different times, some fall behind, and heartbeats are sent between the messages.
#[test]
fn every_reader_gets_all_messages_and_a_valid_trailer() {
    let (running, hub) = in_process();
    let address = running.addresses()[0].to_string();
    let mut rng = Rng::new(11);
    // Half of the text does not compress, so that a reader that does not read falls behind.
    let mut message = |n: usize| {
        let noise: String = rng.bytes(10_000).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("<{n}>{noise}")
    };
    let feeds = ["feed=sse", "feed=stream"];
    let slow = feeds.map(|feed| slow_gzip(&address, feed));
    let (mut readers, count) = (Vec::new(), 60);
    for n in 0..count {
        if n % 20 == 0 {
            for feed in feeds {
                let mut raw = open_gzip(&address, feed);
                readers.push((n, std::thread::spawn(move || whole(&mut raw))));
            }
            // Only for chance: a heartbeat may come meanwhile. The test needs none.
            std::thread::sleep(Duration::from_millis(400));
        }
        Post::new(message(n)).to(&address, "a");
    }
    readers.extend(slow.map(|mut raw| (0, std::thread::spawn(move || whole(&mut raw)))));
    // A late reader that reads all messages, compressed only for it.
    let mut late = Live::new(open_gzip(&address, "feed=sse&since=earliest"));
    late.until(&format!("<{}>", count - 1));
    eventually("readers that fell behind", || hub.work().replayed > 90);
    let stopping = std::thread::spawn(move || running.stop());
    let numbers = |text: &str| -> Vec<usize> {
        text.split('<').skip(1).map(|rest| rest.split_once('>').unwrap().0.parse().unwrap()).collect()
    };
    for (first, reader) in readers {
        assert_eq!(numbers(&reader.join().unwrap()), (first..count).collect::<Vec<_>>());
    }
    stopping.join().unwrap().unwrap();
}

/// The trailer fits what each reader got, also when its channel is closed or deleted. Some are
/// behind at that moment.
#[test]
fn every_reader_gets_a_valid_trailer_at_the_end_and_at_a_deletion() {
    for deletes in [false, true] {
        let server = Server::start(&["--compress", "--threads", "1", "--retain-bytes", "100000000"]);
        let first = Post::new("first").to(&server.address, "a");
        let feeds = ["feed=sse", "feed=stream"];
        let mut rng = Rng::new(12);
        let mut readers: Vec<Raw> = Vec::new();
        for n in 0..60 {
            if n % 20 == 0 {
                readers.extend(feeds.map(|feed| open_gzip(&server.address, feed)));
                readers
                    .extend(feeds.map(|feed| slow_gzip(&server.address, &format!("{feed}&since={first}"))));
            }
            let noise: String = rng.bytes(10_000).iter().map(|byte| format!("{byte:02x}")).collect();
            Post::new(noise).to(&server.address, "a");
        }
        let end = if deletes {
            delete(&server.address, "a");
            r#"{"type":"deleted"}"#.to_owned()
        } else {
            format!(r#"{{"type":"end","cursor":"{}"}}"#, close(&server.address, "a", None))
        };
        // All are read at the same time: the server gives up on those that are not read.
        let texts: Vec<_> =
            readers.into_iter().map(|mut raw| std::thread::spawn(move || whole(&mut raw))).collect();
        let texts: Vec<String> = texts.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(texts.iter().all(|text| text.trim_end().ends_with(&end)), "the last object is not {end}");
        let behind = texts.iter().filter(|text| text.len() < 60 * 20_000 - 100).count();
        if deletes {
            assert!(behind > 6, "only the live readers are short, so the test shows nothing");
            continue;
        }
        // Each message has a cursor, and so have the start and the end.
        let count = |text: &String| text.matches("id: ").count() + text.matches(r#""cursor":"#).count();
        let counts: Vec<usize> = texts.iter().map(count).collect();
        let expected = [0, 20, 40].map(|n| [60 - n + 3, 60 - n + 2, 63, 62]).concat();
        assert_eq!(counts, expected);
    }
}

#[test]
fn over_http_1_0_the_body_ends_with_the_connection() {
    let server = Server::start(&["--compress"]);
    let mut raw = server.raw();
    let request = format!("GET /c/a?feed=stream HTTP/1.0\r\n{GZIP}\r\n");
    assert_eq!(raw.send(request).head_response().field("content-encoding"), Some("gzip"));
    Post::new("one").to(&server.address, "a");
    server.terminate();
    let text = decode(&raw.rest());
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.ends_with("\"data\":\"one\"}\n"), "{text}");
}

/// Returns the next chunk that is not a heartbeat.
fn message_of(raw: &mut Raw) -> Vec<u8> {
    let deadline = Deadline::soon();
    loop {
        let chunk = raw.chunk().expect("the stream goes on");
        if chunk.len() >= 15 {
            return chunk;
        }
        deadline.check("a chunk that is no heartbeat", || tail(&chunk));
    }
}

#[test]
fn a_batch_is_compressed_once_for_all_subscribers_of_a_worker() {
    let (running, hub) = in_process();
    let address = running.addresses()[0].to_string();
    let channel = hub.channel(&ChannelName::new("a").unwrap()).unwrap();
    let mut readers: Vec<Raw> = (0..50).map(|_| open_gzip(&address, "feed=sse")).collect();
    let mut plain = open(&address, "feed=sse", "").0;
    eventually("51 subscribers", || channel.subscribers() == 51);
    readers.iter_mut().for_each(|raw| assert!(raw.chunk().is_some(), "the hello"));
    let before = hub.work();
    for n in 0..5 {
        hub.publish(channel.name(), Message::new(format!("message {n}").into(), 0), None).unwrap();
        let shared = message_of(&mut readers[0]);
        for raw in &mut readers[1..] {
            assert_eq!(message_of(raw), shared, "the same bytes for all");
        }
        plain.until(format!("message {n}"));
    }
    let work = hub.work();
    assert_eq!(work.compressed - before.compressed, 5);
    assert_eq!(work.encoded - before.encoded, 10, "compressed and uncompressed");
    assert_eq!(work.replayed, before.replayed, "nobody needed an encoding of its own");
    running.stop().unwrap();
}
