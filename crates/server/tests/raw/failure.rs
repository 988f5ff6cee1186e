//! An essential part of the server fails: the server drains and ends with an error.
//!
//! The server has no code for these tests. The parts that panic are those that a user of the crate
//! brings: a handler, or a subscriber of `tracing` that panics at a certain log line (this happened
//! with a full standard error).

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use tidewire_server::{
    Handler, Limits, LocalFuture, Never, Parked, Reply, Request, Response, Running, Server,
};
use tidewire_testkit::raw::Raw;
use tokio::sync::oneshot;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::site::get;

/// Panics at the first line that holds a text.
struct PanicOnLine {
    text: &'static str,
    panicked: AtomicBool,
}

impl Subscriber for PanicOnLine {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        if message.0.contains(self.text) && !self.panicked.swap(true, Ordering::SeqCst) {
            panic!("a line with {:?}", self.text);
        }
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

/// Answers with the number of the worker, and fails as the test wants.
struct Worker {
    number: usize,
    fails: RefCell<Option<Fails>>,
}

enum Fails {
    /// The handler reports that it cannot continue, when this is sent.
    Reports(oneshot::Receiver<()>),
    /// The thread panics when this is sent.
    Panics(oneshot::Receiver<()>),
}

impl Handler for Worker {
    type Ticket = Never;

    fn handle(&self, _: Request<'_>) -> Reply<Never> {
        Response::new(200).body(self.number.to_string()).into()
    }

    fn detached(&self, _: Parked, ticket: Never) {
        match ticket {}
    }

    fn failed(&self) -> LocalFuture<String> {
        let fails = self.fails.take();
        Box::pin(async {
            match fails {
                None => std::future::pending().await,
                Some(Fails::Reports(now)) => {
                    now.await.unwrap();
                    "its table is broken".to_owned()
                }
                Some(Fails::Panics(now)) => {
                    now.await.unwrap();
                    panic!("in the middle of a worker");
                }
            }
        })
    }
}

fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

const SOON: Duration = Duration::from_secs(30);

/// Waits until a server ends by itself, and returns its error.
fn ended(running: Running) -> io::Error {
    let (send, outcome) = mpsc::channel();
    std::thread::spawn(move || send.send(running.join()));
    outcome.recv_timeout(SOON).expect("the server ends by itself").unwrap_err()
}

/// A connection to each worker, in the order of their numbers.
fn one_for_each(address: &str, workers: usize) -> Vec<Raw> {
    let mut all: Vec<Option<Raw>> = (0..workers).map(|_| None).collect();
    let start = Instant::now();
    while all.iter().any(Option::is_none) {
        assert!(start.elapsed() < SOON, "the kernel gives each worker connections");
        let mut raw = Raw::connect(address);
        let number: usize = raw.send(get("/")).response().text().parse().unwrap();
        all[number] = Some(raw);
    }
    all.into_iter().flatten().collect()
}

/// The task that accepts logs the line about a connection over the limit. The subscriber panics
/// there, once, on one of two workers.
#[test]
fn a_task_that_accepts_and_panics_ends_the_server() {
    let limits = Limits::DEFAULT.with_max_connections(2);
    let server = Server::builder().listen(any_port()).threads(2).limits(limits).bind().unwrap();
    let subscriber = Arc::new(PanicOnLine { text: "too many connections", panicked: AtomicBool::new(false) });
    let running = server
        .serve(move |number| {
            // For the rest of the life of this worker's thread.
            std::mem::forget(tracing::subscriber::set_default(subscriber.clone()));
            Worker { number, fails: None.into() }
        })
        .unwrap();
    let address = running.addresses()[0].to_string();
    let mut held: Vec<Raw> = (0..2).map(|_| Raw::connect(&address)).collect();
    for raw in &mut held {
        assert_eq!(raw.send(get("/")).response().status, 200);
    }
    let _one_too_many = Raw::connect(&address);
    // Both workers drain: connections that wait end in good order, whichever of the two they are
    // on.
    for raw in &mut held {
        assert_eq!(raw.rest(), b"");
    }
    let error = ended(running).to_string();
    assert!(error.contains("failed") && error.contains("accepts connections"), "{error}");
}

/// Runs two workers and lets the second one fail. The first worker drains. Returns the error of the
/// server.
fn second_worker_fails(how: fn(oneshot::Receiver<()>) -> Fails) -> String {
    let server = Server::builder().listen(any_port()).threads(2).bind().unwrap();
    let (fail, fails) = oneshot::channel();
    let fails = Mutex::new(Some(how(fails)));
    let running = server
        .serve(move |number| {
            let fails = (number == 1).then(|| fails.lock().unwrap().take().unwrap());
            Worker { number, fails: fails.into() }
        })
        .unwrap();
    let mut all = one_for_each(&running.addresses()[0].to_string(), 2);
    fail.send(()).unwrap();
    assert_eq!(all[0].rest(), b"", "an idle connection ends normally");
    ended(running).to_string()
}

#[test]
fn a_handler_that_reports_a_failure_ends_the_server() {
    let error = second_worker_fails(Fails::Reports);
    assert!(error.contains("worker 1") && error.contains("its table is broken"), "{error}");
}

#[test]
fn a_worker_that_panics_ends_the_server() {
    let error = second_worker_fails(Fails::Panics);
    assert!(error.contains("worker 1 panicked"), "{error}");
}

#[test]
fn more_connections_than_descriptors_are_refused_at_the_start() {
    let limits = Limits::DEFAULT.with_max_connections(usize::MAX);
    let server = Server::builder().listen(any_port()).threads(1).limits(limits).bind().unwrap();
    let error = server.serve(|number| Worker { number, fails: None.into() }).unwrap_err().to_string();
    assert!(error.contains("raise the hard limit"), "{error}");
}
