//! How a worker that fails ends the whole server. A server that serves nothing on one of its
//! threads is worse than a server that a supervisor restarts.
//!
//! ```text
//!   worker 0: one of its own tasks ends,
//!             its handler fails,  ──► report ──► workers 1, 2, …: drain, as after a stop
//!             or its thread panics      └──────► Running::join: an error
//! ```

use std::io;

use tokio::sync::watch;

/// Receives what ends a worker from outside.
#[derive(Clone, Debug)]
pub(crate) struct StopReceiver {
    asked: watch::Receiver<bool>,
    failed: watch::Receiver<bool>,
}

impl StopReceiver {
    pub(crate) fn new(asked: watch::Receiver<bool>, failed: watch::Receiver<bool>) -> Self {
        StopReceiver { asked, failed }
    }

    /// Waits until the server is asked to stop, or another worker fails.
    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            // An error means that the server's handle was dropped, which is a stop too.
            _ = self.asked.wait_for(|asked| *asked) => {}
            Ok(_) = self.failed.wait_for(|failed| *failed) => {}
        }
    }
}

/// Reports to the other workers that this worker has failed. It also reports when it is dropped in
/// a panic of its thread.
#[derive(Debug)]
pub(crate) struct FailureReporter {
    worker: usize,
    failed: watch::Sender<bool>,
}

impl FailureReporter {
    pub(crate) fn new(worker: usize, failed: watch::Sender<bool>) -> Self {
        FailureReporter { worker, failed }
    }

    /// Reports the failure, and returns the error that the worker ends with.
    pub(crate) fn report(&self, what: &str) -> io::Error {
        self.failed.send_replace(true);
        let error = io::Error::other(format!("worker {} failed: {what}", self.worker));
        tracing::error!(%error, "stopping the server");
        error
    }
}

impl Drop for FailureReporter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.failed.send_replace(true);
        }
    }
}
