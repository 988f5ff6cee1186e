//! Channel names with `/`, in every spelling and in every place that takes a name.

use serde_json::{Value, json};

use crate::common::server::{command, run};
use crate::common::{Post, Raw, Server, Ws};
use crate::websocket::{KEY, UPGRADE};
use crate::{get, json, post, sentence};

/// Spellings of one name.
const SPELLINGS: [&str; 4] = ["rooms/42/log", "%72ooms/42/log", "rooms/%34%32/log", "rooms/42/l%6fg"];

/// Names in a path that are refused, and a part of the sentence that says what to write.
const REFUSED: [(&str, &str); 34] = [
    ("", "at least one character"),
    ("/", "none at its start or end"),
    ("/a", "none at its start or end"),
    ("a/", "none at its start or end"),
    ("a//b", "one / between"),
    ("a/b/,c", "one / between"),
    ("a,/b", "one / between"),
    ("a%2Fb", "do not write %2F"),
    ("a%2fb", "do not write %2F"),
    ("%2Fa", "do not write %2F"),
    ("a%2Cb", "or %2C"),
    ("a%2cb/c", "or %2C"),
    (".", "no segment . or .."),
    ("..", "no segment . or .."),
    ("a/.", "no segment . or .."),
    ("a/../b", "no segment . or .."),
    ("../a", "no segment . or .."),
    ("%2e", "no segment . or .."),
    ("a/%2E%2e", "no segment . or .."),
    ("a/.%2e/b", "no segment . or .."),
    ("b,a/./c", "no segment . or .."),
    ("a%252Fb", "only the characters"),
    ("a%5Cb", "only the characters"),
    ("a/b%00", "only the characters"),
    ("a/b%0d%0aSet-Cookie:x", "only the characters"),
    ("a/b+c", "only the characters"),
    ("a/*", "only the characters"),
    ("a/%zz", "only the characters"),
    ("__a/b", "reserved"),
    ("%5F_a", "reserved"),
    ("_%5f", "reserved"),
    ("a/b@presence", "reserved"),
    ("a%40presence", "reserved"),
    ("b,a@presenc%65", "reserved"),
];

fn request(method: &str, path: &str, fields: &str, body: &str) -> String {
    post(path, fields, body).replacen("POST", method, 1)
}

/// Every request that takes a name, with the status for a good one.
fn requests(name: &str) -> Vec<(String, u16)> {
    let path = |query: &str| format!("/c/{name}{query}");
    vec![
        // First: a deleted channel has no reads.
        (post(&path(""), "", "x"), 201),
        (get(&path(""), ""), 200),
        (get(&path("?wait=0.01"), ""), 200),
        (get(&path("?feed=sse"), ""), 200),
        (get(&path(""), &format!("{UPGRADE}{KEY}")), 101),
        (get(&path(""), "").replacen("GET", "HEAD", 1), 200),
        (request("PUT", &path(""), "", "x"), 201),
        (request("PUT", &path("?create=1"), "", ""), 200),
        (request("OPTIONS", &path(""), "", ""), 204),
        (request("PUT", &path("?close=1"), "", "x"), 201),
        (post(&path("?close=1"), "", ""), 200),
        (request("DELETE", &path(""), "", ""), 204),
    ]
}

#[test]
fn every_request_takes_every_spelling_of_a_name() {
    let server = Server::start(&[]);
    for spelling in SPELLINGS {
        for (request, status) in requests(spelling) {
            let mut raw = server.raw();
            let answer = raw.send(&request).head_response();
            assert_eq!(answer.status, status, "{request}: {answer:?}");
        }
    }
    for spelling in SPELLINGS {
        Post::new(spelling).to(&server.address, spelling);
    }
    let poll = json(&server.raw().send(get("/c/rooms/42/log", "")).response());
    let data: Vec<_> = poll["messages"].as_array().unwrap().iter().map(|message| &message["data"]).collect();
    assert_eq!(data, SPELLINGS);
}

#[test]
fn every_request_refuses_a_wrong_name_and_says_what_to_write() {
    let server = Server::start(&["--max-channels", "1"]);
    let mut raw = server.raw();
    for (name, says) in REFUSED {
        for (request, _) in requests(name) {
            let is_head = request.starts_with("HEAD");
            raw.send(&request);
            let answer = if is_head { raw.head_response() } else { raw.response() };
            assert_eq!(answer.status, 400, "{request}: {answer:?}");
            assert!(is_head || sentence(&answer).contains(says), "{request}: {answer:?}");
        }
    }
    // Nothing was created.
    Post::new("x").to(&server.address, "only");
}

/// A command has names as they are: nothing is decoded.
#[test]
fn commands_check_a_name_alike() {
    let server = Server::start(&[]);
    let mut ws = Ws::v1(&server, "/c/other");
    ws.json();
    let command = |kind: &str, name: &str| {
        let mut command = json!({"type": kind, "id": 1, "channel": name});
        if kind == "publish" {
            command["data"] = "x".into();
        }
        command
    };
    for kind in ["publish", "subscribe", "unsubscribe", "close"] {
        for (name, says) in [
            ("", "at least one character"),
            ("a/", "none at its start or end"),
            ("a//b", "one / between"),
            ("a/../b", "no segment . or .."),
            ("a%2Fb", "only the characters"),
            ("%64emo", "only the characters"),
            ("a,b", "only the characters"),
            ("__a", "reserved"),
            ("a/b@presence", "reserved"),
            (&"a".repeat(129), "at most 128"),
        ] {
            ws.say(command(kind, name));
            let error = ws.json();
            assert_eq!((&error["type"], &error["status"]), (&json!("error"), &json!(400)), "{kind} {name}");
            assert!(error["detail"].as_str().unwrap().contains(says), "{kind} {name}: {error}");
        }
    }
    ws.say(command("subscribe", "a/b"));
    let hello = ws.json();
    assert_eq!((&hello["type"], &hello["channel"]), (&json!("hello"), &json!("a/b")));
    assert_eq!(ws.json()["type"], "ack");
    ws.say(command("publish", "a/b"));
    let (one, other) = (ws.json(), ws.json());
    let message = if one["type"] == "message" { &one } else { &other };
    assert_eq!((&message["channel"], &message["data"]), (&json!("a/b"), &json!("x")));
    ws.say(command("unsubscribe", "a/b"));
    assert_eq!(ws.json()["type"], "ack");
}

#[test]
fn a_slash_does_not_split_a_list() {
    let server = Server::start(&[]);
    Post::new("one").to(&server.address, "a/b");
    Post::new("two").to(&server.address, "c");
    let poll = json(&server.raw().send(get("/c/a/b,c", "")).response());
    let messages = poll["messages"].as_array().unwrap();
    let named: Vec<_> = messages.iter().map(|message| [&message["channel"], &message["data"]]).collect();
    assert_eq!(named, [[&json!("a/b"), &json!("one")], [&json!("c"), &json!("two")]]);
}

/// The answers to polls are kept by the bytes of the target. Another spelling must not get the
/// answer of the name that it looks like.
#[test]
fn a_kept_answer_is_never_that_of_another_name() {
    let server = Server::start(&["--threads", "1"]);
    Post::new("secret").to(&server.address, "a/b");
    for query in ["", "?wait=1&since=earliest"] {
        let mut raw = server.raw();
        let kept = raw.send(get(&format!("/c/a/b{query}"), "")).response();
        for (name, status) in [
            ("a%2Fb", 400),
            ("a%2fb", 400),
            ("a//b", 400),
            ("/a/b", 400),
            ("a/./b", 400),
            ("a/b/", 400),
            ("a/x/../b", 400),
            ("a,b", 200),
            ("%61/b", 200),
        ] {
            // First the kept answer again, on the connection of a poll and on another one.
            for raw in [&mut raw, &mut server.raw()] {
                assert_eq!(raw.send(get(&format!("/c/a/b{query}"), "")).response().body, kept.body);
                let query = if name == "a,b" { "" } else { query };
                let answer = raw.send(get(&format!("/c/{name}{query}"), "")).response();
                assert_eq!(answer.status, status, "{name}{query}");
                assert_eq!(answer.body == kept.body, name == "%61/b", "{name}{query}: {answer:?}");
            }
        }
    }
}

#[test]
fn the_commands_take_urls_with_such_names() {
    let server = Server::start(&[]);
    let url = server.url("/c/rooms/42");
    let published = run(command(&["pub", &url, "hello"]));
    assert_eq!(published.code, Some(0), "{published:?}");
    let read = run(command(&["sub", &url, "--since", "earliest", "--count", "1", "--feed", "stream"]));
    assert_eq!((read.code, read.stdout.trim_end()), (Some(0), "hello"), "{read:?}");
    let refused = run(command(&["pub", &server.url("/c/rooms%2F42"), "hello"]));
    assert!(refused.code != Some(0) && refused.stderr.contains("%2F"), "{refused:?}");
}

/// Reads the messages of a channel.
pub(crate) fn messages(raw: &mut Raw, channel: &str) -> Vec<Value> {
    let answer = raw.send(get(&format!("/c/{channel}"), "")).response();
    json(&answer)["messages"].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone()
}
