//! The server stops and drains.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tidewire_server::Limits;
use tidewire_testkit::deadline::Deadline;

use crate::site::{Site, eventually, get, post, quick};

#[test]
fn idle_connections_end_soon() {
    let site = Site::start();
    let mut fresh = site.raw();
    let mut idle = site.raw();
    assert_eq!(idle.send(get("/a")).response().status, 200);
    let start = Instant::now();
    let stopper = site.running().stopper();
    stopper.stop();
    assert_eq!(idle.rest(), b"");
    assert_eq!(fresh.rest(), b"");
    let seen = site.seen.clone();
    site.stop();
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(seen.drains(), 1);
}

/// Clients send one request after the other, as a publisher does. Each request gets its answer, the
/// last answer says that the connection closes, and no request meets a closed socket.
#[test]
fn a_request_that_is_under_way_is_answered() {
    // On a busy machine a client may need longer than the default second.
    let limits = Limits::DEFAULT.with_drain_time(Duration::from_secs(10));
    let site = Site::with(limits);
    let (told, stopping) = std::sync::mpsc::channel();
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (mut raw, told) = (site.raw(), told.clone());
            std::thread::spawn(move || {
                let (mut answers, deadline) = (0, Deadline::soon());
                loop {
                    deadline.check("the last answer of a connection", || format!("{answers} answers"));
                    let answer = raw.send(post("/echo", "hello")).response();
                    assert_eq!((answer.status, answer.text()), (200, "hello"));
                    answers += 1;
                    if answers == 50 {
                        told.send(()).unwrap();
                    }
                    if answer.field("connection") == Some("close") {
                        assert!(raw.rest().is_empty());
                        return;
                    }
                }
            })
        })
        .collect();
    for _ in &clients {
        stopping.recv_timeout(Duration::from_secs(60)).unwrap();
    }
    site.running().stopper().stop();
    for client in clients {
        client.join().unwrap();
    }
    site.stop();
}

#[test]
fn exchanges_that_have_begun_are_finished() {
    let limits = Limits::DEFAULT.with_drain_time(Duration::from_secs(10));
    let site = Site::with(limits);
    // The worker accepts and reads connections in the order in which they came. So when it has the
    // last request, it has this half.
    let mut half = site.raw();
    half.send("GET /a HTTP/1.1\r\nHo");
    let mut body = site.raw();
    body.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe");
    let mut later = site.raw();
    later.send(get("/later"));
    eventually("both requests", || site.seen.requests().len() == 2);
    site.running().stopper().stop();
    eventually("the worker to know", || site.seen.drains() == 1);
    half.send("st: x\r\n\r\n");
    body.send("llo");
    assert_eq!(body.response().text(), "hello");
    let answer = half.response();
    assert_eq!((answer.text(), answer.field("connection")), ("you asked for /a", Some("close")));
    assert_eq!(later.response().text(), "later");
    assert!(later.rest().is_empty() && half.rest().is_empty() && body.rest().is_empty(), "and then closed");
    site.stop();
}

#[test]
fn a_stopped_server_accepts_no_connections() {
    let site = Site::start();
    let address = site.address.clone();
    site.running().stopper().stop();
    site.stop();
    if let Ok(mut stream) = TcpStream::connect(&address) {
        let mut byte = [0; 1];
        assert!(!matches!(stream.read(&mut byte), Ok(1..)));
    }
}

#[test]
fn connections_that_do_not_end_are_closed_after_the_drain_timeout() {
    let site = Site::with(quick()); // two seconds
    let mut endless = site.raw();
    endless.send(get("/endless"));
    endless.until("tick");
    let mut never = site.raw();
    never.send(get("/never"));
    eventually("both requests", || site.seen.requests().len() == 2);
    let start = Instant::now();
    let seen = site.seen.clone();
    site.stop();
    let took = start.elapsed();
    assert!((Duration::from_millis(1_900)..Duration::from_secs(20)).contains(&took), "{took:?}");
    endless.rest();
    assert!(never.rest().is_empty());
    assert_eq!(seen.streams(), 0);
}
