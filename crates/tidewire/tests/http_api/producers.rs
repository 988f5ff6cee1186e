//! Producers: messages with numbers.

use serde_json::json;

use crate::channels::{refused, request};
use crate::common::{Server, Ws};
use crate::names::messages;
use crate::{json, post, sentence};

fn producer(id: &str, epoch: u64, seq: u64) -> String {
    format!("Producer-Id: {id}\r\nProducer-Epoch: {epoch}\r\nProducer-Seq: {seq}\r\n")
}

#[test]
fn a_producer_appends_each_number_once_and_in_order() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    let mut send =
        |epoch, seq, body: &str| raw.send(post("/c/p", &producer("meter 7", epoch, seq), body)).response();
    refused(&send(3, 1, "early"), 400, json!({"reason": "producer-start"}));
    let first = send(3, 0, "a");
    assert_eq!((first.status, json(&first).get("duplicate")), (201, None));
    assert_eq!(send(3, 1, "b").status, 201);
    refused(&send(3, 3, "d"), 409, json!({"reason": "producer-gap", "expected": 2}));
    let third = json(&send(3, 2, "c"));
    // Any number up to the last one is a repeat. The cursor is that of the last one.
    for seq in 0..3 {
        let repeat = send(3, seq, "again");
        assert_eq!(repeat.status, 200);
        assert_eq!(json(&repeat), json!({"cursor": third["cursor"], "duplicate": true}));
    }
    refused(&send(4, 5, "e"), 400, json!({"reason": "producer-start"}));
    assert_eq!(send(4, 0, "d").status, 201);
    refused(&send(3, 3, "old"), 403, json!({"reason": "producer-fenced", "epoch": 4}));
    // Another producer, another channel.
    assert_eq!(raw.send(post("/c/p", &producer("other", 0, 0), "e")).response().status, 201);
    assert_eq!(raw.send(post("/c/q", &producer("meter 7", 0, 0), "f")).response().status, 201);
    let data: Vec<_> = messages(&mut raw, "p").iter().map(|message| message["data"].clone()).collect();
    assert_eq!(data, ["a", "b", "c", "d", "e"]);
    // Over `tidewire.v1`: the same producer goes on.
    let mut ws = Ws::v1(&server, "/c/elsewhere");
    ws.json();
    let mut say = |epoch: u64, seq: u64| {
        let producer = json!({"id": "meter 7", "epoch": epoch, "seq": seq});
        ws.say(json!({"type": "publish", "id": 1, "channel": "p", "data": "g", "producer": producer}));
        ws.json()
    };
    assert_eq!(say(4, 0)["duplicate"], true);
    assert_eq!(say(4, 1)["type"], "ack");
    let gap = say(4, 3);
    assert_eq!(
        [&gap["status"], &gap["reason"], &gap["expected"]],
        [&json!(409), &json!("producer-gap"), &json!(2)]
    );
    let fenced = say(3, 9);
    assert_eq!(
        [&fenced["status"], &fenced["reason"], &fenced["epoch"]],
        [&json!(403), &json!("producer-fenced"), &json!(4)]
    );
    // With the close.
    let last = raw.send(post("/c/p?close=1", &producer("meter 7", 4, 2), "h")).response();
    assert_eq!((last.status, &json(&last)["closed"]), (201, &json!(true)));
    let again = raw.send(post("/c/p?close=1", &producer("meter 7", 4, 2), "h")).response();
    assert_eq!((again.status, &json(&again)["duplicate"]), (200, &json!(true)));
}

#[test]
fn the_fields_of_a_producer_are_checked() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    let long = "n".repeat(129);
    for fields in [
        "Producer-Id: a\r\n".to_owned(),
        "Producer-Id: a\r\nProducer-Epoch: 0\r\n".to_owned(),
        "Producer-Epoch: 0\r\nProducer-Seq: 0\r\n".to_owned(),
        "Producer-Id: \r\nProducer-Epoch: 0\r\nProducer-Seq: 0\r\n".to_owned(),
        "Producer-Id: a\tb\r\nProducer-Epoch: 0\r\nProducer-Seq: 0\r\n".to_owned(),
        "Producer-Id: é\r\nProducer-Epoch: 0\r\nProducer-Seq: 0\r\n".to_owned(),
        "Producer-Id: a\r\nProducer-Epoch: -1\r\nProducer-Seq: 0\r\n".to_owned(),
        "Producer-Id: a\r\nProducer-Epoch: 0\r\nProducer-Seq: 0.0\r\n".to_owned(),
        "Producer-Id: a\r\nProducer-Epoch: \r\nProducer-Seq: 0\r\n".to_owned(),
        format!("{}Producer-Seq: 0\r\n", producer("a", 0, 0)),
        format!("{}Idempotency-Key: k\r\n", producer("a", 0, 0)),
        producer("a", 1 << 53, 0),
        producer("a", 0, 1 << 53),
        producer("a", u64::MAX, 0).replace(&u64::MAX.to_string(), "99999999999999999999"),
        producer(&long, 0, 0),
    ] {
        let answer = raw.send(post("/c/p", &fields, "x")).response();
        assert_eq!(answer.status, 400, "{fields}");
        sentence(&answer);
    }
    let mut ws = Ws::v1(&server, "/c/p");
    ws.json();
    for producer in [
        json!({}),
        json!("a"),
        json!({"id": "a", "epoch": 0}),
        json!({"id": "", "epoch": 0, "seq": 0}),
        json!({"id": "a", "epoch": -1, "seq": 0}),
        json!({"id": "a", "epoch": 0, "seq": 0.5}),
        json!({"id": "a", "epoch": 0, "seq": 1_u64 << 53}),
        json!({"id": long, "epoch": 0, "seq": 0}),
    ] {
        ws.say(json!({"type": "publish", "id": 1, "data": "x", "producer": producer}));
        assert_eq!(ws.json()["status"], 400, "{producer}");
    }
    ws.say(json!({
        "type": "publish", "id": 1, "data": "x", "key": "k", "producer": {"id": "a", "epoch": 0, "seq": 0}
    }));
    assert_eq!(ws.json()["status"], 400);
    assert!(messages(&mut raw, "p").is_empty());
    // An upload has no producer: its pieces are not one message.
    let upload = raw.send(request("PUT", "/c/p", &producer("a", 0, 0), "x")).response();
    assert!(upload.status == 400 && sentence(&upload).contains("Producer"), "{upload:?}");
    assert_eq!(raw.send(post("/c/p", &producer("~!", (1 << 53) - 1, 0), "x")).response().status, 201);
}

/// A producer whose connections are cut at any byte of its requests and answers sends the same
/// again, until it has an answer. Each message is in the log once, in order.
#[test]
fn a_producer_over_cut_connections_appends_each_message_once() {
    let server = Server::start(&[]);
    let mut cut = 1;
    for n in 0..20_u64 {
        let whole = post("/c/p", &producer("p", 0, n), &n.to_string());
        loop {
            let mut raw = server.raw();
            let is_cut = cut < whole.len();
            raw.send(&whole[..cut.min(whole.len())]);
            if !is_cut && n % 3 != 0 {
                // The request is whole, and the answer is lost.
                raw.half_close().rest();
                cut = cut.wrapping_mul(7) % whole.len() + 1;
                let answer = server.raw().send(&whole).response();
                assert_eq!((answer.status, &json(&answer)["duplicate"]), (200, &json!(true)), "{n}");
                break;
            }
            if !is_cut {
                cut = cut.wrapping_mul(7) % whole.len() + 1;
                assert_eq!(raw.response().status, 201, "{n}");
                break;
            }
            raw.half_close().rest();
            cut += 37;
        }
    }
    let data: Vec<_> =
        messages(&mut server.raw(), "p").iter().map(|message| message["data"].clone()).collect();
    assert_eq!(data, (0..20).map(|n: u64| n.to_string()).collect::<Vec<_>>());
}

/// The least recently used producer is forgotten. Then it must begin with 0 again.
#[test]
fn a_channel_remembers_a_bounded_number_of_producers() {
    let server = Server::start(&["--retain-messages", "2000"]);
    let mut raw = server.raw();
    for n in 0..1_001 {
        assert_eq!(raw.send(post("/c/p", &producer(&format!("p{n}"), 0, 0), "x")).response().status, 201);
    }
    refused(
        &raw.send(post("/c/p", &producer("p0", 0, 1), "x")).response(),
        400,
        json!({"reason": "producer-start"}),
    );
    assert_eq!(raw.send(post("/c/p", &producer("p1000", 0, 1), "x")).response().status, 201);
}
