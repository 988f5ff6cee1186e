//! Every feed tells that a channel was closed, and that it was deleted: to readers that wait, to
//! those that come later, and to those that are behind.

use std::sync::Arc;

use serde_json::Value;
use tidewire::hub::Site;
use tidewire::{ChannelName, Hub, HubConfig, Settings};

use super::common::feeds::{client, open_objects};
use super::common::publish::{close, delete};
use super::common::{
    Client, CuttingProxy, Ended, Feed, FeedEvent, Post, Published, Raw, Reader, Seed, Server, Ws, after,
    eventually, narrow, open, publish, seq, soon,
};
use super::next;

/// Each way to open a feed: also an event stream of objects.
fn all() -> Vec<(Feed, bool)> {
    let feeds = Feed::ALL.into_iter().map(|feed| (feed, false));
    feeds.chain([(Feed::Sse, true)]).collect()
}

async fn reader(feed: Feed, objects: bool, address: &str, channel: &str, since: &str) -> Box<dyn Reader> {
    let opened = async {
        match objects {
            true => open_objects(address, channel, since).await,
            false => open(feed, address, channel, since).await,
        }
    };
    soon("an open feed", opened).await.unwrap()
}

/// Whether the feed has a place for the cursor of the end. The others only end.
fn tells_the_end(feed: Feed) -> bool {
    !matches!(feed, Feed::WsBare | Feed::Replace)
}

/// Whether the feed has a place to tell a deletion. The other one only ends.
fn tells_a_deletion(feed: Feed) -> bool {
    feed != Feed::Replace
}

/// Reads the end, and that nothing follows.
async fn read_end(feed: Feed, reader: &mut dyn Reader, end: &str, how: &str) {
    if tells_the_end(feed) {
        let event = next(feed, reader).await;
        let Ok(FeedEvent::End { cursor, channel: None }) = event else {
            panic!("{feed:?}, {how}: {event:?}")
        };
        assert_eq!(cursor, end, "{feed:?}, {how}");
    }
    assert_eq!(next(feed, reader).await, Err(Ended::Well), "{feed:?}, {how}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_feed_tells_the_end_of_a_channel() {
    let server = Server::start(&["--comet", "--threads", "2"]);
    for with_last in [true, false] {
        let channel = format!("closed-{with_last}");
        let first = Post::new("first").to(&server.address, &channel);
        let mut waiting = Vec::new();
        for (feed, objects) in all() {
            waiting.push((feed, reader(feed, objects, &server.address, &channel, &first).await));
        }
        let end = close(&server.address, &channel, with_last.then_some("last"));
        let last = if with_last { after(&first, 1) } else { first.clone() };
        assert_eq!(end, after(&last, 1));
        for (feed, reader) in &mut waiting {
            let mut client = Client::at(&first);
            if with_last {
                client.take(*feed, next(*feed, &mut **reader).await.unwrap());
                assert_eq!(client.messages.pop().unwrap().2, b"last");
            }
            read_end(*feed, &mut **reader, &end, "waiting").await;
        }
        for (feed, objects) in all() {
            for (since, messages) in [
                ("earliest", seq(&last)),
                (&*first, u64::from(with_last)),
                (&*last, 0),
                ("now", 0),
                (&*end, 0),
            ] {
                let how = format!("closed before it came with {since}");
                let mut reader = reader(feed, objects, &server.address, &channel, since).await;
                // The newest message is the first one for a picture.
                for _ in 0..messages {
                    let event = next(feed, &mut *reader).await;
                    assert!(matches!(event, Ok(FeedEvent::Message(_))), "{feed:?}, {how}: {event:?}");
                }
                read_end(feed, &mut *reader, &end, &how).await;
            }
        }
    }
}

/// A log that never had a message has an end, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_channel_has_an_end() {
    let server = Server::start(&["--comet"]);
    for (feed, objects) in all() {
        let channel = format!("empty-{feed:?}-{objects}");
        let mut reader = reader(feed, objects, &server.address, &channel, "now").await;
        let end = close(&server.address, &channel, None);
        assert_eq!(seq(&end), 1);
        read_end(feed, &mut *reader, &end, "empty").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_of_several_channels_ends_with_the_last_of_them() {
    let server = Server::start(&["--comet", "--threads", "2"]);
    for (feed, objects) in all() {
        let [a, b] = ["a", "b"].map(|name| format!("{name}-{feed:?}-{objects}"));
        let [at_a, at_b] = [&a, &b].map(|channel| Post::new("first").to(&server.address, channel));
        let both = format!("{a},{b}");
        let mut reader = reader(feed, objects, &server.address, &both, &format!("{at_a}.{at_b}")).await;
        let end_a = close(&server.address, &a, None);
        if tells_the_end(feed) {
            let cursor = format!("{end_a}.{at_b}");
            let expected = FeedEvent::End { cursor, channel: Some(a.clone()) };
            assert_eq!(next(feed, &mut *reader).await, Ok(expected), "{feed:?}");
        }
        // The other channel goes on.
        Post::new("more").to(&server.address, &b);
        let event = next(feed, &mut *reader).await;
        let Ok(FeedEvent::Message(message)) = event else { panic!("{feed:?}: {event:?}") };
        assert_eq!(message.payload, b"more", "{feed:?}");
        let end_b = close(&server.address, &b, None);
        let end = format!("{end_a}.{end_b}");
        if tells_the_end(feed) {
            let expected = FeedEvent::End { cursor: end.clone(), channel: Some(b.clone()) };
            assert_eq!(next(feed, &mut *reader).await, Ok(expected), "{feed:?}");
        }
        assert_eq!(next(feed, &mut *reader).await, Err(Ended::Well), "{feed:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_feed_tells_that_a_channel_was_deleted() {
    let server = Server::start(&["--comet", "--threads", "2"]);
    for (feed, objects) in all() {
        for several in [false, true] {
            let channel = format!("gone-{feed:?}-{objects}-{several}");
            let at = Post::new("first").to(&server.address, &channel);
            let (channels, since) = if several {
                let at_other = Post::new("first").to(&server.address, "other");
                (format!("other,{channel}"), format!("{at_other}.{at}"))
            } else {
                (channel.clone(), at)
            };
            let mut reader = reader(feed, objects, &server.address, &channels, &since).await;
            delete(&server.address, &channel);
            if tells_a_deletion(feed) {
                let event = next(feed, &mut *reader).await;
                let Ok(FeedEvent::Deleted { channel: label }) = event else { panic!("{feed:?}: {event:?}") };
                // A close names no channel.
                let names = several && feed != Feed::WsBare;
                assert_eq!(label, names.then(|| channel.clone()), "{feed:?}");
            }
            assert_eq!(next(feed, &mut *reader).await, Err(Ended::Well), "{feed:?}");
            let mut later = self::reader(feed, objects, &server.address, &channels, &since).await;
            let event = next(feed, &mut *later).await;
            let expected = FeedEvent::Deleted { channel: several.then(|| channel.clone()) };
            assert_eq!(event, Ok(expected), "{feed:?}: a new read");
        }
    }
}

/// Readers that are cut and change their feeds get what was published, and are told that the
/// channel was deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_cut_is_told_of_a_deletion() {
    let seed = Seed::draw();
    let server = Server::start(&["--comet", "--threads", "2"]);
    let start = super::start_of(&server, "doomed").await;
    let proxy = CuttingProxy::start(&server.address, seed.rng(1_000)).await;
    let published = Published::default();
    let publishers = publish::from_threads(&server.address, "doomed", 100, 1_000, &published, seed.0);
    let readers: Vec<_> = (0..6)
        .map(|n| {
            let (address, client, rng) = (proxy.address.clone(), Client::at(&start), seed.rng(n));
            tokio::spawn(super::wander(address, "doomed", client, rng, u64::MAX, 0))
        })
        .collect();
    publishers.into_iter().for_each(|thread| thread.join().unwrap());
    delete(&server.address, "doomed");
    for reader in readers {
        let client = super::within(reader).await.0;
        assert!(client.has_ended && client.missed == 0);
        client.check_against(&published.payloads());
    }
}

/// The bytes of a row that is behind: the channel is deleted while its socket is full. What it gets
/// ends with a whole message, then it is told, then the body ends.
#[test]
fn a_reader_that_is_behind_is_told_after_a_whole_message() {
    let server = Server::start(&["--threads", "1", "--retain-bytes", "100000000"]);
    for name in ["stream", "sse&objects=1"] {
        let channel = format!("behind-{}", name.len());
        let first = Post::new("first").to(&server.address, &channel);
        let mut raw = Raw::over(narrow(&server.address));
        raw.send(format!("GET /c/{channel}?feed={name}&since={first} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(raw.head_response().status, 200);
        let mut publisher = server.raw();
        for _ in 0..400 {
            Post::new("x".repeat(20_000)).on(&mut publisher, &channel);
        }
        delete(&server.address, &channel);
        let mut body = Vec::new();
        // The last chunk says that the body is complete.
        while let Some(chunk) = raw.chunk() {
            body.extend(chunk);
        }
        let text = String::from_utf8(body).unwrap();
        let objects = text.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
        let types: Vec<_> = objects
            .filter(|line| line.starts_with('{'))
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            (types.first().map(|one| &**one), types.last().map(|one| &**one)),
            (Some("hello"), Some("deleted"))
        );
        assert!(types.len() < 400, "{}: the reader was not behind", types.len());
        assert!(types[1..types.len() - 1].iter().all(|one| one == "message"), "{types:?}");
    }
}

/// A reader that is behind when its channel is closed gets everything, and then the end.
#[test]
fn a_reader_that_is_behind_gets_everything_before_the_end() {
    let server = Server::start(&["--threads", "1", "--retain-bytes", "100000000"]);
    let first = Post::new("first").to(&server.address, "slow");
    let mut raw = Raw::over(narrow(&server.address));
    raw.send(format!("GET /c/slow?feed=stream&since={first} HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_eq!(raw.head_response().status, 200);
    let mut publisher = server.raw();
    for _ in 0..200 {
        Post::new("x".repeat(20_000)).on(&mut publisher, "slow");
    }
    let end = close(&server.address, "slow", Some("last"));
    let mut body = Vec::new();
    while let Some(chunk) = raw.chunk() {
        body.extend(chunk);
    }
    let text = String::from_utf8(body).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 203, "a hello, the messages and the end");
    assert!(lines[201].contains(r#""data":"last""#), "{}", lines[201]);
    assert_eq!(lines[202], format!(r#"{{"type":"end","cursor":"{end}"}}"#));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_stream_at_the_end_has_no_content() {
    let server = Server::start(&[]);
    let first = Post::new("x").to(&server.address, "sse");
    let end = close(&server.address, "sse", None);
    let get = |method: &str, query: String, field: String| {
        let request = format!(
            "{method} /c/sse?feed=sse{query} HTTP/1.1\r\nHost: x\r\n{field}Connection: close\r\n\r\n"
        );
        let mut raw = server.raw();
        let head = raw.send(request).head_response();
        (head.status, head.field("tidewire-cursor").map(str::to_owned), raw.rest())
    };
    for method in ["GET", "HEAD"] {
        for (query, field) in [
            (format!("&since={end}"), String::new()),
            (format!("&since={end}&objects=1"), String::new()),
            (format!("&since={first}"), format!("Last-Event-ID: {end}\r\n")),
        ] {
            assert_eq!(
                get(method, query.clone(), field.clone()),
                (204, Some(end.clone()), Vec::new()),
                "{query}"
            );
        }
    }
    for query in [format!("&since={first}"), "&since=now".to_owned(), "&since=earliest".to_owned()] {
        assert_eq!(get("HEAD", query.clone(), String::new()).0, 200, "{query}");
    }
    // Another feed is told again, and its body ends.
    let url = server.url(&format!("/c/sse?feed=stream&since={end}"));
    let body = soon("the end", async { client().get(url).send().await.unwrap().text().await.unwrap() }).await;
    assert_eq!(body.lines().nth(1), Some(&*format!(r#"{{"type":"end","cursor":"{end}"}}"#)));
}

/// Polls that are held when it happens. The server is in this process, which sees who waits.
#[test]
fn a_held_poll_is_answered_at_the_end_and_at_a_deletion() {
    let listen = "127.0.0.1:0".parse::<tidewire::server::Listen>().unwrap();
    let server = tidewire::server::Server::builder().listen(listen).threads(1).bind().unwrap();
    let hub = Hub::new(HubConfig::default(), 1);
    let mut settings = Settings::default();
    settings.comet = true;
    let (shared, settings) = (hub.clone(), Arc::new(settings));
    let running = server.serve(move |worker| Site::new(shared.clone(), settings.clone(), worker)).unwrap();
    let address = running.addresses()[0].to_string().trim_start_matches("http://").to_owned();
    for (feed, deletes) in [("longpoll", false), ("jsonp", false), ("longpoll", true), ("jsonp", true)] {
        let [one, two] = ["one", "two"].map(|name| format!("{name}-{feed}-{deletes}"));
        let [at_one, at_two] = [&one, &two].map(|channel| Post::new("x").to(&address, channel));
        let poll = |names: &str, since: &str| {
            let mut raw = Raw::connect(&*address);
            let query = format!("feed={feed}&callback=f&wait=50&since={since}");
            raw.send(format!("GET /c/{names}?{query} HTTP/1.1\r\nHost: x\r\n\r\n"));
            raw
        };
        let names = format!("{one},{two}");
        let (mut alone, mut both) = (poll(&one, &at_one), poll(&names, &format!("{at_one}.{at_two}")));
        let wait_for = |name: &str, count| {
            let channel = hub.channel(&ChannelName::new(name).unwrap()).unwrap();
            eventually("the polls to wait", || channel.subscribers() == count);
        };
        wait_for(&one, 2);
        let answer = |raw: &mut Raw| {
            let answer = raw.response();
            let text =
                answer.text().trim_start_matches("/**/f(").trim_end().trim_end_matches(");").to_owned();
            (answer.status, serde_json::from_str::<Value>(&text).unwrap())
        };
        if deletes {
            delete(&address, &one);
            for (raw, cursor, label) in [
                (&mut alone, at_one.clone(), Value::Null),
                (&mut both, format!("{at_one}.{at_two}"), one.clone().into()),
            ] {
                let (status, object) = answer(raw);
                if feed == "longpoll" {
                    assert_eq!((status, &object["reason"]), (404, &"deleted".into()));
                    assert_eq!(object["channel"], label);
                } else {
                    assert_eq!((status, &object["cursor"]), (200, &cursor.into()), "a script sees no status");
                    assert_eq!(object["messages"][0]["type"], "deleted");
                    assert_eq!(object["messages"][0]["channel"], label);
                }
            }
            continue;
        }
        let end_one = close(&address, &one, None);
        let (status, object) = answer(&mut alone);
        let closed =
            |end: &str| serde_json::json!({"messages": [], "cursor": end, "gap": null, "closed": true});
        assert_eq!((status, object), (200, closed(&end_one)));
        // Of two, each end is told. The connection may ask again.
        let told = |end: &str, channel: &str| {
            let object = serde_json::json!({"type": "end", "cursor": end, "channel": channel});
            serde_json::json!({"messages": [object], "cursor": end, "gap": null})
        };
        let mut end = format!("{end_one}.{at_two}");
        assert_eq!(answer(&mut both), (200, told(&end, &one)));
        let ask_again = |both: &mut Raw, end: &str| {
            let query = format!("feed={feed}&callback=f&wait=50&since={end}");
            both.send(format!("GET /c/{names}?{query} HTTP/1.1\r\nHost: x\r\n\r\n"));
        };
        ask_again(&mut both, &end);
        wait_for(&two, 1);
        let end_two = close(&address, &two, None);
        end = format!("{end_one}.{end_two}");
        let mut last = told(&end, &two);
        last["closed"] = true.into();
        assert_eq!(answer(&mut both), (200, last));
        ask_again(&mut both, &end);
        assert_eq!(answer(&mut both), (200, closed(&end)), "at once");
    }
    running.stop().unwrap();
}

/// A poll has the tag of the end from then on, and its answer says that it is closed.
#[test]
fn the_tag_of_a_poll_changes_with_the_end() {
    let server = Server::start(&["--threads", "1"]);
    let first = Post::new("x").to(&server.address, "tag");
    let mut raw = server.raw();
    let mut get = |tag: &str| {
        let condition = format!("If-None-Match: \"{tag}\"\r\n");
        let request = format!("GET /c/tag?limit=1 HTTP/1.1\r\nHost: x\r\n{condition}\r\n");
        let answer = raw.send(request).response();
        (answer.status, answer.field("etag").unwrap().trim_matches('"').to_owned(), answer.body)
    };
    assert_eq!(get(&first), (304, first.clone(), Vec::new()));
    let end = close(&server.address, "tag", None);
    let (status, tag, body) = get(&first);
    assert_eq!((status, &tag), (200, &end));
    let poll: Value = serde_json::from_slice(&body).unwrap();
    // The answer with the last message reaches the end.
    assert_eq!((&poll["closed"], &poll["messages"][0]["cursor"]), (&true.into(), &first.into()));
    assert_eq!(get(&end), (304, end.clone(), Vec::new()));
}

#[test]
fn a_websocket_is_closed_with_a_reason() {
    let server = Server::start(&["--threads", "1"]);
    for v1 in [false, true] {
        let [ended, gone] = ["ended", "gone"].map(|name| format!("{name}-{v1}"));
        let open = |channel: &str| {
            Post::new("x").to(&server.address, channel);
            let path = format!("/c/{channel}");
            if v1 { Ws::v1(&server, &path) } else { Ws::bare(&server, &path) }
        };
        let [mut at_end, mut at_gone] = [&ended, &gone].map(|channel| open(channel));
        if v1 {
            at_end.json();
            at_gone.json();
        }
        let end = close(&server.address, &ended, None);
        delete(&server.address, &gone);
        if v1 {
            assert_eq!(at_end.text(), format!(r#"{{"type":"end","cursor":"{end}"}}"#));
            assert_eq!(at_gone.text(), r#"{"type":"deleted"}"#);
        }
        assert_eq!(at_end.closed(), (1000, "the channel has ended".to_owned()));
        assert_eq!(at_gone.closed(), (4404, "the channel was deleted".to_owned()));
    }
}

/// A client that changes its channels is told of each end, also of one that it had before.
#[test]
fn a_client_that_subscribes_to_an_ended_channel_is_told() {
    let server = Server::start(&["--threads", "1"]);
    let first = Post::new("x").to(&server.address, "ended");
    let end = close(&server.address, "ended", None);
    let mut ws = Ws::v1(&server, "/c/open");
    let hello = ws.json();
    let open = hello["cursor"].as_str().unwrap().to_owned();
    for since in [&first, &end] {
        ws.say(serde_json::json!({"type": "subscribe", "id": 1, "channel": "ended", "since": since}));
        assert_eq!(ws.json()["type"], "hello");
        assert_eq!(ws.json()["type"], "ack");
        let told = ws.json();
        let expected =
            serde_json::json!({"type": "end", "cursor": format!("{open}.{end}"), "channel": "ended"});
        assert_eq!(told, expected, "since {since}");
        ws.say(serde_json::json!({"type": "unsubscribe", "id": 2, "channel": "ended"}));
        assert_eq!(ws.json()["type"], "ack");
    }
    // The last open channel goes, so all that are left have ended.
    ws.say(serde_json::json!({"type": "subscribe", "channel": "ended", "since": end}));
    assert_eq!((ws.json()["type"].clone(), ws.json()["type"].clone()), ("hello".into(), "end".into()));
    ws.say(serde_json::json!({"type": "unsubscribe", "id": 3, "channel": "open"}));
    assert_eq!(ws.json()["type"], "ack");
    assert_eq!(ws.closed().0, 1000);
}
