//! `POST /c/NAME`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::common::{Post, Raw, Server, Ws, eventually, seq};
use crate::{get, json, post, sentence};

fn messages(raw: &mut Raw, channel: &str) -> Vec<Value> {
    let answer = raw.send(get(&format!("/c/{channel}"), "")).response();
    json(&answer)["messages"].as_array().unwrap().clone()
}

#[test]
fn a_publish_is_answered_with_its_cursor() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    let answer = raw.send(post("/c/demo", "", "hello")).response();
    assert_eq!((answer.status, answer.field("content-type")), (201, Some("application/json")));
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    let cursor = answer.field("tidewire-cursor").unwrap().to_owned();
    assert_eq!(json(&answer), json!({ "cursor": cursor }));
    assert_eq!(seq(&cursor), 1);
    assert!(cursor.len() <= 64 && cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
    let [message] = &messages(&mut raw, "demo")[..] else { panic!("not one message") };
    let time = message["time"].as_u64().unwrap();
    assert!(time > 1_700_000_000_000, "milliseconds since 1970: {time}");
    assert_eq!(
        *message,
        json!({"type": "message", "cursor": cursor, "time": time, "data": "hello"}),
        "and nothing else"
    );
}

#[test]
fn readers_get_the_event_name_and_the_media_type_of_a_message() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    for (path, fields, event, content_type) in [
        (
            "/c/t?event=news",
            "Content-Type: text/plain; charset=utf-8\r\n",
            json!("news"),
            json!("text/plain; charset=utf-8"),
        ),
        ("/c/t?event=two%20words+%C3%A9", "", json!("two words é"), Value::Null),
        // The default of some clients.
        ("/c/t", "Content-Type: application/x-www-form-urlencoded\r\n", Value::Null, Value::Null),
        ("/c/t", "", Value::Null, Value::Null),
    ] {
        assert_eq!(raw.send(post(path, fields, "x")).response().status, 201);
        let last = messages(&mut raw, "t").pop().unwrap();
        assert_eq!((&last["event"], &last["content_type"]), (&event, &content_type), "{path}");
    }
}

#[test]
fn event_names_that_a_stream_cannot_carry_are_refused() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    let long = "n".repeat(129);
    // An `EventSource` dispatches `open` and `error` itself. The server sends all the others.
    let reserved = [
        "gap",
        "reset",
        "hello",
        "envelope",
        "open",
        "error",
        "end",
        "deleted",
        "expired",
        "upload-end",
        "up%6Coad-aborted",
    ];
    for event in ["", "a%0Ab", "a%0Db", "a%00b", "%ff", &long].into_iter().chain(reserved) {
        let answer = raw.send(post(&format!("/c/e?event={event}"), "", "x")).response();
        assert_eq!(answer.status, 400, "{event}");
        sentence(&answer);
    }
    assert!(messages(&mut raw, "e").is_empty());
    let mut ws = Ws::v1(&server, "/c/e");
    ws.json();
    for event in reserved.iter().filter(|event| !event.contains('%')) {
        ws.say(json!({"type": "publish", "id": 1, "data": "x", "event": event}));
        let error = ws.json();
        assert_eq!((&error["type"], &error["status"]), (&json!("error"), &json!(400)), "{event}");
        assert!(error["detail"].as_str().unwrap().contains("reserved"), "{error}");
    }
    assert!(messages(&mut raw, "e").is_empty());
    // `message` is the type of an event without a name. Names are case-sensitive.
    for event in ["message", "Error", "OPEN", "errors"] {
        assert_eq!(raw.send(post(&format!("/c/e?event={event}"), "", "x")).response().status, 201, "{event}");
    }
}

#[test]
fn an_idempotency_key_appends_once() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    let first = raw.send(post("/c/i", "Idempotency-Key: k-1\r\n", "one")).response();
    assert_eq!(first.status, 201);
    // The same publish again: on the same connection, on another one, and in chunks.
    let again = [
        raw.send(post("/c/i", "Idempotency-Key: k-1\r\n", "one")).response(),
        server.raw().send(post("/c/i", "Idempotency-Key: k-1\r\n", "one")).response(),
        raw.send(
            "POST /c/i HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k-1\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\none\r\n0\r\n\r\n",
        )
        .response(),
    ];
    for answer in again {
        assert_eq!(answer.status, 200);
        assert_eq!(json(&answer), json!({"cursor": json(&first)["cursor"], "duplicate": true}));
        assert_eq!(answer.field("tidewire-cursor"), first.field("tidewire-cursor"));
    }
    // A key belongs to one channel. Another key is another message.
    assert_eq!(raw.send(post("/c/j", "Idempotency-Key: k-1\r\n", "one")).response().status, 201);
    assert_eq!(raw.send(post("/c/i", "Idempotency-Key: k-2\r\n", "two")).response().status, 201);
    assert_eq!(messages(&mut raw, "i").len(), 2);
    let answer = raw.send(post("/c/i", &format!("Idempotency-Key: {}\r\n", "k".repeat(129)), "x")).response();
    assert_eq!(answer.status, 400);
    sentence(&answer);
}

#[test]
fn a_key_sent_on_many_connections_at_once_appends_once() {
    let server = Server::start(&["--threads", "2"]);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let mut raw = server.raw();
            std::thread::spawn(move || {
                (0..50)
                    .map(|n| {
                        let fields = format!("Idempotency-Key: key-{n}\r\n");
                        let answer = raw.send(post("/c/race", &fields, "x")).response();
                        (n, answer.status, answer.field("tidewire-cursor").unwrap().to_owned())
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let answers: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert_eq!(answers.iter().filter(|(_, status, _)| *status == 201).count(), 50);
    let places: BTreeSet<_> = answers.iter().map(|(n, _, cursor)| (n, cursor)).collect();
    assert_eq!(places.len(), 50, "all publishes of a key got the same cursor");
    assert_eq!(messages(&mut server.raw(), "race").len(), 50);
}

#[test]
fn a_message_over_the_limit_is_refused_in_every_framing() {
    let server = Server::start(&["--max-message", "1000"]);
    let mut raw = server.raw();
    assert_eq!(raw.send(post("/c/m", "", &"x".repeat(1_000))).response().status, 201);
    let answer = raw.send(post("/c/m", "", &"x".repeat(1_001))).response();
    assert_eq!(answer.status, 413);
    assert!(sentence(&answer).contains("1000"), "the limit is named");
    // With a declared length: refused before its first byte.
    let declared = "POST /c/m HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n";
    assert_eq!(server.raw().send(declared).response().status, 413);
    // In chunks: refused as soon as the limit is exceeded.
    let chunk = format!("190\r\n{}\r\n", "x".repeat(400));
    let mut raw = server.raw();
    raw.send("POST /c/m HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    raw.send(chunk.repeat(3));
    let answer = raw.response();
    assert_eq!(answer.status, 413);
    sentence(&answer);
    // With Expect: refused without the body.
    let asked = "POST /c/m HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(server.raw().send(asked).response().status, 413);
    assert_eq!(messages(&mut server.raw(), "m").len(), 1);
}

#[test]
fn a_large_upload_that_is_refused_still_gets_its_answer() {
    // Like most clients, this one sends the whole body before it reads the answer.
    let server = Server::start(&[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for _ in 0..5 {
            let body = vec![b'x'; 8 * 1024 * 1024];
            let sent = crate::common::feeds::client().post(server.url("/c/big")).body(body).send().await;
            assert_eq!(sent.expect("an answer, not a reset").status(), 413);
        }
    });
}

#[test]
fn an_incomplete_message_is_not_published() {
    let server = Server::start(&[]);
    for half in [
        "POST /c/half HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
        "POST /c/half HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "POST /c/half HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
    ] {
        let mut raw = server.raw();
        raw.send(half).half_close().rest();
    }
    assert!(messages(&mut server.raw(), "half").is_empty());
    Post::new("whole").to(&server.address, "half");
    eventually("the whole one", || messages(&mut server.raw(), "half").len() == 1);
}

#[test]
fn a_publish_to_several_channels_is_refused() {
    let server = Server::start(&[]);
    let answer = server.raw().send(post("/c/a,b", "", "x")).response();
    assert_eq!(answer.status, 400);
    sentence(&answer);
    assert!(messages(&mut server.raw(), "a").is_empty());
}

#[test]
fn a_client_that_expects_100_continue_gets_it() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    raw.send("POST /c/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(raw.response().status, 100);
    assert_eq!(raw.send("hello").response().status, 201);
}

#[test]
fn publishes_are_pipelined_in_order() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    let chunked = "POST /c/p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n2\r\n0\r\n\r\n";
    raw.send([&post("/c/p", "", "1"), chunked, &post("/c/p", "", "3"), &get("/c/p", "")].concat());
    for n in 1..=3 {
        assert_eq!(seq(raw.response().field("tidewire-cursor").unwrap()), n);
    }
    let poll = json(&raw.response());
    let data: Vec<_> = poll["messages"].as_array().unwrap().iter().map(|m| m["data"].clone()).collect();
    assert_eq!(data, ["1", "2", "3"]);
}

/// RFC 9110 §8.4: otherwise the server would store compressed bytes with the media type of the
/// original.
#[test]
fn a_body_in_a_content_coding_is_refused() {
    let server = Server::start(&["--allow-origin", "https://app.example"]);
    let mut raw = server.raw();
    let put = |fields: &str| post("/c/coded", fields, "x").replacen("POST", "PUT", 1);
    for coded in [
        "Content-Encoding: gzip\r\n",
        "content-encoding: GZIP\r\n",
        "Content-Encoding: x-gzip\r\n",
        "Content-Encoding: deflate\r\n",
        "Content-Encoding: br, identity\r\n",
        "Content-Encoding: identity\r\nContent-Encoding: zstd\r\n",
        "Content-Encoding: ,gzip,\r\n",
        "Content-Encoding: chunked\r\n",
        "Content-Encoding: \"gzip\"\r\n",
        "Content-Encoding: identity;q=1\r\n",
    ] {
        for request in [post("/c/coded", coded, "x"), put(coded)] {
            let answer = raw.send(request).response();
            assert_eq!(answer.status, 415, "{coded}");
            // RFC 9110 §15.5.16, §12.5.3: the codings that the server accepts.
            assert_eq!(answer.field("accept-encoding"), Some("identity"), "{coded}");
            assert!(sentence(&answer).contains("Content-Encoding"), "{coded}");
        }
    }
    // A page can read the refusal too. A client with Expect need not send the body.
    let cross = "Origin: https://app.example\r\nContent-Encoding: gzip\r\n";
    let answer = raw.send(post("/c/coded", cross, "x")).response();
    assert_eq!(
        (answer.status, answer.field("access-control-allow-origin")),
        (415, Some("https://app.example"))
    );
    for method in ["POST", "PUT"] {
        let asked = format!(
            "{method} /c/coded HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 2000\r\n\
             Expect: 100-continue\r\n\r\n"
        );
        assert_eq!(server.raw().send(asked).response().status, 415, "{method}");
    }
    assert!(messages(&mut server.raw(), "coded").is_empty());
    // Several spellings of no coding.
    for plain in [
        "Content-Encoding: identity\r\n",
        "Content-Encoding: Identity, identity\r\n",
        "Content-Encoding: \r\n",
        "Content-Encoding: , ,\r\n",
        "Content-Encoding: identity\r\nContent-Encoding: ,identity\r\n",
    ] {
        for request in [post("/c/plain", plain, "x"), put(plain)] {
            assert_eq!(server.raw().send(request).response().status, 201, "{plain}");
        }
    }
}

/// With two values, two recipients could disagree about which one is valid.
#[test]
fn repeated_content_type_and_idempotency_key_fields_are_refused() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    for fields in [
        "Content-Type: text/html\r\nContent-Type: text/plain\r\n",
        "Content-Type: text/plain\r\nContent-Type: text/plain\r\n",
        "Idempotency-Key: a\r\nIdempotency-Key: b\r\n",
    ] {
        let answer = raw.send(post("/c/once", fields, "x")).response();
        assert_eq!(answer.status, 400, "{fields}");
        sentence(&answer);
        let answer = raw.send(post("/c/once", fields, "x").replacen("POST", "PUT", 1)).response();
        assert_eq!(answer.status, 400, "PUT {fields}");
    }
    let not_utf8 = post("/c/once", "Content-Type: text/?\r\n", "x").replace('?', "\0").into_bytes();
    let not_utf8: Vec<u8> = not_utf8.into_iter().map(|b| if b == 0 { 0xe9 } else { b }).collect();
    assert_eq!(raw.send(not_utf8).response().status, 400, "it could not be passed on unchanged");
    assert!(messages(&mut raw, "once").is_empty());
    // RFC 9110 §14.4: Content-Range has no meaning in a POST. The server ignores the other two
    // fields too.
    for fields in
        ["Content-Range: bytes 0-0/2\r\n", "Content-Digest: sha-256=:AAAA:\r\n", "Content-Location: /a\r\n"]
    {
        assert_eq!(raw.send(post("/c/more", fields, "x")).response().status, 201, "{fields}");
    }
}

/// An attacker who guesses a key must not be able to suppress another client's message.
#[test]
fn a_key_is_bound_to_its_message() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    let mut send = |path: &str, fields: &str, body: &str| {
        raw.send(post(path, &format!("Idempotency-Key: k\r\n{fields}"), body)).response()
    };
    let json_type = "Content-Type: application/json\r\n";
    assert_eq!(send("/c/bound?event=a", json_type, "1").status, 201);
    assert_eq!(send("/c/bound?event=a", json_type, "1").status, 200);
    for (path, fields, body) in [
        ("/c/bound?event=a", json_type, "2"),
        ("/c/bound?event=a", json_type, ""),
        ("/c/bound?event=b", json_type, "1"),
        ("/c/bound", json_type, "1"),
        ("/c/bound?event=a", "", "1"),
        ("/c/bound?event=a", "Content-Type: application/jso\r\n", "n1"),
        ("/c/bound?event=aapplication/json", "", "1"),
    ] {
        let answer = send(path, fields, body);
        assert_eq!(answer.status, 422, "{path} {fields} {body}");
        assert!(sentence(&answer).contains("Idempotency-Key"), "{answer:?}");
        assert_eq!(answer.field("tidewire-cursor"), None, "a refusal has no cursor");
    }
    assert_eq!(send("/c/bound?event=a", json_type, "1").status, 200, "the first one stands");
    assert_eq!(send("/c/other", "", "2").status, 201, "a key is of its channel");
    // `tidewire.v1` says the same.
    let mut ws = Ws::v1(&server, "/c/bound");
    ws.json();
    ws.say(json!({"type": "publish", "id": 9, "event": "a", "data": "1", "key": "k"}));
    let error = ws.json();
    assert_eq!((&error["type"], &error["id"], &error["status"]), (&json!("error"), &json!(9), &json!(422)));
    assert!(error["detail"].as_str().unwrap().contains("another message"), "{error}");
    let content_type = "application/json";
    ws.say(json!({
        "type": "publish", "id": 10, "event": "a", "content_type": content_type, "data": "1", "key": "k"
    }));
    assert_eq!(ws.json()["type"], "ack", "the same message over another transport");
    assert_eq!(messages(&mut server.raw(), "bound").len(), 1);
}
