//! One worker: a thread with a current-thread runtime, its own listeners and its own handler. A
//! connection stays on its worker.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::task::Poll;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use crate::accept::accept_all;
use crate::connection_limits::WorkerConnections;
use crate::deadline::Deadlines;
use crate::failure::{FailureReporter, StopReceiver};
use crate::given::Given;
use crate::listen::BoundSocket;
use crate::shared::{Shared, Worker};
use crate::{Handler, Limits};

/// What a worker serves.
pub(crate) struct Sources {
    pub(crate) listeners: Vec<BoundSocket>,
    pub(crate) given: UnboundedReceiver<Given>,
    pub(crate) connections: Arc<WorkerConnections>,
}

/// Runs a worker until `stop` comes and the last connection has ended. `started` gets `Ok` when the
/// worker accepts, or the error if it cannot. If one of its own tasks ends, the worker reports the
/// failure, drains, and returns an error. If the handler fails, the worker reports the failure and
/// returns an error without a drain: all its connections close.
pub(crate) async fn run<H: Handler>(
    make: impl FnOnce() -> H,
    limits: Limits,
    sources: Sources,
    mut stop: StopReceiver,
    started: SyncSender<io::Result<()>>,
    reporter: &FailureReporter,
) -> io::Result<()> {
    let worker = Rc::new(Worker { handler: make(), shared: Rc::new(Shared::new(limits)) });
    let Sources { listeners, given, connections } = sources;
    let mut accepting = match accept_all(&worker, listeners, given, &connections) {
        Ok(tasks) => tasks,
        Err(error) => {
            let _ = started.send(Err(error));
            return Ok(());
        }
    };
    let _ = started.send(Ok(()));
    let mut sweeping = JoinSet::new();
    sweeping.spawn_local(sweep(worker.shared.deadlines.clone()));
    let outcome = tokio::select! {
        () = stop.wait() => Ok(()),
        _ = accepting.join_next() => {
            Err(reporter.report("the task that accepts connections ended; the log says why"))
        }
        _ = sweeping.join_next() => {
            Err(reporter.report("the task that checks deadlines ended; the log says why"))
        }
        // The state of the connections is unknown, so they are closed. The clients reconnect.
        what = worker.handler.failed() => return Err(reporter.report(&what)),
    };
    accepting.abort_all();
    drain(&worker, &connections).await;
    outcome
}

async fn sweep(deadlines: Rc<Deadlines>) {
    loop {
        tokio::time::sleep_until(deadlines.due().into()).await;
        deadlines.sweep().await;
    }
}

/// Lets the connections end, for at most [`Limits::drain_timeout`].
async fn drain<H: Handler>(worker: &Worker<H>, connections: &WorkerConnections) {
    let Shared { limits, deadlines, draining, .. } = &*worker.shared;
    draining.set(true);
    worker.handler.drain();
    let deadline = deadlines.register();
    deadline.set(limits.drain_timeout);
    deadlines.wake_all().await;
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
            "the drain timeout is over; closing the remaining connections"
        );
    }
}
