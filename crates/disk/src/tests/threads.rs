//! Many threads, and answers that do what they like.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use tidewire_channel::{Budget, Continuity, Cursor, Retention, Since};
use tidewire_store::{
    Append, AppendError, Batch, ChannelName, ChannelSettings, Failed, Message, Outcome, Retain, Store,
};

use super::fixture::{OnDisk, TINY};
use crate::upkeep::Tuning;
use crate::{DiskOptions, DiskStore, OpenError, SyncMode};

fn name(text: &str) -> ChannelName {
    ChannelName::new(text).expect("good")
}

fn one(text: &str) -> Append {
    Append::new(0, Batch::One(Arc::new(Message::new(text.to_owned().into(), 0))), Arc::default())
}

/// Opens the store when the threads of the one before have ended.
fn open_again(dir: &std::path::Path) -> DiskStore {
    loop {
        match DiskStore::open(dir, DiskOptions::DEFAULT) {
            Ok(store) => return store,
            Err(OpenError::InUse { .. }) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn an_answer_may_drop_the_store() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for reads in [false, true] {
        let store = Arc::new(open_again(dir.path()));
        assert!(store.start_report().was_clean);
        store.append(&name("tide"), one("high")).wait().expect("it answers").expect("it appends");
        let (tell, told) = mpsc::channel();
        let last = store.clone();
        let dropped = move |is_good: bool| {
            drop(last);
            tell.send(is_good).expect("the receiver lives");
        };
        // The answer waits until this thread has no store any more, unless it comes at once.
        let here = thread::current().id();
        let wait_for = move |may_go: mpsc::Receiver<()>| {
            if thread::current().id() != here {
                may_go.recv().expect("the sender lives");
            }
        };
        let (go, may_go) = mpsc::channel::<()>();
        if reads {
            let read = store.read(&name("tide"), Since::Earliest, Budget::UNLIMITED, 0);
            read.then(move |page| {
                wait_for(may_go);
                dropped(matches!(page, Some(Ok(_))));
            });
        } else {
            store.append(&name("tide"), one("low")).then(move |_| wait_for(may_go));
            let append = store.append(&name("tide"), one("neap"));
            append.then(move |appended| dropped(matches!(appended, Some(Ok(_)))));
        }
        drop(store);
        let _ = go.send(());
        assert_eq!(told.recv(), Ok(true));
    }
    assert!(open_again(dir.path()).start_report().was_clean);
}

#[test]
fn a_panic_of_who_is_answered_ends_nothing() {
    let disk = OnDisk::new(DiskOptions::DEFAULT.with_sync(SyncMode::Never), Tuning::DEFAULT);
    let here = thread::current().id();
    disk.disk().append(&name("tide"), one("high")).then(move |_| {
        // If the answer came at once, this is the thread of the test.
        assert!(thread::current().id() == here, "this is a test of a panic");
    });
    let appended = disk.disk().append(&name("tide"), one("low")).wait().expect("it answers");
    assert_eq!(appended.expect("it appends").cursor.seq(), 2);
    disk.disk().close().expect("it closes");
    let closed = disk.disk().append(&name("tide"), one("late")).wait();
    let Some(Err(AppendError::Failed(Failed { outcome, .. }))) = closed else { panic!("{closed:?}") };
    assert_eq!(outcome, Outcome::Failed, "nothing happened");
    disk.disk().close().expect("again");
}

#[test]
fn readers_see_each_message_once_while_others_publish_and_evict() {
    const MESSAGES: u64 = 1_500;
    let disk = OnDisk::new(DiskOptions::DEFAULT.with_sync(SyncMode::Never), TINY);
    let store = disk.disk();
    let retention = Retention::DEFAULT.with_max_messages(40);
    let settings = Arc::new(ChannelSettings::DEFAULT.with_retain(Retain::Bounded(retention)));
    let names = ["a", "b"].map(name);
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let publishers = names.each_ref().map(|name| {
            let (store, settings) = (store.clone(), settings.clone());
            scope.spawn(move || {
                let mut under_way = std::collections::VecDeque::new();
                for number in 1..=MESSAGES {
                    let message = Arc::new(Message::new(number.to_string().into(), 0));
                    let append = Append::new(0, Batch::One(message), settings.clone());
                    under_way.push_back((number, store.append(name, append)));
                    if under_way.len() > 8 || number == MESSAGES {
                        for (number, answer) in under_way.drain(..) {
                            let appended = answer.wait().expect("it answers").expect("it appends");
                            assert_eq!(appended.cursor.seq(), number, "in order");
                        }
                    }
                }
            })
        });
        for name in &names {
            let is_done = &is_done;
            scope.spawn(move || {
                let mut since = Since::Earliest;
                let (mut number, mut got) = (0, 0_u64);
                loop {
                    let was_done = is_done.load(Ordering::Acquire);
                    let Ok(page) =
                        store.read(name, since, Budget::messages(7), 0).wait().expect("it answers")
                    else {
                        continue;
                    };
                    match page.continuity {
                        Continuity::Fresh | Continuity::Resumed => {}
                        Continuity::Gap { from, to, missed } => {
                            assert_eq!((from.seq(), to.seq()), (number, number + missed));
                        }
                        Continuity::Reset { .. } => panic!("{page:?}"),
                    }
                    number = page.start.seq();
                    for (cursor, message) in &page.messages {
                        number += 1;
                        got += 1;
                        assert_eq!(cursor.seq(), number);
                        assert_eq!(message.text(), Some(number.to_string().as_str()));
                    }
                    since = Cursor::into(page.cursor);
                    if was_done && !page.more {
                        break;
                    }
                }
                assert!(number == MESSAGES && got >= 40, "{number} {got}");
            });
        }
        publishers.into_iter().for_each(|publisher| publisher.join().expect("no panic"));
        is_done.store(true, Ordering::Release);
    });
}
