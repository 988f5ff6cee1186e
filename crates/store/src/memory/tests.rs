use tidewire_channel::Continuity;

use super::*;
use crate::append::{Batch, Once};
use crate::message::Message;
use crate::settings::{ChannelSettings, Retain};

fn name(text: &str) -> ChannelName {
    ChannelName::new(text).unwrap()
}

fn message(text: &'static str) -> Arc<Message> {
    Arc::new(Message::new(text.into(), 0))
}

fn one(text: &'static str) -> Append {
    Append::new(0, Batch::One(message(text)), Arc::default())
}

fn texts(store: &MemoryStore, name: &ChannelName, since: Since) -> Vec<String> {
    let page = store.read_now(name, since, Budget::UNLIMITED, 0).unwrap();
    page.messages.iter().map(|(_, message)| message.text().unwrap().to_owned()).collect()
}

#[test]
fn a_channel_that_was_never_written_has_no_log() {
    let store = MemoryStore::new(Limits::DEFAULT);
    for number in 0..1_000 {
        store.open_now(&name(&format!("c{number}")), 0);
    }
    assert_eq!(store.logs(), 0);
    let refused = store.append_now(&name("a"), &Append::new(0, Batch::None, Arc::default()));
    assert_eq!((refused, store.logs()), (Err(Refusal::Empty), 0), "a refused append creates nothing");
}

#[test]
fn a_forgotten_log_has_another_start() {
    let store = MemoryStore::new(Limits::DEFAULT);
    let Opened::Absent { start } = store.open_now(&name("a"), 0) else { panic!() };
    assert_eq!(store.append_now(&name("a"), &one("x")).unwrap().after, start);
    let hour = 60 * 60 * 1_000;
    assert_eq!(store.sweep_now(hour), Swept { expired: vec![], more: false });
    assert_eq!(store.logs(), 1, "it is in use");
    store.release_now(&name("a"), hour);
    assert_eq!(store.logs(), 0);
    let Opened::Absent { start: again } = store.open_now(&name("a"), hour) else { panic!() };
    assert_ne!(again, start);
    store.append_now(&name("a"), &one("y")).unwrap();
    let page = store.read_now(&name("a"), start.into(), Budget::UNLIMITED, hour).unwrap();
    assert!(matches!(page.continuity, Continuity::Reset { .. }), "{page:?}");
}

#[test]
fn a_fork_shares_messages_and_gives_their_room_back() {
    let store = MemoryStore::new(Limits::DEFAULT);
    let all = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::All));
    let (source, fork) = (name("source"), name("fork"));
    store.create_now(&source, &Create::new(0, all.clone())).unwrap();
    let mut at = Vec::new();
    for text in ["one", "two", "three"] {
        at.push(store.append_now(&source, &one(text)).unwrap().cursor);
    }
    let used = store.kept_bytes();
    let create = Create::new(0, all.clone()).with_fork(Fork { source: source.clone(), at: at[1], bytes: 2 });
    assert!(store.create_now(&fork, &create).unwrap().created);
    assert!(!store.create_now(&fork, &create).unwrap().created);
    store.append_now(&source, &one("four")).unwrap();
    store.append_now(&fork, &one("other")).unwrap();
    assert_eq!(texts(&store, &fork, Since::Earliest), ["one", "two", "th", "other"]);
    assert_eq!(texts(&store, &fork, at[0].into()), ["two", "th", "other"]);
    assert_eq!(texts(&store, &source, Since::Earliest), ["one", "two", "three", "four"]);
    let own = store.kept_bytes() - used;
    assert_eq!(own, message("th").weight() + message("other").weight() + message("four").weight());
    assert!(store.delete_if(&source, 0, |_| true));
    assert!(matches!(store.open_now(&source, 0), Opened::SoftDeleted));
    assert_eq!(texts(&store, &fork, Since::Earliest), ["one", "two", "th", "other"]);
    assert!(store.delete_if(&fork, 0, |_| true));
    assert_eq!((store.logs(), store.kept_bytes()), (0, 0));
}

#[test]
fn the_room_of_logs_that_keep_all_is_bounded() {
    let weight = message("x").weight();
    let store = MemoryStore::new(Limits::DEFAULT.with_max_kept_bytes(2 * weight));
    let all = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::All));
    let once = |n: u8| Once::Producer { id: "p".into(), epoch: 0, seq: u64::from(n) };
    let append =
        |n| store.append_now(&name("a"), &Append { settings: all.clone(), ..one("x") }.with_once(once(n)));
    assert!(append(0).is_ok() && append(1).is_ok());
    assert_eq!(append(2), Err(Refusal::NoRoom));
    assert!(append(1).unwrap().duplicate, "a repetition needs no room");
    assert_eq!(texts(&store, &name("a"), Since::Earliest).len(), 2, "nothing was evicted");
    store.delete_if(&name("a"), 0, |_| true);
    assert_eq!(store.kept_bytes(), 0);
}
