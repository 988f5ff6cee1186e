//! `tidewire-http1` alone: a proxy that forwards bytes untouched, and logs each exchange it sees.
//!
//! ```text
//! cargo run -p tidewire-examples --example http1_server -- 127.0.0.1:8080
//! cargo run -p tidewire-examples --example http1_capture -- 127.0.0.1:8081 127.0.0.1:8080
//! curl -d hello http://127.0.0.1:8081/any/path
//! ```
//! An [`Observer`] reads both directions, and answers nothing. A WebSocket is logged by its frames.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tidewire_http1::{Event, Fields, Limits, Observer, Reading};
use tidewire_ws::{self as ws, Client, FrameDecoder, FrameEvent, Role, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, listen, upstream] = &arguments[..] else { return Err("arguments: LISTEN UPSTREAM".into()) };
    let listener = TcpListener::bind(listen)?;
    println!("http1_capture on http://{}", listener.local_addr()?);
    loop {
        let (client, _) = listener.accept()?;
        let Ok(server) = TcpStream::connect(upstream) else { continue }; // The next one may succeed.
        let log = Arc::new(Mutex::new(Log::new()));
        for (from, to, is_client) in [(&client, &server, true), (&server, &client, false)] {
            let (from, to, log) = (from.try_clone()?, to.try_clone()?, Arc::clone(&log));
            thread::spawn(move || forward(from, to, is_client, &log));
        }
    }
}

/// Forwards one direction, until it ends. The log sees the bytes first.
fn forward(mut from: TcpStream, mut to: TcpStream, is_client: bool, log: &Mutex<Log>) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let n = from.read(&mut buffer).unwrap_or(0);
        log.lock().unwrap_or_else(PoisonError::into_inner).push(is_client, &buffer[..n]);
        if n == 0 {
            return to.shutdown(Shutdown::Write);
        }
        to.write_all(&buffer[..n])?;
    }
}

/// What was seen of one connection.
struct Log {
    observer: Observer,
    fields: Fields,
    /// Bytes that are not decoded yet, of the client and of the server.
    up: Vec<u8>,
    down: Vec<u8>,
    /// Exchanges whose response is not complete, in the order of their requests.
    open: VecDeque<Exchange>,
    frames: (FrameDecoder<Server>, FrameDecoder<Client>),
}

struct Exchange {
    request: String,
    sent: usize,
    status: u16,
    received: usize,
}

impl Log {
    fn new() -> Self {
        // Content is only counted, so it may have any length.
        let observer = Observer::new(Limits::DEFAULT.with_max_body(u64::MAX));
        let mut frames = (FrameDecoder::new(ws::Limits::DEFAULT), FrameDecoder::new(ws::Limits::DEFAULT));
        frames.0.allow_rsv1(); // Browsers compress messages.
        frames.1.allow_rsv1();
        Self { observer, fields: Fields::new(), up: vec![], down: vec![], open: VecDeque::new(), frames }
    }

    /// Takes the next bytes of one side. No bytes: the side has ended.
    fn push(&mut self, is_client: bool, bytes: &[u8]) {
        if is_client { &mut self.up } else { &mut self.down }.extend_from_slice(bytes);
        // Each direction may wait for the other one.
        while self.read(true) | self.read(false) {}
        if bytes.is_empty() && is_client {
            let _ = self.observer.finish_requests();
        } else if bytes.is_empty() && matches!(self.observer.finish_responses(), Ok(Some(_))) {
            self.response_ended();
        }
        let readings = [self.observer.reading_requests(), self.observer.reading_responses()];
        // A client that has ended its side may still get frames.
        if readings[0] == Reading::Switched {
            log_frames("client", &mut self.frames.0, &mut self.up);
        }
        if readings[1] == Reading::Switched {
            log_frames("server", &mut self.frames.1, &mut self.down);
        }
        for (reading, buffer) in readings.into_iter().zip([&mut self.up, &mut self.down]) {
            match reading {
                Reading::Failed(error) if !buffer.is_empty() => println!("refused: {error}"),
                Reading::Closed | Reading::Failed(_) => {}
                _ if buffer.len() <= MAX_WAITING => continue,
                _ => println!("a side is not shown any more"),
            }
            buffer.clear();
        }
    }

    /// Returns whether there was an event.
    fn read(&mut self, is_client: bool) -> bool {
        let decoded = match is_client {
            true => self.observer.decode_requests(&self.up, &mut self.fields),
            false => self.observer.decode_responses(&self.down, &mut self.fields),
        };
        let Ok((used, event)) = decoded else { return false };
        let (more, is_end) = (event.is_some(), matches!(event, Some(Event::End)));
        let exchange = if is_client { self.open.back_mut() } else { self.open.front_mut() };
        match (event, exchange) {
            (Some(Event::Request(head)), _) => {
                let request = format!("{} {}", head.method(), head.target().escape_ascii());
                self.open.push_back(Exchange { request, sent: 0, status: 0, received: 0 });
            }
            (Some(Event::Response(head)), Some(exchange)) => exchange.status = head.status(),
            (Some(Event::Response(head)), None) => println!("a refused request: {}", head.status()),
            (Some(Event::Data(data)), Some(exchange)) if is_client => exchange.sent += data.len(),
            (Some(Event::Data(data)), Some(exchange)) => exchange.received += data.len(),
            _ => {}
        }
        if is_client { &mut self.up } else { &mut self.down }.drain(..used);
        let ends = is_end || used > 0 && self.observer.reading_responses() == Reading::Switched;
        if ends && !is_client {
            self.response_ended();
        }
        more
    }

    fn response_ended(&mut self) {
        if let Some(Exchange { request, sent, status, received }) = self.open.pop_front() {
            println!("{request} with {sent} bytes: {status} with {received} bytes");
        }
    }
}

/// Logs complete frame headers. After an error, nothing more.
fn log_frames<R: Role>(sender: &str, decoder: &mut FrameDecoder<R>, buffer: &mut Vec<u8>) {
    while let Ok((used, Some(event))) = decoder.decode(buffer) {
        if let FrameEvent::Header(header) = event {
            println!("{sender}: {:?} frame with {} bytes", header.opcode, header.len);
        }
        buffer.drain(..used);
    }
}

/// Bytes of one side that may wait for the other side.
const MAX_WAITING: usize = 1 << 20;
