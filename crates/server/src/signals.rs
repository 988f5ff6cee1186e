//! Signals: which of them stop the server, and which are ignored.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// SIGTERM and SIGINT (ctrl-c), caught as soon as this exists. Make it before the address is
/// announced: whoever reads it might answer with a signal.
///
/// SIGHUP, SIGUSR1 and SIGUSR2 are caught too, and ignored with a line in the log. By default each
/// of them ends a process without a drain. SIGHUP comes when a terminal is closed, and from tools
/// that want a daemon to read its configuration again. The others come from tools that rotate logs.
#[derive(Debug)]
pub struct Signals {
    runtime: Runtime,
    signals: ProcessSignals,
}

impl Signals {
    /// Catches the signals of this process.
    ///
    /// # Errors
    /// The system refuses.
    pub fn catch() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _entered = runtime.enter();
            ProcessSignals::new()?
        };
        Ok(Signals { runtime, signals })
    }

    /// The runtime to wait on, and what to wait for.
    pub(crate) fn into_parts(self) -> (Runtime, ProcessSignals) {
        (self.runtime, self.signals)
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

    /// Waits for the next one.
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
                "{name} is ignored: options are read at the start; restart the server to change them"
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
