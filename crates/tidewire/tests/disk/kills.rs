//! `kill -9` at random, under load. Nobody is told anything: all that was acknowledged is there.

use serde_json::Value;
use tokio::task::block_in_place;

use crate::common::retries::start_of;
use crate::common::{Client, Seed, feeds, soon};
use crate::data_server::DataServer;
use crate::law::{CHANNELS, KEEPS_ALL, Load, publish_all, sent_by};
use crate::short_or_long;

/// Creates channels and deletes some of them. What was answered must be so at the end.
async fn create_and_delete(load: Load, stop: tokio::sync::watch::Receiver<bool>) -> Vec<(String, bool)> {
    let http = feeds::client();
    let mut made = Vec::new();
    for n in 0.. {
        if *stop.borrow() {
            break;
        }
        let url = format!("http://{}/c/made/{n}", load.address);
        let created = http.put(format!("{url}?create=1&retain-messages={}", n + 1)).send().await;
        if !created.is_ok_and(|answer| answer.status().is_success()) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        }
        let is_deleted =
            n % 3 == 0 && http.delete(&url).send().await.is_ok_and(|answer| answer.status().as_u16() == 204);
        if is_deleted || n % 3 != 0 {
            made.push((format!("made/{n}"), is_deleted));
        }
    }
    made
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_under_load_loses_nothing_and_nobody_is_told() {
    let seed = Seed::draw();
    let folder = tempfile::tempdir().unwrap();
    let mut server = block_in_place(|| DataServer::start(&folder.path().join("data"), &KEEPS_ALL));
    let load = Load::new(&server.address);
    let mut readers = Vec::new();
    for channel in CHANNELS.into_iter().cycle().take(7) {
        let start = soon("the start", start_of(&server.address, channel)).await;
        let (client, rng) = (Client::across_crashes(&start), seed.rng(readers.len() as u64));
        readers.push((channel, tokio::spawn(load.clone().follow(channel, client, rng))));
    }
    let publishers = publish_all(&load);
    let (stop, stops) = tokio::sync::watch::channel(false);
    let creator = tokio::spawn(create_and_delete(load.clone(), stops));

    let mut rng = seed.rng(1_000);
    let kills = short_or_long(8, 60);
    for n in 0..kills {
        block_in_place(|| {
            load.wait_for(1 + rng.below(150));
            server.kill();
            load.next_life();
            // The next server may run with another promise.
            server.again(&["--sync", ["always", "interval", "never"][n % 3]]);
        });
    }
    block_in_place(|| load.wait_for(50));
    load.stop();
    stop.send(true).unwrap();
    let sent = sent_by(publishers).await;
    for channel in CHANNELS {
        let truth = load.close(channel).await;
        truth.check_publishers(&sent[channel], |_| false);
        for (_, reader) in readers.extract_if(.., |(name, _)| *name == channel) {
            truth.check_undisturbed(&soon("the end of a reader", reader).await.unwrap());
        }
    }
    let made = soon("the channels that were made", creator).await.unwrap();
    assert!(made.len() > kills, "only {} channels were made", made.len());
    for (name, is_deleted) in made {
        let url = format!("http://{}/c/{name}", server.address);
        let answer = feeds::client().get(&url).send().await.unwrap();
        let status = answer.status().as_u16();
        let body: Value = feeds::json(&answer.bytes().await.unwrap());
        match is_deleted {
            true => assert_eq!((status, &body["reason"]), (404, &"deleted".into()), "{name}: {body}"),
            false => assert_eq!(status, 200, "{name}: {body}"),
        }
        if !is_deleted {
            // It exists with these settings, and not with others.
            let n: u32 = name.rsplit_once('/').unwrap().1.parse().unwrap();
            let same = feeds::client().put(format!("{url}?create=1&retain-messages={}", n + 1)).send();
            assert_eq!(same.await.unwrap().status().as_u16(), 200, "{name}");
        }
    }
    block_in_place(|| server.stop());
}
