//! The memory of clients that ask for a long answer and do not read it: each holds a reference to
//! the answer, not a copy.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tidewire_server::{DetachHead, Handler, Listen, Parked, Reply, Request, Response, Running, Server};
use tidewire_testkit::heap::{self, CountingAllocator};
use tidewire_testkit::raw::Raw;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Bytes of the answer. With any settings of the machine, a Unix socket takes only a part of it.
const LEN: usize = 1024 * 1024;

/// Clients that do not read.
const CLIENTS: usize = 50;

/// The limit of the memory of all clients: 20 KiB each, most of it for the task of a connection.
const MAX_COST: i64 = 1024 * 1024;

#[test]
fn a_body_is_shared() {
    check("/body");
}

#[test]
fn the_parts_of_a_body_are_shared() {
    check("/parts");
}

#[test]
fn the_body_of_a_kept_answer_is_shared() {
    check("/kept");
}

#[test]
fn a_frame_with_a_length_is_shared() {
    check("/frame");
}

#[test]
fn a_chunk_is_shared() {
    check("/chunk");
}

#[test]
fn the_first_bytes_of_a_stream_are_shared() {
    check("/first");
}

/// Checks the memory of clients that do not read this resource, and that they get all of it later.
fn check(path: &str) {
    let site = Site::start(path);
    let mut clients: Vec<Raw> = (0..CLIENTS).map(|_| Raw::unix(&site.path)).collect();
    let mut other = Raw::unix(&site.path);
    let mut held = || -> i64 { other.send(get("/held")).response().text().parse().unwrap() };
    for raw in &mut clients {
        raw.send(get("/small")).response();
    }
    let before = held();
    for raw in &mut clients {
        raw.send(get(path));
        // The first bytes have come, so the worker holds the whole answer.
        raw.until("\r\n\r\n");
    }
    let cost = held() - before;
    assert!(cost < MAX_COST, "{CLIENTS} clients cost {cost} bytes");
    let long = long();
    for raw in &mut clients {
        if path == "/chunk" {
            assert_eq!(raw.until("\r\n"), b"100000\r\n");
        }
        assert!(raw.exactly(LEN) == long, "a client got other bytes");
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

fn long() -> Vec<u8> {
    (0..LEN).map(|n| (n / 1000) as u8).collect()
}

struct Site {
    running: Option<Running>,
    path: PathBuf,
}

impl Site {
    fn start(name: &str) -> Self {
        let name = format!("tidewire-memory-{}{}", std::process::id(), name.replace('/', "-"));
        let path = std::env::temp_dir().join(name);
        let listen = Listen::Unix(path.clone());
        let server = Server::builder().listen(listen).threads(1).bind().unwrap();
        let running = server.serve(|_| Long(Bytes::from(long()))).unwrap();
        Site { running: Some(running), path }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.running.take().unwrap().stop().unwrap();
    }
}

struct Long(Bytes);

impl Handler for Long {
    type Ticket = ();

    fn handle(&self, request: Request<'_>) -> Reply<()> {
        let response = Response::new(200);
        let long = self.0.clone();
        match request.head.path() {
            b"/held" => response.body(heap::held().to_string()),
            b"/body" => response.body(long),
            b"/parts" => response.parts(long.chunks(LEN / 8).map(|part| long.slice_ref(part)).collect()),
            b"/kept" => return Reply::Shared(response.body(long).prepare().unwrap().into()),
            b"/frame" => response.stream(http_body_util::Full::new(long)),
            b"/chunk" => response.stream(Chunk(Some(long))),
            b"/first" => {
                let head = Some(DetachHead { response, chunked: false });
                return Reply::Detach { head, first: vec![long], ticket: () };
            }
            _ => response.body("small"),
        }
        .into()
    }

    fn detached(&self, _: Parked, (): ()) {}
}

/// A body of one frame without a length.
struct Chunk(Option<Bytes>);

impl http_body::Body for Chunk {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}
