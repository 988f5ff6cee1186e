//! What the store in memory allocates.

use std::sync::Arc;

use tidewire_channel::{Budget, Retention, Since};
use tidewire_store::*;
use tidewire_testkit::heap::{allocations, measure};
use tidewire_testkit::linear::busy_time;

fn name(number: usize) -> ChannelName {
    ChannelName::new(&format!("c{number}")).unwrap()
}

#[test]
fn an_append_of_one_message_allocates_nothing() {
    let store = MemoryStore::new(Limits::DEFAULT);
    let retention = Retention::DEFAULT.with_max_messages(10);
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention)));
    let (name, message) = (name(0), Arc::new(Message::new("x".into(), 0)));
    let append = || {
        let append = Append::new(0, Batch::One(message.clone()), settings.clone());
        store.append(&name, append).now().unwrap().unwrap()
    };
    for _ in 0..20 {
        append();
    }
    let count = allocations(|| {
        for _ in 0..1_000 {
            append();
        }
    });
    assert_eq!(count, 0);
    assert_eq!(append().cursor.seq(), 1_021);
}

#[test]
fn a_channel_that_was_never_written_takes_no_memory() {
    let store = MemoryStore::new(Limits::DEFAULT);
    let names: Vec<ChannelName> = (0..10_000).map(name).collect();
    let (used, ()) = measure(|| names.iter().for_each(|name| drop(store.open(name, 0))));
    assert_eq!((used.kept, store.logs()), (0, 0));
}

#[test]
fn a_log_takes_less_than_a_kilobyte_beside_its_messages() {
    let store = MemoryStore::new(Limits::DEFAULT);
    let (settings, message) = (Arc::default(), Arc::new(Message::new("x".into(), 0)));
    let names: Vec<ChannelName> = (0..1_000).map(name).collect();
    let (used, ()) = measure(|| {
        for name in &names {
            let append = Append::new(0, Batch::One(message.clone()), Arc::clone(&settings));
            store.append(name, append).now().unwrap().unwrap();
        }
    });
    assert!(used.kept / 1_000 < 1_000, "{} bytes a log", used.kept / 1_000);
}

#[test]
fn a_read_takes_time_only_for_what_it_returns() {
    let store = MemoryStore::new(Limits::DEFAULT);
    let message = Arc::new(Message::new("x".into(), 0));
    let all = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::All));
    let read = |name: &ChannelName| {
        let page = store.read(name, Since::Earliest, Budget::messages(2), 0).now().unwrap().unwrap();
        assert_eq!(page.messages.len(), 2);
    };
    let times = [100, 100_000].map(|length| {
        let name = name(length);
        let batch = Batch::Many(vec![message.clone(); length]);
        store.append(&name, Append::new(0, batch, all.clone())).now().unwrap().unwrap();
        let start = busy_time();
        (0..200).for_each(|_| read(&name));
        busy_time() - start
    });
    assert!(times[1] < 50 * times[0], "{times:?}: one log is a thousand times longer");
}
