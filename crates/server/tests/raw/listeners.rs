//! Listeners that the caller has bound.

use std::collections::BTreeSet;

use axum::Router;
use axum::routing::get;
use tidewire_server::{Listen, Listener, Running, Server, ServiceHandler};
use tidewire_testkit::raw::Raw;

use crate::site;

/// A server whose answers name the worker.
fn start(listener: impl Into<Listener>, threads: usize) -> Running {
    let server = Server::builder().listener(listener).threads(threads).bind().unwrap();
    let make = |worker: usize| {
        let answer = move || async move { worker.to_string() };
        ServiceHandler::new(Router::new().route("/", get(answer)))
    };
    server.serve(make).unwrap()
}

#[test]
fn all_workers_accept_from_one_listener() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let early = Raw::connect(address);
    let running = start(listener, 3);
    assert_eq!(running.addresses(), [Listen::Tcp(address)]);
    // Which worker accepts is a matter of luck. Each of many open connections is served.
    let mut raws: Vec<Raw> = (0..50).map(|_| Raw::connect(address)).chain([early]).collect();
    let mut workers = BTreeSet::new();
    for raw in &mut raws {
        workers.insert(raw.send(site::get("/")).response().text().to_owned());
    }
    assert!(workers.iter().all(|worker| ["0", "1", "2"].contains(&&**worker)), "{workers:?}");
    drop(raws);
    running.stop().unwrap();
}

/// A restart without a gap: the next server has a duplicate of the listener. Clients that connect
/// between the two servers wait in the queue of the socket.
#[test]
fn a_listener_outlives_the_server() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let first = start(listener.try_clone().unwrap(), 2);
    assert_eq!(Raw::connect(address).send(site::get("/")).response().status, 200);
    first.stop().unwrap();
    // Accepted sockets inherit it: a small answer does not wait for the ACK of the one before.
    assert!(!cfg!(target_os = "linux") || socket2::SockRef::from(&listener).tcp_nodelay().unwrap());
    let mut between = Raw::connect(address);
    between.send(site::get("/"));
    let second = start(listener, 2);
    assert_eq!(between.response().status, 200);
    second.stop().unwrap();
}

#[test]
fn listeners_of_tokio_are_taken_too_and_next_to_addresses() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let server = Server::builder()
        .listener(listener)
        .listen("127.0.0.1:0".parse::<Listen>().unwrap())
        .threads(2)
        .bind()
        .unwrap();
    // The socket is registered with the workers, so this runtime may end.
    drop(runtime);
    let router = Router::new().route("/", get(|| async { "hello" }));
    let running = server.serve(move |_| ServiceHandler::new(router.clone())).unwrap();
    assert_eq!(running.addresses().len(), 2);
    for address in running.addresses() {
        let mut raw = Raw::connect(address.to_string());
        assert_eq!(raw.send(site::get("/")).response().text(), "hello");
    }
}

#[cfg(unix)]
#[test]
fn the_file_of_a_unix_listener_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("given.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let running = start(listener, 2);
    assert_eq!(running.addresses(), [Listen::Unix(path.clone())]);
    assert_eq!(Raw::unix(&path).send(site::get("/")).response().status, 200);
    running.stop().unwrap();
    assert!(path.exists(), "the file belongs to the one who bound the socket");

    let own = folder.path().join("own.sock");
    let server = Server::builder().listen(Listen::Unix(own.clone())).threads(1).bind().unwrap();
    let running = server.serve(|_| ServiceHandler::new(Router::new())).unwrap();
    running.stop().unwrap();
    assert!(!own.exists());
}
