//! The task that drives the table of one worker, and answers what the table reports.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tidewire_server::{Inbox, LocalFuture, Parked};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::api::responder::Responder;
use crate::channel::Channel;
use crate::commands;
use crate::hub::Hub;
use crate::table::{Report, RowId, Subscription, TICK, Table};

/// The table of one worker and the task that drives it.
#[derive(Clone)]
pub(crate) struct Driver {
    table: Rc<RefCell<Table>>,
    hub: Arc<Hub>,
    responder: Rc<Responder>,
    task: Rc<Cell<Option<JoinHandle<()>>>>,
}

impl Driver {
    /// Starts the task of a table; must be called on the worker's runtime.
    pub(crate) fn start(table: Table, hub: Arc<Hub>, responder: Rc<Responder>, worker: u16) -> Self {
        let table = Rc::new(RefCell::new(table));
        let driver = Driver { table, hub, responder, task: Rc::default() };
        driver.task.set(Some(tokio::task::spawn_local(driver.clone().run(worker))));
        driver
    }

    /// Resolves when the task has ended, which it never does unless it panics. Subscribers without
    /// the task that serves them would hang in silence.
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
        let mut table = self.table.borrow_mut();
        let row = table.add(connection, subscription);
        self.read(&mut table, row);
    }

    /// Ends every subscription in good order.
    pub(crate) fn drain(&self) {
        self.table.borrow_mut().drain();
    }

    async fn run(self, worker: u16) {
        let mut wake = Wake {
            news: self.hub.inbox(worker),
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
                    let row = RowId::of_key(key);
                    table.on_ready(row);
                    self.read(&mut table, row);
                }
                if expired {
                    for row in table.on_time() {
                        // What it waited for may be in the socket.
                        table.on_ready(row);
                        self.read(&mut table, row);
                        table.give_up_if_overdue(row);
                    }
                }
                table.next_deadline()
            };
            wake.sleep_until(next);
            // The connections of this worker get their turn, and what they publish gathers.
            tokio::task::yield_now().await;
        }
    }

    /// Reads a connection, and sees to what comes.
    fn read(&self, table: &mut Table, row: RowId) {
        let mut reads = 0;
        while let Some(report) = table.read(row, &mut reads) {
            match report {
                Report::Request(len) => {
                    let next =
                        self.responder.respond_again(table.received(len), table.peer(row), table.now_ms());
                    table.go_on(row, next, len);
                }
                Report::Messages(messages) => {
                    commands::carry_out(&self.hub, table, row, messages);
                    table.end_turn(row);
                }
            }
        }
    }
}

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
