//! The subscribers of one worker: a table instead of tasks.
//!
//! ```text
//!   Hub inbox ── "channel has news" ──► advance: read the log once, encode once, write the same bytes to each live member
//!   reactor ──── "socket 7 is ready" ─► on_ready: finish a partial write, read what the client sent
//!   clock ────── tick, deadlines ─────► heartbeats, polls whose time is over, readers that are stuck
//! ```
//!
//! A subscriber is *live* when it has everything its group has; then it holds nothing but its socket. When a write does not
//! go through whole, it becomes *lagging*: it keeps the rest of that one slice and a position, and catches up from
//! the log at its own pace. When it has caught up it is live again. No subscriber has a queue.
//!
//! ```text
//!                 write incomplete
//!        LIVE ───────────────────────► LAGGING ──┐ writable: rest of the slice, then
//!         ▲                               ▲      │ what the log has after its position
//!         └────── position = group's ─────┴──────┘
//! ```

mod again;
mod clock;
mod delivery;
mod goodbye;
mod group;
mod protocol;
mod subscriber;
mod table;
mod websocket;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tidewire_server::{Inbox, LocalFuture, Parked};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) use group::{Shape, encode_stream};
pub(crate) use protocol::WebSocket;
pub(crate) use subscriber::Subscription;
pub use subscriber::Ticket;
use table::Table;

use crate::channel::Channel;
use crate::context::SiteContext;

/// The table of one worker and the task that drives it.
#[derive(Clone)]
pub(crate) struct Driver {
    table: Rc<RefCell<Table>>,
    context: SiteContext,
    worker: u16,
    task: Rc<Cell<Option<JoinHandle<()>>>>,
}

impl Driver {
    /// Makes the table of a worker and starts its task; must be called on the worker's runtime.
    pub(crate) fn start(context: SiteContext, worker: u16) -> Self {
        let table = Rc::new(RefCell::new(Table::new(context.clone(), worker)));
        let driver = Driver { table, context, worker, task: Rc::default() };
        driver.task.set(Some(tokio::task::spawn_local(driver.clone().run())));
        driver
    }

    /// Resolves when the task has ended, which it never does unless it panics. Subscribers without the task that serves them would hang in
    /// silence.
    pub(crate) fn failed(&self) -> LocalFuture<String> {
        let task = self.task.take();
        Box::pin(async move {
            match task {
                Some(task) => drop(task.await),
                None => std::future::pending().await,
            }
            "the task of its subscribers ended; the log says why".to_owned()
        })
    }

    /// Takes a connection into the table.
    pub(crate) fn add(&self, connection: Parked, subscription: Subscription) {
        self.table.borrow_mut().add(connection, subscription);
    }

    /// Ends every subscription in good order.
    pub(crate) fn drain(&self) {
        self.table.borrow_mut().drain();
    }

    async fn run(self) {
        let mut wake = Wake {
            news: self.context.hub.inbox(self.worker),
            ready: self.table.borrow().ready(),
            sleep: Box::pin(tokio::time::sleep(TICK)),
            channels: Vec::new(),
            keys: Vec::new(),
        };
        loop {
            let expired = wake.wait().await;
            let next = {
                let mut table = self.table.borrow_mut();
                table.look_at_the_clock();
                for channel in wake.channels.drain(..) {
                    table.on_news(&channel);
                }
                for key in wake.keys.drain(..) {
                    table.on_ready(key);
                }
                if expired {
                    table.on_time();
                }
                table.next_deadline()
            };
            wake.sleep_until(next);
            // The connections of this worker get their turn, and what they publish gathers.
            tokio::task::yield_now().await;
        }
    }
}

/// The coarse clock: heartbeats and time-outs are looked at this often, and at the deadline of a poll.
pub(crate) const TICK: Duration = Duration::from_secs(1);

/// Everything that the task of a table waits for.
struct Wake {
    news: Inbox<Arc<Channel>>,
    ready: Inbox<u32>,
    sleep: std::pin::Pin<Box<tokio::time::Sleep>>,
    channels: Vec<Arc<Channel>>,
    keys: Vec<u32>,
}

impl Wake {
    /// Waits for news, a ready socket or the time; says whether it was the time.
    async fn wait(&mut self) -> bool {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let news = self.news.poll_take(cx, &mut self.channels).is_ready();
        let ready = self.ready.poll_take(cx, &mut self.keys).is_ready();
        let time = self.sleep.as_mut().poll(cx).is_ready();
        if news || ready || time { Poll::Ready(time) } else { Poll::Pending }
    }

    /// A timer is moved only when it has to be: most turns leave it alone.
    fn sleep_until(&mut self, after: Duration) {
        let at = Instant::now() + after.min(TICK);
        if self.sleep.is_elapsed() || at < self.sleep.deadline() {
            self.sleep.as_mut().reset(at);
        }
    }
}
