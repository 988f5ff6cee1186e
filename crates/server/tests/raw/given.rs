//! Connections that the caller has opened, over any stream. Everything works as on a socket of the
//! server.

use std::io::{Read, Write};

use tidewire_server::{Limits, NotServed, Peer, Server, ServiceHandler};
use tidewire_testkit::deadline::{Deadline, PATIENCE};
use tidewire_testkit::raw::Raw;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::site::{Site, eventually, get, many_parts, pair, parts, post, quick};

#[test]
fn requests_and_bodies_of_all_kinds() {
    let site = Site::over_streams(Limits::DEFAULT);
    let mut raw = site.raw();
    let large = "0123456789abcdef".repeat(40_000);
    for _ in 0..3 {
        raw.send([get("/a"), get("/shared"), post("/echo", "hello"), get("/later"), get("/b")].concat());
        let texts: Vec<_> = (0..5).map(|_| raw.response().text().to_owned()).collect();
        assert_eq!(texts, ["you asked for /a", "shared", "hello", "later", "you asked for /b"]);
        assert_eq!(raw.send(post("/echo", &large)).response().text(), large);
        assert_eq!(raw.send(get("/parts")).response().body, parts().concat());
        assert_eq!(raw.send(get("/parts/many")).response().body, many_parts().concat());
        assert_eq!(raw.send(get("/parts/frames")).response().body, parts().concat());
        assert_eq!(raw.send(get("/big")).response().body.len(), 8 * 1024 * 1024);
    }
    assert_eq!(raw.send(get("/last")).response().text(), "last");
    assert!(raw.rest().is_empty());
}

#[test]
fn a_connection_is_upgraded_parked_and_comes_back() {
    let site = Site::over_streams(Limits::DEFAULT);
    let mut raw = site.raw();
    for _ in 0..20 {
        raw.send([get("/resume"), get("/a"), get("/resume")].concat());
        let texts: Vec<_> = (0..3).map(|_| raw.response().text().to_owned()).collect();
        assert_eq!(texts, ["parked", "you asked for /a", "parked"]);
    }
    raw.send("GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly ");
    assert_eq!(raw.response().status, 101);
    assert_eq!(raw.send("late").exactly(13), b"hi\nearly late");
    raw.half_close();
    assert_eq!(raw.rest(), b"bye\n");
}

#[test]
fn deadlines_and_departures_are_noticed() {
    let site = Site::over_streams(quick());
    assert_eq!(site.raw().send("GET / HT").response().status, 408);
    let mut silent = site.raw();
    silent.send(get("/silent")).until("\r\n\r\n");
    eventually("the stream to begin", || site.seen.streams() == 1);
    drop(silent);
    eventually("the stream to end", || site.seen.streams() == 0);
    // This client does not read, so the write deadline ends the answer.
    let mut flooded = site.raw();
    flooded.send(get("/flood"));
    eventually("the flood to begin", || site.seen.streams() == 1);
    eventually("the flood to end", || site.seen.streams() == 0);
}

#[test]
fn connections_over_a_limit_and_after_a_stop_are_refused() {
    let site = Site::over_streams(Limits::DEFAULT.with_max_connections(1));
    let mut first = site.raw();
    assert_eq!(first.send(get("/a")).response().status, 200);
    assert_eq!(site.give().err(), Some(NotServed::TooMany));
    drop(first);
    eventually("the connection to end", || {
        site.give().is_ok_and(|mut raw| raw.send(get("/b")).response().status == 200)
    });
    let sender = site.running().connection_sender();
    site.stop();
    assert_eq!(sender.send(tokio::io::empty(), Peer::Other), Err(NotServed::Stopped));
}

#[test]
fn a_stop_lets_given_connections_finish() {
    let site = Site::over_streams(Limits::DEFAULT);
    let mut raw = site.raw();
    raw.send(get("/later"));
    eventually("the request", || !site.seen.requests().is_empty());
    site.running().stopper().stop();
    assert_eq!(raw.response().text(), "later");
    site.stop();
}

fn hello() -> axum::Router {
    axum::Router::new().route("/", axum::routing::get(|| async { "hello" }))
}

#[test]
fn a_pipe_in_memory_and_a_socket_of_the_caller_are_served() {
    let server = Server::builder().threads(2).without_listener();
    let running = server.serve(|_| ServiceHandler::new(hello())).unwrap();
    assert!(running.addresses().is_empty());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut client, end) = tokio::io::duplex(16);
        running.connection_sender().send(end, Peer::Other).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        let read = tokio::time::timeout(PATIENCE, client.read_to_string(&mut answer));
        read.await.expect("an answer and its end").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello"), "{answer}");
    });
    // The caller has read the first bytes of the socket, for example a PROXY header. The socket
    // moves to the worker, so the runtime of the caller may end.
    let (mut client, mut socket) = runtime.block_on(async { pair() });
    client.write_all(format!("PROXY...{}", get("/")).as_bytes()).unwrap();
    runtime.block_on(async { socket.read_exact(&mut [0; 8]).await.unwrap() });
    let peer = Peer::Tcp("192.0.2.1:1".parse().unwrap());
    running.connection_sender().send(socket, peer).unwrap();
    drop(runtime);
    Deadline::soon().limit(&client);
    let mut first = [0; 15];
    client.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    drop(client);
    running.stop().unwrap();
}

#[test]
fn connections_are_spread_over_the_workers() {
    let server = Server::builder().threads(3).without_listener();
    let make = |worker: usize| {
        let answer = move || async move { worker.to_string() };
        ServiceHandler::new(axum::Router::new().route("/", axum::routing::get(answer)))
    };
    let running = server.serve(make).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let mut raws: Vec<Raw> = (0..9)
        .map(|_| {
            let (client, socket) = pair();
            running.connection_sender().send(socket, Peer::Other).unwrap();
            Raw::over(client)
        })
        .collect();
    let mut counts = [0; 3];
    for raw in &mut raws {
        counts[raw.send(get("/")).response().text().parse::<usize>().unwrap()] += 1;
    }
    assert_eq!(counts, [3; 3]);
}
