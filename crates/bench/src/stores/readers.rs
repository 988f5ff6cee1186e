//! Many readers that begin at the start of a long log.

use super::server::Started;
use crate::process::usage;
use crate::wire::connect;
use mio::{Events, Interest, Poll, Token};
use serde_json::{Value, json};
use std::io::{Error, ErrorKind, Read as _, Result, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Makes a channel that keeps all messages, and publishes to it.
pub(super) fn fill(server: &Started, messages: usize) -> tidewire_testkit::run::Result {
    try_fill(server.port, messages).map_err(|error| format!("{}: {error}", server.store.name()))
}

fn try_fill(port: u16, messages: usize) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let mut answers = stream.try_clone()?;
    let counts = std::thread::spawn(move || {
        let (mut buffer, mut answered, mut last) = (vec![0; 64 << 10], 0, 0);
        while answered <= messages {
            let n = answers.read(&mut buffer)?;
            if n == 0 {
                return Err(Error::other("the server has closed the connection"));
            }
            // Each answer begins so, and a read may cut it.
            for &byte in &buffer[..n] {
                last = last << 8 | u64::from(byte);
                answered += usize::from(last == u64::from_be_bytes(*b"TTP/1.1 "));
            }
        }
        Ok(())
    });
    write!(stream, "PUT /c/long?create=1&retain=all HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")?;
    let message = format!("POST /c/long HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{:~<100}", "");
    let batch = message.repeat(BATCH);
    for _ in 0..messages / BATCH {
        stream.write_all(batch.as_bytes())?;
    }
    counts.join().map_err(|_| Error::other("the counting of answers has failed"))?
}

/// Opens the readers, and counts what comes.
pub(super) fn run(
    server: &Started,
    readers: usize,
    messages: usize,
    time: Duration,
) -> tidewire_testkit::run::Result<Value> {
    measure(server, readers, messages, time).map_err(|error| format!("{}: {error}", server.store.name()))
}

fn measure(server: &Started, readers: usize, messages: usize, time: Duration) -> Result<Value> {
    let mut poll = Poll::new()?;
    let mut streams = Vec::new();
    for number in 0..readers {
        let mut stream = connect(server.port, number)?;
        poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
        streams.push((stream, false));
    }
    let request = b"GET /c/long?feed=sse&since=earliest HTTP/1.1\r\nHost: a\r\n\r\n";
    let (mut events, mut buffer) = (Events::with_capacity(readers), vec![0; 256 << 10]);
    let before = usage(server.pid())?;
    let (mut tildes, mut resident, mut start) = (0_u64, Vec::new(), None);
    let all = (readers * messages) as u64;
    loop {
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let (stream, is_asked) = &mut streams[event.token().0];
            if !*is_asked && event.is_writable() {
                stream.write_all(request)?;
                *is_asked = true;
                start.get_or_insert_with(Instant::now);
            }
            // A few reads a turn, so that all readers are served alike.
            for _ in 0..4 {
                match stream.read(&mut buffer) {
                    Ok(0) => return Err(Error::other("a stream has ended")),
                    Ok(n) => tildes += buffer[..n].iter().filter(|&&byte| byte == b'~').count() as u64,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        resident.push(usage(server.pid())?.resident);
        let taken = start.map_or(Duration::ZERO, |start| start.elapsed());
        let delivered = tildes / 100;
        if taken >= time || delivered >= all {
            let used = usage(server.pid())?.micros - before.micros;
            let most = resident.iter().copied().max().unwrap_or(0);
            return Ok(json!({
                "rate": delivered as f64 / taken.as_secs_f64(),
                "cost": used as f64 / delivered.max(1) as f64,
                "delivered": delivered, "before": before.resident, "most": most,
                "last": resident.last(),
            }));
        }
    }
}

/// Requests in one write.
const BATCH: usize = 500;
