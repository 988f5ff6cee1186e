//! One worker: a thread, a current-thread runtime, its own listeners, its own handler. A connection never leaves it.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::task::Poll;
use std::time::Duration;

use tidewire_http1::Fields;
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::connection;
use crate::connection_limits::{Permit, WorkerConnections};
use crate::date::DateCache;
use crate::deadline::Deadlines;
use crate::failure::{FailureReporter, StopSignal};
use crate::listen::BoundSocket;
use crate::parked::Home;
use crate::stream::{Peer, Stream};
use crate::{Handler, Limits, LogLimit, Problem};

/// Bytes that one read may bring. Shared by all connections of a worker, so its size costs nothing for each.
const SCRATCH: usize = 64 * 1024;

/// After an error of `accept` (EMFILE, ENFILE, ENOMEM) the listener waits instead of spinning.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// What all connections of one worker share.
pub(crate) struct Worker<H> {
    pub(crate) handler: H,
    pub(crate) limits: Limits,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) scratch: RefCell<Vec<u8>>,
    pub(crate) fields: RefCell<Fields>,
    pub(crate) date: RefCell<DateCache>,
    pub(crate) draining: Cell<bool>,
}

impl<H: Handler> Worker<H> {
    fn new(handler: H, limits: Limits) -> Rc<Self> {
        Rc::new(Worker {
            handler,
            limits,
            deadlines: Deadlines::new(limits.sweep_interval()),
            scratch: RefCell::new(vec![0; SCRATCH]),
            fields: RefCell::new(Fields::new()),
            date: RefCell::new(DateCache::new()),
            draining: Cell::new(false),
        })
    }
}

impl<H: Handler> Home for Worker<H> {
    fn resume(self: Rc<Self>, stream: Stream, permit: Permit, rest: Vec<u8>) {
        tokio::task::spawn_local(connection::serve(self, stream, permit, rest));
    }
}

/// Runs a worker to its end: until `stop` is there and the last connection has ended. `started`
/// gets a word when it accepts, or why it cannot. If an essential task ends, it reports the
/// failure,
/// drains, and ends with an error.
pub(crate) async fn run<H: Handler>(
    make: impl FnOnce() -> H,
    limits: Limits,
    listeners: Vec<BoundSocket>,
    connections: Arc<WorkerConnections>,
    mut stop: StopSignal,
    started: SyncSender<io::Result<()>>,
    reporter: &FailureReporter,
) -> io::Result<()> {
    let worker = Worker::new(make(), limits);
    let mut accepting = match accept_all(&worker, listeners, &connections) {
        Ok(tasks) => tasks,
        Err(error) => {
            let _ = started.send(Err(error));
            return Ok(());
        }
    };
    let _ = started.send(Ok(()));
    let mut sweeping = JoinSet::new();
    sweeping.spawn_local(sweep(worker.deadlines.clone()));
    let outcome = tokio::select! {
        () = stop.wait() => Ok(()),
        _ = accepting.join_next() => Err(reporter.report("the task that accepts connections ended; the log says why")),
        _ = sweeping.join_next() => Err(reporter.report("the task that watches deadlines ended; the log says why")),
        // The state of its connections is unknown. Its clients reconnect elsewhere.
        what = worker.handler.failed() => return Err(reporter.report(&what)),
    };
    accepting.abort_all();
    worker.draining.set(true);
    worker.handler.drain();
    worker.deadlines.wake_all();
    let deadline = worker.deadlines.register();
    deadline.set(limits.drain_timeout);
    if limits.drain_timeout.is_zero() {
        deadline.expire();
    }
    let mut empty = pin!(connections.wait_empty());
    let is_empty = poll_fn(|cx| match empty.as_mut().poll(cx) {
        Poll::Pending if deadline.expired(cx) => Poll::Ready(false),
        polled => polled.map(|()| true),
    });
    if !is_empty.await {
        tracing::warn!(
            connections = connections.open(),
            "drain time is over, closing the connections that are left"
        );
    }
    outcome
}

/// A task for each listener.
fn accept_all<H: Handler>(
    worker: &Rc<Worker<H>>,
    listeners: Vec<BoundSocket>,
    connections: &Arc<WorkerConnections>,
) -> io::Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    for listener in listeners {
        match listener {
            BoundSocket::Tcp(l) => {
                let l = TcpListener::from_std(l)?;
                tasks.spawn_local(accept_tcp(worker.clone(), l, connections.clone()));
            }
            #[cfg(unix)]
            BoundSocket::Unix(l) => {
                let l = UnixListener::from_std(l)?;
                tasks.spawn_local(accept_unix(worker.clone(), l, connections.clone()));
            }
        }
    }
    Ok(tasks)
}

async fn accept_tcp<H: Handler>(
    worker: Rc<Worker<H>>,
    listener: TcpListener,
    connections: Arc<WorkerConnections>,
) {
    let mut errors = AcceptErrors::default();
    loop {
        match listener.accept().await {
            Ok((socket, address)) => {
                errors.are_over();
                // Small answers must not wait for the ACK of the one before. On Linux the listener has passed it on.
                #[cfg(not(target_os = "linux"))]
                let _ = socket.set_nodelay(true);
                admit(&worker, &connections, Stream::Tcp(socket), Peer::Tcp(address));
            }
            Err(error) => errors.wait_after(&error).await,
        }
    }
}

#[cfg(unix)]
async fn accept_unix<H: Handler>(
    worker: Rc<Worker<H>>,
    listener: UnixListener,
    connections: Arc<WorkerConnections>,
) {
    let mut errors = AcceptErrors::default();
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                errors.are_over();
                admit(&worker, &connections, Stream::Unix(socket), Peer::Unix);
            }
            Err(error) => errors.wait_after(&error).await,
        }
    }
}

fn admit<H: Handler>(
    worker: &Rc<Worker<H>>,
    connections: &Arc<WorkerConnections>,
    stream: Stream,
    peer: Peer,
) {
    match connections.admit(peer) {
        Some(permit) => {
            tokio::task::spawn_local(connection::serve(worker.clone(), stream, permit, Vec::new()));
        }
        None => refuse(&stream, peer),
    }
}

/// The answer to one connection too many: best effort, without a task, a buffer or a wait.
fn refuse(stream: &Stream, peer: Peer) {
    tracing::debug!(%peer, "too many connections, refused with 503");
    let body =
        Problem::new(503, "The server has as many connections as it allows; try again in a few seconds.")
            .to_json();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\nRetry-After: 5\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // A socket fresh from accept is writable; the runtime does not know that yet, the kernel does.
    let bytes = [head.as_bytes(), body.as_bytes()].concat();
    let _ = match stream {
        Stream::Tcp(s) => socket2::SockRef::from(s as &TcpStream).send(&bytes),
        #[cfg(unix)]
        Stream::Unix(s) => socket2::SockRef::from(s as &UnixStream).send(&bytes),
    };
}

/// `accept` fails from time to time, as when descriptors run out. It waits a moment, and the
/// listener stays. Clients that come and go at the descriptor limit cause that all the time, so the
/// log line is limited.
#[derive(Default)]
struct AcceptErrors {
    logged: bool,
}

impl AcceptErrors {
    async fn wait_after(&mut self, error: &io::Error) {
        // A peer that left before it was accepted is no reason to wait.
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            return;
        }
        static FAILED: LogLimit = LogLimit::new();
        if !self.logged
            && let Some(more) = FAILED.admit()
        {
            self.logged = true;
            tracing::error!(%error, more, "cannot accept connections; trying again");
        }
        tokio::time::sleep(ACCEPT_RETRY).await;
    }

    fn are_over(&mut self) {
        if std::mem::take(&mut self.logged) {
            tracing::info!("accepting connections again");
        }
    }
}

async fn sweep(deadlines: Rc<Deadlines>) {
    loop {
        tokio::time::sleep_until(deadlines.due().into()).await;
        deadlines.sweep();
    }
}
