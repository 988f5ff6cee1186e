//! Random readers, all on one worker. They wait, stall, hang up, pipeline, and change their
//! channels while messages arrive. Each of them gets every message of its channels once and in
//! order, or gets a gap.
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tidewire_hub::server::{ConnectionSender, Listen, Peer, Server};
use tidewire_hub::{ChannelName, Hub, HubConfig, Message, Settings, Site};
use tidewire_store::suite::{Fault, FaultyStore, RequestKind};
use tidewire_store::{Limits, MemoryStore};
use tidewire_testkit::Rng;
use tidewire_testkit::deadline::Deadline;
use tokio::io::BufStream;
use tokio::runtime::{Builder, Runtime};

const NAMES: [&str; 3] = ["a", "b", "c"];

const READERS: usize = 18;

const STEPS: usize = 2_500;

/// A reader.
struct Reader {
    feed: Feed,
    socket: TcpStream,
    input: Vec<u8>,
    /// The input must have more bytes than this before anything is complete.
    needs: usize,
    output: Vec<u8>,
    head_is_read: bool,
    channels: Vec<String>,
    /// The position in each channel, as the server reported it; `None` before that.
    positions: Option<Vec<u64>>,
    cursor: String,
    /// Requests without an answer so far.
    asked: VecDeque<Asked>,
    /// The channels after all requests are carried out.
    planned: Vec<String>,
    /// The number of steps in which it does nothing.
    stalls: usize,
    messages: usize,
    gaps: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Feed {
    Poll,
    Stream,
    WebSocket,
}

#[derive(Debug)]
enum Asked {
    /// A poll after this cursor.
    Poll(String),
    Subscribe(String),
    Unsubscribe(String),
}

impl Reader {
    /// Connects, and continues after `cursor`.
    fn new(address: SocketAddr, feed: Feed, channels: Vec<String>, cursor: String) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if feed != Feed::Poll {
            // A small buffer, so that the socket is full soon. With less than a segment of the
            // loopback, the kernels may wait for each other, longer each time.
            socket.set_recv_buffer_size(64 * 1024).unwrap();
        }
        Self::over(socket, address, feed, channels, cursor)
    }

    fn over(socket: Socket, address: SocketAddr, feed: Feed, channels: Vec<String>, cursor: String) -> Self {
        socket.connect(&address.into()).unwrap();
        let socket = TcpStream::from(socket);
        socket.set_nonblocking(true).unwrap();
        socket.set_nodelay(true).unwrap();
        let mut reader = Reader {
            feed,
            socket,
            input: Vec::new(),
            needs: 0,
            output: Vec::new(),
            head_is_read: false,
            planned: channels.clone(),
            positions: numbers(&cursor),
            channels,
            cursor,
            asked: VecDeque::new(),
            stalls: 0,
            messages: 0,
            gaps: 0,
        };
        let target = format!("/c/{}?since={}", reader.channels.join(","), reader.cursor);
        match feed {
            Feed::Poll => reader.poll(1),
            Feed::Stream => reader.send(&format!("GET {target}&feed=stream HTTP/1.0\r\n\r\n")),
            Feed::WebSocket => reader.send(&format!(
                "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 Sec-WebSocket-Protocol: tidewire.v1\r\n\r\n"
            )),
        }
        reader
    }

    fn send(&mut self, text: &str) {
        self.output.extend_from_slice(text.as_bytes());
    }

    fn poll(&mut self, wait: usize) {
        let (names, cursor) = (self.channels.join(","), self.cursor.clone());
        self.send(&format!(
            "GET /c/{names}?feed=longpoll&wait={wait}&since={cursor} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        ));
        self.asked.push_back(Asked::Poll(cursor));
    }

    /// A frame with a mask of zeros.
    fn frame(&mut self, opcode: u8, payload: &str) {
        assert!(payload.len() < 126);
        self.output.extend_from_slice(&[0x80 | opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0]);
        self.send(payload);
    }

    /// Does something at random, or nothing.
    fn act(&mut self, rng: &mut Rng) {
        if rng.chance(2) {
            self.stalls = rng.below(STEPS / READERS / 2);
        }
        if self.stalls > 0 {
            self.stalls -= 1;
            return;
        }
        match self.feed {
            Feed::Poll if self.asked.is_empty() => {
                self.poll(1);
                if rng.chance(40) {
                    self.poll(0);
                }
            }
            Feed::WebSocket if rng.chance(20) => (0..=rng.below(4)).for_each(|_| self.change(rng)),
            _ => {}
        }
        self.write();
        let most = if self.feed != Feed::Poll && rng.chance(50) { 500 } else { 50_000 };
        self.read(most);
    }

    /// Asks for other channels.
    fn change(&mut self, rng: &mut Rng) {
        let name = (*rng.pick(&NAMES)).to_owned();
        if let Some(index) = self.planned.iter().position(|one| *one == name) {
            if self.planned.len() > 1 {
                self.planned.remove(index);
                self.frame(1, &format!(r#"{{"type":"unsubscribe","channel":"{name}","id":1}}"#));
                self.asked.push_back(Asked::Unsubscribe(name));
            }
        } else {
            let since = rng.pick(&["earliest", "now"]);
            self.frame(1, &format!(r#"{{"type":"subscribe","channel":"{name}","since":"{since}"}}"#));
            self.planned.push(name.clone());
            self.asked.push_back(Asked::Subscribe(name));
        }
        if rng.chance(30) {
            self.frame(9, "ping");
        }
    }

    fn write(&mut self) {
        match self.socket.write(&self.output) {
            Ok(n) => drop(self.output.drain(..n)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }

    /// Reads `most` bytes at most, and handles what is complete. Returns whether anything arrived.
    fn read(&mut self, most: usize) -> bool {
        let before = self.input.len();
        self.input.resize(before + most, 0);
        let n = match self.socket.read(&mut self.input[before..]) {
            Ok(0) => panic!("{:?} was cut after {}", self.feed, self.cursor),
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{:?}: {error}", self.feed),
        };
        self.input.truncate(before + n);
        while self.input.len() > self.needs && self.take() {
            self.needs = 0;
        }
        n > 0
    }

    /// Handles one complete unit of the input.
    fn take(&mut self) -> bool {
        if self.feed == Feed::Poll || !self.head_is_read {
            let Some(end) = self.input.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
            let head = String::from_utf8(self.input[..end].to_vec()).unwrap();
            if self.feed != Feed::Poll {
                self.input.drain(..end + 4);
                self.head_is_read = true;
                return true;
            }
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
            let end = end + 4 + length.parse::<usize>().unwrap();
            if self.input.len() < end {
                self.needs = end - 1;
                return false;
            }
            let whole: Vec<u8> = self.input.drain(..end).collect();
            self.answer(&head, &serde_json::from_slice(&whole[head.len() + 4..]).unwrap());
            return true;
        }
        let (start, end) = match (self.feed, &*self.input) {
            (Feed::WebSocket, &[_, 126, a, b, ..]) => (4, 4 + usize::from(u16::from_be_bytes([a, b]))),
            (Feed::WebSocket, &[_, 127, _, _, _, _, a, b, c, d, ..]) => {
                (10, 10 + u32::from_be_bytes([a, b, c, d]) as usize)
            }
            (Feed::WebSocket, &[_, len, ..]) if len < 126 => (2, 2 + usize::from(len)),
            (Feed::WebSocket, _) => return false,
            (_, input) => match input[self.needs..].iter().position(|&byte| byte == b'\n') {
                Some(at) => (0, self.needs + at + 1),
                None => (0, input.len() + 1),
            },
        };
        if self.input.len() < end {
            self.needs = end - 1;
            return false;
        }
        let whole: Vec<u8> = self.input.drain(..end).collect();
        match whole[0] {
            // A ping, a pong, an empty line.
            0x89 | 0x8a | b'\n' => {}
            0x81 | b'{' => self.object(&serde_json::from_slice(&whole[start..]).unwrap()),
            other => panic!("{:?}: {other:#x}", self.feed),
        }
        true
    }

    /// Handles the answer to a poll.
    fn answer(&mut self, head: &str, body: &Value) {
        let Some(Asked::Poll(since)) = self.asked.pop_front() else { panic!("nothing was asked: {head}") };
        self.positions = numbers(&since);
        if head.starts_with("HTTP/1.1 410") {
            assert!(body["gap"].is_object(), "{body}");
            self.object(&body["gap"]);
            return;
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        body["messages"].as_array().unwrap().iter().for_each(|message| self.object(message));
        self.cursor = body["cursor"].as_str().unwrap().to_owned();
        let told = numbers(&self.cursor);
        assert!(self.positions.is_none() || self.positions == told, "{body}");
        self.positions = told;
    }

    /// Handles an object of a feed.
    fn object(&mut self, object: &Value) {
        let cursor = object["cursor"].as_str().unwrap_or_else(|| panic!("{object}"));
        let (before, now) = (self.positions.take(), numbers(cursor).unwrap());
        match object["type"].as_str().unwrap() {
            "hello" if object["channel"].is_null() => {
                assert!(before.is_none_or(|before| before == now), "{object}");
            }
            "hello" => {
                let Some(Asked::Subscribe(name)) = self.asked.pop_front() else { panic!("{object}") };
                assert_eq!(
                    now[..now.len() - 1],
                    before.unwrap(),
                    "the positions that the reader had before {name}"
                );
                self.channels.push(name);
            }
            "ack" => {
                let Some(Asked::Unsubscribe(name)) = self.asked.pop_front() else { panic!("{object}") };
                let index = self.channels.iter().position(|one| *one == name).unwrap();
                self.channels.remove(index);
                let mut left = before.unwrap();
                left.remove(index);
                assert_eq!(now, left, "the positions that the reader has without {name}");
            }
            "message" => {
                let mut data = object["data"].as_str().unwrap().split(':');
                let (name, number) = (data.next().unwrap(), data.next().unwrap());
                let index = self.channels.iter().position(|one| one == name).unwrap();
                assert_eq!(number, now[index].to_string(), "the message of this position");
                // A poll from the earliest message does not report where that is.
                if let Some(mut next) = before {
                    next[index] += 1;
                    assert_eq!(now, next, "{:?} skipped or repeated {name}", self.feed);
                }
                self.messages += 1;
            }
            "gap" => {
                // As above: messages may be lost between the request and its answer.
                if let Some(before) = before {
                    let missed: u64 = now.iter().zip(before).map(|(now, before)| now - before).sum();
                    assert_eq!(object["missed"].as_u64(), Some(missed), "{object}");
                }
                self.gaps += 1;
            }
            other => panic!("{:?}: {other}", self.feed),
        }
        assert_eq!(now.len(), self.channels.len(), "{object}");
        self.positions = Some(now);
        self.cursor = cursor.to_owned();
    }
}

/// The numbers in a cursor, one for each channel; `None` if it is `earliest` or `now`.
fn numbers(cursor: &str) -> Option<Vec<u64>> {
    cursor.split('.').map(|one| one.rsplit_once('-')?.1.parse().ok()).collect()
}

fn some_names(rng: &mut Rng) -> Vec<String> {
    let names: Vec<_> = NAMES.iter().filter(|_| rng.chance(50)).map(|&name| name.to_owned()).collect();
    if names.is_empty() { vec!["a".to_owned()] } else { names }
}

fn index_of(name: &str) -> usize {
    NAMES.iter().position(|&one| one == name).unwrap()
}

/// How the connections of the readers reach the server.
#[derive(Clone, Copy, PartialEq)]
enum Over {
    Sockets,
    /// Streams that are no sockets for the server, and keep bytes back until they are flushed.
    Streams,
    /// Sockets, and channels of which only the newest messages are in memory. The others come from
    /// a slow store. It keeps all, so nobody gets a gap.
    Pages,
}

/// Accepts connections, and gives them to the server as streams. Stops when the runtime is dropped.
fn give_streams(sender: ConnectionSender) -> (SocketAddr, Runtime) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        while let Ok((socket, peer)) = listener.accept().await {
            sender.send(BufStream::new(socket), Peer::Tcp(peer)).unwrap();
        }
    });
    (address, runtime)
}

fn run(seed: u64, over: Over) {
    let mut rng = Rng::new(seed);
    let listen = "127.0.0.1:0".parse::<Listen>().unwrap();
    let server = Server::builder().listen(listen).threads(1).bind().unwrap();
    let mut config = HubConfig::default();
    config.retention.max_messages = 40;
    let store = Arc::new(FaultyStore::new(MemoryStore::new(Limits::DEFAULT)));
    if over == Over::Pages {
        config.retention = config.retention.with_max_messages(usize::MAX).with_max_bytes(usize::MAX);
        config.window.max_messages = 8;
        store.always(RequestKind::Read, Some(Fault::HoldRequest));
        // It answers a little later, for as long as there is the store.
        let store = Arc::downgrade(&store);
        std::thread::spawn(move || {
            while let Some(store) = store.upgrade() {
                store.release_all();
                std::thread::sleep(Duration::from_micros(500));
            }
        });
    }
    let hub = Hub::with_store(config, 1, store.clone());
    let mut settings = Settings::default();
    settings.heartbeat = Duration::from_secs(1_000_000);
    let (shared, settings) = (hub.clone(), Arc::new(settings));
    let running = server.serve(move |worker| Site::new(shared.clone(), settings.clone(), worker)).unwrap();
    let Listen::Tcp(mut address) = running.addresses()[0] else { panic!("the address is of TCP") };
    let mut streams = None;
    if over == Over::Streams {
        let (accepts_at, runtime) = give_streams(running.connection_sender());
        (address, streams) = (accepts_at, Some(runtime));
    }
    let channels = NAMES.map(|name| hub.channel(&ChannelName::new(name).unwrap()).unwrap());
    let mut published = [0_u64; NAMES.len()];
    let mut publish = |index: usize, len: usize| {
        published[index] += 1;
        let text = format!("{}:{}:{}", NAMES[index], published[index], "x".repeat(len));
        hub.publish(channels[index].name(), Message::new(text.into(), 0), None).unwrap();
    };
    (0..NAMES.len()).for_each(|index| publish(index, 0));
    let first = channels[0].head().to_string();
    let feeds = [Feed::Poll, Feed::Stream, Feed::WebSocket];
    let mut readers: Vec<Reader> = (0..READERS)
        .map(|n| Reader::new(address, feeds[n % feeds.len()], some_names(&mut rng), "earliest".to_owned()))
        .collect();
    for step in 0..STEPS {
        if step == STEPS / 2 {
            // More than a reader gets in one turn, for two readers whose sockets accept all of it.
            (0..40).for_each(|_| publish(0, 50_000));
            for (reader, feed) in readers.iter_mut().zip([Feed::Stream, Feed::WebSocket]) {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                socket.set_recv_buffer_size(4 * 1024 * 1024).unwrap();
                let channels = vec![NAMES[0].to_owned()];
                *reader = Reader::over(socket, address, feed, channels, "earliest".to_owned());
                reader.stalls = usize::MAX;
                reader.write();
            }
        }
        // Sometimes few messages come for a while, so that most readers have everything and wait.
        let is_quiet = step / 250 % 2 == 1;
        if is_quiet {
            // Only for chance: the readers are faster than the worker, so let it catch up.
            std::thread::sleep(Duration::from_micros(200));
        }
        let percent = if is_quiet { 2 } else { 70 };
        if rng.chance(percent) {
            let len = if rng.chance(5) { 20_000 } else { rng.below(2_000) };
            publish(rng.below(NAMES.len()), len);
        }
        let index = rng.below(READERS);
        if rng.chance(1) {
            // It hangs up. Another takes its place, most often at the same cursor, on any feed.
            let old = &readers[index];
            let (channels, cursor) = match rng.below(3) {
                0 => (some_names(&mut rng), (*rng.pick(&["now", "earliest"])).to_owned()),
                _ => (old.channels.clone(), old.cursor.clone()),
            };
            readers[index] = Reader::new(address, *rng.pick(&feeds), channels, cursor);
        }
        readers[index].act(&mut rng);
    }
    (0..NAMES.len()).for_each(|index| publish(index, 0));
    // The messages after this cursor are lost, however fast the others were.
    readers.push(Reader::new(address, Feed::Poll, vec![NAMES[0].to_owned()], first));
    // Stalled readers continue, and get everything.
    let deadline = Deadline::soon();
    for reader in &mut readers {
        loop {
            if reader.feed == Feed::Poll && reader.asked.is_empty() {
                reader.poll(1);
            }
            reader.write();
            if !reader.read(50_000) {
                std::thread::sleep(Duration::from_millis(1));
            }
            let all: Vec<u64> = reader.channels.iter().map(|name| published[index_of(name)]).collect();
            if reader.asked.is_empty() && reader.positions.as_ref() == Some(&all) {
                break;
            }
            let Reader { feed, positions, asked, .. } = reader;
            deadline.check(&format!("{all:?}"), || format!("{feed:?} at {positions:?}, asked {asked:?}"));
        }
    }
    let sum = |count: fn(&Reader) -> usize| readers.iter().map(count).sum::<usize>();
    let (messages, gaps) = (sum(|reader| reader.messages), sum(|reader| reader.gaps));
    assert!(messages > 0, "{messages} messages");
    let (fetched, from_store) = (store.count(RequestKind::Read), over == Over::Pages);
    assert_eq!((fetched > 0, gaps > 0), (from_store, !from_store), "{fetched} fetches, {gaps} gaps");
    drop(readers);
    let gone = || channels.iter().all(|channel| channel.subscribers() == 0);
    deadline.until("nobody who hung up is counted", gone);
    running.stop().unwrap();
    drop(streams);
}

#[test]
fn every_reader_gets_each_channel_in_order_and_is_removed() {
    seeds(&[1, 2, 3]).into_iter().for_each(|seed| run(seed, Over::Sockets));
}

#[test]
fn readers_over_any_stream_get_the_same() {
    seeds(&[4]).into_iter().for_each(|seed| run(seed, Over::Streams));
}

#[test]
fn readers_behind_short_windows_get_everything_from_a_slow_store() {
    seeds(&[5]).into_iter().for_each(|seed| run(seed, Over::Pages));
}

/// The seed of the environment, or these.
fn seeds(usual: &[u64]) -> Vec<u64> {
    let given = std::env::var("TIDEWIRE_TEST_SEED").ok();
    given.map_or(usual.to_vec(), |seed| vec![seed.parse().unwrap()])
}

#[test]
fn the_defaults_are_the_documented_ones() {
    tidewire_testkit::limits::check("tidewire-hub", &[&HubConfig::default(), &Settings::default()], &[]);
}
