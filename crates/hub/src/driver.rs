//! The task that drives the subscriber table of one worker, and handles what the table reports.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
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

/// The subscriber table of one worker, and the task that drives it.
#[derive(Clone)]
pub(crate) struct Driver {
    table: Rc<RefCell<Table>>,
    hub: Arc<Hub>,
    responder: Rc<Responder>,
    task: Rc<Cell<Option<JoinHandle<()>>>>,
}

impl Driver {
    /// Starts the task of a table. Must be called on the runtime of the worker.
    pub(crate) fn start(table: Table, hub: Arc<Hub>, responder: Rc<Responder>, worker: u16) -> Self {
        let table = Rc::new(RefCell::new(table));
        let driver = Driver { table, hub, responder, task: Rc::default() };
        driver.task.set(Some(tokio::task::spawn_local(driver.clone().run(worker))));
        driver
    }

    /// Resolves when the task has ended, which happens only if it panics. Without the task, nobody
    /// would serve the subscribers.
    pub(crate) fn failed(&self) -> LocalFuture<String> {
        let task = self.task.take();
        Box::pin(async move {
            match task {
                Some(task) => drop(task.await),
                None => std::future::pending().await,
            }
            "the task that serves its subscribers ended; the log says why".to_owned()
        })
    }

    /// Adds a connection to the table.
    pub(crate) fn add(&self, connection: Parked, subscription: Subscription) {
        let mut table = self.table.borrow_mut();
        let row = table.add(connection, subscription);
        self.read(&mut table, row);
        // The client may have sent more bytes with its request.
        table.wake_if_busy();
    }

    /// Ends all subscriptions cleanly.
    pub(crate) fn drain(&self) {
        self.table.borrow_mut().drain();
    }

    async fn run(self, worker: u16) {
        let mut wake = Wake {
            news: self.hub.inbox(worker),
            ready: self.table.borrow().ready(),
            sleep: Box::pin(tokio::time::sleep(TICK)),
            taken: (Vec::new(), Vec::new()),
            channels: VecDeque::new(),
            keys: VecDeque::new(),
        };
        let mut is_busy = false;
        loop {
            wake.wait(is_busy).await;
            let next = self.turn(&mut wake);
            is_busy = next.is_none();
            wake.sleep_until(next.unwrap_or_default());
            // Let the connections of this worker run. Messages that they publish meanwhile are
            // served together.
            tokio::task::yield_now().await;
        }
    }

    /// Does a limited amount of each kind of work. Returns the time until the next deadline, or
    /// `None` if work is left for the next turn.
    fn turn(&self, wake: &mut Wake) -> Option<Duration> {
        let since = std::time::Instant::now();
        let mut table = self.table.borrow_mut();
        table.read_clock();
        table.begin_turn();
        while let Some(key) = wake.keys.pop_front() {
            let row = RowId::of_key(key);
            table.on_ready(row);
            self.read(&mut table, row);
            if table.is_turn_over() {
                break;
            }
        }
        table.begin_turn();
        while let Some(channel) = wake.channels.pop_front() {
            table.on_news(&channel);
            if table.is_turn_over() {
                break;
            }
        }
        table.run();
        table.drop_slow_readers();
        table.begin_turn();
        for row in table.on_time() {
            // Input that the row waited for may be in the socket by now.
            table.on_ready(row);
            self.read(&mut table, row);
            table.give_up_if_overdue(row);
        }
        self.hub.counters.turn(since.elapsed());
        let is_busy = table.is_busy() || !wake.keys.is_empty() || !wake.channels.is_empty();
        (!is_busy).then(|| table.next_deadline())
    }

    /// Reads from a connection and handles what the table reports.
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
                    let has_to_wait = commands::carry_out(&self.hub, table, row, messages);
                    table.end_turn(row);
                    if has_to_wait {
                        return;
                    }
                }
            }
        }
    }
}

/// Everything that can wake the task of a table.
struct Wake {
    news: Inbox<Arc<Channel>>,
    ready: Inbox<u32>,
    sleep: std::pin::Pin<Box<tokio::time::Sleep>>,
    /// What the inboxes returned last.
    taken: (Vec<Arc<Channel>>, Vec<u32>),
    /// Channels with new messages, for this turn and the next ones.
    channels: VecDeque<Arc<Channel>>,
    /// Keys of ready sockets, for this turn and the next ones.
    keys: VecDeque<u32>,
}

impl Wake {
    /// Waits for new messages, a ready socket or the timer. Returns at once if there `is_work`
    /// left.
    async fn wait(&mut self, is_work: bool) {
        std::future::poll_fn(|cx| if self.poll(cx) || is_work { Poll::Ready(()) } else { Poll::Pending })
            .await;
    }

    /// Collects from all sources. Returns whether there was anything.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let (channels, keys) = &mut self.taken;
        let news = self.news.poll_take(cx, channels).is_ready();
        let ready = self.ready.poll_take(cx, keys).is_ready();
        let time = self.sleep.as_mut().poll(cx).is_ready();
        self.channels.extend(channels.drain(..));
        self.keys.extend(keys.drain(..));
        news || ready || time
    }

    /// Sets the timer, if it would fire too late or has fired. Most turns leave it alone.
    fn sleep_until(&mut self, after: Duration) {
        let at = Instant::now() + after.min(TICK);
        if self.sleep.is_elapsed() || at < self.sleep.deadline() {
            self.sleep.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};

    use tidewire_channel::Retention;
    use tidewire_server::{Listen, Running, Server};
    use tidewire_store::{ChannelName, Message};

    use super::*;
    use crate::channel::Watch;
    use crate::channel_state::Waiter;
    use crate::config::HubConfig;
    use crate::settings::Settings;
    use crate::site::Site;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Serves a hub with one worker, which has this number.
    fn serve(hub: &Arc<Hub>, number: usize) -> (Running, SocketAddr) {
        let listen = "127.0.0.1:0".parse::<Listen>().unwrap();
        let server = Server::builder().listen(listen).threads(1).bind().unwrap();
        let (hub, settings) = (hub.clone(), Arc::<Settings>::default());
        let running = server.serve(move |_| Site::new(hub.clone(), settings.clone(), number)).unwrap();
        let address = running.addresses()[0].to_string().trim_start_matches("http://").parse().unwrap();
        (running, address)
    }

    /// Opens a WebSocket, and sends texts together with the handshake.
    fn open(address: SocketAddr, channel: &str, protocol: &str, texts: &[&str]) -> TcpStream {
        let mut bytes = format!(
            "GET /c/{channel} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocol}\r\n"
        )
        .into_bytes();
        for text in texts {
            bytes.extend([0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0]);
            bytes.extend(text.as_bytes());
        }
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(&bytes).unwrap();
        socket
    }

    fn read_until(socket: &mut TcpStream, text: &str) {
        let (mut all, since) = (Vec::new(), Instant::now());
        while !all.windows(text.len()).any(|part| part == text.as_bytes()) {
            // Heartbeats must not keep this wait alive.
            assert!(since.elapsed() < PATIENCE, "no {text:?} in {}", String::from_utf8_lossy(&all));
            let mut bytes = [0; 4096];
            let n = socket.read(&mut bytes).unwrap();
            assert!(n > 0, "{}", String::from_utf8_lossy(&all));
            all.extend_from_slice(&bytes[..n]);
        }
    }

    #[test]
    fn input_sent_with_a_handshake_is_handled_at_once() {
        let hub = Hub::new(HubConfig::default(), 1);
        let (running, address) = serve(&hub, 0);
        let (mut sockets, mut times) = (Vec::new(), Vec::new());
        for number in 0..5 {
            let name = format!("b{number}");
            let subscribe = format!(r#"{{"type":"subscribe","channel":"{name}","id":7}}"#);
            let protocol = "Sec-WebSocket-Protocol: tidewire.v1\r\n";
            let mut socket = open(address, "a", protocol, &[&subscribe]);
            read_until(&mut socket, r#""id":7"#);
            let since = Instant::now();
            hub.publish(&ChannelName::new(&name).unwrap(), Message::new("news".into(), 0), None).unwrap();
            read_until(&mut socket, "news");
            times.push(since.elapsed());
            sockets.push(socket);
        }
        times.sort_unstable();
        // A subscription that waited for the next tick would take about one TICK.
        assert!(times[times.len() / 2] < TICK / 2, "{times:?}");
        running.stop().unwrap();
    }

    #[test]
    fn a_hanging_worker_does_not_block_websocket_publishers() {
        let retention = Retention::DEFAULT.with_max_messages(1);
        let hub = Hub::new(HubConfig { retention, ..HubConfig::default() }, 2);
        let name = ChannelName::new("a").unwrap();
        let channel = hub.channel(&name).unwrap();
        let watch = channel.watch(channel.head(), channel.head(), Waiter::Worker(0));
        assert!(matches!(watch, Watch::Waiting(_)));
        // Nobody runs worker 0. It would also wake publishers that have waited for too long.
        let (running, address) = serve(&hub, 1);
        let _socket = open(address, "a", "", &["1", "2", "3"]);
        let since = Instant::now();
        while channel.head().seq() < 3 {
            assert!(since.elapsed() < PATIENCE, "{} of 3 messages", channel.head().seq());
            std::thread::sleep(Duration::from_millis(10));
        }
        running.stop().unwrap();
    }
}
