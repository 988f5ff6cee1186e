//! A fault at every step.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::Fixture;
use super::faulty::{Fault, FaultyStore, Rates, RequestKind};
use super::tools::{Log, keeping_all, key, messages, producer};
use crate::answer::Answer;
use crate::append::{Append, Appended, Once};
use crate::error::{AppendError, Failed, Outcome};
use crate::info::Opened;
use crate::store::Store;

/// The outcome of an append: its result, or a failure whose outcome may be unknown.
fn outcome(result: Option<Result<Appended, AppendError>>) -> Result<Appended, Failed> {
    match result {
        Some(Ok(appended)) => Ok(appended),
        Some(Err(AppendError::Failed(failed))) => Err(failed),
        Some(Err(AppendError::Refused(refusal))) => panic!("{refusal}"),
        None => Err(Failed::dropped()),
    }
}

pub(super) fn a_failed_append_can_be_repeated(fixture: &mut dyn Fixture) {
    let script: [&[&str]; 3] = [&["one"], &["two", "three"], &["four"]];
    let by_key = |step: usize| key(&format!("k{step}"), script[step][0]);
    let by_producer = |step: usize| producer("p", 0, step as u64);
    let ways: [(&str, &dyn Fn(usize) -> Once); 2] = [("key", &by_key), ("producer", &by_producer)];
    for (way, once) in ways {
        for fails_at in 0..script.len() {
            for fault in Fault::FINAL {
                let store = Arc::new(FaultyStore::new(fixture.store()));
                let log = Log::over(store.clone(), &format!("{way}-{fails_at}-{fault:?}"));
                for (step, said) in script.iter().enumerate() {
                    let append = || {
                        let append = messages(said).with_once(once(step));
                        if step == 2 { append.closing() } else { append }
                    };
                    if step == fails_at {
                        store.plan(RequestKind::Append, fault);
                        let failed = outcome(store.append(&log.name, append()).wait());
                        let failed = failed.expect_err("the fault was planned");
                        let is_done = matches!(fault, Fault::LoseAnswer | Fault::DropAnswer);
                        let expected = if fault == Fault::Fail { Outcome::Failed } else { Outcome::Unknown };
                        assert_eq!(failed.outcome, expected, "{fault:?}");
                        assert_eq!(log.append(append()).duplicate, is_done, "{fault:?}");
                    } else {
                        assert!(!log.append(append()).duplicate);
                    }
                }
                assert_eq!(log.texts(), ["one", "two", "three", "four"], "{way} {fails_at} {fault:?}");
                assert!(log.info().is_closed);
            }
        }
    }
    // The other requests can be repeated as they are.
    for fault in Fault::FINAL {
        let store = Arc::new(FaultyStore::new(fixture.store()));
        let log = Log::over(store.clone(), &format!("created-{fault:?}"));
        let is_done = matches!(fault, Fault::LoseAnswer | Fault::DropAnswer);
        store.plan(RequestKind::Create, fault);
        let create = || crate::Create::new(log.now_ms, Arc::new(keeping_all()));
        assert!(!matches!(store.create(&log.name, create()).wait(), Some(Ok(_))));
        assert_eq!(log.create(&create().settings).expect("it is free").created, !is_done, "{fault:?}");
        store.plan(RequestKind::Delete, fault);
        assert!(!matches!(store.delete(&log.name, log.now_ms).wait(), Some(Ok(_))));
        assert_eq!(log.delete(), !is_done, "{fault:?}");
        assert!(matches!(log.open(), Opened::Deleted));
    }
}

/// Publishes its messages one after the other, each until the store acknowledges it.
struct Publisher {
    id: String,
    log: usize,
    seq: u64,
    answer: Option<Answer<Result<Appended, AppendError>>>,
}

const MESSAGES: u64 = 8;

impl Publisher {
    fn append(&self) -> Append {
        let text = format!("{} {}", self.id, self.seq);
        messages(&[&text]).with_once(producer(&self.id, 0, self.seq))
    }

    /// Goes on as far as it can. Returns whether it has published everything.
    fn drive(&mut self, logs: &[Log]) -> bool {
        while self.seq < MESSAGES {
            let log = &logs[self.log];
            let append = self.append();
            let answer = self.answer.get_or_insert_with(|| log.store.append(&log.name, append));
            let Poll::Ready(result) = Pin::new(answer).poll(&mut Context::from_waker(Waker::noop())) else {
                return false;
            };
            self.answer = None;
            if outcome(result).is_ok() {
                self.seq += 1;
            }
        }
        true
    }
}

pub(super) fn publishers_under_random_faults_publish_once(fixture: &mut dyn Fixture) {
    for seed in 0..20 {
        let rates = Rates { hold: 50, fail: 30 };
        let store = Arc::new(FaultyStore::seeded(fixture.store(), seed, rates));
        let logs = [0, 1].map(|number| Log::over(store.clone(), &format!("tide-{seed}-{number}")));
        let publisher =
            |number: usize| Publisher { id: format!("p{number}"), log: number % 2, seq: 0, answer: None };
        let mut publishers: Vec<Publisher> = (0..4).map(publisher).collect();
        loop {
            let done =
                publishers.iter_mut().map(|publisher| publisher.drive(&logs)).filter(|done| *done).count();
            if done == publishers.len() {
                break;
            }
            store.release_random();
        }
        store.heal();
        for (number, log) in logs.iter().enumerate() {
            let all = log.texts();
            assert_eq!(all.len() as u64, 2 * MESSAGES, "seed {seed}: each message once: {all:?}");
            for publisher in publishers.iter().filter(|publisher| publisher.log == number) {
                let own = all.iter().filter(|text| text.starts_with(&publisher.id));
                let expected = (0..MESSAGES).map(|seq| format!("{} {seq}", publisher.id));
                assert!(own.eq(expected.collect::<Vec<_>>().iter()), "seed {seed}: in order: {all:?}");
            }
        }
    }
}
