//! Connects, subscribes and leaves, again and again: the CPU time of each cycle.

use super::args::Args;
use super::clients::read;
use crate::engine::wire::Place;
use crate::wire::connect;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde_json::{Value, json};
use std::io::{Error, Result, Write as _};
use std::time::{Duration, Instant};

pub(super) fn run(args: &Args) -> Result<Value> {
    let request = args.server.subscribe(args.feed, &args.channel(), &Place::default());
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(SLOTS);
    let mut slots: Vec<Option<TcpStream>> = (0..SLOTS).map(|_| None).collect();
    let mut buffer = vec![0; 16 << 10];
    let (mut opened, mut cycles) = (0, 0u64);
    let (before, start) = (args.usage()?, Instant::now());
    while start.elapsed() < args.duration() {
        for (number, slot) in slots.iter_mut().enumerate() {
            if slot.is_none() {
                let mut stream = connect(args.port, opened)?;
                let interest = Interest::READABLE | Interest::WRITABLE;
                poll.registry().register(&mut stream, Token(number), interest)?;
                *slot = Some(stream);
                opened += 1;
            }
        }
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let slot = &mut slots[event.token().0];
            let Some(stream) = slot else { continue };
            if !event.is_readable() {
                stream.write_all(request.as_bytes())?;
            } else if let Some(n) = read(stream, &mut buffer)? {
                if !matches!(buffer[..n].get(9..12), Some(b"101" | b"200")) {
                    let head = String::from_utf8_lossy(&buffer[..n]);
                    return Err(Error::other(format!("a subscription was answered with {head}")));
                }
                cycles += 1;
                *slot = None;
            }
        }
    }
    let (used, time) = (args.usage()?.micros - before.micros, start.elapsed());
    Ok(json!({ "cost": used as f64 / cycles.max(1) as f64, "rate": cycles as f64 / time.as_secs_f64() }))
}

/// The number of connections at one time.
const SLOTS: usize = 32;
