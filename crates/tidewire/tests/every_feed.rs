//! The central guarantee: every feed reads the same log, and one cursor works on all of them.
//!
//! A client receives every message once and in order, or a report of exactly the messages that are
//! lost. This holds for every change of feeds, for every cut of a connection, and while publishers
//! are active. The tests use the real program, and client libraries of others.
#![allow(clippy::unwrap_used)]

#[path = "every_feed/changing.rs"]
mod changing;
mod common;
#[path = "every_feed/crashing_server.rs"]
mod crashing_server;
#[path = "every_feed/ends.rs"]
mod ends;
#[path = "every_feed/stores.rs"]
mod stores;

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use common::{
    Client, CuttingProxy, Ended, Feed, FeedEvent, PATIENCE, Post, Published, Raw, Reader, Received, Rng,
    Seed, Server, after, open, publish, seq, soon,
};
use tokio::sync::Barrier;

/// Returns what a feed delivers next. Silence fails the test.
async fn next(feed: Feed, reader: &mut dyn Reader) -> Result<FeedEvent, Ended> {
    soon(&format!("the next message on {feed:?}"), reader.next()).await
}

/// Returns the cursor before the first message of an unused channel.
async fn start_of(server: &Server, channel: &str) -> String {
    let url = server.url(&format!("/c/{channel}"));
    let response = common::feeds::client().get(url).send().await.unwrap();
    response.headers()["tidewire-cursor"].to_str().unwrap().to_owned()
}

/// Payloads that one of the formats could change.
fn difficult() -> Vec<Post> {
    let long = "0123456789abcde\n".repeat(6_400); // 100 KiB
    let binary: Vec<u8> = (0..100 * 1024).map(|n| (n * 7 % 256) as u8).collect();
    vec![
        Post::new("plain text"),
        Post::new("two\nlines"),
        Post::new(""),
        Post::new("\n"),
        Post::new("ends in a line end\n"),
        Post::new("\n\nbegins with two"),
        Post::new("CR LF\r\nhere"),
        Post::new("a lone CR\rhere, and at the end\r"),
        Post::new(" leading space and trailing "),
        Post::new("data: not a field\nid: 7\n\nevent: gap\n\n:comment"),
        Post::new("{\"type\":\"gap\",\"cursor\":\"x-1\",\"missed\":9}"),
        Post::new("\u{feff}begins with a byte order mark"),
        Post::new("NUL\0 ESC\u{1b} DEL\u{7f} NEL\u{85} LS\u{2028} astral \u{1f30a}"),
        Post::new("</script> & \"quotes\" \\ backslash"),
        Post::new([0xff, 0xfe, 0, b'\n', 0x80]),
        Post::new([0xe2, 0x82]),
        Post::new(long),
        Post::new(binary).content_type("application/octet-stream"),
        Post::new("named").event("update"),
        Post::new("named\nwith lines").event("two%20words"),
        Post::new("named, with a return\r\n").event("update"),
        Post::new("{\"a\":1}").event("json").content_type("application/json; charset=utf-8"),
        Post::new([0x89, b'P', b'N', b'G', b'\r', b'\n']).content_type("image/png"),
    ]
}

/// Returns the message as a reader of this feed must receive it.
fn expected(feed: Feed, cursor: &str, post: &Post) -> FeedEvent {
    let event = post.event.map(|event| event.replace("%20", " "));
    FeedEvent::Message(Received {
        cursor: cursor.to_owned(),
        payload: feed.carries(&post.payload),
        event: event.filter(|_| feed.names_events()),
        content_type: post.content_type.filter(|_| feed.names_type_of(&post.payload)).map(str::to_owned),
        channel: None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_feed_delivers_the_same_messages() {
    for threads in ["1", "2"] {
        let server = Server::start(&["--comet", "--threads", threads]);
        // Live readers are open before the first publish, and run at the same time as the
        // publisher.
        let start = start_of(&server, "same").await;
        let open = Arc::new(Barrier::new(Feed::ALL.len() + 1));
        let posts = difficult();
        let count = posts.len();
        let live = Feed::ALL.map(|feed| {
            let (address, start, open) = (server.address.clone(), start.clone(), open.clone());
            tokio::spawn(async move { read_all(feed, &address, &start, count, Some(&open)).await })
        });
        soon("all live readers", open.wait()).await;
        let address = server.address.clone();
        let cursors = tokio::task::spawn_blocking(move || {
            difficult().iter().map(|post| post.to(&address, "same")).collect::<Vec<_>>()
        });
        let cursors = cursors.await.unwrap();
        assert_eq!(cursors.last(), Some(&after(&cursors[0], count as u64 - 1)), "cursors are dense");
        for (feed, live) in Feed::ALL.into_iter().zip(live) {
            let replayed = read_all(feed, &server.address, "earliest", count, None).await;
            for (how, got) in [("live", live.await.unwrap()), ("replayed", replayed)] {
                for ((post, cursor), got) in posts.iter().zip(&cursors).zip(got) {
                    assert_eq!(got, expected(feed, cursor, post), "{feed:?}, {how}");
                }
            }
        }
    }
}

/// Reads `count` messages. If there is a barrier, waits there when the feed is open.
async fn read_all(
    feed: Feed,
    address: &str,
    since: &str,
    count: usize,
    barrier: Option<&Barrier>,
) -> Vec<FeedEvent> {
    let mut reader = soon("an open feed", open(feed, address, "same", since)).await.unwrap();
    if let Some(barrier) = barrier {
        barrier.wait().await;
    }
    let mut all = Vec::new();
    while all.len() < count {
        all.push(next(feed, &mut *reader).await.unwrap());
    }
    all
}

/// Changes from every feed to every other feed under load: no message is lost or repeated. At the
/// end it changes to raw bytes. They carry no cursors, but can start at the cursor of any other
/// feed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_any_feed_works_on_any_other() {
    let seed = Seed::draw();
    let server = Server::start(&["--comet", "--retain-messages", "100000", "--retain-bytes", "100000000"]);
    let start = start_of(&server, "matrix").await;
    let published = Published::default();
    let publishers = publish::from_threads(&server.address, "matrix", 400, 3_000, &published, seed.0);
    let mut pairs = Vec::new();
    for (row, from) in Feed::ALL.into_iter().enumerate() {
        for (column, to) in Feed::ALL.into_iter().enumerate() {
            let (address, start) = (server.address.clone(), start.clone());
            let mut rng = seed.rng((row * Feed::ALL.len() + column) as u64);
            pairs.push(tokio::spawn(async move {
                let mut client = Client::at(&start);
                for feed in [from, to, from] {
                    let mut reader = open(feed, &address, "matrix", &client.cursor).await.unwrap();
                    for _ in 0..10 + rng.below(40) {
                        client.take(feed, next(feed, &mut *reader).await.unwrap());
                    }
                }
                let raw = raw_after(&address, "matrix", &client.cursor, 500).await;
                (client, raw)
            }));
        }
    }
    let mut clients = Vec::new();
    for pair in pairs {
        clients.push(pair.await.unwrap());
    }
    publishers.into_iter().for_each(|thread| thread.join().unwrap());
    let published = published.payloads();
    for (client, raw) in &clients {
        assert_eq!(client.missed, 0);
        client.check_against(&published);
        let follows = published[seq(&client.cursor) as usize..].concat();
        assert!(follows.starts_with(raw), "raw bytes after {} are not what was published", client.cursor);
    }
}

/// Returns at least `least` bytes of the payloads after a cursor.
async fn raw_after(address: &str, channel: &str, cursor: &str, least: usize) -> Vec<u8> {
    let url = format!("http://{address}/c/{channel}?feed=raw&since={cursor}");
    let mut response = soon("raw bytes", common::feeds::client().get(url).send()).await.unwrap();
    assert_eq!(response.status(), 200);
    soon("more of them", async {
        let mut bytes = Vec::new();
        while bytes.len() < least {
            bytes.extend(response.chunk().await.unwrap().expect("nothing ends them"));
        }
        bytes
    })
    .await
}

/// While three threads publish, each reader is cut at random bytes and resumes on a random feed,
/// again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_cut_and_resumes_on_another_feed_gets_every_message_once() {
    for threads in ["1", "2"] {
        let seed = Seed::draw();
        let server = Server::start(&[
            "--comet",
            "--threads",
            threads,
            "--retain-messages",
            "100000",
            "--retain-bytes",
            "100000000",
        ]);
        let start = start_of(&server, "cut").await;
        let proxy = CuttingProxy::start(&server.address, seed.rng(1_000)).await;
        let published = Published::default();
        let publishers = publish::from_threads(&server.address, "cut", 500, 3_000, &published, seed.0);
        let readers: Vec<_> = (0..8)
            .map(|n| {
                let client = Client::at(&start);
                tokio::spawn(wander(proxy.address.clone(), "cut", client, seed.rng(n), u64::MAX, 0))
            })
            .collect();
        publishers.into_iter().for_each(|thread| thread.join().unwrap());
        let end = publish::close(&server.address, "cut", None);
        let mut cuts = 0;
        let mut clients = Vec::new();
        for reader in readers {
            let (client, cut) = within(reader).await;
            cuts += cut;
            clients.push(client);
        }
        let published = published.payloads();
        assert_eq!(published.len(), 1_500);
        for client in &clients {
            assert_eq!((client.messages.len(), client.missed), (1_500, 0), "every message, exactly once");
            assert_eq!(client.cursor, end);
            client.check_against(&published);
        }
        assert!(cuts > 100, "only {cuts} cuts, so the test shows nothing");
    }
}

/// The reader is alone in its channel, so no message for another reader can wake it. Two publishers
/// publish at the same moment, then wait until the reader has both messages. This is done 500
/// times.
#[test]
fn no_wake_up_is_lost() {
    let server = Server::start(&["--comet", "--threads", "2", "--retain-messages", "100000"]);
    let feeds = Feed::ALL.into_iter().filter(|&feed| feed != Feed::Poll).enumerate();
    let readers: Vec<_> = feeds
        .map(|(n, feed)| {
            let address = server.address.clone();
            std::thread::spawn(move || wake_again_and_again(feed, &address, &format!("alone-{n}")))
        })
        .collect();
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

fn wake_again_and_again(feed: Feed, address: &str, channel: &str) {
    let mut publishers = Vec::new();
    for _ in 0..2 {
        let (go, gone) = mpsc::sync_channel::<()>(1);
        let (mut raw, channel) = (Raw::connect(address), channel.to_owned());
        std::thread::spawn(move || {
            while gone.recv().is_ok() {
                Post::new("wake up").on(&mut raw, &channel);
            }
        });
        publishers.push(go);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let first = Post::new("first").to(address, channel);
        let mut client = Client::at(&first);
        let mut reader = open(feed, address, channel, &first).await.unwrap();
        for _ in 0..500 {
            for go in &publishers {
                go.send(()).unwrap();
            }
            for _ in 0..2 {
                client.take(feed, next(feed, &mut *reader).await.unwrap());
            }
        }
    });
}

/// Waits for a reader, with a time limit: if a publisher has failed, the reader would wait for
/// ever.
async fn within<T>(reader: tokio::task::JoinHandle<T>) -> T {
    let limit = std::time::Duration::from_secs(180);
    tokio::time::timeout(limit, reader)
        .await
        .expect("all messages within three minutes: did a publisher fail?")
        .unwrap()
}

/// Reads until message `last` or the end of the channel, and changes the feed again and again.
/// Sleeps after `dawdle` of a hundred messages. Also returns how often it was cut.
async fn wander(
    address: String,
    channel: &'static str,
    mut client: Client,
    mut rng: Rng,
    last: u64,
    dawdle: usize,
) -> (Client, usize) {
    let mut cuts = 0;
    let mut progress = (Instant::now(), seq(&client.cursor));
    while seq(&client.cursor) < last && !client.has_ended {
        let feed = *rng.pick(&Feed::ALL);
        if progress.1 < seq(&client.cursor) {
            progress = (Instant::now(), seq(&client.cursor));
        }
        assert!(progress.0.elapsed() < PATIENCE, "no feed leads on from {}", client.cursor);
        // Sometimes it leaves after a few messages. Otherwise it stays until it is cut.
        let stay = if rng.chance(30) { rng.below(20) } else { usize::MAX };
        let opened = soon("an answer", client.open(feed, &address, channel)).await;
        let Ok(mut reader) = opened else {
            cuts += 1;
            continue;
        };
        for _ in 0..stay {
            if seq(&client.cursor) >= last || client.has_ended {
                break;
            }
            match next(feed, &mut *reader).await {
                Ok(event) => client.take(feed, event),
                // Without a reset, the proxy ends the connection normally, and a WebSocket library
                // may report that as a normal end.
                Err(Ended::Cut(_) | Ended::Well) => {
                    cuts += 1;
                    break;
                }
            }
            if rng.below(100) < dawdle {
                tokio::time::sleep(Duration::from_millis(rng.below(20) as u64)).await;
            }
        }
    }
    (client, cuts)
}

/// The log keeps five messages, and a reader resumes after twenty. Each feed reports exactly the
/// lost messages, and continues with the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_feed_reports_messages_that_are_no_longer_kept() {
    let server = Server::start(&["--comet", "--retain-messages", "5"]);
    let first = Post::new("1").to(&server.address, "five");
    for n in 2..=20 {
        Post::new(format!("{n}")).to(&server.address, "five");
    }
    for feed in Feed::ALL {
        let (had, kept) = (after(&first, 2), after(&first, 14));
        let mut client = Client::at(&had);
        let mut reader = open(feed, &server.address, "five", &had).await.unwrap();
        assert_eq!(
            next(feed, &mut *reader).await.unwrap(),
            FeedEvent::Gap { missed: 12, cursor: kept.clone() },
            "{feed:?}"
        );
        client.cursor = kept;
        if feed == Feed::WsBare {
            assert_eq!(
                next(feed, &mut *reader).await,
                Err(Ended::Well),
                "nothing follows between bare payloads"
            );
            reader = open(feed, &server.address, "five", &client.cursor).await.unwrap();
        }
        for n in 16..=20 {
            client.take(feed, next(feed, &mut *reader).await.unwrap());
            assert_eq!(client.messages.last(), Some(&(n, feed, n.to_string().into_bytes())), "{feed:?}");
        }
    }
}

/// For a cursor of another log, or one that was never issued, each feed reports a reset and
/// delivers the messages that are kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_feed_reports_a_cursor_of_another_log() {
    let server = Server::start(&["--comet"]);
    let start = start_of(&server, "other").await;
    let first = Post::new("first").to(&server.address, "other");
    for feed in Feed::ALL {
        for (cursor, reason) in [("0-1".to_owned(), "unknown-epoch"), (after(&first, 99), "ahead-of-log")] {
            let reason = if feed == Feed::WsBare { "" } else { reason };
            let mut reader = open(feed, &server.address, "other", &cursor).await.unwrap();
            assert_eq!(
                next(feed, &mut *reader).await.unwrap(),
                FeedEvent::Reset { reason: reason.to_owned(), cursor: start.clone() },
                "{feed:?}"
            );
            if feed == Feed::WsBare {
                assert_eq!(next(feed, &mut *reader).await, Err(Ended::Well));
                continue;
            }
            let mut client = Client::at(&start);
            client.take(feed, next(feed, &mut *reader).await.unwrap());
            assert_eq!(client.messages, [(1, feed, b"first".to_vec())], "{feed:?}");
        }
    }
}

/// The log keeps five messages, and the publishers are faster than the readers, which are cut and
/// sleep. Every gap is reported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_eviction_every_loss_is_reported() {
    for threads in ["1", "2"] {
        let seed = Seed::draw();
        let server = Server::start(&["--comet", "--threads", threads, "--retain-messages", "5"]);
        let start = start_of(&server, "evict").await;
        let proxy = CuttingProxy::start(&server.address, seed.rng(1_000)).await;
        let published = Published::default();
        let publishers = publish::from_threads(&server.address, "evict", 300, 1_500, &published, seed.0);
        let readers: Vec<_> = (0..6)
            .map(|n| {
                let client = Client::at(&start);
                tokio::spawn(wander(proxy.address.clone(), "evict", client, seed.rng(n), 900, 10))
            })
            .collect();
        let mut clients = Vec::new();
        for reader in readers {
            clients.push(within(reader).await.0);
        }
        publishers.into_iter().for_each(|thread| thread.join().unwrap());
        let published = published.payloads();
        for client in &clients {
            let (got, missed) = (client.messages.len() as u64, client.missed);
            assert_eq!(got + missed, 900, "{got} messages, and {missed} reported as lost");
            client.check_against(&published);
        }
        let missed: u64 = clients.iter().map(|client| client.missed).sum();
        assert!(missed > 0, "no gap, so the test shows nothing");
    }
}
