//! Many subscribers and one publisher in one event loop.

use super::args::Args;
use super::message::message;
use super::scan::{Scan, Tally};
use crate::engine::wire::{Feed, Place, Server};
use crate::wire::{answer, connect};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{Error, ErrorKind, Read as _, Result, Write as _};
use std::time::{Duration, Instant};

pub(super) struct Clients {
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    server: Server,
    feed: Feed,
    port: u16,
    channel: String,
    subscribers: Vec<Subscriber>,
    /// Subscriptions that are not answered yet.
    opening: usize,
    publisher: Publisher,
    start: Instant,
    pub(super) pace: Option<Pace>,
    pub(super) tally: Tally,
    pub(super) sent: u64,
}

/// When the next message is due.
#[derive(Clone, Copy)]
pub(super) enum Pace {
    /// This number of messages is not yet delivered to all `loud` subscribers.
    Window { loud: u64, messages: u64 },
    /// This number of messages per second.
    Rate { start: Instant, rate: f64 },
}

struct Subscriber {
    stream: TcpStream,
    channel: String,
    state: State,
    /// The start of a head or of a poll's answer that is not complete yet.
    input: Vec<u8>,
    scan: Scan,
}

#[derive(PartialEq)]
enum State {
    Connecting,
    Asked,
    Ready,
}

struct Publisher {
    stream: TcpStream,
    connected: bool,
    input: Vec<u8>,
    unanswered: usize,
}

impl Clients {
    pub(super) fn new(args: &Args) -> Result<Self> {
        let poll = Poll::new()?;
        let mut stream = connect(args.port, 0)?;
        poll.registry().register(&mut stream, PUBLISHER, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(1024),
            buffer: vec![0; 256 << 10],
            server: args.server,
            feed: args.feed,
            port: args.port,
            channel: args.channel(),
            subscribers: Vec::new(),
            opening: 0,
            publisher: Publisher { stream, connected: false, input: Vec::new(), unanswered: 0 },
            start: Instant::now(),
            pace: None,
            tally: Tally::default(),
            sent: 0,
        })
    }

    /// Opens this number of subscribers of the channel, and one subscriber of each quiet channel.
    pub(super) fn open(&mut self, loud: usize, quiet: usize) -> Result<()> {
        let mut progress = Instant::now();
        while self.subscribers.len() < loud + quiet || self.opening > 0 || !self.publisher.connected {
            while self.subscribers.len() < loud + quiet && self.opening < BURST {
                self.subscribe(loud)?;
                progress = Instant::now();
            }
            self.turn(Duration::from_millis(100))?;
            if progress.elapsed() > STALL {
                return Err(Error::other(format!("{} subscriptions were not answered", self.opening)));
            }
        }
        Ok(())
    }

    fn subscribe(&mut self, loud: usize) -> Result<()> {
        let number = self.subscribers.len();
        let mut stream = connect(self.port, number)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(number), interest)?;
        let own = || format!("{}q{number}", self.channel);
        let channel = if number < loud { self.channel.clone() } else { own() };
        let (state, input, scan) = (State::Connecting, Vec::new(), Scan::default());
        self.subscribers.push(Subscriber { stream, channel, state, input, scan });
        self.opening += 1;
        Ok(())
    }

    /// Only reads, for this time.
    pub(super) fn rest(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.turn(left)?;
        }
        Ok(())
    }

    /// Reads until this number of messages has arrived in total. Returns `false` if nothing more
    /// comes.
    pub(super) fn wait(&mut self, delivered: u64) -> Result<bool> {
        let mut progress = (self.tally.delivered, Instant::now());
        while self.tally.delivered < delivered || self.publisher.unanswered > 0 {
            self.turn(Duration::from_millis(100))?;
            if self.tally.delivered != progress.0 {
                progress = (self.tally.delivered, Instant::now());
            } else if progress.1.elapsed() > STALL {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Publishes what is due, unless too many requests of the publisher are unanswered.
    pub(super) fn publish_due(&mut self) -> Result<()> {
        let due = match self.pace {
            Some(Pace::Window { loud, messages }) => self.tally.delivered / loud + messages,
            Some(Pace::Rate { start, rate }) => (start.elapsed().as_secs_f64() * rate) as u64 + 1,
            None => return Ok(()),
        };
        while self.sent < due && self.publisher.unanswered < PIPELINED {
            self.publish()?;
        }
        Ok(())
    }

    pub(super) fn publish(&mut self) -> Result<()> {
        self.sent += 1;
        let message = message(self.sent, self.start.elapsed());
        let request = self.server.publish(&self.channel, &message);
        self.publisher.unanswered += 1;
        self.publisher.stream.write_all(request.as_bytes())
    }

    /// Handles what is ready, or waits for it.
    pub(super) fn turn(&mut self, wait: Duration) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        let mut now = self.start.elapsed().as_nanos();
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for (number, event) in events.iter().enumerate() {
            if number % SHARE == SHARE - 1 {
                self.publisher.read(&mut self.buffer)?;
                self.publish_due()?;
                now = self.start.elapsed().as_nanos();
            }
            if event.token() == PUBLISHER {
                self.publisher.connected |= event.is_writable();
                self.publisher.read(&mut self.buffer)?;
                continue;
            }
            let subscriber = &mut self.subscribers[event.token().0];
            if subscriber.state == State::Connecting {
                self.opening -= usize::from(subscriber.ask(self.server, self.feed)?);
            } else if event.is_readable() {
                while let Some(n) = read(&mut subscriber.stream, &mut self.buffer)? {
                    let bytes = &self.buffer[..n];
                    match subscriber.state {
                        State::Asked => {
                            self.opening -=
                                usize::from(subscriber.begin(self.feed, bytes, now, &mut self.tally)?);
                        }
                        _ if self.feed == Feed::Longpoll => {
                            subscriber.poll(self.server, bytes, now, &mut self.tally)?;
                        }
                        _ => subscriber.scan.feed(bytes, now, &mut self.tally),
                    }
                    if n < self.buffer.len() {
                        break;
                    }
                }
            }
        }
        self.events = events;
        Ok(())
    }

    /// Returns how many messages at the end are missing at the first `loud` subscribers.
    pub(super) fn missing(&self, loud: usize) -> u64 {
        self.subscribers[..loud].iter().map(|subscriber| self.sent - subscriber.scan.last).sum()
    }
}

impl Subscriber {
    /// Subscribes on a new connection. Returns `true` if there is nothing else to wait for.
    fn ask(&mut self, server: Server, feed: Feed) -> Result<bool> {
        let request = server.subscribe(feed, &self.channel, &Place::default());
        self.stream.write_all(request.as_bytes())?;
        // A held poll gives no sign.
        self.state = if feed == Feed::Longpoll { State::Ready } else { State::Asked };
        Ok(self.state == State::Ready)
    }

    /// Reads the head of a stream. Returns `true` if it is complete.
    fn begin(&mut self, feed: Feed, bytes: &[u8], now: u128, tally: &mut Tally) -> Result<bool> {
        self.input.extend_from_slice(bytes);
        let Some(at) = self.input.windows(4).position(|end| end == b"\r\n\r\n") else { return Ok(false) };
        let wanted: &[u8] = if feed == Feed::Ws { b"101" } else { b"200" };
        if self.input.get(9..12) != Some(wanted) {
            let head = String::from_utf8_lossy(&self.input[..at]);
            return Err(Error::other(format!("a subscription was answered with {head}")));
        }
        self.scan.feed(&self.input[at + 4..], now, tally);
        self.input = Vec::new();
        self.state = State::Ready;
        Ok(true)
    }

    /// Reads the answer to a poll, and polls again.
    fn poll(&mut self, server: Server, bytes: &[u8], now: u128, tally: &mut Tally) -> Result<()> {
        self.input.extend_from_slice(bytes);
        while let Some((status, head, end)) = answer(&self.input) {
            if status != 200 {
                return Err(Error::other(format!("a poll was answered with {status}")));
            }
            self.scan.feed(&self.input[head.len()..end], now, tally);
            let request = server.subscribe(Feed::Longpoll, &self.channel, &server.place(head));
            self.stream.write_all(request.as_bytes())?;
            self.input.drain(..end);
        }
        Ok(())
    }
}

impl Publisher {
    fn read(&mut self, buffer: &mut [u8]) -> Result<()> {
        while let Some(n) = read(&mut self.stream, buffer)? {
            self.input.extend_from_slice(&buffer[..n]);
            while let Some((status, _, end)) = answer(&self.input) {
                if !(200..300).contains(&status) {
                    return Err(Error::other(format!("a message was answered with {status}")));
                }
                self.unanswered -= 1;
                self.input.drain(..end);
            }
        }
        Ok(())
    }
}

/// Returns `None` if there is nothing to read now.
pub(super) fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<Option<usize>> {
    match stream.read(buffer) {
        Ok(0) => Err(Error::other("the server closed a connection")),
        Ok(n) => Ok(Some(n)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The number of subscribers after which the publisher has its turn. A thousand subscribers that
/// are served at once must not delay it. Otherwise a fast server would have fewer messages in
/// flight than a slow one.
const SHARE: usize = 64;

const PUBLISHER: Token = Token(usize::MAX >> 1);

/// The number of connections opened at one time.
const BURST: usize = 64;

/// The largest number of unanswered requests of the publisher.
const PIPELINED: usize = 8;

/// After this time, nothing more is expected.
const STALL: Duration = Duration::from_secs(3);
