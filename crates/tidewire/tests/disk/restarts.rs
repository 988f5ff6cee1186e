//! A planned restart, as many readers on all feeds see it: a pause, and nothing else.

use std::time::{Duration, Instant};

use tidewire_client::{Backoff, Error, Event, Options, Since};
use tokio::task::block_in_place;

use crate::common::feeds::client;
use crate::common::retries::Way;
use crate::common::{Client, Feed, PATIENCE, Post, seq, soon};
use crate::data_server::DataServer;
use crate::law::{KEEPS_ALL, Load};
use crate::short_or_long;

/// Reads one feed to the end of the channel. When it ends, it is opened again at its cursor.
/// Returns how often.
async fn stay_on(feed: Feed, address: String, mut client: Client) -> (Client, usize) {
    let mut times = 0;
    let mut progress = (Instant::now(), String::new());
    while !client.has_ended {
        let opened = soon("an answer", client.open(feed, &address, "one")).await;
        if progress.1 != client.cursor {
            progress = (Instant::now(), client.cursor.clone());
        }
        let why = opened.as_ref().err();
        assert!(progress.0.elapsed() < PATIENCE, "{feed:?} does not lead on from {}: {why:?}", client.cursor);
        let Ok(mut reader) = opened else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        times += 1;
        let what = format!("what {feed:?} has after {}", client.cursor);
        while !client.has_ended
            && let Ok(event) = soon(&what, reader.next()).await
        {
            client.take(feed, event);
        }
        drop(reader);
        // These end without an event. The position of the end is the one after the last message.
        let is_silent = [Feed::WsBare, Feed::Replace].contains(&feed);
        if is_silent && let Some(end) = end_of(&address).await {
            client.has_ended = seq(&end) == seq(&client.cursor) + 1;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (client, times)
}

/// The position of the end of the channel, if it has ended.
async fn end_of(address: &str) -> Option<String> {
    let answer = client().head(format!("http://{address}/c/one")).send().await.ok()?;
    answer.headers().get("tidewire-closed")?;
    Some(answer.headers()["tidewire-cursor"].to_str().unwrap().to_owned())
}

/// Reads with the Rust client to the end of the channel. Returns the cursors.
async fn subscribe(feed: tidewire_client::Feed, address: String, first: String) -> Vec<String> {
    let client = tidewire_client::Client::new(&format!("http://{address}/c/one")).unwrap();
    let backoff = Backoff::DEFAULT.with_min(Duration::from_millis(10)).with_max(Duration::from_millis(100));
    let since = Since::After(first.parse().unwrap());
    let options = Options::DEFAULT.with_feeds([feed]).with_since(since).with_backoff(backoff);
    let mut events = client.subscribe(options.with_poll_interval(Duration::from_millis(100)));
    let mut cursors = Vec::new();
    loop {
        match soon("the next event", events.next()).await {
            Ok(Event::Message(message)) => cursors.push(message.cursor.to_string()),
            Ok(event @ (Event::Gap { .. } | Event::Reset { .. })) => panic!("{feed}: {event:?}"),
            Ok(_) => {}
            Err(Error::Ended) => return cursors,
            Err(error) => panic!("{feed}: {error:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_restart_is_a_pause_for_every_reader() {
    let count = short_or_long(200, 1_000);
    let folder = tempfile::tempdir().unwrap();
    let mut server = block_in_place(|| DataServer::start(&folder.path().join("data"), &KEEPS_ALL));
    let address = server.address.clone();
    let first = Post::new("first").to(&address, "one");
    // Most readers wait: a thousand short polls would measure only the machine.
    let quiet = Feed::ALL.into_iter().filter(|feed| *feed != Feed::Poll).cycle();
    let feeds = Feed::ALL.into_iter().chain(quiet).take(count);
    let readers: Vec<_> =
        feeds.map(|feed| tokio::spawn(stay_on(feed, address.clone(), Client::at(&first)))).collect();
    let clients: Vec<_> = tidewire_client::Feed::ALL
        .iter()
        .map(|&feed| tokio::spawn(subscribe(feed, address.clone(), first.clone())))
        .collect();
    let load = Load::new(&address);
    let ways = [("key", Way::Key), ("producer", Way::Producer)];
    let publishers = ways.map(|(id, way)| tokio::spawn(load.clone().publish("one", id, way)));
    for _ in 0..short_or_long(2, 5) {
        block_in_place(|| {
            load.wait_for(20);
            let log = server.stop();
            assert!(log.contains("stopping"), "{log}");
            server.again(&[]);
        });
    }
    block_in_place(|| load.wait_for(20));
    load.stop();
    let mut sent = Vec::new();
    for publisher in publishers {
        sent.push(soon("the end of a publisher", publisher).await.unwrap());
    }
    let mut truth = load.close("one").await;
    assert_eq!(truth.0[0], (first.clone(), "first".to_owned()));
    truth.check_publishers(&sent, |_| false);
    truth.0.remove(0);
    for reader in readers {
        let (client, times) = soon("the end of a reader", reader).await.unwrap();
        assert!(times > 0);
        truth.check_undisturbed(&client);
    }
    for client in clients {
        assert_eq!(soon("the end of a client", client).await.unwrap(), truth.cursors());
    }
    let epoch = first.rsplit_once('-').unwrap().0;
    assert!(truth.cursors().iter().all(|cursor| cursor.starts_with(epoch)), "no epoch has begun");
    let log = block_in_place(|| server.stop());
    assert!(log.contains("the last stop was clean"), "{log}");
}
