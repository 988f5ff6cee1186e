//! Publishes of one connection that are in flight together, over a store that is slow and fails.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use tidewire_channel::{Budget, Retention, Since};
use tidewire_store::suite::{Fault, RequestKind};

use super::setup::{all, ask, faulty, get, hub, name, release, serve, texts};
use crate::channel::{Channel, Watch};
use crate::channel_state::Waiter;
use crate::config::HubConfig;
use crate::hub::Hub;

/// A publish of this text, which is not longer than 9 bytes.
fn post(channel: &str, text: &str) -> String {
    let length = text.len();
    format!("POST /c/{channel} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{text}")
}

/// Reads one answer: its status, whether the connection stays open, and its body.
fn answer(socket: &mut TcpStream) -> (u16, bool, String) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.split_once("Content-Length: ").and_then(|(_, rest)| rest.split_once('\r'));
    let mut body = vec![0; length.map_or(0, |(length, _)| length.parse().unwrap())];
    socket.read_exact(&mut body).unwrap();
    let is_open = !head.contains("Connection: close");
    (head[9..12].parse().unwrap(), is_open, String::from_utf8(body).unwrap())
}

/// The number in the cursor of an answer to a publish.
fn number(body: &str) -> u64 {
    let (_, cursor) = body.split_once("\"cursor\":\"").unwrap_or_else(|| panic!("no cursor: {body}"));
    let cursor = cursor.split_once('"').unwrap().0;
    cursor.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

fn channel(hub: &Arc<Hub>, text: &str) -> Arc<Channel> {
    hub.channel(&name(text)).unwrap()
}

#[test]
fn answers_and_messages_keep_the_order_of_the_requests() {
    const COUNT: usize = 24;
    let store = faulty();
    let hub = hub(&store);
    let (running, address) = serve(&hub);
    store.always(RequestKind::Append, Some(Fault::HoldRequest));
    let channels = ["a", "b", "c"];
    let requests: Vec<_> = (0..COUNT).map(|n| post(channels[n % 3], &n.to_string())).collect();
    let mut socket = ask(address, &requests.concat());
    // All of them are in flight. The newest are answered first, and some fail.
    let held = store.wait_held(COUNT);
    let fails = |n: usize| n % 5 == 2;
    for (n, held) in held.iter().enumerate().rev() {
        assert_eq!(held.name, Some(name(channels[n % 3])), "the store gets them in their order");
        if !held.is_done && fails(n) {
            // A request is carried out before later ones of its log, so only the newest can fail.
            assert!(store.release_with(held.number, Fault::LoseAnswer));
        } else {
            release(&store, held.number);
        }
    }
    for n in 0..COUNT {
        let (status, is_open, body) = answer(&mut socket);
        assert!(is_open);
        match status {
            201 => assert_eq!(number(&body), n as u64 / 3 + 1, "{n}: {body}"),
            _ => assert!(status == 503 && fails(n), "{n}: {status} {body}"),
        }
    }
    for (first, text) in channels.iter().enumerate() {
        let expected: Vec<_> = (first..COUNT).step_by(3).map(|n| n.to_string()).collect();
        assert_eq!(texts(&all(&channel(&hub, text))), expected);
    }
    running.stop().unwrap();
}

#[test]
fn a_publish_that_fails_leaves_the_others() {
    let store = faulty();
    let hub = hub(&store);
    let (running, address) = serve(&hub);
    for fault in [Fault::HoldRequest, Fault::Fail, Fault::HoldRequest, Fault::LoseRequest] {
        store.plan(RequestKind::Append, fault);
    }
    let requests = [post("a", "1"), post("b", "2"), post("c", "3"), post("d", "4"), post("e", "5")];
    let mut socket = ask(address, &requests.concat());
    let held = store.wait_held(2);
    release(&store, held[1].number);
    release(&store, held[0].number);
    let statuses = [(); 5].map(|()| answer(&mut socket).0);
    assert_eq!(statuses, [201, 503, 201, 503, 201]);
    running.stop().unwrap();
}

#[test]
fn a_publish_that_is_never_answered_holds_up_the_answers_for_a_bounded_time() {
    let store = faulty();
    let hub = hub(&store);
    let (running, address) = serve(&hub);
    store.plan(RequestKind::Append, Fault::HoldRequest);
    let mut socket = ask(address, &[post("a", "1"), post("b", "2"), post("c", "3")].concat());
    let held = store.wait_held(1);
    while channel(&hub, "c").head().seq() == 0 {
        std::thread::yield_now();
    }
    hub.sweep_some_at(0, hub.now_ms() + 30_000);
    let (status, is_open, body) = answer(&mut socket);
    assert!(status == 503 && is_open && body.contains("unknown"), "{body}");
    assert_eq!([answer(&mut socket).0, answer(&mut socket).0], [201, 201]);
    // The answer comes after all, and the connection is as good as before.
    release(&store, held[0].number);
    socket.write_all(post("a", "4").as_bytes()).unwrap();
    assert_eq!(number(&answer(&mut socket).2), 2);
    running.stop().unwrap();
}

#[test]
fn a_read_behind_a_publish_sees_it() {
    let store = faulty();
    let hub = hub(&store);
    let (running, address) = serve(&hub);
    store.always(RequestKind::Append, Some(Fault::HoldAnswer));
    let requests = [
        post("a", "first"),
        post("a", "second"),
        get("/c/a?since=earliest"),
        post("a", "third"),
        get("/c/a").replace("GET", "DELETE"),
        post("b", "fourth"),
    ];
    let mut socket = ask(address, &requests.concat());
    store.wait_held(2);
    store.release_all();
    assert_eq!([answer(&mut socket).0, answer(&mut socket).0], [201, 201]);
    let (_, _, page) = answer(&mut socket);
    assert!(page.contains("first") && page.contains("second") && !page.contains("third"), "{page}");
    store.wait_held(1);
    assert_eq!(channel(&hub, "a").read(Since::Earliest, Budget::UNLIMITED).messages.len(), 2);
    store.release_all();
    assert_eq!([answer(&mut socket).0, answer(&mut socket).0], [201, 204]);
    store.wait_held(1);
    store.release_all();
    assert_eq!(answer(&mut socket).0, 201);
    running.stop().unwrap();
}

/// A publish that waits for room is not overtaken, and what is behind it is not handled.
#[test]
fn a_publish_that_waits_for_room_keeps_its_place() {
    let store = faulty();
    let retention = Retention::DEFAULT.with_max_messages(2);
    let config = HubConfig { retention, ..HubConfig::default() };
    // The second worker is the test.
    let hub = Hub::with_store(config, 2, store.clone());
    let (running, address) = serve(&hub);
    let full = channel(&hub, "a");
    let serves = || {
        let head = full.head();
        assert!(matches!(full.watch(head, head, Waiter::Worker(1)), Watch::Waiting(_)));
    };
    serves();
    store.always(RequestKind::Append, Some(Fault::HoldRequest));
    let requests = [post("a", "1"), post("a", "2"), post("a", "3"), post("b", "4"), post("a", "5")];
    let mut socket = ask(address, &requests.concat());
    store.wait_held(2);
    store.release_all();
    assert_eq!([number(&answer(&mut socket).2), number(&answer(&mut socket).2)], [1, 2]);
    assert_eq!(store.count(RequestKind::Append), 2, "the third waits, and the fourth is behind it");
    serves();
    let held = store.wait_held(3);
    assert_eq!(
        held.iter().map(|held| held.name.clone().unwrap()).collect::<Vec<_>>(),
        [name("a"), name("b"), name("a")]
    );
    store.release_all();
    assert_eq!([(); 3].map(|()| number(&answer(&mut socket).2)), [3, 1, 4]);
    assert_eq!(texts(&all(&full)), ["3", "5"]);
    running.stop().unwrap();
}

#[test]
fn publishes_in_flight_are_answered_when_the_server_stops() {
    let store = faulty();
    let hub = hub(&store);
    let (running, address) = serve(&hub);
    store.always(RequestKind::Append, Some(Fault::HoldAnswer));
    let mut socket = ask(address, &[post("a", "1"), post("b", "2"), post("a", "3")].concat());
    store.wait_held(3);
    running.stopper().stop();
    while !hub.is_stopped() {
        std::thread::yield_now();
    }
    // It is refused, or not read: it is not in the log.
    let _ = socket.write_all(post("a", "4").as_bytes());
    store.release_all();
    let answers = [(); 3].map(|()| answer(&mut socket));
    assert_eq!(
        answers.map(|(status, is_open, _)| (status, is_open)),
        [(201, true), (201, true), (201, false)]
    );
    running.stop().unwrap();
    assert_eq!(texts(&all(&channel(&hub, "a"))), ["1", "3"]);
}

/// A text message of a WebSocket client. Its mask is zero.
fn command(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 126);
    [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// Reads a short text message.
fn message(socket: &mut TcpStream) -> String {
    let mut head = [0; 2];
    socket.read_exact(&mut head).unwrap();
    let mut length = usize::from(head[1]);
    if length == 126 {
        let mut long = [0; 2];
        socket.read_exact(&mut long).unwrap();
        length = usize::from(u16::from_be_bytes(long));
    }
    let mut text = vec![0; length];
    socket.read_exact(&mut text).unwrap();
    assert_eq!(head[0], 0x81);
    String::from_utf8(text).unwrap()
}

#[test]
fn commands_that_publish_are_in_flight_together_and_answered_in_order() {
    let store = faulty();
    let hub = hub(&store);
    let (running, address) = serve(&hub);
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tidewire.v1\r\n";
    let request = format!("GET /c/quiet HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n");
    let mut socket = ask(address, &request);
    let mut byte = [0];
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(message(&mut socket).contains("hello"));
    // The third fails at once, and waits for its turn like the others. So does what follows them.
    // The fourth is held behind the first, because it is for the same log.
    for fault in [Fault::HoldRequest, Fault::HoldRequest, Fault::Fail] {
        store.plan(RequestKind::Append, fault);
    }
    let publish = |id: usize, channel: &str| {
        command(&format!(r#"{{"type":"publish","id":{id},"channel":"{channel}","data":"{id}"}}"#))
    };
    let commands = [
        publish(0, "a"),
        publish(1, "b"),
        publish(2, "c"),
        publish(3, "a"),
        command(r#"{"type":"unsubscribe","id":4,"channel":"quiet"}"#),
        command(r#"{"type":"nonsense","id":5}"#),
        publish(6, "a"),
    ];
    socket.write_all(&commands.concat()).unwrap();
    let held = store.wait_held(3);
    assert_eq!(store.count(RequestKind::Append), 4, "the last one is behind other commands");
    held.iter().rev().for_each(|held| release(&store, held.number));
    for (id, ack) in [true, true, false, true, true, false, true].into_iter().enumerate() {
        let object = message(&mut socket);
        let kind = if ack { "\"ack\"" } else { "\"error\"" };
        assert!(object.contains(kind) && object.contains(&format!("\"id\":{id}")), "{id}: {object}");
    }
    assert_eq!(texts(&all(&channel(&hub, "a"))), ["0", "3", "6"]);
    drop(socket);
    running.stop().unwrap();
}
