//! Commands of `tidewire.v1` at the same time as messages, other commands and a close.

use serde_json::{Value, json};

use crate::common::{Post, Raw, Server, Ws, after};
use crate::get;
use crate::websocket::{KEY, UPGRADE, frame};

/// Subscribes and unsubscribes while messages are published. Each channel still delivers every
/// message once and in order.
#[test]
fn channels_can_be_changed_under_load() {
    let server = Server::start(&["--retain-messages", "100000", "--threads", "2"]);
    let address = server.address.clone();
    let publisher = std::thread::spawn(move || {
        let mut raw = Raw::connect(address.as_str());
        for n in 1..=600 {
            for channel in ["x", "y"] {
                Post::new(n.to_string()).on(&mut raw, channel);
            }
        }
    });
    let mut ws = Ws::v1(&server, "/c/x?since=earliest");
    ws.json();
    let (mut x, mut y, mut y_cursor, mut has_y) = (0, 0, "earliest".to_owned(), false);
    // Any number of messages may arrive between a command and its answer.
    let mut asked = false;
    while x < 600 || y < 600 {
        if !asked && !has_y && (x % 20 == 0 || x == 600) {
            ws.say(json!({"type": "subscribe", "channel": "y", "since": y_cursor}));
            asked = true;
        }
        let object = ws.json();
        match object["type"].as_str().unwrap() {
            "message" => {
                let n: u64 = object["data"].as_str().unwrap().parse().unwrap();
                let is_y = object["channel"] == "y";
                let seen = if is_y { &mut y } else { &mut x };
                assert_eq!(n, *seen + 1, "{object}");
                *seen = n;
                if is_y {
                    let cursor = object["cursor"].as_str().unwrap().split('.').nth(1).unwrap();
                    assert!(y_cursor == "earliest" || cursor == after(&y_cursor, 1), "{object}");
                    y_cursor = cursor.to_owned();
                }
                if !asked && is_y && n.is_multiple_of(50) && n < 600 {
                    ws.say(json!({"type": "unsubscribe", "id": "u", "channel": "y"}));
                    asked = true;
                }
            }
            "hello" => (has_y, asked) = (true, false),
            "ack" => (has_y, asked) = (false, false),
            _ => panic!("{object}"),
        }
    }
    publisher.join().unwrap();
}

/// Splits bytes into the frames of a server. Returns the first byte and the payload of each.
fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, len, rest @ ..] = bytes {
        let (len, rest) = match (len, rest) {
            (126, [a, b, rest @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), rest),
            (len, rest) => (usize::from(*len), rest),
        };
        frames.push((*first, rest[..len].to_vec()));
        bytes = &rest[len..];
    }
    frames
}

/// The server carries out and answers the commands before a close frame, then answers the close
/// frame, and sends nothing after it (RFC 6455 §5.5.1). All of them arrive at once.
#[test]
fn commands_before_a_close_are_answered_before_it() {
    let server = Server::start(&[]);
    Post::new("kept").to(&server.address, "two");
    let mut raw = server.raw();
    let fields = format!("{UPGRADE}{KEY}Sec-WebSocket-Protocol: tidewire.v1\r\n");
    assert_eq!(raw.send(get("/c/one", &fields)).response().status, 101);
    let command = |object: Value| frame(0x81, object.to_string().as_bytes());
    raw.send(
        [
            command(json!({"type": "subscribe", "id": 1, "channel": "two", "since": "earliest"})),
            command(json!({"type": "publish", "id": 2, "channel": "three", "data": "x"})),
            command(json!({"type": "dance", "id": 3})),
            frame(0x88, &1000_u16.to_be_bytes()),
        ]
        .concat(),
    );
    let mut got = Vec::new();
    for (first, payload) in frames(&raw.rest()) {
        match first {
            0x88 => got.push("close".to_owned()),
            _ => {
                let object: Value = serde_json::from_slice(&payload).unwrap();
                got.push(format!("{} {}", object["type"].as_str().unwrap(), object["id"]));
            }
        }
    }
    got.retain(|one| one != "heartbeat null");
    assert_eq!(got.last().map(|one| &**one), Some("close"), "{got:?}");
    got.retain(|one| one != "message null");
    assert_eq!(got, ["hello null", "hello null", "ack 1", "ack 2", "error 3", "close"]);
}
