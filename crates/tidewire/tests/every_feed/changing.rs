//! A client that changes its channels while messages arrive.

use super::common::{ChannelChanger, Post, Seed, Server, Ws, narrow};

/// A `tidewire.v1` client subscribes and unsubscribes while messages arrive. Over all
/// subscriptions, it gets every message of each channel once and in order, and every cursor is
/// right.
#[test]
fn channels_added_and_dropped_under_load_lose_and_repeat_nothing() {
    changed_under_load("100000", 0, |missed| assert_eq!(missed, 0));
}

/// The same with a log that is too short for a slow client. Every gap is reported.
#[test]
fn channels_added_and_dropped_under_eviction_report_every_loss() {
    changed_under_load("20", 20, |missed| assert!(missed > 0, "no gap, so the test shows nothing"));
}

/// The number of messages of each channel. Some are published before the readers connect.
const EACH: u64 = 400;

fn changed_under_load(keeps: &str, dawdle: usize, check: impl Fn(u64)) {
    let (mut changes, mut missed) = (0, 0);
    // If many messages are lost, a round has few changes. So there may be several rounds.
    for _ in 0..5 {
        let round = one_round(keeps, dawdle);
        (changes, missed) = (changes + round.0, missed + round.1);
        if changes > 30 {
            break;
        }
    }
    assert!(changes > 30, "only {changes} changes, so the test shows nothing");
    check(missed);
}

/// Returns the number of changes, and of messages that were reported as lost.
fn one_round(keeps: &str, dawdle: usize) -> (usize, u64) {
    let seed = Seed::draw();
    let retain = ["--retain-messages", keeps, "--retain-bytes", "100000000"];
    let server = Server::start(&[&retain[..], &["--threads", "2"]].concat());
    let start = |channel: &str| {
        let request = format!("GET /c/{channel}?feed=poll HTTP/1.1\r\nHost: x\r\n\r\n");
        server.raw().send(request).response().field("tidewire-cursor").unwrap().to_owned()
    };
    let channels = ["a", "b", "c"].map(|channel| (channel, start(channel)));
    let payload = |channel: &str, n: u64| format!("{channel}{n}{}", "x".repeat(8_000));
    let publish = |channel: &str, from: u64, to: u64| {
        let mut raw = server.raw();
        (from..=to).for_each(|n| drop(Post::new(payload(channel, n)).on(&mut raw, channel)));
    };
    publish("a", 1, EACH / 2);
    let counts: Vec<(usize, u64)> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..6)
            .map(|n| {
                let (mut rng, address, channels) = (seed.rng(n), server.address.clone(), &channels);
                scope.spawn(move || {
                    let stream = if n % 3 == 2 {
                        narrow(&address)
                    } else {
                        std::net::TcpStream::connect(&address).unwrap()
                    };
                    let channels = channels.each_ref().map(|(channel, start)| (*channel, &**start));
                    let path = format!("/c/a?since={}", channels[0].1);
                    let ws = Ws::over(stream, &path, &[("Sec-WebSocket-Protocol", "tidewire.v1")]).unwrap();
                    let mut changer = ChannelChanger::start(ws, &channels);
                    changer.run(EACH, &mut rng, dawdle);
                    for (channel, client) in changer.got() {
                        assert_eq!(client.messages.len() as u64 + client.missed, EACH, "{channel}");
                        for (n, _, got) in &client.messages {
                            assert!(*got == payload(channel, *n).into_bytes(), "{channel}: message {n}");
                        }
                    }
                    (changer.changes, changer.missed())
                })
            })
            .collect();
        for (channel, from) in [("a", EACH / 2 + 1), ("b", 1), ("c", 1)] {
            scope.spawn(move || publish(channel, from, EACH));
        }
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    counts.into_iter().fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
}
