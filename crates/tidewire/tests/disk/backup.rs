//! `tidewire backup`: a copy of a server that runs, and a start from the copy.

use std::path::Path;

use tokio::task::block_in_place;

use crate::common::publish::close;
use crate::common::server::{Outcome, command, run};
use crate::common::{Client, Feed, FeedEvent, Post, Raw, seq, soon};
use crate::data_server::DataServer;
use crate::law::{CHANNELS, KEEPS_ALL, Load, Truth, publish_all, sent_by};

/// Runs `tidewire backup` with these options.
fn backup(args: &[&str]) -> Outcome {
    let mut all = vec!["backup"];
    all.extend(args);
    run(command(&all))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Copies a server under load. The copy has a beginning of each log, with all that was acknowledged
/// before the copy began.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_under_load_has_all_that_was_acknowledged_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy) = (folder.path().join("data"), folder.path().join("copies/today"));
    let mut server = block_in_place(|| DataServer::start(&data, &KEEPS_ALL));
    let load = Load::new(&server.address);
    let publishers = publish_all(&load);
    let (before, outcome) = block_in_place(|| {
        load.wait_for(200);
        let before = CHANNELS.map(|channel| Post::new("before").to(&server.address, channel));
        let outcome = backup(&["--data", text(&data), text(&copy)]);
        load.wait_for(100);
        (before, outcome)
    });
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""), "{outcome:?}");
    let says = ["copied 3 channels with ", " messages", " in ", text(&copy)];
    assert!(says.iter().all(|part| outcome.stdout.contains(part)), "{outcome:?}");
    load.stop();
    sent_by(publishers).await;

    let mut other = block_in_place(|| DataServer::start(&copy, &KEEPS_ALL));
    for (channel, before) in CHANNELS.into_iter().zip(before) {
        let truth = load.close(channel).await;
        block_in_place(|| close(&other.address, channel, None));
        let copied = Truth::of(&other.address, channel).await;
        assert!(copied.0.len() as u64 >= seq(&before), "{} of {before}", copied.0.len());
        assert!(copied.0.len() < truth.0.len(), "the load went on");
        assert_eq!(copied.0, truth.0[..copied.0.len()], "{channel}");
    }
    block_in_place(|| (server.stop(), other.stop()));
}

/// A reader of the server comes to the copy. If it has seen a message that the copy does not have,
/// it is told, and otherwise it is not, whatever `--sync` says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_a_lost_future_are_told() {
    for sync in ["always", "interval"] {
        let folder = tempfile::tempdir().unwrap();
        let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
        let mut server = block_in_place(|| DataServer::start(&data, &["--sync", sync]));
        let mut raw = Raw::connect(&*server.address);
        let mut cursors: Vec<_> = (1..=5).map(|n| Post::new(n.to_string()).on(&mut raw, "tide")).collect();
        let mut args = command(&["backup", text(&copy)]);
        args.env("TIDEWIRE_DATA", &data);
        let outcome = block_in_place(|| run(args));
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        cursors.extend((6..=8).map(|n| Post::new(n.to_string()).on(&mut raw, "tide")));
        drop(raw);
        let mut other = block_in_place(|| {
            server.stop();
            DataServer::start(&copy, &["--sync", sync])
        });
        let new = Post::new("new").to(&other.address, "tide");
        assert_eq!(seq(&new), 6);
        assert!(!cursors.contains(&new), "no cursor is given twice");
        for feed in Feed::ALL {
            for (n, had) in cursors.iter().enumerate().skip(3) {
                let mut client = Client::across_crashes(had);
                let open = client.open(feed, &other.address, "tide");
                let mut reader = soon("a feed", open).await.unwrap();
                let first = soon("the first event", reader.next()).await.unwrap();
                let is_lost = n >= 5;
                match &first {
                    FeedEvent::Reset { reason, cursor } if is_lost => {
                        let reasons = ["tail-lost", if feed == Feed::WsBare { "" } else { "tail-lost" }];
                        assert!(reasons.contains(&&**reason), "{feed:?}: {first:?}");
                        assert_eq!(*cursor, cursors[4], "{feed:?}");
                    }
                    FeedEvent::Message(message) if !is_lost => {
                        assert_eq!(seq(&message.cursor), n as u64 + 2, "{feed:?}");
                    }
                    other => panic!("{feed:?} after message {}: {other:?}", n + 1),
                }
                client.take(feed, first);
            }
        }
        // A start of the original goes on as if nothing was.
        block_in_place(|| {
            other.stop();
            server.again(&[]);
        });
        let mut client = Client::at(&cursors[6]);
        let mut reader = client.open(Feed::Stream, &server.address, "tide").await.unwrap();
        client.take(Feed::Stream, soon("message 8", reader.next()).await.unwrap());
        drop(reader);
        block_in_place(|| server.stop());
    }
}

/// A copy of a copy, and of a server that does not run.
#[test]
fn a_server_that_does_not_run_can_be_copied() {
    let folder = tempfile::tempdir().unwrap();
    let [data, copy, again] = ["data", "copy", "again"].map(|name| folder.path().join(name));
    let mut server = DataServer::start(&data, &[]);
    let cursor = Post::new("x").to(&server.address, "tide");
    server.stop();
    let config = folder.path().join("tidewire.toml");
    std::fs::write(&config, format!("data = '{}'\n", text(&data))).unwrap();
    let outcome = backup(&["--config", text(&config), text(&copy)]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let outcome = backup(&["--data", text(&copy), text(&again)]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let mut server = DataServer::start(&again, &[]);
    let url = "GET /c/tide?since=earliest HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = Raw::connect(&*server.address).send(url).response();
    assert!(answer.text().contains(&cursor), "{answer:?}");
    server.stop();
}

#[test]
fn a_copy_that_cannot_be_made_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let [data, none, full, copy] = ["data", "none", "full", "copy"].map(|name| folder.path().join(name));
    let mut server = DataServer::start(&data, &[]);
    Post::new("x").to(&server.address, "tide");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("file"), "x").unwrap();
    for (args, says) in [
        (vec![text(&copy)], "--data DIR"),
        (vec!["--data", text(&none), text(&copy)], text(&none)),
        (vec!["--data", text(&full), text(&copy)], text(&full)),
        (vec!["--data", text(&data), text(&full)], text(&full)),
        (vec!["--data", text(&data), text(&data)], text(&data)),
    ] {
        let outcome = backup(&args);
        assert_eq!(outcome.code, Some(1), "{args:?}: {outcome:?}");
        assert!(outcome.stderr.contains(says), "{args:?}: {outcome:?}");
        assert_eq!(outcome.stdout, "", "{args:?}");
        assert!(!none.exists() && !copy.exists(), "{args:?} leaves nothing behind");
    }
    assert_eq!(seq(&Post::new("y").to(&server.address, "tide")), 2, "the server is undisturbed");
    server.stop();
}
