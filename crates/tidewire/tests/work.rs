//! Shared work is done once. The tests count wake-ups, encodings and heartbeats; they do not
//! measure times.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Raw, Server, eventually};
use tidewire_hub::server::{Listen, Running};
use tidewire_hub::{ChannelName, Hub, HubConfig, Message, Settings, Site};

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn in_process(threads: usize) -> (Running, Arc<Hub>, String) {
    let listen = "127.0.0.1:0".parse::<Listen>().unwrap();
    let server = tidewire_hub::server::Server::builder().listen(listen).threads(threads).bind().unwrap();
    let hub = Hub::new(HubConfig::default(), threads);
    let (shared, settings) = (hub.clone(), Arc::new(Settings::default()));
    let running = server.serve(move |worker| Site::new(shared.clone(), settings.clone(), worker)).unwrap();
    let address = running.addresses()[0].to_string();
    (running, hub, address)
}

/// Subscribes, and reads the head of the response.
fn subscribe(address: &str, query: &str, fields: &str) -> Raw {
    let mut raw = Raw::connect(address);
    let head = raw.send(format!("GET /c/a{query} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).head_response();
    assert!(matches!(head.status, 101 | 200), "{head:?}");
    raw
}

#[test]
fn a_publish_wakes_each_worker_once_and_is_encoded_once_for_each_feed() {
    let (running, hub, address) = in_process(2);
    let channel = hub.channel(&ChannelName::new("a").unwrap()).unwrap();
    // Enough readers that both workers have some of each kind. The kernel chooses the worker.
    let mut readers: Vec<Raw> = (0..40)
        .flat_map(|_| [("?feed=sse", ""), ("?feed=stream", ""), ("", UPGRADE)])
        .map(|(query, fields)| subscribe(&address, query, fields))
        .collect();
    eventually("120 subscribers", || channel.subscribers() == 120);
    for n in 0..20 {
        let before = hub.work();
        hub.publish(channel.name(), Message::new(format!("message {n}.").into(), 0), None).unwrap();
        readers.iter_mut().for_each(|raw| drop(raw.until(format!("message {n}."))));
        let work = hub.work();
        // A worker needs no wake-up if it checks for messages itself, as it does after each
        // delivery.
        assert!(work.wakes - before.wakes <= 2, "two workers, 120 subscribers");
        assert_eq!(work.encoded - before.encoded, 6, "three feeds on two workers");
        assert_eq!(work.replayed, before.replayed, "nobody needed an encoding of its own");
    }
    running.stop().unwrap();
}

#[test]
fn a_payload_is_encoded_once_in_each_form_for_all_channel_lists() {
    const LISTS: usize = 400;
    let (running, hub, address) = in_process(1);
    let channel = hub.channel(&ChannelName::new("a").unwrap()).unwrap();
    let deflate = format!("{UPGRADE}Sec-WebSocket-Extensions: permessage-deflate\r\n");
    let v1 = format!("{UPGRADE}Sec-WebSocket-Protocol: tidewire.v1\r\n");
    let v1_deflate = format!("{deflate}Sec-WebSocket-Protocol: tidewire.v1\r\n");
    // Each reader has a different list. The forms are raw and JSON, both plain and compressed.
    let ways = [("", &*deflate), ("", &v1_deflate), ("", &v1), ("?feed=stream", ""), ("?feed=xhr", "")];
    let mut readers: Vec<Raw> = (0..LISTS)
        .map(|n| {
            let (query, fields) = ways[n % ways.len()];
            subscribe(&address, &format!(",u{n}{query}"), fields)
        })
        .collect();
    eventually("all subscribers", || channel.subscribers() == LISTS);
    let before = hub.work();
    // A text that is sent as base64 in JSON, because escapes would make it six times as long.
    let len = 30 * 1024;
    hub.publish(channel.name(), Message::new(vec![1; len].into(), 0), None).unwrap();
    for (n, raw) in readers.iter_mut().enumerate() {
        // The beginning of a compressed frame, or the end of an object.
        let needle = if n % ways.len() < 2 { &[0xc1][..] } else { b"AQEBAQEB\"}" };
        raw.until(needle);
    }
    let work = hub.work();
    assert_eq!(work.encoded - before.encoded, LISTS as u64, "{work:?}");
    assert_eq!(work.formed - before.formed, 3, "the payload compressed, JSON, JSON compressed: {work:?}");
    assert_eq!(work.compressed - before.compressed, 2, "{work:?}");
    let held = hub.forms_held();
    assert!(held < 2 * len as u64, "{held} bytes of forms are alive");
    eventually("forms to be freed", || hub.forms_held() == 0);
    running.stop().unwrap();
}

#[test]
fn a_short_message_is_not_compressed_once_for_each_list_of_channels() {
    let (running, hub, address) = in_process(1);
    let channel = hub.channel(&ChannelName::new("a").unwrap()).unwrap();
    let fields = format!(
        "{UPGRADE}Sec-WebSocket-Protocol: tidewire.v1\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\n"
    );
    // With these cursors, an object is long enough to be compressed.
    let others: String = (0..15).map(|n| format!(",{n:-<100}")).collect();
    let mut readers: Vec<Raw> =
        (0..20).map(|n| subscribe(&address, &format!("{others}{n}"), &fields)).collect();
    eventually("all subscribers", || channel.subscribers() == readers.len());
    let before = hub.work().compressed;
    let text = "a line of text. ".repeat(20);
    hub.publish(channel.name(), Message::new(text.clone().into(), 0), None).unwrap();
    readers.iter_mut().for_each(|raw| drop(raw.until(&text)));
    assert_eq!(hub.work().compressed, before);
    running.stop().unwrap();
}

#[test]
fn stuck_readers_with_different_lists_share_the_same_forms() {
    let (running, hub, address) = in_process(1);
    let channel = hub.channel(&ChannelName::new("a").unwrap()).unwrap();
    // The kernel accepts less than a fourth of each message.
    let readers: Vec<_> = (0..100)
        .map(|n| {
            let mut stream = common::narrow(&address);
            let request = format!("GET /c/a,u{n}?feed=stream HTTP/1.1\r\nHost: a\r\n\r\n");
            std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
            stream
        })
        .collect();
    eventually("100 subscribers", || channel.subscribers() == 100);
    let before = hub.work();
    for n in 0..4 {
        let payload = vec![b'a' + n; hub.config().max_message];
        hub.publish(channel.name(), Message::new(payload.into(), 0), None).unwrap();
        eventually("all to be written to", || hub.work().encoded - before.encoded >= 100);
    }
    // At most four forms, not four hundred.
    let held = hub.forms_held();
    assert!(held <= 5 * 1024 * 1024, "{held} bytes of forms are alive");
    drop(readers);
    eventually("all to have left", || channel.subscribers() == 0 && hub.forms_held() == 0);
    running.stop().unwrap();
}

#[test]
fn messages_that_arrive_while_a_worker_is_busy_are_sent_together() {
    let (running, hub, address) = in_process(1);
    let channel = hub.channel(&ChannelName::new("a").unwrap()).unwrap();
    let mut readers: Vec<Raw> = (0..50).map(|_| subscribe(&address, "?feed=sse", "")).collect();
    eventually("50 subscribers", || channel.subscribers() == 50);
    let before = hub.work();
    // The worker is busy with the publishes that one client sent together.
    let publish = |n: usize| {
        let text = format!("message {n}.");
        format!("POST /c/a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{text}", text.len())
    };
    let mut publisher = Raw::connect(address.as_str());
    publisher.send((0..500).map(publish).collect::<String>());
    (0..500).for_each(|_| assert_eq!(publisher.response().status, 201));
    readers.iter_mut().for_each(|raw| drop(raw.until("message 499.")));
    let work = hub.work();
    assert_eq!(work.encoded - before.encoded, 500);
    // A worker that is already woken is not woken again.
    assert!(work.wakes - before.wakes < 400, "{work:?}");
    running.stop().unwrap();
}

/// Returns how often the threads of the server went to sleep.
fn sleeps(server: &Server) -> u64 {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{}/task", server.id())).unwrap() {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        sum += line.trim().parse::<u64>().unwrap();
    }
    sum
}

#[test]
fn the_heartbeats_of_a_worker_come_from_one_clock() {
    let server = Server::start(&["--threads", "1", "--heartbeat", "2"]);
    let mut readers: Vec<Raw> = (0..300).map(|_| subscribe(&server.address, "?feed=sse", "")).collect();
    readers.iter_mut().for_each(|raw| drop(raw.until("retry: ")));
    server.calm();
    let before = sleeps(&server);
    readers.iter_mut().for_each(|raw| drop(raw.until("\n:\n\n")));
    let slept = sleeps(&server) - before;
    assert!(slept < 100, "{slept} times asleep for 300 heartbeats in two ticks");
}
