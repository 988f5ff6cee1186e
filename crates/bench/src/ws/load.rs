//! The load. Every connection keeps a number of messages in flight and checks the length of each
//! echo.

use crate::process::usage;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde_json::json;
use std::io::{Error, ErrorKind, Read as _, Result as IoResult, Write as _};
use std::time::{Duration, Instant};
use tidewire_testkit::run::Result;

/// What to send, and to which server.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    port: u16,
    /// The process whose CPU time is measured.
    #[arg(long)]
    pid: u32,
    #[arg(long)]
    connections: usize,
    /// The bytes of a message.
    #[arg(long)]
    size: usize,
    /// The number of messages in flight on one connection.
    #[arg(long)]
    depth: usize,
    #[arg(long)]
    seconds: f64,
}

pub(crate) fn run(args: &Args) -> Result {
    let cost = measure(args).map_err(|error| error.to_string())?;
    println!("{}", json!({ "cost": cost }));
    Ok(())
}

/// Returns the microseconds of server CPU for each message.
fn measure(args: &Args) -> IoResult<f64> {
    let frame = frame(args.size);
    // The buffer holds several frames, so that a pipeline is one write.
    let frames = frame.repeat(args.depth.min((256 << 10) / frame.len() + 1));
    let mut poll = Poll::new()?;
    let mut connections = Vec::new();
    for number in 0..args.connections {
        let mut stream = open(args.port)?;
        poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
        connections.push(Connection::new(stream, frame.len() * args.depth));
    }
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 256 << 10];
    let start = Instant::now();
    let mut progress = start;
    let (mut answers, mut measured) = (0u64, None);
    // Only complete echoes count. There must be some hundred of them, even if they are large and
    // slow.
    while measured.is_none_or(|(since, _): (Instant, u64)| {
        since.elapsed().as_secs_f64() < args.seconds || answers < 100
    }) {
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let connection = &mut connections[event.token().0];
            let done = if event.is_readable() { connection.read(&mut buffer, args.size)? } else { 0 };
            answers += done;
            connection.unsent += done as usize * frame.len();
            connection.write(&frames, frame.len())?;
        }
        if !events.is_empty() {
            progress = Instant::now();
        }
        if progress.elapsed() > STALL {
            return Err(Error::other("no echo came for ten seconds"));
        }
        if measured.is_none() && start.elapsed() > WARM_UP && answers as usize >= args.connections {
            measured = Some((Instant::now(), usage(args.pid)?.micros));
            answers = 0;
        }
    }
    let before = measured.map_or(0, |(_, micros)| micros);
    Ok((usage(args.pid)?.micros - before) as f64 / answers as f64)
}

struct Connection {
    stream: TcpStream,
    /// The bytes of frames still to be written, and the position in the current frame.
    unsent: usize,
    at: usize,
    /// The header of the frame being read, as far as it has come, and the missing bytes of its
    /// payload.
    header: [u8; 10],
    header_len: usize,
    rest: u64,
}

impl Connection {
    fn new(stream: TcpStream, unsent: usize) -> Self {
        Self { stream, unsent, at: 0, header: [0; 10], header_len: 0, rest: 0 }
    }

    fn write(&mut self, frames: &[u8], len: usize) -> IoResult<()> {
        while self.unsent > 0 {
            let piece = &frames[self.at..frames.len().min(self.at + self.unsent)];
            match self.stream.write(piece) {
                Ok(n) => (self.unsent, self.at) = (self.unsent - n, (self.at + n) % len),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns how many complete messages came.
    fn read(&mut self, buffer: &mut [u8], size: usize) -> IoResult<u64> {
        let mut done = 0;
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(Error::other("the server closed")),
                Ok(n) => {
                    done += self.walk(&buffer[..n], size)?;
                    if n < buffer.len() {
                        return Ok(done);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(done),
                Err(error) => return Err(error),
            }
        }
    }

    /// Skips the headers. Each message must come in one frame, as it was sent.
    fn walk(&mut self, mut data: &[u8], size: usize) -> IoResult<u64> {
        let mut done = 0;
        while let Some(&byte) = data.first() {
            if self.rest > 0 {
                let n = self.rest.min(data.len() as u64);
                self.rest -= n;
                data = &data[n as usize..];
                done += u64::from(self.rest == 0);
                continue;
            }
            self.header[self.header_len] = byte;
            self.header_len += 1;
            data = &data[1..];
            let (len, whole) = match self.header[1] {
                _ if self.header_len < 2 => continue,
                126 => (u16::from_be_bytes([self.header[2], self.header[3]]).into(), 4),
                127 => (self.header[2..].iter().fold(0, |len, byte| len << 8 | u64::from(*byte)), 10),
                len => (len.into(), 2),
            };
            if self.header_len == whole {
                if self.header[0] != 0x82 || len != size as u64 {
                    return Err(Error::other(format!(
                        "not the echo of {size} bytes: {:x?}",
                        &self.header[..whole]
                    )));
                }
                (self.rest, self.header_len) = (len, 0);
            }
        }
        Ok(done)
    }
}

/// Returns a masked binary message.
fn frame(size: usize) -> Vec<u8> {
    let mut frame = vec![0x82];
    match size {
        0..=125 => frame.push(0x80 | size as u8),
        126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((size as u16).to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend((size as u64).to_be_bytes());
        }
    }
    frame.extend([0x37, 0xfa, 0x21, 0x3d]);
    frame.extend((0..size).map(|i| (i * 7 + (i >> 8)) as u8));
    frame
}

/// Connects and does the handshake, blocking.
fn open(port: u16) -> IoResult<TcpStream> {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(STALL))?;
    stream.write_all(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    )?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    if !answer.starts_with(b"HTTP/1.1 101") {
        return Err(Error::other(format!("refused: {}", answer.escape_ascii())));
    }
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream))
}

const WARM_UP: Duration = Duration::from_millis(100);
const STALL: Duration = Duration::from_secs(10);
