//! A disk that is full, and one whose syncs fail. Readers go on.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tidewire_lossydisk::LossyDisk;
use tokio::task::block_in_place;

use crate::common::publish::close;
use crate::common::{Client, Feed, Raw, eventually, soon};
use crate::data_server::DataServer;
use crate::law::Truth;

/// A small file system in memory. Dropping it unmounts it.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(folder: &Path, size: &str) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        Self::command(&["mount", "-t", "tmpfs", "-o", size, "tidewire-test"], folder);
        Tmpfs(folder.to_owned())
    }

    fn resize(&self, size: &str) {
        Self::command(&["mount", "-o", &format!("remount,{size}")], &self.0);
    }

    fn command(words: &[&str], folder: &Path) {
        let output = Command::new(words[0]).args(&words[1..]).arg(folder).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "this test needs root, and in a container CAP_SYS_ADMIN: {words:?}: {text}"
        );
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Publishes a message. Returns the status, and the object of the answer.
fn publish(address: &str, channel: &str, payload: &str) -> (u16, Value) {
    let head = format!("POST /c/{channel} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", payload.len());
    let response = Raw::connect(address).send(head + payload).response();
    (response.status, serde_json::from_str(response.text()).unwrap())
}

/// Readers on several feeds, which take what was acknowledged.
struct Readers(Vec<(Feed, Box<dyn crate::common::Reader>, Client)>);

impl Readers {
    const FEEDS: [Feed; 4] = [Feed::Sse, Feed::Stream, Feed::WsV1, Feed::LongPoll];

    async fn open(address: &str, channel: &str, cursor: &str) -> Self {
        let mut all = Vec::new();
        for feed in Self::FEEDS {
            let client = Client::at(cursor);
            let reader = soon("a feed", client.open(feed, address, channel)).await.unwrap();
            all.push((feed, reader, client));
        }
        Readers(all)
    }

    /// Every reader gets these messages, and nothing else.
    async fn get(&mut self, cursors: &[String]) {
        for (feed, reader, client) in &mut self.0 {
            let before = client.cursors.len();
            while client.cursors.len() < before + cursors.len() {
                client.take(*feed, soon("a message", reader.next()).await.unwrap());
            }
            assert_eq!(client.cursors[before..], *cursors, "{feed:?}");
        }
    }
}

/// Publishes until the answer has another status than 201. Returns the cursors, and that answer.
fn publish_until_refused(address: &str, channel: &str, payload: &str) -> (Vec<String>, (u16, Value)) {
    let mut cursors = Vec::new();
    loop {
        match publish(address, channel, payload) {
            (201, answer) => cursors.push(answer["cursor"].as_str().unwrap().to_owned()),
            other => return (cursors, other),
        }
        assert!(cursors.len() < 100_000, "the disk is never full");
    }
}

fn cursor_of((status, answer): (u16, Value)) -> String {
    assert_eq!(status, 201, "{answer}");
    answer["cursor"].as_str().unwrap().to_owned()
}

/// Publishes get 507 while there is no room, and readers get all that was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_messages_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let small = Tmpfs::mount(&folder.path().join("small"), "size=4m");
    let args = ["--retain-messages", "100000", "--retain-bytes", "1G", "--window-messages", "4"];
    let mut server = block_in_place(|| DataServer::start(&small.0.join("data"), &args));
    let address = server.address.clone();
    let first = cursor_of(publish(&address, "full", "first"));
    let mut readers = Readers::open(&address, "full", &first).await;

    let payload = "x".repeat(20_000);
    let (mut all, refused) = block_in_place(|| publish_until_refused(&address, "full", &payload));
    assert!(all.len() > 10, "{} messages fit", all.len());
    assert_eq!(refused.0, 507, "{refused:?}");
    assert!(refused.1["detail"].as_str().is_some_and(|text| text.contains("disk")), "{refused:?}");
    readers.get(&all).await;
    // A reader that begins now gets them from the full disk.
    let mut late = Readers::open(&address, "full", &first).await;
    late.get(&all).await;
    // It is refused as long as there is no room.
    for _ in 0..20 {
        assert_eq!(publish(&address, "full", &payload).0, 507);
    }

    small.resize("size=64m");
    let mut go_on = Vec::new();
    eventually("messages are taken again", || {
        let answer = publish(&address, "full", &payload);
        assert!([201, 507].contains(&answer.0), "{answer:?}");
        if answer.0 == 201 {
            go_on.push(cursor_of(answer));
        }
        go_on.len() == 5
    });
    readers.get(&go_on).await;
    late.get(&go_on).await;
    drop((readers, late));
    all.extend(go_on);

    block_in_place(|| {
        server.stop();
        server.again(&[]);
        close(&address, "full", None);
    });
    let truth = Truth::of(&address, "full").await;
    assert_eq!(truth.cursors()[1..], all.iter().map(String::as_str).collect::<Vec<_>>());
    block_in_place(|| server.stop());
}

/// A disk that is full when the server starts, and when it stops, is not the end of it either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_a_full_disk_can_be_killed_and_started() {
    let folder = tempfile::tempdir().unwrap();
    let small = Tmpfs::mount(&folder.path().join("small"), "size=4m");
    let args = ["--retain-messages", "100000", "--retain-bytes", "1G"];
    let mut server = block_in_place(|| DataServer::start(&small.0.join("data"), &args));
    let address = server.address.clone();
    let payload = "x".repeat(20_000);
    let (all, refused) = block_in_place(|| publish_until_refused(&address, "full", &payload));
    assert_eq!(refused.0, 507, "{refused:?}");
    block_in_place(|| {
        server.kill();
        small.resize("size=64m");
        server.again(&[]);
        close(&address, "full", None);
    });
    let truth = Truth::of(&address, "full").await;
    assert_eq!(truth.cursors(), all.iter().map(String::as_str).collect::<Vec<_>>());
    block_in_place(|| server.stop());
}

/// After a failed sync nobody knows what is on the disk. So nothing more is taken until a restart,
/// which finds out what is there. Readers go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_stops_messages_until_a_restart() {
    for sync in ["always", "interval"] {
        let folder = tempfile::tempdir().unwrap();
        let disk = LossyDisk::mount(folder.path().join("disk")).unwrap();
        let data = disk.path().join("data");
        let mut server = block_in_place(|| DataServer::start(&data, &["--sync", sync]));
        let address = server.address.clone();
        let mut all = vec![cursor_of(publish(&address, "tide", "first"))];
        let mut readers = Readers::open(&address, "tide", &all[0]).await;

        disk.fail_syncs(true);
        let (more, (status, answer)) = block_in_place(|| publish_until_refused(&address, "tide", "more"));
        assert_eq!(status, 503, "{sync}: {answer}");
        let outcome = answer["outcome"].as_str().unwrap();
        assert!(["unknown", "failed"].contains(&outcome), "{sync}: {answer}");
        assert!(sync != "always" || more.is_empty(), "acknowledged without a sync: {more:?}");
        readers.get(&more).await;
        all.extend(more);
        // It does not work again by itself.
        disk.fail_syncs(false);
        for _ in 0..3 {
            let (status, answer) = publish(&address, "tide", "refused");
            assert_eq!((status, &answer["outcome"]), (503, &"failed".into()), "{sync}: {answer}");
        }
        let mut late = Readers::open(&address, "tide", &all[0]).await;
        late.get(&all[1..]).await;
        drop((readers, late));

        let log = block_in_place(|| {
            let log = server.stop_failed();
            server.again(&[]);
            log
        });
        assert_eq!(log.matches("ERROR").count(), 1, "one line says what happened, and what to do:\n{log}");
        assert!(log.contains("restart"), "{log}");
        let head = cursor_of(publish(&address, "tide", "again"));
        assert!(all.iter().all(|cursor| *cursor != head), "no cursor is given twice");
        block_in_place(|| server.stop());
    }
}
