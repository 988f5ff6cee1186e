//! Everything on the first page of the README survives a stop, and a `kill -9` as well.

use serde_json::{Value, json};

use crate::common::{Post, Raw, Response, seq};
use crate::data_server::DataServer;

/// Sends a request. `fields` are lines, each with its line end.
fn ask(address: &str, method: &str, target: &str, fields: &str, body: &str) -> Response {
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut raw = Raw::connect(address);
    raw.send(head + body);
    if method == "HEAD" { raw.head_response() } else { raw.response() }
}

fn get(address: &str, target: &str) -> Response {
    ask(address, "GET", target, "", "")
}

fn json_of(response: &Response) -> Value {
    serde_json::from_str(response.text()).unwrap()
}

/// Publishes a message, which must get this status. Returns its cursor.
fn publish(address: &str, target: &str, fields: &str, body: &str, status: u16) -> String {
    let response = ask(address, "POST", target, fields, body);
    assert_eq!(response.status, status, "{target}: {response:?}");
    json_of(&response)["cursor"].as_str().unwrap_or_default().to_owned()
}

fn producer(epoch: u64, seq: u64) -> String {
    format!("Producer-Id: gauge\r\nProducer-Epoch: {epoch}\r\nProducer-Seq: {seq}\r\n")
}

const KEY: &str = "Idempotency-Key: once\r\n";
const OPTIONS: [&str; 4] = ["--channel", "cams/*?retain-messages=1&type=image/png", "--threads", "2"];

/// The answers that must be the same before and after a restart.
fn picture(address: &str, cursors: &Cursors) -> Vec<(u16, String)> {
    let targets = [
        "/c/demo?since=earliest".to_owned(),
        format!("/c/demo?since={}", cursors.second),
        "/c/demo?feed=raw&since=earliest&limit=1".to_owned(),
        "/c/answers/42?since=earliest".to_owned(),
        format!("/c/answers/42?since={}", cursors.end),
        format!("/c/answers/42?feed=sse&since={}", cursors.end),
        "/c/cams/door?since=earliest".to_owned(),
        format!("/c/cams/door?since={}", cursors.evicted),
        "/c/tide?since=earliest".to_owned(),
        "/c/deleted".to_owned(),
        "/c/rooms/42?since=earliest".to_owned(),
        format!("/c/unused?since={}", cursors.unused),
        format!("/c/anew?since={}", cursors.of_deleted),
    ];
    let mut all = Vec::new();
    for target in targets {
        // Raw bytes are a stream: it does not end.
        if target.contains("feed=raw") {
            let mut raw = Raw::connect(address);
            raw.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
            raw.until("one");
            continue;
        }
        let response = get(address, &target);
        let is_poll = response.status == 200 && !target.contains("feed=sse");
        let text = if is_poll { to_the_head(address, &target) } else { response.text().to_owned() };
        all.push((response.status, text));
    }
    for target in ["/c/demo", "/c/answers/42", "/c/cams/door", "/c/rooms/42"] {
        let response = ask(address, "HEAD", target, "", "");
        let fields = ["tidewire-cursor", "tidewire-earliest", "tidewire-closed", "tidewire-content-type"];
        let fields = fields.map(|name| format!("{name}: {:?}", response.field(name)));
        all.push((response.status, format!("{target}: {}", fields.join(", "))));
    }
    all
}

/// Polls until there is nothing more. An answer may end where the messages in memory begin. So only
/// all answers together are the same before and after a restart.
fn to_the_head(address: &str, target: &str) -> String {
    let first = json_of(&get(address, target));
    let (mut messages, mut last) = (first["messages"].as_array().unwrap().clone(), first.clone());
    let (path, _) = target.split_once('?').unwrap_or((target, ""));
    loop {
        let next = json_of(&get(address, &format!("{path}?since={}", last["cursor"].as_str().unwrap())));
        let more = next["messages"].as_array().unwrap();
        messages.extend(more.iter().cloned());
        let is_last = more.is_empty();
        last = next;
        if is_last {
            return json!([first["gap"], messages, last["cursor"], last["closed"]]).to_string();
        }
    }
}

/// Positions of readers before the restart.
struct Cursors {
    second: String,
    end: String,
    evicted: String,
    unused: String,
    of_deleted: String,
}

/// What a user of the first page of the README has done before the restart.
fn use_everything(address: &str) -> Cursors {
    publish(address, "/c/demo", "Content-Type: text/plain\r\n", "one", 201);
    let second = publish(address, "/c/demo?event=tide", KEY, "two", 201);
    publish(address, "/c/demo", "", "three", 201);
    publish(address, "/c/answers/42", "", "The tide comes in", 201);
    let closing = ask(address, "POST", "/c/answers/42?close=1", "", "twice a day.");
    let end = json_of(&closing)["end"].as_str().unwrap().to_owned();
    let evicted = publish(address, "/c/cams/door", "", "picture 1", 201);
    publish(address, "/c/cams/door", "", "picture 2", 201);
    publish(address, "/c/cams/door", "", "picture 3", 201);
    for n in 0..3 {
        publish(address, "/c/tide", &producer(7, n), &format!("{n}"), 201);
    }
    let made = ask(address, "PUT", "/c/rooms/42?create=1&retain=all&expire=1h&type=text/plain", "", "");
    assert_eq!(made.status, 201, "{made:?}");
    for name in ["deleted", "anew"] {
        publish(address, &format!("/c/{name}"), "", "x", 201);
        publish(address, &format!("/c/{name}"), "", "y", 201);
    }
    let of_deleted = publish(address, "/c/anew", "", "z", 201);
    for name in ["deleted", "anew"] {
        assert_eq!(ask(address, "DELETE", &format!("/c/{name}"), "", "").status, 204);
    }
    publish(address, "/c/anew", "", "new", 201);
    let unused = json_of(&get(address, "/c/unused"))["cursor"].as_str().unwrap().to_owned();
    Cursors { second, end, evicted, unused, of_deleted }
}

/// What the server remembers, seen by those who write.
fn check_writers(address: &str, cursors: &Cursors, restarts: u64) {
    assert_eq!(publish(address, "/c/demo", KEY, "other", 422), "", "the key belongs to another message");
    assert_eq!(publish(address, "/c/demo?event=tide", KEY, "two", 200), cursors.second, "a duplicate");
    let closed = ask(address, "POST", "/c/answers/42", "", "more");
    assert_eq!((closed.status, &json_of(&closed)["reason"]), (409, &json!("closed")));
    assert_eq!(json_of(&closed)["end"], json!(cursors.end));
    publish(address, "/c/tide", &producer(7, 1), "1", 200);
    publish(address, "/c/tide", &producer(6, 0), "an old run", 403);
    publish(address, "/c/tide", &producer(7, 4 + restarts), "a hole", 409);
    publish(address, "/c/tide", &producer(7, 2 + restarts), "the next one", 201);
    let settings = "/c/rooms/42?create=1&retain=all&expire=1h&type=text/plain";
    assert_eq!(ask(address, "PUT", settings, "", "").status, 200);
    assert_eq!(ask(address, "PUT", "/c/rooms/42?create=1&retain=all", "", "").status, 409);
    publish(address, "/c/rooms/42", "Content-Type: text/html\r\n", "another type", 415);
    publish(address, "/c/cams/door", "Content-Type: text/html\r\n", "another type", 415);
}

#[test]
fn everything_on_the_first_page_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = DataServer::start(&folder.path().join("data"), &OPTIONS);
    let address = server.address.clone();
    let cursors = use_everything(&address);
    let before = picture(&address, &cursors);
    for how in 1..=6 {
        let before = if how == 1 { before.clone() } else { picture(&address, &cursors) };
        match how % 3 {
            1 => server.interrupt(),
            2 => drop(server.kill()),
            _ => drop(server.stop()),
        }
        server.again(&[]);
        for (before, after) in before.into_iter().zip(picture(&address, &cursors)) {
            assert_eq!(before, after, "restart {how}");
        }
        check_writers(&address, &cursors, how);
    }
    // A reader of a channel that nobody had written before the restarts is told nothing.
    let first = publish(&address, "/c/unused", "", "the first one", 201);
    let answer = json_of(&get(&address, &format!("/c/unused?since={}", cursors.unused)));
    assert_eq!((&answer["cursor"], &answer["gap"]), (&json!(first), &Value::Null), "{answer}");
    server.stop();
}

/// A channel of its own settings keeps them: what they evict is evicted, also after a restart.
#[test]
fn settings_have_an_effect_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = DataServer::start(&folder.path().join("data"), &OPTIONS);
    let address = server.address.clone();
    let made = ask(&address, "PUT", "/c/few?create=1&retain-messages=2", "", "");
    assert_eq!(made.status, 201);
    server.stop();
    server.again(&["--retain-messages", "100"]);
    let cursors: Vec<_> = (0..5).map(|n| Post::new(format!("{n}")).to(&address, "few")).collect();
    let described = ask(&address, "HEAD", "/c/few", "", "");
    assert_eq!(described.field("tidewire-earliest"), Some(&*cursors[2]), "{described:?}");
    server.stop();
}

/// An upload that a stop or a crash has cut has its mark, and the channel takes messages again.
#[test]
fn an_upload_that_a_restart_has_cut_is_marked() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = DataServer::start(&folder.path().join("data"), &["--drain", "1"]);
    let address = server.address.clone();
    for (n, kill) in [false, true].into_iter().enumerate() {
        let channel = format!("upload/{n}");
        let mut upload = Raw::connect(&*address);
        upload.send(format!("PUT /c/{channel} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
        upload.send("5\r\npiece\r\n");
        let mut reader = Raw::connect(&*address);
        reader.send(format!("GET /c/{channel}?feed=raw&since=earliest HTTP/1.1\r\nHost: x\r\n\r\n"));
        reader.until("piece");
        drop(if kill { server.kill() } else { server.stop() });
        drop((upload, reader));
        server.again(&[]);
        let answer = json_of(&get(&address, &format!("/c/{channel}?since=earliest")));
        let events: Vec<_> = answer["messages"].as_array().unwrap().iter().map(|one| &one["event"]).collect();
        assert_eq!(events, [&Value::Null, &json!("upload-aborted")], "{answer}");
        assert_eq!(seq(&Post::new("after").to(&address, &channel)), 3);
    }
    server.stop();
}

/// The line about the start says what was found.
#[test]
fn the_log_says_what_a_start_has_found() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("new/data");
    let mut server = DataServer::start(&data, &["--sync", "always"]);
    Post::new("x").to(&server.address, "a");
    Post::new("x").to(&server.address, "b");
    let log = server.stop();
    assert!(log.contains("\"channels\":0") && log.contains(data.to_str().unwrap()), "{log}");
    server.again(&[]);
    let killed = server.kill();
    assert!(killed.contains("\"channels\":2") && killed.contains("the last stop was clean"), "{killed}");
    server.again(&[]);
    let log = server.stop();
    assert!(log.contains("\"channels\":2") && log.contains("the last stop was not clean"), "{log}");
    assert!(log.contains("\"ms\":"), "{log}");
}
