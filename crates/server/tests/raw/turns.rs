//! One client does not block the other clients of its worker. One client sends much work at once,
//! and another sends one request. The tests count how much of the work is done before that request
//! is answered.

use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Frame;
use tidewire_server::{Handler, Limits, Listen, Never, Parked, Reply, Request, Response, Running, Server};
use tidewire_testkit::raw::Raw;

use crate::site::get;

/// Pieces of work that a client sends at once.
const MUCH: usize = 200;

/// How long one piece of work takes.
const WORK: Duration = Duration::from_millis(1);

#[test]
fn pipelined_requests_do_not_block_other_clients() {
    let order = Order::start();
    order.check("/busy", &get("/busy").repeat(MUCH), MUCH);
}

#[test]
fn later_replies_that_are_ready_at_once_do_not_block_other_clients() {
    let order = Order::start();
    order.check("/later", &get("/later").repeat(MUCH), MUCH);
}

#[test]
fn the_frames_of_a_stream_do_not_block_other_clients() {
    let order = Order::start();
    // Fewer than the reads and writes after which the runtime itself switches to another task.
    order.check("frame", &get("/stream"), FRAMES);
}

#[test]
fn many_busy_clients_do_not_block_other_clients() {
    let order = Order::start();
    let busy: Vec<Raw> = (0..10)
        .map(|_| {
            let mut raw = order.raw();
            raw.send(get("/probe")).response();
            raw
        })
        .collect();
    order.check_with(busy, "/busy", &get("/busy").repeat(MUCH / 10), MUCH);
}

#[test]
fn requests_of_several_turns_are_all_answered_in_order() {
    let order = Order::start();
    let mut raw = order.raw();
    let paths: Vec<String> = (0..MUCH).map(|n| format!("/busy/{n}")).collect();
    raw.send(
        paths.iter().map(|path| get(path)).collect::<String>()
            + "GET /last HTTP/1.1\r\nConnection: close\r\nHost: x\r\n\r\n",
    );
    for path in &paths {
        assert_eq!(raw.response().text(), *path);
    }
    assert_eq!(raw.response().text(), "/last");
    assert_eq!(raw.rest(), b"");
}

/// Frames of `/stream`.
const FRAMES: usize = 100;

/// A server of one worker, and the work that it has done, in order.
struct Order {
    running: Running,
    done: Done,
    /// Reports that the worker waits in `/gate`.
    entered: Receiver<()>,
    go_on: Sender<()>,
}

type Done = Arc<Mutex<Vec<String>>>;

impl Order {
    fn start() -> Self {
        let (enter, entered) = channel();
        let (go_on, gate) = channel();
        let done = Done::default();
        let gate = Arc::new(Mutex::new((enter, gate)));
        let server = Server::builder()
            .listen("127.0.0.1:0".parse::<Listen>().unwrap())
            .threads(1)
            .limits(Limits::DEFAULT)
            .bind()
            .unwrap();
        let handler = (done.clone(), gate);
        let running =
            server.serve(move |_| Work { done: handler.0.clone(), gate: handler.1.clone() }).unwrap();
        Order { running, done, entered, go_on }
    }

    fn raw(&self) -> Raw {
        Raw::connect(self.running.addresses()[0].to_string().as_str())
    }

    /// One client sends `much`; another asks `/probe` while the first of it is done.
    fn check(&self, what: &str, much: &str, count: usize) {
        self.check_with(vec![self.raw()], what, much, count);
    }

    /// Each of some clients sends `much`, which is `count` pieces of work in all.
    fn check_with(&self, mut busy: Vec<Raw>, what: &str, much: &str, count: usize) {
        let mut other = self.raw();
        other.send(get("/probe")).response();
        let mut gate = self.raw();
        gate.send(get("/gate"));
        self.entered.recv_timeout(Duration::from_secs(60)).unwrap();
        // The worker waits until all of this is in its sockets, with the probe last.
        for raw in &mut busy {
            raw.send(get("/gate") + much);
        }
        other.send(get("/probe"));
        self.done.lock().unwrap().clear();
        for _ in 0..=busy.len() {
            self.go_on.send(()).unwrap();
        }
        other.response();
        let before = self.done.lock().unwrap().iter().filter(|done| *done == what).count();
        // A turn has room for a few; a busy machine needs some more.
        assert!(before < count / 2, "{before} of {count} were done before another client was served");
        // All work is done in the end.
        let start = Instant::now();
        while self.done.lock().unwrap().iter().filter(|done| *done == what).count() < count {
            assert!(start.elapsed() < Duration::from_secs(60), "a part of the work was not done");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

struct Work {
    done: Done,
    gate: Arc<Mutex<(Sender<()>, Receiver<()>)>>,
}

impl Handler for Work {
    type Ticket = Never;

    fn handle(&self, request: Request<'_>) -> Reply<Never> {
        let path = String::from_utf8_lossy(request.head.path()).into_owned();
        let done = self.done.clone();
        match &*path {
            "/gate" => {
                let gate = self.gate.lock().unwrap();
                gate.0.send(()).unwrap();
                gate.1.recv_timeout(Duration::from_secs(60)).unwrap();
            }
            "/stream" => return Response::new(200).stream(Frames { left: FRAMES, done }).into(),
            "/later" => {
                return Reply::Later(Box::pin(async move {
                    work(&done, &path);
                    Response::new(200).body(path).into()
                }));
            }
            "/probe" => done.lock().unwrap().push(path.clone()),
            _ => work(&done, &path),
        }
        Response::new(200).body(path).into()
    }

    fn detached(&self, _: Parked, ticket: Never) {
        match ticket {}
    }
}

/// Keeps the worker busy for a while.
fn work(done: &Done, what: &str) {
    let start = Instant::now();
    while start.elapsed() < WORK {
        std::hint::spin_loop();
    }
    done.lock().unwrap().push(what.to_owned());
}

/// A body whose next frame is always ready, and takes some time to make.
struct Frames {
    left: usize,
    done: Done,
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        work(&self.done, "frame");
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"frame")))))
    }
}
