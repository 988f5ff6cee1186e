//! What a service can do with tokio on a worker, and servers that are started and awaited inside
//! another runtime.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit};
use axum::routing::{get, post};
use tidewire_server::{
    Handler, Limits, Listen, LocalFuture, Never, Parked, Peer, Reply, Request, Response, Running, Server,
    ServiceHandler, Signals, serve,
};
use tidewire_testkit::raw::Raw;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::site::{self, eventually};

fn bind(threads: usize) -> Server {
    Server::builder().listen("127.0.0.1:0".parse::<Listen>().unwrap()).threads(threads).bind().unwrap()
}

fn raw(running: &Running) -> Raw {
    Raw::connect(running.addresses()[0].to_string())
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

/// What axum applications do: tasks, blocking work, timers, and connections to other servers.
async fn uses_tokio() -> String {
    let task = tokio::spawn(async { "task" }).await.unwrap();
    let blocking = tokio::task::spawn_blocking(|| "blocking").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let timer = tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>()).await.is_err();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut socket, _) = listener.accept().await.unwrap();
    client.write_all(b"socket").await.unwrap();
    let mut text = [0; 6];
    socket.read_exact(&mut text).await.unwrap();
    format!("{task} {blocking} {timer} {}", String::from_utf8_lossy(&text))
}

#[test]
fn a_service_uses_tokio_as_elsewhere() {
    let router = Router::new().route("/", get(uses_tokio));
    let running = bind(1).serve(move |_| ServiceHandler::new(router.clone())).unwrap();
    assert_eq!(raw(&running).send(site::get("/")).response().text(), "task blocking true socket");
}

async fn fails() {
    panic!("as the test wants")
}

#[test]
fn block_in_place_works_on_the_runtime_of_the_caller() {
    let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("of-the-caller").build().unwrap();
    let router = Router::new()
        .route("/", get(|| async { tokio::task::block_in_place(|| "blocked") }))
        .route("/echo", post(|body: Bytes| async move { body }))
        .route("/thread", get(|| async { std::thread::current().name().unwrap_or_default().to_owned() }))
        .route("/panic", get(fails));
    let handle = runtime.handle().clone();
    let make = move |_| ServiceHandler::new(router.clone()).on_runtime(handle.clone());
    let running = bind(1).serve(make).unwrap();
    let mut client = raw(&running);
    assert_eq!(client.send(site::get("/")).response().text(), "blocked");
    assert_eq!(client.send(site::get("/thread")).response().text(), "of-the-caller");
    let large = "0123456789".repeat(50_000);
    assert_eq!(client.send(site::post("/echo", &large)).response().text(), large);
    assert!(client.send(site::get("/panic")).rest().is_empty(), "as on the worker: the connection ends");
    drop(runtime);
    assert_eq!(raw(&running).send(site::get("/")).response().status, 500);
}

#[test]
fn connect_info_and_limits_by_request_reach_an_axum_router() {
    let router = Router::new()
        .route(
            "/peer",
            get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }),
        )
        .route("/ours", get(|ConnectInfo(peer): ConnectInfo<Peer>| async move { format!("{peer:?}") }))
        .route("/small", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/large", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/axum", post(|body: Bytes| async move { body }).layer(DefaultBodyLimit::max(10)))
        .layer(DefaultBodyLimit::max(1_000_000));
    let make = move |_| {
        ServiceHandler::new(router.clone())
            .with_extension(|peer| peer.address().map(ConnectInfo))
            .with_extension(|peer| Some(ConnectInfo(peer)))
            .with_body_limits(|head, usual| match head.path() {
                b"/small" => usual.with_max(100),
                b"/large" => usual.with_max(500_000),
                _ => usual,
            })
    };
    let server = Server::builder()
        .listen("127.0.0.1:0".parse::<Listen>().unwrap())
        .limits(Limits::DEFAULT.with_http(Limits::DEFAULT.http.with_max_body(1_000)))
        .threads(1);
    let running = server.bind().unwrap().serve(make).unwrap();
    let mut client = raw(&running);
    assert_eq!(client.send(site::get("/peer")).response().text(), "127.0.0.1");
    assert!(client.send(site::get("/ours")).response().text().starts_with("Tcp(127.0.0.1:"));
    assert_eq!(client.send(site::post("/small", &"x".repeat(100))).response().text(), "100");
    assert_eq!(client.send(site::post("/large", &"x".repeat(500_000))).response().text(), "500000");
    let refused = raw(&running).send(site::post("/small", &"x".repeat(101))).response();
    assert_eq!(refused.status, 413);
    assert!(refused.text().contains("limit"), "{}", refused.text());
    let chunked = "POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n";
    let refused = raw(&running).send(chunked.to_owned() + &"x".repeat(101) + "\r\n0\r\n\r\n").response();
    assert_eq!(refused.status, 413);
    assert!(refused.text().contains("limit"), "{}", refused.text());
    assert_eq!(client.send(site::post("/axum", &"x".repeat(11))).response().status, 413);
}

/// Counts the requests that are in a handler.
#[derive(Clone, Default)]
struct Busy(Arc<AtomicUsize>);

impl Busy {
    fn enter(&self) -> Self {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.clone()
    }

    fn leave(self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Leaves when it is dropped.
struct Guard(Option<Busy>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(Busy::leave);
    }
}

/// The front page says so. Without [`Serve::on_runtime`](tidewire_server::Serve::on_runtime), work
/// that must finish belongs on the runtime of the program.
#[test]
fn a_spawned_task_lives_as_long_as_its_runtime() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let program = runtime.handle().clone();
    let (on_worker, on_program) = (Busy::default(), Busy::default());
    let (worker_guard, program_guard) = (on_worker.clone(), on_program.clone());
    let (finish, finished) = tokio::sync::watch::channel(false);
    let spawn = move || {
        let never = Guard(Some(worker_guard.enter()));
        tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(never);
        });
        let waits = Guard(Some(program_guard.enter()));
        let mut finished = finished.clone();
        program.spawn(async move {
            finished.wait_for(|finish| *finish).await.unwrap();
            drop(waits);
        });
        async { "accepted" }
    };
    let router = Router::new().route("/", get(spawn));
    let running = bind(1).serve(move |_| ServiceHandler::new(router.clone())).unwrap();
    assert_eq!(raw(&running).send(site::get("/")).response().text(), "accepted");
    runtime.block_on(async {
        running.stopper().stop();
        running.ended().await.unwrap();
    });
    assert_eq!((on_worker.count(), on_program.count()), (0, 1));
    finish.send(true).unwrap();
    eventually("the task of the program", || on_program.count() == 0);
}

#[test]
fn a_request_is_given_up_when_its_client_leaves() {
    let busy = Busy::default();
    let inside = busy.clone();
    let wait = move |_: Bytes| {
        let guard = Guard(Some(inside.enter()));
        async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        }
    };
    let router = Router::new().route("/", post(wait));
    let running = bind(1).serve(move |_| ServiceHandler::new(router.clone())).unwrap();
    for body in ["", "hello"] {
        let mut leaves = raw(&running);
        leaves.send(site::post("/", body));
        eventually("the request", || busy.count() == 1);
        drop(leaves);
        eventually("the handler to be dropped", || busy.count() == 0);
    }
    // The body comes after its head, so the handler pulls it.
    let mut leaves = raw(&running);
    leaves.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(leaves.response().status, 100);
    leaves.send("hello");
    eventually("the request", || busy.count() == 1);
    drop(leaves);
    eventually("the handler to be dropped", || busy.count() == 0);
}

#[test]
fn a_client_may_close_its_half_if_the_handler_allows_it() {
    let (told, waits) = (Arc::new(tokio::sync::Notify::new()), Busy::default());
    let (wait, inside) = (told.clone(), waits.clone());
    let answer = move || {
        let wait = wait.clone();
        inside.enter();
        async move {
            wait.notified().await;
            "late"
        }
    };
    let router = Router::new().route("/", get(answer));
    let make = move |_| ServiceHandler::new(router.clone()).with_half_close(true);
    let running = bind(1).serve(make).unwrap();
    let mut client = raw(&running);
    client.send(site::get("/")).half_close();
    eventually("the request", || waits.count() == 1);
    assert!(client.is_silent_for(Duration::from_millis(20)));
    told.notify_one();
    assert_eq!(client.response().text(), "late");
}

#[test]
fn a_server_is_awaited_like_axums() {
    for builder in [&mut Builder::new_current_thread(), Builder::new_multi_thread().worker_threads(2)] {
        let runtime = builder.enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (stop, stopped) = oneshot::channel::<()>();
            let serving = serve(listener, hello())
                .threads(2)
                .limits(Limits::DEFAULT)
                .on_runtime(Handle::current())
                .with_graceful_shutdown(async { drop(stopped.await) });
            let server = tokio::spawn(serving.into_future());
            // The runtime is not blocked, so a task of it can be the client.
            let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
            client.write_all(site::get("/").as_bytes()).await.unwrap();
            let mut first = [0; 15];
            client.read_exact(&mut first).await.unwrap();
            assert_eq!(&first, b"HTTP/1.1 200 OK");
            stop.send(()).unwrap();
            server.await.unwrap().unwrap();
        });
    }
}

#[test]
fn a_server_that_is_no_longer_awaited_stops() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = runtime.spawn(serve(listener, hello()).threads(1).into_future());
    let client = runtime.spawn_blocking(move || {
        let mut client = Raw::connect(address);
        assert_eq!(client.send(site::get("/")).response().text(), "hello");
        client
    });
    let mut client = runtime.block_on(client).unwrap();
    server.abort();
    assert!(runtime.block_on(server).unwrap_err().is_cancelled());
    assert!(client.rest().is_empty(), "the connection ends");
}

#[test]
fn waiting_for_the_end_works_inside_a_runtime() {
    for builder in [&mut Builder::new_current_thread(), Builder::new_multi_thread().worker_threads(2)] {
        let runtime = builder.enable_all().build().unwrap();
        runtime.block_on(async {
            let start = || bind(2).serve(|_| ServiceHandler::new(hello())).unwrap();
            start().stop().unwrap();
            let running = start();
            running.stopper().stop();
            running.join().unwrap();
            let running = start();
            running.stopper().stop();
            running.join_until(Signals::catch().unwrap()).unwrap();
            drop(Signals::catch().unwrap());
            // These do not block, so a task of the same runtime can stop the server.
            let running = start();
            let stopper = running.stopper();
            tokio::spawn(async move { stopper.stop() });
            running.ended().await.unwrap();
            start().ended_after(tokio::task::yield_now()).await.unwrap();
        });
    }
}

#[test]
fn a_worker_that_fails_ends_an_awaited_server_with_an_error() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let running = bind(2).serve(Fails).unwrap();
    let error = runtime.block_on(running.ended_after(std::future::pending())).unwrap_err();
    assert!(error.to_string().contains("as the test wants"), "{error}");
}

/// A handler of which one worker fails.
struct Fails(usize);

impl Handler for Fails {
    type Ticket = Never;

    fn handle(&self, _: Request<'_>) -> Reply<Self::Ticket> {
        Response::new(200).into()
    }

    fn detached(&self, _: Parked, ticket: Self::Ticket) {
        match ticket {}
    }

    fn failed(&self) -> LocalFuture<String> {
        match self.0 {
            0 => Box::pin(std::future::pending()),
            _ => Box::pin(async { "as the test wants".to_owned() }),
        }
    }
}
