//! A flood of messages slows down its publisher, not the readers. A reader that keeps up gets all
//! messages, even if the log keeps only a few.

use std::io::Write;
use std::net::TcpStream;
use std::task::{Context, Waker};

use tidewire::hub::Publication;
use tidewire::{ChannelName, HubConfig, Message};

use super::common::{Raw, eventually, narrow};
use super::shared_work::{V1, next_frame, websocket, without_heartbeats};
use super::{frame, get, in_process};

/// Reads a channel as fast as possible. Returns the number of messages, and why it ended early.
fn count_messages(name: &'static str, mut raw: Raw, expected: usize) -> (&'static str, usize, String) {
    let mut count = 0;
    while count < expected {
        let text = match name {
            "bare" => {
                let (first, payload) = next_frame(&mut raw);
                if first == 0x88 {
                    return (name, count, format!("closed: {}", payload.escape_ascii()));
                }
                count += 1;
                continue;
            }
            "v1" => next_frame(&mut raw).1,
            "sse" => raw.until("\n\n"),
            _ => raw.until("}\n"),
        };
        let has = |what: &str| text.windows(what.len()).any(|window| window == what.as_bytes());
        if has("\"gap\"") || has("event: gap") {
            return (name, count, format!("reported: {}", text.escape_ascii()));
        }
        count += usize::from(has("\"message\"") || has("data: "));
    }
    (name, count, String::new())
}

/// Publishes fifty times what the log keeps in one write, with readers of all kinds that keep up.
/// Asserts that no reader loses a message. The publisher stays until all messages are read.
fn assert_no_reader_loses<T>(publish: impl FnOnce(&str) -> T) {
    let mut config = HubConfig::default();
    config.retention.max_messages = BURST / 50;
    let (hub, running) = in_process(config, without_heartbeats());
    let address = running.addresses()[0].to_string();
    let channel = hub.channel(&ChannelName::new("busy").unwrap()).unwrap();
    let http = |feed: &str| {
        let mut raw = Raw::connect(address.as_str());
        raw.send(get(&format!("/c/busy?feed={feed}"), ""));
        raw
    };
    let readers = [
        ("bare", websocket(&address, "/c/busy", "")),
        ("v1", websocket(&address, "/c/busy", V1)),
        ("sse", http("sse")),
        ("stream", http("stream")),
    ];
    eventually("all of them", || channel.subscribers() == readers.len());
    std::thread::scope(|scope| {
        let readers = readers.map(|(name, raw)| scope.spawn(move || count_messages(name, raw, BURST)));
        let publisher = publish(&address);
        let ends = readers.map(|reader| reader.join().unwrap());
        drop(publisher);
        assert!(ends.iter().all(|(_, count, end)| *count == BURST && end.is_empty()), "{ends:#?}");
    });
}

/// The number of messages, of one byte each.
const BURST: usize = 5_000;

#[test]
fn one_write_of_many_frames_drops_no_reader_that_keeps_up() {
    assert_no_reader_loses(|address| {
        let mut publisher = websocket(address, "/c/busy", "");
        publisher.send(frame(0x81, b"x").repeat(BURST));
        publisher
    });
}

#[test]
fn pipelined_posts_drop_no_reader_that_keeps_up() {
    assert_no_reader_loses(|address| {
        let mut stream = TcpStream::connect(address).unwrap();
        let mut publisher = Raw::over(stream.try_clone().unwrap());
        std::thread::scope(|scope| {
            let post = "POST /c/busy HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx";
            scope.spawn(move || stream.write_all(post.repeat(BURST).as_bytes()).unwrap());
            (0..BURST).for_each(|_| assert_eq!(publisher.response().status, 201));
        });
        publisher
    });
}

/// A burst is longer than a batch, and the reader takes the first batch in pieces. No later publish
/// wakes the reader for the rest.
#[test]
fn a_reader_that_takes_a_batch_in_pieces_gets_the_next_one_too() {
    let mut config = HubConfig::default();
    config.retention.max_messages = BURST;
    let (hub, running) = in_process(config, without_heartbeats());
    let address = running.addresses()[0].to_string();
    let channel = hub.channel(&ChannelName::new("busy").unwrap()).unwrap();
    let mut publisher = websocket(&address, "/c/busy", "");
    eventually("the first reader", || channel.subscribers() == 1);
    for feed in ["stream", "xhr", "multipart"] {
        let mut slow = narrow(&address);
        slow.write_all(get(&format!("/c/busy?feed={feed}"), "").as_bytes()).unwrap();
        eventually("the second reader", || channel.subscribers() == 2);
        publisher.send(frame(0x81, b"x").repeat(BURST));
        // The publisher is also the first reader. When it has all messages, all are published.
        (0..BURST).for_each(|_| assert_eq!(next_frame(&mut publisher).1, b"x"));
        let last = format!("{}", channel.head());
        let got = Raw::over(slow).until(&last);
        assert!(got.len() > 300_000, "{feed}: {} bytes are no more than one batch", got.len());
        eventually("the end of the second reader", || channel.subscribers() == 1);
    }
}

/// Between two long polls, a reader has no poll for a moment. A publisher that would evict messages
/// that this reader does not have yet must wait for the next poll. The moment is short, so the test
/// tries several connections. Without the feature, it succeeds on none.
#[test]
fn a_publisher_waits_for_the_next_poll_of_a_reader() {
    const KEEPS: usize = 20;
    let mut config = HubConfig::default();
    config.retention.max_messages = KEEPS;
    let (hub, running) = in_process(config, without_heartbeats());
    let address = running.addresses()[0].to_string();
    let waited = (0..20).any(|n| {
        let name = ChannelName::new(&format!("c{n}")).unwrap();
        let channel = hub.channel(&name).unwrap();
        let publish = |text: &'static str| hub.publish(&name, Message::new(text.into(), 0), None).unwrap();
        let poll = |since: &str| get(&format!("/c/{name}?wait=55&since={since}"), "");
        let mut reader = Raw::connect(address.as_str());
        reader.send(poll("now"));
        eventually("a poll that is held", || channel.subscribers() == 1);
        publish("first");
        let answer = reader.response();
        // These fill the log.
        for _ in 1..KEEPS {
            publish("more");
        }
        let mut last = Publication::new(name.clone(), Message::new("last".into(), 0), None);
        let mut no_waker = Context::from_waker(Waker::noop());
        if hub.poll_publish(&mut no_waker, &mut last).is_ready() {
            return false;
        }
        reader.send(poll(answer.field("tidewire-cursor").unwrap()));
        let next = reader.response();
        assert_eq!((next.status, next.text().matches("more").count()), (200, KEEPS - 1), "{next:?}");
        reader.send(poll(next.field("tidewire-cursor").unwrap()));
        eventually("room, because the reader has all messages", || {
            hub.poll_publish(&mut no_waker, &mut last).is_ready()
        });
        assert_eq!(reader.response().text().matches("last").count(), 1);
        true
    });
    assert!(waited, "a publisher never waits for the next poll");
    running.stop().unwrap();
}
