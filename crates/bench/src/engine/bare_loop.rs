//! The bare loop: the cost of fan-out with only the necessary system calls.
//!
//! It has one thread, one channel, and one log for each feed. Messages are encoded when they are
//! published. A subscriber is a socket and a position. A turn takes all publications that have come
//! and writes once to each subscriber. It has no limits, no checks and no time-outs, so it serves
//! only as a reference.

use super::wire::Feed;
use crate::wire::{length_of, listen};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use tidewire_testkit::run::Result;

/// Serves until the process is killed.
pub(crate) fn run(port: u16) -> Result {
    serve(port).map_err(|error| format!("the bare loop: {error}"))
}

fn serve(port: u16) -> std::io::Result<()> {
    let mut listener = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut bare_loop = BareLoop::default();
    loop {
        poll.poll(&mut events, None)?;
        let mut published = false;
        for event in &events {
            match event.token() {
                LISTENER => bare_loop.accept(&listener, &poll)?,
                token => {
                    if event.is_writable() {
                        bare_loop.write(token);
                    }
                    if event.is_readable() {
                        published |= bare_loop.read(token);
                    }
                }
            }
        }
        if published {
            bare_loop.deliver();
        }
    }
}

const LISTENER: Token = Token(0);

#[derive(Default)]
struct BareLoop {
    next: usize,
    /// Sockets that have not subscribed, with their input so far. Publishers are among them.
    strangers: HashMap<Token, (TcpStream, Vec<u8>)>,
    subscribers: Vec<Subscriber>,
    place: HashMap<Token, usize>,
    logs: [Log; 3],
    published: u64,
}

struct Subscriber {
    token: Token,
    stream: TcpStream,
    log: usize,
    at: u64,
    blocked: bool,
}

/// Encoded bytes from the position `base` on.
#[derive(Default)]
struct Log {
    base: u64,
    bytes: Vec<u8>,
}

impl Log {
    fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }
}

impl BareLoop {
    fn accept(&mut self, listener: &TcpListener, poll: &Poll) -> std::io::Result<()> {
        while let Ok((mut stream, _)) = listener.accept() {
            stream.set_nodelay(true)?;
            self.next += 1;
            let token = Token(self.next);
            poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
            self.strangers.insert(token, (stream, Vec::new()));
        }
        Ok(())
    }

    /// Returns whether something was published.
    fn read(&mut self, token: Token) -> bool {
        let mut buffer = [0; 16 << 10];
        let mut published = 0;
        if let Some(&place) = self.place.get(&token) {
            if matches!(self.subscribers[place].stream.read(&mut buffer), Ok(0)) {
                self.leave(token);
            }
            return false;
        }
        let Some((mut stream, mut input)) = self.strangers.remove(&token) else { return false };
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return published > 0,
                Ok(n) => input.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return published > 0,
            }
        }
        while let Some(head) = input.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4) {
            if !input.starts_with(b"POST") {
                self.subscribe(token, stream, &input[..head]);
                return published > 0;
            }
            let end = head + length_of(&input[..head]);
            if input.len() < end {
                break;
            }
            self.append(&input[head..end]);
            published += 1;
            input.drain(..end);
        }
        // One answer for each request, all in one write.
        let _ = stream.write(&b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n".repeat(published));
        self.strangers.insert(token, (stream, input));
        published > 0
    }

    fn subscribe(&mut self, token: Token, mut stream: TcpStream, head: &[u8]) {
        let log = [Feed::Ws, Feed::Sse, Feed::Stream]
            .iter()
            .position(|feed| head[5..].starts_with(feed.name().as_bytes()))
            .unwrap_or(0);
        let answer: &[u8] = match log {
            // The answer to the only key that the load sends.
            0 => {
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
            }
            1 => b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
            _ => b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n",
        };
        let _ = stream.write(answer);
        self.place.insert(token, self.subscribers.len());
        let at = self.logs[log].end();
        self.subscribers.push(Subscriber { token, stream, log, at, blocked: false });
    }

    fn leave(&mut self, token: Token) {
        if let Some(place) = self.place.remove(&token) {
            self.subscribers.swap_remove(place);
            if let Some(moved) = self.subscribers.get(place) {
                self.place.insert(moved.token, place);
            }
        }
    }

    fn append(&mut self, body: &[u8]) {
        self.published += 1;
        let [ws, sse, stream] = &mut self.logs;
        ws.bytes.push(0x81);
        match u8::try_from(body.len()) {
            Ok(short @ ..126) => ws.bytes.push(short),
            _ => {
                ws.bytes.push(126);
                ws.bytes.extend_from_slice(&(body.len() as u16).to_be_bytes());
            }
        }
        ws.bytes.extend_from_slice(body);
        let text = String::from_utf8_lossy(body);
        for (log, data) in
            [(sse, format!("id: {}\ndata: {text}\n\n", self.published)), (stream, format!("{text}\n"))]
        {
            let _ = write!(log.bytes, "{:x}\r\n{data}\r\n", data.len());
        }
    }

    /// Writes everything new to each subscriber, with one write.
    fn deliver(&mut self) {
        for subscriber in &mut self.subscribers {
            subscriber.write(&self.logs);
        }
        for (place, log) in self.logs.iter_mut().enumerate() {
            let readers = self.subscribers.iter().filter(|subscriber| subscriber.log == place);
            let low = readers.map(|subscriber| subscriber.at).min().unwrap_or_else(|| log.end());
            // Removes the old bytes only when few bytes must be moved.
            if low == log.end() || low - log.base > 1 << 19 {
                log.bytes.drain(..(low - log.base) as usize);
                log.base = low;
            }
        }
    }

    /// A socket can be written again.
    fn write(&mut self, token: Token) {
        if let Some(&place) = self.place.get(&token) {
            let subscriber = &mut self.subscribers[place];
            subscriber.blocked = false;
            subscriber.write(&self.logs);
        }
    }
}

impl Subscriber {
    fn write(&mut self, logs: &[Log; 3]) {
        let log = &logs[self.log];
        let due = &log.bytes[(self.at - log.base) as usize..];
        if self.blocked || due.is_empty() {
            return;
        }
        let written = self.stream.write(due).unwrap_or(0);
        self.at += written as u64;
        self.blocked = written < due.len();
    }
}
