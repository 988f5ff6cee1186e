//! The signals that stop the server, and the signals that it ignores.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Catches SIGTERM and SIGINT (ctrl-c) from the moment it is made. Make it before the program
/// announces its address: a reader of the address might send a signal at once.
///
/// SIGHUP, SIGUSR1 and SIGUSR2 are caught too, and ignored with a line in the log. By default each
/// of them ends a process without a drain. SIGHUP comes when a terminal is closed, and from tools
/// that want a daemon to read its configuration again. SIGUSR1 and SIGUSR2 come from tools that
/// rotate logs.
#[derive(Debug)]
pub struct Signals {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    signals: ProcessSignals,
}

/// Resolves at SIGTERM or SIGINT (ctrl-c), for
/// [`with_graceful_shutdown`](crate::Serve::with_graceful_shutdown) and
/// [`Running::ended_after`](crate::Running::ended_after). From the first poll on, no signal is
/// missed, and SIGHUP, SIGUSR1 and SIGUSR2 are ignored, as with [`Signals`]. A second signal
/// changes nothing: the drain ends after [`Limits::drain_timeout`](crate::Limits::drain_timeout) at
/// the latest.
///
/// # Panics
/// Outside of a tokio runtime with IO.
pub async fn shutdown_signal() {
    match ProcessSignals::new() {
        Ok(mut signals) => signals.next().await,
        Err(error) => {
            tracing::error!(%error, "signals cannot be caught; this process stops without a drain");
            std::future::pending().await
        }
    }
}

impl Signals {
    /// Catches the signals of this process.
    ///
    /// # Errors
    /// The system refuses to catch a signal.
    pub fn catch() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _entered = runtime.enter();
            ProcessSignals::new()?
        };
        Ok(Signals { runtime: Some(runtime), signals })
    }

    /// Runs a future that waits for the signals.
    pub(crate) fn block_on<T>(&mut self, run: impl AsyncFnOnce(&mut ProcessSignals) -> T) -> T {
        let runtime = self.runtime.as_ref().expect("only drop takes it");
        runtime.block_on(run(&mut self.signals))
    }
}

impl Drop for Signals {
    /// Inside another runtime, a runtime may not be dropped in the ordinary way.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits for a signal that stops the server.
#[derive(Debug)]
pub(crate) struct ProcessSignals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
    #[cfg(unix)]
    user: [tokio::signal::unix::Signal; 2],
}

#[cfg(unix)]
impl ProcessSignals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(ProcessSignals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user: [signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?],
        })
    }

    /// Waits for the next signal that stops the server.
    pub(crate) async fn next(&mut self) {
        loop {
            let [user1, user2] = &mut self.user;
            let name = tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => "SIGHUP",
                _ = user1.recv() => "SIGUSR1",
                _ = user2.recv() => "SIGUSR2",
            };
            tracing::warn!(
                "{name} is ignored: the server reads its options only at the start; restart it to change them"
            );
        }
    }
}

#[cfg(not(unix))]
impl ProcessSignals {
    fn new() -> io::Result<Self> {
        Ok(ProcessSignals {})
    }

    /// Waits for ctrl-c.
    pub(crate) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
