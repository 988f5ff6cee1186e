use std::sync::{Arc, mpsc};

use tidewire_channel::{Budget, Since};

use super::faulty::{Fault, FaultyStore, Rates, RequestKind, Seen};
use crate::answer::Answer;
use crate::append::{Append, Appended, Batch};
use crate::error::{AppendError, Outcome};
use crate::info::Opened;
use crate::memory::{Limits, MemoryStore};
use crate::message::Message;
use crate::name::ChannelName;
use crate::store::Store;

type Told = (u64, Option<Result<u64, AppendError>>);

fn name() -> ChannelName {
    ChannelName::new("a").unwrap()
}

fn store() -> FaultyStore<MemoryStore> {
    FaultyStore::new(MemoryStore::new(Limits::DEFAULT))
}

fn append(store: &impl Store) -> Answer<Result<Appended, AppendError>> {
    let message = Arc::new(Message::new("x".into(), 0));
    store.append(&name(), Append::new(0, Batch::One(message), Arc::default()))
}

fn head(store: &FaultyStore<MemoryStore>) -> u64 {
    match store.inner().open(&name(), 0).wait().unwrap().unwrap() {
        Opened::Log(info) => info.head,
        _ => 0,
    }
}

#[test]
fn each_fault_does_what_it_says() {
    let failed = |answer: Option<Result<Appended, AppendError>>| {
        answer.map(|result| match result.unwrap_err() {
            AppendError::Failed(failed) => failed.outcome,
            AppendError::Refused(refusal) => panic!("{refusal}"),
        })
    };
    for (fault, outcome, appended) in [
        (Fault::Fail, Some(Outcome::Failed), 0),
        (Fault::LoseRequest, Some(Outcome::Unknown), 0),
        (Fault::LoseAnswer, Some(Outcome::Unknown), 1),
        (Fault::DropRequest, None, 0),
        (Fault::DropAnswer, None, 1),
    ] {
        let planned = store();
        planned.plan(RequestKind::Append, fault);
        assert_eq!(failed(append(&planned).wait()), outcome, "{fault:?}");
        assert_eq!(head(&planned), appended, "{fault:?}");
        assert!(append(&planned).now().unwrap().is_ok(), "only one was planned");

        let held = store();
        held.plan(RequestKind::Append, Fault::HoldRequest);
        let answer = append(&held);
        assert_eq!(head(&held), 0);
        assert!(held.release_with(0, fault));
        assert_eq!((failed(answer.wait()), head(&held)), (outcome, appended), "{fault:?}");
    }
}

#[test]
fn changes_of_a_log_keep_their_order_and_answers_need_not() {
    let store = store();
    store.plan(RequestKind::Append, Fault::HoldAnswer);
    store.plan(RequestKind::Append, Fault::HoldRequest);
    let (tell, told) = mpsc::channel::<Told>();
    for number in 0..3 {
        let tell = tell.clone();
        append(&store).map(|result| result.map(|appended| appended.cursor.seq())).then(move |result| {
            tell.send((number, result)).unwrap();
        });
    }
    let done: Vec<_> = store.held().iter().map(|held| held.is_done).collect();
    assert_eq!((done, head(&store)), (vec![true, false, false], 1), "the third waits behind the second");
    assert!(store.release(2) && !store.release(2));
    assert_eq!(head(&store), 3);
    assert_eq!(told.try_recv(), Ok((2, Some(Ok(3)))));
    assert!(store.release_with(1, Fault::DropAnswer));
    assert_eq!(store.release_all(), 1);
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [(1, None), (0, Some(Ok(1)))]);
}

#[test]
fn a_seed_gives_the_same_run() {
    let run = |seed| {
        let rates = Rates { hold: 40, fail: 20 };
        let store = FaultyStore::seeded(MemoryStore::new(Limits::DEFAULT), seed, rates);
        let (tell, told) = mpsc::channel::<Told>();
        for number in 0..100 {
            let tell = tell.clone();
            append(&store).map(|result| result.map(|appended| appended.cursor.seq())).then(move |result| {
                tell.send((number, result)).unwrap();
            });
            if number % 2 == 0 {
                store.release_random();
            }
        }
        while store.release_random() {}
        let told: Vec<Told> = told.try_iter().collect();
        assert_eq!(told.len(), 100, "each has an answer, or none for good");
        (told, head(&store))
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn requests_are_counted() {
    let store = store();
    store.always(RequestKind::Read, Some(Fault::HoldRequest));
    for _ in 0..3 {
        drop(store.read(&name(), Since::Now, Budget::UNLIMITED, 0));
    }
    drop(append(&store));
    assert_eq!((store.count(RequestKind::Read), store.count(RequestKind::Append)), (3, 1));
    let read = Seen { kind: RequestKind::Read, name: Some(name()), since: Some(Since::Now) };
    assert_eq!(store.seen()[2], read);
    store.always(RequestKind::Read, None);
    assert!(store.read(&name(), Since::Now, Budget::UNLIMITED, 0).now().unwrap().is_ok());
    assert_eq!(store.wait_held(3).len(), 3);
}
