//! The law over a store that delays, reorders, fails, loses answers and crashes. The server is in
//! this process, and has much less in memory than the log keeps.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use tidewire_store::suite::{Fault, Loss, Rates, RequestKind};

use super::common::feeds::client;
use super::common::publish::close;
use super::common::retries::{Publisher, Told, Way, answered, close_with_last, delete, start_of};
use super::common::{Client, CuttingProxy, Ended, Feed, Post, Raw, Seed, seq, soon};
use super::crashing_server::{CrashingServer, Truth};
use super::next;

/// What happened to the log of a channel.
#[derive(Default)]
struct Fate {
    /// The cursors of messages that were lost in a crash.
    lost: HashSet<String>,
    /// The last cursor that was kept in each crash.
    heads: Vec<String>,
}

impl Fate {
    fn crashed(&mut self, before: &Truth, after: &Truth) {
        let (before, after) = (before.cursors(), after.cursors());
        assert_eq!(before[..after.len()], after, "what is kept keeps its cursors");
        self.lost.extend(before[after.len()..].iter().map(|&lost| lost.to_owned()));
        self.heads.push((*after.last().expect("some messages are kept")).to_owned());
    }

    /// The law for a reader: it has got the log, and a report of a lost tail only after it had seen
    /// the tail.
    fn check_reader(&self, client: &Client, truth: &Truth) {
        assert_eq!(client.cursors, truth.cursors());
        assert_eq!(client.missed, 0);
        for ((_, feed, got), (cursor, _, payload)) in client.messages.iter().zip(&truth.0) {
            assert_eq!(*got, feed.carries(payload), "{feed:?}, {cursor}");
        }
        for (had, to) in client.tails.iter().flatten() {
            assert!(self.lost.contains(had), "{had} was not lost, and the reader was sent to {to}");
            assert!(self.heads.contains(to), "{to} is not the end of what was kept");
        }
    }

    /// The law for a reader of a channel that was deleted. It may have come back only after that.
    fn check_reader_of_deleted(&self, mut client: Client, truth: &Truth) {
        let kept = client.cursors.iter().take_while(|cursor| !self.lost.contains(*cursor)).count();
        assert!(client.cursors[kept..].iter().all(|cursor| self.lost.contains(cursor)));
        client.messages.truncate(kept);
        client.cursors.truncate(kept);
        self.check_reader(&client, &Truth(truth.0[..kept.min(truth.0.len())].to_vec()));
    }

    /// The law for publishers: what was acknowledged is in the log once, at the place that they
    /// were told, unless it was lost in a crash. Nothing else is there.
    fn check_publishers(&self, told: &[(String, String)], truth: &Truth) {
        for (payload, cursor) in told {
            let places: Vec<_> = truth.0.iter().filter(|(.., one)| one == payload.as_bytes()).collect();
            match places[..] {
                [] => assert!(self.lost.contains(cursor), "{payload} was acknowledged, and is not there"),
                [(place, ..)] => assert_eq!(place, cursor, "{payload}"),
                _ => panic!("{payload} is there more than once: {places:?}"),
            }
        }
        let there: HashSet<_> = told.iter().map(|(payload, _)| payload.as_bytes()).collect();
        assert!(truth.0.iter().all(|(.., payload)| there.contains(&**payload)));
    }
}

/// Publishers repeat what fails. Readers are cut and change their feeds. The store delays,
/// reorders, fails and loses answers. The server crashes twice, and the newest messages are lost.
/// One channel is deleted, the other one is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_law_holds_over_a_store_that_fails_and_crashes() {
    const EACH: usize = 60;
    for threads in [1, 2] {
        let seed = Seed::draw();
        let rates = Rates { hold: 40, fail: 15 };
        let mut server = CrashingServer::start(threads, seed.0, rates);
        let proxy = CuttingProxy::start(&server.address, seed.rng(1_000)).await;
        let mut readers = Vec::new();
        for (channel, count) in [("law", 6), ("doomed", 3)] {
            let start = soon("the start", start_of(&proxy.address, channel)).await;
            for n in 0..count {
                let (client, rng) = (Client::across_crashes(&start), seed.rng(readers.len() as u64));
                let reader = super::wander(proxy.address.clone(), channel, client, rng, u64::MAX, n);
                readers.push((channel, tokio::spawn(reader)));
            }
        }
        let publish = |channel, id, way| Publisher::new(&proxy.address, channel, id, way);
        let publishers = [("key", Way::Key), ("producer", Way::Producer), ("socket", Way::Socket)]
            .map(|(id, way)| tokio::spawn(publish("law", id, way).run(EACH)));
        let mut doomed = Some(tokio::spawn(publish("doomed", "producer", Way::Producer).run(EACH / 3)));
        let mut doomed_told = Vec::new();

        let mut fates = [Fate::default(), Fate::default()];
        let mut gone = Truth::default();
        for crash in 1..=2 {
            if crash == 1 {
                soon("messages in both", server.reach("doomed", 8)).await;
            } else {
                doomed_told = soon("the rest", doomed.take().unwrap()).await.unwrap().0;
                gone = Truth::of(&server.store, "doomed");
                soon("the deletion", delete(&proxy.address, "doomed")).await;
            }
            soon("some messages", server.reach("law", EACH * crash)).await;
            let (next, old) = server.crash(Loss::Tail(3), seed.0.wrapping_add(crash as u64), rates);
            server = next;
            proxy.lead_to(&server.address);
            for (channel, fate) in ["law", "doomed"].into_iter().zip(&mut fates).take(3 - crash) {
                fate.crashed(&Truth::of(&old, channel), &Truth::of(&server.store, channel));
            }
        }

        let (mut told, mut failures) = (Vec::new(), 0);
        for publisher in publishers {
            let (one, failed) = soon("a publisher", publisher).await.unwrap();
            told.extend(one);
            failures += failed;
        }
        assert!(failures > 10, "only {failures} failures, so the test shows nothing");
        told.push(("last".to_owned(), soon("the end", close_with_last(&proxy.address, "law")).await));
        let truth = Truth::of(&server.store, "law");
        let [law, doomed] = fates;
        law.check_publishers(&told, &truth);
        doomed.check_publishers(&doomed_told, &gone);
        for (channel, reader) in readers {
            let client = super::within(reader).await.0;
            assert!(client.has_ended);
            if channel == "law" {
                law.check_reader(&client, &truth);
                assert_eq!(seq(&client.cursor), truth.0.len() as u64 + 1, "that of the end");
            } else {
                doomed.check_reader_of_deleted(client, &gone);
            }
        }
        server.stop();
    }
}

/// Three answers of the store come in the wrong order. Before that, nobody sees the messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_feed_tells_in_order_what_the_store_answers_in_another_order() {
    let server = CrashingServer::start(2, 0, Rates::default());
    let first = Post::new("1").to(&server.address, "order");
    let mut readers = Vec::new();
    for feed in Feed::ALL {
        let client = Client::at(&first);
        readers.push((feed, client.open(feed, &server.address, "order").await.unwrap(), client));
    }
    server.pauses.store(true, Ordering::Relaxed);
    let mut posts = Vec::new();
    for n in 0..3 {
        server.store.plan(RequestKind::Append, Fault::HoldAnswer);
        let post = client().post(format!("http://{}/c/order", server.address)).body(format!("{}", n + 2));
        posts.push(tokio::spawn(answered(post)));
        tokio::task::block_in_place(|| server.store.wait_held(n + 1));
    }
    let held = server.store.held();
    for index in [2, 1, 0] {
        assert_eq!(start_of(&server.address, "order").await, first, "it is shown before it is known");
        assert!(posts.iter().all(|post| !post.is_finished()), "it is acknowledged before it is known");
        assert!(server.store.release(held[index].number));
    }
    for (n, post) in (2..).zip(posts) {
        let told = soon("an answer", post).await.unwrap();
        assert!(matches!(&told, Told::Kept { cursor, duplicate: false } if seq(cursor) == n), "{told:?}");
    }
    for (feed, mut reader, mut client) in readers {
        for n in 2..=4 {
            client.take(feed, next(feed, &mut *reader).await.unwrap());
            assert_eq!(client.messages.last(), Some(&(n, feed, n.to_string().into_bytes())));
        }
    }
    server.stop();
}

/// The answer to a publish is lost, and nobody repeats it. The readers get the message if it is in
/// the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_feed_tells_a_message_whose_fate_its_publisher_does_not_know() {
    let server = CrashingServer::start(2, 0, Rates::default());
    for fault in [Fault::LoseAnswer, Fault::DropAnswer, Fault::LoseRequest, Fault::Fail] {
        let channel = format!("{fault:?}");
        let first = Post::new("first").to(&server.address, &channel);
        let mut readers = Vec::new();
        for feed in Feed::ALL {
            let client = Client::at(&first);
            readers.push((feed, client.open(feed, &server.address, &channel).await.unwrap(), client));
        }
        let post = |text| client().post(format!("http://{}/c/{channel}", server.address)).body(text);
        server.store.plan(RequestKind::Append, fault);
        let told = answered(post("second")).await;
        assert!(matches!((fault, &told), (Fault::Fail, Told::Failed) | (_, Told::Unknown)), "{told:?}");
        let is_there = matches!(fault, Fault::LoseAnswer | Fault::DropAnswer);
        if !is_there {
            assert!(matches!(answered(post("second")).await, Told::Kept { duplicate: false, .. }));
        }
        for (feed, mut reader, mut client) in readers {
            client.take(feed, next(feed, &mut *reader).await.unwrap());
            assert_eq!(client.messages[0], (2, feed, b"second".to_vec()), "{fault:?}");
        }
        assert_eq!(Truth::of(&server.store, &channel).0.len(), 2, "{fault:?}");
    }
    server.stop();
}

/// A crash loses the newest messages, or the end. Each feed tells this to the readers that had
/// seen them, and tells the others nothing. Readers that are behind the window get pages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_feed_tells_a_lost_tail_to_those_who_had_seen_it() {
    const KEPT: usize = 12;
    for lost_appends in [0_usize, 1, 2] {
        let server = CrashingServer::start(2, 0, Rates::default());
        let mut cursors = vec![Post::new("1").to(&server.address, "tide")];
        for n in 2..=KEPT + lost_appends.saturating_sub(1) {
            cursors.push(Post::new(n.to_string()).to(&server.address, "tide"));
        }
        if lost_appends > 0 {
            cursors.push(close(&server.address, "tide", None));
        }
        let (server, _) = server.crash(Loss::Tail(lost_appends), 0, Rates::default());
        let head = cursors[KEPT - 1].clone();
        let mut readers = Vec::new();
        for feed in Feed::ALL {
            for (at, cursor) in cursors.iter().enumerate().filter(|(at, _)| *at == 1 || *at >= KEPT - 2) {
                let client = Client::across_crashes(cursor);
                let reader = soon("a feed", client.open(feed, &server.address, "tide")).await.unwrap();
                readers.push((feed, at + 1, client, reader));
            }
        }
        let new = Post::new("new").to(&server.address, "tide");
        assert_eq!(seq(&new), KEPT as u64 + 1);
        assert!(!cursors.contains(&new), "no cursor is given twice");
        for (feed, at, mut client, mut reader) in readers {
            let had = client.cursor.clone();
            while client.cursor != new {
                match next(feed, &mut *reader).await {
                    Ok(event) => client.take(feed, event),
                    Err(ended) => {
                        assert_eq!((feed, ended), (Feed::WsBare, Ended::Well), "after {}", client.cursor);
                        assert_eq!(client.cursor, head, "only after a report");
                        reader = client.open(feed, &server.address, "tide").await.unwrap();
                    }
                }
            }
            let tails = if at > KEPT { vec![(had, head.clone())] } else { Vec::new() };
            assert_eq!(client.tails, Some(tails), "{feed:?}, message {at} of {KEPT}");
            let expected: Vec<_> = cursors[..KEPT].iter().skip(at).chain([&new]).collect();
            assert_eq!(client.cursors.iter().collect::<Vec<_>>(), expected, "{feed:?}, message {at}");
            let payloads = (at + 1..=KEPT).map(|n| n.to_string().into_bytes()).chain([b"new".to_vec()]);
            assert!(client.messages.iter().map(|(.., payload)| payload.clone()).eq(payloads), "{feed:?}");
        }
        server.stop();
    }
}

/// A crash cuts an upload, and loses its last piece. The first who asks for the channel gets the
/// mark, whatever happens to the append of the mark.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_feed_tells_that_a_crash_has_cut_an_upload() {
    let faults = [Fault::HoldAnswer, Fault::Fail, Fault::LoseRequest, Fault::LoseAnswer, Fault::DropAnswer];
    for fault in faults {
        let server = CrashingServer::start(1, 0, Rates::default());
        let mut raw = Raw::connect(&*server.address);
        raw.send("PUT /c/upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        for n in 1..=3 {
            raw.send(format!("1\r\n{n}\r\n"));
            soon("the piece", server.reach("upload", n)).await;
        }
        let seen = Truth::of(&server.store, "upload");
        let (server, _) = server.crash(Loss::Tail(1), 0, Rates::default());
        server.store.plan(RequestKind::Append, fault);
        // Until the mark is kept, publishers are refused.
        let publish = || async {
            let request = client().post(format!("http://{}/c/upload", server.address)).body("after");
            request.send().await.unwrap().status().as_u16()
        };
        soon("a place for another message", async {
            loop {
                match publish().await {
                    201 => break,
                    status => assert!([409, 503].contains(&status), "{status}"),
                }
            }
        })
        .await;
        let truth = Truth::of(&server.store, "upload");
        let marks = truth.0.iter().filter(|(_, event, _)| event.as_deref() == Some("upload-aborted")).count();
        // If nobody knows of the first one, there may be a second one.
        let is_there_twice = matches!(fault, Fault::LoseAnswer | Fault::DropAnswer);
        assert!(marks == 1 || marks == 2 && is_there_twice, "{fault:?}: {truth:?}");
        assert_eq!(truth.0.len(), 3 + marks, "{fault:?}: {truth:?}");
        assert_eq!(truth.0.last().unwrap().2, b"after");
        assert_eq!(truth.0[2].1.as_deref(), Some("upload-aborted"));
        for feed in Feed::ALL {
            for (at, (cursor, ..)) in seen.0.iter().enumerate() {
                let mut client = Client::across_crashes(cursor);
                let mut reader = soon("a feed", client.open(feed, &server.address, "upload")).await.unwrap();
                while client.cursors.len() < truth.0.len() - at.min(1) - 1 {
                    match next(feed, &mut *reader).await {
                        Ok(event) => client.take(feed, event),
                        Err(ended) => {
                            assert_eq!((feed, ended), (Feed::WsBare, Ended::Well), "after {}", client.cursor);
                            reader = client.open(feed, &server.address, "upload").await.unwrap();
                        }
                    }
                }
                let was_lost = client.tails.as_ref().unwrap().len();
                assert_eq!(was_lost, usize::from(at == 2), "{feed:?}, after piece {}", at + 1);
                let follows = &truth.cursors()[at.min(1) + 1..];
                assert_eq!(client.cursors, follows, "{feed:?}, after piece {}", at + 1);
            }
        }
        server.stop();
    }
}
