//! Channels: create, describe, close, delete.

use serde_json::{Value, json};

use crate::common::{Post, Raw, Response, Server, Ws, eventually, seq};
use crate::names::messages;
use crate::{get, json, post, sentence};

pub(crate) fn request(method: &str, path: &str, fields: &str, body: &str) -> String {
    post(path, fields, body).replacen("POST", method, 1)
}

fn create(raw: &mut Raw, channel: &str, settings: &str) -> Response {
    raw.send(request("PUT", &format!("/c/{channel}?create=1{settings}"), "", "")).response()
}

fn delete(raw: &mut Raw, channel: &str) -> Response {
    raw.send(get(&format!("/c/{channel}"), "").replacen("GET", "DELETE", 1)).response()
}

fn close(raw: &mut Raw, channel: &str, body: &str) -> Response {
    raw.send(post(&format!("/c/{channel}?close=1"), "", body)).response()
}

fn head(raw: &mut Raw, channel: &str) -> Response {
    raw.send(get(&format!("/c/{channel}"), "").replacen("GET", "HEAD", 1)).head_response()
}

/// Asserts that a problem has this status and these members.
#[track_caller]
pub(crate) fn refused(answer: &Response, status: u16, members: Value) {
    assert_eq!(answer.status, status, "{answer:?}");
    sentence(answer);
    let problem = json(answer);
    for (member, value) in members.as_object().unwrap() {
        assert_eq!(problem[member], *value, "{member} in {problem}");
    }
}

#[test]
fn a_channel_is_created_once_with_its_settings() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    let settings = "&retain-messages=2&expire=1h&type=text/plain";
    let first = create(&mut raw, "made", settings);
    assert_eq!((first.status, first.field("content-type")), (201, Some("application/json")));
    let cursor = first.field("tidewire-cursor").unwrap().to_owned();
    assert_eq!(json(&first), json!({"cursor": cursor, "created": true}));
    // Any spelling of the same settings, in any order.
    for again in [settings, "&type=text%2Fplain&expire=3600&retain-messages=02"] {
        let again = create(&mut raw, "made", again);
        assert_eq!((again.status, json(&again)), (200, json!({"cursor": cursor})));
    }
    for other in ["", "&retain-messages=2&expire=1h", "&retain-messages=3&expire=1h&type=text/plain"] {
        refused(&create(&mut raw, "made", other), 409, json!({"reason": "exists"}));
    }
    for n in 0..3 {
        Post::new(n.to_string()).on(&mut raw, "made");
    }
    let kept = messages(&mut raw, "made");
    assert_eq!(kept.iter().map(|message| &message["data"]).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(kept[0]["content_type"], "text/plain", "the type of the channel");
    // A channel that its first message created has the settings of the server.
    Post::new("x").on(&mut raw, "written");
    let same = create(&mut raw, "written", "");
    assert_eq!((same.status, seq(same.field("tidewire-cursor").unwrap())), (200, 1));
    refused(&create(&mut raw, "written", "&retain=all"), 409, json!({"reason": "exists"}));
}

#[test]
fn wrong_settings_are_refused_with_what_to_write() {
    let server = Server::start(&["--max-channels", "1"]);
    let mut raw = server.raw();
    for (query, says) in [
        ("&kept=3", "retain-messages"),
        ("&retain=all&event=x", "has event, but there is no such setting"),
        ("&%22=x", "There is no such setting"),
        ("&retain=all&retain-bytes=1k", "The setting retain=all"),
        ("&retain=some", "retain=all"),
        ("&retain-messages=0", "from 1 on"),
        ("&retain-bytes=8MB", "retain-bytes=8M"),
        ("&retain-bytes=9M", "at most 8388608"),
        ("&retain-age=", "no value"),
        ("&expire=1h&expire-at=2099-01-01T00:00:00Z", "either"),
        ("&expire-at=2001-01-01T00:00:00Z", "over"),
        ("&expire-at=2099-01-01T00:00:00+01:00", "%2B"),
        ("&type=text", "type=application/json"),
        ("&type=a/b&type=a/b", "once"),
        ("&create=1", "once"),
    ] {
        let answer = create(&mut raw, "made", query);
        assert_eq!(answer.status, 400, "{query}");
        assert!(sentence(&answer).contains(says), "{query}: {answer:?}");
    }
    let other = raw.send(request("PUT", "/c/made?create=yes", "", "")).response();
    assert!(other.status == 400 && sentence(&other).contains("create"), "{other:?}");
    // Without create=1 it would be an upload, and the channel would not have the settings.
    for (method, query) in [("PUT", "retain=all"), ("PUT", "create=0&type=a/b"), ("POST", "create=1")] {
        let other = raw.send(request(method, &format!("/c/made?{query}"), "", "")).response();
        assert!(other.status == 400 && sentence(&other).contains("create"), "{other:?}");
    }
    let several = create(&mut raw, "a,b", "");
    assert!(several.status == 400 && sentence(&several).contains("one channel"), "{several:?}");
    // No body: also if it comes in chunks, and if its end comes later.
    let body = raw.send(request("PUT", "/c/made?create=1", "", "x")).response();
    assert!(body.status == 400 && sentence(&body).contains("no body"), "{body:?}");
    let chunked = "PUT /c/made?create=1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = server.raw().send([chunked, "1\r\nx\r\n0\r\n\r\n"].concat()).response();
    assert!(body.status == 400 && sentence(&body).contains("no body"), "{body:?}");
    // The last one creates it: there is room for one.
    for (rest, status) in [("1\r\nx\r\n0\r\n\r\n", 400), ("0\r\n\r\n", 201)] {
        let mut later = server.raw();
        later.send(chunked);
        server.calm();
        assert_eq!(later.send(rest).response().status, status, "{rest:?}");
    }
}

#[test]
fn a_channel_with_a_type_takes_no_other() {
    let server = Server::start(&["--channel", "json/**?type=application/json"]);
    let mut raw = server.raw();
    for (fields, status) in [
        ("", 201),
        ("Content-Type: application/json\r\n", 201),
        // The default of some clients counts as none.
        ("Content-Type: application/x-www-form-urlencoded\r\n", 201),
        ("Content-Type: text/plain\r\n", 415),
        ("Content-Type: application/json;charset=utf-8\r\n", 415),
    ] {
        for method in ["POST", "PUT"] {
            let answer = raw.send(request(method, "/c/json/a", fields, "1")).response();
            assert_eq!(answer.status, status, "{method} {fields}: {answer:?}");
        }
    }
    let refused = raw.send(post("/c/json/a", "Content-Type: text/plain\r\n", "1")).response();
    assert!(sentence(&refused).contains("Tidewire-Content-Type"), "{refused:?}");
    // Browsers write a type as `text/plain;charset=UTF-8`.
    create(&mut raw, "text", "&type=text/plain;+charset=utf-8");
    for (own, status) in [
        ("text/plain;charset=UTF-8", 201),
        ("text/plain ;\tcharset=utf-8", 201),
        ("text/plain", 415),
        ("text/plain; charset=utf-8; x=y", 415),
        ("text/plain; charset=\"utf-8\"", 415),
    ] {
        let fields = format!("Content-Type: {own}\r\n");
        for method in ["POST", "PUT"] {
            let answer = raw.send(request(method, "/c/text", &fields, "1")).response();
            assert_eq!(answer.status, status, "{method} {own}: {answer:?}");
        }
    }
    let types: Vec<_> = messages(&mut raw, "json/a").iter().map(|one| one["content_type"].clone()).collect();
    assert!(types.iter().filter(|one| **one == "application/json").count() >= 6, "{types:?}");
    assert!(!types.contains(&json!("text/plain")), "{types:?}");
    let mut ws = Ws::v1(&server, "/c/json/a");
    ws.json();
    ws.say(json!({"type": "publish", "id": 1, "data": "1", "content_type": "text/plain"}));
    assert_eq!(ws.json()["status"], 415);
    assert_eq!(head(&mut raw, "json/a").field("tidewire-content-type"), Some("application/json"));
}

#[test]
fn a_head_describes_a_channel() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    let fields = |answer: &Response| {
        assert_eq!(answer.status, 200, "{answer:?}");
        ["tidewire-cursor", "tidewire-earliest", "tidewire-closed", "tidewire-content-type"]
            .map(|name| answer.field(name).map(str::to_owned))
    };
    let absent = fields(&head(&mut raw, "h"));
    assert_eq!(absent[0], absent[1]);
    assert!(absent[0].as_ref().is_some_and(|cursor| seq(cursor) == 0), "{absent:?}");
    create(&mut raw, "h", "&retain-messages=2&type=text/plain");
    let cursors: Vec<_> = (0..3).map(|n| Post::new(n.to_string()).on(&mut raw, "h")).collect();
    let [_, earliest, _, media] = fields(&head(&mut raw, "h"));
    assert_eq!((earliest.as_deref(), media.as_deref()), (Some(&*cursors[0]), Some("text/plain")));
    // The position is the newest, also where an answer would stop earlier.
    let limited = raw.send(get("/c/h?limit=1", "").replacen("GET", "HEAD", 1)).head_response();
    assert_eq!(fields(&limited)[0].as_ref(), Some(&cursors[2]));
    let end = json(&close(&mut raw, "h", ""))["end"].clone();
    assert_eq!(fields(&head(&mut raw, "h"))[0].as_deref(), end.as_str());
    assert_eq!(fields(&head(&mut raw, "h"))[2].as_deref(), Some("true"));
    // A page of another origin can read the fields: they are exposed.
    let server = Server::start(&["--allow-origin", "https://app.example"]);
    let page = get("/c/h", "Origin: https://app.example\r\n").replacen("GET", "HEAD", 1);
    let page = server.raw().send(page).head_response();
    let exposed = page.field("access-control-expose-headers").unwrap();
    for name in ["Tidewire-Cursor", "Tidewire-Earliest", "Tidewire-Closed", "Tidewire-Content-Type"] {
        assert!(exposed.split(", ").any(|one| one == name), "{exposed}");
    }
}

#[test]
fn a_close_ends_a_channel_with_or_without_a_message() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    Post::new("one").on(&mut raw, "c");
    let last = close(&mut raw, "c", "two");
    let object = json(&last);
    let end = object["end"].as_str().unwrap().to_owned();
    assert_eq!(last.status, 201);
    assert_eq!(object, json!({"cursor": last.field("tidewire-cursor"), "closed": true, "end": end}));
    assert_eq!((seq(object["cursor"].as_str().unwrap()), seq(&end)), (2, 3));
    // Without a message: at the same end, as often as you like.
    for _ in 0..2 {
        let again = close(&mut raw, "c", "");
        assert_eq!((again.status, again.field("tidewire-cursor")), (200, Some(&*end)));
        assert_eq!(json(&again), json!({"cursor": end, "duplicate": true, "closed": true, "end": end}));
    }
    // No message comes after it.
    for query in ["", "?close=1"] {
        let answer = raw.send(post(&format!("/c/c{query}"), "", "three")).response();
        refused(&answer, 409, json!({"reason": "closed", "end": end}));
        assert_eq!(answer.field("tidewire-cursor"), None, "a refusal has no cursor");
    }
    refused(&raw.send(request("PUT", "/c/c", "", "x")).response(), 409, json!({"reason": "closed"}));
    assert_eq!(messages(&mut raw, "c").len(), 2);
    // A channel that was never written can end too.
    let empty = close(&mut raw, "empty", "");
    let cursor = empty.field("tidewire-cursor").unwrap().to_owned();
    assert_eq!((empty.status, seq(&cursor)), (200, 1));
    assert_eq!(json(&empty), json!({"cursor": cursor, "closed": true, "end": cursor}));
    for (path, says) in [("/c/d?close=2", "0 or 1"), ("/c/d?close=1&event=x", "event name")] {
        let answer = raw.send(post(path, "", "")).response();
        assert!(answer.status == 400 && sentence(&answer).contains(says), "{answer:?}");
    }
    assert_eq!(raw.send(post("/c/d?close=0", "", "x")).response().status, 201);
}

/// A poll at the head is kept for all who ask the same. A close without a message changes no
/// message, but the answer.
#[test]
fn a_kept_answer_does_not_hide_a_close() {
    let server = Server::start(&["--threads", "1"]);
    let mut raw = server.raw();
    let cursor = Post::new("one").on(&mut raw, "c");
    let poll = get(&format!("/c/c?since={cursor}"), "");
    for _ in 0..2 {
        assert_eq!(json(&raw.send(&poll).response())["closed"], Value::Null);
    }
    let end = json(&close(&mut raw, "c", ""))["end"].clone();
    for _ in 0..2 {
        let answer = json(&raw.send(&poll).response());
        assert_eq!((&answer["closed"], &answer["cursor"]), (&json!(true), &end));
    }
    assert_eq!(delete(&mut raw, "c").status, 204);
    refused(&raw.send(&poll).response(), 404, json!({"reason": "deleted"}));
}

#[test]
fn an_upload_can_close_its_channel() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    let answer = raw.send(request("PUT", "/c/film?close=1", "", "bytes")).response();
    let object = json(&answer);
    assert_eq!((answer.status, &object["closed"]), (201, &json!(true)), "{answer:?}");
    let (cursor, end) = (object["cursor"].as_str().unwrap(), object["end"].as_str().unwrap());
    assert_eq!((seq(cursor), seq(end)), (2, 3), "a piece, and the mark of the end");
    let names: Vec<_> = messages(&mut raw, "film").iter().map(|message| message["event"].clone()).collect();
    assert_eq!(names, [Value::Null, json!("upload-end")]);
    refused(&raw.send(post("/c/film", "", "x")).response(), 409, json!({"reason": "closed", "end": end}));
    let wrong = raw.send(request("PUT", "/c/g?close=x", "", "bytes")).response();
    assert!(wrong.status == 400 && sentence(&wrong).contains("close"), "{wrong:?}");
    // An upload that fails closes nothing.
    server
        .raw()
        .send("PUT /c/cut?close=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        .half_close()
        .rest();
    eventually("the mark", || {
        messages(&mut raw, "cut").last().is_some_and(|one| one["event"] == "upload-aborted")
    });
    assert_eq!(raw.send(post("/c/cut", "", "x")).response().status, 201);
}

#[test]
fn commands_close_a_channel_and_acks_have_the_members_of_the_answer() {
    let server = Server::start(&[]);
    // Another channel, so that only answers arrive.
    let mut ws = Ws::v1(&server, "/c/elsewhere");
    ws.json();
    let mut ask = |command: Value| {
        ws.say(command);
        ws.json()
    };
    let key = json!({"type": "publish", "id": 1, "channel": "a/b", "data": "one", "key": "k"});
    let first = ask(key.clone());
    assert_eq!(first, json!({"type": "ack", "id": 1, "cursor": first["cursor"]}));
    assert_eq!(
        ask(key.clone()),
        json!({"type": "ack", "id": 1, "cursor": first["cursor"], "duplicate": true})
    );
    let last = ask(json!({"type": "publish", "id": 2, "channel": "a/b", "data": "", "close": true}));
    let end = last["end"].clone();
    assert_eq!(last, json!({"type": "ack", "id": 2, "cursor": last["cursor"], "closed": true, "end": end}));
    assert_eq!((seq(last["cursor"].as_str().unwrap()), seq(end.as_str().unwrap())), (2, 3));
    let again = ask(json!({"type": "close", "id": 3, "channel": "a/b"}));
    let members =
        json!({"type": "ack", "id": 3, "cursor": end, "duplicate": true, "closed": true, "end": end});
    assert_eq!(again, members);
    let refused = ask(json!({"type": "publish", "id": 4, "channel": "a/b", "data": "x"}));
    let members = ["type", "id", "status", "title", "reason", "end"].map(|member| refused[member].clone());
    let expected = [json!("error"), json!(4), json!(409), json!("Conflict"), json!("closed"), end.clone()];
    assert_eq!(members, expected, "{refused}");
    // A repeat of a message that is in the log is still a duplicate.
    assert_eq!(ask(key)["duplicate"], true);
    for wrong in [
        json!({"type": "close", "id": 5, "channel": 7}),
        json!({"type": "publish", "id": 5, "channel": "d", "data": "x", "close": "yes"}),
        // This message would be lost.
        json!({"type": "close", "id": 5, "channel": "d", "data": "last"}),
        json!({"type": "close", "id": 5, "channel": "d", "data_b64": ""}),
    ] {
        assert_eq!(ask(wrong)["status"], 400);
    }
    for (wrong, says) in [
        (json!({"type": "publish", "id": 5, "channel": "d", "close": true}), "command close"),
        (json!({"type": "close", "id": 5, "channel": "d", "producer": "p"}), "object with id, epoch and seq"),
    ] {
        let refused = ask(wrong);
        assert!(refused["detail"].as_str().unwrap().contains(says), "{refused}");
    }
    let open = ask(json!({"type": "close", "id": 5, "channel": "d", "data": null}));
    assert_eq!((&open["closed"], &open["duplicate"]), (&json!(true), &Value::Null), "{open}");
    let mut one = Ws::v1(&server, "/c/one");
    one.json();
    one.say(json!({"type": "close", "id": 6}));
    let objects: Vec<_> = [one.json(), one.json()].into();
    let ack = objects.iter().find(|object| object["type"] == "ack");
    assert!(ack.is_some_and(|ack| ack["closed"] == true), "the only channel: {objects:?}");
    // A bare message to a channel that has ended cannot be answered.
    let mut bare = Ws::bare(&server, "/c/two");
    close(&mut server.raw(), "two", "");
    let (code, reason) = bare.closed();
    assert_eq!((code, &*reason), (1000, "the channel has ended"));
}

#[test]
fn a_channel_that_keeps_all_is_refused_more_without_room() {
    let server = Server::start(&[
        "--retain-all-bytes",
        "64k",
        "--retain-messages",
        "2",
        "--channel",
        "all/*?retain=all",
    ]);
    let mut raw = server.raw();
    let body = "x".repeat(10_000);
    let statuses: Vec<u16> =
        (0..8).map(|_| raw.send(post("/c/all/a", "", &body)).response().status).collect();
    let kept = statuses.iter().filter(|status| **status == 201).count();
    assert!((4..8).contains(&kept), "{statuses:?}");
    assert!(statuses[kept..].iter().all(|status| *status == 507), "{statuses:?}");
    let answer = raw.send(post("/c/all/a", "", &body)).response();
    assert!(sentence(&answer).contains("keeps all"), "{answer:?}");
    // Nothing was evicted. The room is that of all such channels together. Others need none of it.
    assert_eq!(messages(&mut raw, "all/a").len(), kept);
    assert_eq!(create(&mut raw, "b", "&retain=all").status, 201);
    assert_eq!(raw.send(post("/c/b", "", &body)).response().status, 507);
    assert_eq!(raw.send(post("/c/other", "", &body)).response().status, 201);
    let mut ws = Ws::v1(&server, "/c/other");
    ws.json();
    ws.say(json!({"type": "publish", "id": 1, "channel": "b", "data": body}));
    assert_eq!(ws.json()["status"], 507);
    // A deletion gives its room back.
    assert_eq!(delete(&mut raw, "all/a").status, 204);
    assert_eq!(raw.send(post("/c/b", "", &body)).response().status, 201);
}

/// The window is only what is in memory for readers that keep up.
#[test]
fn a_small_window_hides_no_message() {
    let server = Server::start(&["--window-messages", "2", "--window-bytes", "4k", "--window-age", "1h"]);
    let mut raw = server.raw();
    let data: Vec<String> = (0..50).map(|n| format!("{n}{}", "x".repeat(n * 20))).collect();
    for payload in &data {
        Post::new(payload.clone()).on(&mut raw, "w");
    }
    let read: Vec<_> = messages(&mut raw, "w").iter().map(|message| message["data"].clone()).collect();
    assert_eq!(read, data);
    let mut stream = server.raw();
    stream.send(get("/c/w?feed=stream&since=earliest", ""));
    for payload in &data {
        stream.until(format!("\"data\":\"{payload}\""));
    }
}

#[test]
fn a_deleted_channel_has_no_reads_until_it_is_written() {
    let server = Server::start(&[]);
    let mut raw = server.raw();
    let absent = delete(&mut raw, "a/b");
    assert!(absent.status == 404 && sentence(&absent).contains("no such channel"), "{absent:?}");
    let old = Post::new("one").on(&mut raw, "a/b");
    let done = delete(&mut raw, "a/b");
    assert_eq!((done.status, done.body.len(), done.field("content-length")), (204, 0, None));
    for query in ["", "?since=earliest", "?wait=5", "?feed=sse", "?feed=raw"] {
        refused(&raw.send(get(&format!("/c/a/b{query}"), "")).response(), 404, json!({"reason": "deleted"}));
    }
    for feed in ["poll", "longpoll", "sse"] {
        let several = raw.send(get(&format!("/c/other,a/b?feed={feed}"), "")).response();
        refused(&several, 404, json!({"reason": "deleted", "channel": "a/b"}));
    }
    // A poll that waits is told the same.
    Post::new("one").on(&mut raw, "c");
    let mut waits = server.raw();
    waits.send(get("/c/other,c?wait=50", ""));
    server.calm();
    assert_eq!(delete(&mut raw, "c").status, 204);
    refused(&waits.response(), 404, json!({"reason": "deleted", "channel": "c"}));
    assert_eq!(head(&mut raw, "a/b").status, 404);
    let Err((status, problem)) = Ws::open(&server, "/c/a/b", &[]) else { panic!("opened") };
    assert!(status == 404 && problem.contains("\"reason\":\"deleted\""), "{status} {problem}");
    assert_eq!(delete(&mut raw, "a/b").status, 404);
    // A write begins a new log. Old cursors get a reset, whatever their number.
    let new = Post::new("two").on(&mut raw, "a/b");
    assert_eq!(seq(&new), 1);
    assert_ne!(new, old);
    let gone = raw.send(get(&format!("/c/a/b?since={old}"), "")).response();
    refused(&gone, 410, json!({"reason": "unknown-epoch"}));
    assert_eq!(messages(&mut raw, "a/b").len(), 1);
    // A create does too.
    assert_eq!(delete(&mut raw, "a/b").status, 204);
    assert_eq!(create(&mut raw, "a/b", "&retain=all").status, 201);
    assert_eq!(raw.send(get("/c/a/b", "")).response().status, 200);
    let several = delete(&mut raw, "a,b");
    assert!(several.status == 400 && sentence(&several).contains("one channel"), "{several:?}");
}

#[test]
fn a_channel_expires() {
    let server = Server::start(&["--channel", "short/*?expire=100ms"]);
    let mut raw = server.raw();
    let reader = |channel: &str| {
        let mut reader = server.raw();
        reader.send(get(&format!("/c/{channel}?feed=stream"), "")).until("hello");
        reader
    };
    let (mut waiting, mut at) = (reader("short/read"), reader("at"));
    for channel in ["short/read", "short/unread"] {
        Post::new("one").on(&mut raw, channel);
    }
    let soon = std::time::SystemTime::now() + std::time::Duration::from_millis(1500);
    let ms = soon.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    assert_eq!(create(&mut raw, "at", &format!("&expire-at={}", rfc3339(ms as i128))).status, 201);
    // A look would prolong the time of the others. They come up in the same sweep as this one.
    at.until("{\"type\":\"deleted\"}");
    for channel in ["at", "short/unread"] {
        let mut look = || raw.send(get(&format!("/c/{channel}"), "")).response();
        eventually("the channel to be deleted", || look().status == 404);
        refused(&look(), 404, json!({"reason": "deleted"}));
        assert_eq!(seq(&Post::new("two").on(&mut raw, channel)), 1, "a new log");
    }
    assert_eq!(seq(&Post::new("two").on(&mut raw, "short/read")), 2, "its reader waits");
    waiting.until("two");
}

/// Milliseconds since 1970 as RFC 3339, by a library of others.
fn rfc3339(ms: i128) -> String {
    let time = time::OffsetDateTime::from_unix_timestamp_nanos(ms * 1_000_000).unwrap();
    time.format(&time::format_description::well_known::Rfc3339).unwrap()
}

#[test]
fn pages_need_permission_to_create_close_and_delete() {
    let server = Server::start(&["--allow-origin", "https://app.example"]);
    let mut raw = server.raw();
    Post::new("x").on(&mut raw, "c");
    let requests = |origin: &str| {
        let origin = format!("Origin: {origin}\r\n");
        [
            request("PUT", "/c/d?create=1", &origin, ""),
            post("/c/c?close=1", &origin, ""),
            get("/c/c", &origin).replacen("GET", "DELETE", 1),
        ]
    };
    for request in requests("https://evil.example") {
        let answer = raw.send(&request).response();
        assert_eq!((answer.status, answer.field("access-control-allow-origin")), (403, None), "{request}");
    }
    assert_eq!(head(&mut raw, "c").field("tidewire-closed"), None);
    for (request, status) in requests("https://app.example").iter().zip([201, 200, 204]) {
        let answer = raw.send(request).response();
        assert_eq!(answer.status, status, "{request}");
        assert_eq!(answer.field("access-control-allow-origin"), Some("https://app.example"), "{request}");
    }
}
