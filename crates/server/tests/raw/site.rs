//! The server under test, and a handler with a resource for each kind of answer.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tidewire_server::http1::Method;
use tidewire_server::{
    Body, BodyError, DetachHead, Handler, Limits, Listen, NotServed, Parked, Peer, PreparedResponse, Reply,
    Request, Response, Running, Server,
};
use tidewire_testkit::deadline::Deadline;
use tidewire_testkit::raw::{Raw, Response as Answer};
use tokio::io::BufStream;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

/// A running server and what it has seen.
pub(crate) struct Site {
    running: Option<Running>,
    /// Empty if the server does not listen.
    pub(crate) address: String,
    /// The runtime of the streams that this test gives to the server.
    streams: Option<Runtime>,
    pub(crate) seen: Seen,
}

/// What the handlers of all workers have seen.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Inner>);

#[derive(Default)]
struct Inner {
    requests: Mutex<Vec<String>>,
    streams: AtomicUsize,
    drains: AtomicUsize,
}

impl Seen {
    /// Requests that reached the handler: `GET /path`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.0.requests.lock().unwrap().clone()
    }

    /// Endless answers that are still alive.
    pub(crate) fn streams(&self) -> usize {
        self.0.streams.load(Ordering::SeqCst)
    }

    /// Workers that were told to drain.
    pub(crate) fn drains(&self) -> usize {
        self.0.drains.load(Ordering::SeqCst)
    }
}

/// Short timeouts for short tests. They are long enough for a test that must wait for a processor
/// between two steps.
pub(crate) fn quick() -> Limits {
    Limits::DEFAULT
        .with_head_timeout(Duration::from_millis(1_500))
        .with_idle_timeout(Duration::from_millis(2_000))
        .with_body_grace(Duration::from_millis(1_500))
        .with_body_min_rate(1_000)
        .with_write_timeout(Duration::from_millis(1_500))
        .with_drain_time(Duration::from_millis(300))
        .with_drain_timeout(Duration::from_secs(2))
}

impl Site {
    pub(crate) fn start() -> Self {
        Self::with(Limits::DEFAULT)
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let builder = Server::builder().listen("127.0.0.1:0".parse::<Listen>().unwrap());
        let (running, seen) = everything(builder.threads(1).limits(limits).bind().unwrap());
        let address = running.addresses()[0].to_string();
        Site { running: Some(running), address, streams: None, seen }
    }

    /// A site that does not listen. Its connections are not sockets for the server, and keep bytes
    /// back until they are flushed.
    pub(crate) fn over_streams(limits: Limits) -> Self {
        let (running, seen) = everything(Server::builder().threads(1).limits(limits).without_listener());
        let streams = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Site { running: Some(running), address: String::new(), streams: Some(streams), seen }
    }

    pub(crate) fn raw(&self) -> Raw {
        match &self.streams {
            Some(_) => self.give().expect("the server takes the connection"),
            None => Raw::connect(self.address.as_str()),
        }
    }

    /// Gives a connection to a server that does not listen.
    pub(crate) fn give(&self) -> Result<Raw, NotServed> {
        let _entered = self.streams.as_ref().expect("the site is over streams").enter();
        let (client, server) = pair();
        let sender = self.running().connection_sender();
        sender.send(BufStream::new(server), Peer::Other).map(|()| Raw::over(client))
    }

    /// Sends a request on a new connection and reads one answer.
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        self.raw().send(request).response()
    }

    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().expect("only stop takes the server")
    }

    /// Stops it and waits until it has ended.
    pub(crate) fn stop(mut self) {
        self.running.take().expect("only stop takes the server").stop().unwrap();
    }
}

/// A valid request without a body.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
}

/// A valid request with a body of known length.
pub(crate) fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Two ends of a connection. The second belongs to the present runtime.
pub(crate) fn pair() -> (std::net::TcpStream, TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    server.set_nonblocking(true).unwrap();
    (client, TcpStream::from_std(server).unwrap())
}

fn everything(server: Server) -> (Running, Seen) {
    let seen = Seen::default();
    let shared = seen.clone();
    let make = move |_| Everything {
        seen: shared.clone(),
        shared: Response::new(200).body("shared").prepare().unwrap().into(),
        parts: Response::new(200).parts(parts()).prepare().unwrap().into(),
    };
    (server.serve(make).unwrap(), seen)
}

struct Everything {
    seen: Seen,
    shared: Arc<PreparedResponse>,
    parts: Arc<PreparedResponse>,
}

/// What a detached connection is for.
pub(crate) enum Ticket {
    /// Sends back the bytes that come, without framing.
    Echo,
    /// Writes a whole answer, then gives the connection back.
    Resume,
    /// Closes.
    Close,
    /// Writes two pieces and closes.
    Two { chunked: bool },
}

impl Handler for Everything {
    type Ticket = Ticket;

    fn handle(&self, request: Request<'_>) -> Reply<Ticket> {
        let path = String::from_utf8_lossy(request.head.path()).into_owned();
        let method = request.head.method();
        self.seen.0.requests.lock().unwrap().push(format!("{} {path}", method.as_str()));
        let seen = self.seen.clone();
        match &*path {
            "/echo" => collect(request.body),
            // The handler does not read the body.
            "/ignore" => Response::new(200).body("ignored").into(),
            "/shared" => Reply::Shared(self.shared.clone()),
            "/parts" => Response::new(200).parts(parts()).into(),
            "/parts/many" => Response::new(200).parts(many_parts()).into(),
            "/parts/304" => Response::new(304).parts(parts()).into(),
            "/parts/kept" => Reply::Shared(self.parts.clone()),
            "/parts/later" => Reply::Later(Box::pin(async { Response::new(200).parts(parts()).into() })),
            "/parts/frames" => Response::new(200).stream(Frames(parts().into())).into(),
            "/parts/first" => {
                let head = Some(DetachHead { response: Response::new(200), chunked: false });
                Reply::Detach { head, first: parts(), ticket: Ticket::Close }
            }
            "/later" => Reply::Later(Box::pin(async {
                tokio::time::sleep(Duration::from_millis(150)).await;
                Response::new(200).body("later").into()
            })),
            "/never" => Reply::Later(Box::pin(std::future::pending())),
            "/big" => Response::new(200).body(vec![b'x'; 8 * 1024 * 1024]).into(),
            "/endless" => Response::new(200).stream(Endless::new(seen, Bytes::from_static(b"tick "))).into(),
            "/flood" => Response::new(200).stream(Endless::new(seen, vec![b'x'; 64 * 1024].into())).into(),
            "/silent" => Response::new(200).stream(Endless::new(seen, Bytes::new())).into(),
            "/fails" => Response::new(200).stream(Fails(false)).into(),
            "/sized" => Response::new(200).stream(http_body_util::Full::new(Bytes::from("exactly"))).into(),
            "/204" => Response::new(204).into(),
            "/304" => Response::new(304).with("ETag", "\"x\"").into(),
            "/204-with-body" => Response::new(204).body("no").into(),
            "/injected" => Response::new(200).with("X-Name", "a\r\nX-Evil: b").into(),
            "/last" => Response::new(200).closing().body("last").into(),
            "/panic" => panic!("a handler panics, as the test wants"),
            "/upgrade" => {
                let response = Response::new(101).with("Connection", "Upgrade").with("Upgrade", "echo");
                let head = Some(DetachHead { response, chunked: false });
                Reply::Detach { head, first: vec![Bytes::from_static(b"hi\n")], ticket: Ticket::Echo }
            }
            "/resume" => Reply::Detach { head: None, first: Vec::new(), ticket: Ticket::Resume },
            "/two" => {
                let chunked = request.head.version() == tidewire_server::http1::Version::Http11;
                let head = Some(DetachHead { response: Response::new(200), chunked });
                Reply::Detach { head, first: Vec::new(), ticket: Ticket::Two { chunked } }
            }
            _ if method == Method::Get || method == Method::Head => Response::new(200)
                .with("Content-Type", "text/plain")
                .body(format!("you asked for {path}"))
                .into(),
            _ => Response::new(404).body("nothing").into(),
        }
    }

    fn detached(&self, connection: Parked, ticket: Ticket) {
        match ticket {
            Ticket::Echo => {
                tokio::task::spawn_local(echo(connection));
            }
            Ticket::Close => drop(connection),
            Ticket::Resume => {
                connection.try_write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nparked").unwrap();
                connection.resume(b"");
            }
            Ticket::Two { chunked } => {
                let bytes: &[u8] = if chunked { b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n" } else { b"onetwo" };
                connection.try_write(bytes).unwrap();
            }
        }
    }

    fn drain(&self) {
        self.seen.0.drains.fetch_add(1, Ordering::SeqCst);
    }
}

fn collect(body: Body) -> Reply<Ticket> {
    Reply::Later(Box::pin(async move {
        match body.collect(1024 * 1024).await {
            Ok(bytes) => Response::new(200).body(bytes).into(),
            Err(BodyError::TooLarge) => Response::new(413).into(),
            Err(_) => Response::new(400).into(),
        }
    }))
}

async fn echo(connection: Parked) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut io = connection.into_io();
    let mut piece = [0; 1024];
    while let Ok(n @ 1..) = io.read(&mut piece).await {
        if io.write_all(&piece[..n]).await.is_err() || io.flush().await.is_err() {
            return;
        }
    }
    let _ = io.write_all(b"bye\n").await;
    let _ = io.shutdown().await;
}

/// A body without end: a frame every few milliseconds, or none at all.
struct Endless {
    seen: Seen,
    frame: Bytes,
    sleep: Pin<Box<tokio::time::Sleep>>,
}

impl Endless {
    fn new(seen: Seen, frame: Bytes) -> Self {
        seen.0.streams.fetch_add(1, Ordering::SeqCst);
        Endless { seen, frame, sleep: Box::pin(tokio::time::sleep(Duration::ZERO)) }
    }
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.frame.is_empty() {
            return Poll::Pending;
        }
        std::task::ready!(self.sleep.as_mut().poll(cx));
        self.sleep = Box::pin(tokio::time::sleep(Duration::from_millis(1)));
        Poll::Ready(Some(Ok(Frame::data(self.frame.clone()))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.seen.0.streams.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Long and short parts, and an empty one.
pub(crate) fn parts() -> Vec<Bytes> {
    let long = |byte| Bytes::from(vec![byte; 100_000]);
    vec!["begin".into(), long(b'1'), Bytes::new(), "small".into(), long(b'2'), long(b'3'), "end".into()]
}

/// Megabytes in hundreds of parts. Two neighbours always differ.
pub(crate) fn many_parts() -> Vec<Bytes> {
    (0..800).map(|n: usize| Bytes::from(vec![n as u8; [5, 20_000, 16_384, 16_383][n % 4]])).collect()
}

/// A body with one frame for each part.
struct Frames(VecDeque<Bytes>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.pop_front().map(|part| Ok(Frame::data(part))))
    }
}

/// A body that fails after its first frame.
struct Fails(bool);

impl http_body::Body for Fails {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(Some(if std::mem::replace(&mut self.0, true) {
            Err(std::io::Error::other("as the test wants"))
        } else {
            Ok(Frame::data(Bytes::from_static(b"begun")))
        }))
    }
}

/// Waits until `done` holds.
#[track_caller]
pub(crate) fn eventually(what: &str, done: impl FnMut() -> bool) {
    Deadline::soon().until(what, done);
}
