//! Plain requests on fifty connections: the CPU time of each.

use super::args::Args;
use super::clients::{Clients, read};
use super::message::percentile;
use crate::engine::wire::Server;
use crate::wire::{answer, connect};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde_json::{Value, json};
use std::io::{Error, Result, Write as _};
use std::time::{Duration, Instant};

pub(super) fn run(args: &Args) -> Result<Value> {
    if args.server != Server::Return {
        let mut clients = Clients::new(args)?;
        clients.open(0, 0)?;
        clients.publish()?;
        clients.wait(0)?;
    }
    let request = args.server.get(&args.channel()).repeat(args.depth);
    let mut poll = Poll::new()?;
    let mut connections = Vec::new();
    for number in 0..CONNECTIONS {
        let mut stream = connect(args.port, number)?;
        poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
        connections.push(Connection { stream, input: Vec::new(), left: 0, sent: Instant::now() });
    }
    let mut events = Events::with_capacity(CONNECTIONS);
    let mut buffer = vec![0; 64 << 10];
    let (before, start) = (args.usage()?, Instant::now());
    let (mut answers, mut times) = (0u64, Vec::new());
    while start.elapsed() < args.duration() {
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let connection = &mut connections[event.token().0];
            if event.is_readable() {
                answers += connection.read(&mut buffer)?;
            }
            // All answers of the last round have come, or this is the first round.
            if connection.left == 0 {
                let taken = connection.sent.elapsed().as_micros();
                times.push(u32::try_from(taken).unwrap_or(u32::MAX));
                connection.stream.write_all(request.as_bytes())?;
                (connection.left, connection.sent) = (args.depth, Instant::now());
            }
        }
    }
    let (used, time) = (args.usage()?.micros - before.micros, start.elapsed());
    times.sort_unstable();
    Ok(json!({
        "cost": used as f64 / answers.max(1) as f64,
        "rate": answers as f64 / time.as_secs_f64(),
        "p50": percentile(&times, 0.5), "p99": percentile(&times, 0.99),
    }))
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// The answers still to come in this round.
    left: usize,
    sent: Instant,
}

impl Connection {
    /// Returns how many answers came.
    fn read(&mut self, buffer: &mut [u8]) -> Result<u64> {
        let mut answers = 0;
        while let Some(n) = read(&mut self.stream, buffer)? {
            self.input.extend_from_slice(&buffer[..n]);
            let mut at = 0;
            while let Some((status, _, end)) = answer(&self.input[at..]) {
                if status != 200 {
                    return Err(Error::other(format!("a request was answered with {status}")));
                }
                at += end;
                answers += 1;
            }
            self.input.drain(..at);
            if n < buffer.len() {
                break;
            }
        }
        self.left = self.left.saturating_sub(answers);
        Ok(answers as u64)
    }
}

const CONNECTIONS: usize = 50;
