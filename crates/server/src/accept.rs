//! Accepting connections: a task for each listener, and one for connections that the caller gives.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tidewire_http1::FieldBlock;
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use crate::connection;
use crate::connection_limits::WorkerConnections;
use crate::given::Given;
use crate::listen::BoundSocket;
use crate::shared::Worker;
use crate::stream::{Peer, Stream};
use crate::turns::InTurns;
use crate::{Handler, LogLimit, Problem, Response};

/// The pause after an error of `accept` (EMFILE, ENFILE, ENOMEM). Without it the listener would
/// spin.
const RETRY: Duration = Duration::from_millis(50);

/// Starts the tasks. They run until they are aborted. A task that ends has panicked.
pub(crate) fn accept_all<H: Handler>(
    worker: &Rc<Worker<H>>,
    listeners: Vec<BoundSocket>,
    given: UnboundedReceiver<Given>,
    connections: &Arc<WorkerConnections>,
) -> io::Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    tasks.spawn_local(InTurns::new(worker.shared.turns.clone(), accept_given(worker.clone(), given)));
    for socket in listeners {
        let accepting = accept(worker.clone(), Listener::new(socket)?, connections.clone());
        tasks.spawn_local(InTurns::new(worker.shared.turns.clone(), accepting));
    }
    Ok(tasks)
}

async fn accept<H: Handler>(worker: Rc<Worker<H>>, listener: Listener, connections: Arc<WorkerConnections>) {
    let mut errors = AcceptErrors::default();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                errors.are_over();
                admit(&worker, &connections, stream, peer);
                if worker.shared.turns.is_over() {
                    worker.shared.turns.pause().await;
                }
            }
            Err(error) => errors.wait_after(&error).await,
        }
    }
}

async fn accept_given<H: Handler>(worker: Rc<Worker<H>>, mut given: UnboundedReceiver<Given>) {
    while let Some(given) = given.recv().await {
        match given.into_stream() {
            Ok((stream, permit)) => connection::spawn(worker.clone(), stream, permit, Vec::new()),
            Err(error) => tracing::debug!(%error, "a connection of the caller cannot be served"),
        }
        if worker.shared.turns.is_over() {
            worker.shared.turns.pause().await;
        }
    }
    // All senders are gone. This is no failure: the listeners remain.
    std::future::pending().await
}

/// A bound socket that belongs to the runtime of this worker.
enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listener {
    fn new(socket: BoundSocket) -> io::Result<Self> {
        match socket {
            BoundSocket::Tcp(l) => TcpListener::from_std(l).map(Listener::Tcp),
            #[cfg(unix)]
            BoundSocket::Unix(l) => UnixListener::from_std(l).map(Listener::Unix),
        }
    }

    async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Listener::Tcp(l) => {
                let (socket, address) = l.accept().await?;
                // A small answer must not wait for the ACK of the one before. On Linux, accepted
                // sockets inherit this option from the listener.
                #[cfg(not(target_os = "linux"))]
                let _ = socket.set_nodelay(true);
                Ok((Stream::Tcp(socket), Peer::Tcp(address)))
            }
            #[cfg(unix)]
            Listener::Unix(l) => {
                let (socket, _) = l.accept().await?;
                Ok((Stream::Unix(socket), Peer::Unix))
            }
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
        Some(permit) => connection::spawn(worker.clone(), stream, permit, Vec::new()),
        None => refuse(&stream, peer),
    }
}

/// Answers a connection over the limit: best effort, without a task, a buffer or a wait.
fn refuse(stream: &Stream, peer: Peer) {
    tracing::debug!(%peer, "too many connections, refused with 503");
    let body =
        Problem::new(503, "The server has reached its limit of connections; try again in a few seconds.")
            .to_json();
    let bytes = Response::new(503)
        .with("Content-Type", "application/problem+json")
        .with("Retry-After", "5")
        .body(body)
        .into_parts_dated(&FieldBlock::new(), None)
        .concat();
    let _ = stream.send(&bytes);
}

/// Handles errors of `accept`, for example when no descriptor is left: the listener waits a moment
/// and tries again. Clients at the descriptor limit cause such errors again and again, so the log
/// line is limited.
#[derive(Default)]
struct AcceptErrors {
    logged: bool,
}

impl AcceptErrors {
    async fn wait_after(&mut self, error: &io::Error) {
        // The peer left before it was accepted. This is no reason to wait.
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
        tokio::time::sleep(RETRY).await;
    }

    fn are_over(&mut self) {
        if std::mem::take(&mut self.logged) {
            tracing::info!("accepting connections again");
        }
    }
}
