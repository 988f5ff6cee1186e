//! What a log that nobody uses takes.

use std::sync::Arc;

use tidewire_disk::{DiskOptions, DiskStore, SyncMode};
use tidewire_store::{Append, Batch, ChannelName, ChannelSettings, Message, Store};
use tidewire_testkit::heap::{self, CountingAllocator};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const LOGS: usize = 5_000;

#[test]
fn an_idle_log_takes_little_memory() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = DiskOptions::DEFAULT.with_sync(SyncMode::Never);
    let store = DiskStore::open(dir.path(), options).expect("it opens");
    let settings = Arc::new(ChannelSettings::DEFAULT);
    let message = Arc::new(Message::new("high".into(), 0));
    for _ in 0..3 {
        let answers: Vec<_> = (0..LOGS)
            .map(|number| {
                let name = ChannelName::new(&format!("room/{number}")).expect("good");
                store.append(&name, Append::new(0, Batch::One(message.clone()), settings.clone()))
            })
            .collect();
        for answer in answers {
            answer.wait().expect("it answers").expect("it appends");
        }
    }
    store.close().expect("it closes");
    drop(store);
    let (used, store) = heap::measure(|| DiskStore::open(dir.path(), options).expect("it opens"));
    assert_eq!(store.logs(), LOGS);
    let each = used.kept.unsigned_abs() / LOGS;
    assert!(each <= MOST, "a log takes {each} bytes");
}

/// The name, two entries in hash maps, the epochs, one run, the numbers.
const MOST: usize = 720;
