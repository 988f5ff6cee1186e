//! Binding, starting and stopping. Only this file starts threads.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::{Builder as RuntimeBuilder, LocalOptions};
use tokio::sync::watch;

use crate::connection_limits::ConnectionLimits;
use crate::failure::{FailureReporter, StopReceiver};
use crate::listen::{self, BoundSocket};
use crate::{BindError, Handler, Limits, Listen, Signals, worker};

/// Builds a [`Server`] from addresses, a number of workers, and limits.
#[derive(Clone, Debug)]
pub struct Builder {
    listen: Vec<Listen>,
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
        if self.listen.is_empty() {
            self.listen.push(Listen::Tcp(([127, 0, 0, 1], 8080).into()));
        }
        if self.threads == 0 {
            self.threads = std::thread::available_parallelism().map_or(1, usize::from);
        }
        let mut addresses = Vec::new();
        let mut by_worker: Vec<Vec<BoundSocket>> = (0..self.threads).map(|_| Vec::new()).collect();
        for listen in &self.listen {
            let (real, sockets) = listen::bind(listen, self.threads)?;
            addresses.push(real);
            for (worker, socket) in by_worker.iter_mut().zip(sockets) {
                worker.push(socket);
            }
        }
        Ok(Server { addresses, by_worker, limits: self.limits })
    }
}

/// A bound server.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<Listen>,
    by_worker: Vec<Vec<BoundSocket>>,
    limits: Limits,
}

impl Server {
    /// A builder with the defaults.
    #[must_use]
    pub fn builder() -> Builder {
        Builder { listen: Vec::new(), threads: 0, limits: Limits::DEFAULT }
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
        let mut threads = Vec::new();
        for (number, listeners) in self.by_worker.into_iter().enumerate() {
            let (make, connections, limits) = (make.clone(), connections.worker(), self.limits);
            let stop = StopReceiver::new(asked.clone(), failed.clone());
            let reporter = FailureReporter::new(number, report.clone());
            let (started, has_started) = std::sync::mpsc::sync_channel(1);
            let thread = std::thread::Builder::new().name(format!("tidewire-{number}")).spawn(move || {
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
                runtime.block_on(worker::run(make, limits, listeners, connections, stop, started, &reporter))
            })?;
            has_started
                .recv()
                .unwrap_or_else(|_| Err(io::Error::other("a worker ended before it started")))?;
            threads.push(thread);
        }
        Ok(Running { addresses: self.addresses, stop, threads })
    }
}

/// A running server. Dropping it stops the server without waiting.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<Listen>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Running {
    /// The bound addresses.
    #[must_use]
    pub fn addresses(&self) -> &[Listen] {
        &self.addresses
    }

    /// A handle that stops the server from anywhere.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Stops accepting and lets connections finish (see [`Limits::drain_timeout`]), then returns.
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
    /// # Errors
    /// A worker that failed or panicked.
    pub fn join(mut self) -> io::Result<()> {
        let mut outcome = Ok(());
        for (number, thread) in self.threads.drain(..).enumerate() {
            let panicked = |_| Err(io::Error::other(format!("worker {number} panicked; the log says why")));
            outcome = outcome.and(thread.join().unwrap_or_else(panicked));
        }
        for address in &self.addresses {
            listen::remove_socket_file(address);
        }
        outcome
    }

    /// Serves until a signal comes, then drains. Also returns when the server ends by itself.
    ///
    /// # Errors
    /// A worker that failed or panicked. [`Interrupted`](io::ErrorKind::Interrupted) if a second
    /// signal came: then this does not wait for the drain, and connections may be open. End the
    /// process.
    pub fn join_until(self, signals: Signals) -> io::Result<()> {
        let stopper = self.stopper();
        let (runtime, mut signals) = signals.into_parts();
        let (send, joined) = tokio::sync::oneshot::channel();
        std::thread::Builder::new().name("tidewire-join".to_owned()).spawn(move || {
            let _ = send.send(self.join());
        })?;
        runtime.block_on(async {
            let mut joined = std::pin::pin!(async {
                joined.await.unwrap_or_else(|_| {
                    Err(io::Error::other("the thread that waits for the workers panicked"))
                })
            });
            tokio::select! {
                result = &mut joined => return result,
                () = signals.next() => {}
            }
            tracing::info!(
                "stopping: no new connections, the open ones finish; send the signal again to stop at once"
            );
            stopper.stop();
            tokio::select! {
                result = &mut joined => result,
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
