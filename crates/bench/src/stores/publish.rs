//! Publishers that have a number of requests in flight each.

use super::connection::Connection;
use super::server::Started;
use crate::process::usage;
use crate::wire::connect;
use mio::{Events, Interest, Poll, Token};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tidewire_testkit::run::Result;

/// A load.
pub(super) struct Publish {
    pub(super) publishers: usize,
    /// Requests in flight of each.
    pub(super) depth: usize,
    pub(super) channels: usize,
    pub(super) time: Duration,
}

impl Publish {
    /// Publishes this number of messages to each channel.
    pub(super) fn fill(&self, server: &Started, messages: usize) -> Result {
        self.publish(server, |sent, _| sent < messages * self.channels).map(drop)
    }

    /// Publishes for a time.
    pub(super) fn run(&self, server: &Started) -> Result<Value> {
        let before = usage(server.pid()).map_err(|error| error.to_string())?;
        let (answered, time) = self.publish(server, |_, time| time < self.time)?;
        let used = usage(server.pid()).map_err(|error| error.to_string())?.micros - before.micros;
        Ok(json!({
            "rate": answered as f64 / time.as_secs_f64(),
            "cost": used as f64 / answered.max(1) as f64,
        }))
    }

    /// Publishes while `goes_on` says so. Returns the number of answers.
    fn publish(
        &self,
        server: &Started,
        goes_on: impl Fn(usize, Duration) -> bool,
    ) -> Result<(usize, Duration)> {
        self.try_publish(server, goes_on).map_err(|error| format!("{}: {error}", server.store.name()))
    }

    fn try_publish(
        &self,
        server: &Started,
        goes_on: impl Fn(usize, Duration) -> bool,
    ) -> std::io::Result<(usize, Duration)> {
        let requests: Vec<String> = (0..self.channels).map(request).collect();
        let mut poll = Poll::new()?;
        let mut connections = Vec::new();
        for number in 0..self.publishers {
            let mut stream = connect(server.port, number)?;
            poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
            connections.push(Connection::new(stream));
        }
        let mut events = Events::with_capacity(self.publishers);
        let (mut buffer, mut round) = (vec![0; 64 << 10], Vec::new());
        let (mut sent, mut next, start) = (0, 0, Instant::now());
        loop {
            poll.poll(&mut events, Some(Duration::from_millis(100)))?;
            let is_on = goes_on(sent, start.elapsed());
            for event in &events {
                let connection = &mut connections[event.token().0];
                connection.flush()?;
                connection.read(&mut buffer, 201)?;
                if connection.left == 0 && is_on {
                    round.clear();
                    for _ in 0..self.depth {
                        round.extend_from_slice(requests[next % self.channels].as_bytes());
                        next += 1;
                    }
                    connection.send(&round, self.depth)?;
                    sent += self.depth;
                }
            }
            if !is_on && connections.iter().all(|connection| connection.left == 0) {
                return Ok((sent, start.elapsed()));
            }
            if start.elapsed() > LIMIT {
                return Err(std::io::Error::other("the server takes too long"));
            }
        }
    }
}

/// Publishes 256 bytes to a channel.
fn request(channel: usize) -> String {
    format!("POST /c/b{channel} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 256\r\n\r\n{:x<256}", "")
}

/// A load that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(300);
