//! Files that are damaged, or that a server must not open.

use std::fs;
use std::path::Path;

use tokio::task::block_in_place;

use crate::common::{Client, Feed, Post, Raw, seq, soon};
use crate::data_server::{DataServer, refused};

/// The file with the messages.
const DATABASE: &str = "tidewire.db";

/// Starts a server, and publishes messages. Returns their cursors.
fn with_messages(folder: &Path, channel: &str, count: usize) -> (DataServer, Vec<String>) {
    let server = DataServer::start(folder, &["--window-messages", "1"]);
    let mut raw = Raw::connect(&*server.address);
    let publish = |n| Post::new(format!("message {n} of the tide")).on(&mut raw, channel);
    let cursors = (1..=count).map(publish).collect();
    (server, cursors)
}

/// Flips a bit in every place of a file where a text stands. Returns how many there are.
fn flip(file: &Path, text: &str) -> usize {
    let mut bytes = fs::read(file).unwrap();
    let places: Vec<_> =
        bytes.windows(text.len()).enumerate().filter(|(_, part)| *part == text.as_bytes()).collect();
    let places: Vec<usize> = places.into_iter().map(|(at, _)| at).collect();
    for at in &places {
        bytes[at + text.len() / 2] ^= 0x10;
    }
    fs::write(file, bytes).unwrap();
    places.len()
}

/// Every feed reports one lost message, and goes on with the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_is_a_gap_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (mut server, cursors) = block_in_place(|| with_messages(&data, "tide", 20));
    block_in_place(|| server.stop());
    assert!(flip(&data.join(DATABASE), "message 8 of the tide") > 0, "the message is in the file");
    block_in_place(|| server.again(&[]));
    for feed in Feed::ALL {
        for since in [0, 5, 6, 7, 8] {
            let mut client = Client::at(&cursors[since]);
            let mut reader = soon("a feed", client.open(feed, &server.address, "tide")).await.unwrap();
            while client.cursor != cursors[19] {
                match soon("the next message", reader.next()).await {
                    Ok(event) => client.take(feed, event),
                    // A bare WebSocket closes to report a loss.
                    Err(_) => reader = client.open(feed, &server.address, "tide").await.unwrap(),
                }
            }
            let lost = u64::from(since < 7);
            assert_eq!(client.missed, lost, "{feed:?}, after message {}", since + 1);
            let got: Vec<u64> = client.messages.iter().map(|(n, ..)| *n).collect();
            let expected = (since as u64 + 2..=20).filter(|n| *n != 8);
            assert!(expected.eq(got.iter().copied()), "{feed:?}, after message {}: {got:?}", since + 1);
        }
    }
    // The channel goes on.
    let next = Post::new("next").to(&server.address, "tide");
    assert_eq!(seq(&next), 21);
    let log = block_in_place(|| server.stop());
    assert!(log.contains("tide"), "the log says which channel has lost a message:\n{log}");
}

/// A file whose structure is damaged is not opened, and stays as it is.
#[test]
fn a_damaged_structure_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (mut server, _) = with_messages(&data, "tide", 500);
    server.stop();
    let file = data.join(DATABASE);
    let good = fs::read(&file).unwrap();
    let damaged = |says: &[&str], change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        fs::write(&file, &bytes).unwrap();
        let outcome = refused(&data, &[]);
        assert!(says.iter().all(|part| outcome.stderr.contains(part)), "{outcome:?}");
        assert_eq!(fs::read(&file).unwrap(), bytes, "nothing was changed");
    };
    let is_damaged = ["is damaged", "`tidewire backup`"];
    // All pages but the first are zeros.
    damaged(&is_damaged, &|bytes| bytes[4096..].fill(0));
    // The file is cut.
    damaged(&is_damaged, &|bytes| bytes.truncate(bytes.len() / 2 / 4096 * 4096));
    // It begins with other bytes.
    damaged(&["no database of Tidewire"], &|bytes| bytes[..100].fill(b'x'));
    fs::write(&file, &good).unwrap();
    server.again(&[]);
    server.stop();
}

/// A file of a later version, or of another program.
#[test]
fn files_of_others_are_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (mut server, cursors) = with_messages(&data, "tide", 3);
    server.stop();
    let file = data.join(DATABASE);
    let good = fs::read(&file).unwrap();
    // The places of user_version and application_id in the head of a file of SQLite.
    for (at, says) in [(60, "later version of Tidewire"), (68, "no database of Tidewire")] {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&99_u32.to_be_bytes());
        fs::write(&file, &bytes).unwrap();
        let outcome = refused(&data, &[]);
        assert!(outcome.stderr.contains(says), "{outcome:?}");
        assert_eq!(fs::read(&file).unwrap(), bytes, "it is as it was");
    }
    fs::write(&file, &good).unwrap();
    server.again(&[]);
    assert_eq!(seq(&Post::new("4").to(&server.address, "tide")), 4);
    assert!(cursors.iter().all(|cursor| seq(cursor) < 4));
    server.stop();
}

/// A folder belongs to one process. When that has ended, in whatever way, it is free.
#[test]
fn a_second_process_on_a_folder_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (mut server, _) = with_messages(&data, "tide", 3);
    for sync in ["always", "never"] {
        let outcome = server.refused(&["--sync", sync]);
        let says = ["in use", data.to_str().unwrap()];
        assert!(says.iter().all(|part| outcome.stderr.contains(part)), "{outcome:?}");
    }
    assert_eq!(seq(&Post::new("4").to(&server.address, "tide")), 4, "it is undisturbed");
    server.kill();
    server.again(&[]);
    server.stop();
    server.again(&[]);
    server.stop();
}

/// A folder that cannot be made, or that is a file.
#[test]
fn a_folder_that_cannot_be_used_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "a file").unwrap();
    for data in [file.clone(), file.join("below")] {
        let outcome = refused(&data, &[]);
        assert!(outcome.stderr.contains(data.to_str().unwrap()), "{outcome:?}");
    }
}
