//! The Rust client, and the commands `pub` and `sub` that use it (`commands.rs`), with the real
//! server.
#![allow(clippy::unwrap_used)]

mod commands;
#[path = "../common/mod.rs"]
mod common;

use std::time::Duration;

use common::publish::delete;
use common::server::command;
use common::{CuttingProxy, Deadline, PATIENCE, Seed, Server, seq, soon};
use tidewire_client::{
    Backoff, Client, Cursor, Error, Event, Feed, Message, Options, Producer, Publish, Since, Subscription,
};

fn client(address: &str, channel: &str) -> Client {
    Client::new(&format!("http://{address}/c/{channel}")).unwrap()
}

/// Reads until `count` messages have arrived. A gap or a reset fails the test.
async fn messages(events: &mut Subscription, count: usize) -> Vec<Message> {
    let mut all = Vec::new();
    let deadline = Deadline::after(PATIENCE * 3);
    while all.len() < count {
        deadline.check("the next message", || format!("after {} messages, other events", all.len()));
        match soon("the next message", events.next()).await.unwrap() {
            Event::Message(message) => all.push(message),
            event @ (Event::Gap { .. } | Event::Reset { .. }) => panic!("{event:?} after {all:?}"),
            _ => {}
        }
    }
    all
}

/// Reads to the end of all channels. Returns the payloads, and the ends with their channels.
async fn to_the_end(events: &mut Subscription) -> (Vec<String>, Vec<(Option<String>, Cursor)>) {
    let (mut texts, mut ends) = (Vec::new(), Vec::new());
    let deadline = Deadline::after(PATIENCE * 3);
    loop {
        deadline.check("the end", || format!("after {} messages, {ends:?}, other events", texts.len()));
        match soon("the next event", events.next()).await {
            Ok(Event::Message(message)) => texts.push(message.text().unwrap().to_owned()),
            Ok(Event::End { channel, cursor }) => ends.push((channel, cursor)),
            Ok(event @ (Event::Gap { .. } | Event::Reset { .. })) => panic!("{event:?} after {texts:?}"),
            Ok(_) => {}
            Err(Error::Ended) => return (texts, ends),
            Err(error) => panic!("{error:?} after {texts:?}"),
        }
    }
}

/// Options with short waits.
fn quick(feeds: &[Feed], since: Since) -> Options {
    let backoff = Backoff::DEFAULT.with_min(Duration::from_millis(1)).with_max(Duration::from_millis(20));
    Options::DEFAULT
        .with_feeds(feeds.iter().copied())
        .with_since(since)
        .with_backoff(backoff)
        .with_poll_interval(Duration::from_millis(10))
        .with_wait(Duration::from_millis(100))
        .with_prefer_again(Duration::from_millis(200))
}

/// Payloads that one of the formats could change.
fn difficult() -> Vec<Publish> {
    vec![
        Publish::new("plain text"),
        Publish::new(""),
        Publish::new("\n\ntwo\nlines\n"),
        Publish::new("CR LF\r\nhere, CR\rthere\r").with_event("tide"),
        Publish::new("id: 7\n\nevent: gap\n\n:comment"),
        Publish::new("{\"type\":\"gap\",\"cursor\":\"x-1\",\"missed\":9}")
            .with_content_type("application/json"),
        Publish::new("named").with_event("two words, é & more"),
        Publish::new(vec![0xff, 0xfe, 0, b'\n', 0x80]).with_content_type("a/b"),
        Publish::new("0123456789abcde\n".repeat(6_400)),
    ]
}

#[tokio::test]
async fn every_feed_delivers_the_published_messages_unchanged() {
    let server = Server::start(&[]);
    let client = client(&server.address, "same");
    let mut live = Vec::new();
    for feed in Feed::ALL {
        let interval = Duration::from_millis(50);
        let mut events = client.subscribe(Options::DEFAULT.with_feeds([feed]).with_poll_interval(interval));
        let opened = soon("a feed", events.next()).await.unwrap();
        assert!(matches!(opened, Event::Connected { cursor: Some(_), .. }), "{opened:?}");
        live.push(events);
    }
    let mut cursors = Vec::new();
    for message in difficult() {
        cursors.push(client.publish(message).await.unwrap().cursor);
    }
    let truth = messages(&mut live[0], cursors.len()).await;
    assert_eq!(
        truth.iter().map(|message| &message.cursor).collect::<Vec<_>>(),
        cursors.iter().collect::<Vec<_>>()
    );
    assert_eq!(truth[3].event.as_deref(), Some("tide"));
    assert_eq!(truth[6].event.as_deref(), Some("two words, é & more"));
    assert_eq!(truth[7].data, vec![0xff, 0xfe, 0, b'\n', 0x80]);
    for (events, feed) in live[1..].iter_mut().zip(&Feed::ALL[1..]) {
        for (got, expected) in messages(events, cursors.len()).await.into_iter().zip(truth.clone()) {
            assert_eq!(got, expected, "{feed}");
        }
    }
}

#[tokio::test]
async fn one_subscription_reads_several_channels() {
    let server = Server::start(&[]);
    for (channel, text) in [("a", "a1"), ("b", "b1"), ("a", "a2")] {
        client(&server.address, channel).publish(Publish::new(text).with_event("x")).await.unwrap();
    }
    for feed in Feed::ALL {
        let options = Options::DEFAULT.with_feeds([feed]).with_since(Since::Earliest);
        let mut events = client(&server.address, "a,b").subscribe(options);
        let mut all = messages(&mut events, 3).await;
        all.sort_by(|one, other| (&one.channel, &one.data).cmp(&(&other.channel, &other.data)));
        let texts: Vec<_> = all.iter().map(|m| (m.channel.as_deref().unwrap(), m.text().unwrap())).collect();
        assert_eq!(texts, [("a", "a1"), ("a", "a2"), ("b", "b1")], "{feed}");
        assert!(all.iter().all(|message| message.event.as_deref() == Some("x")), "{feed}");
    }
}

/// A proxy cuts every connection, of readers and of the publisher, at a random byte or after a
/// short time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_broken_connections_each_message_is_published_and_delivered_once() {
    const COUNT: usize = 150;
    let seed = Seed::draw();
    let server = Server::start(&["--retain-messages", "100000"]);
    let orders = Feed::ALL.map(|feed| vec![feed]).into_iter().chain([Feed::ALL.to_vec()]);
    let mut readers = Vec::new();
    for (part, feeds) in orders.enumerate() {
        let proxy = CuttingProxy::start(&server.address, seed.rng(part as u64)).await;
        let options = quick(&feeds, Since::Earliest);
        // A connection that is cut before its first byte fails at once. The time-out is for a
        // connection that is stalled.
        let mut events =
            client(&proxy.address, "cut").with_connect_timeout(Duration::from_secs(2)).subscribe(options);
        readers.push(tokio::spawn(async move {
            let got = messages(&mut events, COUNT).await;
            // The connection may be cut between the last message and the end.
            (feeds, got, to_the_end(&mut events).await)
        }));
    }
    let proxy = CuttingProxy::start(&server.address, seed.rng(99)).await;
    let publisher = client(&proxy.address, "cut").with_attempts(1000);
    let mut cursors: Vec<Cursor> = Vec::new();
    for n in 0..COUNT {
        cursors.push(publisher.publish(Publish::new(format!("message {n}"))).await.unwrap().cursor);
    }
    let seqs: Vec<u64> = cursors.iter().map(|cursor| seq(cursor.as_str())).collect();
    assert_eq!(seqs, (1..=COUNT as u64).collect::<Vec<_>>(), "each publish was carried out once");
    let end = publisher.publish(Publish::close()).await.unwrap().end.unwrap();
    assert_eq!(seq(end.as_str()), COUNT as u64 + 1);
    for reader in readers {
        let (feeds, got, rest) = reader.await.unwrap();
        assert_eq!(rest, (Vec::new(), vec![(None, end.clone())]), "{feeds:?}: the end, once");
        for (n, message) in got.iter().enumerate() {
            assert_eq!(message.cursor, cursors[n], "{feeds:?}");
            assert_eq!(message.text().unwrap(), format!("message {n}"), "{feeds:?}");
        }
    }
}

/// The proxy cuts the publisher, and the producer repeats with the same number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_publishes_each_message_once_over_broken_connections() {
    const COUNT: u64 = 60;
    let seed = Seed::draw();
    let server = Server::start(&[]);
    let proxy = CuttingProxy::start(&server.address, seed.rng(1)).await;
    // With one attempt, many publishes have an unknown outcome.
    let through = client(&proxy.address, "made/by/one").with_attempts(1);
    let mut producer = Producer::new(through, "p", 1);
    let deadline = Deadline::after(PATIENCE * 3);
    for n in 0..COUNT {
        let message = Publish::new(format!("message {n}"));
        let message = if n + 1 == COUNT { message.closing() } else { message };
        let mut outcome = producer.publish(message.clone()).await;
        while let Err(error) = outcome {
            deadline.check("an answer", || error.to_string());
            outcome = match producer.retry().await {
                Ok(Some(published)) => Ok(published),
                // Nothing was appended.
                Ok(None) => producer.publish(message.clone()).await,
                Err(error) => Err(error),
            };
        }
    }
    let mut events =
        client(&server.address, "made/by/one").subscribe(quick(&[Feed::Stream], Since::Earliest));
    let (texts, ends) = to_the_end(&mut events).await;
    assert_eq!(texts, (0..COUNT).map(|n| format!("message {n}")).collect::<Vec<_>>());
    assert_eq!(ends.len(), 1);
    // An older run of the producer may not write, and a closed channel takes nothing.
    let direct = client(&server.address, "made/by/one");
    let old = Producer::new(direct.clone(), "p", 0).publish(Publish::new("old")).await;
    assert!(matches!(old, Err(Error::Fenced { epoch: Some(1) })), "{old:?}");
    let gap = direct.publish(Publish::new("x").with_producer("p", 1, COUNT + 1)).await;
    assert!(matches!(gap, Err(Error::ProducerGap { expected: Some(COUNT) })), "{gap:?}");
    let late = direct.publish(Publish::new("late")).await;
    assert!(matches!(&late, Err(Error::ChannelClosed { end: Some(end) }) if *end == ends[0].1), "{late:?}");
    let again = direct.publish(Publish::close()).await.unwrap();
    assert_eq!(again.end.as_ref(), Some(&ends[0].1), "to close twice changes nothing");
}

/// Readers that wait, and readers that come later, of one channel and of several.
#[tokio::test]
async fn every_feed_reads_to_the_end() {
    let server = Server::start(&[]);
    let (one, two) = (client(&server.address, "a/b"), client(&server.address, "c"));
    let both = client(&server.address, "a/b,c");
    let mut live = Vec::new();
    for feed in Feed::ALL {
        for client in [&one, &both] {
            let mut events = client.subscribe(quick(&[feed], Since::Now));
            soon("a feed", events.next()).await.unwrap();
            live.push((feed, events));
        }
    }
    one.publish(Publish::new("a1")).await.unwrap();
    let end = one.publish(Publish::new("a2").closing()).await.unwrap().end.unwrap();
    two.publish(Publish::new("c1")).await.unwrap();
    two.publish(Publish::close()).await.unwrap();
    for feed in Feed::ALL {
        for client in [&one, &both] {
            live.push((feed, client.subscribe(quick(&[feed], Since::Earliest))));
        }
    }
    for (n, (feed, mut events)) in live.into_iter().enumerate() {
        let (mut texts, mut ends) = to_the_end(&mut events).await;
        texts.sort();
        ends.sort_by(|one, other| one.0.cmp(&other.0));
        if n % 2 == 0 {
            assert_eq!((texts, ends), (vec!["a1".into(), "a2".into()], vec![(None, end.clone())]), "{feed}");
            continue;
        }
        assert_eq!(texts, ["a1", "a2", "c1"], "{feed}");
        let names: Vec<_> = ends.iter().map(|(channel, _)| channel.as_deref().unwrap()).collect();
        assert_eq!(names, ["a/b", "c"], "{feed}");
        // A reader that comes back is told the end again, or that there is nothing more.
        let last = Since::After(events.cursor().unwrap().clone());
        let mut back = both.subscribe(quick(&[feed], last));
        let mut ends = 0;
        let error = loop {
            match soon("the end", back.next()).await {
                Ok(Event::End { .. }) => ends += 1,
                Ok(Event::Connected { .. }) => {}
                Ok(event) => panic!("{feed}: {event:?}"),
                Err(error) => break error,
            }
        };
        match feed {
            Feed::Sse => assert!(matches!((error, ends), (Error::Stopped, 0))),
            _ => assert!(matches!(error, Error::Ended) && ends == 2, "{feed}: {ends}"),
        }
    }
}

#[tokio::test]
async fn every_feed_tells_a_deletion() {
    let server = Server::start(&[]);
    let (one, two) = (client(&server.address, "gone"), client(&server.address, "other,gone"));
    one.publish(Publish::new("1")).await.unwrap();
    let readers = [(&one, None), (&two, Some("gone"))];
    let mut live = Vec::new();
    for (client, name) in readers {
        for feed in Feed::ALL {
            let mut events = client.subscribe(quick(&[feed], Since::Earliest));
            assert_eq!(messages(&mut events, 1).await.len(), 1);
            live.push((events, name));
        }
    }
    delete(&server.address, "gone");
    for (client, name) in readers {
        live.extend(Feed::ALL.map(|feed| (client.subscribe(quick(&[feed], Since::Now)), name)));
    }
    for (mut events, name) in live {
        let mut told = None;
        let error = loop {
            match soon("the deletion", events.next()).await {
                Ok(Event::Deleted { channel }) => told = Some(channel),
                Ok(Event::Connected { .. }) => {}
                Ok(event) => panic!("{event:?}"),
                Err(error) => break error,
            }
        };
        let Error::Deleted { channel } = error else { panic!("{error:?}") };
        assert_eq!((channel.as_deref(), told), (name, Some(name.map(str::to_owned))));
    }
}

#[tokio::test]
async fn every_feed_reports_lost_messages() {
    let server = Server::start(&["--retain-messages", "2"]);
    let client = client(&server.address, "old");
    let first = client.publish(Publish::new("1")).await.unwrap().cursor;
    for n in 2..=5 {
        client.publish(Publish::new(n.to_string())).await.unwrap();
    }
    let other: Cursor = "zzz-7".parse().unwrap();
    for feed in Feed::ALL {
        for since in [&first, &other] {
            let options = Options::DEFAULT.with_feeds([feed]).with_since(Since::After(since.clone()));
            let mut events = client.subscribe(options);
            assert!(matches!(soon("a feed", events.next()).await, Ok(Event::Connected { .. })));
            let told = soon("what is lost", events.next()).await.unwrap();
            match &told {
                Event::Gap { from, missed, .. } => assert_eq!((from, *missed), (&first, 2), "{feed}"),
                Event::Reset { reason, .. } => {
                    assert_eq!((since, &**reason), (&other, "unknown-epoch"), "{feed}")
                }
                other => panic!("{other:?}"),
            }
            let rest = messages(&mut events, 2).await;
            assert_eq!(rest.iter().map(|m| m.text().unwrap()).collect::<Vec<_>>(), ["4", "5"], "{feed}");
        }
    }
}

#[tokio::test]
async fn readers_reconnect_after_a_restart() {
    let server = Server::start(&["--drain", "1"]);
    let address = server.address.clone();
    let mut readers = Vec::new();
    for feed in Feed::ALL {
        let backoff =
            Backoff::DEFAULT.with_min(Duration::from_millis(10)).with_max(Duration::from_millis(200));
        let options = Options::DEFAULT
            .with_feeds([feed])
            .with_backoff(backoff)
            .with_poll_interval(Duration::from_millis(50));
        let mut events = client(&address, "again").subscribe(options);
        soon("a feed", events.next()).await.unwrap();
        readers.push(tokio::spawn(async move {
            loop {
                match events.next().await.unwrap() {
                    Event::Reset { .. } => {}
                    Event::Message(message) => return message,
                    _ => {}
                }
            }
        }));
    }
    server.terminate();
    server.join();
    let server = Server::spawn(command(&["--listen", &address]));
    client(&server.address, "again").publish(Publish::new("back")).await.unwrap();
    for (reader, feed) in readers.into_iter().zip(Feed::ALL) {
        // The server tells an event stream to reconnect after 1 to 10 s, so that not all readers
        // reconnect at once.
        let message = tokio::time::timeout(PATIENCE, reader).await;
        assert_eq!(
            message.unwrap_or_else(|_| panic!("{feed} did not come back")).unwrap().text(),
            Some("back")
        );
    }
}

/// The client does not try again, because that cannot succeed.
#[tokio::test]
async fn another_message_with_the_same_key_is_refused() {
    let server = Server::start(&[]);
    let client = client(&server.address, "keys");
    let first = Publish::new("one").with_idempotency_key("k");
    let cursor = client.publish(first.clone()).await.unwrap().cursor;
    let error = client.publish(Publish::new("two").with_idempotency_key("k")).await.unwrap_err();
    let tidewire_client::Error::Refused(problem) = error else { panic!("{error:?}") };
    assert_eq!(problem.status, 422);
    assert!(problem.detail.contains("another message"), "the server's sentence: {problem}");
    let again = client.publish(first).await.unwrap();
    assert_eq!((again.cursor, again.duplicate), (cursor, true));
}
