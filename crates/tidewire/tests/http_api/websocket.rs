//! WebSocket: the handshake, bare payloads, `tidewire.v1`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::common::{Post, Raw, Server, Ws, after, seq};
use crate::{get, json, post, sentence};

pub(crate) const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
pub(crate) const UPGRADE: &str =
    "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n";

/// Returns a connection after the handshake, to which a test can send any bytes.
pub(crate) fn switched(server: &Server, path: &str) -> Raw {
    let mut raw = server.raw();
    let answer = raw.send(get(path, &format!("{UPGRADE}{KEY}"))).response();
    assert_eq!(answer.status, 101, "{answer:?}");
    raw
}

/// Returns a client's frame: the first byte, and the masked payload.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    let mask = [1, 2, 3, 4];
    let masked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [first, 0x80 | payload.len() as u8].into_iter().chain(mask).chain(masked).collect()
}

fn data(server: &Server, channel: &str) -> Vec<String> {
    let poll = json(&server.raw().send(get(&format!("/c/{channel}"), "")).response());
    let text = |m: &Value| m["data"].as_str().or(m["data_b64"].as_str()).unwrap().to_owned();
    poll["messages"].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn the_handshake_of_rfc_6455() {
    let server = Server::start(&[]);
    let answer = server.raw().send(get("/c/h", &format!("{UPGRADE}{KEY}"))).response();
    assert_eq!(answer.status, 101);
    // The example of RFC 6455 §1.3.
    assert_eq!(answer.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    // With exactly these letters, because some clients compare the text.
    assert_eq!(answer.field("upgrade"), Some("websocket"));
    assert_eq!(answer.field("connection"), Some("Upgrade"));
    assert_eq!(
        (answer.field("sec-websocket-protocol"), answer.field("sec-websocket-extensions")),
        (None, None)
    );
    for (offered, chosen) in [
        ("tidewire.v1", Some("tidewire.v1")),
        ("chat, tidewire.v1", Some("tidewire.v1")),
        ("chat\r\nSec-WebSocket-Protocol: tidewire.v1", Some("tidewire.v1")),
        ("chat", None),
        ("TIDEWIRE.V1", None),
    ] {
        let fields = format!("{UPGRADE}{KEY}Sec-WebSocket-Protocol: {offered}\r\n");
        let answer = server.raw().send(get("/c/h", &fields)).response();
        assert_eq!((answer.status, answer.field("sec-websocket-protocol")), (101, chosen), "{offered}");
    }
}

/// Older Envoy, Mojo and others send `Content-Length: 0`. Pipelined bytes belong to the WebSocket,
/// as without the field.
#[test]
fn a_handshake_may_have_content_length_zero() {
    let server = Server::start(&[]);
    for (path, length) in [("/c/zero", "0"), ("/c/zeros", "00")] {
        let mut raw = server.raw();
        let head = get(path, &format!("{UPGRADE}{KEY}Content-Length: {length}\r\n"));
        raw.send([head.into_bytes(), frame(0x81, b"early")].concat());
        assert_eq!(raw.response().status, 101, "{length}");
        raw.send(frame(0x89, b"?"));
        assert!(raw.until(b"\x8a\x01?").len() < 100);
        assert_eq!(data(&server, &path[3..]), ["early"]);
    }
}

#[test]
fn a_handshake_that_is_wrong_is_refused_with_the_right_status() {
    let server = Server::start(&[]);
    let version = |version: &str| UPGRADE.replace("13", version) + KEY;
    let key = |key: &str| format!("{UPGRADE}Sec-WebSocket-Key: {key}\r\n");
    for (name, request, status) in [
        ("no key", get("/c/h", UPGRADE), 400),
        ("an empty key", get("/c/h", &key("")), 400),
        ("a key of 15 bytes", get("/c/h", &key("MTIzNDU2Nzg5MDEyMzQ1")), 400),
        ("a key that is no base64", get("/c/h", &key("!!!!!!!!!!!!!!!!!!!!!!==")), 400),
        ("two keys", get("/c/h", &format!("{UPGRADE}{KEY}{KEY}")), 400),
        ("version 8", get("/c/h", &version("8")), 426),
        ("no version", get("/c/h", &format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{KEY}")), 426),
        (
            "no Connection: upgrade",
            get("/c/h", &format!("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n{KEY}")),
            400,
        ),
        ("HTTP/1.0", get("/c/h", &format!("{UPGRADE}{KEY}")).replace("HTTP/1.1", "HTTP/1.0"), 400),
        ("a body", get("/c/h", &format!("{UPGRADE}{KEY}Content-Length: 5\r\n")) + "hello", 400),
        ("a signed length", get("/c/h", &format!("{UPGRADE}{KEY}Content-Length: +0\r\n")), 400),
        (
            "two lengths",
            get("/c/h", &format!("{UPGRADE}{KEY}Content-Length: 0\r\nContent-Length: 0\r\n")),
            400,
        ),
        (
            "a length and chunks",
            get("/c/h", &format!("{UPGRADE}{KEY}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"))
                + "0\r\n\r\n",
            400,
        ),
        ("chunks", get("/c/h", &format!("{UPGRADE}{KEY}Transfer-Encoding: chunked\r\n")) + "0\r\n\r\n", 400),
    ] {
        let mut raw = server.raw();
        let answer = raw.send(request).response();
        assert_eq!(answer.status, status, "{name}: {answer:?}");
        sentence(&answer);
        if status == 426 {
            assert_eq!(answer.field("sec-websocket-version"), Some("13"));
            assert_eq!(answer.field("upgrade"), Some("websocket"));
            assert_eq!(answer.field("connection"), Some("keep-alive, Upgrade"));
        }
    }
    let head = get("/c/h", &format!("{UPGRADE}{KEY}")).replace("GET", "HEAD");
    assert_eq!(server.raw().send(head).head_response().status, 405, "only a GET can be upgraded");
    // An upgrade to something else is no upgrade, and may be ignored (RFC 9110 §7.8).
    let other = get("/c/h", "Connection: Upgrade\r\nUpgrade: h2c\r\n");
    assert_eq!(server.raw().send(other).response().status, 200);
}

#[test]
fn a_bare_socket_carries_payloads_in_both_directions() {
    let server = Server::start(&[]);
    let (mut a, mut b) = (Ws::bare(&server, "/c/b"), Ws::bare(&server, "/c/b"));
    a.send(Message::text("text"));
    a.send(Message::binary(vec![0xff, 0x00]));
    b.send(Message::text(""));
    for socket in [&mut a, &mut b] {
        let mut got: Vec<Message> = (0..3).map(|_| socket.next()).collect();
        got.sort_by_key(Message::len);
        assert_eq!(got[0], Message::text(""), "the publisher is a reader too");
        assert_eq!(got[1], Message::binary(vec![0xff, 0x00]));
        assert_eq!(got[2], Message::text("text"));
    }
    // UTF-8 text that is published as binary is delivered as text.
    a.send(Message::binary(b"text".to_vec()));
    assert_eq!(b.next(), Message::text("text"));
    // Fragments are one message.
    a.send(Message::Frame(Frame::message("frag".as_bytes().to_vec(), OpCode::Data(Data::Text), false)));
    a.send(Message::Ping(b"between".to_vec().into()));
    a.send(Message::Frame(Frame::message("ments".as_bytes().to_vec(), OpCode::Data(Data::Continue), true)));
    assert_eq!(b.next(), Message::text("fragments"));
    let large = "0123456789".repeat(100_000);
    a.send(Message::text(large.clone()));
    assert_eq!(b.text(), large);
}

#[test]
fn a_refused_publish_closes_a_bare_socket() {
    let server = Server::start(&["--max-message", "100"]);
    let mut ws = Ws::bare(&server, "/c/e");
    ws.send(Message::text("x".repeat(101)));
    let (code, reason) = ws.closed();
    assert_eq!(code, 1009);
    assert!(reason.contains("limit is 100"), "{reason}");
    let mut ws = Ws::bare(&server, "/c/e,f");
    ws.send(Message::text("for whom?"));
    assert_eq!(ws.closed().0, 1008);
    assert!(data(&server, "e").is_empty());
}

#[test]
fn nothing_is_published_after_a_message_that_was_refused() {
    let server = Server::start(&["--max-message", "100"]);
    let mut raw = switched(&server, "/c/o");
    // In one write, so that the server has all of them at once.
    raw.send([frame(0x81, b"first"), frame(0x81, &[b'x'; 101]), frame(0x81, b"third")].concat());
    raw.rest();
    assert_eq!(
        data(&server, "o"),
        ["first"],
        "a publisher whose second message was refused has not sent a third"
    );
}

#[test]
fn pings_are_answered_and_the_close_is_echoed() {
    let server = Server::start(&[]);
    let mut raw = switched(&server, "/c/p");
    raw.send(frame(0x89, b"are you there"));
    assert_eq!(raw.exactly(15), [&[0x8a, 13], &b"are you there"[..]].concat());
    raw.send(frame(0x8a, b"an unasked pong"));
    // If several pings arrive in one read, at least the last one is answered.
    raw.send([frame(0x89, b"1"), frame(0x89, b"2"), frame(0x89, b"3")].concat());
    raw.until([0x8a, 1, b'3']);
    raw.send([frame(0x88, &[0x03, 0xe8, b'b', b'y', b'e']), frame(0x81, b"after the close")].concat());
    assert_eq!(raw.exactly(4), [0x88, 2, 0x03, 0xe8]);
    assert!(raw.rest().is_empty(), "and then the connection ends");
    assert!(data(&server, "p").is_empty(), "nothing is read after a close");
    let mut ws = Ws::bare(&server, "/c/p");
    ws.0.close(Some(CloseFrame { code: 4000.into(), reason: "mine".into() })).unwrap();
    assert_eq!(ws.closed().0, 4000);
}

#[test]
fn invalid_frames_close_the_connection_with_the_right_code() {
    let server = Server::start(&["--max-message", "1000"]);
    let unmasked = vec![0x81, 2, b'h', b'i'];
    for (name, bytes, code) in [
        ("not masked", unmasked, 1002),
        ("a reserved bit", frame(0xc1, b"x"), 1002),
        ("a reserved opcode", frame(0x83, b"x"), 1002),
        ("a fragmented ping", frame(0x09, b"x"), 1002),
        ("a ping of 126 bytes", vec![0x89, 0xfe, 0, 126], 1002),
        ("a continuation of nothing", frame(0x80, b"x"), 1002),
        ("a message within a message", [frame(0x01, b"x"), frame(0x81, b"y")].concat(), 1002),
        ("a length of more bytes than needed", vec![0x81, 0xfe, 0, 5, 1, 2, 3, 4], 1002),
        ("a length of 2^63", vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], 1002),
        ("a length of 2^62", vec![0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0], 1009),
        ("a length of 1 MiB", vec![0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0], 1009),
        ("no UTF-8", frame(0x81, &[0xff]), 1007),
        ("UTF-8 cut at the end", frame(0x81, &[0xe2, 0x82]), 1007),
        ("a surrogate", frame(0x81, &[0xed, 0xa0, 0x80]), 1007),
        ("no UTF-8 in a fragment", frame(0x01, &[0xc0]), 1007),
        ("a close of one byte", frame(0x88, &[3]), 1002),
        ("a close with 1005", frame(0x88, &[0x03, 0xed]), 1002),
        ("a close with 1006", frame(0x88, &[0x03, 0xee]), 1002),
        ("a close with 999", frame(0x88, &[0x03, 0xe7]), 1002),
        ("a close without UTF-8", frame(0x88, &[0x03, 0xe8, 0xff]), 1007),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), 1002),
    ] {
        for path in ["/c/x", "/c/x?bytewise"] {
            let mut raw = switched(&server, path);
            if path.ends_with("bytewise") {
                for byte in &bytes {
                    if !raw.offer([*byte]) {
                        break;
                    }
                }
            } else {
                raw.send(&bytes);
            }
            let close = raw.exactly(4);
            assert_eq!(close[0], 0x88, "{name}: {close:x?}");
            assert_eq!(u16::from_be_bytes([close[2], close[3]]), code, "{name}");
            raw.exactly(usize::from(close[1]) - 2);
            assert!(raw.rest().is_empty(), "{name}");
        }
    }
    assert!(data(&server, "x").is_empty());
}

#[test]
fn a_v1_socket_sends_hello_and_json_objects() {
    let server = Server::start(&[]);
    let first = Post::new("old").to(&server.address, "v");
    let mut ws = Ws::v1(&server, "/c/v");
    assert_eq!(ws.json(), json!({"type": "hello", "cursor": first}), "from now on");
    let mut replay = Ws::v1(&server, "/c/v?since=earliest");
    assert_eq!(replay.json()["type"], "hello");
    assert_eq!(replay.json()["data"], "old");
    Post::new([0xff]).event("e").content_type("a/b").to(&server.address, "v");
    let object = ws.json();
    let time = object["time"].clone();
    assert_eq!(
        object,
        json!({
            "type": "message", "cursor": after(&first, 1), "time": time, "event": "e",
            "content_type": "a/b", "data_b64": "/w=="
        })
    );
}

#[test]
fn a_v1_socket_publishes_and_gets_acknowledgements() {
    let server = Server::start(&["--max-message", "1000"]);
    let mut ws = Ws::v1(&server, "/c/mine");
    ws.json();
    // The publisher also gets its own message, before or after the acknowledgement.
    ws.say(json!({"type": "publish", "id": 1, "data": "here"}));
    let mut both = [ws.json(), ws.json()];
    both.sort_by_key(|object| object["type"].as_str().unwrap().to_owned());
    assert_eq!(both[0], json!({"type": "ack", "id": 1, "cursor": both[1]["cursor"]}));
    assert_eq!(both[1]["data"], "here");
    // To another channel, with all parameters. Any JSON value may be the id, and it is returned
    // unchanged.
    let mut place = String::new();
    for (n, id) in [json!("text"), json!(1.5), json!({"a": [1, null]}), json!(true)].into_iter().enumerate() {
        ws.say(json!({
            "type": "publish", "id": id, "channel": "other", "event": "e", "content_type": "a/b",
            "data_b64": "/wA=", "key": "k"
        }));
        let ack = ws.json();
        place = if n == 0 { ack["cursor"].as_str().unwrap().to_owned() } else { place };
        let mut expected = json!({"type": "ack", "id": id, "cursor": place});
        if n > 0 {
            expected["duplicate"] = true.into();
        }
        assert_eq!(ack, expected, "one key, one message");
    }
    ws.say(json!({"type": "publish", "channel": "other", "data": "no id"}));
    assert_eq!(ws.json(), json!({"type": "ack", "cursor": after(&place, 1)}));
    let poll = json(&server.raw().send(get("/c/other", "")).response());
    assert_eq!(poll["messages"].as_array().unwrap().len(), 2);
    assert_eq!(poll["messages"][0]["content_type"], "a/b");
    assert_eq!(
        (&poll["messages"][0]["event"], &poll["messages"][0]["data_b64"]),
        (&json!("e"), &json!("/wA="))
    );
}

#[test]
fn a_refused_command_is_an_error_and_the_socket_stays_open() {
    let server = Server::start(&["--max-message", "1000"]);
    let mut ws = Ws::v1(&server, "/c/e");
    ws.json();
    let long = "x".repeat(1_001);
    for (command, status) in [
        (json!({"type": "publish", "id": 7, "channel": "a//b", "data": "x"}), 400),
        (json!({"type": "publish", "id": 7, "channel": "", "data": "x"}), 400),
        (json!({"type": "publish", "id": 7}), 400),
        (json!({"type": "publish", "id": 7, "data": "x", "data_b64": "eA=="}), 400),
        (json!({"type": "publish", "id": 7, "data_b64": "eA"}), 400),
        (json!({"type": "publish", "id": 7, "data_b64": "?"}), 400),
        (json!({"type": "publish", "id": 7, "data": "x", "event": "gap"}), 400),
        (json!({"type": "publish", "id": 7, "data": "x", "event": "a\nb"}), 400),
        (json!({"type": "publish", "id": 7, "data": "x", "key": "k".repeat(129)}), 400),
        (json!({"type": "publish", "id": 7, "data": long}), 413),
        (json!({"type": "subscribe", "id": 7, "channel": "a,b"}), 400),
        (json!({"type": "subscribe", "id": 7, "channel": "b", "since": "nonsense"}), 400),
        (json!({"type": "subscribe", "id": 7, "channel": "e"}), 409),
        (json!({"type": "unsubscribe", "id": 7, "channel": "f"}), 404),
    ] {
        ws.say(command.clone());
        let error = ws.json();
        assert_eq!(
            (&error["type"], &error["id"], &error["status"]),
            (&json!("error"), &json!(7), &json!(status)),
            "{command}"
        );
        assert!(
            error["title"].as_str().unwrap().len() > 2 && error["detail"].as_str().unwrap().ends_with('.'),
            "{error}"
        );
    }
    // A text that is no command has no id, and an id that is too long is not returned.
    for text in [
        "",
        "x",
        "{}",
        "[]",
        "null",
        "{\"type\":\"dance\"}",
        "{\"type\":7}",
        "{\"type\":\"publish\",\"data\":7}",
        "{\"type\":\"subscribe\"}",
        "[\"subscribe\",\"e\"]",
        "{\"type\":\"publish\",\"type\":\"subscribe\",\"channel\":\"b\",\"data\":\"x\"}",
        &json!({"type": "publish", "id": "7".repeat(1_023), "data": "x"}).to_string(),
    ] {
        ws.send(Message::text(text));
        let error = ws.json();
        assert_eq!((&error["status"], error.get("id")), (&json!(400), None), "{text:?}");
    }
    // Deep nesting must not overflow the stack.
    ws.send(Message::text("[".repeat(2_000)));
    assert_eq!(ws.json()["status"], 400);
    ws.send(Message::binary(b"{}".to_vec()));
    assert_eq!(ws.json()["status"], 400, "commands are text");
    assert!(data(&server, "e").is_empty());
    // The socket still works.
    Post::new("alive").to(&server.address, "e");
    assert_eq!(ws.json()["data"], "alive");
}

#[test]
fn a_v1_socket_subscribes_to_and_unsubscribes_from_channels() {
    let server = Server::start(&[]);
    let a1 = Post::new("a1").to(&server.address, "a");
    let b1 = Post::new("b1").to(&server.address, "b");
    let mut ws = Ws::v1(&server, "/c/a");
    assert_eq!(ws.json()["cursor"], a1);
    let publish = |channel: &str, text: &str| Post::new(text).to(&server.address, channel);

    // The new channel starts at its earliest message. From here on, messages name their channel,
    // and the cursor is the position in both.
    ws.say(json!({"type": "subscribe", "id": "s", "channel": "b", "since": "earliest"}));
    let hello = ws.json();
    assert_eq!((&hello["type"], &hello["channel"]), (&json!("hello"), &json!("b")));
    assert_eq!(ws.json(), json!({"type": "ack", "id": "s", "cursor": hello["cursor"]}));
    let message = ws.json();
    assert_eq!((&message["channel"], &message["data"]), (&json!("b"), &json!("b1")));
    assert_eq!(message["cursor"], format!("{a1}.{b1}"));
    publish("a", "a2");
    let message = ws.json();
    assert_eq!((&message["channel"], &message["data"]), (&json!("a"), &json!("a2")));
    let both = message["cursor"].as_str().unwrap().to_owned();

    // Unsubscribe from one of two.
    ws.say(json!({"type": "unsubscribe", "id": "u", "channel": "a"}));
    assert_eq!(ws.json(), json!({"type": "ack", "id": "u", "cursor": b1}));
    publish("a", "a3, which nobody here wants");
    let b2 = publish("b", "b2");
    let message = ws.json();
    assert_eq!(
        (&message["data"], &message["cursor"], &message["channel"]),
        (&json!("b2"), &json!(b2), &Value::Null)
    );

    // Unsubscribe from the last one, and subscribe again from its position.
    ws.say(json!({"type": "unsubscribe", "channel": "b"}));
    assert_eq!(ws.json()["type"], "ack");
    publish("b", "b3");
    ws.say(json!({"type": "subscribe", "channel": "b", "since": b2}));
    assert_eq!(ws.json()["type"], "hello");
    assert_eq!(ws.json()["data"], "b3");

    // The cursor of both channels works on another feed.
    let poll = json(&server.raw().send(get(&format!("/c/a,b?since={both}"), "")).response());
    let data: Vec<_> = poll["messages"].as_array().unwrap().iter().map(|m| m["data"].clone()).collect();
    assert_eq!(data, ["a3, which nobody here wants", "b2", "b3"]);
}

#[test]
fn a_v1_socket_gets_reports_of_gaps_in_new_channels() {
    let server = Server::start(&["--retain-messages", "2"]);
    let first = Post::new("1").to(&server.address, "g");
    for n in 2..=5 {
        Post::new(n.to_string()).to(&server.address, "g");
    }
    for (since, kind) in [(&*first, "gap"), ("zzz-1", "reset")] {
        let mut ws = Ws::v1(&server, "/c/home");
        ws.json();
        ws.say(json!({"type": "subscribe", "channel": "g", "since": since}));
        assert_eq!(ws.json()["type"], "hello");
        let report = ws.json();
        assert_eq!(report["type"], kind);
        if kind == "gap" {
            assert_eq!(report["missed"], 2);
        }
        assert_eq!(report["cursor"].as_str().unwrap().rsplit('.').next().map(seq), Some(3));
        assert_eq!((&ws.json()["data"], &ws.json()["data"]), (&json!("4"), &json!("5")));
    }
}

#[test]
fn a_v1_socket_has_at_most_sixteen_channels() {
    let server = Server::start(&[]);
    let mut ws = Ws::v1(&server, "/c/c0");
    ws.json();
    for n in 1..=16 {
        ws.say(json!({"type": "subscribe", "channel": format!("c{n}")}));
        let answer = ws.json();
        assert_eq!(answer["type"], if n < 16 { "hello" } else { "error" }, "{n}: {answer}");
    }
    for n in 0..16 {
        Post::new(n.to_string()).to(&server.address, &format!("c{n}"));
        let message = ws.json();
        assert_eq!((&message["data"], &message["channel"]), (&json!(n.to_string()), &json!(format!("c{n}"))));
    }
}

#[test]
fn a_silent_socket_is_pinged_and_closed_if_it_does_not_answer() {
    let server = Server::start(&["--heartbeat", "1"]);
    let mut answers = Ws::bare(&server, "/c/p");
    // The library answers pings while the test reads from it.
    let answers = std::thread::spawn(move || answers.text());
    let mut silent = switched(&server, "/c/p");
    let start = Instant::now();
    let got = silent.rest();
    assert!(
        got.chunks(2).all(|ping| ping == [0x89, 0]) && got.len() >= 4,
        "its pings, and then an end: {got:x?}"
    );
    let took = start.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(25)).contains(&took), "{took:?}");
    Post::new("still here").to(&server.address, "p");
    assert_eq!(answers.join().unwrap(), "still here");
}

#[test]
fn a_connection_that_is_closed_without_a_close_frame_is_freed() {
    let server = Server::start(&[]);
    Post::new("x").to(&server.address, "l");
    let before = server.descriptors();
    for _ in 0..50 {
        drop(switched(&server, "/c/l"));
        drop(Ws::v1(&server, "/c/l"));
    }
    server.settle(before);
    assert_eq!(server.raw().send(post("/c/l", "", "y")).response().status, 201);
}
