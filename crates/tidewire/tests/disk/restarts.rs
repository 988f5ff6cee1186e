//! A planned restart, as many readers on all feeds see it: a pause, and nothing else.

use std::time::Duration;

use tidewire_client::{Backoff, Error, Event, Options, Since};
use tokio::task::block_in_place;

use crate::common::retries::Way;
use crate::common::{Client, Feed, Post, soon};
use crate::data_server::DataServer;
use crate::law::{KEEPS_ALL, Load};
use crate::short_or_long;

/// Reads one feed to the end of the channel. When it ends, it is opened again at its cursor.
/// Returns how often.
async fn stay_on(feed: Feed, address: String, mut client: Client) -> (Client, usize) {
    let mut times = 0;
    while !client.has_ended {
        let Ok(mut reader) = soon("an answer", client.open(feed, &address, "one")).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        times += 1;
        while !client.has_ended
            && let Ok(event) = soon("the next message", reader.next()).await
        {
            client.take(feed, event);
        }
    }
    (client, times)
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
    let truth = load.close("one").await;
    let log = block_in_place(|| server.stop());
    assert!(log.contains("the last stop was clean"), "{log}");

    let mut truth = truth;
    assert_eq!(truth.0.remove(0), (first.clone(), "first".to_owned()));
    let epoch = first.rsplit_once('-').unwrap().0;
    assert!(truth.cursors().iter().all(|cursor| cursor.starts_with(epoch)), "no epoch has begun");
    for reader in readers {
        let (client, times) = soon("the end of a reader", reader).await.unwrap();
        assert!(times > 0);
        truth.check_undisturbed(&client);
    }
    for client in clients {
        assert_eq!(soon("the end of a client", client).await.unwrap(), truth.cursors());
    }
    truth.0.insert(0, (first, "first".to_owned()));
    truth.check_publishers(&sent, |_| false);
}
