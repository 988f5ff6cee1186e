//! Binding, starting and stopping. Only this file starts threads.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::{Builder as RuntimeBuilder, Handle, LocalOptions};
use tokio::sync::{mpsc, watch};

use crate::connection_limits::ConnectionLimits;
use crate::failure::{FailureReporter, StopReceiver};
use crate::given::Entrance;
use crate::listen::{self, BoundSocket};
use crate::worker::{self, Sources};
use crate::{BindError, ConnectionSender, Handler, Limits, Listen, Listener, Signals};

/// Builds a [`Server`] from addresses, a number of workers, and limits.
#[derive(Debug)]
pub struct Builder {
    listen: Vec<Listen>,
    listeners: Vec<Listener>,
    threads: usize,
    limits: Limits,
}

impl Builder {
    /// Adds an address. Without an address, the server listens on `127.0.0.1:8080`.
    #[must_use]
    pub fn listen(mut self, listen: impl Into<Listen>) -> Self {
        self.listen.push(listen.into());
        self
    }

    /// Adds a listener that is already bound: from socket activation, from the process before a
    /// restart, or from a test. It is a `TcpListener` or a `UnixListener` of std or tokio.
    /// [`Listener`] says how the workers share it.
    #[must_use]
    pub fn listener(mut self, listener: impl Into<Listener>) -> Self {
        self.listeners.push(listener.into());
        self
    }

    /// Sets the number of worker threads. 0 (the default) means one for each core.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Replaces the default [`Limits`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Binds all addresses. The server does not accept yet, so the program can first announce the
    /// real ports.
    ///
    /// # Errors
    /// [`BindError`] names the address. No address stays bound.
    pub fn bind(mut self) -> Result<Server, BindError> {
        if self.listen.is_empty() && self.listeners.is_empty() {
            self.listen.push(Listen::Tcp(([127, 0, 0, 1], 8080).into()));
        }
        let mut server = self.unbound();
        let workers = server.by_worker.len();
        for listen in self.listen {
            server.add(listen::bind(&listen, workers)?);
            server.bound.push(listen);
        }
        for listener in self.listeners {
            server.add(listener.share(workers)?);
        }
        Ok(server)
    }

    /// A server that does not listen. It serves the connections that a [`ConnectionSender`] gives
    /// it. Addresses and listeners of the builder are ignored.
    #[must_use]
    pub fn without_listener(self) -> Server {
        self.unbound()
    }

    fn unbound(&self) -> Server {
        let workers = match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let by_worker = (0..workers).map(|_| Vec::new()).collect();
        Server { addresses: Vec::new(), bound: Vec::new(), by_worker, limits: self.limits }
    }
}

/// A bound server.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<Listen>,
    /// The addresses that the server itself has bound.
    bound: Vec<Listen>,
    by_worker: Vec<Vec<BoundSocket>>,
    limits: Limits,
}

impl Server {
    /// A builder with the defaults.
    #[must_use]
    pub fn builder() -> Builder {
        Builder { listen: Vec::new(), listeners: Vec::new(), threads: 0, limits: Limits::DEFAULT }
    }

    fn add(&mut self, (address, sockets): (Listen, Vec<BoundSocket>)) {
        self.addresses.push(address);
        for (worker, socket) in self.by_worker.iter_mut().zip(sockets) {
            worker.push(socket);
        }
    }

    /// The bound addresses: port 0 has become a real port.
    #[must_use]
    pub fn addresses(&self) -> &[Listen] {
        &self.addresses
    }

    /// The number of workers.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.by_worker.len()
    }

    /// Starts the workers. Each worker calls `make` once on its thread, with its number, counted
    /// from 0. When this returns, all workers accept.
    ///
    /// If a worker fails, the server ends: see [`Running::join`].
    ///
    /// # Errors
    /// The system refuses a thread, a reactor, or to watch a listener. Or
    /// [`Limits::max_connections`] needs more descriptors than the process may open.
    pub fn serve<H, F>(self, make: F) -> io::Result<Running>
    where
        H: Handler,
        F: Fn(usize) -> H + Send + Sync + 'static,
    {
        let make = Arc::new(make);
        let (stop, asked) = watch::channel(false);
        let (report, failed) = watch::channel(false);
        let connections = ConnectionLimits::new(&self.limits, self.by_worker.len(), self.addresses.len())?;
        let (alive, ended) = mpsc::channel(1);
        let (mut threads, mut entrances) = (Vec::new(), Vec::new());
        for (number, listeners) in self.by_worker.into_iter().enumerate() {
            let (make, connections, limits) = (make.clone(), connections.worker(), self.limits);
            let (entrance, given) = Entrance::new(connections.clone());
            entrances.push(entrance);
            let sources = Sources { listeners, given, connections };
            let alive = alive.clone();
            let stop = StopReceiver::new(asked.clone(), failed.clone());
            let reporter = FailureReporter::new(number, report.clone());
            let (started, has_started) = std::sync::mpsc::sync_channel(1);
            let thread = std::thread::Builder::new().name(format!("tidewire-{number}")).spawn(move || {
                // Dropped last, also in a panic.
                let _alive = alive;
                let runtime = match RuntimeBuilder::new_current_thread()
                    .enable_all()
                    .build_local(LocalOptions::default())
                {
                    Ok(runtime) => runtime,
                    Err(error) => {
                        let _ = started.send(Err(error));
                        return Ok(());
                    }
                };
                let make = || make(number);
                runtime.block_on(worker::run(make, limits, sources, stop, started, &reporter))
            })?;
            has_started
                .recv()
                .unwrap_or_else(|_| Err(io::Error::other("a worker ended before it started")))?;
            threads.push(thread);
        }
        let connections = ConnectionSender::new(entrances);
        Ok(Running { addresses: self.addresses, bound: self.bound, connections, stop, threads, ended })
    }
}

/// A running server. Dropping it stops the server without waiting.
///
/// `stop`, `join` and `join_until` block the thread. In async code use [`ended`](Self::ended) or
/// [`ended_after`](Self::ended_after) instead: they wait without blocking, on any runtime.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<Listen>,
    bound: Vec<Listen>,
    connections: ConnectionSender,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    /// Closed when all workers have ended.
    ended: mpsc::Receiver<Infallible>,
}

impl Running {
    /// The addresses that the server listens on.
    #[must_use]
    pub fn addresses(&self) -> &[Listen] {
        &self.addresses
    }

    /// A handle that stops the server from anywhere.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// A handle that gives the server connections from anywhere, over any stream.
    #[must_use]
    pub fn connection_sender(&self) -> ConnectionSender {
        self.connections.clone()
    }

    /// Stops accepting and lets connections finish (see [`Limits::drain_timeout`]), then returns.
    /// Blocks the thread.
    ///
    /// # Errors
    /// A worker that failed or panicked.
    pub fn stop(self) -> io::Result<()> {
        self.stopper().stop();
        self.join()
    }

    /// Waits until a [`Stopper`] has stopped the server and it has drained. A worker that fails
    /// stops the server too: a server that serves nothing on one of its threads is worse than a
    /// server that a supervisor restarts.
    ///
    /// Blocks the thread. On the only thread of a runtime, no task can run meanwhile, not even one
    /// that would stop the server: use [`ended`](Self::ended) there.
    ///
    /// # Errors
    /// A worker that failed or panicked.
    pub fn join(mut self) -> io::Result<()> {
        let mut outcome = Ok(());
        for (number, thread) in self.threads.drain(..).enumerate() {
            let panicked = |_| Err(io::Error::other(format!("worker {number} panicked; the log says why")));
            outcome = outcome.and(thread.join().unwrap_or_else(panicked));
        }
        self.bound.iter().for_each(listen::remove_socket_file);
        outcome
    }

    /// Waits as [`join`](Self::join), without blocking the thread. Works on any runtime. If the
    /// future is dropped, the server stops.
    ///
    /// # Errors
    /// A worker that failed or panicked.
    pub async fn ended(mut self) -> io::Result<()> {
        while self.ended.recv().await.is_some() {}
        // Their last act was to close the channel, so this does not block.
        self.join()
    }

    /// Serves until `signal` resolves, then drains, without blocking the thread. Also returns when
    /// the server ends by itself. If the future is dropped, the server stops.
    ///
    /// # Errors
    /// A worker that failed or panicked.
    pub async fn ended_after(mut self, signal: impl Future<Output = ()>) -> io::Result<()> {
        tokio::select! {
            () = signal => {
                tracing::info!("stopping: no new connections, the open ones finish");
                self.stop.send_replace(true);
            }
            _ = self.ended.recv() => {}
        }
        self.ended().await
    }

    /// Serves until a signal comes, then drains. Also returns when the server ends by itself.
    /// Blocks the thread. In async code, use [`ended_after`](Self::ended_after) with
    /// [`shutdown_signal`](crate::shutdown_signal).
    ///
    /// # Errors
    /// A worker that failed or panicked. [`Interrupted`](io::ErrorKind::Interrupted) if a second
    /// signal came: then this does not wait for the drain, and connections may be open. End the
    /// process.
    pub fn join_until(self, signals: Signals) -> io::Result<()> {
        if Handle::try_current().is_err() {
            return self.block_until(signals);
        }
        // A thread of a runtime may not block on another runtime.
        let waiting = std::thread::Builder::new()
            .name("tidewire-signals".to_owned())
            .spawn(move || self.block_until(signals))?;
        waiting.join().unwrap_or_else(|_| Err(io::Error::other("the thread that waits for signals panicked")))
    }

    fn block_until(self, mut signals: Signals) -> io::Result<()> {
        let stopper = self.stopper();
        signals.block_on(async |signals| {
            let mut ended = std::pin::pin!(self.ended());
            tokio::select! {
                result = &mut ended => return result,
                () = signals.next() => {}
            }
            tracing::info!(
                "stopping: no new connections, the open ones finish; send the signal again to stop at once"
            );
            stopper.stop();
            tokio::select! {
                result = &mut ended => result,
                () = signals.next() => Err(io::Error::from(io::ErrorKind::Interrupted)),
            }
        })
    }
}

/// Stops a [`Running`] server.
#[derive(Clone, Debug)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Asks every worker to stop accepting and to drain.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}
